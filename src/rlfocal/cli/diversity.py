"""`rlfocal diversity`: how independently the members fail, and what that says about votes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

from rlfocal.cli import common
from rlfocal.cli.common import option
from rlfocal.cli.output.console import print_json, remark, terminal, waiting
from rlfocal.cli.output.tables import Column, percent, print_table
from rlfocal.errors import ConfigError

if TYPE_CHECKING:
    from rlfocal.bench.summaries.independence import Independence, Pair

__all__ = ["diversity"]

SEED = 0
"""Of the search and of the sample of subsets: the same command prints the same figures."""


def diversity(
    data: common.Data,
    pool: common.Pool = None,
    members: common.Members = None,
    top: Annotated[int, option(value="K", min=1, help="Subsets and pairs to list.")] = 5,
    size: Annotated[
        int | None, option(value="S", help="Members in a listed subset; else any number.")
    ] = None,
    json: common.JsonFlag = False,
) -> None:
    """Show how independently members fail.

    Pairs, the whole pool, the best subsets, and whether diverse subsets vote better.
    """
    import numpy as np

    from rlfocal.bench.summaries.independence import measure_independence

    _, table = common.load_table(data, pool, members, with_features=False, with_text=False)
    if size is not None and not 2 <= size <= table.n_members:
        raise ConfigError(f"--size must lie in 2..{table.n_members}, got {size}")
    with waiting("scoring subsets"):
        found = measure_independence(table, top=top, size=size, rng=np.random.default_rng(SEED))
    for note in table.notes:
        remark(f"note: {note}")
    if not table.is_complete:
        remark(
            f"note: figures are of the {found.n_queries:,} of {table.n_queries:,} queries that all "
            f"{table.n_members} members answered"
        )
    if json:
        print_json(asdict(found))
    else:
        _show(found, top=top)


def _show(found: Independence, *, top: int) -> None:
    console = terminal()
    mark = " (SYNTHETIC)" if found.synthetic else ""
    console.print(f"{found.data}{mark}: {len(found.members)} members, {found.n_queries:,} queries.")
    console.print(
        "Higher = more diverse in every measure. A description of these queries, no test."
    )
    if len(found.pairs) <= 2 * top:
        _show_pairs("pairs of members", found.pairs)
    else:
        _show_pairs("most independent pairs", found.pairs[:top])
        _show_pairs("most alike pairs", found.pairs[-top:])
    print_table(
        found.pool.items(),
        Column("the whole pool", lambda item: item[0]),
        Column("value", lambda item: f"{item[1]:.3f}"),
    )
    for criterion, ranked in found.subsets.items():
        print_table(
            ranked,
            Column(
                f"best subsets by {criterion}",
                lambda subset: ", ".join(subset.members),
                short=lambda subset: ",\n".join(subset.members),
            ),
            Column("focal", lambda subset: f"{subset.focal_diversity:.3f}"),
            Column("vote %", lambda subset: percent(subset.vote_accuracy)),
            Column("mean of members %", lambda subset: percent(subset.mean_accuracy)),
        )
    if found.search == "genetic":
        console.print("note: too many subsets to try all; these are the best a search found")
    console.print(_sentence(found))


def _show_pairs(title: str, pairs: Sequence[Pair]) -> None:
    print_table(
        pairs,
        Column(
            title,
            lambda pair: " + ".join(pair.members),
            short=lambda pair: " +\n".join(pair.members),
        ),
        *(_of_measure(name) for name in pairs[0].measures),
    )


def _of_measure(name: str) -> Column[Pair]:
    return Column(name, lambda pair: f"{pair.measures[name]:.3f}")


def _sentence(found: Independence) -> str:
    if found.no_vote is not None:
        return f"no vote: {found.no_vote}"
    if not found.focal_vote_correlation:
        return "Too few subsets of one size to correlate focal diversity with vote accuracy."
    listed = ", ".join(f"{n}: {r:+.2f}" for n, r in found.focal_vote_correlation.items())
    return f"Correlation of focal diversity with vote accuracy, by members in a subset: {listed}"
