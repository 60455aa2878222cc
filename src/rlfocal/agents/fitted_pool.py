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

from rlfocal.agents.config import RlFocalConfig, Rounds
from rlfocal.agents.fusion import Fusion, PriorSignal, fit_fusion
from rlfocal.agents.known import Known, OutOfFold
from rlfocal.agents.nets import arrays_of, rows_of, weights_from
from rlfocal.agents.observation import Observer
from rlfocal.agents.prior.strategy import RlFocalPrior
from rlfocal.agents.statistics import Competence, PoolStatistics
from rlfocal.deliberation.progress import Progress
from rlfocal.deliberation.protocol import State
from rlfocal.deliberation.state import Row, names_of, nested, prefixed, without_prefix
from rlfocal.deliberation.view import Memory, View
from rlfocal.errors import CheckpointError
from rlfocal.records import FloatArray, ResponseTable
from rlfocal.records.tables.folds import inner_folds
from rlfocal.strategies.evidence import ReplyScore

__all__ = ["FittedPool"]

_LEAST_WORTH = 0.15
"""Factor of a score of replies below which they are not read at all.

Lengths alone, on mmlu_pro mid8, are worth .05 to .12, and reading them cost about .1 points.
"""


@dataclass(frozen=True, eq=False)
class FittedPool:
    """Statistics, predicted competence, a score of replies, Fusion and the prior of one pool."""

    statistics: PoolStatistics
    competence: Competence
    fusion: Fusion
    prior: PriorSignal
    held_out: OutOfFold
    reply_score: ReplyScore | None = None
    """None where replies are not recorded, or say nothing beyond their answers."""

    def known(self, view: View) -> Known:
        """What is known of new queries."""
        competence, score = self.competence.predict(view.features), self.reply_score
        if score is None:
            return Known(competence)
        if view.replies is None:
            return Known(competence, np.zeros(view.asked.shape, dtype=np.float32))
        return Known(competence, score.shift(view.replies))

    @cached_property
    def observer(self) -> Observer:
        """The observer with the statistics of training."""
        return Observer(self.statistics, self.fusion, self.prior)

    def observer_of(self, rounds: Rounds | None) -> Observer:
        """The observer of a policy that gathers its choices into rounds."""
        return self.observer if rounds is None else replace(self.observer, rounds=rounds)

    @property
    def reads_replies(self) -> bool:
        """Whether a score of replies was worth learning."""
        return self.reply_score is not None

    @property
    def of_nets(self) -> dict[str, Any]:
        """What shapes the Decider and the critic of this pool, beside their settings."""
        return {"reads_replies": self.reads_replies}

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
        score, reply_shift = _read_replies(table, rng=rng)
        held_out = OutOfFold(
            Competence.out_of_fold(table, fold), torch.from_numpy(fold), reply_shift
        )
        prior = PriorSignal.fit(table, fold, config.n_folds)
        total = config.fusion_epochs if fitted is None else 0

        def on_epoch(epoch: int, nll: float) -> None:
            if on_progress is not None:
                on_progress(Progress("fusion", epoch + 1, total, {"out_of_fold_nll": nll}))

        fusion = fit_fusion(
            table, held_out, prior,
            config.model_copy(update={"fusion_epochs": total}), rng=rng, on_epoch=on_epoch,
        )  # fmt: skip
        if fitted is not None:
            weights_from(fusion, fitted)
        competence = Competence.fit(table, statistics)
        return cls(statistics, competence, fusion, prior, held_out, score)

    def state(self) -> State:
        """Every array by name, except the predictions for training queries."""
        statistics = {f.name: getattr(self.statistics, f.name) for f in fields(self.statistics)}
        unit_cost = np.array([self.statistics.unit_cost])
        arrays = prefixed("statistics", statistics | {"unit_cost": unit_cost})
        arrays |= prefixed("competence", vars(self.competence))
        arrays |= prefixed("fusion", arrays_of(self.fusion))
        if self.prior:
            arrays |= prefixed("prior", self.prior.pools[-1].state())
        if self.reply_score is not None:
            arrays |= prefixed("replies", self.reply_score.state())
        return arrays

    @classmethod
    def restore(cls, state: Mapping[str, NDArray[Any]]) -> Self:
        """Undo `state`."""
        found = without_prefix("statistics", state)
        unit_cost = float(found.pop("unit_cost")[0])
        statistics = PoolStatistics(unit_cost=unit_cost, **found)
        weights = without_prefix("fusion", state)
        start = (torch.from_numpy(weights[name]) for name in ("weight", "none_bias", "company"))
        replies = without_prefix("replies", state)
        fusion = Fusion(
            *start, n_candidates=weights["position"].shape[2], reads_replies=bool(replies)
        )
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
            _restored(replies) if replies else None,
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
        if inner := names_of("prior", present):
            rows |= nested("prior", RlFocalPrior().layout(inner), {**among, **rows})
        if names_of("replies", present):
            rows |= nested("replies", ReplyScore.layout(), {**among, **rows})
        return rows


def _restored(state: State) -> ReplyScore:
    try:
        return ReplyScore.restore(state)
    except CheckpointError as exc:
        raise CheckpointError(f"replies: {exc}") from exc


def _read_replies(
    table: ResponseTable, *, rng: np.random.Generator
) -> tuple[ReplyScore | None, FloatArray | None]:
    """A score of replies, and float32[Q, N], how far it moves each training reply, out of fold.

    None and None where it is worth nothing: then nothing depends on replies at all.
    """
    (rng,) = rng.spawn(1)  # what is drawn from the caller's is the same with replies and without
    found = ReplyScore.fit_apart(table, rng=rng)
    if found is None or found.score.factor < _LEAST_WORTH:
        return None, None
    return found.score, found.held_out.shift
