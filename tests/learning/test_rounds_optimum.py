"""Rounds on simulated pools whose best policy is known: expectimax over the sets of every round.

Members are independent and queries have two options and no text, so what a policy is worth is a sum
over all patterns of answers, weighted by their probability: nothing is left to luck of the draw.
"""

from __future__ import annotations

from functools import cache
from itertools import combinations, product
from math import comb

import numpy as np
import pytest

from rlfocal.agents.config import RlFocalConfig
from rlfocal.deliberation.replay import replay
from rlfocal.focal.rl_focal import RlFocal
from rlfocal.records import PoolModel, build_table, simulate

ALIKE, SAME_COST = (0.7,) * 5, (1,) * 5
UNLIKE, UNLIKE_COST = (0.85, 0.7, 0.7, 0.6), (3, 1, 1, 1)
PRICES = (0.002, 0.01, 0.02, 0.03, 0.05, 0.1, 0.25)
PATIENT = {"n_iterations": 300}
CASES = [
    (ALIKE, SAME_COST, {"max_rounds": 1}),
    (ALIKE, SAME_COST, {"max_rounds": 2, **PATIENT}),
    (ALIKE, SAME_COST, {"round_price": 0.02, **PATIENT}),
    (UNLIKE, UNLIKE_COST, {"max_rounds": 1}),
    (UNLIKE, UNLIKE_COST, {"max_rounds": 2, "round_price": 0.01}),
]


class Optimum:
    """The best policy for independent members and two options.

    A state is a tuple of answers, None for a member not asked yet.
    """

    def __init__(self, accuracy, cost, price, *, round_price=0.0, max_rounds=None):
        self.accuracy, self.price, self.round_price = accuracy, price, round_price
        self.cost = [c / np.mean(cost) for c in cost]
        self.most = len(accuracy) if max_rounds is None else max_rounds
        self.best = cache(self._best)

    def start(self):
        """Expected utility of a query, and whom to ask first."""
        return self.best((None,) * len(self.accuracy), 0)

    def _best(self, state, n_rounds):
        """Expected utility from here on, and whom to ask: nobody to stop."""
        first = self._chance(state)
        unasked = [n for n, answer in enumerate(state) if answer is None]
        found = (max(first, 1 - first), ()) if len(unasked) < len(state) else (-np.inf, ())
        if n_rounds == self.most:
            return found
        for size in range(1, len(unasked) + 1):
            for ask in combinations(unasked, size):
                found = max(found, (self._asking(state, ask, first, n_rounds), ask))
        return found

    def _chance(self, state):
        """Probability that the first option is right."""
        likelihood = [1.0, 1.0]
        for p, answer in zip(self.accuracy, state, strict=True):
            if answer is not None:
                likelihood[answer] *= p
                likelihood[1 - answer] *= 1 - p
        return likelihood[0] / sum(likelihood)

    def _asking(self, state, ask, first, n_rounds):
        """Expected utility of asking these members now."""
        total = -self.round_price - self.price * sum(self.cost[n] for n in ask)
        for answers in product((0, 1), repeat=len(ask)):
            after, right = list(state), [first, 1 - first]
            for n, answer in zip(ask, answers, strict=True):
                after[n] = answer
                right[answer] *= self.accuracy[n]
                right[1 - answer] *= 1 - self.accuracy[n]
            total += sum(right) * self.best(tuple(after), n_rounds + 1)[0]
        return total


def majority(n):
    """Accuracy of the vote of n members, each right with 0.7; n is odd."""
    return sum(comb(n, k) * 0.7**k * 0.3 ** (n - k) for k in range(n // 2 + 1, n + 1))


def test_the_optimum_by_hand():
    for price, n in ((0.01, 5), (0.035, 3), (0.1, 1)):
        value, ask = Optimum(ALIKE, SAME_COST, price, max_rounds=1).start()
        assert len(ask) == n
        assert value == pytest.approx(majority(n) - price * n)
    # Two members first; where they disagree (0.42 of the queries), the three others decide.
    value, ask = Optimum(ALIKE, SAME_COST, 0.02, max_rounds=2).start()
    assert len(ask) == 2
    assert value == pytest.approx(0.49 + 0.42 * majority(3) - 0.02 * (2 + 0.42 * 3))
    # Where rounds are dear, all that are worth their price are asked at once.
    value, ask = Optimum(ALIKE, SAME_COST, 0.01, round_price=0.2).start()
    assert len(ask) == 5
    assert value == pytest.approx(majority(5) - 0.01 * 5 - 0.2)


def pool(accuracy, cost):
    """Training queries, every pattern of answers once, and the probability of each."""
    model = PoolModel(accuracy=[list(accuracy)], n_options=2, cost_usd=list(cost))
    table = build_table(simulate(model, 20000, rng=np.random.default_rng(0)), encode=None)
    truth = table.candidate_score.argmax(axis=1)
    pattern = np.hstack([table.answer, truth[:, None]])
    _, first = np.unique(pattern, axis=0, return_index=True)
    assert len(first) == 2 ** (len(accuracy) + 1)
    right = table.answer[first] == truth[first, None]
    chance = np.where(right, accuracy, 1 - np.array(accuracy)).prod(axis=1) / 2
    return table.take(np.arange(6000)), table.take(first), chance


@pytest.mark.slow
@pytest.mark.parametrize(("accuracy", "cost", "settings"), CASES)
def test_rl_focal_gathers_rounds_nearly_as_well_as_expectimax(accuracy, cost, settings):
    train, worlds, chance = pool(accuracy, cost)
    fitted = RlFocal(RlFocalConfig(**settings)).fit(train, rng=np.random.default_rng(0))
    rounds = {key: settings[key] for key in ("max_rounds", "round_price") if key in settings}
    lost = []
    for price in PRICES:
        outcome = replay(fitted.at(price), worlds)
        charged = price * outcome.cost / np.mean(cost)
        charged += settings.get("round_price", 0) * outcome.n_rounds
        best, _ = Optimum(accuracy, cost, price, **rounds).start()
        lost.append(best - chance @ (outcome.score - charged))
    assert min(lost) > -1e-4  # the optimum is one
    assert max(lost) <= 0.025
    assert np.mean(lost) <= 0.006
