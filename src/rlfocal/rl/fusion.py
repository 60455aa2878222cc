"""Fusion: from the asked members' answers to the probability of each candidate, or of none of them.

It starts as the log-odds weighted vote and learns from there: trust per member, task and query,
calibrated option scores, a bias per option position, and a small network shared across candidates
whose last layer starts at zero. E nets are trained side by side on the same batches: net e < E - 1
never sees fold e, the last one sees everything. Training queries are judged by the net that did not
see them, new ones by the mean of all.

An option's index carries no meaning but for the bias per (task, position) of multiple choice; that
absorbs a pool's habit of over-using an option.

Axes: E nets, B queries, N members, C candidates, T tasks (index T: unknown).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from rlfocal.records import CandidateKind, FloatArray, IntArray, ResponseTable
from rlfocal.rl.config import RlFocalConfig
from rlfocal.rl.nets import seeded, weights_of
from rlfocal.rl.statistics import PoolStatistics
from rlfocal.strategies.protocol import View

__all__ = ["Fusion", "FusionInput", "fit_fusion", "fusion_input"]

_N_CANDIDATE_FEATURES = 7
_N_POOLED_FEATURES = 6
_HIDDEN = 16
_SCALES = (0.3, 0.6, 1.0)
_N_WRONG = (1.0, 2.0, 4.0, 8.0, 16.0, 31.0)


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


def fusion_input(view: View, competence: FloatArray) -> FusionInput:
    """Take from a view what Fusion reads."""
    return FusionInput(
        task=torch.from_numpy(view.task),
        is_open=torch.from_numpy(view.is_open),
        asked=torch.from_numpy(view.asked),
        answered=torch.from_numpy(view.answered),
        support=torch.from_numpy(view.support),
        available=torch.from_numpy(view.available),
        competence=torch.from_numpy(competence),
    )


class Fusion(nn.Module):
    """E cross-fitted nets as one module.

    Args:
        trust: float32[T + 1, N], the log-odds weights to start from.
        n_candidates: C, the number of option positions with a bias of their own.
        n_nets: E.
    """

    trust_start: Tensor

    def __init__(self, trust: Tensor, n_candidates: int, *, n_nets: int) -> None:
        super().__init__()
        n_tasks, n_members = trust.shape
        self.n_nets = n_nets
        self.register_buffer("trust_start", trust)
        self.trust = nn.Parameter(torch.zeros(n_nets, 1, n_members))
        self.task_trust = nn.Parameter(torch.zeros(n_nets, n_tasks, n_members))
        self.query_trust = nn.Parameter(torch.zeros(n_nets, 1, 1))
        self.graded = nn.Parameter(torch.zeros(n_nets, n_members))
        self.position = nn.Parameter(torch.zeros(n_nets, n_tasks, n_candidates))
        self.candidate_in = nn.Parameter(
            torch.randn(n_nets, _N_CANDIDATE_FEATURES, _HIDDEN) / _N_CANDIDATE_FEATURES**0.5
        )
        self.candidate_bias = nn.Parameter(torch.zeros(n_nets, 1, _HIDDEN))
        self.candidate_out = nn.Parameter(torch.zeros(n_nets, _HIDDEN, 1))
        self.none_in = nn.Parameter(
            torch.randn(n_nets, _N_POOLED_FEATURES, _HIDDEN) / _N_POOLED_FEATURES**0.5
        )
        self.none_bias = nn.Parameter(torch.zeros(n_nets, 1, _HIDDEN))
        self.none_out = nn.Parameter(torch.zeros(n_nets, _HIDDEN, 1))

    def weights(self, seen: FusionInput) -> Tensor:
        """float32[E, B, N]: what each member's support counts."""
        start = self.trust_start[seen.task]
        known = (seen.task < self.trust_start.shape[0] - 1)[:, None]
        return (
            start
            + self.trust
            + self.task_trust[:, seen.task] * known
            + self.query_trust * seen.competence
        )

    def forward(self, seen: FusionInput) -> Tensor:
        """float32[E, B, C + 1]: logits of the candidates; the last is "none of these"."""
        n_slots = seen.support.shape[2]
        vote = torch.einsum("ebn,bnc->ebc", self.weights(seen), seen.support)
        vote = vote + torch.einsum("en,bnc->ebc", self.graded, _log_support(seen))
        options = (~seen.is_open)[:, None]
        # Options beyond those seen in training have no bias.
        bias = functional.pad(self.position, (0, max(0, n_slots - self.position.shape[2])))
        vote = vote + bias[:, seen.task][:, :, :n_slots] * options
        features, pooled = _features(vote, seen)
        # [E, B, C, F] @ [E, F, H]: the candidates of all queries side by side
        flat = features.flatten(1, 2)
        hidden = torch.relu(torch.bmm(flat, self.candidate_in) + self.candidate_bias)
        logit = vote + torch.bmm(hidden, self.candidate_out).view_as(vote)
        logit = logit.masked_fill(~seen.available, -1e9)
        hidden = torch.relu(torch.bmm(pooled, self.none_in) + self.none_bias)
        none = torch.bmm(hidden, self.none_out).squeeze(2).masked_fill(options[:, 0], -1e9)
        return torch.cat([logit, none[:, :, None]], dim=2)

    def posterior(self, seen: FusionInput, fold: Tensor | None = None) -> Tensor:
        """float32[B, C + 1]: probability of each candidate, the last one of none of them.

        Args:
            seen: what has been revealed.
            fold: int64[B], the fold of each training query, judged by the net that left it out;
                None for new queries, judged by the mean of all nets.
        """
        logits = self(seen)
        chosen = logits.mean(0) if fold is None else logits[fold, torch.arange(len(fold))]
        # An open query of which nothing is known yet has no candidate: everything is "none".
        return torch.softmax(chosen, dim=1)


def _log_support(seen: FusionInput) -> Tensor:
    """float32[B, N, C]: centred log of graded supports of options; 0 elsewhere."""
    top = seen.support.amax(2)
    graded = seen.answered & (top < 0.999) & ~seen.is_open[:, None]
    mask = seen.available[:, None]
    logged = torch.log(seen.support.clamp_min(1e-3)) * mask
    centred = (logged - logged.sum(2, keepdim=True) / mask.sum(2, keepdim=True).clamp_min(1)) * mask
    return centred * graded[:, :, None]


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
    answered = (seen.answered.sum(1) / n_members)[:, None].expand_as(share)
    silent = ((seen.asked & ~seen.answered).sum(1) / n_members)[:, None].expand_as(share)

    def each(value: Tensor) -> Tensor:
        return value.expand_as(vote)

    candidate = torch.stack(
        [vote / 4, lead / 4, each(share), each((backers == 1).float()), each(answered),
         each(silent), each(seen.support.sum(1) / n_answered)], dim=3
    )  # fmt: skip
    n_distinct = (backers > 0).sum(1) / n_answered[:, 0]

    def pooled(value: Tensor) -> Tensor:
        return value.expand_as(best[:, :, 0])

    summary = torch.stack(
        [best[:, :, 0] / 4, second[:, :, 0].clamp_min(-8) / 4, pooled(share.amax(1)),
         pooled(n_distinct), pooled(answered[:, 0]), pooled(silent[:, 0])], dim=2
    )  # fmt: skip
    return candidate, summary


def _nll(logits: Tensor, worth: Tensor) -> Tensor:
    """float32[E, B]: minus the log of the probability put on what is right.

    Args:
        logits: float32[E, B, C + 1].
        worth: float32[B, C + 1]: score of each candidate; last column, 1 - the best available one.
    """
    return -(torch.log_softmax(logits, dim=2) + torch.log(worth.clamp_min(1e-12))).logsumexp(2)


def _start(table: ResponseTable, statistics: PoolStatistics) -> FloatArray:
    """float32[T + 1, N]: log-odds weights scale · log(p · k / (1 - p)), scale and k by likelihood.

    k, the number of ways to be wrong, must be fitted: a fixed one costs up to 3.5 points.
    """
    worth = table.candidate_score * table.exists
    usable = worth.max(axis=1) > 0
    candidates = (statistics.task_accuracy * 0.98 + 0.01)[None]
    best, best_nll = candidates[0], np.inf
    for n_wrong in _N_WRONG:
        for scale in _SCALES:
            weight = scale * np.log(candidates[0] * n_wrong / (1 - candidates[0]))
            weight = np.maximum(weight, 0.01)
            logit = np.einsum("qn,qnc->qc", weight[table.task], table.support)
            logit = np.where(table.exists, logit, -np.inf)
            logit = logit - logit.max(axis=1, keepdims=True)
            chance = np.exp(logit) / np.exp(logit).sum(axis=1, keepdims=True)
            gained = np.maximum((chance * worth).sum(axis=1)[usable], 1e-9)
            nll = float(-np.log(gained).mean()) if usable.any() else 0.0
            if nll < best_nll:
                best, best_nll = weight, nll
    return np.asarray(best, dtype=np.float32)


@dataclass(frozen=True)
class _TrainingData:
    """Everything about the training queries that a step of Fusion's training reads."""

    everything: FusionInput
    worth: Tensor
    labelled: Tensor
    fold: Tensor
    order: Tensor
    """float32[N]: members' accuracies, so that subsets like those that will be asked come often."""

    def batch(self, rows: Tensor, asked: Tensor) -> tuple[FusionInput, Tensor]:
        """Queries `rows` with only the members `asked` (bool[B, N]) revealed."""
        full = self.everything
        answered = full.answered[rows] & asked
        support = full.support[rows] * answered[:, :, None]
        is_open = full.is_open[rows]
        available = torch.where(is_open[:, None], support.any(1), full.available[rows])
        seen = FusionInput(
            full.task[rows], is_open, asked, answered, support, available, full.competence[rows]
        )
        worth = self.worth[rows] * available
        none = (1 - worth.amax(1, keepdim=True)) * is_open[:, None]
        return seen, torch.cat([worth, none], dim=1)


def fit_fusion(
    table: ResponseTable,
    statistics: PoolStatistics,
    competence: FloatArray,
    fold: IntArray,
    config: RlFocalConfig,
    *,
    rng: np.random.Generator,
    on_epoch: Callable[[int, float], None] | None = None,
) -> Fusion:
    """Train Fusion by maximum likelihood on random subsets of the members.

    Args:
        table: labelled training queries.
        statistics: of those queries.
        competence: float32[Q, N], out of fold.
        fold: int64[Q] in [0, n_folds).
        config: settings.
        rng: source of all randomness.
        on_epoch: called with the epoch and the out-of-fold likelihood loss.

    Returns:
        The nets at their best out-of-fold likelihood.
    """
    generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
    start = torch.from_numpy(_start(table, statistics))
    fusion = seeded(
        int(rng.integers(2**62)),
        lambda: Fusion(start, table.n_candidates, n_nets=config.n_folds + 1),
    )
    data = _training_data(table, statistics, competence, fold)
    small = table.n_queries < 4000
    optimizer = torch.optim.AdamW(
        fusion.parameters(), lr=1.5e-3 if small else 3e-3, weight_decay=0.1 if small else 0.01
    )
    check = [_subsets(data.order, table.n_queries, generator) for _ in range(2)]
    check.append(torch.ones_like(check[0]))
    best, best_nll, since = weights_of(fusion), _out_of_fold(fusion, data, check), 0
    rows = torch.nonzero(data.labelled)[:, 0]
    for epoch in range(config.fusion_epochs):
        shuffled = rows[torch.randperm(len(rows), generator=generator)]
        for batch in torch.split(shuffled, 256):
            seen, worth = data.batch(batch, _subsets(data.order, len(batch), generator))
            nets = torch.arange(fusion.n_nets)[:, None]
            use = (nets != data.fold[batch]).float()
            loss = (_nll(fusion(seen), worth) * use).sum() / len(batch)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        nll = _out_of_fold(fusion, data, check)
        if on_epoch is not None:
            on_epoch(epoch, nll)
        if nll < best_nll - 1e-5:
            best, best_nll, since = weights_of(fusion), nll, 0
        else:
            since += 1
            if since >= config.fusion_patience:
                break
    fusion.load_state_dict(best)
    return fusion.eval()


def _training_data(
    table: ResponseTable, statistics: PoolStatistics, competence: FloatArray, fold: IntArray
) -> _TrainingData:
    worth = torch.from_numpy(table.candidate_score * table.exists)
    is_open = torch.from_numpy(table.kind != CandidateKind.OPTIONS)
    everything = FusionInput(
        task=torch.from_numpy(table.task.copy()),
        is_open=is_open,
        asked=torch.ones(table.answer.shape, dtype=torch.bool),
        answered=torch.from_numpy(table.answered),
        support=torch.from_numpy(table.support.copy()),
        available=torch.from_numpy(table.exists.copy()),
        competence=torch.from_numpy(competence),
    )
    # A multiple-choice query without a right option teaches nothing; an open one teaches "none".
    labelled = is_open | (worth.amax(1) > 0)
    order = torch.from_numpy(statistics.accuracy)
    return _TrainingData(everything, worth, labelled, torch.from_numpy(fold), order)


def _subsets(order: Tensor, n_rows: int, generator: torch.Generator) -> Tensor:
    """bool[B, N], never empty: any size alike; half the rows prefer accurate members."""
    n_members = len(order)
    size = torch.randint(1, n_members + 1, (n_rows, 1), generator=generator)
    noise = torch.rand(n_rows, n_members, generator=generator)
    lean = (torch.rand(n_rows, 1, generator=generator) < 0.5) * 10.0
    rank = (noise + lean * order).argsort(dim=1, descending=True).argsort(dim=1)
    return rank < size


@torch.inference_mode()
def _out_of_fold(fusion: Fusion, data: _TrainingData, checks: list[Tensor]) -> float:
    """Mean loss of every labelled query under the net that left it out."""
    total, count = 0.0, 0
    rows = torch.nonzero(data.labelled)[:, 0]
    for asked in checks:
        for batch in torch.split(rows, 2048):
            seen, worth = data.batch(batch, asked[batch])
            nll = _nll(fusion(seen), worth)
            total += float(nll[data.fold[batch], torch.arange(len(batch))].sum())
            count += len(batch)
    return total / max(count, 1)
