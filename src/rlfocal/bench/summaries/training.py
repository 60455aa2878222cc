"""What a training came to, on queries held out of it.

It stands beside the best single member and the best simple strategy, both chosen on the training
queries alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rlfocal.bench.result import Verdict
from rlfocal.bench.statistics import BEST_SINGLE, Estimate, MeasuredMeans, judge
from rlfocal.checkpoint import Checkpoint
from rlfocal.deliberation.base import Base
from rlfocal.deliberation.protocol import Outcome, Resumable, Spec, unmet
from rlfocal.deliberation.registry import create_strategy
from rlfocal.deliberation.replay import replay
from rlfocal.executor import Executor, SerialExecutor
from rlfocal.records import BoolArray, IntArray, ResponseTable
from rlfocal.records.tables.folds import inner_folds
from rlfocal.records.tables.missing import missing_of
from rlfocal.strategies.voting import rank_members

__all__ = ["SIMPLE", "Compared", "TrainingSummary", "summarise_training"]

_ENOUGH = 10
"""Groups of equal prompts below which nothing is measured."""
_SLOWER = ("stacking", "knn-router")
"""Tried beside what trains for long, where their seconds are a small share."""
SIMPLE = (
    "best-single-per-task", "weighted-vote-per-task", "agreement", "agreement-capped", *_SLOWER,
)  # fmt: skip
"""Strategies of which the best one is shown beside what was trained."""
_N_FOLDS = 3
_MOST_ROWS = 3000
"""Most training queries on which simple strategies are judged."""


@dataclass(frozen=True, kw_only=True)
class Compared:
    """A member or a strategy, on the held-out queries."""

    name: str
    accuracy: Estimate
    """Mean score in [0, 1], over the queries on which it was measured."""
    mean_calls: float
    mean_cost_usd: float | None
    """USD a query; None where prices are not known."""
    lead: Estimate | None = None
    """Accuracy of the trained strategy less its own, over the queries measured for both; None for
    the trained strategy itself."""
    verdict: Verdict | None = None
    """On the trained strategy."""


@dataclass(frozen=True, kw_only=True)
class TrainingSummary:
    """Figures of a training on the queries held out of it."""

    n_held_out: int
    trained: Compared | None
    """None where nothing can be measured: too few queries were held out, or hardly any of them has
    a record of those whom it asks."""
    best_single: Compared | None
    """The member that was best on the training queries; None where it was trained itself."""
    best_simple: Compared | None
    """The most accurate of some simple strategies, by inner folds of the training queries; None
    where none can run on the data."""
    asked: dict[str, float]
    """Member → share of the held-out queries on which it is asked, by falling share."""


def summarise_training(
    loaded: Checkpoint,
    train: ResponseTable,
    held_out: ResponseTable,
    *,
    executor: Executor | None = None,
    on_progress: Callable[[int, int, str], None] = lambda *_: None,
) -> TrainingSummary | None:
    """Measure what was trained on the queries held out of its training.

    Args:
        loaded: what was trained.
        train: the queries it was trained on, supports not calibrated.
        held_out: other queries of the same data.
        executor: where simple strategies are fitted; None for here. It changes no figure.
        on_progress: called with the fits of simple strategies done, all of them, and the last one's
            name.

    Returns:
        None where so few queries were held out, or so few of them are recorded of those whom it
        asks, that nothing can be measured.
    """
    ready = loaded.calibration.apply(train)
    test = loaded.calibration.apply(held_out.with_tasks(tuple(loaded.description.tasks)))
    own = replay(loaded.strategy, test) if test.n_queries else None
    if own is None or len(np.unique(test.group[own.measured])) < _ENOUGH:
        return None
    # What uses no label has chosen nobody.
    best = loaded.best_member if loaded.description.n_training_queries else rank_members(ready)[0]
    trained = _Column.of(loaded.strategy.name, own, test)
    single = None
    if loaded.strategy.name != BEST_SINGLE:
        single = _Column.of_member(best, test)
    made = _best_simple(ready, loaded.strategy, executor, on_progress)
    simple = None if made is None else _Column.of(made.name, replay(made, test), test)
    share = own.asked[own.measured].mean(axis=0)
    order = [n for n in np.argsort(-share, kind="stable").tolist() if share[n] > 0]
    return TrainingSummary(
        n_held_out=test.n_queries,
        trained=_figures(trained, test),
        best_single=None if single is None else _figures(single, test, beside=trained),
        best_simple=None if simple is None else _figures(simple, test, beside=trained),
        asked={test.members[n]: float(share[n]) for n in order},
    )


class _Trial(NamedTuple):
    """Simple strategies, and the queries on which they are tried."""

    specs: list[Spec]
    table: ResponseTable
    fold: IntArray
    """int64[Q]."""


class _Part(NamedTuple):
    """A strategy by its number, and the fold that it is not fitted on."""

    number: int
    fold: int


def _best_simple(
    train: ResponseTable,
    trained: Base,
    executor: Executor | None,
    on_progress: Callable[[int, int, str], None],
) -> Base | None:
    """The simple strategy that did best on inner folds, fitted on all training queries."""
    long = isinstance(trained, Resumable)
    tried = [name for name in SIMPLE if long or name not in _SLOWER]
    specs = [Spec(name, {}) for name in tried if name != trained.name]
    specs = [spec for spec in specs if unmet(create_strategy(spec), train) is None]
    n_groups = len(np.unique(train.group))
    if n_groups < 2:
        return None
    rows = np.sort(np.random.default_rng(0).permutation(train.n_queries)[:_MOST_ROWS])
    part = train.take(rows)
    fold = inner_folds(part, min(_N_FOLDS, n_groups))
    score = np.full((len(specs), part.n_queries), np.nan)
    calls = np.zeros(score.shape)
    folds = [k for k in np.unique(fold).tolist() if not (fold == k).all()]
    parts = [_Part(s, k) for s in range(len(specs)) for k in folds]
    shared = _Trial(specs, part, fold)
    found = (executor or SerialExecutor()).map(_tried, parts, shared=shared)
    for done, (index, (own_score, own_calls)) in enumerate(found, start=1):
        s, k = parts[index]
        score[s, fold == k], calls[s, fold == k] = own_score, own_calls
        on_progress(done, len(parts) + 1, specs[s].name)
    known = ~np.isnan(score).any(axis=0)
    if not len(specs) or not known.any():
        return None
    mean = score[:, known].mean(axis=1)
    near = np.flatnonzero(mean > mean.max() - 1e-9)
    best = specs[int(near[calls[near].mean(axis=1).argmin()])]
    return _fitted(best, train)


def _tried(trial: _Trial, part: _Part) -> tuple[NDArray[Any], NDArray[Any]]:
    """Scores of a strategy on the queries of a fold, and its calls."""
    here = trial.fold == part.fold
    fitted = _fitted(trial.specs[part.number], trial.table.take(~here))
    outcome = replay(fitted, trial.table.take(here))
    return outcome.score, outcome.n_calls


def _fitted(spec: Spec, table: ResponseTable) -> Base:
    made = create_strategy(spec)
    return made.fit(made.training_table(table), rng=np.random.default_rng(0))


class _Column(NamedTuple):
    """A member or a strategy on Q queries."""

    name: str
    score: NDArray[np.float64]
    """float64[Q], 0 where it was not measured."""
    measured: BoolArray
    mean_calls: float
    mean_cost_usd: float | None

    @classmethod
    def of(cls, name: str, outcome: Outcome, table: ResponseTable) -> _Column:
        """A strategy's."""
        known = outcome.measured
        usd = float(outcome.cost[known].mean()) if table.cost_unit == "usd" else None
        score = np.nan_to_num(outcome.score).astype(np.float64)
        return cls(name, score, known, float(outcome.n_calls[known].mean()), usd)

    @classmethod
    def of_member(cls, member: int, table: ResponseTable) -> _Column:
        """That of one member alone."""
        known = table.scored[:, member]
        usd = float(table.cost[known, member].mean()) if table.cost_unit == "usd" else None
        score = np.where(known, table.member_score[:, member], 0).astype(np.float64)
        return cls(table.members[member], score, known, 1.0, usd)


def _figures(
    own: _Column, table: ResponseTable, *, beside: _Column | None = None
) -> Compared | None:
    """Figures of one, and the lead of the other over it; None where both were never measured."""
    columns = [own] if beside is None else [own, beside]
    means = MeasuredMeans(
        np.stack([column.score for column in columns], axis=1),
        np.stack([column.measured for column in columns], axis=1),
        table.group,
        n_resamples=2000,
    )
    if not means.count(*range(len(columns))):
        return None
    lead, verdict = None, None
    if beside is not None:
        lead, missing = means.over(0, 1).difference(1, 0), missing_of(table)
        verdict = "withheld" if missing is not None and missing.withheld else judge(lead.ci)
    return Compared(
        name=own.name,
        accuracy=means.over(0).mean(0),
        mean_calls=own.mean_calls,
        mean_cost_usd=own.mean_cost_usd,
        lead=lead,
        verdict=verdict,
    )
