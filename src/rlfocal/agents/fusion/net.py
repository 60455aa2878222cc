"""Fusion: from the asked members' answers to the probability of each candidate, or of none.

It starts as a conditional logit on supports and the prior (`start.py`) and adds what small networks
learn: trust that depends on the query, how far few votes count less than many, and corrections
shared across candidates; all of them start at zero. E nets are held side by side: training queries
are judged by the net that did not see them, new ones by the mean of all.

An option's index carries no meaning but for a small bias per (task, position) of multiple choice,
which absorbs a pool's habit of over-using an option.

Where replies are read (`strategies.evidence`), how far each moves its log-odds of being right is
one more signal, and a feature of the corrections.

Axes: E nets, B queries, N members, C candidates, T tasks (index T: unknown).
"""

from __future__ import annotations

from typing import NamedTuple, Self

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from rlfocal.agents.known import Known
from rlfocal.deliberation.view import View
from rlfocal.records import FloatArray
from rlfocal.strategies.stacking.likelihood import FLOOR

__all__ = ["Fusion", "FusionInput", "fusion_input"]

_N_CANDIDATE_FEATURES = 7
_N_POOLED_FEATURES = 6
_HIDDEN = 16
_PRIOR_SD = 0.3
"""Spread of weights and biases around the convex start, in units of log-odds."""


class FusionInput(NamedTuple):
    """The part of a `View` that Fusion reads, as tensors, and the members' predicted competence."""

    task: Tensor
    """int64[B], T for an unknown task."""
    is_open: Tensor
    """bool[B]."""
    asked: Tensor
    """bool[B, N]."""
    answered: Tensor
    """bool[B, N]."""
    support: Tensor
    """float32[B, N, C]."""
    available: Tensor
    """bool[B, C]."""
    competence: Tensor
    """float32[B, N]: expected gain over the member's accuracy on the task."""
    prior_signal: Tensor
    """float32[B, C]: the prior's opinion; zeros where Fusion does without."""
    shift: Tensor
    """float32[N]: how far recent labelled queries move the weight of each member's votes."""
    reply_shift: Tensor
    """float32[B, N]: how far each reply moves its log-odds of being right; 0 where there is none,
    and where replies are not read."""

    @property
    def mean_shift(self) -> Tensor:
        """float32[B]: of the members that answered; low where the query is hard."""
        n_answered = self.answered.sum(1).clamp_min(1)
        return (self.reply_shift * self.answered).sum(1) / n_answered


def fusion_input(
    view: View, known: Known, prior_signal: FloatArray, shift: FloatArray | None = None
) -> FusionInput:
    """Make Fusion's input from a view; `shift` is None where no weight has moved."""
    if shift is None:
        shift = np.zeros(view.asked.shape[1], dtype=np.float32)
    reply_shift = known.reply_shift
    if reply_shift is None:
        reply_shift = np.zeros(view.asked.shape, dtype=np.float32)
    return FusionInput(
        task=torch.from_numpy(view.task),
        is_open=torch.from_numpy(view.is_open),
        asked=torch.from_numpy(view.asked),
        answered=torch.from_numpy(view.answered),
        support=torch.from_numpy(view.support),
        available=torch.from_numpy(view.available),
        competence=torch.from_numpy(known.competence),
        prior_signal=torch.from_numpy(prior_signal),
        shift=torch.from_numpy(shift),
        reply_shift=torch.from_numpy(reply_shift),
    )


class Fusion(nn.Module):
    """E cross-fitted nets as one module.

    Args:
        weight: float32[E, T + 1, K], what signals count at the start, task T being unknown; the
            signals are N supports, N logarithms of them where they are graded, that of the replies
            where they are read, and the prior's where there is a prior.
        none_bias: float32[E, T + 1], the logit of "none of these".
        company: float32[E, T + 1, K, N], how much more a signal counts where a member is absent.
        n_candidates: C, the number of option positions with a bias of their own.
        reads_replies: whether there is a signal of the replies.
    """

    weight: Tensor
    none_bias: Tensor
    company: Tensor

    def __init__(
        self,
        weight: Tensor,
        none_bias: Tensor,
        company: Tensor,
        *,
        n_candidates: int,
        reads_replies: bool = False,
    ) -> None:
        super().__init__()
        self.n_nets, n_tasks, n_signals = weight.shape
        self._fixed: Tensor | None = None
        n_nets = self.n_nets
        self.register_buffer("weight", weight)
        self.register_buffer("none_bias", none_bias)
        self.register_buffer("company", company)
        self.n_members = company.shape[3]
        self.reads_replies = reads_replies
        n_others = n_signals - reads_replies
        self.graded = n_others >= 2 * self.n_members
        self.with_prior = n_others % self.n_members == 1
        n_of_candidate = _N_CANDIDATE_FEATURES + reads_replies
        n_pooled = _N_POOLED_FEATURES + reads_replies
        self.trust = nn.Parameter(torch.zeros(n_nets, 1, n_signals))
        self.task_trust = nn.Parameter(torch.zeros(n_nets, n_tasks, n_signals))
        self.position = nn.Parameter(torch.zeros(n_nets, n_tasks, n_candidates))
        self.query_trust = nn.Parameter(torch.zeros(n_nets, 1, 1))
        self.size = nn.Parameter(torch.zeros(n_nets, 2))
        self.candidate_in = nn.Parameter(
            torch.randn(n_nets, n_of_candidate, _HIDDEN) / n_of_candidate**0.5
        )
        self.candidate_bias = nn.Parameter(torch.zeros(n_nets, 1, _HIDDEN))
        self.candidate_out = nn.Parameter(torch.zeros(n_nets, _HIDDEN, 1))
        self.none_in = nn.Parameter(torch.randn(n_nets, n_pooled, _HIDDEN) / n_pooled**0.5)
        self.none_bias_in = nn.Parameter(torch.zeros(n_nets, 1, _HIDDEN))
        self.none_out = nn.Parameter(torch.zeros(n_nets, _HIDDEN, 1))

    def train(self, mode: bool = True) -> Self:
        """Switch training on or off; once off, the weights of tasks are added up in advance."""
        self._fixed = None
        super().train(mode)
        if not mode:
            self._fixed = self._by_task().detach()
        return self

    def _by_task(self) -> Tensor:
        """float32[E, T + 1, K]: an unknown task has no weights of its own."""
        known = torch.arange(self.weight.shape[1]) < self.weight.shape[1] - 1
        return self.weight + self.trust + self.task_trust * known[:, None]

    def _weights(self, seen: FusionInput) -> Tensor:
        """float32[E, B, K]."""
        by_task = self._by_task() if self._fixed is None else self._fixed
        absent = (~seen.answered).float()
        return by_task[:, seen.task] + torch.einsum(
            "ebkn,bn->ebk", self.company[:, seen.task], absent
        )

    def start_weights(self) -> FloatArray:
        """float32[E, T + 1, N]: weight of each member's vote where all members have answered."""
        return np.asarray(self._per_member(self._by_task().detach()).numpy())

    def _per_member(self, weight: Tensor) -> Tensor:
        """[..., K] → [..., N]: weight of a support of 1, its logarithm included."""
        first = weight[..., : self.n_members]
        if not self.graded:
            return first
        return first + weight[..., self.n_members : 2 * self.n_members]

    def judge(self, seen: FusionInput) -> tuple[Tensor, Tensor]:
        """Judge queries by the mean of all nets.

        Returns:
            float32[B, C + 1]: probability of each candidate, the last one of none of them; and
            float32[B, N]: weight of each member's vote, given which members have answered.
        """
        weight = self._weights(seen)
        logits = self._logits(seen, weight).mean(0)
        trusted = self._per_member(weight) + self.query_trust * seen.competence + seen.shift
        if self.reads_replies:
            trusted = trusted + weight[..., self._reply, None] * seen.reply_shift
        # An open query of which nothing is known yet has no candidate: everything is "none".
        return torch.softmax(logits, dim=1), trusted.mean(0)

    @property
    def _reply(self) -> int:
        """Which signal is that of the replies."""
        return self.weight.shape[2] - 1 - self.with_prior

    def forward(self, seen: FusionInput) -> Tensor:
        """float32[E, B, C + 1]: logits of the candidates; the last is "none of these"."""
        return self._logits(seen, self._weights(seen))

    def _logits(self, seen: FusionInput, weight: Tensor) -> Tensor:
        signal = _evidence(seen.support) if self.graded else seen.support
        moved: Tensor | None = None
        if self.reads_replies:
            moved = torch.einsum("bn,bnc->bc", seen.reply_shift, seen.support)
            signal = torch.cat([signal, moved[:, None]], dim=1)
        if self.with_prior:
            signal = torch.cat([signal, seen.prior_signal[:, None]], dim=1)
        vote = torch.einsum("ebk,bkc->ebc", weight, signal)
        vote = vote + self.query_trust * torch.einsum("bn,bnc->bc", seen.competence, seen.support)
        vote = vote + torch.einsum("n,bnc->bc", seen.shift, seen.support)
        n_slots = min(vote.shape[2], self.position.shape[2])
        # Options beyond those seen in training have no bias.
        bias = functional.pad(self.position[:, :, :n_slots], (0, vote.shape[2] - n_slots))
        vote = vote + bias[:, seen.task] * ~seen.is_open[:, None]
        share = (seen.answered.sum(1) / seen.answered.shape[1])[None, :, None]
        size = torch.stack([1 - share, (1 - share).square()])  # nothing where all have answered
        vote = vote * torch.einsum("es,sxbc->ebc", self.size, size).clamp(-2, 2).exp()
        features, pooled = _features(vote, seen)
        if moved is not None:
            features, pooled = _with_replies(features, pooled, seen, moved)
        # [E, B, C, F] @ [E, F, H]: the candidates of all queries side by side
        flat = features.flatten(1, 2)
        hidden = torch.relu(torch.bmm(flat, self.candidate_in) + self.candidate_bias)
        logit = vote + torch.bmm(hidden, self.candidate_out).view_as(vote)
        logit = logit.masked_fill(~seen.available, -1e9)
        hidden = torch.relu(torch.bmm(pooled, self.none_in) + self.none_bias_in)
        none = self.none_bias[:, seen.task] + torch.bmm(hidden, self.none_out).squeeze(2)
        none = none.masked_fill(~seen.is_open, -1e9)
        return torch.cat([logit, none[:, :, None]], dim=2)

    def log_prior(self) -> Tensor:
        """float32[E]: log density, up to a constant, of what departs from the convex start."""
        free = (self.trust, self.task_trust, self.position)
        total = torch.stack([part.square().sum((1, 2)) for part in free]).sum(0)
        return -total / (2 * _PRIOR_SD**2)


def _evidence(support: Tensor) -> Tensor:
    """float32[B, 2 N, C]: supports and their logarithms, as `likelihood.evidence` has them."""
    return torch.cat([support, torch.log1p(support / FLOOR) / np.log1p(1 / FLOOR)], dim=1)


def _with_replies(
    features: Tensor, pooled: Tensor, seen: FusionInput, moved: Tensor
) -> tuple[Tensor, Tensor]:
    """Add what the replies say: of each candidate, and on average, which tells a hard query."""
    shape = (len(features), *moved.shape, 1)
    own = (moved / 4)[None, :, :, None].expand(shape)
    every = (seen.mean_shift / 2)[None, :, None].expand(len(pooled), -1, 1)
    return torch.cat([features, own], dim=3), torch.cat([pooled, every], dim=2)


def _features(vote: Tensor, seen: FusionInput) -> tuple[Tensor, Tensor]:
    """Candidate features float32[E, B, C, F] and pooled ones float32[E, B, F']."""
    n_members = seen.asked.shape[1]
    n_answered = seen.answered.sum(1).clamp_min(1)[:, None]
    backers = (seen.support > 0.5).sum(1)
    share = backers / n_answered
    masked = vote.masked_fill(~seen.available, -1e9)
    top = masked.topk(min(2, vote.shape[2]), dim=2).values.clamp_min(-20)
    best = top[:, :, :1]
    second = top[:, :, 1:2] if top.shape[2] > 1 else torch.full_like(best, -20.0)
    lead = (vote - torch.where(vote >= best, second, best)).clamp(-20, 20)
    answered = seen.answered.sum(1) / n_members
    silent = (seen.asked & ~seen.answered).sum(1) / n_members
    shape, single = vote.shape, (backers == 1).float()
    candidate = torch.stack(
        [vote / 4, lead / 4, share.expand(shape), single.expand(shape),
         answered[:, None].expand(shape), silent[:, None].expand(shape),
         (seen.support.sum(1) / n_answered).expand(shape)], dim=3
    )  # fmt: skip
    n_distinct, shape = (backers > 0).sum(1) / n_answered[:, 0], shape[:2]
    summary = torch.stack(
        [best[:, :, 0] / 4, second[:, :, 0].clamp_min(-8) / 4, share.amax(1).expand(shape),
         n_distinct.expand(shape), answered.expand(shape), silent.expand(shape)], dim=2
    )  # fmt: skip
    return candidate, summary
