"""The section that leads to the questions, with the ways in that are worth a look.

The viewer itself is a view over the whole page, built by `assets/questions.js`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import resources
from string import Template
from urllib.parse import quote

from rlfocal.advice import Advice
from rlfocal.bench import BenchResult
from rlfocal.bench.result import BEST_SINGLE, ORACLE
from rlfocal.markup import Html, escape
from rlfocal.records import Dataset, ResponseTable
from rlfocal.report.html import Section
from rlfocal.report.labels import percent
from rlfocal.report.questions.facts import Facts, facts_of
from rlfocal.report.questions.packing import Packed, pack

__all__ = ["Questions", "questions_of"]


@dataclass(frozen=True)
class Questions:
    """The questions of a report."""

    section: Section
    viewer: Html
    """What stands at the end of the page: the viewer's frame and what it shows."""
    notice: str
    """What whoever passes the page on must know."""


def questions_of(
    result: BenchResult, table: ResponseTable, dataset: Dataset, advice: Advice | None
) -> Questions:
    """Make the part of the page that shows every tested question.

    Raises:
        ValueError: the data set lacks queries of the table.
    """
    facts = facts_of(result, table, dataset)
    main = _main_strategy(result, advice)
    packed = pack(
        facts,
        {
            "members": table.members,
            "tasks": table.tasks,
            "unit": table.cost_unit,
            "main": main,
            "rival": _rival(result, main),
        },
    )
    has_replies = "reply" in facts.said
    held = "the prompts and the replies" if has_replies else "the prompts"
    return Questions(
        section=Section("questions", "Questions", _body(result, facts, packed, main)),
        viewer=Html(f"{Template(_frame()).substitute(n=f'{len(facts):,}')}\n{packed.scripts()}"),
        notice=f"This file holds {held} of {len(facts):,} questions.",
    )


def _frame() -> str:
    path = resources.files("rlfocal.report") / "assets" / "questions.html"
    return path.read_text(encoding="utf-8")


def _main_strategy(result: BenchResult, advice: Advice | None) -> str:
    """The strategy that the viewer looks at first: the one advised, else the most accurate."""
    if advice is not None:
        return advice.strategy
    return next((row.strategy for row in result.rows if row.strategy != ORACLE), ORACLE)


def _rival(result: BenchResult, main: str) -> str:
    """What it is held against: the best single member, or the most accurate other strategy."""
    others = [row.strategy for row in result.rows if row.strategy not in (main, ORACLE)]
    return BEST_SINGLE if BEST_SINGLE in others else next(iter(others), main)


def _body(result: BenchResult, facts: Facts, packed: Packed, main: str) -> Html:
    n = len(facts)
    rows = "".join(
        f'<li><a href="#browse&amp;{_encoded(how)}">{escape(said)}</a> '
        f"<span>{count:,}</span><span>{percent(count / n)}</span></li>"
        for said, how, count in _ways_in(facts, main, _rival(result, main))
        if count
    )
    texts = [
        "What each member said to each question, whom a strategy asked in which round, and who was "
        "right.",
        *_shortening(facts, packed),
    ]
    return Html(
        f"<p>{escape(' '.join(texts))}</p>\n"
        f'<p><a class="button" href="#browse">Browse all {n:,} questions</a></p>\n'
        f'<ul class="ways">{rows}</ul>\n'
        "<noscript><p>The questions are shown by a script, which this browser does not run."
        "</p></noscript>"
    )


def _encoded(how: Mapping[str, str]) -> str:
    return "&amp;".join(f"{name}={quote(value, safe='')}" for name, value in how.items())


def _shortening(facts: Facts, packed: Packed) -> Iterator[str]:
    """Say by which rule texts were shortened, where any was."""
    limits = packed.limits
    if any(len(text) > limits.prompt for text in facts.asked["prompt"]):
        yield f"Prompts of more than {limits.prompt:,} characters are shortened in the middle."
    if any(text and len(text) > limits.reply for of in facts.said.get("reply", ()) for text in of):
        yield f"Replies of more than {limits.reply:,} characters are shortened in the middle."


def _ways_in(facts: Facts, main: str, rival: str) -> Iterator[tuple[str, dict[str, str], int]]:
    """Lists worth a look: what they are, the viewer's filter, and how many questions they hold."""
    index = facts.index
    pairs = list(zip(index["right"], index["recorded"], strict=True))
    n_disagree = sum(share > 0 for share in index["disagreement"])
    yield "Members disagree", {"show": "disagree", "sort": "disagreement"}, n_disagree
    yield "All members are wrong", {"show": "wrong"}, sum(r == 0 < m for r, m in pairs)
    yield "All members are right", {"show": "right"}, sum(r == m > 0 for r, m in pairs)
    for won, lost in ((main, rival), (rival, main), (ORACLE, main)):
        if won == lost or not {won, lost} <= facts.score.keys():
            continue
        who = "A member is" if won == ORACLE else f"{won} is"
        count = sum(
            a is not None and b is not None and a > b
            for a, b in zip(facts.score[won], facts.score[lost], strict=True)
        )
        yield f"{who} right, {lost} is wrong", {"show": "won", "a": won, "b": lost}, count
