"""`BenchResult`: a benchmark's figures, with the per-query rows they can be recomputed from.

Knows how to be written and read back; it computes nothing and draws nothing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Self, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import TypeAdapter, ValidationError

from rlfocal.bench.budgets import AXIS_TITLES, EQUAL_COST, BudgetCell
from rlfocal.bench.figures.calibration import Calibration
from rlfocal.bench.figures.live import LiveFigures, markdown_of
from rlfocal.bench.leaderboard import (
    LeaderboardRow,
    Verdict,
    arrow_rows,
    markdown_rows,
    percent_with_interval,
    shown_rows,
)
from rlfocal.bench.protocol import EvalProtocol
from rlfocal.bench.statistics import BEST_SINGLE, ORACLE, Axis
from rlfocal.errors import RecordError
from rlfocal.files import check_writable, read_json, replace_file
from rlfocal.markup import Displayed, Sheet
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

_ROWS, _JSON, _TABLE, _HISTORY = "rows.parquet", "bench.json", "leaderboard.md", "history.json"
_HIDDEN_ROWS = "rows-hidden.parquet"


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
class BenchResult(Displayed):
    """Results of a benchmark; `print` and notebooks show its leaderboard."""

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
    live: tuple[LiveFigures, ...] = ()
    """Tokens, seconds and dollars, in the order of `rows`; empty without conversations."""
    hidden: BenchResult | None = None
    """The same fitted strategies with the tasks of tested queries hidden, where both ways were
    tested; all other figures are then with the tasks given."""

    def __repr__(self) -> str:
        return (
            f"BenchResult({self.data!r}: {len(self.rows)} strategies, {len(self.members)} members, "
            f"{self.tested['n_queries']:,} queries)"
        )

    def _sheet(self) -> Sheet:
        return Sheet(
            f"{self.data}: {len(self.members)} members, {self.tested['n_queries']:,} queries",
            (
                shown_rows(self.rows),
                self.describe(),
                "Too many responses are missing to say which of them to use; see the notes."
                if self.missing is not None and self.missing.withheld
                else "rlfocal.advise(result) says which of them to use.",
            ),
            (
                *self.notes,
                *(f"not applicable: {s}: {why}" for s, why in self.not_applicable.items()),
            ),
        )

    def leaderboard(self) -> pa.Table:
        """The rows as a table for pandas (`.to_pandas()`), polars (`pl.from_arrow`) and others.

        Returns:
            One row per strategy, in the order of `rows`: the fields of `LeaderboardRow`, with
            intervals as two columns, `accuracy_low` and `accuracy_high`, `gain_low` and
            `gain_high`; the verdict; and those of `TaskHidden`, `hidden_accuracy` to `lost_high`,
            null where tasks were not tested both ways.
        """
        return arrow_rows(self.rows)

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
            "hidden": None if self.hidden is None else self.hidden.to_json(),
            **({"live": [asdict(found) for found in self.live]} if self.live else {}),
        }

    def to_markdown(self) -> str:
        """The leaderboard and the comparison at equal cost, with notes for readers."""
        lines = [f"# {self.data}", ""]
        if self.synthetic:
            lines += ["**Synthetic data: simulated members, not recorded models.**", ""]
        measured = self.missing is not None
        lines += [self.describe(), "", *markdown_rows(self.rows, measured=measured), ""]
        lines += [f"- {note}" for note in self.notes]
        lines += [f"- not applicable: {s}: {reason}" for s, reason in self.not_applicable.items()]
        lines += markdown_of(self.live)
        lines += self._equal_cost("At equal cost")
        if self.hidden is not None:
            lines += self.hidden._equal_cost("At equal cost, tasks hidden")
        return "\n".join(lines).rstrip() + "\n"

    def _equal_cost(self, title: str) -> list[str]:
        """Lines of Markdown; none where nothing was compared."""
        lines = ["", f"## {title}", "", EQUAL_COST] if self.budgets else []
        for axis, cells in self.cells().items():
            lines += ["", f"Budgets are {self.axis_title(axis)}.", "", *_CELL_HEADER]
            lines += [_markdown_cell(cell) for cell in cells]
        return lines

    def describe(self) -> str:
        """One sentence on how the figures were made."""
        protocol = self.protocol
        how = (
            "the data set's own split"
            if protocol.use_split
            else f"{protocol.n_folds} grouped, task-stratified folds"
        )
        tasks = self.tasks_shown()
        return (
            f"{len(self.members)} members, {self.tested['n_queries']} tested queries"
            f"{tasks and f' ({tasks})'}, {how}, {protocol.n_seeds} "
            f"seed{'s' if protocol.n_seeds > 1 else ''}; everything was fitted on training queries "
            "only. Brackets: 95 % intervals over queries (paired bootstrap, "
            f"{protocol.n_resamples} resamples). Gains are over the best single member, chosen on "
            "training queries."
        )

    def tasks_shown(self) -> str:
        """How tested queries were shown: "tasks given", "tasks hidden" or "tasks given and hidden".

        Empty where all are of one task, which says nothing to anybody.
        """
        if len(self.per_query["task"].unique()) < 2:
            return ""
        return f"tasks {self.protocol.tasks}".replace("both", "given and hidden")

    def cells(self) -> dict[Axis, tuple[BudgetCell, ...]]:
        """The comparisons at equal cost by axis; without the axes that have none."""
        by_axis = {
            axis: tuple(cell for cell in self.budgets if cell.axis == axis) for axis in AXIS_TITLES
        }
        return {axis: cells for axis, cells in by_axis.items() if cells}

    def axis_title(self, axis: Axis) -> str:
        """What a budget on this axis means."""
        units = [cell.unit for cell in self.budgets if cell.axis == axis and cell.unit is not None]
        return AXIS_TITLES[axis] + (f" ({1000 * units[0]:.3g} USD / 1k queries)" if units else "")

    def write(self, folder: str | Path) -> None:
        """Write rows.parquet, history.json, leaderboard.md and, last, bench.json.

        Where tasks were also hidden, rows-hidden.parquet stands beside rows.parquet. Each file
        appears whole or not at all.

        Raises:
            ConfigError: the folder cannot be written.
        """
        folder = Path(folder)
        check_writable(folder)
        histories = json.dumps([asdict(history) for history in self.histories])
        report = json.dumps(self.to_json(), indent=2, allow_nan=False) + "\n"
        table = self.to_markdown()
        replace_file(folder / _ROWS, lambda path: pq.write_table(self.per_query, path))
        if self.hidden is None:
            (folder / _HIDDEN_ROWS).unlink(missing_ok=True)  # of older figures
        else:
            rows = self.hidden.per_query
            replace_file(folder / _HIDDEN_ROWS, lambda path: pq.write_table(rows, path))
        replace_file(folder / _HISTORY, lambda path: path.write_text(histories, "utf-8"))
        replace_file(folder / _TABLE, lambda path: path.write_text(table, "utf-8"))
        replace_file(folder / _JSON, lambda path: path.write_text(report, "utf-8"))

    @classmethod
    def read(cls, folder: str | Path) -> Self:
        """Read what `write` wrote; results older than `budgets` or `calibration` have none.

        In results older than `protocol.tasks`, tasks were given.

        Raises:
            RecordError: a file is missing, damaged or not of a benchmark.
        """
        folder = Path(folder)
        found, histories = read_json(folder / _JSON), read_json(folder / _HISTORY)
        per_query = _read_rows(folder / _ROWS)
        try:
            learned = _read_as(tuple[History, ...], histories)
            result = cls._of(found, per_query, learned)
            hidden = found.get("hidden")
            if hidden is not None:
                rows = _read_rows(folder / _HIDDEN_ROWS)
                result = replace(result, hidden=cls._of(hidden, rows, learned))
        except (KeyError, TypeError, AttributeError) as exc:
            raise RecordError(f"{folder / _JSON}: not the JSON of a bench: {exc!r}") from exc
        return result

    @classmethod
    def _of(
        cls, found: Mapping[str, Any], per_query: pa.Table, histories: tuple[History, ...]
    ) -> Self:
        """Undo `to_json`, but for `hidden`."""
        protocol = found["protocol"]
        return cls(
            data=found["data"],
            members=tuple(found["members"]),
            protocol=_read_as(EvalProtocol, protocol),
            tested={name: protocol[name] for name in ("n_queries", "n_groups")},
            rows=_read_as(tuple[LeaderboardRow, ...], found["rows"]),
            frontiers=_read_as(dict[str, tuple[FrontierPoint, ...]], found["frontiers"]),
            budgets=_cells(found.get("budgets", ()), found["rows"]),
            calibration=_read_as(tuple[Calibration, ...], found.get("calibration", ())),
            live=_read_as(tuple[LiveFigures, ...], found.get("live", ())),
            missing=_read_as(Missing, found["missing"]) if found.get("missing") else None,
            not_applicable=found["not_applicable"],
            synthetic=found["synthetic"],
            notes=tuple(found["notes"]),
            environment=found["environment"],
            per_query=per_query,
            histories=histories,
        )


def _cells(found: Any, rows: Sequence[Mapping[str, Any]]) -> tuple[BudgetCell, ...]:
    """Cells at equal cost; older ones do not say what their dollars are multiples of."""
    cells = _read_as(tuple[BudgetCell, ...], found)
    single = next((row for row in rows if row["strategy"] == BEST_SINGLE), None)
    base = None if single is None else single["mean_cost_usd"] or None
    return tuple(
        replace(cell, unit=base) if cell.axis == "usd" and "unit" not in stored else cell
        for cell, stored in zip(cells, found, strict=True)
    )


def _read_rows(path: Path) -> pa.Table:
    try:
        return pq.read_table(path)
    except (OSError, pa.ArrowInvalid) as exc:
        raise RecordError(f"{path}: cannot be read: {exc}") from exc


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


_CELL_HEADER = (
    "| strategy | budget | accuracy % | best simple strategy | its accuracy % | difference "
    "| verdict |",
    "|:--|--:|--:|:--|--:|--:|:--|",
)


def _markdown_cell(cell: BudgetCell) -> str:
    shown = (
        cell.strategy,
        cell.label,
        percent_with_interval(cell.accuracy, cell.accuracy_ci),
        cell.rival,
        f"{100 * cell.rival_accuracy:.1f}",
        percent_with_interval(cell.difference, cell.difference_ci, "+"),
        cell.verdict,
    )
    return f"| {' | '.join(shown)} |"
