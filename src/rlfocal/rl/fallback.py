"""Never worse: at each price, what learned is kept only where it has earned its place.

The learned policy and simple rivals are judged on training queries out of fold: rivals are fitted
without the query's inner fold, thresholds are chosen on the other folds, and Fusion's posterior
comes from the net that left the query out. The Decider itself did see these queries, so its figure
flatters a little. A rival acts in the policy's place where its lead exceeds its standard
error; and more of them where the prior has spoken and few queries judge: what was learned
beforehand deserves more trust than a hundred labels, and the luckiest of several rivals leads
often.
Where calls cost nothing, everybody is asked, unless one member alone, or stacking, does better.

Axes: P prices, Q queries.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rlfocal.deliberation.protocol import Strategy, unmet
from rlfocal.deliberation.replay import replay
from rlfocal.records import FloatArray, IntArray, ResponseTable
from rlfocal.rl.config import RlFocalConfig, Rounds
from rlfocal.rl.decider import Decider
from rlfocal.rl.environment import PoolEnv
from rlfocal.rl.everybody import Everybody
from rlfocal.rl.foundation import Foundation
from rlfocal.rl.rollout import greedy
from rlfocal.rl.threshold import (
    Curve,
    PosteriorThreshold,
    Walk,
    nearest_price,
    prices_of,
    walk_prices,
)
from rlfocal.strategies.capped import CappedAgreement
from rlfocal.strategies.single import BestSingle, BestSinglePerTask
from rlfocal.strategies.stacking import Stacking

__all__ = ["LEARNED", "Fallback", "Verdict", "fit_fallback"]

LEARNED = "learned"
"""Name of the Decider's own policy among the rivals."""
SIMPLE: tuple[type[Any], ...] = (BestSingle, BestSinglePerTask, CappedAgreement, Stacking)
"""Rivals that know nothing of Fusion."""
_SPARES_NOTHING = (BestSingle.name, BestSinglePerTask.name, Stacking.name)
"""Rivals where calls cost nothing."""
_CLEAR = 0.005
"""Where the prior has spoken: the standard error up to which one of them is lead enough; with k
times it, k of them are."""
_ONE_BY_ONE = (PosteriorThreshold.name, CappedAgreement.name)
"""Rivals that ask one member a round."""
_MOST_ROWS = 3000
"""Training queries that judge; more would settle nothing that these leave open."""


class Verdict(NamedTuple):
    """Who acts at one price, and on what evidence."""

    price: float
    chosen: str
    """Who acts: "learned", "everybody", or the name of a simple strategy."""
    incumbent: str
    """Who acts without evidence: "learned", or "everybody" where calls cost nothing."""
    utility: float
    """Mean out-of-fold utility of the incumbent: score less price times cost, less rounds."""
    rival: str
    """The best of the others."""
    rival_utility: float
    standard_error: float
    """Of the paired difference between the two."""

    def explain(self) -> str:
        """One sentence for people."""
        gap = 100 * (self.rival_utility - self.utility)
        found = f"{gap:+.1f} ± {100 * self.standard_error:.1f} points of utility out of fold"
        if self.chosen == self.incumbent:
            return f"{self.chosen} acts; {self.rival} in its place: {found}"
        return f"{self.chosen} acts in place of {self.incumbent}: {found}"


class Fallback(NamedTuple):
    """The verdicts and the rivals fitted on all training queries."""

    verdicts: tuple[Verdict, ...]
    """One for each price."""
    rivals: dict[str, Strategy]
    round_price: float = 0.0
    """mu."""

    def at(self, price: float) -> Strategy | None:
        """Who acts in the learned policy's place at a price; None for nobody."""
        chosen = self.verdict(price).chosen
        if chosen == LEARNED:
            return None
        found: Strategy = _priced(self.rivals[chosen], price, self.round_price)
        return found

    def verdict(self, price: float) -> Verdict:
        """The verdict at the nearest price; 0 is only near itself.

        Between two prices that disagree nobody acts in the incumbent's place.
        """
        if price == 0:
            return next(v for v in self.verdicts if v.price == 0)
        positive = [v for v in self.verdicts if v.price > 0]
        near = sorted(positive, key=lambda v: abs(float(np.log(v.price / price))))
        nearest, other = near[0], near[1]
        exact = abs(float(np.log(nearest.price / price))) < 1e-3
        if exact or nearest.chosen == other.chosen:
            return nearest
        return nearest._replace(chosen=nearest.incumbent)


class _Judged(NamedTuple):
    score: FloatArray
    """float32[P, Q]; NaN where it was not measured."""
    cost: FloatArray
    """float32[P, Q], in average calls."""
    charged: FloatArray | float = 0.0
    """float32[P, Q]: mu times rounds."""

    def utility(self, prices: FloatArray) -> FloatArray:
        return np.asarray(self.score - prices[:, None] * self.cost - self.charged)


def fit_fallback(
    foundation: Foundation,
    decider: Decider,
    table: ResponseTable,
    config: RlFocalConfig,
    *,
    rng: np.random.Generator,
) -> Fallback:
    """Judge every policy at every price.

    Args:
        foundation: fitted on the table.
        decider: trained against it.
        table: the training queries.
        config: says which prices there are; the least one stands in for 0 with the Decider.
        rng: picks the queries that judge and seeds what is stochastic.
    """
    rows = np.sort(rng.permutation(table.n_queries)[:_MOST_ROWS])
    rows = rows[table.scored[rows].any(axis=1)]
    prices = prices_of(config)
    grid = np.array(prices, dtype=np.float32)
    mu = config.round_price
    everybody = Everybody(foundation)
    whole = table.cost[rows].sum(axis=1) / np.float32(foundation.statistics.unit_cost)
    shape = (len(prices), len(rows))
    alone = everybody.out_of_fold(table, rows)
    judged = {
        Everybody.name: _Judged(np.broadcast_to(alone, shape), np.broadcast_to(whole, shape), mu)
    }
    rivals: dict[str, Strategy] = {Everybody.name: everybody}
    one_by_one = config.max_rounds is None or config.max_rounds >= table.n_members
    if one_by_one:
        walks = walk_prices(foundation, table, rows, prices)
        fold = foundation.known.fold.numpy()[rows]
        judged[PosteriorThreshold.name] = _thresholds(walks, fold, prices, mu)
        threshold = PosteriorThreshold(config).assemble(foundation, Curve.of(walks))
        rivals[PosteriorThreshold.name] = threshold
    for kind in SIMPLE:
        if unmet(kind(), table) is None and (one_by_one or kind.name not in _ONE_BY_ONE):
            judged[kind.name] = _out_of_fold(kind, foundation, table, rows, prices, mu)
            # One more task than there is, so that it knows what to do on an unknown one.
            rivals[kind.name] = kind().fit(table.with_tasks(table.tasks), rng=rng)
    least = np.maximum(grid, config.price_min)
    judged[LEARNED] = _learned(foundation, decider, table, rows, least, config.rounds)
    clear = _CLEAR if foundation.hints else np.inf
    verdicts = (_verdict(judged, p, grid, clear) for p in range(len(prices)))
    return Fallback(tuple(verdicts), rivals, mu)


def _thresholds(
    walks: list[Walk], fold: IntArray, prices: tuple[float, ...], round_price: float
) -> _Judged:
    """Stopping on a threshold, chosen for each inner fold on the others; each call is a round."""
    score = np.zeros((len(prices), len(fold)), dtype=np.float32)
    cost, charged = np.zeros_like(score), np.zeros_like(score)
    for k in np.unique(fold):
        here = fold == k
        curve = Curve.of([w.take(~here) for w in walks])
        for p, price in enumerate(prices):
            dial = _dial(price, round_price)
            order = nearest_price(prices, dial)
            walked, threshold = walks[order].take(here), curve.best(order, dial)
            score[p, here], cost[p, here] = walked.outcome(threshold)
            charged[p, here] = round_price * (walked.stops(threshold) + 1)
    return _Judged(score, cost, charged)


def _verdict(
    judged: dict[str, _Judged], p: int, prices: FloatArray, clear: float = np.inf
) -> Verdict:
    """Keep what should act at a price unless another did clearly better.

    Where calls cost nothing, only a member that is better alone and another way to fuse all stand
    against everybody: a way to spare calls that seems to gain accuracy as well is most often the
    luckiest of several.
    """
    incumbent = LEARNED
    if prices[p] == 0:
        incumbent = Everybody.name
        judged = {
            name: judged[name] for name in (Everybody.name, *_SPARES_NOTHING) if name in judged
        }
    utility = {name: found.utility(prices)[p].astype(np.float64) for name, found in judged.items()}
    own = utility[incumbent]
    means = {name: _mean_beside(found, own) for name, found in utility.items() if name != incumbent}
    rival = max(means, key=means.__getitem__)
    both = ~np.isnan(utility[rival]) & ~np.isnan(own)
    gap = (utility[rival] - own)[both]
    error = float(gap.std() / np.sqrt(len(gap)))
    return Verdict(
        price=float(prices[p]),
        chosen=rival if gap.mean() > error * max(1.0, error / clear) else incumbent,
        incumbent=incumbent,
        utility=float(own[~np.isnan(own)].mean()),
        rival=rival,
        rival_utility=means[rival],
        standard_error=error,
    )


def _mean_beside(found: NDArray[np.float64], incumbent: NDArray[np.float64]) -> float:
    """Mean utility of a rival, as if it had been measured wherever the incumbent was.

    Where it was not, it is taken to differ by what it differs by elsewhere; minus infinity where it
    was measured nowhere beside the incumbent.
    """
    both = ~np.isnan(found) & ~np.isnan(incumbent)
    if both.all():
        return float(found.mean())
    if not both.any():
        return -np.inf
    return float((found - incumbent)[both].mean() + incumbent[~np.isnan(incumbent)].mean())


def _learned(
    foundation: Foundation,
    decider: Decider,
    table: ResponseTable,
    rows: IntArray,
    prices: FloatArray,
    rounds: Rounds | None,
) -> _Judged:
    env = PoolEnv(table, unit_cost=foundation.statistics.unit_cost, rounds=rounds)
    eyes, mu = foundation.eyes(rounds), np.float32(0 if rounds is None else rounds.price)
    scores, costs, charges = [], [], []
    for price in prices:
        lam = np.full(len(rows), price, dtype=np.float32)
        played = greedy(eyes, decider, env, foundation.known, rows, lam)
        charged = mu * played.n_rounds
        scores.append(played.score)
        costs.append((played.score - played.utility - charged) / price)
        charges.append(charged)
    return _Judged(np.stack(scores), np.stack(costs), np.stack(charges))


def _out_of_fold(
    kind: type[Any],
    foundation: Foundation,
    table: ResponseTable,
    rows: IntArray,
    prices: tuple[float, ...],
    round_price: float,
) -> _Judged:
    """A rival on every query that judges, fitted without the query's fold."""
    fold = foundation.known.fold.numpy()
    score = np.zeros((len(prices), len(rows)), dtype=np.float32)
    cost, charged = np.zeros_like(score), np.zeros_like(score)
    for k in np.unique(fold[rows]):
        fitted = kind().fit(table.take(fold != k), rng=np.random.default_rng(0))
        here = fold[rows] == k
        test = table.take(rows[here])
        for p, price in enumerate(prices):
            outcome = replay(_priced(fitted, price, round_price), test)
            score[p, here] = outcome.score
            cost[p, here] = outcome.cost / np.float32(foundation.statistics.unit_cost)
            charged[p, here] = round_price * outcome.n_rounds
    return _Judged(score, cost, charged)


def _dial(price: float, round_price: float) -> float:
    """The price at which one after another is asked; at 0 no call is spared, whatever it takes."""
    return price + round_price if price > 0 else price


def _priced(strategy: Any, price: float, round_price: float) -> Any:
    """The strategy at a price, where prices mean anything to it."""
    if strategy.name in _ONE_BY_ONE:
        price = _dial(price, round_price)
    if isinstance(strategy, CappedAgreement):
        return strategy.at(min(max(price, min(strategy.dials)), max(strategy.dials)))
    return strategy.at(price) if hasattr(strategy, "at") else strategy
