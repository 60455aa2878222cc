"""Every strategy over a pool whose members read one another: what is called, paid and answered."""

from __future__ import annotations

import numpy as np
import pytest
from every_strategy import QUICK, REFERENCES
from hypothesis import given, settings
from hypothesis import strategies as st
from readers import MEMBERS, READERS, Skill, table_with_readers

from rlfocal.deliberation.protocol import Outcome, Reference, Spec, unmet
from rlfocal.deliberation.recorded import candidates_of, reveal
from rlfocal.deliberation.registry import create, create_strategy, resolve
from rlfocal.deliberation.replay import replay
from rlfocal.readers import ReaderInfo, Reads
from rlfocal.records import ResponseTable
from rlfocal.strategies.agreement import Agreement
from rlfocal.strategies.capped import CappedAgreement
from rlfocal.strategies.oracle import Oracle
from rlfocal.strategies.reading import calls_for, in_turn
from rlfocal.strategies.sampled.consistency import SelfConsistency
from rlfocal.strategies.single import BestSingle
from rlfocal.strategies.static import StaticSubset

BASELINES = [name for name in resolve(["baselines"]) if name not in REFERENCES]
SLOW = ("rl-focal-prior", "posterior-threshold", "best-of", "rl-focal", "rl-focal-paper")
NAMES = [
    *BASELINES,
    *(pytest.param(name, marks=pytest.mark.slow) for name in SLOW if name not in BASELINES),
]


def readings(name: str) -> set[str]:
    """Whom asking a member calls, itself included, by hand."""
    found = {name}
    for read in READERS[name].inputs if name in READERS else []:
        found |= readings(read)
    return found


def stage(name: str) -> int:
    """How many rounds have to go before it."""
    return 1 + max(map(stage, READERS[name].inputs)) if name in READERS else 0


def slow_replay(strategy, table: ResponseTable) -> list[dict[str, object]]:
    """One query at a time, closures expanded by hand."""
    found = []
    for q in range(table.n_queries):
        asked, in_round, rounds, turns, waited = set[str](), dict[str, int](), 0, 0, 0.0
        while True:
            mask = np.array([[name in asked for name in MEMBERS]])
            view = reveal(table, np.array([q]), mask, n_rounds=np.array([turns]))
            decision = strategy.decide(view)
            chosen = [MEMBERS[n] for n in np.flatnonzero(decision.ask[0]) if not mask[0, n]]
            if not chosen or not table.recorded[q].any():
                break
            turns += 1
            wanted = set().union(*map(readings, chosen)) - asked
            while wanted:
                now = {
                    name for name in wanted
                    if name not in READERS or set(READERS[name].inputs) <= asked
                }  # fmt: skip
                called = {name for name in now if table.recorded[q, MEMBERS.index(name)]}
                rounds += bool(called)
                in_round |= dict.fromkeys(called, rounds)
                waited += max(
                    (float(table.latency_s[q, MEMBERS.index(name)]) for name in called), default=0
                )
                asked |= now
                wanted -= now
        answer = np.where(view.available[0], decision.answer[0], 0)
        place = int(answer.argmax()) if answer.max() > 0 else -1
        chosen_slot = candidates_of(table, np.array([q]), mask, np.array([place]))[0]
        found.append(
            {
                "chosen": int(chosen_slot), "asked_in": in_round, "rounds": rounds,
                "cost": sum(float(table.cost[q, MEMBERS.index(name)]) for name in in_round),
                "waited": waited,
            }
        )  # fmt: skip
    return found


def same(found: Outcome, wanted: list[dict[str, object]]) -> None:
    """An outcome is that of the loop."""
    assert found.chosen.tolist() == [row["chosen"] for row in wanted]
    assert found.n_rounds.tolist() == [row["rounds"] for row in wanted]
    assert found.n_calls.tolist() == [len(row["asked_in"]) for row in wanted]
    for row, asked_in in zip(wanted, found.asked_in, strict=True):
        assert row["asked_in"] == {MEMBERS[n]: int(asked_in[n]) for n in np.flatnonzero(asked_in)}
    np.testing.assert_allclose(found.cost, [row["cost"] for row in wanted], rtol=1e-5)
    np.testing.assert_allclose(found.latency_s, [row["waited"] for row in wanted], rtol=1e-5)


@pytest.mark.parametrize("options", [True, False])
@pytest.mark.parametrize("name", NAMES)
def test_every_strategy_calls_whom_its_members_read(name: str, options: bool) -> None:
    train = table_with_readers(90, seed=1, options=options)
    test = table_with_readers(30, seed=2, options=options, gone=0.1)
    strategy = create_strategy(Spec(name, QUICK.get(name, {})))
    if unmet(strategy, train) is not None:
        pytest.skip("not applicable")
    fitted = strategy.fit(strategy.training_table(train), rng=np.random.default_rng(0))
    same(replay(fitted, test), slow_replay(fitted, test))
    for dial in (*fitted.dials[:1], *fitted.dials[-1:]) if fitted.dial else ():
        other = fitted.with_dial(dial)
        same(replay(other, test), slow_replay(other, test))


MEASURED = ["static-subset", "agreement", "agreement-capped"]


@pytest.mark.parametrize("name", MEASURED)
def test_what_a_fit_measures_is_what_a_replay_of_its_queries_costs(name: str) -> None:
    train = table_with_readers(150, seed=3)
    fitted = create(name).fit(train, rng=np.random.default_rng(0))
    if isinstance(fitted, CappedAgreement):
        for k, cap in enumerate(fitted.caps_):
            for h in (0, 5, len(fitted.thresholds_) - 1):
                agreement = fitted.agreement_.with_dial(fitted.thresholds_[h])
                found = replay(_Capped(agreement, int(cap)), train)
                assert found.score.mean() == pytest.approx(fitted.score_[h, k])
                assert found.cost.mean() / train.call_cost() == pytest.approx(fitted.cost_[h, k])
        return
    for setting, score, cost in fitted.measured_:
        found = replay(fitted.with_dial(setting), train)
        assert found.cost.mean() / train.call_cost() == pytest.approx(cost, rel=1e-5)
        assert found.score.mean() == pytest.approx(score, rel=1e-5)


def test_best_of_n_asks_closed_sets_of_n_members() -> None:
    train = table_with_readers(90, seed=3)
    fitted = create("best-of-n").fit(train, rng=np.random.default_rng(0))
    for setting, _, cost in fitted.measured_:
        found = replay(fitted.with_dial(setting), train)
        assert (found.n_calls == setting).all()
        assert found.cost.mean() / train.call_cost() == pytest.approx(cost, rel=1e-5)


class _Capped(Agreement):
    def __init__(self, within: Agreement, cap: int) -> None:
        self.within, self.cap = within, cap

    def decide(self, view):
        found = self.within.decide(view)
        return found._replace(ask=found.ask & (view.asked.sum(axis=1, keepdims=True) < self.cap))


def test_the_best_single_member_may_be_a_reader_whose_own_answer_counts() -> None:
    train = table_with_readers(200, seed=4, skill=Skill(follows_right=1.0))
    fitted = BestSingle().fit(train, rng=np.random.default_rng(0))
    assert MEMBERS[fitted.member_] == "top"
    found = replay(fitted, train)
    assert (found.chosen == train.answer[:, MEMBERS.index("top")]).all()
    assert (found.n_calls == 6).all()  # a, b, c, d, the judge and itself
    assert (found.n_rounds == 3).all()
    np.testing.assert_allclose(found.cost, train.full_cost[:, MEMBERS.index("top")], rtol=1e-6)


def test_a_subset_of_the_judge_alone_follows_the_judge() -> None:
    train = table_with_readers(200, seed=5, skill=Skill(follows_right=1.0, own=0.0))
    fitted = StaticSubset(max_size=1).fit(train, rng=np.random.default_rng(0))
    chosen = np.flatnonzero(fitted.mask_)
    assert len(chosen) == 1
    found = replay(fitted, train)
    assert (found.chosen == train.answer[:, chosen[0]]).all()
    assert fitted.measured_[0, 2] == pytest.approx(found.cost.mean() / train.call_cost())


def test_the_oracle_pays_for_whom_its_member_reads() -> None:
    table = table_with_readers(120, seed=6, gone=0.1)
    found = Oracle().outcome(table)
    for q in range(table.n_queries):
        recorded = np.flatnonzero(table.recorded[q])
        if not len(recorded):
            continue
        best = table.member_score[q, recorded].max()
        price = {
            n: sum(float(table.cost[q, MEMBERS.index(m)]) for m in readings(MEMBERS[n]))
            for n in recorded
            if table.member_score[q, n] == best
        }
        assert found.score[q] == best
        assert found.cost[q] == pytest.approx(min(price.values()), rel=1e-5)
        called = {MEMBERS[n] for n in np.flatnonzero(found.asked[q])}
        present = {MEMBERS[n] for n in recorded}
        cheapest = [n for n in price if price[n] <= min(price.values()) * 1.00001]
        assert called in [readings(MEMBERS[n]) & present for n in cheapest]
        assert found.n_calls[q] == len(called)


def test_self_consistency_is_of_a_member_that_reads_nobody() -> None:
    table = table_with_readers(80, seed=7)
    fitted = SelfConsistency().fit(table, rng=np.random.default_rng(0))
    assert MEMBERS[fitted.member_] == "c"
    assert isinstance(fitted, Reference)
    assert (fitted.outcome(table).n_calls == 3).all()


def test_prices_from_nothing_by_hand() -> None:
    table = table_with_readers(20, seed=8)
    cost = {name: table.cost[:, n] for n, name in enumerate(MEMBERS)}
    judge = cost["a"] + cost["b"] + cost["c"] + cost["judge"]
    wanted = [
        *(cost[name] for name in "abcd"), judge,
        cost["a"] + cost["b"] + cost["c"] + cost["second"],
        judge + cost["d"] + cost["top"],
    ]  # fmt: skip
    np.testing.assert_allclose(table.full_cost, np.stack(wanted, axis=1), rtol=1e-5)
    np.testing.assert_allclose(table.mean_full_cost, np.mean(wanted, axis=1), rtol=1e-5)


def test_where_nobody_reads_prices_and_orders_are_the_plain_ones(make_table) -> None:
    table = make_table()
    assert table.full_cost is table.cost
    assert table.mean_full_cost is table.mean_cost
    order = np.array([3, 1, 0, 2, 4])
    assert in_turn(table, order) is order
    wanted = np.eye(5, dtype=bool)
    assert table.called_for(wanted) is wanted


def test_calls_by_hand() -> None:
    table = table_with_readers(10, seed=9)
    wanted = np.zeros((10, 7), dtype=bool)
    wanted[:, MEMBERS.index("judge")] = True
    wanted[0, MEMBERS.index("d")] = True
    found = calls_for(table, wanted)
    assert found.asked_in[0].tolist() == [1, 1, 1, 1, 2, 0, 0]
    assert found.asked_in[1].tolist() == [1, 1, 1, 0, 2, 0, 0]
    assert found.n_rounds.tolist() == [2] * 10
    latency = table.latency_s
    assert found.latency_s[1] == pytest.approx(latency[1, :3].max() + latency[1, 4])


@settings(max_examples=60, deadline=None)
@given(data=st.data(), n=st.integers(2, 7))
def test_in_turn_nobody_stands_before_whom_it_reads(data: st.DataObject, n: int) -> None:
    names = [f"m{k}" for k in range(n)]
    readers = {}
    for k in range(1, n):
        read = data.draw(st.sets(st.sampled_from(names[:k])))
        if read:
            readers[names[k]] = ReaderInfo(reads=sorted(read))
    reads = Reads.of(names, readers)
    if reads is None:
        return
    order = np.array(data.draw(st.permutations(range(n))))
    found = reads.in_turn(order).tolist()
    assert sorted(found) == list(range(n))
    for k, about in readers.items():
        assert all(found.index(names.index(m)) < found.index(names.index(k)) for m in about.inputs)
    alone = [k for k in order.tolist() if names[k] not in readers]
    needed = [k for k in found if names[k] not in readers]
    # Those whom nobody reads keep their order.
    unread = [k for k in alone if not reads.direct[:, k].any()]
    assert [k for k in needed if k in unread] == unread
