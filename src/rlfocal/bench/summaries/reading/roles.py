"""What each member is worth in its role: the mean outcome of what read it.

Paper: Motwani et al., "MALT: Improving Reasoning with Multi-Agent LLM Training", arXiv:2412.01928:
a node of the tree of generator, verifier and refiner is worth the mean outcome of the leaves below
it. Departures: the tree is that of recorded readers; each member answered once, or as often as it
was sampled, and members are compared in place of branches.

Axes: Q queries, N members, S samples.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from rlfocal.numbers import wilson
from rlfocal.records import FloatArray, IntArray, ResponseTable
from rlfocal.records.schema import CRITICISING, JUDGING

__all__ = ["Role", "RoleValue", "role_values"]

Role = Literal["generator", "critic", "refiner"]

_RIGHT = 0.5
_CRITICS = JUDGING | {CRITICISING}


@dataclass(frozen=True, kw_only=True)
class RoleValue:
    """One member in its role."""

    member: str
    role: Role
    leaves: tuple[str, ...]
    """The final members that read it, directly or through others; itself where nobody reads it."""
    value: float
    """Mean outcome of these, in [0, 1]."""
    interval: tuple[float, float]
    """95 %."""
    n_queries: int
    """Where it and one of these have a record that can be judged."""
    beside: float | None
    """Mean outcome, on the same queries, of final members that did not read it, if any."""
    where_right: float | None
    """Mean outcome of those that read it where its own answer scores at least 0.5; None where it is
    final itself, gives no answer, or never does."""
    where_wrong: float | None
    """The same where its own answer scores less: how far its mistakes are mended."""


def role_values(table: ResponseTable) -> tuple[RoleValue, ...]:
    """Value of every member that reads or is read, in the members' order."""
    reads = table.reads
    if reads is None:
        return ()
    reading, is_read = reads.is_reader, reads.direct.any(axis=0)
    leaves = np.flatnonzero(reading & ~is_read)
    outcome, known = _outcomes(table), table.scored
    found = []
    for n in np.flatnonzero(reading | is_read).tolist():
        below = reads.with_read[leaves, n]
        own, others = leaves[below], leaves[~below]
        rows = np.flatnonzero(known[:, n] & known[:, own].any(axis=1))
        if not len(rows):
            continue
        value = _mean_outcome(outcome[rows][:, own], known[rows][:, own])
        low, high = wilson(value, len(rows))
        right, wrong = (
            _mean_outcome(outcome[some][:, own], known[some][:, own])
            if n not in own and len(some)
            else None
            for some in _by_rightness(table, rows, n)
        )
        both = rows[known[rows][:, others].any(axis=1)]
        found.append(
            RoleValue(
                member=table.members[n],
                role=_role(reads.forms[n]),
                leaves=tuple(table.members[leaf] for leaf in own),
                value=value,
                interval=(float(low), float(high)),
                n_queries=len(rows),
                beside=_mean_outcome(outcome[both][:, others], known[both][:, others])
                if len(both)
                else None,
                where_right=right,
                where_wrong=wrong,
            )
        )
    return tuple(found)


def _by_rightness(table: ResponseTable, rows: IntArray, member: int) -> tuple[IntArray, IntArray]:
    """Those of the queries where a member's usable answer is right, and where it is wrong."""
    rows = rows[table.answered[rows, member]]
    right = table.member_score[rows, member] >= _RIGHT
    return rows[right], rows[~right]


def _role(form: str) -> Role:
    return "critic" if form in _CRITICS else "refiner" if form else "generator"


def _mean_outcome(outcome: FloatArray, known: np.ndarray) -> float:
    """The mean over queries of the mean over their leaves with a record."""
    each = np.where(known, outcome, 0).sum(axis=1, dtype=np.float64) / known.sum(axis=1)
    return float(each.mean())


def _outcomes(table: ResponseTable) -> FloatArray:
    """float32[Q, N] in [0, 1]: mean worth of a member's samples, or of its answer."""
    if table.samples is None:
        return table.member_score
    flat = table.samples.reshape(table.n_queries, -1)
    worth = table.score_of(np.maximum(flat, -1)).reshape(table.samples.shape)
    there = table.samples != -2
    total = np.where(there, worth, 0).sum(axis=2)
    mean = total / np.maximum(there.sum(axis=2), 1)
    return np.where(there.any(axis=2), mean, table.member_score).astype(np.float32)
