"""Where Fusion starts: a conditional logit fitted on all members and on random subsets of them.

The same convex problem as `strategies.stacking`, fitted for every inner fold on the others and once
on everything; the penalties are chosen by out-of-fold likelihood. So Fusion is no worse than
stacking before its networks learn anything, and it knows subsets too.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from rlfocal.records import IntArray, ResponseTable
from rlfocal.strategies.likelihood import PENALTIES, WeightModel, choices_of, cross_fit
from rlfocal.strategies.single import task_accuracy

__all__ = ["FusionStart", "fit_start", "random_subsets"]

_N_SUBSETS = 2
"""Random subsets of members per query, beside all of them."""


class FusionStart(NamedTuple):
    """Weights of E nets; task T stands for an unknown task; K = 2 N where supports are graded."""

    weight: Tensor
    """float32[E, T + 1, K]."""
    none_bias: Tensor
    """float32[E, T + 1]: logit of "none of these" for open queries."""


def fit_start(
    table: ResponseTable, fold: IntArray, n_folds: int, *, generator: torch.Generator
) -> FusionStart:
    """Fit E = n_folds + 1 conditional logits.

    Args:
        table: labelled training queries.
        fold: int64[Q] in [0, n_folds).
        n_folds: net e < n_folds is fitted without fold e, the last one on everything.
        generator: draws the subsets.
    """
    n_queries, graded = table.n_queries, table.has_graded_support
    order = torch.from_numpy(table.member_score.mean(axis=0))
    masks = [torch.ones(n_queries, table.n_members, dtype=torch.bool)]
    masks += [random_subsets(order, n_queries, generator) for _ in range(_N_SUBSETS)]
    copies = table.take(np.tile(np.arange(n_queries), len(masks)))
    choices = choices_of(copies, graded=graded, asked=torch.cat(masks).numpy())
    models = [_model(table.take(fold != k), graded=graded) for k in range(n_folds)]
    # A query counts once, however many of its subsets are fitted.
    penalties = [(len(masks) * own, len(masks) * task) for own, task in PENALTIES]
    best, thetas = cross_fit(choices, np.tile(fold, len(masks)), models, penalties)
    models.append(_model(table, graded=graded))
    thetas.append(models[-1].fit(choices, *penalties[best], start=thetas[0]))
    fitted = [model.weights(theta) for model, theta in zip(models, thetas, strict=True)]
    weight, none_bias = (np.stack(parts).astype(np.float32) for parts in zip(*fitted, strict=True))
    return FusionStart(torch.from_numpy(weight), torch.from_numpy(none_bias))


def _model(table: ResponseTable, *, graded: bool) -> WeightModel:
    """Log-odds of accuracy, the unknown task last."""
    accuracy = table.member_score.mean(axis=0, dtype=np.float64)
    by_task = np.vstack([task_accuracy(table), accuracy]).astype(np.float64)
    odds = [np.log(p / (1 - p)) for p in (np.clip(x, 0.02, 0.98) for x in (accuracy, by_task))]
    return WeightModel.from_log_odds(*odds, graded=graded)


def random_subsets(order: Tensor, n_rows: int, generator: torch.Generator) -> Tensor:
    """bool[B, N], never empty: any size alike; half the rows prefer accurate members."""
    n_members = len(order)
    size = torch.randint(1, n_members + 1, (n_rows, 1), generator=generator)
    noise = torch.rand(n_rows, n_members, generator=generator)
    lean = (torch.rand(n_rows, 1, generator=generator) < 0.5) * 10.0
    rank = (noise + lean * order).argsort(dim=1, descending=True).argsort(dim=1)
    return rank < size
