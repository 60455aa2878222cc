"""`BenchResult`: a benchmark's figures, with the per-query rows they can be recomputed from.

Knows how to be written and read back; it computes nothing and draws nothing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, Self, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import TypeAdapter, ValidationError

from rlfocal.bench.budgets import AXIS_TITLES, EQUAL_COST, BudgetCell
from rlfocal.bench.calibration import Calibration
from rlfocal.bench.protocol import EvalProtocol
from rlfocal.bench.statistics import BEST_SINGLE, ORACLE, Axis, judge
from rlfocal.errors import RecordError
from rlfocal.files import check_writable, read_json, replace_file
from rlfocal.records.tables.missing import Missing

__all__ = [
    "BEST_SINGLE",
    "ORACLE",
    "BenchResult",
    "FrontierPoint",
    "History",
    "LeaderboardRow",
    "Verdict",
]

Verdict = Literal["better", "worse", "no difference", "withheld", "reference", "bound"]

_ROWS, _JSON, _TABLE, _HISTORY = "rows.parquet", "bench.json", "leaderboard.md", "history.json"


@dataclass(frozen=True, kw_only=True)
class LeaderboardRow:
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


@dataclass(frozen=True, kw_only=True)
class FrontierPoint:
    """One setting of a strategy's dial, over all tested queries."""

    dial: float
    accuracy: float
    mean_calls: float
    mean_cost_usd: float | None


@dataclass(frozen=True, kw_only=True)
class History:
    """The learning curve of a strategy in one fold with one seed."""

    strategy: str
    fold: int
    seed: int
    iterations: tuple[Mapping[str, float], ...]
    """One mapping of measure to value per training iteration."""


@dataclass(frozen=True, kw_only=True, eq=False)
class BenchResult:
    """Results of a benchmark."""

    data: str
    """Name of the data set."""
    members: tuple[str, ...]
    protocol: EvalProtocol
    tested: Mapping[str, int]
    """Size of the test: "n_queries" and "n_groups" (distinct prompts)."""
    rows: tuple[LeaderboardRow, ...]
    """The oracle first, then by falling accuracy."""
    frontiers: Mapping[str, tuple[FrontierPoint, ...]]
    """Strategies that have a dial, with their settings, cheapest first."""
    not_applicable: Mapping[str, str]
    """Strategies that cannot run on this data, with the reason."""
    synthetic: bool
    """True when the answers were simulated; shown with every figure."""
    notes: tuple[str, ...]
    environment: Mapping[str, str | int]
    per_query: pa.Table
    """One row per strategy, dial, fold, seed and query; the columns are in docs/bench.md."""
    histories: tuple[History, ...] = ()
    budgets: tuple[BudgetCell, ...] = ()
    """Each learned strategy against the best simple one at equal cost."""
    calibration: tuple[Calibration, ...] = ()
    """Calibration of confidences, in the order of `rows`."""
    missing: Missing | None = None
    """Missing responses; None where there are none."""

    def to_json(self) -> dict[str, Any]:
        """The bench JSON of docs/bench.md."""
        return {
            "data": self.data,
            "members": list(self.members),
            "protocol": {**asdict(self.protocol), **self.tested},
            "rows": [asdict(row) for row in self.rows],
            "frontiers": {s: [asdict(p) for p in points] for s, points in self.frontiers.items()},
            "budgets": [asdict(cell) for cell in self.budgets],
            "calibration": [asdict(found) for found in self.calibration],
            "not_applicable": dict(self.not_applicable),
            "missing": None if self.missing is None else asdict(self.missing),
            "synthetic": self.synthetic,
            "notes": list(self.notes),
            "environment": dict(self.environment),
        }

    def to_markdown(self) -> str:
        """The leaderboard and the comparison at equal cost, with notes for readers."""
        lines = [f"# {self.data}", ""]
        if self.synthetic:
            lines += ["**Synthetic data: simulated members, not recorded models.**", ""]
        measured = self.missing is not None
        lines += [self.describe(), "", *(_HEADER_MEASURED if measured else _HEADER)]
        lines += [*(_markdown_row(row, measured=measured) for row in self.rows), ""]
        lines += [f"- {note}" for note in self.notes]
        lines += [f"- not applicable: {s}: {reason}" for s, reason in self.not_applicable.items()]
        if self.budgets:
            lines += ["", "## At equal cost", "", EQUAL_COST]
        for axis, cells in self.cells().items():
            lines += ["", f"Budgets are {self.axis_title(axis)}.", "", *_CELL_HEADER]
            lines += [_markdown_cell(cell, self.budget_label(cell)) for cell in cells]
        return "\n".join(lines).rstrip() + "\n"

    def describe(self) -> str:
        """One sentence on how the figures were made."""
        protocol = self.protocol
        how = (
            "the data set's own split"
            if protocol.use_split
            else f"{protocol.n_folds} grouped, task-stratified folds"
        )
        return (
            f"{len(self.members)} members, {self.tested['n_queries']} tested queries, {how}, "
            f"{protocol.n_seeds} seed{'s' if protocol.n_seeds > 1 else ''}; everything was fitted "
            "on training queries only. Brackets: 95 % intervals over queries (paired bootstrap, "
            f"{protocol.n_resamples} resamples). Gains are over the best single member, chosen on "
            "training queries."
        )

    def cells(self) -> dict[Axis, tuple[BudgetCell, ...]]:
        """The comparisons at equal cost by axis; without the axes that have none."""
        by_axis = {
            axis: tuple(cell for cell in self.budgets if cell.axis == axis) for axis in AXIS_TITLES
        }
        return {axis: cells for axis, cells in by_axis.items() if cells}

    def axis_title(self, axis: Axis) -> str:
        """What a budget on this axis means."""
        unit = self._usd_of_best_single()
        if axis == "calls" or unit is None:
            return AXIS_TITLES[axis]
        return f"{AXIS_TITLES[axis]} ({1000 * unit:.3g} USD / 1k queries)"

    def budget_label(self, cell: BudgetCell) -> str:
        """A budget in the words of `axis_title`: "1.5" calls, "0.25" times best single, "all"."""
        if cell.budget is None:
            return "all"
        unit = self._usd_of_best_single() if cell.axis == "usd" else None
        return f"{cell.budget / (unit or 1.0):.4g}"

    def _usd_of_best_single(self) -> float | None:
        return next((row.mean_cost_usd for row in self.rows if row.strategy == BEST_SINGLE), None)

    def write(self, folder: Path) -> None:
        """Write rows.parquet, history.json, leaderboard.md and, last, bench.json.

        Each file appears whole or not at all.

        Raises:
            ConfigError: the folder cannot be written.
        """
        check_writable(folder)
        histories = json.dumps([asdict(history) for history in self.histories])
        report = json.dumps(self.to_json(), indent=2, allow_nan=False) + "\n"
        table = self.to_markdown()
        replace_file(folder / _ROWS, lambda path: pq.write_table(self.per_query, path))
        replace_file(folder / _HISTORY, lambda path: path.write_text(histories, "utf-8"))
        replace_file(folder / _TABLE, lambda path: path.write_text(table, "utf-8"))
        replace_file(folder / _JSON, lambda path: path.write_text(report, "utf-8"))

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Read what `write` wrote; results older than `budgets` or `calibration` have none.

        Raises:
            RecordError: a file is missing, damaged or not of a benchmark.
        """
        found, histories = read_json(folder / _JSON), read_json(folder / _HISTORY)
        try:
            per_query = pq.read_table(folder / _ROWS)
        except (OSError, pa.ArrowInvalid) as exc:
            raise RecordError(f"{folder / _ROWS}: cannot be read: {exc}") from exc
        try:
            protocol = found["protocol"]
            return cls(
                data=found["data"],
                members=tuple(found["members"]),
                protocol=_read_as(EvalProtocol, protocol),
                tested={name: protocol[name] for name in ("n_queries", "n_groups")},
                rows=_read_as(tuple[LeaderboardRow, ...], found["rows"]),
                frontiers=_read_as(dict[str, tuple[FrontierPoint, ...]], found["frontiers"]),
                budgets=_read_as(tuple[BudgetCell, ...], found.get("budgets", ())),
                calibration=_read_as(tuple[Calibration, ...], found.get("calibration", ())),
                missing=_read_as(Missing, found["missing"]) if found.get("missing") else None,
                not_applicable=found["not_applicable"],
                synthetic=found["synthetic"],
                notes=tuple(found["notes"]),
                environment=found["environment"],
                per_query=per_query,
                histories=_read_as(tuple[History, ...], histories),
            )
        except (KeyError, TypeError, AttributeError) as exc:
            raise RecordError(f"{folder / _JSON}: not the JSON of a bench: {exc!r}") from exc


T = TypeVar("T")


def _read_as(kind: type[T], value: object) -> T:
    """Records from plain values.

    Raises:
        TypeError: a field is missing or of another type.
    """
    try:
        return TypeAdapter(kind).validate_python(value)
    except ValidationError as exc:
        first = exc.errors()[0]
        raise TypeError(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from exc


def _percent(value: float, ci: tuple[float, float], sign: str = "") -> str:
    """A share and its interval in percent; with "+", positive ones show their sign, too."""
    return f"{100 * value:{sign}.1f} [{100 * ci[0]:{sign}.1f}, {100 * ci[1]:{sign}.1f}]"


_CELL_HEADER = (
    "| strategy | budget | accuracy % | best simple strategy | its accuracy % | difference "
    "| verdict |",
    "|:--|--:|--:|:--|--:|--:|:--|",
)


def _markdown_cell(cell: BudgetCell, budget: str) -> str:
    shown = (
        cell.strategy,
        budget,
        _percent(cell.accuracy, cell.accuracy_ci),
        cell.rival,
        f"{100 * cell.rival_accuracy:.1f}",
        _percent(cell.difference, cell.difference_ci, "+"),
        cell.verdict,
    )
    return f"| {' | '.join(shown)} |"


_HEADER = (
    "| strategy | accuracy % | gain over best single | verdict | calls | USD / 1k | rounds "
    "| oracle gap closed | fit s | replay s |",
    "|:--|--:|--:|:--|--:|--:|--:|--:|--:|--:|",
)


_HEADER_MEASURED = tuple(
    line.replace("verdict |", "verdict | measured |").replace(
        "|:--|--:|--:|:--|", "|:--|--:|--:|:--|--:|"
    )
    for line in _HEADER
)


def _markdown_row(row: LeaderboardRow, *, measured: bool) -> str:
    gain = "-"
    if row.gain_over_best_single is not None and row.gain_ci is not None:
        gain = _percent(row.gain_over_best_single, row.gain_ci, "+")
    cost = "-" if row.mean_cost_usd is None else f"{1000 * row.mean_cost_usd:.3g}"
    closed = "-" if row.oracle_gap_closed is None else f"{100 * row.oracle_gap_closed:.0f} %"
    cells = (
        f"{row.strategy} (bound)" if row.verdict == "bound" else row.strategy,
        _percent(row.accuracy, row.accuracy_ci),
        gain,
        row.verdict,
        *([f"{row.n_measured:,}"] if measured else []),
        f"{row.mean_calls:.2f}",
        cost,
        f"{row.mean_rounds:.2f}",
        closed,
        f"{row.fit_s:.2f}",
        f"{row.replay_s:.2f}",
    )
    return f"| {' | '.join(cells)} |"
