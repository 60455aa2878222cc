"""What a benchmark found, in words; "better" stands only where an interval excludes zero."""

from __future__ import annotations

from collections.abc import Sequence

from rlfocal.bench import BenchResult, LeaderboardRow
from rlfocal.report.labels import number, percent, points

__all__ = ["contenders", "verdict"]


def contenders(result: BenchResult) -> list[LeaderboardRow]:
    """Rows that compete: all but the bound (it sees labels) and the best single member itself."""
    return [row for row in result.rows if row.verdict not in ("bound", "reference")]


def verdict(result: BenchResult) -> list[str]:
    """Say what a reader should take away, most important first.

    Returns:
        Some plain sentences or short paragraphs, not escaped.
    """
    if result.missing is not None and result.missing.withheld:
        return [
            f"On these {result.tested['n_queries']:,} queries nothing can be called better or "
            "worse than the best single member.",
            f"{result.missing.explain()}.",
        ]
    rows = contenders(result)
    base = next((row for row in result.rows if row.verdict == "reference"), None)
    said = [_headline(result, rows, base)]
    won = [row for row in rows if row.verdict == "better"]
    if won:
        if len(rows) > 2:
            said.append(
                f"It was picked as the most accurate of {len(rows)} strategies after the fact, "
                "so its lead is more likely overstated than understated."
            )
        said += _cheapest(won, base)
    said += _learned(rows)
    said += _equal_cost(result)
    return said


def _headline(
    result: BenchResult, rows: Sequence[LeaderboardRow], base: LeaderboardRow | None
) -> str:
    where = f"On these {result.tested['n_queries']:,} queries"
    if not rows or base is None:
        return f"{where} there was nothing to compare with the best single member."
    top = max(rows, key=lambda row: row.accuracy)
    if top.gain_over_best_single is None:
        return f"{where} {top.strategy} was most accurate, and could not be compared."
    against = f"the best single member ({percent(base.accuracy)}, chosen on training queries)"
    gain = f"{points(top.gain_over_best_single)} points"
    if top.verdict == "better":
        return (
            f"{where}, {top.strategy} answered {percent(top.accuracy)} correctly, better than "
            f"{against} by {gain.lstrip('+')} {_within(top)}."
        )
    won = [row for row in rows if row.verdict == "better"]
    if won:
        return (
            f"{where}, {top.strategy} was most accurate, but only {_names(won)} can be called "
            f"better than {against}."
        )
    return (
        f"{where}, no strategy is better than {against}: the most accurate other one, "
        f"{top.strategy}, differs by {gain} {_within(top)}."
    )


def _cheapest(won: Sequence[LeaderboardRow], base: LeaderboardRow | None) -> list[str]:
    """Name the strategy that gains with the fewest calls, unless it is the most accurate one."""
    cheap = min(won, key=lambda row: (row.mean_calls, -row.accuracy))
    top = max(won, key=lambda row: row.accuracy)
    if base is None or cheap.strategy == top.strategy:
        return []
    return [
        f"With the fewest calls, {number(cheap.mean_calls, 1)} a query instead of "
        f"{number(top.mean_calls, 1)}, {cheap.strategy} still gains "
        f"{points(cheap.gain_over_best_single or 0.0).lstrip('+')} points "
        f"{_within(cheap)}."
    ]


def _learned(rows: Sequence[LeaderboardRow]) -> list[str]:
    """Put RL-Focal beside the strongest strategy that is not learned by reinforcement."""
    ours = [row for row in rows if row.learned]
    simple = [row for row in rows if not row.learned]
    if not ours or not simple:
        return []
    mine, rival = (max(group, key=lambda row: row.accuracy) for group in (ours, simple))
    return [
        f"RL-Focal: {mine.strategy} reached {percent(mine.accuracy)} with "
        f"{number(mine.mean_calls, 1)} calls a query; the most accurate other strategy, "
        f"{rival.strategy}, reached {percent(rival.accuracy)} with {number(rival.mean_calls, 1)}."
    ]


def _equal_cost(result: BenchResult) -> list[str]:
    """Say at how many budgets of calls a learned strategy is ahead; one sentence for each."""
    cells = result.cells().get("calls", ())
    said = []
    for strategy in dict.fromkeys(cell.strategy for cell in cells):
        own = [cell for cell in cells if cell.strategy == strategy]
        better, worse = (
            [result.budget_label(cell) for cell in own if cell.verdict == verdict]
            for verdict in ("better", "worse")
        )
        said.append(
            f"At equal mean calls, {strategy} is better than the best simple strategy at "
            f"{len(better)} of {len(own)} budgets{_listed(better)} and worse at "
            f"{len(worse)}{_listed(worse)}; that one is chosen with hindsight at each budget."
        )
    return said


def _listed(labels: Sequence[str]) -> str:
    return f" ({', '.join(labels)})" if labels else ""


def _within(row: LeaderboardRow) -> str:
    assert row.gain_ci is not None  # whoever is better or worse was compared
    low, high = (points(bound) for bound in row.gain_ci)
    return f"(95\N{NO-BREAK SPACE}% interval {low} to {high})"


def _names(rows: Sequence[LeaderboardRow]) -> str:
    names = [row.strategy for row in rows]
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
