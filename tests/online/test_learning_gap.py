"""How much of the gap to the known optimum is learned from judged answers, and how surely.

Four members with independent errors of known chance, four options: 4 ** 5 outcomes, so what a
policy earns and what the best one earns are sums, not estimates.
"""

from __future__ import annotations

import itertools
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pytest

from rlfocal.agents.config import RlFocalConfig
from rlfocal.deliberation.recorded import reveal
from rlfocal.deliberation.replay import best_answer, replay
from rlfocal.focal.rl_focal import RlFocal
from rlfocal.online.counterfactual import answers_of, follow, is_labelled, scores_of_stopping
from rlfocal.online.decisions import batch, path_of
from rlfocal.online.estimates import compare, effective, may_promote
from rlfocal.online.exploring import Exploration, log_replay
from rlfocal.online.learning import learn
from rlfocal.records import build_table
from rlfocal.records.dataset import Dataset
from rlfocal.records.schema import DatasetInfo

N, OPTIONS = 4, 4
LETTERS = np.array(list("ABCD"))


def table_of(label, answer, cost):
    """Queries with these labels int[Q] and answers int[Q, N]; a call of each member costs so."""
    n_queries = len(label)
    ids = [f"q{q:05d}" for q in range(n_queries)]
    queries = pa.table({
        "query_id": ids, "task": ["task"] * n_queries, "split": pa.nulls(n_queries, pa.string()),
        "prompt": [f"Question {q}." for q in range(n_queries)],
        "choices": [[f"option {c}" for c in LETTERS]] * n_queries, "label": LETTERS[label],
    })  # fmt: skip
    members = [f"model-{n}" for n in range(N)]
    responses = pa.table({
        "query_id": np.repeat(ids, N), "member": np.tile(members, n_queries),
        "answer": LETTERS[answer].reshape(-1), "cost_usd": np.tile(cost, n_queries),
        "score": (answer == label[:, None]).astype(float).reshape(-1),
    })  # fmt: skip
    info = DatasetInfo(name="known", answers="choice", pools={"all": members}, synthetic=True)
    return build_table(Dataset("known", queries, responses, info), encode=None)


class Pool(NamedTuple):
    """Members of known accuracy and cost."""

    accuracy: tuple[float, ...]
    cost: tuple[float, ...] = (1.0,) * N

    def draw(self, n_queries, *seed):
        rng = np.random.default_rng(seed)
        label = rng.integers(OPTIONS, size=n_queries)
        right = rng.random((n_queries, N)) < np.array(self.accuracy)
        wrong = (label[:, None] + rng.integers(1, OPTIONS, size=(n_queries, N))) % OPTIONS
        return table_of(label, np.where(right, label[:, None], wrong), self.cost)

    def outcomes(self):
        """All labels and answers as a table, and the chance of each."""
        every = np.array(list(itertools.product(range(OPTIONS), repeat=N + 1)))
        label, answer = every[:, 0], every[:, 1:]
        accuracy = np.array(self.accuracy)
        chance = np.where(answer == label[:, None], accuracy, (1 - accuracy) / (OPTIONS - 1))
        return table_of(label, answer, self.cost), chance.prod(axis=1) / OPTIONS

    def utility(self, strategy):
        """Score less price, exactly; a call of cost 1 was an average one in training."""
        table, chance = self.outcomes()
        found = replay(strategy, table)
        return float(chance @ (found.score - strategy.price * found.cost))

    def optimum(self, strategy):
        """The best that can be earned with the strategy's answers at its price."""
        table, chance = self.outcomes()
        rows, value = np.arange(len(chance)), {}

        def mean(members, values):
            """What is expected where only the answers of these members are known."""
            code = np.zeros(len(rows), dtype=int)
            for n in members:
                code = code * OPTIONS + table.answer[:, n]
            return (np.bincount(code, chance * values) / np.bincount(code, chance))[code]

        for size in range(N, -1, -1):
            for asked in itertools.combinations(range(N), size):
                known = np.zeros((len(rows), N), dtype=bool)
                known[:, list(asked)] = True
                best = np.full(len(rows), -np.inf)  # somebody has to be asked
                if asked:
                    view = reveal(table, rows, known, n_rounds=np.full(len(rows), size))
                    chosen, _ = best_answer(view.available, strategy.decide(view).answer)
                    best = mean(asked, table.candidate_score[rows, chosen])
                for n in sorted(set(range(N)) - set(asked)):
                    more = tuple(sorted((*asked, n)))
                    best = np.maximum(
                        best, mean(asked, value[more]) - strategy.price * self.cost[n]
                    )
                value[asked] = best
        return float(value[()][0])


def trained(pool, price):
    config = RlFocalConfig(learn_from=10**6, default_price=price)
    return RlFocal(config).fit(pool.draw(800, 1), rng=np.random.default_rng(0))


def log_of(live, pool, n_episodes, seed, epsilon=0.5):
    table = pool.draw(n_episodes, 3, seed)
    return log_replay(live, table, Exploration(epsilon, seed=seed), labels=True)


SAME = Pool((0.8, 0.75, 0.6, 0.55))
DEAR = SAME._replace(cost=(6.0, 1.0, 1.0, 1.0))
"""The member that the policy relies on costs six times as much as in training."""


@pytest.fixture(scope="module")
def before():
    """A policy that was trained before anything changed: it asks the first member, and stops."""
    return trained(SAME, 0.05)


# The known pool ------------------------------------------------------------------------------


def test_the_optimum_by_hand(before):
    """One call is best: of the best member, .8 - .05; once that is dear, of the next, .75 - .05."""
    assert DEAR.optimum(before) == pytest.approx(0.7)
    assert DEAR.utility(before) == pytest.approx(0.8 - 6 * 0.05)
    dear_calls = before.at(0.3)
    assert SAME.optimum(dear_calls) == pytest.approx(0.5)
    assert SAME.utility(before) <= SAME.optimum(before) + 1e-9


# Requests that cover a policy ----------------------------------------------------------------


@pytest.fixture(scope="module")
def other():
    """A policy that relies on another member, and goes on where it is not sure."""
    return trained(Pool((0.4, 0.8, 0.7, 0.65)), 0.05)


@pytest.fixture(scope="module")
def log(before):
    return batch(log_of(before, DEAR, 1000, 5, epsilon=0.8))


def naive(policy, log, e):
    """Whom a policy asks along one request, by a loop; None where that is not known."""
    answers = answers_of(log)
    asked, path = np.zeros((1, N), dtype=bool), []
    while True:
        ask = policy.decide(answers.seen(np.array([e]), asked)).ask & ~asked
        if not ask.any():
            return path
        (n,) = np.flatnonzero(ask[0]).tolist()
        path.append(n)
        if not log.end.asked[e, n]:
            return None
        asked[0, n] = True


@pytest.mark.slow
def test_who_is_followed_asks_in_its_own_order_and_pays_for_its_own_calls(before, other, log):
    own = path_of(before, log).wanted
    found = follow(other, before, log, own)
    covered = 0
    for e in range(400):
        path, rows = naive(other, log, e), found.steps.episode == e
        weight = found.path.weight[e]
        if path is None:
            assert weight == 0
            continue
        steps = found.steps.wanted[rows]
        assert [int(w.argmax()) for w in steps if w.any()][: len(path)] == path or weight == 0
        if weight > 0:
            covered += 1
            cost = sum(DEAR.cost[n] for n in path)
            assert found.steps.charge[rows].sum() == pytest.approx(0.05 * cost, abs=1e-5)
            assert found.departs[e] == (path != naive(before, log, e))
    assert covered > 15


@pytest.mark.slow
def test_following_the_live_policy_departs_nowhere(before, log):
    found = follow(before, before, log, path_of(before, log).wanted)
    assert not found.departs[found.path.weight > 0].any()
    assert (found.path.weight > 0).mean() > 0.4


@pytest.mark.slow
def test_what_stopping_is_worth_is_known_in_every_state(before, log):
    score = scores_of_stopping(before, log)
    assert is_labelled(log)
    some = log.view.asked.any(axis=1)
    assert not np.isnan(score[some]).any()
    last = log.last & some
    at_end = log.score[log.episode]
    stopped = last & ~log.wanted.any(axis=1)
    assert np.array_equal(score[stopped], at_end[stopped])


@pytest.mark.slow
def test_without_labels_only_those_count_that_did_the_same(before):
    table = DEAR.draw(600, 3, 1)
    told = batch(log_replay(before, table, Exploration(0.8, seed=1), labels=True))
    scored = batch(log_replay(before, table, Exploration(0.8, seed=1)))
    assert is_labelled(told)
    assert not is_labelled(scored)


@pytest.mark.slow
def test_estimates_by_covering_are_unbiased_sure_and_see_more(before, other):
    """40 logs: 95 % intervals hold the truth in 38; fewer than 33 by chance in .4 % of cases."""
    truth = DEAR.utility(other) - DEAR.utility(before)
    found, departed, weight = [], [], []
    for seed in range(40):
        episodes = log_of(before, DEAR, 500, 100 + seed)
        estimate = compare(other, before, episodes, seed=seed)
        found.append(estimate.difference.dr)
        departed.append(estimate.n_departed)
        weight.append(estimate.weight[0])
        same = batch(episodes)
        own, its = path_of(before, same), path_of(other, same)
        assert departed[-1] > effective(its.weight[own.weight == 0])
    value, low, high = np.array(found).T
    assert abs(value.mean() - truth) < 3.5 * value.std() / np.sqrt(40)
    assert abs(np.mean(weight) - 1) < 3.5 * np.std(weight) / np.sqrt(40)
    assert ((low <= truth) & (truth <= high)).sum() >= 33


# What is learned -----------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(("n_episodes", "least"), [(500, 0.3), (1000, 0.6)])
def test_much_of_the_gap_to_the_optimum_is_learned(before, n_episodes, least):
    """The live policy leaves .2 a question; means over three logs."""
    start, best = DEAR.utility(before), DEAR.optimum(before)
    assert best - start == pytest.approx(0.2)
    closed = []
    for seed in range(3):
        shadow = learn(before, log_of(before, DEAR, n_episodes, seed), seed=seed)
        earned = DEAR.utility(shadow.strategy)
        closed.append((earned - start) / (best - start))
        assert earned > start - 0.002 or not may_promote(shadow.estimate)[0]
    assert np.mean(closed) >= least


@pytest.mark.slow
def test_with_enough_judged_answers_what_was_learned_may_be_promoted(before):
    shadow = learn(before, log_of(before, DEAR, 2000, 0))
    may, reason = may_promote(shadow.estimate)
    assert may, reason
    assert DEAR.utility(shadow.strategy) > DEAR.optimum(before) - 0.05


@pytest.mark.slow
def test_where_nothing_is_left_to_learn_nothing_is_promoted(before):
    assert SAME.optimum(before) - SAME.utility(before) < 0.01
    for seed in range(6):
        shadow = learn(before, log_of(before, SAME, 800, seed), seed=seed)
        if may_promote(shadow.estimate)[0]:
            assert SAME.utility(shadow.strategy) > SAME.utility(before) - 1e-9
