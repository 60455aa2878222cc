"""Who mattered to the final answers, without labels: DyLAN's agent importance, and its limits.

Paper: Liu et al., "A Dynamic LLM-Powered Agent Network for Task-Oriented Agent Collaboration",
arXiv:2310.02170: peers rate each other, ratings are passed back from the last layer, and summed.
Departures: layers are whatever the pool's readers make of them, not a full net between turns; a
member rates by what it did with a reply (a judge by naming it, all others by giving its answer)
in place of numbers that it is asked for.

It rewards conformity: who says what others say is passed credit, right or wrong.

Axes: Q queries, N members.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rlfocal.numbers import Float64Array
from rlfocal.readers import JUDGING, Reads
from rlfocal.records import BoolArray, CandidateKind, FloatArray, ResponseTable

__all__ = ["Importance", "importance_of", "propagated", "rank_correlation", "ratings"]

_LEAST = 3
"""With fewer members a rank correlation says nothing."""


@dataclass(frozen=True, kw_only=True)
class Importance:
    """Mean importance of each member, beside what labels say."""

    n_queries: int
    """Where some final answer is usable."""
    value: dict[str, float]
    """Member → mean over these queries; each stage that is read passes on at most 1 in all."""
    accuracy: dict[str, float | None]
    """Member → mean score, in [0, 1]; None of one that gives no answers, as of a critic."""
    agreement: dict[str, float | None]
    """Member → how often its answer is that of the consensus of the final ones; None as there."""
    ranked: tuple[str, ...]
    """Members that read nobody and are read: those whose ranks are compared."""
    with_accuracy: float | None
    """Rank correlation of importance and accuracy among these; None for fewer than 3."""
    with_agreement: float | None
    """The same of importance and agreement: how far it is conformity that is measured."""


def ratings(table: ResponseTable, named: FloatArray | None) -> FloatArray:
    """What each reader makes of those it reads.

    Args:
        table: recorded answers of a pool with readers.
        named: float32[Q, N, N], see `judging.named_by`; None where no verdicts are known.

    Returns:
        float32[Q, N, N]: rows of members sum to 1, or are all zero where a reader used none of what
        it read. Where answers cannot be compared, those read share alike.
    """
    reads = table.reads
    if reads is None:
        raise ValueError(f"{table.name}: nobody reads another, so there is nothing to rate")
    answer, there = table.answer, table.recorded
    judges = np.array([form in JUDGING for form in reads.forms])
    comparable = ((table.kind != CandidateKind.RESPONSES)[:, None] | judges)[:, :, None]
    same = (answer[:, :, None] == answer[:, None, :]) & (answer[:, :, None] >= 0)
    used = np.where(comparable, same, table.answered[:, None, :])
    weight = (used & reads.direct & there[:, :, None] & there[:, None, :]).astype(np.float32)
    if named is not None:
        judged = named.sum(axis=2, keepdims=True) > 0
        weight = np.where(judged, named * reads.direct, weight)
    total = weight.sum(axis=2, keepdims=True)
    return np.asarray(weight / np.where(total > 0, total, 1), dtype=np.float32)


def propagated(reads: Reads, final: Float64Array, weight: FloatArray) -> Float64Array:
    """Pass importance back from those who read to those they read.

    Args:
        reads: who reads whom.
        final: float64[Q, N], what the final answers start with.
        weight: float32[Q, N, N], see `ratings`.

    Returns:
        float64[Q, N]: what each starts with, and what is passed to it.
    """
    found = final.astype(np.float64)
    for reader in np.argsort(-reads.stage, kind="stable").tolist():
        found += found[:, reader, None] * weight[:, reader]
    return found


def importance_of(table: ResponseTable, named: FloatArray | None = None) -> Importance | None:
    """Importance of every member of a pool with readers; None where no final answer is usable.

    Final are the readers whom nobody reads; those of them whose answer most of them gave start with
    equal shares of 1. Ties share, too.
    """
    reads = table.reads
    if reads is None:
        return None
    final = _agreeing(table, reads)
    rows = np.flatnonzero(final.any(axis=1))
    if not len(rows):
        return None
    share = final / np.maximum(final.sum(axis=1, keepdims=True), 1)
    value = propagated(reads, share[rows], ratings(table, named)[rows]).mean(axis=0)
    backed = _gives_consensus(table, final)[rows]
    agreement = backed.sum(axis=0) / np.maximum(table.recorded[rows].sum(axis=0), 1)
    accuracy = table.member_accuracy
    ranked = np.flatnonzero(~reads.is_reader & reads.direct.any(axis=0))
    names = np.array(table.members)

    def by_name(values: Float64Array) -> dict[str, float]:
        return dict(zip(table.members, values.tolist(), strict=True))

    silent = set(names[~table.answered.any(axis=0)].tolist())

    def of_answers(values: Float64Array) -> dict[str, float | None]:
        return {name: None if name in silent else v for name, v in by_name(values).items()}

    def correlation(other: Float64Array) -> float | None:
        return rank_correlation(value[ranked], other[ranked]) if len(ranked) >= _LEAST else None

    return Importance(
        n_queries=len(rows),
        value=by_name(value),
        accuracy=of_answers(accuracy),
        agreement=of_answers(agreement),
        ranked=tuple(names[ranked].tolist()),
        with_accuracy=correlation(accuracy),
        with_agreement=correlation(agreement),
    )


def _agreeing(table: ResponseTable, reads: Reads) -> BoolArray:
    """bool[Q, N]: final members that gave the answer which most of them gave."""
    is_final = reads.is_reader & ~reads.direct.any(axis=0)
    answer = np.where(is_final & table.recorded, table.answer, np.int16(-1))
    backers = (answer[:, :, None] == answer[:, None, :]).sum(axis=2)
    backers = np.where(answer >= 0, backers, 0)
    return np.asarray((backers == backers.max(axis=1, keepdims=True)) & (backers > 0))


def _gives_consensus(table: ResponseTable, final: BoolArray) -> BoolArray:
    """bool[Q, N]: whose answer is that of the final ones, or one of those that tie."""
    agreed = np.where(final, table.answer, np.int16(-2))
    return np.asarray((table.answer[:, :, None] == agreed[:, None, :]).any(axis=2))


def rank_correlation(one: Float64Array, other: Float64Array) -> float | None:
    """Spearman's, with mean ranks of ties; None where either is the same throughout.

    >>> rank_correlation(np.array([1.0, 2.0, 9.0]), np.array([0.1, 0.3, 0.2]))
    0.5
    """
    ranks = [_ranks(values) for values in (one, other)]
    if any(np.ptp(rank) == 0 for rank in ranks):
        return None
    first, second = (rank - rank.mean() for rank in ranks)
    spread = np.sqrt((first @ first) * (second @ second))
    return round(float(first @ second / spread), 12)


def _ranks(values: Float64Array) -> Float64Array:
    below = (values[:, None] > values[None]).sum(axis=1)
    ties = (values[:, None] == values[None]).sum(axis=1)
    return np.asarray(below + (ties - 1) / 2, dtype=np.float64)
