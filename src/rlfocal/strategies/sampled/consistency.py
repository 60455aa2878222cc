"""Self-consistency: one member asked m times, and the majority of its samples.

What m calls buy without any second model, so the least that an ensemble of m calls has to beat.
It needs several recorded samples per query, which the rounds of a strategy cannot express.

Paper: Wang et al., Self-Consistency Improves Chain of Thought Reasoning, arXiv:2203.11171.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from rlfocal.deliberation.base import Base
from rlfocal.deliberation.protocol import Need, Outcome
from rlfocal.errors import NotApplicable
from rlfocal.records import BoolArray, ResponseTable
from rlfocal.strategies.single import sound_accuracy
from rlfocal.strategies.sizes import checked_count

__all__ = ["Sampled", "SelfConsistency"]

_SIZES = (1, 3, 5, 10, 20)


class Sampled(Base, ABC):
    """The most accurate member in training, asked again and again; the majority of its samples.

    Every sample drawn counts as a call, unusable ones included; all are drawn in one round. Ties
    go to the candidate sampled first. A recorded price in dollars covers all samples of a response,
    so a share of it is charged; where every call costs 1, every sample does. Members that read
    others are not taken: theirs would be samples of several models. A subclass writes `drawn`,
    which says where sampling ends, and `dials`.
    """

    needs: ClassVar[frozenset[Need]] = frozenset({Need.ANSWERS, Need.SAMPLES})

    @abstractmethod
    def drawn(self, samples: NDArray[np.int16], n_candidates: int) -> BoolArray:
        """Which samples are drawn; they come in the order of their columns.

        Args:
            samples: int16[Q, S], the candidate of each; -1 unusable, -2 no such sample.
            n_candidates: C.

        Returns:
            bool[Q, S]; what it says of samples that do not exist counts for nothing. Whether one is
            drawn must depend on those before it alone.
        """

    def fit(self, table: ResponseTable, *, rng: np.random.Generator) -> Self:
        """Pick the member among those sampled more than once; ties go to the cheaper one.

        Raises:
            NotApplicable: no member was sampled more than once.
        """
        if table.samples is None:
            raise NotApplicable(f"{self.name}: {Need.SAMPLES.value}")
        recorded = (table.samples != -2).sum(axis=2).max(axis=0)
        if table.reads is not None:
            recorded = np.where(table.reads.is_reader, 0, recorded)
        score = np.where(recorded > 1, sound_accuracy(table), -1)
        if not (recorded > 1).any():
            raise NotApplicable(f"{self.name}: {Need.SAMPLES.value}")
        self.member_ = int(np.lexsort((table.mean_cost, -score))[0])
        self.n_recorded_ = int(recorded[self.member_])
        unit, measured = table.call_cost(), []
        for n_samples in self.dials:
            found = self.with_dial(n_samples).outcome(table)
            means = (float(np.mean(x[found.measured])) for x in (found.score, found.cost / unit))
            measured.append((n_samples, *means))
        self.measured_ = np.array(measured)
        return self

    def outcome(self, table: ResponseTable) -> Outcome:
        """Take the majority of the samples drawn.

        A query that the member answered without any recorded sample counts as one call; one of
        which nothing is recorded is not measured.
        """
        drawn, n_drawn, n_recorded = self._draw(table)
        there = table.recorded[:, self.member_]
        n_drawn = np.where(there, n_drawn, 0)
        chosen, share = _majority(drawn, table.n_candidates)
        price = table.cost[:, self.member_].astype(np.float64)
        price = price * n_drawn / (n_recorded if table.cost_unit == "usd" else 1)
        latency_s = np.full(table.n_queries, np.nan, dtype=np.float32)
        if table.latency_s is not None:
            latency_s = table.latency_s[:, self.member_]
        asked = np.zeros((table.n_queries, table.n_members), dtype=bool)
        asked[:, self.member_] = there
        return Outcome(
            chosen=chosen,
            score=table.measured_score(chosen, asked),
            confidence=share,
            asked=asked,
            n_calls=n_drawn,
            n_rounds=there.astype(np.int64),
            cost=price.astype(np.float32),
            latency_s=latency_s,
        )

    def _draw(
        self, table: ResponseTable
    ) -> tuple[NDArray[np.int16], NDArray[np.int64], NDArray[np.int64]]:
        """Samples int16[Q, S] that vote (-1: none), calls made int64[Q], and calls recorded."""
        own = table.answer[:, self.member_, None]
        recorded = own if table.samples is None else table.samples[:, self.member_]
        # Where no sample is recorded, the answer is the only one.
        nothing = (recorded == -2).all(axis=1)
        recorded = recorded.copy()
        recorded[nothing, 0] = own[nothing, 0]
        there = recorded != -2
        drawn = self.drawn(recorded, table.n_candidates) & there
        votes = np.where(drawn, recorded, np.int16(-1))
        return votes, drawn.sum(axis=1), np.maximum(there.sum(axis=1), 1)


class SelfConsistency(Sampled):
    """The member that was most accurate in training, sampled until m samples are usable.

    Args:
        n_samples: m; None for as many as the member has.
    """

    name = "self-consistency"
    dial: ClassVar[str] = "n_samples"

    def __init__(self, *, n_samples: int | None = None) -> None:
        self.n_samples = None if n_samples is None else checked_count(n_samples, "n_samples")

    @property
    def dials(self) -> tuple[float, ...]:
        """Numbers of samples worth showing, cheapest first; at most what was recorded."""
        return tuple(float(m) for m in _SIZES if m <= self.n_recorded_)

    def with_dial(self, value: float) -> Self:
        """Return the same fitted reference with another number of samples.

        Raises:
            ValueError: fewer than one sample.
        """
        return super().with_dial(checked_count(value, "n_samples"))

    def drawn(self, samples: NDArray[np.int16], n_candidates: int) -> BoolArray:
        """bool[Q, S]: the sample that completes m is drawn, and none after it."""
        n_usable = np.cumsum(samples >= 0, axis=1)
        wanted = samples.shape[1] if self.n_samples is None else self.n_samples
        return np.asarray(n_usable - (samples >= 0) < wanted)


def _majority(
    samples: NDArray[np.int16], n_candidates: int
) -> tuple[NDArray[np.int16], NDArray[np.float32]]:
    """The most frequent candidate of each row (int16[Q], -1: none) and its share (float32[Q])."""
    n_rows, n_samples = samples.shape
    rows = np.arange(n_rows)
    count = np.zeros((n_rows, n_candidates + 1))  # the last slot takes the -1
    first = np.full((n_rows, n_candidates + 1), n_samples)
    for place in reversed(range(n_samples)):
        count[rows, samples[:, place]] += 1
        first[rows, samples[:, place]] = place
    count, first = count[:, :-1], first[:, :-1]
    chosen = (count - first / (n_samples + 1)).argmax(axis=1)
    votes = count[rows, chosen]
    share = votes / np.maximum(count.sum(axis=1), 1)
    return np.where(votes > 0, chosen, -1).astype(np.int16), share.astype(np.float32)
