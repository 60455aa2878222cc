"""No decision may depend on a member not asked, on the query's own label, or on other rows."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from every_strategy import REFERENCES

from rlfocal.agents.config import PaperConfig, RlFocalConfig
from rlfocal.agents.prior.strategy import RlFocalPrior
from rlfocal.deliberation.base import Base
from rlfocal.deliberation.protocol import Strategy
from rlfocal.deliberation.recorded import reveal
from rlfocal.deliberation.registry import BUILT_IN
from rlfocal.deliberation.replay import replay
from rlfocal.deliberation.view import Decision, View
from rlfocal.focal.posterior_threshold import PosteriorThreshold
from rlfocal.focal.rl_focal import RlFocal
from rlfocal.paper.strategy import RlFocalPaper
from rlfocal.records import CandidateKind, ResponseTable
from rlfocal.records.signals import Replies
from rlfocal.strategies.agreement import Agreement
from rlfocal.strategies.best_of import BestOf
from rlfocal.strategies.capped import CappedAgreement
from rlfocal.strategies.label_free import MatrixMeanSubsequence, OneCoin
from rlfocal.strategies.routing import (
    HierShrinkRouter,
    KMeansRouter,
    KnnRouter,
    LogisticRouter,
    RoutedVote,
)
from rlfocal.strategies.scored import (
    BestOfN,
    ConfidenceVote,
    EvidenceCascade,
    EvidenceStacking,
    ScoreCascade,
)
from rlfocal.strategies.single import BestAlone, BestSingle, BestSinglePerTask, RandomMember
from rlfocal.strategies.stacking import Stacking
from rlfocal.strategies.static import StaticSubset
from rlfocal.strategies.topla import Topla
from rlfocal.strategies.voting import (
    MeanProbability,
    Plurality,
    WeightedVote,
    WeightedVotePerTask,
)

TINY = RlFocalConfig(n_iterations=3, n_episodes=32, learn_from=1)

STRATEGIES: dict[str, Callable[[], Strategy]] = {
    "best-alone": BestAlone,
    "best-single": BestSingle,
    "best-single-per-task": BestSinglePerTask,
    "random": RandomMember,
    "plurality": Plurality,
    "weighted-vote": WeightedVote,
    "weighted-vote-per-task": WeightedVotePerTask,
    "mean-probability": MeanProbability,
    "static-subset": lambda: StaticSubset(max_size=3),
    "topla": Topla,
    "agreement": Agreement,
    "agreement in pairs": lambda: Agreement(threshold=0.5, members_per_round=2),
    "agreement, cheapest first": lambda: Agreement(threshold=0.3, order="cost"),
    "agreement-capped": CappedAgreement,
    "agreement-capped, dear calls": lambda: CappedAgreement(price=0.1),
    "stacking": Stacking,
    "knn-router": KnnRouter,
    "logistic-router": LogisticRouter,
    "kmeans-router": KMeansRouter,
    "hiershrink-router": HierShrinkRouter,
    "one-coin": OneCoin,
    "m-msr": MatrixMeanSubsequence,
    "routed-vote": RoutedVote,
    "routed-vote, three calls": lambda: RoutedVote(n_calls=3),
    "confidence-vote": ConfidenceVote,
    "confidence-vote, the score": lambda: ConfidenceVote(signal="score"),
    "best-of-n": BestOfN,
    "score-cascade": ScoreCascade,
    "evidence-stacking": EvidenceStacking,
    "evidence-cascade": EvidenceCascade,
    "evidence-cascade, dear calls": lambda: EvidenceCascade(price=0.1),
    "best-of": BestOf,
    "rl-focal": lambda: RlFocal(TINY),
    "rl-focal, dear calls": lambda: RlFocal(TINY.model_copy(update={"default_price": 0.1})),
    "posterior-threshold": lambda: PosteriorThreshold(TINY),
    "rl-focal-prior": RlFocalPrior,
    "rl-focal-prior, dear calls": lambda: RlFocalPrior().at(0.1),
    "rl-focal-paper": lambda: RlFocalPaper(PaperConfig(n_passes=2, update_every=30)),
}
"""Every strategy, and settings that take another path through the code."""
LONG = (
    "best-of", "posterior-threshold", "rl-focal", "rl-focal, dear calls", "rl-focal-paper",
    "rl-focal-prior, dear calls", "agreement-capped, dear calls", "routed-vote, three calls",
    "confidence-vote, the score", "evidence-cascade, dear calls", "best-of-n", "evidence-stacking",
)  # fmt: skip

every_strategy = pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=pytest.mark.slow) if name in LONG else name for name in STRATEGIES],
)
every_kind = pytest.mark.parametrize("kind", list(CandidateKind))


@functools.cache
def _fit(name: str, make_table: Callable[..., ResponseTable], kind: CandidateKind) -> Strategy:
    train = make_table(kind, seed=1, graded=True, replies=True, n_queries=90)
    return STRATEGIES[name]().fit(train, rng=np.random.default_rng(5))


@functools.cache
def _fit_for_others(
    name: str, make_table: Callable[..., ResponseTable], kind: CandidateKind
) -> Strategy:
    """Fitted as `rlfocal train` does: it knows what to do about an unknown task."""
    train = make_table(kind, seed=1, graded=True, replies=True, n_queries=90)
    made = STRATEGIES[name]()
    assert isinstance(made, Base)
    return made.fit(made.training_table(train), rng=np.random.default_rng(5))


def _tampered(table: ResponseTable, asked: np.ndarray, rng: np.random.Generator) -> ResponseTable:
    """Other answers, replies, prices for whoever was not asked, and other labels for all."""
    answer = rng.integers(-1, table.n_candidates, size=asked.shape).astype(np.int16)
    one_hot = (answer[:, :, None] == np.arange(table.n_candidates)).astype(np.float32)
    scores = rng.normal(size=table.support.shape).astype(np.float32)
    assert table.samples is not None
    assert table.latency_s is not None
    samples = np.where(asked[:, :, None], table.samples, np.int16(-1))
    support = np.where(asked[:, :, None], table.support, one_hot)
    is_open = table.is_open[:, None]
    assert table.replies is not None
    own = np.arange(asked.size).reshape(asked.shape)
    another = rng.permutation(asked.size).reshape(asked.shape)
    return replace(
        table,
        replies=table.replies.at(np.where(asked, own, another)),
        answer=np.where(asked, table.answer, answer),
        support=support,
        samples=samples,
        option_scores=scores,
        exists=np.where(is_open, True, table.exists),
        cost=np.where(asked, table.cost, 7.0).astype(np.float32),
        latency_s=np.where(asked, table.latency_s, 9.0).astype(np.float32),
        candidate_score=rng.random(table.exists.shape).astype(np.float32),
    )


def _shifted(view: View) -> View:
    """The same view with one candidate slot more in front, as if somebody unasked had filled it."""
    wider = np.zeros((*view.support.shape[:2], 1), dtype=np.float32)
    return replace(
        view,
        answer=np.where(view.answer >= 0, view.answer + 1, -1).astype(np.int16),
        support=np.concatenate([wider, view.support], axis=2),
        available=np.concatenate([np.zeros((len(view), 1), dtype=bool), view.available], axis=1),
    )


def _rounds(strategy: Strategy, table: ResponseTable) -> list[tuple[np.ndarray, np.ndarray]]:
    """The (asked, n_rounds) before each round and at the end."""
    asked = np.zeros((table.n_queries, table.n_members), dtype=bool)
    n_rounds = np.zeros(table.n_queries, dtype=np.int64)
    rows = np.arange(table.n_queries)
    states = [(asked, n_rounds)]
    while True:
        wanted = strategy.decide(reveal(table, rows, asked, n_rounds=n_rounds)).ask & ~asked
        if not wanted.any():
            return states
        asked, n_rounds = asked | wanted, n_rounds + wanted.any(axis=1)
        states.append((asked, n_rounds))


def _bits(decision: Decision) -> tuple[bytes, ...]:
    """Every bit of it."""
    return tuple(np.asarray(part).tobytes() for part in decision if part is not None)


@every_strategy
@every_kind
def test_unasked_members_and_labels_change_no_decision(name, kind, make_table, rng):
    strategy = _fit(name, make_table, kind)
    table = make_table(kind, seed=2, graded=True, replies=True)
    rows = np.arange(table.n_queries)
    states = _rounds(strategy, table)
    assert states[-1][0].any(axis=1).all()
    for asked, n_rounds in states:
        view = reveal(table, rows, asked, n_rounds=n_rounds)
        other = reveal(_tampered(table, asked, rng), rows, asked, n_rounds=n_rounds)
        assert _bits(strategy.decide(view)) == _bits(strategy.decide(other))


@every_strategy
def test_hidden_tasks_change_no_decision(name, make_table, rng):
    strategy = _fit_for_others(name, make_table, CandidateKind.OPTIONS)
    table = make_table(CandidateKind.OPTIONS, seed=2, graded=True, replies=True)
    permuted = replace(table, task=rng.permutation(table.task))
    assert (permuted.task != table.task).any()
    one, other = (each.with_tasks(each.tasks, hidden=True) for each in (table, permuted))
    rows = np.arange(table.n_queries)
    for asked, n_rounds in _rounds(strategy, one):
        views = [reveal(each, rows, asked, n_rounds=n_rounds) for each in (one, other)]
        assert (views[0].task == len(table.tasks)).all()
        assert _bits(strategy.decide(views[0])) == _bits(strategy.decide(views[1]))


@every_kind
def test_a_view_holds_replies_of_those_asked_alone(kind, make_table, rng):
    table = make_table(kind, seed=2, graded=True, replies=True)
    rows, asked = np.arange(table.n_queries), rng.random(table.answer.shape) < 0.5
    views = [reveal(each, rows, asked) for each in (table, _tampered(table, asked, rng))]
    one, other = (view.replies for view in views)
    assert one is not None
    assert other is not None
    np.testing.assert_array_equal(one.present, asked)
    found = one.signals(one.names)
    assert np.isnan(found[~asked]).all()
    assert (~np.isnan(found[asked])).any(axis=1).all()
    np.testing.assert_array_equal(found, other.signals(other.names))
    for part, same in zip(one.words(), other.words(), strict=True):
        np.testing.assert_array_equal(part, same)
    assert (np.diff(one.words().start) > 0).tolist() == asked.ravel().tolist()
    # No public attribute leads to what was not asked.
    public = {name for name in dir(one) if not name.startswith("_")}
    assert public == {
        "at", "concat", "contents", "judged", "names", "none", "of_judged", "present", "shape",
        "signals", "where", "words",
    }  # fmt: skip
    kept = Replies.of_judged(np.ones(asked.shape, dtype=np.float32)).where(asked)
    np.testing.assert_array_equal(kept.judged, np.where(asked, 1, np.nan))


@every_strategy
def test_open_answers_of_unasked_members_shift_indices_and_nothing_else(name, make_table):
    # However open candidates are numbered, no strategy may care.
    strategy = _fit(name, make_table, CandidateKind.ANSWERS)
    table = make_table(CandidateKind.ANSWERS, seed=2, graded=True, replies=True)
    rows = np.arange(table.n_queries)
    for asked, n_rounds in _rounds(strategy, table):
        view = reveal(table, rows, asked, n_rounds=n_rounds)
        plain, shifted = strategy.decide(view), strategy.decide(_shifted(view))
        assert np.array_equal(plain.ask, shifted.ask)
        np.testing.assert_allclose(shifted.answer[:, 1:], plain.answer, rtol=1e-5, atol=1e-7)
        assert (np.where(view.available.any(axis=1), shifted.answer[:, 0], 0) == 0).all()
        assert (plain.chance is None) == (shifted.chance is None)
        if plain.chance is not None and shifted.chance is not None:
            np.testing.assert_allclose(shifted.chance, plain.chance, rtol=1e-4, atol=1e-6)


@every_strategy
@every_kind
def test_batches_and_row_order_change_no_result(name, kind, make_table, rng):
    strategy = _fit(name, make_table, kind)
    table = make_table(kind, seed=3, graded=True, replies=True)
    whole = replay(strategy, table)
    order = rng.permutation(table.n_queries)
    permuted = replay(strategy, table.take(order))
    single = replay(strategy, table, batch_size=1)
    for field in ("asked", "n_calls", "n_rounds", "chosen", "score"):
        assert np.array_equal(getattr(single, field), getattr(whole, field)), field
        if not strategy.stochastic or name == "topla":  # `random` draws by place in the stream
            assert np.array_equal(getattr(permuted, field), getattr(whole, field)[order]), field
    # Matrix products may round differently in batches of another size.
    np.testing.assert_allclose(single.confidence, whole.confidence, rtol=1e-4)


@every_strategy
def test_probabilities_lie_on_available_candidates_and_sum_to_one(name, make_table):
    for kind in (CandidateKind.OPTIONS, CandidateKind.ANSWERS):
        strategy = _fit(name, make_table, kind)
        table = make_table(kind, seed=4, graded=True, replies=True)
        asked, n_rounds = _rounds(strategy, table)[-1]
        view = reveal(table, np.arange(table.n_queries), asked, n_rounds=n_rounds)
        answer = strategy.decide(view).answer
        assert answer.dtype == np.float32
        assert (answer[~view.available] == 0).all()
        assert (answer.sum(axis=1) <= 1 + 1e-5).all()


def test_the_list_names_every_strategy_of_the_registry():
    assert set(BUILT_IN) - set(REFERENCES) <= set(STRATEGIES)
