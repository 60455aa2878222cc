"""What members that read others made of it, as tables on the terminal."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from rlfocal.cli.output.console import terminal
from rlfocal.cli.output.tables import Column, interval, percent, print_table, usd_per_1k

if TYPE_CHECKING:
    from rlfocal.bench.summaries.reading import Readings
    from rlfocal.bench.summaries.reading.following import Following
    from rlfocal.bench.summaries.reading.importance import Importance
    from rlfocal.bench.summaries.reading.judging import JudgeBias
    from rlfocal.bench.summaries.reading.roles import RoleValue
    from rlfocal.bench.summaries.reading.shares import Share
    from rlfocal.bench.summaries.reading.summary import ReadMember

__all__ = ["show_readings"]


def show_readings(found: Readings) -> None:
    """Print everything."""
    _show_members(found)
    if found.following:
        _show_following(found.following)
    for judge in found.judges:
        _show_judge(judge)
    if found.importance is not None:
        _show_importance(found.importance)
    if found.roles:
        _show_roles(found.roles)


def _price(price: float, unit: str) -> str:
    return usd_per_1k(price) or "-" if unit == "usd" else f"{price:.3g}"


def _show_members(found: Readings) -> None:
    unit = {"usd": "USD / 1k", "call": "calls", "second": "seconds"}[found.cost_unit]
    print_table(
        found.members,
        Column("member", lambda one: one.member),
        Column(
            "reads",
            lambda one: ", ".join([*one.reads, *_own(one)]) or None,
            left=True,
            short=lambda one: ",\n".join([*one.reads, *_own(one)]) or None,
        ),
        Column("does", lambda one: one.form or None, left=True),
        Column("accuracy %", lambda one: percent(one.accuracy)),
        Column(f"{unit} alone", lambda one: _price(one.price, found.cost_unit), spare=2),
        Column(f"{unit} in all", lambda one: _price(one.full_price, found.cost_unit), spare=1),
        title="Who reads whom, and the price of a call alone and with all whom it waits for",
    )


def _own(one: ReadMember) -> list[str]:
    return [] if one.first is None else [f"{one.first} (own)"]


def _share(share: Share | None) -> str | None:
    if share is None or not share.n:
        return None
    return interval(share.value, share.interval)


def _show_following(rows: tuple[Following, ...]) -> None:
    print_table(
        rows,
        Column("reader", lambda one: one.reader),
        Column("right where they differ", lambda one: _share(one.follows_right)),
        Column("takes a wrong one", lambda one: _share(one.led_astray), spare=2),
        Column("right where all are", lambda one: _share(one.keeps), spare=1),
        Column("right where none is", lambda one: _share(one.rescues), spare=3),
        Column("accuracy %", lambda one: percent(one.accuracy)),
        Column(
            "best it reads %",
            lambda one: f"{percent(one.best_read_accuracy)} {one.best_read}",
            spare=4,
        ),
        title="Do they follow who is right? (%, 95 % intervals)",
    )
    thoughts = [one for one in rows if one.second_thoughts is not None]
    if thoughts:
        print_table(
            thoughts,
            Column("reader", lambda one: one.reader),
            *(
                _of_thoughts(name, spare)
                for name, spare in (
                    ("changed", 1), ("mended", 0), ("spoilt", 0),
                    ("right_confirmed", 2), ("right_alone", 3),
                )
            ),
            title="Second thoughts: mended of those wrong first, spoilt of those right first; how "
            "often a first answer is right where somebody it reads confirms it, and where nobody "
            "does",
        )  # fmt: skip


def _of_thoughts(name: str, spare: int) -> Column[Following]:
    return Column(
        name.replace("_", " "),
        lambda one: _share(getattr(one.second_thoughts, name)),
        spare=spare,
    )


def _show_judge(one: JudgeBias) -> None:
    rows: list[tuple[str, Share | None]] = [
        ("a right reply, where some are", one.names_right),
        ("the same reply in another order", one.consistent),
        ("the same place in another order", one.stuck),
        *((f"the reply in place {i}", share) for i, share in enumerate(one.by_place, start=1)),
        ("the first of equally good ones", one.first_alike),
        ("the longest", one.longest),
        ("the longest of equally good ones", one.longest_alike),
        ("its own family", one.family),
        ("its own family among equally good ones", one.family_alike),
        ("none clearly", one.unclear),
    ]
    print_table(
        [(what, share) for what, share in rows if share is not None and share.n],
        Column(f"{one.judge} names", lambda row: row[0]),
        Column("% of verdicts", lambda row: _share(row[1])),
        Column(
            "by chance",
            lambda row: None if row[1].by_chance is None else percent(row[1].by_chance),
        ),
        Column("of", lambda row: f"{row[1].n:,}", spare=1),
        title=f"Biases of {one.judge}: {one.n_verdicts:,} verdicts between two replies or more",
    )


def _show_importance(found: Importance) -> None:
    from rlfocal.bench.summaries.reading.summary import CONFORMITY

    print_table(
        sorted(found.value, key=lambda name: -found.value[name]),
        Column("member", lambda name: name),
        Column("importance", lambda name: f"{found.value[name]:.3f}"),
        Column("accuracy %", lambda name: percent(found.accuracy[name])),
        Column("says what the final ones say %", lambda name: percent(found.agreement[name])),
        title="Who mattered to the final answers, without labels",
    )
    console = terminal()
    if found.with_accuracy is not None and found.with_agreement is not None:
        console.print(
            f"Rank correlation of importance among {', '.join(found.ranked)}: "
            f"{found.with_accuracy:+.2f} with accuracy, {found.with_agreement:+.2f} with saying "
            "what the final ones say."
        )
    console.print(f"{CONFORMITY}.")


def _show_roles(rows: tuple[RoleValue, ...]) -> None:
    print_table(
        rows,
        Column("member", lambda one: one.member),
        Column("role", lambda one: one.role, left=True),
        Column(
            "read in the end by",
            lambda one: ", ".join(one.leaves),
            left=True,
            short=lambda one: ",\n".join(one.leaves),
        ),
        Column(
            "their outcome %",
            lambda one: None if math.isnan(one.value) else interval(one.value, one.interval),
        ),
        Column("where it is right %", lambda one: percent(one.where_right), spare=2),
        Column("where it is wrong %", lambda one: percent(one.where_wrong), spare=3),
        Column(
            "of others %", lambda one: None if one.beside is None else percent(one.beside), spare=1
        ),
        title="What each is worth in its role: the mean outcome of the final members that read it",
    )
