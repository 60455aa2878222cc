"""Train Fusion: the convex start first, then its small networks by likelihood on random subsets.

E nets are trained side by side on the same batches: net e < E - 1 never sees fold e, the last one
sees everything. What the networks add is kept only as far as the out-of-fold likelihood confirms.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from rlfocal.agents.config import RlFocalConfig
from rlfocal.agents.fusion.net import Fusion, FusionInput
from rlfocal.agents.fusion.prior_signal import PriorSignal
from rlfocal.agents.fusion.start import Lesson, draw_lessons, fit_start
from rlfocal.agents.known import OutOfFold
from rlfocal.agents.nets import seeded, weights_of
from rlfocal.records import CandidateKind, ResponseTable

__all__ = ["fit_fusion"]

_N_LESSONS = 16
"""Ways to reveal each training query: all members, and random subsets that epochs take in turn."""
_N_EXAMS = 2
"""Other random subsets, on which the likelihood is judged beside all members."""


def _nll(logits: Tensor, worth: Tensor) -> Tensor:
    """float32[E, B]: minus the log of the probability put on what is right.

    Args:
        logits: float32[E, B, C + 1].
        worth: float32[B, C + 1]: score of each candidate; last column, 1 - the best available one.
    """
    return -(torch.log_softmax(logits, dim=2) + torch.log(worth.clamp_min(1e-12))).logsumexp(2)


@dataclass(frozen=True)
class _TrainingData:
    """Everything about the training queries that a step of Fusion's training reads."""

    everything: FusionInput
    worth: Tensor
    labelled: Tensor
    fold: Tensor

    def batch(self, rows: Tensor, lesson: Lesson) -> tuple[FusionInput, Tensor]:
        """Queries `rows` with only the members of the lesson revealed."""
        full, asked = self.everything, lesson.asked[rows]
        answered = full.answered[rows] & asked
        support = full.support[rows] * answered[:, :, None]
        is_open = full.is_open[rows]
        available = torch.where(is_open[:, None], support.any(1), full.available[rows])
        seen = FusionInput(
            full.task[rows], is_open, asked, answered, support, available, full.competence[rows],
            lesson.prior_signal[rows], full.shift, full.reply_shift[rows] * asked,
        )  # fmt: skip
        worth = self.worth[rows] * available
        none = (1 - worth.amax(1, keepdim=True)) * is_open[:, None]
        return seen, torch.cat([worth, none], dim=1)


def fit_fusion(
    table: ResponseTable,
    held_out: OutOfFold,
    prior: PriorSignal,
    config: RlFocalConfig,
    *,
    rng: np.random.Generator,
    on_epoch: Callable[[int, float], None] | None = None,
) -> Fusion:
    """Train Fusion by maximum likelihood on random subsets of the members.

    Args:
        table: labelled training queries.
        held_out: what is known of these queries out of fold.
        prior: the prior on this pool, or none.
        config: settings.
        rng: source of all randomness.
        on_epoch: called with the epoch and the out-of-fold likelihood loss.

    Returns:
        The nets at their best out-of-fold likelihood.
    """
    generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
    n = _N_LESSONS
    drawn = draw_lessons(table, held_out, prior, n + _N_EXAMS, generator=generator)
    lessons, exam = drawn[:n], [drawn[0], *drawn[n:]]
    shift = held_out.reply_shift
    start = fit_start(
        table, held_out.fold.numpy(), config.n_folds, lessons,
        with_prior=bool(prior), reply_shift=shift,
    )  # fmt: skip
    fusion = seeded(
        int(rng.integers(2**62)),
        lambda: Fusion(*start, n_candidates=table.n_candidates, reads_replies=shift is not None),
    )
    data = _training_data(table, held_out)
    small = table.n_queries < 4000
    optimizer = torch.optim.AdamW(
        fusion.parameters(), lr=1.5e-3 if small else 3e-3, weight_decay=0.1 if small else 0.01
    )
    best, best_nll, since = weights_of(fusion), _out_of_fold(fusion, data, exam), 0
    rows = torch.nonzero(data.labelled)[:, 0]
    for epoch in range(config.fusion_epochs):
        shuffled = rows[torch.randperm(len(rows), generator=generator)]
        lesson = lessons[1 + epoch % (len(lessons) - 1)]
        for batch in torch.split(shuffled, 256):
            seen, worth = data.batch(batch, lesson)
            nets = torch.arange(fusion.n_nets)[:, None]
            use = (nets != data.fold[batch]).float()
            loss = (_nll(fusion(seen), worth) * use).sum() / len(batch)
            loss = loss - fusion.log_prior().sum() / len(rows)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        nll = _out_of_fold(fusion, data, exam)
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


def _training_data(table: ResponseTable, held_out: OutOfFold) -> _TrainingData:
    worth = torch.from_numpy(table.candidate_score * table.exists)
    is_open = torch.from_numpy(table.kind != CandidateKind.OPTIONS)
    shift = held_out.reply_shift
    everything = FusionInput(
        task=torch.from_numpy(table.task.copy()),
        is_open=is_open,
        asked=torch.from_numpy(table.recorded.copy()),
        answered=torch.from_numpy(table.answered),
        support=torch.from_numpy(table.support.copy()),
        available=torch.from_numpy(table.exists.copy()),
        competence=torch.from_numpy(held_out.competence),
        prior_signal=torch.zeros(worth.shape),
        shift=torch.zeros(table.n_members),
        reply_shift=torch.zeros(table.answer.shape) if shift is None else torch.from_numpy(shift),
    )
    # A multiple-choice query without a right option teaches nothing; an open one teaches "none".
    labelled = is_open | (worth.amax(1) > 0)
    if not table.is_complete:  # queries without an answer or a score teach nothing
        labelled = labelled & torch.from_numpy(table.scored.any(axis=1))
    return _TrainingData(everything, worth, labelled, held_out.fold)


@torch.inference_mode()
def _out_of_fold(fusion: Fusion, data: _TrainingData, exam: list[Lesson]) -> float:
    """Mean loss of every labelled query under the net that left it out."""
    total, count = 0.0, 0
    rows = torch.nonzero(data.labelled)[:, 0]
    for lesson in exam:
        for batch in torch.split(rows, 2048):
            seen, worth = data.batch(batch, lesson)
            nll = _nll(fusion(seen), worth)
            total += float(nll[data.fold[batch], torch.arange(len(batch))].sum())
            count += len(batch)
    return total / max(count, 1)
