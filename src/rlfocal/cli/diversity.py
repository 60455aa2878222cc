"""`rlfocal diversity`: how independently the members fail, and what that says about votes."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from rlfocal.cli import common
from rlfocal.errors import ConfigError

if TYPE_CHECKING:
    from rich.console import Console

    from rlfocal.bench.independence import Independence

__all__ = ["diversity"]

SEED = 0
"""Of the search and of the sample of subsets: the same command prints the same figures."""


def diversity(
    data: common.Data,
    pool: common.Pool = None,
    members: common.Members = None,
    top: Annotated[int, typer.Option(metavar="K", min=1, help="Subsets and pairs to list.")] = 5,
    size: Annotated[
        int | None, typer.Option(metavar="S", help="Members in a listed subset; else any number.")
    ] = None,
    json: common.JsonFlag = False,
) -> None:
    """Show how independently members fail.

    Pairs, the whole pool, the best subsets, and whether diverse subsets vote better.
    """
    import numpy as np

    from rlfocal.bench.independence import measure_independence

    _, table = common.load_table(data, pool, members, with_features=False)
    if size is not None and not 2 <= size <= table.n_members:
        raise ConfigError(f"--size must lie in 2..{table.n_members}, got {size}")
    with common.waiting("scoring subsets"):
        found = measure_independence(table, top=top, size=size, rng=np.random.default_rng(SEED))
    for note in table.notes:
        common.remark(f"note: {note}")
    if not table.is_complete:
        common.remark(
            f"note: figures are of the {found.n_queries:,} of {table.n_queries:,} queries that all "
            f"{table.n_members} members answered"
        )
    if json:
        common.print_json(asdict(found))
    else:
        _show(found, top=top)


def _show(found: Independence, *, top: int) -> None:
    console = common.output()
    mark = " (SYNTHETIC)" if found.synthetic else ""
    console.print(f"{found.data}{mark}: {len(found.members)} members, {found.n_queries:,} queries.")
    console.print(
        "Higher = more diverse in every measure. A description of these queries, no test."
    )
    _show_pairs(console, found, top=top)
    pool = common.table_of("the whole pool", "value")
    for name, value in found.pool.items():
        pool.add_row(name, f"{value:.3f}")
    console.print(pool)
    for criterion, ranked in found.subsets.items():
        table = common.table_of(
            f"best subsets by {criterion}", "focal", "vote %", "mean of members %"
        )
        for subset in ranked:
            table.add_row(
                ", ".join(subset.members),
                f"{subset.focal_diversity:.3f}",
                common.percent(subset.vote_accuracy),
                common.percent(subset.mean_accuracy),
            )
        console.print(table)
    if found.search == "genetic":
        console.print("note: too many subsets to try all; these are the best a search found")
    console.print(_sentence(found))


def _show_pairs(console: Console, found: Independence, *, top: int) -> None:
    whole = len(found.pairs) <= 2 * top
    parts = (
        {"pairs of members": found.pairs}
        if whole
        else {
            "most independent pairs": found.pairs[:top],
            "most alike pairs": found.pairs[-top:],
        }
    )
    for title, pairs in parts.items():
        table = common.table_of(title, *found.pairs[0].measures)
        for pair in pairs:
            values = (f"{value:.3f}" for value in pair.measures.values())
            table.add_row(" + ".join(pair.members), *values)
        console.print(table)


def _sentence(found: Independence) -> str:
    if found.no_vote is not None:
        return f"no vote: {found.no_vote}"
    if not found.focal_vote_correlation:
        return "Too few subsets of one size to correlate focal diversity with vote accuracy."
    listed = ", ".join(f"{n}: {r:+.2f}" for n, r in found.focal_vote_correlation.items())
    return f"Correlation of focal diversity with vote accuracy, by members in a subset: {listed}"
