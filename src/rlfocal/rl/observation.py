"""From a `View` to what the Decider sees: features per member and shared ones, all as tensors.

Training and serving call the same function on the same kind of view, so they cannot disagree.

Axes: B queries, N members, F features per member, G shared features.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from rlfocal.records import FloatArray
from rlfocal.rl.fusion import Fusion, FusionInput, fusion_input
from rlfocal.rl.statistics import PoolStatistics
from rlfocal.strategies.protocol import View

__all__ = ["N_MEMBER_FEATURES", "N_SHARED_FEATURES", "Observation", "Observer", "Seen"]

N_MEMBER_FEATURES = 10
N_SHARED_FEATURES = 13


class Observation(NamedTuple):
    """What the Decider acts on."""

    member: Tensor
    """float32[B, N, F]."""
    shared: Tensor
    """float32[B, G]."""
    task: Tensor
    """int64[B], T for an unknown task."""
    preference: Tensor
    """float32[B, N]: expected score of each member's answer minus its price."""
    confidence: Tensor
    """float32[B]: posterior of the leading candidate."""
    price: Tensor
    """float32[B]: lambda."""
    legal: Tensor
    """bool[B, N + 1]: members not asked yet; stopping, once somebody has been."""


class Seen(NamedTuple):
    """One look at a batch of views."""

    observation: Observation
    posterior: Tensor
    """float32[B, C + 1]: Fusion's, the last column for "none of these"."""


@dataclass(frozen=True, eq=False)
class Observer:
    """Turns views into observations with the help of the pool's statistics and of Fusion."""

    statistics: PoolStatistics
    fusion: Fusion
    shift: FloatArray | None = None
    """float32[N]: how far the weight of each member's votes has moved since training."""

    @torch.inference_mode()
    def look(
        self, view: View, price: FloatArray, competence: FloatArray, fold: Tensor | None = None
    ) -> Seen:
        """Observe.

        Args:
            view: what has been revealed.
            price: float32[B], lambda.
            competence: float32[B, N], expected gain over the accuracy on the task.
            fold: int64[B] for training queries (their Fusion must not have seen them), else None.
        """
        seen = fusion_input(view, competence, self.shift)
        posterior = self.fusion.posterior(seen, fold)
        expected = self.statistics.task_accuracy[view.task] + competence
        priced = expected - price[:, None] * self.statistics.relative_cost
        candidates, none = posterior[:, :-1], posterior[:, -1:]
        leading = _leading(candidates)
        asked = seen.asked
        observation = Observation(
            member=self._member_features(view, seen, leading.place, torch.from_numpy(expected)),
            shared=self._shared_features(view, seen, leading.value, none, price),
            task=seen.task,
            preference=torch.from_numpy(priced.astype(np.float32)),
            confidence=leading.value[:, 0],
            price=torch.from_numpy(price.astype(np.float32)),
            legal=torch.cat([~asked, asked.any(1, keepdim=True)], dim=1),
        )
        return Seen(observation, posterior)

    def _member_features(
        self, view: View, seen: FusionInput, place: Tensor, expected: Tensor
    ) -> Tensor:
        """float32[B, N, F]."""
        statistics = self.statistics
        asked = seen.asked.float()
        backing = torch.gather(
            seen.support, 2, place[:, None, :].expand(-1, seen.support.shape[1], -1)
        )
        joint = torch.from_numpy(statistics.joint_failure)
        rate = 1 - torch.from_numpy(statistics.accuracy)
        accuracy = 1 - rate
        leaders = (backing[:, :, 0] > 0.5).float()

        def shared_failure(members: Tensor) -> Tensor:
            # Marginal diversity: how much more often n fails when those members fail; 0 for none.
            count = members.sum(1, keepdim=True)
            return torch.where(count > 0, members @ joint / count.clamp_min(1) - rate, 0.0)

        def everywhere(value: Tensor) -> Tensor:
            return value.expand_as(asked)

        features = [
            asked, seen.answered.float(), backing[:, :, 0], backing[:, :, 1],
            everywhere(4 * (accuracy - accuracy.mean())), 4 * (expected - accuracy),
            everywhere(torch.from_numpy(np.log(statistics.relative_cost))),
            self.fusion.vote_weights(seen).mean(0) / 4,
            4 * shared_failure(asked), 4 * shared_failure(leaders),
        ]  # fmt: skip
        return torch.stack(features, dim=2)

    def _shared_features(
        self, view: View, seen: FusionInput, top: Tensor, none: Tensor, price: FloatArray
    ) -> Tensor:
        """float32[B, G]."""
        n_members = seen.asked.shape[1]
        share_asked = seen.asked.float().mean(1, keepdim=True)
        share_answered = seen.answered.float().mean(1, keepdim=True)
        n_distinct = (seen.support > 0.5).any(1).sum(1, keepdim=True) / n_members
        rest = (1 - top.sum(1, keepdim=True) - none).clamp_min(0)
        parts = torch.cat([top, none, rest], dim=1).clamp_min(1e-6)
        entropy = -(parts * parts.log()).sum(1, keepdim=True)
        spent = torch.from_numpy(view.spent[:, None] / self.statistics.unit_cost) / n_members
        lam = torch.from_numpy(np.asarray(price, dtype=np.float32))[:, None]
        return torch.cat(
            [top, none, entropy, torch.log(parts[:, :1] / parts[:, 1:2]) / 4, share_asked,
             share_answered, n_distinct, spent, torch.log(lam.clamp_min(1e-5)) / 4, 4 * lam,
             seen.is_open.float()[:, None]], dim=1
        )  # fmt: skip


class _Leading(NamedTuple):
    value: Tensor
    place: Tensor


def _leading(candidates: Tensor) -> _Leading:
    """The three likeliest candidates float32[B, 3] and their places int64[B, 3]."""
    k = min(3, candidates.shape[1])
    value, place = candidates.topk(k, dim=1)
    if k < 3:
        value = torch.nn.functional.pad(value, (0, 3 - k))
        place = torch.nn.functional.pad(place, (0, 3 - k))
    return _Leading(value, place)
