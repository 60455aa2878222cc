"""Measures of how independently the members of a pool fail.

A description of every recorded answer, not a test: subsets are ranked on the very queries that they
are scored on, so the top of a list flatters. `rlfocal bench` chooses and tests on different ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from rlfocal.bench.summaries.subsets import score_subsets
from rlfocal.deliberation.protocol import unmet
from rlfocal.diversity import (
    PAIRWISE,
    FailureCounts,
    Objective,
    best_subsets,
    measures,
    pair_counts,
    weighted_sum,
)
from rlfocal.diversity.ranking import remembered
from rlfocal.markup import Displayed, Grid, Sheet
from rlfocal.records import BoolArray, ResponseTable
from rlfocal.records.tables.missing import complete_part
from rlfocal.strategies.static import VoteAccuracy
from rlfocal.strategies.voting import Plurality, rank_members

__all__ = ["Independence", "Pair", "RankedSubset", "measure_independence"]


_ENDS = 5
"""Pairs shown from either end of the list."""


@dataclass(frozen=True, kw_only=True)
class Pair:
    """Two members under every pairwise measure; higher = more diverse in each."""

    members: tuple[str, str]
    measures: Mapping[str, float]


@dataclass(frozen=True, kw_only=True)
class RankedSubset:
    """A subset of members with its diversity and accuracies."""

    members: tuple[str, ...]
    focal_diversity: float
    """In [0, 1]; higher is more diverse."""
    vote_accuracy: float | None
    """Accuracy of its plurality vote; None where nothing can be voted on."""
    mean_accuracy: float
    """Mean accuracy of its members."""


@dataclass(frozen=True, kw_only=True)
class Independence(Displayed):
    """The result of `rlfocal diversity`."""

    data: str
    synthetic: bool
    n_queries: int
    """Queries that every member answered."""
    members: tuple[str, ...]
    pool: Mapping[str, float]
    """Ensemble measure → value of the whole pool; higher = more diverse in each."""
    pairs: tuple[Pair, ...]
    """Every pair, least correlated failures first."""
    subsets: Mapping[str, tuple[RankedSubset, ...]]
    """Criterion → the best subsets by it, best first."""
    search: str
    """"exhaustive" (certain) or "genetic" (the best that were found)."""
    focal_vote_correlation: Mapping[int, float] | None
    """Members in a subset → correlation of focal diversity with vote accuracy among such subsets;
    None where nothing can be voted on."""
    no_vote: str | None
    """Why there is no vote."""

    def __repr__(self) -> str:
        queries, members = f"{self.n_queries:,} queries", f"{len(self.members)} members"
        return f"Independence({self.data!r}: {queries}, {members})"

    def _sheet(self) -> Sheet:
        between = len(self.pairs) - 2 * _ENDS
        ends = self.pairs if between <= 0 else self.pairs[:_ENDS] + self.pairs[-_ENDS:]
        return Sheet(
            f"{self.data}: how independently {len(self.members)} members fail on "
            f"{self.n_queries:,} queries; higher = more diverse",
            (
                Grid(
                    "pairs",
                    ("pair, most independent first", *self.pairs[0].measures),
                    [
                        (" + ".join(pair.members), *(f"{v:.3f}" for v in pair.measures.values()))
                        for pair in ends
                    ],
                ),
                f"{between:,} pairs lie between" if between > 0 else "",
                Grid(
                    "the whole pool",
                    ("the whole pool", "value"),
                    [(name, f"{value:.3f}") for name, value in self.pool.items()],
                ),
                *(
                    Grid(
                        f"best subsets by {criterion}",
                        (f"best subsets by {criterion}", "focal", "vote %", "mean of members %"),
                        [
                            (
                                ", ".join(one.members),
                                f"{one.focal_diversity:.3f}",
                                "-"
                                if one.vote_accuracy is None
                                else f"{100 * one.vote_accuracy:.1f}",
                                f"{100 * one.mean_accuracy:.1f}",
                            )
                            for one in ranked
                        ],
                    )
                    for criterion, ranked in self.subsets.items()
                ),
                self.no_vote or "",
            ),
        )


def measure_independence(
    table: ResponseTable,
    *,
    top: int,
    size: int | None,
    rng: np.random.Generator,
) -> Independence:
    """Measure a pool.

    Args:
        table: the recorded answers of the pool.
        top: subsets to list for each criterion.
        size: members in a listed subset; None for any number from 2 on.
        rng: drives the search in pools too large to try every subset.

    How members fail together is measured on the queries that every member answered.

    Raises:
        RecordError: there is no such query.
    """
    failed = table.failed[table.complete]
    if not len(failed):
        complete_part(table)  # raises, and says which members have queries in common
    counts = FailureCounts.from_failed(failed)
    no_vote = unmet(Plurality(), table)
    # Each criterion is searched for by itself, among the same ensembles where all are tried.
    focal = remembered(counts.focal)
    vote = None if no_vote else remembered(VoteAccuracy(table, rank_members(table)))
    criteria: dict[str, Objective] = {"focal diversity": focal}
    if vote is not None:
        criteria["0.5 focal diversity + 0.5 vote accuracy"] = weighted_sum(
            (0.5, focal), (0.5, vote)
        )
        criteria["vote accuracy"] = vote
    sizes = (2, table.n_members) if size is None else (size, size)
    found = {
        name: best_subsets(objective, table.n_members, sizes=sizes, top=top, rng=rng)
        for name, objective in criteria.items()
    }
    scores = score_subsets(table, rng=rng)
    whole = np.ones((1, table.n_members), dtype=bool)
    return Independence(
        data=table.name,
        synthetic=table.synthetic,
        n_queries=len(failed),
        members=table.members,
        pool={name: float(measure(failed, whole)[0]) for name, measure in measures().items()},
        pairs=_pairs(table),
        subsets={
            name: _described(ranking.masks, table, counts, vote) for name, ranking in found.items()
        },
        search=next(iter(found.values())).method,
        focal_vote_correlation=None if scores is None else scores.correlations(),
        no_vote=no_vote,
    )


def _pairs(table: ResponseTable) -> tuple[Pair, ...]:
    counts = pair_counts(table.failed[table.complete])
    matrices = {name: measure(counts) for name, measure in PAIRWISE.items()}
    first, second = np.triu_indices(table.n_members, 1)
    order = np.argsort(-matrices["correlation"][first, second], kind="stable")
    return tuple(
        Pair(
            members=(table.members[i], table.members[j]),
            measures={name: float(matrix[i, j]) for name, matrix in matrices.items()},
        )
        for i, j in zip(first[order].tolist(), second[order].tolist(), strict=True)
    )


def _described(
    masks: BoolArray, table: ResponseTable, counts: FailureCounts, vote: Objective | None
) -> tuple[RankedSubset, ...]:
    focal = counts.focal(masks)
    voted = None if vote is None else vote(masks)
    accuracy = table.member_accuracy
    return tuple(
        RankedSubset(
            members=tuple(name for name, inside in zip(table.members, mask, strict=True) if inside),
            focal_diversity=float(focal[row]),
            vote_accuracy=None if voted is None else float(voted[row]),
            mean_accuracy=float(accuracy[mask].mean()),
        )
        for row, mask in enumerate(masks)
    )
