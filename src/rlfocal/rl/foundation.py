"""What every learned policy of a pool stands on: statistics, predicted competence, Fusion.

Fitted once on the training queries and shared by the Decider, by stopping on a threshold and by the
comparison of policies. Training queries are always judged out of fold, through `known`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Self

import numpy as np
import torch
from torch import Tensor

from rlfocal.deliberation.progress import Progress
from rlfocal.deliberation.view import View
from rlfocal.records import FloatArray, ResponseTable
from rlfocal.records.inner import inner_folds
from rlfocal.rl.config import RlFocalConfig, Rounds
from rlfocal.rl.fusion import Fusion, Hints, fit_fusion
from rlfocal.rl.nets import one_thread
from rlfocal.rl.observation import Observer
from rlfocal.rl.statistics import Competence, PoolStatistics

__all__ = ["Foundation", "Known"]


@dataclass(frozen=True, eq=False)
class Known:
    """What training knows of its queries beside the table."""

    competence: FloatArray
    """float32[Q, N], out of fold."""
    fold: Tensor
    """int64[Q]: the Fusion net that never saw the query."""


@dataclass(frozen=True, eq=False)
class Foundation:
    """Fitted on labelled queries."""

    statistics: PoolStatistics
    competence: Competence
    fusion: Fusion
    hints: Hints
    known: Known

    @cached_property
    def observer(self) -> Observer:
        """What turns views into observations, with the statistics of training."""
        return Observer(self.statistics, self.fusion, self.hints)

    def eyes(self, rounds: Rounds | None) -> Observer:
        """The same for a policy that gathers its choices into rounds."""
        return self.observer if rounds is None else replace(self.observer, rounds=rounds)

    def fuse(self, view: View, eyes: Observer | None = None) -> FloatArray:
        """float32[B, C]: the posterior of what exists; "none of these" is missing from the sum.

        Args:
            view: what has been revealed.
            eyes: an observer that follows recent labels; None for that of training.
        """
        with one_thread():
            competence = self.competence.predict(view.features)
            posterior = (eyes or self.observer).posterior(view, competence)[:, :-1].numpy()
        return np.asarray(posterior * view.available)

    @classmethod
    def fit(
        cls,
        table: ResponseTable,
        config: RlFocalConfig,
        *,
        rng: np.random.Generator,
        on_progress: Callable[[Progress], None] | None = None,
        fitted: dict[str, Tensor] | None = None,
    ) -> Self:
        """Measure, predict, and train Fusion.

        Args:
            table: labelled training queries, supports calibrated out of fold.
            config: settings.
            rng: source of all randomness.
            on_progress: called after each epoch of Fusion.
            fitted: weights of a Fusion trained before on the same table with the same settings and
                randomness, to go on with.
        """
        statistics = PoolStatistics.of(table)
        fold = inner_folds(table, config.n_folds, rng=rng)
        competence = Competence.out_of_fold(table, fold)
        hints = Hints.fit(table, fold, config.n_folds)
        total = config.fusion_epochs if fitted is None else 0

        def on_epoch(epoch: int, nll: float) -> None:
            if on_progress is not None:
                on_progress(Progress("fusion", epoch + 1, total, {"out_of_fold_nll": nll}))

        fusion = fit_fusion(
            table, competence, fold, hints,
            config.model_copy(update={"fusion_epochs": total}), rng=rng, on_epoch=on_epoch,
        )  # fmt: skip
        if fitted is not None:
            fusion.load_state_dict(fitted)
            fusion.eval()
        known = Known(competence, torch.from_numpy(fold))
        return cls(statistics, Competence.fit(table, statistics), fusion, hints, known)
