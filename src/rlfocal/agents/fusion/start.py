"""Where Fusion starts: a conditional logit fitted on all members and on random subsets of them.

The same convex problem as `strategies.stacking`, with weights that depend on which members are
absent and, where labels are few, with the prior's opinion as one more signal; fitted for every
inner fold on the others and once on everything. The penalties are chosen by out-of-fold likelihood:
from the prior alone, or plain log-odds, up to weights of each member on each task in each company.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from rlfocal.agents.fusion.prior_signal import PriorSignal
from rlfocal.agents.known import OutOfFold
from rlfocal.numbers import log_odds
from rlfocal.records import FloatArray, IntArray, ResponseTable
from rlfocal.strategies.single import sound_accuracy, task_accuracy
from rlfocal.strategies.stacking.likelihood import (
    LEAST,
    PENALTIES,
    WeightModel,
    choices_of,
    cross_fit,
)

__all__ = ["FusionStart", "Lesson", "draw_lessons", "fit_start", "random_subsets"]

_N_COPIES = 5
"""Lessons that the start is fitted on."""


class Lesson(NamedTuple):
    """The training queries with some of their members revealed."""

    asked: Tensor
    """bool[Q, N]."""
    prior_signal: Tensor
    """float32[Q, C], from a prior that does not know the query's fold; zeros without a prior."""


class FusionStart(NamedTuple):
    """Weights of E nets; task T stands for an unknown task.

    K = N, or 2 N where supports are graded; one more where replies are read, and with a prior.
    """

    weight: Tensor
    """float32[E, T + 1, K]."""
    none_bias: Tensor
    """float32[E, T + 1]: logit of "none of these" for open queries."""
    company: Tensor
    """float32[E, T + 1, K, N]: how much more a signal counts where a member is absent."""


def draw_lessons(
    table: ResponseTable,
    held_out: OutOfFold,
    prior: PriorSignal,
    n: int,
    *,
    generator: torch.Generator,
) -> list[Lesson]:
    """Reveal all members, and n - 1 times random subsets of them, as far as they are recorded."""
    whole = table.is_complete
    accuracy = table.member_score.mean(axis=0) if whole else sound_accuracy(table)
    order = torch.from_numpy(accuracy.astype(np.float32))
    masks = [torch.ones(table.n_queries, table.n_members, dtype=torch.bool)]
    masks += [random_subsets(order, table.n_queries, generator) for _ in range(n - 1)]
    if not table.is_recorded:  # a missing record cannot be revealed
        masks = [mask & torch.from_numpy(table.recorded.copy()) for mask in masks]
    seen = [prior.of_table(table, mask.numpy(), held_out) for mask in masks]
    return [
        Lesson(m, torch.from_numpy(prior_signal))
        for m, prior_signal in zip(masks, seen, strict=True)
    ]


def fit_start(
    table: ResponseTable,
    fold: IntArray,
    n_folds: int,
    lessons: Sequence[Lesson],
    *,
    with_prior: bool,
    reply_shift: FloatArray | None = None,
) -> FusionStart:
    """Fit E = n_folds + 1 conditional logits.

    Args:
        table: labelled training queries.
        fold: int64[Q] in [0, n_folds).
        n_folds: net e < n_folds is fitted without fold e, the last one on everything.
        lessons: of these queries, the first with all members.
        with_prior: whether the lessons' prior signals are used.
        reply_shift: float32[Q, N], out of fold; None where replies are not read.
    """
    lessons = lessons[:_N_COPIES]
    graded = table.has_graded_support
    copies = table.take(np.tile(np.arange(table.n_queries), len(lessons)))
    prior_signal: FloatArray | None = None
    if with_prior:
        prior_signal = torch.cat([lesson.prior_signal for lesson in lessons]).numpy()
    asked = torch.cat([lesson.asked for lesson in lessons]).numpy()
    shift = None if reply_shift is None else np.tile(reply_shift, (len(lessons), 1))
    choices = choices_of(copies, graded=graded, asked=asked, shift=shift, prior=prior_signal)

    def model(rows: ResponseTable) -> WeightModel:
        """Log-odds of accuracy, the unknown task last."""
        member = log_odds(sound_accuracy(rows), least=LEAST)
        task = np.vstack([log_odds(task_accuracy(rows), least=LEAST), member])
        return WeightModel.from_log_odds(
            member, task, graded=graded, company=True, with_prior=with_prior,
            with_shift=reply_shift is not None,
        )  # fmt: skip

    models = [model(table.take(fold != k)) for k in range(n_folds)]
    # A query counts once, however many of its subsets are fitted.
    penalties = [(len(lessons) * own, len(lessons) * task) for own, task in PENALTIES]
    best, thetas = cross_fit(choices, np.tile(fold, len(lessons)), models, penalties)
    models.append(model(table))
    thetas.append(models[-1].fit(choices, *penalties[best], start=thetas[0]))
    fitted = [model.weights(theta) for model, theta in zip(models, thetas, strict=True)]
    stacked = (np.stack(parts).astype(np.float32) for parts in zip(*fitted, strict=True))
    return FusionStart(*(torch.from_numpy(part) for part in stacked))


def random_subsets(order: Tensor, n_rows: int, generator: torch.Generator) -> Tensor:
    """bool[B, N], never empty: any size alike; half the rows prefer accurate members."""
    n_members = len(order)
    size = torch.randint(1, n_members + 1, (n_rows, 1), generator=generator)
    noise = torch.rand(n_rows, n_members, generator=generator)
    lean = (torch.rand(n_rows, 1, generator=generator) < 0.5) * 10.0
    rank = (noise + lean * order).argsort(dim=1, descending=True).argsort(dim=1)
    return rank < size
