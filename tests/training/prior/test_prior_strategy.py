"""The shipped prior as a strategy: few labels, none, memory, and pools it cannot compare."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import shutil

import numpy as np
import pytest

from rlfocal.agents.arrays import size_of
from rlfocal.agents.config import PriorConfig
from rlfocal.agents.prior.strategy import RlFocalPrior
from rlfocal.agents.prior.weights import SHIPPED, load_prior, read_card, save_prior, shipped_prior
from rlfocal.deliberation.base import Base
from rlfocal.deliberation.protocol import Strategy, unmet
from rlfocal.deliberation.recorded import reveal
from rlfocal.deliberation.replay import replay
from rlfocal.deliberation.state import check_state
from rlfocal.deliberation.view import Decision, Memory
from rlfocal.errors import CheckpointError, ConfigError
from rlfocal.records import CandidateKind
from rlfocal.simulator import draw_answers, draw_pool, to_table
from rlfocal.strategies.agreement import Agreement
from rlfocal.strategies.voting import Plurality


def pool(seed, n_queries=400, **kind):
    rng = np.random.default_rng(seed)
    return to_table(draw_answers(draw_pool(rng, **kind), n_queries, rng=rng))


def fitted(table, **kind):
    return RlFocalPrior(**kind).fit(table, rng=np.random.default_rng(0))


def halves(table, n_labels):
    return table.take(np.arange(n_labels)), table.take(np.arange(n_labels, table.n_queries))


def as_responses(table):
    """The same pool, as if only scores were known: every response its own candidate."""
    n_queries, n_members = table.answer.shape
    candidates = np.empty(n_queries, dtype=object)
    for q in range(n_queries):
        candidates[q] = table.members
    return dataclasses.replace(
        table, candidates=candidates, option_scores=None, samples=None,
        kind=np.full(n_queries, CandidateKind.RESPONSES, dtype=np.int8),
        exists=np.ones((n_queries, n_members), dtype=bool),
        candidate_score=table.member_score,
        answer=np.where(table.answered, np.arange(n_members), -1).astype(np.int16),
        support=np.eye(n_members, dtype=np.float32)[None] * table.answered[:, :, None],
    )  # fmt: skip


def test_it_follows_the_protocol():
    table = pool(0, 60)
    strategy = fitted(table)
    assert isinstance(strategy, Strategy)
    assert unmet(strategy, table) is None
    assert strategy.dials[0] > strategy.dials[-1]
    with pytest.raises(ValueError, match="price of a call"):
        strategy.at(0.9)


def test_a_dearer_call_never_buys_more_of_them():
    train, test = halves(pool(1, 300, n_members=6), 100)
    strategy = fitted(train)
    calls = [replay(strategy.at(d), test).n_calls.mean() for d in strategy.dials]
    assert calls[0] <= calls[6] <= calls[-1]
    assert calls[0] >= 1


@pytest.mark.parametrize("is_open", [True, False])
def test_without_labels_it_works(is_open):
    nothing, test = halves(pool(2, 200, n_members=6, is_open=is_open), 0)
    outcome = replay(fitted(nothing), test)
    assert (outcome.n_calls >= 1).all()
    assert outcome.score.mean() > 0


def test_unasked_members_and_labels_change_no_decision(rng):
    train, test = halves(pool(3, 160, n_members=5, is_open=True), 100)
    strategy, rows = fitted(train), np.arange(test.n_queries)
    asked = rng.random(test.answer.shape) < 0.5
    hidden = rng.permuted(test.answer, axis=0)
    one_hot = (hidden[:, :, None] == np.arange(test.n_candidates)).astype(np.float32)
    other = dataclasses.replace(
        test, exists=np.ones_like(test.exists), answer=np.where(asked, test.answer, hidden),
        support=np.where(asked[:, :, None], test.support, one_hot),
        candidate_score=rng.random(test.exists.shape).astype(np.float32),
        cost=np.where(asked, test.cost, 9).astype(np.float32),
    )  # fmt: skip
    mine, theirs = reveal(test, rows, asked), reveal(other, rows, asked)
    for one, two in zip(strategy.decide(mine), strategy.decide(theirs), strict=True):
        assert one.tobytes() == two.tobytes()


def test_decisions_are_probabilities_of_legal_actions(rng):
    train, test = halves(pool(4, 120, n_members=5), 60)
    asked = rng.random(test.answer.shape) < 0.5
    chance = fitted(train).decide(reveal(test, np.arange(test.n_queries), asked)).chance
    assert np.allclose(chance.sum(axis=1), 1, atol=1e-5)
    assert (chance[:, :-1][asked] < 1e-6).all()
    assert (chance[~asked.any(axis=1), -1] == 0).all()


def test_the_same_labels_make_the_same_decisions():
    train, test = halves(pool(5, 200, n_members=7), 80)
    first, second = replay(fitted(train), test), replay(fitted(train), test)
    assert np.array_equal(first.asked, second.asked)
    assert np.array_equal(first.confidence, second.confidence)


def test_a_memory_counts_like_labels_and_weighs_no_less_than_older_ones():
    table = pool(6, 400, n_members=5)
    train, test = halves(table, 100)
    nothing = fitted(train.take(np.arange(0)))
    best = int(train.member_score.mean(axis=0).argmax())
    follower = nothing.follow(Memory.of(train, 100)).at(0.1)
    # Where there were none before, the first are trusted by degrees: 20 of them by half.
    assert follower._pool_state.statistics.n_labels == pytest.approx(100 * 100 / 120)
    assert follower.ranking[0] == best
    view = reveal(test, np.arange(20), np.zeros((20, 5), dtype=bool))
    assert follower.decide(view).ask[:, best].all()
    # Fitted on the opposite, the memory has at least half the say.
    flipped = dataclasses.replace(train, candidate_score=1 - train.candidate_score)
    both = fitted(flipped).follow(Memory.of(train, 50))
    assert both._pool_state.statistics.n_labels == 100
    # Whoever was followed is as before, and a later memory takes the place of an earlier one.
    assert nothing._pool_state.statistics.n_labels == 0
    assert follower.follow(Memory.of(train, 10))._pool_state.statistics.n_labels < 4
    assert nothing.follow(Memory.of(train, 0)) is nothing


def test_where_answers_cannot_be_compared_it_selects_the_best_member():
    train, test = halves(as_responses(pool(7, 300, n_members=5, is_open=False)), 150)
    outcome = replay(fitted(train).at(0.001), test)
    assert (outcome.n_calls == 1).all()
    assert outcome.score.mean() >= test.member_score.mean()


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_with_ample_labels_it_is_no_worse_than_agreement_stopping(seed):
    """At equal calls, on average over the frontier; two points allow for 1,500 test queries."""
    train, test = halves(pool(20 + seed, 2500, n_members=8, is_open=True), 1000)
    rival = Agreement().fit(train, rng=np.random.default_rng(0))
    gaps = []
    curve = sorted(_points(fitted(train), test))
    calls, score = np.array(curve).T
    for their_calls, their_score in _points(rival, test):
        if calls[0] <= their_calls <= calls[-1]:
            gaps.append(np.interp(their_calls, calls, score) - their_score)
    assert np.mean(gaps) > -0.02


def _points(strategy, test):
    outcomes = [replay(strategy.at(dial), test) for dial in strategy.dials]
    return [(o.n_calls.mean(), o.score.mean()) for o in outcomes]


class AskAll(Base):
    """What a strategy makes of everybody's answers."""

    name = "all"

    def __init__(self, strategy):
        self.strategy = strategy

    def decide(self, view):
        ask = ~view.asked & (view.n_rounds == 0)[:, None]
        return Decision(ask, self.strategy.decide(view).answer)


def test_fusing_everybody_is_no_worse_than_plurality_on_average():
    gaps = []
    for seed in range(12):
        train, test = halves(pool(40 + seed, 500, n_members=7), 100)
        mine = replay(AskAll(fitted(train)), test).score
        theirs = replay(Plurality().fit(train, rng=np.random.default_rng(0)), test).score
        gaps.append(mine.mean() - theirs.mean())
    assert np.mean(gaps) > 0


def test_few_labels_do_not_vouch_for_option_scores():
    """Without labels they are ignored; with many they count nearly in full."""
    train, test = halves(pool(9, 900, n_members=4, is_open=False, graded=True), 800)
    one_hot = (test.answer[:, :, None] == np.arange(test.n_candidates)).astype(np.float32)
    rows, asked = np.arange(test.n_queries), np.ones(test.answer.shape, dtype=bool)
    graded, plain = reveal(test, rows, asked), reveal(test.with_support(one_hot), rows, asked)
    nothing = fitted(train.take(np.arange(0)))
    assert np.array_equal(nothing.decide(graded).answer, nothing.decide(plain).answer)
    known = fitted(train)
    assert not np.allclose(known.decide(graded).answer, known.decide(plain).answer, atol=0.01)


def test_it_comes_back_from_its_spec_and_state(rng):
    table = pool(10, 120, n_members=5)
    strategy = fitted(table, config=PriorConfig(default_price=0.02))
    state = {name: array.copy() for name, array in strategy.state().items()}
    check_state(state, strategy.layout(state), {"N": 5, "T": len(table.tasks) + 1})
    again = RlFocalPrior.of(strategy.spec.settings).restore(state)
    assert again.spec == strategy.spec
    view = reveal(table, np.arange(120), rng.random(table.answer.shape) < 0.6)
    for one, two in zip(strategy.decide(view), again.decide(view), strict=True):
        assert np.array_equal(one, two)
    assert again.dials == strategy.dials
    assert np.array_equal(again.ranking, strategy.ranking)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("counts.answered", np.full(4, -1.0), "should lie in"),
        ("adds_up", np.ones(99, dtype=bool), "shape"),
        ("fusion.message.bias", np.full(64, np.nan, dtype=np.float32), "not finite"),
        ("decider.stop_head.bias", np.ones(1), "float64"),
    ],
)
def test_a_damaged_state_is_refused(name, value, message):
    table = pool(11, 40, n_members=4)
    strategy = fitted(table)
    state = strategy.state() | {name: value}
    with pytest.raises(CheckpointError, match=f"'{name}'.*{message}"):
        check_state(state, strategy.layout(state), {"N": 4, "T": len(table.tasks) + 1})


def test_a_card_that_is_none_or_of_other_nets_is_refused():
    strategy = fitted(pool(12, 40))
    state = strategy.state()
    with pytest.raises(ValueError, match="card"):
        RlFocalPrior().restore(state | {"card": np.zeros(4, dtype=np.uint8)})
    with pytest.raises(RuntimeError, match="as in the card"):
        RlFocalPrior().restore(state | {"fusion.message.bias": np.zeros(3, dtype=np.float32)})


def test_whoever_writes_to_a_state_changes_no_strategy():
    state = fitted(pool(12, 40)).state()
    state["fusion.message.bias"][:] = 9
    assert not (shipped_prior().fusion["message.bias"] == 9).any()
    again = RlFocalPrior().restore(fitted(pool(12, 40)).state() | state)
    state["fusion.message.bias"][:] = 0
    assert (again.prior.fusion["message.bias"] == 9).all()


def test_zero_shot_no_label_is_used_and_unknown_settings_are_refused():
    table = pool(13, 40)
    assert RlFocalPrior().training_table(table) is table
    blind = RlFocalPrior.of({"zero_shot": True})
    assert blind.training_table(table).n_queries == 0
    with pytest.raises(ConfigError, match=r"rl-focal-prior: unknown key 'zeroshot'.*zero_shot"):
        RlFocalPrior.of({"zeroshot": True})


def test_the_shipped_weights_are_those_the_card_names():
    card = read_card(SHIPPED)
    data = (SHIPPED / card.weights_file).read_bytes()
    assert hashlib.sha256(data).hexdigest() == card.weights_sha256
    assert len(data) < 5_000_000
    prior = load_prior(SHIPPED)
    assert size_of(prior.fusion) == card.n_parameters["fusion"]
    assert card.limits
    assert set(card.validation) >= {"0 labels", "100 labels"}


def test_weights_survive_a_round_trip_and_damage_is_refused(tmp_path):
    save_prior(tmp_path / "a", load_prior(SHIPPED))
    card = read_card(tmp_path / "a")
    assert card.weights_sha256 == read_card(SHIPPED).weights_sha256
    with (tmp_path / "a" / card.weights_file).open("ab") as file:
        file.write(b"x")
    with pytest.raises(CheckpointError, match="sha256"):
        load_prior(tmp_path / "a")
    with pytest.raises(CheckpointError, match="card"):
        load_prior(tmp_path)
    shutil.copytree(SHIPPED, tmp_path / "b")
    path = tmp_path / "b" / "card.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"fusion_hidden": 3}))
    with pytest.raises(CheckpointError, match="not the weights"):
        load_prior(tmp_path / "b")
