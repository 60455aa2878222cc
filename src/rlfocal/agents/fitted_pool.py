"""A pool fitted on its training queries: statistics, predicted competence, the prior, its votes.

Shared by the Decider, by stopping on a threshold and by the comparison of policies. Training
queries are always judged out of fold, through `held_out`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from rlfocal.agents.config import RlFocalConfig, Rounds
from rlfocal.agents.fusion import PriorOnPool, Votes, fit_votes
from rlfocal.agents.known import Known, OutOfFold
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
    """Statistics, predicted competence, the prior, its votes and a score of replies of one pool."""

    statistics: PoolStatistics
    competence: Competence
    prior: PriorOnPool
    votes: Votes
    held_out: OutOfFold
    reply_score: ReplyScore | None = None
    """None where replies are not recorded, or say nothing beyond their answers."""

    def known(self, view: View) -> Known:
        """What is known of new queries."""
        untold = view.task >= len(self.statistics.task_accuracy) - 1
        competence, score = self.competence.predict(view.features, untold), self.reply_score
        if score is None:
            return Known(competence)
        if view.replies is None:
            return Known(competence, np.zeros(view.asked.shape, dtype=np.float32))
        return Known(competence, score.shift(view.replies))

    @cached_property
    def observer(self) -> Observer:
        """The observer with the statistics of training."""
        return Observer(self.prior, self.votes)

    def observer_of(self, rounds: Rounds | None) -> Observer:
        """The observer of a policy that gathers its choices into rounds."""
        return self.observer if rounds is None else replace(self.observer, rounds=rounds)

    @property
    def reads_replies(self) -> bool:
        """Whether a score of replies was worth learning."""
        return self.reply_score is not None

    def follow(self, memory: Memory) -> FittedPool:
        """A copy whose prior counts recent labels as well; all else stays as in training."""
        return replace(self, prior=self.prior.follow(memory))

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
        """Measure, predict, and fit Fusion.

        Args:
            table: labelled training queries, supports calibrated out of fold.
            config: settings.
            rng: source of all randomness.
            on_progress: called before Fusion is fitted and when it is.
            fitted: arrays of `Votes` fitted before on the same table with the same settings and
                randomness, to go on with.
        """
        statistics = PoolStatistics.of(table)
        fold = inner_folds(table, config.n_folds, rng=rng)
        score, reply_shift = _read_replies(table, rng=rng)
        held_out = OutOfFold(
            Competence.out_of_fold(table, fold), len(table.tasks), fold, reply_shift
        )
        prior = PriorOnPool.fit(table, fold, config.n_folds)
        tell = on_progress or (lambda _: None)
        (of_votes,) = rng.spawn(1)  # fitted or not, what is drawn later is the same
        if fitted is None:
            tell(Progress("fusion", 0, 1))
            votes = fit_votes(table, held_out, prior, rng=of_votes)
            tell(Progress("fusion", 1, 1))
        else:
            votes = Votes(**fitted, reads_replies=reply_shift is not None)
        competence = Competence.fit(table, statistics)
        return cls(statistics, competence, prior, votes, held_out, score)

    def state(self) -> State:
        """Every array by name, except the predictions for training queries."""
        statistics = {f.name: getattr(self.statistics, f.name) for f in fields(self.statistics)}
        unit_cost = np.array([self.statistics.unit_cost])
        arrays = prefixed("statistics", statistics | {"unit_cost": unit_cost})
        arrays |= prefixed("competence", vars(self.competence))
        arrays |= prefixed("votes", self.votes.arrays())
        arrays |= prefixed("prior", self.prior.whole.state())
        if self.reply_score is not None:
            arrays |= prefixed("replies", self.reply_score.state())
        return arrays

    @classmethod
    def restore(cls, state: Mapping[str, NDArray[Any]]) -> Self:
        """Undo `state`."""
        found = without_prefix("statistics", state)
        unit_cost = float(found.pop("unit_cost")[0])
        statistics = PoolStatistics(unit_cost=unit_cost, **found)
        replies = without_prefix("replies", state)
        votes = Votes(**without_prefix("votes", state), reads_replies=bool(replies))
        n_tasks, n_members = statistics.task_accuracy.shape
        nobody = np.zeros((2, 0, n_members), dtype=np.float32)
        return cls(
            statistics,
            Competence(**without_prefix("competence", state)),
            PriorOnPool((RlFocalPrior().restore(without_prefix("prior", state)),)),
            votes,
            OutOfFold(nobody, n_tasks - 1, np.zeros(0, dtype=np.int64)),
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
            "competence.weight": Row("float32", "2DN"),
            "competence.intercept": Row("float32", "2N"),
        }
        rows = own | nested("votes", Votes.layout(), among)
        inner = names_of("prior", present)
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
