"""Who reads whom, and what came of it: a drawing and its tables.

Figures come from `bench.summaries.reading`.
"""

from __future__ import annotations

from collections.abc import Sequence

from rlfocal.bench.summaries.reading.importance import Importance
from rlfocal.bench.summaries.reading.judging import JudgeBias
from rlfocal.bench.summaries.reading.roles import RoleValue
from rlfocal.bench.summaries.reading.shares import Share
from rlfocal.bench.summaries.reading.summary import CONFORMITY, Readings
from rlfocal.markup import Html, table
from rlfocal.report.html import Choice, chart, paragraphs
from rlfocal.report.labels import DASH, interval, number, percent
from rlfocal.report.reading_graph import graph, price_of

__all__ = ["readers_section"]

_UNITS = {"usd": "USD of 1,000 calls", "call": "calls", "second": "seconds"}


def readers_section(found: Readings) -> Html:
    """The section's body."""
    said = (
        "Members that are shown replies of others come after those; whoever asks one of them pays "
        "for these, too. Figures describe all recorded answers; they are not held-out results."
    )
    aid = (
        "Lines lead from a member to who reads it, dashed from its own first reply. Percentages "
        "are accuracies; in boxes they stand before the price of a call alone → with all whom it "
        "waits for "
        f"({_UNITS.get(found.cost_unit, found.cost_unit)})."
    )
    choice = Choice("Who reads whom", graph(found.members, unit=found.cost_unit), _members(found))
    parts = [paragraphs([said]), chart("readers-graph", aid, [choice])]
    if found.following:
        parts += [Html("<h3>Do they follow who is right?</h3>"), _following(found)]
    if any(one.second_thoughts for one in found.following):
        parts += [Html("<h3>Second thoughts</h3>"), _second_thoughts(found)]
    if found.judges:
        parts += [Html("<h3>Biases of judges</h3>"), *(_judge(one) for one in found.judges)]
    if found.importance is not None:
        parts += [Html("<h3>Who mattered, without labels</h3>"), _importance(found.importance)]
    if found.roles:
        parts += [Html("<h3>What each role is worth</h3>"), _roles(found.roles)]
    return Html("\n".join(parts))


def _members(found: Readings) -> Html:
    rows = [
        [
            one.member,
            ", ".join((*one.reads, *([] if one.first is None else [f"{one.first} (own)"]))) or DASH,
            one.form or DASH,
            DASH if one.accuracy is None else percent(one.accuracy),
            price_of(one.price, found.cost_unit),
            price_of(one.full_price, found.cost_unit),
        ]
        for one in found.members
    ]
    head = ["Member", "Reads", "Does", "Accuracy", "Price alone", "With whom it waits for"]
    return table(head, rows, label="Who reads whom", classes="prose")


def _share(share: Share | None) -> Html | str:
    if share is None or not share.n:
        return DASH
    return Html(
        f'{percent(share.value)} <span class="ci">{interval(share.interval)} of {share.n:,}</span>'
    )


def _following(found: Readings) -> Html:
    aid = (
        "Where those it reads are divided, a reader should side with who is right; where all are "
        "right, keep that; where none is, find it. 95 % Wilson intervals, of so many queries. The "
        "best of those it reads is known afterwards, which flatters that one."
    )
    rows = [
        [
            one.reader, _share(one.follows_right), _share(one.led_astray), _share(one.keeps),
            _share(one.rescues), percent(one.accuracy),
            f"{percent(one.best_read_accuracy)} ({one.best_read})",
        ]
        for one in found.following
    ]  # fmt: skip
    head = [
        "Reader", "Right where they differ", "Takes a wrong one there", "Right where all are",
        "Right where none is", "Accuracy", "Best of those it reads",
    ]  # fmt: skip
    shown = table(head, rows, label="Whom readers follow", classes="prose shares")
    return Html(f"{paragraphs([aid])}\n{shown}")


def _second_thoughts(found: Readings) -> Html:
    aid = (
        "Readers beside their own first answer. Confirmed: somebody they read gave the same "
        "answer, independently of it; how often a first answer is right with and without that."
    )
    rows = [
        [
            one.reader, _share(second.changed), _share(second.mended), _share(second.spoilt),
            _share(second.right_confirmed), _share(second.right_alone),
        ]
        for one in found.following
        if (second := one.second_thoughts) is not None
    ]  # fmt: skip
    head = [
        "Reader", "Changes its answer", "Wrong first, then right", "Right first, then wrong",
        "First right where confirmed", "First right where not",
    ]  # fmt: skip
    shown = table(head, rows, label="Second thoughts", classes="prose shares")
    return Html(f"{paragraphs([aid])}\n{shown}")


_PLACES = ("first", "second", "third")


def _judge(one: JudgeBias) -> Html:
    rows: list[tuple[str, Share | None]] = [
        ("names a right reply, where some are", one.names_right),
        ("same reply in another order", one.consistent),
        ("same place in another order, which is another reply", one.stuck),
        *(
            (f"names the {_PLACES[i] if i < len(_PLACES) else f'{i + 1}th'} reply", share)
            for i, share in enumerate(one.by_place)
        ),
        ("names the first of equally good ones", one.first_alike),
        ("names the longest", one.longest),
        ("names the longest of equally good ones", one.longest_alike),
        ("names one of its own family", one.family),
        ("names its own family among equally good ones", one.family_alike),
        ("names none clearly", one.unclear),
    ]
    cells = [
        [
            what,
            _share(share),
            DASH if share.by_chance is None else percent(share.by_chance),
            "differs" if share.differs else "",
        ]
        for what, share in rows
        if share is not None and share.n
    ]
    head = [one.judge, "Share of verdicts", "By chance", ""]
    said = f"{one.judge}: {one.n_verdicts:,} verdicts between two replies or more."
    shown = table(head, cells, label=f"Biases of {one.judge}", classes="prose shares wrapped")
    return Html(f"{paragraphs([said])}\n{shown}")


def _importance(found: Importance) -> Html:
    said = [
        "Importance is passed back from the final answers that agree to those whose replies were "
        f"used, over {found.n_queries:,} queries (DyLAN, arXiv:2310.02170). {CONFORMITY}."
    ]
    compared = ", ".join(found.ranked)
    if found.with_accuracy is not None and found.with_agreement is not None:
        said.append(
            f"Among {compared}, the rank correlation of importance is "
            f"{number(found.with_accuracy)} with accuracy on labels and "
            f"{number(found.with_agreement)} with saying what the final answers say."
        )
    order = sorted(found.value, key=lambda name: -found.value[name])
    rows = [
        [
            name, number(found.value[name], 3), percent(found.accuracy[name]),
            percent(found.agreement[name]),
        ]
        for name in order
    ]  # fmt: skip
    head = ["Member", "Importance", "Accuracy", "Says what the final answers say"]
    return Html(f"{paragraphs(said)}\n{table(head, rows, label='Importance', classes='prose')}")


def _roles(found: Sequence[RoleValue]) -> Html:
    aid = (
        "The mean outcome of the final members that read each one, directly or through others "
        "(MALT, arXiv:2412.01928), also where its own answer is right and where it is wrong; "
        "beside that of final members that did not read it, on the same queries."
    )
    rows = [
        [
            one.member, one.role, ", ".join(one.leaves),
            Html(f'{percent(one.value)} <span class="ci">{interval(one.interval)}</span>'),
            *(
                DASH if share is None else percent(share)
                for share in (one.where_right, one.where_wrong, one.beside)
            ),
            f"{one.n_queries:,}",
        ]
        for one in found
    ]  # fmt: skip
    head = [
        "Member", "Role", "Read by, in the end", "Their outcome", "Where it is right",
        "Where it is wrong", "Of others", "Queries",
    ]  # fmt: skip
    return Html(f"{paragraphs([aid])}\n{table(head, rows, label='Roles', classes='prose shares')}")
