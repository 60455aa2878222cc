"""A pool fitted on its training queries: statistics, predicted competence and Fusion.

Shared by the Decider, by stopping on a threshold and by the comparison of policies. Training
queries are always judged out of fold, through `held_out`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rlfocal.agents.config import RlFocalConfig, Rounds
from rlfocal.agents.fusion import Fusion, PriorSignal, fit_fusion
from rlfocal.agents.nets import arrays_of, rows_of, weights_from
from rlfocal.agents.observation import Observer
from rlfocal.agents.prior.strategy import RlFocalPrior
from rlfocal.agents.statistics import Competence, PoolStatistics
from rlfocal.deliberation.progress import Progress
from rlfocal.deliberation.protocol import State
from rlfocal.deliberation.state import Row, nested, prefixed, without_prefix
from rlfocal.deliberation.view import Memory, View
from rlfocal.records import FloatArray, IntArray, ResponseTable
from rlfocal.records.tables.folds import inner_folds

__all__ = ["FittedPool", "OutOfFold"]


@dataclass(frozen=True, eq=False)
class OutOfFold:
    """Out-of-fold predictions for the training queries."""

    competence: FloatArray
    """float32[Q, N], out of fold."""
    fold: Tensor
    """int64[Q]: the Fusion net that never saw the query."""

    def of(self, view: View) -> tuple[FloatArray, Tensor]:
        """As of `Competence.of`, for training queries, which are looked up by position."""
        return self.competence[view.position], self.fold[view.position]

    def take(self, rows: IntArray) -> OutOfFold:
        """Select some of the queries."""
        return OutOfFold(self.competence[rows], self.fold[torch.from_numpy(rows)])


@dataclass(frozen=True, eq=False)
class FittedPool:
    """Statistics, predicted competence, Fusion and the prior of one pool."""

    statistics: PoolStatistics
    competence: Competence
    fusion: Fusion
    prior: PriorSignal
    held_out: OutOfFold

    @cached_property
    def observer(self) -> Observer:
        """The observer with the statistics of training."""
        return Observer(self.statistics, self.fusion, self.prior)

    def observer_of(self, rounds: Rounds | None) -> Observer:
        """The observer of a policy that gathers its choices into rounds."""
        return self.observer if rounds is None else replace(self.observer, rounds=rounds)

    def follow(self, memory: Memory) -> FittedPool:
        """A copy whose prior counts recent labels as well; all else stays as in training."""
        return replace(self, prior=self.prior.follow(memory)) if self.prior else self

    @classmethod
    def fit(
        cls,
        table: ResponseTable,
        config: RlFocalConfig,
        *,
        rng: np.random.Generator,
        on_progress: Callable[[Progress], None] | None = None,
        fitted: Mapping[str, NDArray[Any]] | None = None,
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
        prior = PriorSignal.fit(table, fold, config.n_folds)
        total = config.fusion_epochs if fitted is None else 0

        def on_epoch(epoch: int, nll: float) -> None:
            if on_progress is not None:
                on_progress(Progress("fusion", epoch + 1, total, {"out_of_fold_nll": nll}))

        fusion = fit_fusion(
            table, competence, fold, prior,
            config.model_copy(update={"fusion_epochs": total}), rng=rng, on_epoch=on_epoch,
        )  # fmt: skip
        if fitted is not None:
            weights_from(fusion, fitted)
        held_out = OutOfFold(competence, torch.from_numpy(fold))
        return cls(statistics, Competence.fit(table, statistics), fusion, prior, held_out)

    def state(self) -> State:
        """Every array by name, except the predictions for training queries."""
        statistics = {f.name: getattr(self.statistics, f.name) for f in fields(self.statistics)}
        unit_cost = np.array([self.statistics.unit_cost])
        arrays = prefixed("statistics", statistics | {"unit_cost": unit_cost})
        arrays |= prefixed("competence", vars(self.competence))
        arrays |= prefixed("fusion", arrays_of(self.fusion))
        if self.prior:
            arrays |= prefixed("prior", self.prior.pools[-1].state())
        return arrays

    @classmethod
    def restore(cls, state: Mapping[str, NDArray[Any]]) -> Self:
        """Undo `state`."""
        found = without_prefix("statistics", state)
        unit_cost = float(found.pop("unit_cost")[0])
        statistics = PoolStatistics(unit_cost=unit_cost, **found)
        weights = without_prefix("fusion", state)
        start = (torch.from_numpy(weights[name]) for name in ("weight", "none_bias", "company"))
        fusion = Fusion(*start, n_candidates=weights["position"].shape[2])
        n_members = len(statistics.accuracy)
        prior = without_prefix("prior", state)
        return cls(
            statistics,
            Competence(**without_prefix("competence", state)),
            weights_from(fusion, weights),
            PriorSignal((RlFocalPrior().restore(prior),) if prior else ()),
            OutOfFold(
                np.zeros((0, n_members), dtype=np.float32), torch.zeros(0, dtype=torch.int64)
            ),
        )

    @staticmethod
    def layout(present: Collection[str], among: Mapping[str, Row]) -> dict[str, Row]:
        """The layout of the arrays of `state`.

        Args:
            present: names of arrays that a file holds.
            among: rows of the strategy that uses this pool.
        """
        own = {
            "statistics.accuracy": Row("float32", "N"),
            "statistics.task_accuracy": Row("float32", "TN"),
            "statistics.relative_cost": Row("float32", "N", low=0),
            "statistics.unit_cost": Row("float64", "1", low=0),
            "statistics.joint_failure": Row("float32", "NN"),
            "competence.weight": Row("float32", "DN"),
            "competence.intercept": Row("float32", "N"),
        }
        fusion = {
            "weight": Row("float32", "ETK"),
            "none_bias": Row("float32", "ET"),
            "company": Row("float32", "ETKN"),
            "position": Row("float32", "ETC"),
        }
        rows = rows_of(present, "fusion") | own
        rows |= nested("fusion", fusion, among)
        prior = [key.removeprefix("prior.") for key in present if key.startswith("prior.")]
        if prior:
            inner = RlFocalPrior().layout(prior)
            rows |= nested("prior", inner, {**among, **rows})
        return rows
