"""Choose at each price between the learned policy and simple rivals, by out-of-fold results.

All are judged out of fold on training queries (`verdicts`): rivals are fitted without the query's
inner fold, thresholds are chosen on the other folds, and Fusion's posterior comes from the net that
left the query out. The Decider itself did see these queries, so its figure is slightly optimistic.
Where the prior is used and few queries judge, a rival must lead by more than one standard error:
the prior deserves more trust than a hundred labels. Where calls cost nothing, all members are
asked, unless one member alone, or stacking, does better: a strategy that spares calls and seems to
gain accuracy as well is most often the luckiest of several.

Axes: P prices, Q queries.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rlfocal.agents.arrays import Weights
from rlfocal.agents.config import RlFocalConfig
from rlfocal.agents.fitted_pool import FittedPool
from rlfocal.agents.learned import LEARNED, Learned
from rlfocal.agents.remembering import Remembering
from rlfocal.deliberation.base import Base
from rlfocal.deliberation.progress import Progress
from rlfocal.deliberation.protocol import State, unmet
from rlfocal.deliberation.replay import replay
from rlfocal.deliberation.state import Row, names_of, nested, prefixed, without_prefix
from rlfocal.executor import Executor
from rlfocal.focal.ask_all import AskAll
from rlfocal.focal.posterior_threshold import (
    CURVE_ROWS,
    Curve,
    PosteriorThreshold,
    Walk,
    nearest_price,
    prices_of,
    walk_prices,
)
from rlfocal.records import IntArray, ResponseTable
from rlfocal.strategies.capped import CappedAgreement
from rlfocal.strategies.single import BestSingle, BestSinglePerTask
from rlfocal.strategies.stacking import Stacking
from rlfocal.strategies.verdicts import (
    Candidate,
    Choice,
    Judged,
    Judging,
    Rival,
    out_of_fold,
    settle,
    verdict_arrays,
    verdict_rows,
    verdicts_from,
)

__all__ = ["LEARNED", "fallback_layout", "fallback_state", "fit_fallback", "restore_fallback"]


class _Simple(NamedTuple):
    """A strategy without Fusion, and where it may act."""

    make: Callable[[], Base]
    one_by_one: bool = False
    """See `Candidate`: such rivals compete only where rounds are not limited."""
    free: bool = True
    """Whether it competes where calls cost nothing."""


_SIMPLE = {
    BestSingle.name: _Simple(BestSingle),
    BestSinglePerTask.name: _Simple(BestSinglePerTask),
    CappedAgreement.name: _Simple(CappedAgreement, one_by_one=True, free=False),
    Stacking.name: _Simple(Stacking),
}
_NAMES = (LEARNED, AskAll.name, PosteriorThreshold.name, *_SIMPLE)
"""Names of policies that can act; arrays refer to them by place."""
_FREE = (AskAll.name, *(name for name, rival in _SIMPLE.items() if rival.free))
_CLEAR = 0.005
"""Where the prior is used: the standard error up to which a lead of one of them is enough; at k
times it, a lead of k is."""
_MOST_ROWS = 3000
"""Most training queries that judge; more would change no verdict."""


def fit_fallback(
    fitted_pool: FittedPool,
    decider: Weights,
    table: ResponseTable,
    config: RlFocalConfig,
    *,
    rng: np.random.Generator,
    executor: Executor | None = None,
    on_progress: Callable[[Progress], None] | None = None,
) -> Choice:
    """Judge every policy at every price.

    Args:
        fitted_pool: fitted on the table.
        decider: weights, trained against it.
        table: the training queries.
        config: says which prices there are; the least one stands in for 0 with the Decider.
        rng: picks the queries that judge and seeds what is stochastic.
        executor: where simple rivals are fitted for it; None for here. It changes no figure.
        on_progress: called as simple rivals are fitted.

    Returns:
        The policy chosen at each price, and the candidates; the learned policy is not among these.
    """
    rows = np.sort(rng.permutation(table.n_queries)[:_MOST_ROWS])
    rows = rows[table.scored[rows].any(axis=1)]
    prices, mu = prices_of(config), config.round_price
    unit_cost = fitted_pool.statistics.unit_cost
    held_out, part = fitted_pool.held_out.take(rows), table.take(rows)
    fold = fitted_pool.held_out.fold
    observer = Remembering.of(fitted_pool.observer_of(config.rounds))
    learned = Learned(config, fitted_pool, decider, observer=observer, held_out=held_out)
    judged = {LEARNED: _replayed(learned, part, prices, unit_cost, mu)}
    # It has no price, so one replay serves all prices.
    everybody = AskAll(fitted_pool, observer=observer, held_out=held_out)
    every = _replayed(everybody, part, (0.0,), unit_cost, mu)
    judged[AskAll.name] = Judged(*(np.repeat(x, len(prices), axis=0) for x in every))
    candidates = {AskAll.name: Candidate(AskAll(fitted_pool))}
    one_by_one = config.max_rounds is None or config.max_rounds >= table.n_members
    if one_by_one:
        walks = walk_prices(fitted_pool, part, held_out, prices, observer=observer)
        judged[PosteriorThreshold.name] = _thresholds(walks, fold[rows], prices, mu)
        threshold = PosteriorThreshold(config).assemble(fitted_pool, Curve.of(walks))
        candidates[PosteriorThreshold.name] = Candidate(threshold, one_by_one=True)
    made = {
        name: strategy
        for name, rival in _SIMPLE.items()
        if unmet(strategy := rival.make(), table) is None and (one_by_one or not rival.one_by_one)
    }
    rivals = {name: Rival(one.spec, _SIMPLE[name].one_by_one) for name, one in made.items()}
    judging = Judging(rivals, table, fold, rows, prices, unit_cost, mu)
    judged |= out_of_fold(judging, executor=executor, on_progress=on_progress)
    for name, one in made.items():
        fitted = one.fit(one.training_table(table), rng=rng)
        candidates[name] = Candidate(fitted, rivals[name].one_by_one)
    return Choice(settle(judged, prices, free=_FREE, clear=_CLEAR), candidates, mu)


def _replayed(
    policy: Base, table: ResponseTable, prices: tuple[float, ...], unit_cost: float, mu: float
) -> Judged:
    """Replay a policy on training queries at each price."""
    played = [replay(policy.at(price) if policy.dial else policy, table) for price in prices]
    return Judged(
        np.stack([one.score for one in played]),
        np.stack([one.cost / np.float32(unit_cost) for one in played]),
        np.stack([np.float32(mu) * one.n_rounds for one in played]),
    )


def _thresholds(
    walks: list[Walk], fold: IntArray, prices: tuple[float, ...], round_price: float
) -> Judged:
    """Stopping on a threshold, chosen for each inner fold on the others; each call is a round."""
    score = np.zeros((len(prices), len(fold)), dtype=np.float32)
    cost, charged = np.zeros_like(score), np.zeros_like(score)
    for k in np.unique(fold):
        here = fold == k
        curve = Curve.of([w.take(~here) for w in walks])
        for p, price in enumerate(prices):
            dial = price + round_price if price > 0 else price
            order = nearest_price(prices, dial)
            walked, threshold = walks[order].take(here), curve.best(order, dial)
            score[p, here], cost[p, here] = walked.outcome(threshold)
            charged[p, here] = round_price * (walked.stops(threshold) + 1)
    return Judged(score, cost, charged)


# On disk ------------------------------------------------------------------------------------------


def fallback_state(fallback: Choice, fitted_pool: FittedPool) -> State:
    """Every array, except those of the fitted pool that it uses."""
    arrays, shared = (
        prefixed("fallback", verdict_arrays(fallback.verdicts, _NAMES)),
        {*fitted_pool.state()},
    )
    for name, candidate in fallback.candidates.items():
        own = candidate.strategy.state()
        arrays |= prefixed(f"rival.{name}", {k: a for k, a in own.items() if k not in shared})
    return arrays


def restore_fallback(
    state: Mapping[str, NDArray[Any]], fitted_pool: FittedPool, config: RlFocalConfig
) -> Choice:
    """Undo `fallback_state`.

    Raises:
        KeyError: an array is missing, or all of a rival that acts.
    """
    verdicts = verdicts_from(without_prefix("fallback", state), _NAMES, prices_of(config))
    candidates = {AskAll.name: Candidate(AskAll(fitted_pool))}
    curve = without_prefix(f"rival.{PosteriorThreshold.name}", state)
    if curve:
        threshold = PosteriorThreshold(config).assemble(fitted_pool, Curve(**curve))
        candidates[PosteriorThreshold.name] = Candidate(threshold, one_by_one=True)
    for name, rival in _SIMPLE.items():
        own = without_prefix(f"rival.{name}", state)
        if own:
            candidates[name] = Candidate(rival.make().restore(own), rival.one_by_one)
    for verdict in verdicts:
        if verdict.chosen != LEARNED and verdict.chosen not in candidates:
            raise KeyError(f"'{verdict.chosen}' acts at a price, and its arrays are missing")
    return Choice(verdicts, candidates, config.round_price)


def fallback_layout(present: Collection[str], among: Mapping[str, Row]) -> dict[str, Row]:
    """The layout of the arrays of `fallback_state`; a policy that was not fitted has none.

    Args:
        present: names of arrays that a file holds.
        among: rows of the strategy that the fallback belongs to.
    """
    rows = {f"fallback.{key}": row for key, row in verdict_rows(len(_NAMES)).items()}
    threshold = f"rival.{PosteriorThreshold.name}"
    if names_of(threshold, present):
        rows |= {f"{threshold}.{key}": row for key, row in CURVE_ROWS.items()}
    for name, rival in _SIMPLE.items():
        if own := names_of(f"rival.{name}", present):
            part = rival.make().layout(own)
            rows |= nested(f"rival.{name}", part, {**among, **rows})
    return rows
