"""`rlfocal inspect`: what a data set holds, how good each member is, what choosing could gain."""

from __future__ import annotations

import textwrap
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

from rlfocal.cli import common
from rlfocal.cli.common import option
from rlfocal.cli.output.console import print_json, print_notes, terminal
from rlfocal.cli.output.tables import Column, joined, percent, print_table, usd_per_1k

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rlfocal.bench.summaries.data import MemberSummary, Summary
    from rlfocal.readers import ReaderInfo

__all__ = ["inspect"]

_NEVER = 1000
"""Columns that say nothing go first."""
KIND_TITLES = {
    "options": "multiple choice",
    "answers": "free-form answers",
    "responses": "scores only",
}


def inspect(
    data: common.Data,
    pool: common.Pool = None,
    members: common.Members = None,
    max_tasks: Annotated[
        int, option(value="T", min=0, help="Tasks to show accuracies of, largest first.")
    ] = 6,
    json: common.JsonFlag = False,
) -> None:
    """Show what a data set holds.

    Queries, members, their accuracies, and the bounds of choosing among them.
    """
    from rlfocal.bench.summaries.data import summarise

    dataset, table = common.load_table(data, pool, members, with_features=False, with_text=False)
    summary = summarise(dataset, table)
    present = {name: i for name, i in dataset.info.readers.items() if name in table.members}
    if json:
        readers = {name: info.model_dump() for name, info in present.items()}
        print_json(asdict(summary) | ({"readers": readers} if readers else {}))
        return
    _show_facts(summary, "; ".join([_reading(name, info) for name, info in present.items()]))
    _show_members(summary, max_tasks=max_tasks)
    print_notes(summary.notes)


_WORDS = {
    "aggregate": "{who} makes one reply of those of {them}",
    "debate": "{who} answers again after {them}",
    "judge": "{who} names the best of {them}",
    "pairwise": "{who} compares {them} in pairs",
    "verify": "{who} says whether {them} is right",
    "criticise": "{who} names mistakes of {them}",
    "refine": "{who} repairs {first} by the remarks of {rest}",
}
"""What readers do, by their form."""


def _reading(name: str, info: ReaderInfo) -> str:
    """Whom a member reads and what for, in a few words."""
    own = f"its own first answer ({info.first})"
    if not info.reads:
        return f"{name} reads {own}"
    words = _WORDS.get(info.reading, "{who} reads {them}")
    if len(info.reads) == 1 and "{rest}" in words:
        words = "{who} repairs {them}"
    said = words.format(
        who=name, them=_and(info.reads), first=info.reads[0], rest=_and(info.reads[1:])
    )
    return said if info.first is None else f"{said}, seeing {own}"


def _and(names: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))


def _show_facts(summary: Summary, readers: str) -> None:
    vote = summary.plurality_accuracy
    voted = f"not applicable: {summary.plurality_reason}" if vote is None else f"{percent(vote)} %"
    own = on = ""
    if any(row.n_missing for row in summary.members):
        own = ", of what it answered"
        which = "that all answered" if summary.n_compared == summary.n_complete else "answered"
        on = f", on the {summary.n_compared:,} queries {which}"
    kinds = ", ".join(f"{KIND_TITLES[kind]} {n:,}" for kind, n in summary.kinds.items())
    facts = {
        "data": f"{summary.data} (SYNTHETIC)" if summary.synthetic else summary.data,
        "source": summary.source,
        "licence": summary.licence,
        "queries": f"{summary.n_queries:,} ({kinds})",
        "labels": f"{summary.n_labelled:,} of {summary.n_queries + summary.n_unjudged:,} queries",
        "repeated": f"{summary.n_repeated:,} queries repeat an earlier prompt",
        "split": ", ".join(f"{name} {n:,}" for name, n in summary.splits.items()) or "none",
        "tasks": _counted(summary.tasks),
        "pools": _counted(summary.pools),
        "readers": readers,
        "costs": "US dollars" if summary.cost_unit == "usd" else "unknown: every call counts 1",
        "best single": f"{percent(summary.best_single_accuracy)} %  {summary.best_single}{own} "
        "(known afterwards: bench and train choose it on training queries)",
        "plurality": voted + (f"{on}" if vote is not None else ""),
        "oracle": f"{percent(summary.oracle_accuracy)} %  (a right answer, if any member gave one)"
        + on,
        "no credit": f"{summary.n_without_credit:,} queries that no member scored on",
    }
    console = terminal()
    for name, value in facts.items():
        if value:
            text = f"{name:<12} {value}"
            if console.is_terminal:
                text = textwrap.fill(
                    text, console.width, subsequent_indent=" " * 13, break_on_hyphens=False
                )
            console.print(text.replace(_TOGETHER, " "))


_TOGETHER = "\xa0"
"""A blank at which no line ends."""


def _counted(sizes: dict[str, int]) -> str:
    ordered = sorted(sizes, key=lambda name: -sizes[name])
    listed = [f"{name} {sizes[name]:,}".replace(" ", _TOGETHER) for name in ordered]
    return f"{len(sizes)}: " + joined(listed, 8)


def _show_members(summary: Summary, *, max_tasks: int) -> None:
    tasks = list(summary.tasks)
    shown = sorted(range(len(tasks)), key=lambda t: -summary.tasks[tasks[t]])[:max_tasks]
    if len(tasks) == 1:
        shown = []
    priced = summary.cost_unit == "usd"
    lacking = any(row.n_missing for row in summary.members)
    spoilt = any(row.n_unusable for row in summary.members)
    print_table(
        sorted(summary.members, key=lambda row: -(row.accuracy or 0.0)),
        Column("member", lambda row: row.member),
        Column("accuracy %", lambda row: percent(row.accuracy)),
        Column("answered %", lambda r: percent(r.coverage) if lacking else None, optional=True),
        Column("missing", lambda row: f"{row.n_missing:,}", spare=2 if lacking else _NEVER),
        Column("unusable", lambda row: f"{row.n_unusable:,}", spare=1 if spoilt else _NEVER),
        Column(
            "USD / 1k", lambda r: usd_per_1k(r.mean_cost) if priced else None,
            optional=True, spare=3,
        ),
        *(_of_task(tasks[t], t, spare=4 + place) for place, t in enumerate(shown)),
    )  # fmt: skip
    if len(shown) < len(tasks) > 1:
        terminal().print(
            f"{len(tasks) - len(shown)} more tasks: --max-tasks {len(tasks)}, or --json"
        )


def _of_task(name: str, place: int, *, spare: int) -> Column[MemberSummary]:
    return Column(name, lambda row: percent(row.accuracy_by_task[place]), spare=spare)
