"""Learning on simulated pools whose best policy is known.

Every comparison is made on the same test queries, so that luck of the draw cancels.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from rlfocal.deliberation.replay import replay
from rlfocal.focal.rl_focal import RlFocal
from rlfocal.paper.strategy import RlFocalPaper
from rlfocal.records import PoolModel, build_table, simulate

pytestmark = pytest.mark.slow

SEEDS = [0, 1, 2]
CHANCE = 0.7
N_VOTERS = 5


def pool(accuracy, *, n_options, seed, n_train=2000, n_test=4000):
    model = PoolModel(accuracy=accuracy, n_options=n_options)
    data = simulate(model, n_train + n_test, rng=np.random.default_rng([seed, 1]))
    table = build_table(data, encode=None)
    return table.take(np.arange(n_train)), table.take(np.arange(n_train, n_train + n_test))


@pytest.mark.parametrize("seed", SEEDS)
def test_rl_focal_finds_each_tasks_expert(seed):
    """One expert a task: the optimum asks it, and nobody else."""
    accuracy = np.full((4, 5), 0.4)
    expert = np.random.default_rng(seed).permutation(5)[:4]
    accuracy[np.arange(4), expert] = 0.95
    train, test = pool(accuracy.tolist(), n_options=4, seed=seed)
    fitted = RlFocal().fit(train, rng=np.random.default_rng(seed)).at(0.05)
    outcome = replay(fitted, test)
    optimum = test.member_score[np.arange(test.n_queries), expert[test.task]].mean()
    assert outcome.score.mean() >= optimum - 0.01
    assert outcome.n_calls.mean() <= 1.1


# Exchangeable independent voters -------------------------------------------------------------


def best_policy(price):
    """Dynamic programming over (votes for, votes against): True where asking on pays.

    Returns:
        stop[a, b] for a + b <= N, and the optimum's expected utility.
    """
    value = np.zeros((N_VOTERS + 1, N_VOTERS + 1))
    stop = np.ones((N_VOTERS + 1, N_VOTERS + 1), dtype=bool)
    for n in range(N_VOTERS, -1, -1):
        for a in range(n + 1):
            b = n - a
            odds = (CHANCE / (1 - CHANCE)) ** (a - b)
            first_right = odds / (1 + odds)
            value[a, b] = max(first_right, 1 - first_right)
            if n < N_VOTERS:
                votes_first = first_right * CHANCE + (1 - first_right) * (1 - CHANCE)
                going_on = votes_first * value[a + 1, b] + (1 - votes_first) * value[a, b + 1]
                # Somebody has to be asked.
                if n == 0 or going_on - price > value[a, b]:
                    value[a, b], stop[a, b] = going_on - price, False
    return stop, value[0, 0]


def worth(lead):
    """Chance that a choice is right which so many votes more are for than against.

    Labels are drawn with it, so it says what a choice is worth without the luck of the draw.
    """
    return 1 / (1 + ((1 - CHANCE) / CHANCE) ** lead)


def play(stop, table, order):
    """Utility per query, without prices, and calls of a policy that asks in a given order."""
    rows = np.arange(table.n_queries)
    first, second = np.zeros(len(rows), dtype=int), np.zeros(len(rows), dtype=int)
    for place in range(N_VOTERS):
        vote = table.answer[rows, order[:, place]]
        going = ~stop[first, second]
        # A stopped query takes no further vote, so it stays stopped.
        first, second = first + (going & (vote == 0)), second + (going & (vote == 1))
    return worth(np.abs(first - second)), first + second


class Recorder:
    """A strategy that also notes in which order it asked."""

    def __init__(self, strategy, table):
        self.name, self._strategy = strategy.name, strategy
        self._round = np.full((table.n_queries, table.n_members), np.inf)

    def decide(self, view):
        found = self._strategy.decide(view)
        rows, members = np.nonzero(found.ask & ~view.asked)
        self._round[view.position[rows], members] = view.n_rounds[rows]
        return found

    @property
    def order(self):
        """Members in the order asked, those never asked last."""
        return np.argsort(self._round, axis=1, kind="stable")


@cache
def voters(seed):
    # Enough labels that luck of the draw does not move the prices at which the optimum changes.
    train, test = pool([[CHANCE] * N_VOTERS], n_options=2, seed=seed, n_train=6000)
    return RlFocal().fit(train, rng=np.random.default_rng(seed)), test


def test_the_dynamic_program_by_hand():
    """Free calls: the full vote, 0.83692. Dear ones: one vote, 0.7 less its price."""
    full = sum(
        count * CHANCE**k * (1 - CHANCE) ** (5 - k) for k, count in ((3, 10), (4, 5), (5, 1))
    )
    assert best_policy(0.0)[1] == pytest.approx(full)
    stop, value = best_policy(0.3)
    assert value == pytest.approx(CHANCE - 0.3)
    assert (stop[1, 0], stop[0, 1], stop[0, 0]) == (True, True, False)
    # A lead of two decides, after two calls (0.58 of the queries, 0.49 right) or after four (0.42
    # times that); else the fifth vote does.
    accuracy = 0.49 * 1.42 + 0.42**2 * CHANCE
    n_calls = 2 * 0.58 + 4 * 0.42 * 0.58 + 5 * 0.42**2
    assert best_policy(0.05)[1] == pytest.approx(accuracy - 0.05 * n_calls)


PRICES = (0.002, 0.01, 0.02, 0.03, 0.04, 0.05, 0.06, 0.07, 0.08, 0.1, 0.15, 0.25)


@cache
def losses(seed):
    """What the policy is expected to lose to the optimum at each price, whatever the test's labels.

    It has learned from 6,000 labels, whose luck alone moves a member's accuracy by half a point,
    and floats of another processor can tip it where two policies are worth nearly the same. The
    optimum asks in the agent's own order: members are exchangeable, so it loses nothing.
    """
    fitted, test = voters(seed)
    lost = {}
    for price in PRICES:
        recorder = Recorder(fitted.at(price), test)
        outcome = replay(recorder, test)
        backed = test.answer == outcome.chosen[:, None]
        lead = np.where(backed, 1, -1).sum(axis=1, where=outcome.asked)
        utility = (worth(lead) - price * outcome.n_calls).mean()
        score, n_calls = play(best_policy(price)[0], test, recorder.order)
        lost[price] = (score - price * n_calls).mean() - utility
    return lost


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("price", PRICES)
def test_rl_focal_stops_as_well_as_dynamic_programming(seed, price):
    assert losses(seed)[price] <= 0.0125


@pytest.mark.parametrize("seed", SEEDS)
def test_over_all_prices_next_to_nothing_is_lost(seed):
    assert np.mean(list(losses(seed).values())) <= 0.0025


@pytest.mark.parametrize("seed", SEEDS)
def test_cheap_calls_buy_the_full_vote_and_dear_ones_a_single_one(seed):
    fitted, test = voters(seed)
    full = (test.member_score.sum(axis=1) > N_VOTERS / 2).mean()
    assert replay(fitted.at(0.001), test).score.mean() >= full - 0.01
    assert (replay(fitted.at(0.3), test).n_calls == 1).all()


# The paper's preset --------------------------------------------------------------------------


@pytest.mark.parametrize("seed", SEEDS)
def test_rl_focal_paper_beats_the_random_member_and_the_empty_policy(seed):
    """An empty policy scores 0; a random member, the members' mean."""
    accuracy = [0.85, 0.8, 0.75, 0.4, 0.35, 0.3]
    train, test = pool([accuracy], n_options=4, seed=seed)
    outcome = replay(RlFocalPaper().fit(train, rng=np.random.default_rng(seed)), test)
    assert (outcome.n_calls > 0).all()
    assert outcome.score.mean() >= test.member_score.mean() + 0.15
