"""Turn a `View` into the Decider's observation: features per member and shared ones, as tensors.

Training and serving call the same function on the same kind of view, so they cannot disagree.

Axes: B queries, N members, F features per member, G shared features.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from rlfocal.agents.config import Rounds
from rlfocal.agents.fusion import Fusion, FusionInput, PriorSignal, fusion_input
from rlfocal.agents.known import Known
from rlfocal.agents.policy import promised, rule
from rlfocal.agents.statistics import PoolStatistics
from rlfocal.deliberation.view import View
from rlfocal.records import BoolArray, FloatArray

__all__ = [
    "N_MEMBER_FEATURES",
    "N_SHARED_FEATURES",
    "Fused",
    "Observation",
    "Observed",
    "Observer",
    "feature_counts",
]

N_MEMBER_FEATURES = 10
N_SHARED_FEATURES = 13


def feature_counts(*, gathered: bool, reads_replies: bool) -> tuple[int, int]:
    """F and G; there are more features where choices are gathered into rounds, or replies read."""
    return (
        N_MEMBER_FEATURES + reads_replies + gathered,
        N_SHARED_FEATURES + reads_replies + 2 * gathered,
    )


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
    start: Tensor
    """float32[B, N + 1]: logits of the action that the Decider starts from."""
    legal: Tensor
    """bool[B, N + 1]: members not chosen yet, of those open; stopping, once one has been chosen."""


class Fused(NamedTuple):
    """Fusion's outputs for a batch of views, which do not depend on pending choices."""

    given: FusionInput
    posterior: Tensor
    """float32[B, C + 1]: Fusion's, the last column for "none of these"."""
    weights: Tensor
    """float32[B, N]: weights of the members' votes."""
    start: Tensor | None
    """float32[B, N + 1]: logits of the prior's decision, where it is asked for one."""


class Observed(NamedTuple):
    """The observation of a batch of views, with Fusion's outputs."""

    observation: Observation
    fused: Fused

    @property
    def posterior(self) -> Tensor:
        """float32[B, C + 1]: Fusion's, the last column for "none of these"."""
        return self.fused.posterior


@dataclass(frozen=True, eq=False)
class Observer:
    """Turns views into observations by the pool's statistics, Fusion and its prior."""

    statistics: PoolStatistics
    fusion: Fusion
    prior: PriorSignal
    shift: FloatArray | None = None
    """float32[N]: how far the weight of each member's votes has moved since training."""
    rounds: Rounds | None = None
    """How choices are gathered into rounds; None where each is sent at once."""

    @torch.inference_mode()
    def observe(
        self,
        view: View,
        price: FloatArray,
        known: Known,
        pending: BoolArray | None = None,
        fused: Fused | None = None,
    ) -> Observed:
        """Observe a batch of views.

        Args:
            view: what has been revealed.
            price: float32[B], lambda.
            known: of these queries.
            pending: bool[B, N], members chosen for the round to come; None for none.
            fused: Fusion's outputs for the same view, where they are known.
        """
        seen, posterior, weights, start = fused = fused or self.fused(
            view, known,
            # The prior asks members one after another: it knows no rounds.
            price=price if self.rounds is None else None,
        )  # fmt: skip
        expected = self.statistics.task_accuracy[view.task] + known.competence
        priced = expected - price[:, None] * self.statistics.relative_cost
        candidates, none = posterior[:, :-1], posterior[:, -1:]
        k = min(3, candidates.shape[1])
        top, place = candidates.topk(k, dim=1)
        if k < 3:
            top, place = functional.pad(top, (0, 3 - k)), functional.pad(place, (0, 3 - k))
        chosen = seen.asked if pending is None else seen.asked | torch.from_numpy(pending)
        open_to = ~chosen if view.closed is None else ~chosen & torch.from_numpy(~view.closed)
        believed = torch.from_numpy(expected)
        preference = torch.from_numpy(priced.astype(np.float32))
        if start is None:
            start = rule(preference, top[:, 0], torch.from_numpy(price))
        observation = Observation(
            member=self._member_features(seen, chosen, place, believed, weights),
            shared=self._shared_features(view, seen, top, none, price),
            task=seen.task,
            preference=preference,
            confidence=top[:, 0],
            start=start,
            legal=torch.cat([open_to, chosen.any(1, keepdim=True)], dim=1),
        )
        if self.rounds is not None:
            pending_now = chosen & ~seen.asked
            observation = _gathered(observation, self.rounds, view, price, pending_now, believed)
        return Observed(observation, fused)

    @torch.inference_mode()
    def fused(
        self,
        view: View,
        known: Known,
        *,
        price: FloatArray | None = None,
    ) -> Fused:
        """Fuse; arguments as of `observe`. Without a price the prior is not asked what to do."""
        signal, start = self.prior.of(view, known, price=price)
        seen, fold = fusion_input(view, known, signal, self.shift), known.fold
        if fold is None:
            return Fused(seen, *self.fusion.judge(seen), start)
        n_rows, n_members, n_candidates = seen.support.shape
        posterior = torch.empty(n_rows, n_candidates + 1)
        weights = torch.empty(n_rows, n_members)
        for net, single in enumerate(self._alone):
            rows = torch.nonzero(fold == net)[:, 0]
            if len(rows):
                posterior[rows], weights[rows] = single.judge(_rows_of(seen, rows))
        return Fused(seen, posterior, weights, start)

    @cached_property
    def _alone(self) -> list[Fusion]:
        """Each net of Fusion by itself: a training query is judged by one, so only one computes."""
        return [_alone(self.fusion, net) for net in range(self.fusion.n_nets)]

    @cached_property
    def _constants(self) -> _MemberConstants:
        statistics = self.statistics
        accuracy = torch.from_numpy(statistics.accuracy)
        return _MemberConstants(
            joint_failure=4 * (torch.from_numpy(statistics.joint_failure) - (1 - accuracy)),
            accuracy=accuracy,
            plain=torch.stack(
                [4 * (accuracy - accuracy.mean()), torch.from_numpy(statistics.relative_cost).log()]
            ),
        )

    def _member_features(
        self, seen: FusionInput, chosen: Tensor, place: Tensor, expected: Tensor, weights: Tensor
    ) -> Tensor:
        """float32[B, N, F]."""
        constants, asked = self._constants, chosen.float()
        backing = torch.gather(
            seen.support, 2, place[:, None, :2].expand(-1, seen.support.shape[1], -1)
        )
        # Marginal diversity: how much more often n fails when those members fail; 0 for none.
        groups = torch.stack([asked, (backing[:, :, 0] > 0.5).float()])
        shared = groups @ constants.joint_failure / groups.sum(2, keepdim=True).clamp_min(1)
        level, price = constants.plain[:, None].expand(2, *asked.shape)
        features = [
            asked, seen.answered.float(), backing[:, :, 0], backing[:, :, 1],
            level, 4 * (expected - constants.accuracy), price, weights / 4, shared[0], shared[1],
            *([seen.reply_shift / 2] if self.fusion.reads_replies else ()),
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
        said = [seen.mean_shift[:, None] / 2] if self.fusion.reads_replies else []
        return torch.cat(
            [top, none, entropy, torch.log(parts[:, :1] / parts[:, 1:2]) / 4, share_asked,
             share_answered, n_distinct, spent, torch.log(lam.clamp_min(1e-5)) / 4, 4 * lam,
             seen.is_open.float()[:, None], *said], dim=1
        )  # fmt: skip


def _gathered(
    observation: Observation,
    rounds: Rounds,
    view: View,
    price: FloatArray,
    pending: Tensor,
    expected: Tensor,
) -> Observation:
    """Add the features, price and legal actions of choices that are gathered into rounds."""
    share_pending = pending.float().mean(1, keepdim=True)
    hurry = torch.zeros_like(share_pending)  # 1 in the last round, 1 / 2 with two left
    legal = observation.legal
    if rounds.most is not None:
        left = torch.from_numpy(rounds.most - view.n_rounds)[:, None]
        hurry = 1 / left.clamp_min(1).float()
        legal = torch.cat([legal[:, :-1] & (left > 0), legal[:, -1:]], dim=1)
    return observation._replace(
        member=torch.cat([observation.member, pending.float()[:, :, None]], dim=2),
        shared=torch.cat([observation.shared, share_pending, hurry], dim=1),
        start=rule(
            observation.preference,
            promised(observation.confidence, expected, pending),
            # The first of a round pays for the round.
            torch.from_numpy(price) + rounds.price * ~pending.any(1),
        ),
        legal=legal,
    )


class _MemberConstants(NamedTuple):
    """Parts of member features that are the same for every query."""

    joint_failure: Tensor
    """float32[N, N]: how much more often the column fails where the row fails, times four."""
    accuracy: Tensor
    """float32[N]."""
    plain: Tensor
    """float32[2, N]: accuracy against the pool's, and the logarithm of the price."""


def _rows_of(seen: FusionInput, rows: Tensor) -> FusionInput:
    of_members = seen.shift  # the same for every row
    return FusionInput(*(part if part is of_members else part[rows] for part in seen))


def _alone(fusion: Fusion, net: int) -> Fusion:
    """One of the nets side by side: every weight has them along its first axis."""
    single = copy.deepcopy(fusion)
    single.n_nets = 1
    for weight in (*single.parameters(), *single.buffers()):
        weight.data = weight.data[net : net + 1].clone()
    return single.eval()
