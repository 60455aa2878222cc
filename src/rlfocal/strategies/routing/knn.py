"""A router that asks whoever did best on the most similar training queries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from rlfocal.deliberation.protocol import Need, State
from rlfocal.deliberation.state import Row
from rlfocal.records import FloatArray, IntArray, ResponseTable
from rlfocal.strategies.amounts import checked_amount
from rlfocal.strategies.routing.router import Router, best_setting, routed_score
from rlfocal.strategies.single import expected_score, task_accuracy
from rlfocal.strategies.sizes import checked_count

__all__ = ["KnnRouter"]

_CHUNK_ROWS = 256
"""Queries compared at once with all training queries; bounds memory, changes no result."""


class KnnRouter(Router):
    """Predicts a member's score by its accuracy on the task and its gain on similar queries.

    The gain is the mean, over the k nearest training queries, of score minus accuracy on that
    query's task, drawn towards zero by pseudo-counts. Where all neighbours are of the query's task,
    this is their mean score drawn towards the accuracy on the task. Nearness is cosine similarity
    of the features, plus a bonus for the same task. k is chosen by leaving out one training query
    (and its repeats) at a time; where no k beats the best member of each task by more than a
    standard error, k_ = 0 and the router asks that member.

    Args:
        cost_weight: price of a call, see `Router`.
        sizes: the k to choose from; those above the number of other training queries are cut to it.
        task_bonus: added to the similarity of queries of the same task, >= 0.
        pseudo_counts: how many neighbours without any gain are added.
        max_tuning_rows: at most this many training queries, evenly spaced, judge k.

    Raises:
        ValueError: an empty or non-positive `sizes`, or elsewhere a number that is negative or not
            finite.
    """

    name = "knn-router"
    needs: ClassVar[frozenset[Need]] = frozenset({Need.FEATURES})
    fitted: ClassVar[Mapping[str, Row]] = {
        **Router.fitted,
        "text_key": Row("float32", "QD"),
        "task_key": Row("float32", "QT"),
        "task_accuracy": Row("float32", "TN", 0, 1),
        "gain": Row("float32", "QN", -1, 1),
        "k": Row("int64", "", 0, "=Q"),
    }

    def __init__(
        self,
        *,
        cost_weight: float = 0.0,
        sizes: tuple[int, ...] = (10, 20, 40, 80, 160, 320),
        task_bonus: float = 0.5,
        pseudo_counts: float = 20.0,
        max_tuning_rows: int = 4000,
    ) -> None:
        super().__init__(cost_weight=cost_weight)
        if not sizes or min(sizes) < 1:
            raise ValueError(f"sizes must hold positive integers, got {sizes}")
        self.sizes = tuple(sorted(sizes))
        self.task_bonus = checked_amount(task_bonus, "task_bonus", may_be_zero=True)
        self.pseudo_counts = checked_amount(pseudo_counts, "pseudo_counts", may_be_zero=True)
        self.max_tuning_rows = checked_count(max_tuning_rows, "max_tuning_rows")

    def _fit_predictor(self, table: ResponseTable, rng: np.random.Generator) -> None:
        self.task_accuracy_ = task_accuracy(table)
        self.key_ = self._keys(table.task, table.features)
        self.gain_ = expected_score(table) - self.task_accuracy_[table.task]
        # With one query and its repeats left out, there must still be k others.
        room = max(1, table.n_queries - int(np.unique(table.group, return_counts=True)[1].max()))
        sizes = tuple(sorted({min(k, room) for k in self.sizes}))
        self.k_ = self._best_size(table, sizes)

    def state(self) -> State:
        """What fitting found, the keys apart by what they are of: so their shapes are known."""
        found, n_tasks = super().state(), len(self.task_accuracy_)
        key = found.pop("key")
        return found | {"text_key": key[:, :-n_tasks], "task_key": key[:, -n_tasks:]}

    def restore(self, state: Mapping[str, NDArray[Any]]) -> Self:
        """Undo `state`."""
        found = dict(state)
        found["key"] = np.hstack([found.pop("text_key"), found.pop("task_key")])
        return super().restore(found)

    def predict(self, task: IntArray, features: FloatArray) -> FloatArray:
        """float32[B, N]: accuracy on the task plus the gain of the k nearest."""
        if self.k_ == 0:
            return self.task_accuracy_[task]
        return np.asarray(self.predict_by(task, features, (self.k_,))[0])

    def predict_by(self, task: IntArray, features: FloatArray, sizes: Sequence[int]) -> FloatArray:
        """float32[S, B, N]: what `predict` says for each of S positive k, from one search.

        Args:
            task: int64[B].
            features: float32[B, D].
            sizes: the k; none above the number of training queries.
        """
        prior = self.task_accuracy_[task]
        found = np.empty((len(sizes), *prior.shape), dtype=np.float32)
        for rows in _chunks(np.arange(len(task))):
            near = self._keys(task[rows], features[rows]) @ self.key_.T
            for i, nearest in enumerate(_nearest(near, sizes)):
                found[i, rows] = self.gain_[nearest].sum(axis=1)
        found /= np.array([k + self.pseudo_counts for k in sizes], np.float32)[:, None, None]
        found += prior
        return np.asarray(np.clip(found, 0, 1))

    def _best_size(self, table: ResponseTable, sizes: tuple[int, ...]) -> int:
        """Return the k that would have earned most, judged leaving one out; 0 for none."""
        n_judges = min(table.n_queries, self.max_tuning_rows)
        judges = np.linspace(0, table.n_queries - 1, n_judges).astype(np.int64)
        routed, expected = np.empty((1 + len(sizes), n_judges), np.float32), expected_score(table)
        for start in range(0, n_judges, _CHUNK_ROWS):
            rows = judges[start : start + _CHUNK_ROWS]
            near = self.key_[rows] @ self.key_.T
            near[table.group[rows][:, None] == table.group] = -np.inf
            totals = _running_totals(near, self.gain_, sizes)
            prior = self.task_accuracy_[table.task[rows]]
            score = expected[rows]
            block = slice(start, start + len(rows))
            routed[0, block] = routed_score(prior, score)
            # The largest k, which is the smoothest, comes first.
            for i, k in enumerate(reversed(sizes)):
                predicted = prior + totals[-1 - i] / np.float32(k + self.pseudo_counts)
                routed[1 + i, block] = routed_score(predicted, score)
        return (0, *sizes[::-1])[best_setting(routed)]

    def _keys(self, task: IntArray, features: FloatArray) -> FloatArray:
        """float32[B, D + T]: rows whose dot products are similarity plus task bonus."""
        length = np.linalg.norm(features, axis=1, keepdims=True)
        same = (task[:, None] == np.arange(len(self.task_accuracy_))) * np.sqrt(
            np.float32(self.task_bonus)
        )
        return np.hstack([features / np.maximum(length, 1e-9), same]).astype(np.float32)


def _chunks(rows: IntArray) -> list[IntArray]:
    return [rows[i : i + _CHUNK_ROWS] for i in range(0, len(rows), _CHUNK_ROWS)]


def _nearest(near: FloatArray, sizes: Sequence[int]) -> list[IntArray]:
    """The nearest k, the nearest first, for every k in `sizes`: int64[B, k] each.

    Which of equally near ones comes first, and which is the last of the k, is as a search for so
    many alone leaves it: sums of their gains are then the same to the last bit.

    Args:
        near: float32[B, Q], similarity; -inf for queries that must not count.
        sizes: each at most Q.
    """
    most = max(sizes)
    widest = _ordered(near, most)
    if min(sizes) == most:
        return [widest] * len(sizes)
    closeness = np.take_along_axis(near, widest, axis=1)
    falls = closeness[:, 1:] < closeness[:, :-1]
    found = []
    for k in sizes:
        nearest = widest
        if k < most:
            nearest = widest[:, :k].copy()
            tied = ~falls[:, :k].all(axis=1)
            if tied.any():
                nearest[tied] = _ordered(near[tied], k)
        found.append(nearest)
    return found


def _ordered(near: FloatArray, k: int) -> IntArray:
    """int64[B, k]: the k largest of each row, the largest first."""
    if k < near.shape[1]:
        nearest = np.argpartition(near, -k, axis=1)[:, -k:]
    else:
        nearest = np.tile(np.arange(near.shape[1]), (len(near), 1))
    order = np.argsort(-np.take_along_axis(near, nearest, axis=1), axis=1, kind="stable")
    return np.take_along_axis(nearest, order, axis=1)


def _running_totals(near: FloatArray, gain: FloatArray, sizes: tuple[int, ...]) -> list[FloatArray]:
    """Sums of gains over the nearest k, for every k in ascending `sizes`: float32[B, N] each.

    Args:
        near: float32[B, Q], similarity; -inf for queries that must not count.
        gain: float32[Q, N].
        sizes: ascending, at most Q.
    """
    nearest = _ordered(near, sizes[-1])
    totals, start = [], 0
    running = np.zeros((len(near), gain.shape[1]), dtype=np.float32)
    for k in sizes:
        running = running + gain[nearest[:, start:k]].sum(axis=1)
        totals.append(running)
        start = k
    return totals
