"""Whether a reader follows the right one of those it reads, or is led astray.

Axes: Q queries, N members.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rlfocal.bench.summaries.reading.shares import Share
from rlfocal.readers import JUDGING, Reads
from rlfocal.records import BoolArray, CandidateKind, IntArray, ResponseTable

__all__ = ["Following", "SecondThoughts", "followings"]

_RIGHT = 0.5
"""An answer that scores so much is right."""


@dataclass(frozen=True, kw_only=True)
class SecondThoughts:
    """A reader beside its own earlier answer, on the queries where both are there."""

    changed: Share
    """Queries where it answers otherwise than at first."""
    mended: Share
    """Of those where it was wrong at first: right now."""
    spoilt: Share
    """Of those where it was right at first: wrong now."""
    right_confirmed: Share
    """Of those where somebody it reads gave its own first answer: that is right."""
    right_alone: Share
    """Of those where nobody it reads gave its own first answer: that is right."""


@dataclass(frozen=True, kw_only=True)
class Following:
    """One reader, on the queries where it and somebody it reads have a record that can be judged.

    Right is an answer that scores at least 0.5. "They" are those it reads, its own first reply
    included, with a usable answer.
    """

    reader: str
    n_queries: int
    follows_right: Share
    """Of the queries where some of them are right and others wrong: it is right."""
    led_astray: Share | None
    """Of the same: it gives a wrong answer that one of them gave; None where answers cannot be
    compared."""
    keeps: Share
    """Of the queries where all of them are right: so is it."""
    rescues: Share
    """Of the queries where none of them is right: it is."""
    repeats_wrong: Share | None
    """Of the same: it gives an answer that one of them gave, as a verifier does that calls a wrong
    reply right; None where answers cannot be compared."""
    accuracy: float
    """Mean score of the reader, in [0, 1]."""
    best_read: str
    """The best of those it reads on these queries, known afterwards."""
    best_read_accuracy: float
    """Its mean score there; no usable answer counts 0."""
    second_thoughts: SecondThoughts | None
    """None where it reads no reply as its own."""


def followings(table: ResponseTable) -> tuple[Following, ...]:
    """Look at every reader that answers.

    Args:
        table: recorded and judged answers.

    Returns:
        One for each reader with a usable answer anywhere, in the members' order.
    """
    reads = table.reads
    if reads is None:
        return ()
    who = np.flatnonzero(reads.is_reader & table.answered.any(axis=0)).tolist()
    found = [_following(table, reads, reader) for reader in who]
    return tuple(one for one in found if one is not None)


def _following(table: ResponseTable, reads: Reads, reader: int) -> Following | None:
    read = np.flatnonzero(reads.direct[reader])
    usable = table.scored[:, read] & table.answered[:, read]
    rows = np.flatnonzero(table.scored[:, reader] & usable.any(axis=1))
    if not len(rows):
        return None
    usable, score = usable[rows], np.where(usable[rows], table.member_score[rows][:, read], 0)
    right = _right(table, rows, reader)
    n_right: IntArray = (usable & (score >= _RIGHT)).sum(axis=1)
    mixed = (n_right > 0) & (n_right < usable.sum(axis=1))
    none_right = np.equal(n_right, 0)
    wrong_read = usable & (score < _RIGHT)
    same = _same_answer(table, rows, reader, read)
    comparable = _comparable(table, reads, reader)[rows]
    best = int(score.mean(axis=0).argmax())
    return Following(
        reader=table.members[reader],
        n_queries=len(rows),
        follows_right=Share.of(right, mixed),
        led_astray=None
        if not comparable.any()
        else Share.of(~right & (same & wrong_read).any(axis=1), mixed & comparable),
        keeps=Share.of(right, np.equal(n_right, usable.sum(axis=1))),
        rescues=Share.of(right, none_right),
        repeats_wrong=None
        if not comparable.any()
        else Share.of(np.asarray((same & usable).any(axis=1)), none_right & comparable),
        accuracy=float(table.member_score[rows, reader].mean(dtype=np.float64)),
        best_read=table.members[read[best]],
        best_read_accuracy=float(score[:, best].mean(dtype=np.float64)),
        second_thoughts=_second_thoughts(table, reads, reader),
    )


def _comparable(table: ResponseTable, reads: Reads, reader: int) -> BoolArray:
    """bool[Q]: where its answer can be that of somebody it reads."""
    judges = reads.forms[reader] in JUDGING
    return np.asarray((table.kind != CandidateKind.RESPONSES) | judges)


def _right(table: ResponseTable, rows: IntArray, member: int) -> BoolArray:
    return np.asarray(table.member_score[rows, member] >= _RIGHT)


def _same_answer(table: ResponseTable, rows: IntArray, reader: int, others: IntArray) -> BoolArray:
    """bool[K, M]: who of others gave the usable answer of a member."""
    own = table.answer[rows, reader][:, None]
    return np.asarray((table.answer[rows][:, others] == own) & (own >= 0))


def _second_thoughts(table: ResponseTable, reads: Reads, reader: int) -> SecondThoughts | None:
    first = int(reads.first[reader])
    if first < 0 or not (table.kind != CandidateKind.RESPONSES).any():
        return None
    there = table.scored[:, [reader, first]].all(axis=1) & (table.kind != CandidateKind.RESPONSES)
    rows = np.flatnonzero(there & table.answered[:, first])
    others = np.array([m for m in np.flatnonzero(reads.direct[reader]) if m != first], dtype=int)
    was, now = _right(table, rows, first), _right(table, rows, reader)
    now_other = np.not_equal(table.answer[rows, first], table.answer[rows, reader])
    every = np.ones(len(rows), dtype=bool)
    confirmed = np.asarray(_same_answer(table, rows, first, others).any(axis=1))
    return SecondThoughts(
        changed=Share.of(np.asarray(now_other), every),
        mended=Share.of(now, ~was),
        spoilt=Share.of(~now, was),
        right_confirmed=Share.of(was, confirmed),
        right_alone=Share.of(was, ~confirmed),
    )
