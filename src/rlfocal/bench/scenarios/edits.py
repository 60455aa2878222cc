"""Change members' answers or training labels in a table; everything else stays.

Pure functions from table to table; all chance comes from the generator that is passed in. An answer
given by an edit is always a candidate that the query has already, or no usable answer: for an open
query no new text is invented. Costs and latencies stay: a member that fails is paid all the same.
An answer that was not given has no reply: what is known of one is of the reply that was given.
What a reader would have said of an answer that was not given is not known either: where an edit
changes what it read, it gives no usable answer, unless the edit says what it answers.

Axes: Q queries, N members, C candidate slots, S samples, K queries of an edit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rlfocal.records import BoolArray, IntArray, ResponseTable
from rlfocal.records.signals import Replies

__all__ = [
    "answer_at_random",
    "collude",
    "fail",
    "give",
    "improve",
    "joined",
    "mislabel",
    "stand_in",
]

Int16Array = NDArray[np.int16]


def give(
    table: ResponseTable, member: int, rows: IntArray, answer: NDArray[np.integer]
) -> ResponseTable:
    """Replace one member's answers to some queries.

    The old and the new answer change places in its supports, option scores and samples, so that it
    backs the new one exactly as strongly as it backed the old one. Where there was no answer, the
    new one gets all support.

    Args:
        table: the recorded answers.
        member: n in [0, N).
        rows: int64[K], distinct queries.
        answer: int[K], an existing candidate each, or -1 for no usable answer.
    """
    old = table.answer[rows, member].astype(np.int64)
    new = answer.astype(np.int64)
    both, fresh, gone = (old >= 0) & (new >= 0), (old < 0) & (new >= 0), new < 0
    answers, support = table.answer.copy(), table.support.copy()
    answers[rows, member] = new
    support[rows, member] = _swapped(support[rows, member], old, new, both)
    support[rows[fresh], member] = np.arange(table.n_candidates) == new[fresh, None]
    support[rows[gone], member] = 0
    changes: dict[str, Any] = {"answer": answers, "support": support}
    if table.option_scores is not None:
        scores = table.option_scores.copy()
        scores[rows, member] = _swapped(scores[rows, member], old, new, both)
        scores[rows[~both], member] = np.nan
        changes["option_scores"] = scores
    if table.samples is not None:
        samples = table.samples.copy()
        drawn = samples[rows, member]  # [K, S]
        was, becomes = old[:, None], new[:, None]
        moved = np.where(drawn == was, becomes, np.where(drawn == becomes, was, drawn))
        moved = np.where(gone[:, None], -1, moved)
        samples[rows, member] = np.where(drawn == -2, -2, moved)
        changes["samples"] = samples
    if table.replies is not None:
        changes["replies"] = table.replies.where(answers == table.answer)
    return replace(table, **changes)


def _swapped(
    values: NDArray[np.float32], old: IntArray, new: IntArray, where: BoolArray
) -> NDArray[np.float32]:
    """float32[K, C] with the columns `old` and `new` of each row in each other's place."""
    out, line = values.copy(), np.flatnonzero(where)
    out[line, new[line]] = values[line, old[line]]
    out[line, old[line]] = values[line, new[line]]
    return out


def fail(table: ResponseTable, members: Sequence[int], *, start: int = 0) -> ResponseTable:
    """Let members give no usable answer from query `start` on."""
    rows, found = np.arange(start, table.n_queries), table
    for member in members:
        found = give(found, member, rows, np.full(len(rows), -1))
    return _unheard(table, found, members)


def _unheard(before: ResponseTable, after: ResponseTable, members: Sequence[int]) -> ResponseTable:
    """Let members that read changed answers give none, but those that were changed themselves."""
    if before.reads is None:
        return after
    changed = (after.answer != before.answer).astype(np.float32)
    misled = (changed @ before.reads.closure.T.astype(np.float32)) > 0
    for reader in np.flatnonzero(misled.any(axis=0)).tolist():
        if reader not in members:
            rows = np.flatnonzero(misled[:, reader])
            after = give(after, reader, rows, np.full(len(rows), -1))
    return after


def answer_at_random(
    table: ResponseTable, member: int, *, start: int = 0, rng: np.random.Generator
) -> ResponseTable:
    """Let a member answer at random from query `start` on.

    Each existing candidate is equally likely; for an open query no usable answer counts as one
    more, since an answer at random would hardly ever be one that another member gave.
    """
    rows = np.arange(start, table.n_queries)
    draw = rng.random((len(rows), table.n_candidates + 1))
    allowed = np.column_stack([table.exists[rows], table.is_open[rows]])
    allowed[~allowed.any(axis=1), -1] = True
    drawn = np.where(allowed, draw, -1).argmax(axis=1)
    found = give(table, member, rows, np.where(drawn == table.n_candidates, -1, drawn))
    return _unheard(table, found, [member])


def collude(
    table: ResponseTable,
    members: Sequence[int],
    *,
    start: int = 0,
    share: float,
    rng: np.random.Generator,
) -> ResponseTable:
    """Let members give the same wrong answer to a share of the queries from `start` on.

    The answer is one of the query's wrong candidates, each equally likely; where it has none (an
    open query that all members got right), the members give no usable answer.
    """
    rows = np.arange(start, table.n_queries)
    rows = rows[rng.random(len(rows)) < share]
    draw = rng.random((len(rows), table.n_candidates))
    wrong = table.exists[rows] & (table.candidate_score[rows] < 0.5)
    answer = np.where(wrong.any(axis=1), np.where(wrong, draw, -1).argmax(axis=1), -1)
    found = table
    for member in members:
        found = give(found, member, rows, answer)
    return _unheard(table, found, members)


def improve(
    table: ResponseTable,
    member: int,
    *,
    start: int = 0,
    share: float,
    rng: np.random.Generator,
) -> ResponseTable:
    """Let a member give the right answer to a share of the queries it got wrong from `start` on.

    Queries without a right candidate stay as they are.
    """
    rows = np.arange(start, table.n_queries)
    solvable = (table.candidate_score[rows] * table.exists[rows]).max(axis=1) >= 0.5
    use = solvable & table.failed[rows, member] & (rng.random(len(rows)) < share)
    rows = rows[use]
    best = np.where(table.exists[rows], table.candidate_score[rows], -1).argmax(axis=1)
    return _unheard(table, give(table, member, rows, best), [member])


def stand_in(
    table: ResponseTable, member: int, substitute: int, *, start: int = 0
) -> ResponseTable:
    """Let a substitute answer in a member's name, at the member's price, from `start` on."""
    rows = slice(start, None)
    changes: dict[str, Any] = {}
    for name in ("answer", "support", "option_scores", "samples"):
        value = getattr(table, name)
        if value is not None:
            value = value.copy()
            value[rows, member] = value[rows, substitute]
            changes[name] = value
    if table.replies is not None:
        place = np.arange(table.answer.size).reshape(table.answer.shape)
        place[rows, member] = place[rows, substitute]
        changes["replies"] = table.replies.at(place)
    return _unheard(table, replace(table, **changes), [member])


def mislabel(table: ResponseTable, share: float, *, rng: np.random.Generator) -> ResponseTable:
    """Label a share of the queries wrongly: the best candidate's score goes to another one.

    The other one is drawn from the existing candidates with another score; where an open query has
    none, its candidates are labelled wrong, as if an answer that no member gave were right. Queries
    whose candidates are all worth nothing, and other queries of equal scores, cannot be mislabelled
    so; the share is of all queries, drawn from the rest.
    """
    score = table.candidate_score.copy()
    at_all = np.where(table.exists, score, -1)
    best = at_all.argmax(axis=1)
    top = at_all[np.arange(table.n_queries), best]
    other = table.exists & (score != top[:, None])  # [Q, C]
    usable = np.flatnonzero((top > 0) & (other.any(axis=1) | table.is_open))
    n_wrong = min(len(usable), round(share * table.n_queries))
    rows = rng.permutation(usable)[:n_wrong]
    draw = rng.random((len(rows), table.n_candidates))
    swap = other[rows].any(axis=1)
    with_other = rows[swap]
    chosen = np.where(other[with_other], draw[swap], -1).argmax(axis=1)
    score[with_other, best[with_other]] = table.candidate_score[with_other, chosen]
    score[with_other, chosen] = top[with_other]
    score[rows[~swap]] = 0
    return replace(table, candidate_score=score)


def joined(first: ResponseTable, second: ResponseTable) -> ResponseTable:
    """Put the queries of one table before those of another with the same members and slots."""
    changes: dict[str, Any] = {
        item.name: np.concatenate([value, getattr(second, item.name)])
        for item in fields(first)
        if isinstance(value := getattr(first, item.name), np.ndarray)
    }
    if first.replies is not None and second.replies is not None:
        changes["replies"] = Replies.concat([first.replies, second.replies])
    return replace(first, **changes)
