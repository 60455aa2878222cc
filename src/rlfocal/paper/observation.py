"""The paper's observations, and the sequence of masks of a frozen Decider.

Axes: B queries, N members, L leading candidates, W remembered queries.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from rlfocal.deliberation.view import Memory, View
from rlfocal.diversity import FailureCounts
from rlfocal.paper.nets import PaperDecider
from rlfocal.records import BoolArray, FloatArray, IntArray
from rlfocal.strategies.static import VoteAccuracy
from rlfocal.strategies.voting import plurality_share

__all__ = ["N_LEADING", "EnsembleScore", "Leading", "chain", "leading_candidates", "observe"]

N_LEADING = 6
"""L: leading candidates that Fusion chooses among."""


class EnsembleScore:
    """Focal diversity and plurality accuracy of masks over remembered queries.

    Args:
        memory: labelled queries.
        order: int64[N], members from best to worst (breaks ties of the vote).
        focal_weight: share of focal diversity; the rest is accuracy.
    """

    def __init__(self, memory: Memory, order: IntArray, *, focal_weight: float) -> None:
        # A member that was not asked a remembered query counts as not failed on it.
        self._counts = FailureCounts.from_failed(memory.scored & ~(memory.member_score >= 0.5))
        self._accuracy = VoteAccuracy(memory, order)
        self._focal_weight = focal_weight

    def __call__(self, masks: BoolArray) -> FloatArray:
        """Masks bool[B, N] → float32[B] in [0, 1]."""
        focal, accuracy = self._counts.focal(masks), self._accuracy(masks)
        score = self._focal_weight * focal + (1 - self._focal_weight) * accuracy
        return score.astype(np.float32)


class Leading(NamedTuple):
    """Candidates in order of the asked members' votes."""

    place: IntArray
    """int64[B, L]: candidate in each place."""
    exists: BoolArray
    """bool[B, L]."""
    inputs: Tensor
    """float32[B, N * L]: supports of the members asked, zeros elsewhere."""

    @property
    def existing(self) -> IntArray:
        """int64[B, L]: candidate in each place, -1 where there is none."""
        return np.where(self.exists, self.place, -1)


def leading_candidates(view: View, order: IntArray) -> Leading:
    """Order the candidates of a view; ties go to the candidate of the best member (`order`)."""
    votes = np.where(view.available, plurality_share(view, order) + 1e-6, 0)
    size = min(N_LEADING, votes.shape[1])
    place = np.argsort(-votes, axis=1, kind="stable")[:, :size]
    exists = np.take_along_axis(view.available, place, axis=1)
    if size < N_LEADING:
        place = np.pad(place, ((0, 0), (0, N_LEADING - size)))
        exists = np.pad(exists, ((0, 0), (0, N_LEADING - size)))
    support = np.take_along_axis(view.support, place[:, None, :], axis=2) * exists[:, None]
    inputs = torch.from_numpy(support.reshape(len(view), -1).astype(np.float32))
    return Leading(place, exists, inputs)


def observe(masks: BoolArray, score: EnsembleScore) -> Tensor:
    """The Decider's observation: previous mask, its score, its size; float32[B, N + 2]."""
    size = masks.mean(axis=1, dtype=np.float32)
    parts = [masks.astype(np.float32), score(masks)[:, None], size[:, None]]
    return torch.from_numpy(np.hstack(parts))


def chain(decider: PaperDecider, score: EnsembleScore, position: IntArray) -> BoolArray:
    """Masks bool[B, N] at places `position` of a stream that starts from the whole pool."""
    n_members = decider.n_members
    masks = [np.ones(n_members, dtype=bool)]
    first_met: dict[bytes, int] = {masks[0].tobytes(): 0}
    while True:
        following = decider.likeliest(observe(masks[-1][None], score))[0].numpy() > 0.5
        loop_start = first_met.get(following.tobytes())
        if loop_start is not None:
            break
        first_met[following.tobytes()] = len(masks)
        masks.append(following)
        if len(masks) > int(position.max(initial=0)) + 1:
            loop_start = len(masks) - 1
            break
    step = position + 1
    period = len(masks) - loop_start
    index = np.where(step < len(masks), step, loop_start + (step - loop_start) % period)
    return np.stack(masks)[index]
