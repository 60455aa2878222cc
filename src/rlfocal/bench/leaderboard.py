"""A leaderboard's rows, and how they look: as Markdown, in a terminal or notebook, as columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import pyarrow as pa

from rlfocal.bench.statistics import BEST_SINGLE, ORACLE, judge
from rlfocal.markup import Displayed, Grid, Sheet

__all__ = [
    "TASK_HIDDEN",
    "LeaderboardRow",
    "TaskHidden",
    "Verdict",
    "arrow_rows",
    "markdown_rows",
    "percent_with_interval",
    "shown_rows",
]

Verdict = Literal["better", "worse", "no difference", "withheld", "reference", "bound"]


@dataclass(frozen=True, kw_only=True)
class TaskHidden:
    """The same fitted strategy at its default dial where it is not told the tasks of queries."""

    accuracy: float
    """Mean score in [0, 1], over the queries on which it was measured so."""
    accuracy_ci: tuple[float, float]
    """95 % interval over queries."""
    mean_calls: float
    mean_cost_usd: float | None
    """USD a query; None where prices are not known."""
    mean_rounds: float
    lost: float | None
    """Accuracy with the task given less this one, paired over the queries measured both ways; None
    where there are none."""
    lost_ci: tuple[float, float] | None


@dataclass(frozen=True, kw_only=True)
class LeaderboardRow(Displayed):
    """One strategy at its default dial, over all tested queries; seeds are averaged per query."""

    strategy: str
    accuracy: float
    """Mean score in [0, 1], over the queries on which it was measured."""
    accuracy_ci: tuple[float, float]
    """95 % interval over queries."""
    mean_calls: float
    mean_cost_usd: float | None
    """USD a query; None where prices are not known."""
    mean_rounds: float
    gain_over_best_single: float | None
    """Paired difference in accuracy to the best single member, chosen on training queries, over the
    queries on which both were measured; None where there are none."""
    gain_ci: tuple[float, float] | None
    oracle_gap_closed: float | None
    """(accuracy - best single) / (oracle - best single); None where that gap is zero or unknown."""
    fit_s: float
    """Median over folds and seeds of the seconds that fitting took."""
    replay_s: float
    """Median over folds and seeds of the seconds that replaying the test queries took."""
    n_measured: int | None = None
    """Tested queries on which its answer has a score; None in results older than this."""
    n_compared: int | None = None
    """Those of them on which the best single member was measured as well."""
    withheld: bool = False
    """Whether too many responses are missing for a verdict."""
    learned: bool = False
    """Whether its decisions are learned by reinforcement; False in results older than this."""
    command: str | None = None
    """Commands that train this strategy on the data and serve it; None for references, for
    strategies given as objects, and in results older than this."""
    hidden: TaskHidden | None = None
    """Its figures where tasks are hidden; None where they were not tested both ways."""

    @property
    def verdict(self) -> Verdict:
        """Whether it beats the best single member: only where the interval excludes zero.

        Withheld where too much is missing to say.
        """
        if self.strategy == ORACLE:
            return "bound"
        if self.strategy == BEST_SINGLE:
            return "reference"
        if self.withheld or self.gain_ci is None:
            return "withheld"
        return judge(self.gain_ci)

    def _sheet(self) -> Sheet:
        return Sheet(self.strategy, (shown_rows([self]),))


def shown_rows(rows: Sequence[LeaderboardRow]) -> Grid:
    """The columns that a reader needs first; `arrow_rows` has all."""
    priced = any(row.mean_cost_usd is not None for row in rows)
    both = any(row.hidden is not None for row in rows)
    head = ["strategy", "accuracy %", "gain in points", "verdict", "calls"]
    head += ["USD / 1k"] if priced else []
    return Grid(
        "leaderboard",
        [*head, *TASK_HIDDEN] if both else head,
        [
            (
                _name(row),
                percent_with_interval(row.accuracy, row.accuracy_ci),
                _gain(row),
                row.verdict,
                f"{row.mean_calls:.2f}",
                *([_usd(row)] if priced else []),
                *(_task_hidden(row) if both else []),
            )
            for row in rows
        ],
    )


TASK_HIDDEN = ("task hidden %", "given - hidden", "calls hidden")
"""Titles of the columns of what was tested both ways."""


_COLUMNS: dict[str, pa.DataType] = {
    "strategy": pa.string(),
    "accuracy": pa.float64(),
    "accuracy_low": pa.float64(),
    "accuracy_high": pa.float64(),
    "gain_over_best_single": pa.float64(),
    "gain_low": pa.float64(),
    "gain_high": pa.float64(),
    "verdict": pa.string(),
    "mean_calls": pa.float64(),
    "mean_cost_usd": pa.float64(),
    "mean_rounds": pa.float64(),
    "oracle_gap_closed": pa.float64(),
    "n_measured": pa.int64(),
    "n_compared": pa.int64(),
    "fit_s": pa.float64(),
    "replay_s": pa.float64(),
    "learned": pa.bool_(),
    "command": pa.string(),
    "hidden_accuracy": pa.float64(),
    "hidden_accuracy_low": pa.float64(),
    "hidden_accuracy_high": pa.float64(),
    "hidden_calls": pa.float64(),
    "hidden_cost_usd": pa.float64(),
    "lost": pa.float64(),
    "lost_low": pa.float64(),
    "lost_high": pa.float64(),
}


def arrow_rows(rows: Sequence[LeaderboardRow]) -> pa.Table:
    """All figures as columns, a row a strategy; see `BenchResult.leaderboard`."""
    found = [
        {name: getattr(row, name, None) for name in _COLUMNS}
        | _ends("accuracy", row.accuracy_ci)
        | _ends("gain", row.gain_ci)
        | ({} if row.hidden is None else _hidden_columns(row.hidden))
        for row in rows
    ]
    return pa.Table.from_pylist(found, pa.schema(_COLUMNS.items()))


def _hidden_columns(hidden: TaskHidden) -> dict[str, float | None]:
    return {
        "hidden_accuracy": hidden.accuracy,
        **_ends("hidden_accuracy", hidden.accuracy_ci),
        "hidden_calls": hidden.mean_calls,
        "hidden_cost_usd": hidden.mean_cost_usd,
        "lost": hidden.lost,
        **_ends("lost", hidden.lost_ci),
    }


def _ends(name: str, ci: tuple[float, float] | None) -> dict[str, float | None]:
    low, high = ci or (None, None)
    return {f"{name}_low": low, f"{name}_high": high}


def percent_with_interval(value: float, ci: tuple[float, float], sign: str = "") -> str:
    """A share and its interval in percent; with "+", positive ones show their sign, too."""
    return f"{100 * value:{sign}.1f} [{100 * ci[0]:{sign}.1f}, {100 * ci[1]:{sign}.1f}]"


def markdown_rows(rows: Sequence[LeaderboardRow], *, measured: bool) -> list[str]:
    """Lines of a leaderboard in Markdown.

    Args:
        rows: in their order.
        measured: whether it says on how many queries each was measured.
    """
    both = any(row.hidden is not None for row in rows)
    head = ["strategy", "accuracy %", "gain over best single", "verdict"]
    head += ["measured"] if measured else []
    head += ["calls", "USD / 1k", "rounds", "oracle gap closed", "fit s", "replay s"]
    head += TASK_HIDDEN if both else ()
    ruler = [":--" if title in ("strategy", "verdict") else "--:" for title in head]
    lines = [_markdown_row(row, measured=measured, both=both) for row in rows]
    return [f"| {' | '.join(head)} |", f"|{'|'.join(ruler)}|", *lines]


def _markdown_row(row: LeaderboardRow, *, measured: bool, both: bool) -> str:
    closed = "-" if row.oracle_gap_closed is None else f"{100 * row.oracle_gap_closed:.0f} %"
    cells = (
        _name(row),
        percent_with_interval(row.accuracy, row.accuracy_ci),
        _gain(row),
        row.verdict,
        *([f"{row.n_measured:,}"] if measured else []),
        f"{row.mean_calls:.2f}",
        _usd(row),
        f"{row.mean_rounds:.2f}",
        closed,
        f"{row.fit_s:.2f}",
        f"{row.replay_s:.2f}",
        *(_task_hidden(row) if both else []),
    )
    return f"| {' | '.join(cells)} |"


def _task_hidden(row: LeaderboardRow) -> tuple[str, str, str]:
    """Cells of `TASK_HIDDEN`."""
    hidden = row.hidden
    if hidden is None:
        return "-", "-", "-"
    lost = "-"
    if hidden.lost is not None and hidden.lost_ci is not None:
        lost = percent_with_interval(hidden.lost, hidden.lost_ci, "+")
    accuracy = percent_with_interval(hidden.accuracy, hidden.accuracy_ci)
    return accuracy, lost, f"{hidden.mean_calls:.2f}"


def _name(row: LeaderboardRow) -> str:
    return f"{row.strategy} (bound)" if row.verdict == "bound" else row.strategy


def _gain(row: LeaderboardRow) -> str:
    if row.gain_over_best_single is None or row.gain_ci is None:
        return "-"
    return percent_with_interval(row.gain_over_best_single, row.gain_ci, "+")


def _usd(row: LeaderboardRow) -> str:
    return "-" if row.mean_cost_usd is None else f"{1000 * row.mean_cost_usd:.3g}"
