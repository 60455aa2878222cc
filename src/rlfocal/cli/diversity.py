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

_TOP = 5
SEED = 0
"""Of the search and of the sample of subsets: the same command prints the same figures."""


def diversity(
    data: common.Data,
    pool: common.Pool = None,
    members: common.Members = None,
    top: Annotated[int, option(value="K", min=1, help="Subsets and pairs to list.")] = _TOP,
    size: Annotated[
        int | None, option(value="S", help="Members in a listed subset; else any number.")
    ] = None,
    readers: Annotated[
        bool,
        option(
            "--readers",
            help="Instead: what members that read others made of it: whom they follow, biases of "
            "judges, who mattered without labels, what each role is worth.",
        ),
    ] = False,
    family: Annotated[
        list[str] | None,
        option(
            "--family",
            value="JUDGE=A,B",
            help="With --readers: members that share a judge's model; may be given several times.",
        ),
    ] = None,
    json: common.JsonFlag = False,
) -> None:
    """Show how independently members fail.

    Pairs, the whole pool, the best subsets, and whether diverse subsets vote better.
    """
    if readers:
        if size is not None or top != _TOP:
            raise ConfigError("--readers knows neither --top nor --size")
        _readers(data, pool, members, _families(family or []), json=json)
        return
    if family:
        raise ConfigError("--family goes with --readers")
    import numpy as np

    from rlfocal.bench.summaries.independence import measure_independence

    _, table = common.load_table(data, pool, members, with_features=False, with_text=False)
    if size is not None and not 2 <= size <= table.n_members:
        raise ConfigError(f"--size must lie in 2..{table.n_members}, got {size}")
    with waiting("scoring subsets"):
        found = measure_independence(table, top=top, size=size, rng=np.random.default_rng(SEED))
    for note in table.notes:
        remark(f"note: {note}")
    if table.reads is not None:
        remark("note: some members read others; --readers shows what they made of it")
    if not table.is_complete:
        remark(
            f"note: figures are of the {found.n_queries:,} of {table.n_queries:,} queries that all "
            f"{table.n_members} members answered"
        )
    if json:
        print_json(asdict(found))
    else:
        _show(found, top=top)


def _families(given: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Judge → members, as typed.

    Raises:
        ConfigError: a part is missing, or a judge is named twice.
    """
    found: dict[str, tuple[str, ...]] = {}
    for text in given:
        judge, equals, names = text.partition("=")
        split = common.split_names(names, f"--family {text}") if equals and judge else None
        if split is None:
            raise ConfigError(f"--family takes a judge and members, as in judge=a,b; got '{text}'")
        if judge in found:
            raise ConfigError(f"--family names '{judge}' twice; give all its members at once")
        found[judge] = split
    return found


def _readers(
    data: str,
    pool: str | None,
    members: str | None,
    family: dict[str, tuple[str, ...]],
    *,
    json: bool,
) -> None:
    from rlfocal.bench.summaries.reading import readings_of
    from rlfocal.cli.output.readers import show_readings

    dataset, table = common.load_table(data, pool, members, with_features=False)
    found = readings_of(table, dataset, family=family)
    if found is None:
        raise ConfigError(
            f"{table.name}: no member reads another; members with reads = [...] in a pool file "
            "do, or those that dataset.json lists under readers"
        )
    for note in table.notes:
        remark(f"note: {note}")
    if json:
        print_json(found.to_json())
    else:
        show_readings(found)


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
