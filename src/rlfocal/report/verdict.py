"""What a benchmark found, in words: the advice, the command that serves it, and what to beware of.

"Better" and "worse" stand only where an interval excludes zero.
"""

from __future__ import annotations

from collections.abc import Sequence

from rlfocal.advice import Advice
from rlfocal.bench import BenchResult, LeaderboardRow
from rlfocal.bench.budgets import BudgetCell
from rlfocal.markup import Html, escape
from rlfocal.report.html import paragraphs
from rlfocal.report.labels import number, percent

__all__ = ["contenders", "finding", "remarks"]


def contenders(result: BenchResult) -> list[LeaderboardRow]:
    """Rows that compete: all but the bound (it sees labels) and the best single member itself."""
    return [row for row in result.rows if row.verdict not in ("bound", "reference")]


def finding(result: BenchResult, advice: Advice | None) -> Html:
    """What stands on top of the page.

    Args:
        result: of the benchmark.
        advice: what was found of it; None where there is nothing to choose from.
    """
    if advice is None:
        return paragraphs(_nothing(result), first_class="lead")
    what, figures = advice.halves()
    lead = Html(f'<p class="lead"><strong>{escape(what)}:</strong> {escape(figures)}</p>')
    parts: list[str] = [lead]
    if advice.command is not None:
        parts.append(
            Html(
                '<p class="soft">To train and serve it:</p>\n'
                f'<pre class="command"><code>{escape(_lines(advice.command))}</code></pre>'
            )
        )
    parts.append(paragraphs(remarks(result, advice), first_class="soft"))
    return Html("\n".join(parts))


def _lines(command: str) -> str:
    """Each command on a line of its own."""
    return command.replace(" && ", "\n")


def _nothing(result: BenchResult) -> list[str]:
    where = f"On these {result.tested['n_queries']:,} queries"
    if result.missing is not None and result.missing.withheld:
        return [
            f"{where} nothing can be called better or worse than the best single member.",
            f"{result.missing.explain()}.",
        ]
    return [f"{where} there was nothing to choose from."]


def remarks(result: BenchResult, advice: Advice) -> list[str]:
    """What to know beside the advice: plain sentences, not escaped."""
    rows = contenders(result)
    said = []
    if advice.gain is not None and len(rows) > 2:
        said.append(
            f"It was picked of {len(rows)} strategies after the fact, so its figures are more "
            "likely over- than understated."
        )
    said += _learned(result, rows, advice)
    return [" ".join(said)] if said else []


def _learned(result: BenchResult, rows: Sequence[LeaderboardRow], advice: Advice) -> list[str]:
    """Say of the most accurate learned strategy what it reached, and how it does at equal cost."""
    ours = [row for row in rows if row.learned]
    if not ours:
        return []
    best = max(ours, key=lambda row: row.accuracy)
    said = []
    if best.strategy != advice.strategy:
        said.append(
            f"{best.strategy}, which learns by reinforcement, reached {percent(best.accuracy)} "
            f"with {number(best.mean_calls, 1)} calls a query."
        )
    cells = [c for c in result.cells().get("calls", ()) if c.strategy == best.strategy]
    if cells:
        better, worse = (
            [cell.label for cell in cells if cell.verdict == verdict]
            for verdict in ("better", "worse")
        )
        said.append(
            f"At equal mean calls {best.strategy} is {_compared(cells, better, worse)} the best "
            "simple strategy, which is chosen with hindsight at each budget."
        )
    return said


def _compared(cells: Sequence[BudgetCell], better: Sequence[str], worse: Sequence[str]) -> str:
    """How often it was ahead and behind: "better at 2 of 5 budgets (1.5, 2) than"."""
    if not better and not worse:
        return f"neither better nor worse at any of {len(cells)} budgets than"
    found = [
        f"{word} at {len(at)} of {len(cells)} budgets ({', '.join(at)})"
        for word, at in (("better", better), ("worse", worse))
        if at
    ]
    return f"{' and '.join(found)} than"
