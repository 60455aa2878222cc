"""What a checkpoint scores and costs on recorded answers, beside the best single member."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from rlfocal.bench.leaderboard import Verdict, percent_with_interval
from rlfocal.bench.protocol import WAYS, Tasks, check_tasks
from rlfocal.bench.statistics import BootstrapMeans, bootstrap_means, judge
from rlfocal.checkpoint import Checkpoint
from rlfocal.deliberation.protocol import Outcome
from rlfocal.deliberation.replay import replay
from rlfocal.errors import ConfigError
from rlfocal.markup import Displayed, Grid, Sheet
from rlfocal.records import BoolArray, ResponseTable
from rlfocal.records.tables.missing import Missing, missing_of
from rlfocal.strategies.reading import calls_for

__all__ = ["DialPoint", "Evaluation", "evaluate_checkpoint"]

_NO_REPLIES = (
    "the checkpoint reads whole replies, and these data hold their answers alone: it decides by "
    "less than it was trained on, and the figures do not tell what it does where it sees replies; "
    "give data with the column text (and token_logprobs, finish or signal_... where they are known)"
)


@dataclass(frozen=True, kw_only=True)
class DialPoint:
    """A strategy at one setting of its dial."""

    dial: float
    accuracy: float
    """Mean score in [0, 1]."""
    mean_calls: float
    mean_cost_usd: float | None
    """USD a query; None where prices are not known."""


@dataclass(frozen=True, kw_only=True)
class Evaluation(Displayed):
    """Figures of one checkpoint on recorded answers."""

    data: str
    """Name of the data set."""
    synthetic: bool
    strategy: str
    price: float | None
    """Of a call, as a share of what a right answer is worth; None for a strategy without one."""
    n_queries: int
    """That it was tried on."""
    accuracy: float
    """Mean score in [0, 1], over the queries on which it was measured."""
    mean_calls: float
    mean_cost_usd: float | None
    """USD a query; None where prices are not known."""
    n_measured: int
    n_compared: int
    """Queries on which it and the best single member were measured."""
    missing: Missing | None
    accuracy_ci: tuple[float, float]
    """95 % interval over queries."""
    mean_rounds: float
    best_single: str
    """The member that was best on the training queries."""
    best_single_accuracy: float
    """Over the queries compared."""
    best_single_calls: float
    """With all whom it reads, as are its rounds."""
    best_single_rounds: float
    gain_over_best_single: float
    """Paired difference in accuracy, over the queries compared."""
    gain_ci: tuple[float, float]
    verdict: Verdict
    notes: tuple[str, ...]
    dial: str | None
    """Name of the strategy's dial; None for a strategy without one."""
    frontier: tuple[DialPoint, ...]
    """All settings of the dial."""
    queries_left_out: int
    """Queries of the data that it was trained on."""
    trained_on_included: bool
    """Whether such queries are in the figures, which flatter it then."""
    tasks: Tasks = "given"
    """Whether it was shown the tasks of the queries."""
    n_tasks: int = 1
    """Tasks of the queries; those that training did not know count as one."""

    def __repr__(self) -> str:
        figures = f"{self.accuracy:.1%} at {self.mean_calls:.2f} calls, {self.verdict}"
        return f"Evaluation({self.strategy!r} on {self.data!r}: {figures})"

    def _sheet(self) -> Sheet:
        rows = [
            (
                self.strategy,
                percent_with_interval(self.accuracy, self.accuracy_ci),
                percent_with_interval(self.gain_over_best_single, self.gain_ci, "+"),
                self.verdict,
                f"{self.mean_calls:.2f}",
                f"{self.mean_rounds:.2f}",
            ),
            (
                self.best_single + (" alone" if self.best_single_calls == 1 else ""),
                f"{100 * self.best_single_accuracy:.1f}",
                "",
                "reference",
                f"{self.best_single_calls:.2f}",
                f"{self.best_single_rounds:.2f}",
            ),
        ]
        points = [
            (f"{at.dial:.4f}", f"{100 * at.accuracy:.1f}", f"{at.mean_calls:.2f}")
            for at in self.frontier
        ]
        left_out = f" ({self.queries_left_out:,} training queries left out{self.shown_tasks()})"
        return Sheet(
            f"{self.strategy} on {self.n_queries:,} queries of {self.data}{left_out}",
            (
                "These queries include training queries: the figures flatter the checkpoint."
                if self.trained_on_included
                else "",
                Grid(
                    "figures",
                    ("", "accuracy %", "gain in points", "verdict", "calls", "rounds"),
                    rows,
                ),
                Grid("settings", (self.dial or "", "accuracy %", "calls"), points)
                if points
                else "",
            ),
            self.notes,
        )

    def to_json(self) -> dict[str, Any]:
        """All fields, as plain values."""
        return asdict(self)

    def shown_tasks(self) -> str:
        """How tasks were shown, as the end of a list; empty where all queries are of one."""
        return f", tasks {self.tasks}" if self.n_tasks > 1 else ""


def evaluate_checkpoint(
    loaded: Checkpoint,
    table: ResponseTable,
    *,
    price: float | None = None,
    include_trained: bool = False,
    tasks: Tasks = "given",
) -> Evaluation:
    """Measure a checkpoint on recorded answers of its pool, as `Checkpoint.table` gives them.

    Args:
        loaded: what was trained.
        table: queries it was trained on are left out.
        price: of a call; None for the checkpoint's own.
        include_trained: keep the queries it was trained on.
        tasks: whether it is shown the tasks of the queries; hidden, each is an unknown one, as to a
            gateway whose client names none.

    Raises:
        ConfigError: every query was used in training, none can be compared, the strategy knows no
            such price, or tasks cannot be shown so.
    """
    check_tasks(tasks, WAYS)
    seen = loaded.was_trained_on(table)
    if not include_trained:
        table = _unseen(table, seen)
    n_tasks = len(np.unique(table.task))
    if tasks == "hidden":
        # Supports depend on the task, so they are calibrated anew.
        table = table.with_tasks(tuple(loaded.description.tasks), hidden=True)
        table = loaded.calibration.apply(table)
    strategy, best = loaded.strategy.at_price(price), loaded.best_member
    outcome, missing = replay(strategy, table), missing_of(table)
    known, single = outcome.measured, table.member_score[:, best]
    both = known & table.scored[:, best]
    if not both.any():
        raise ConfigError(
            f"{table.name}: no query is recorded of both {table.members[best]}, the best single "
            "member, and somebody whom the checkpoint asks; record more"
        )
    own = bootstrap_means(outcome.score[known, None].astype(np.float64), table.group[known])
    paired = np.stack([single, outcome.score - single], axis=1)[both]
    means = bootstrap_means(paired.astype(np.float64), table.group[both])
    alone = np.zeros(table.recorded.shape, dtype=bool)
    alone[:, best] = True
    calls = calls_for(table, alone)
    gain_ci = _interval(means, 1)
    return Evaluation(
        data=table.name,
        synthetic=table.synthetic,
        strategy=strategy.name,
        price=strategy.price,
        n_queries=table.n_queries,
        **_point(outcome, table),
        n_measured=int(known.sum()),
        n_compared=int(both.sum()),
        missing=missing,
        accuracy_ci=_interval(own, 0),
        mean_rounds=float(outcome.n_rounds[known].mean()),
        best_single=table.members[best],
        best_single_accuracy=float(means.value[0]),
        best_single_calls=float(calls.asked[both].sum(axis=1).mean()),
        best_single_rounds=float(calls.n_rounds[both].mean()),
        gain_over_best_single=float(means.value[1]),
        gain_ci=gain_ci,
        verdict="withheld" if missing is not None and missing.withheld else judge(gain_ci),
        notes=(
            *([] if missing is None else [missing.explain()]),
            *([_NO_REPLIES] if strategy.reads_replies and table.replies is None else []),
            *table.notes,
        ),
        dial=strategy.dial or None,
        frontier=tuple(
            DialPoint(dial=dial, **_point(replay(strategy.with_dial(dial), table), table))
            for dial in strategy.dials
        ),
        queries_left_out=0 if include_trained else int(seen.sum()),
        trained_on_included=bool(include_trained and seen.any()),
        tasks=tasks,
        n_tasks=n_tasks,
    )


def _unseen(table: ResponseTable, seen: BoolArray) -> ResponseTable:
    if seen.all():
        raise ConfigError(
            f"{table.name}: all {table.n_queries} queries were used in training, so nothing honest "
            "can be measured on them; train with some held out (as `rlfocal train` does unless "
            "told --holdout 0), use `rlfocal bench`, or give other data (--include-trained shows "
            "the flattering figures)"
        )
    return table.take(~seen) if seen.any() else table


def _interval(means: BootstrapMeans, column: int) -> tuple[float, float]:
    low, high = np.percentile(means.resampled[:, column], [2.5, 97.5])
    return float(low), float(high)


def _point(outcome: Outcome, table: ResponseTable) -> dict[str, Any]:
    known = outcome.measured
    return {
        "accuracy": float(outcome.score[known].mean()),
        "mean_calls": float(outcome.n_calls[known].mean()),
        "mean_cost_usd": float(outcome.cost[known].mean()) if table.cost_unit == "usd" else None,
    }
