"""PriorOnPool: the prior's opinion on a pool, never from the labels of the query's own fold."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from rlfocal.agents.fusion import PriorOnPool
from rlfocal.agents.known import Known, OutOfFold
from rlfocal.agents.prior import fusion
from rlfocal.agents.prior.decider import decide
from rlfocal.agents.prior.strategy import RlFocalPrior
from rlfocal.deliberation.recorded import reveal
from rlfocal.deliberation.view import Memory, View
from rlfocal.records import CandidateKind, PoolModel, ResponseTable, build_table, simulate
from rlfocal.records.tables.folds import inner_folds

Q, N = 200, 3
NOTHING = np.zeros((Q, N), dtype=np.float32)
MODEL = PoolModel(accuracy=[[0.8, 0.6, 0.5], [0.4, 0.8, 0.5]])
ROWS, EVERYBODY = np.arange(Q), np.ones((Q, N), dtype=bool)


@pytest.fixture(scope="module", params=[True, False], ids=["open", "options"])
def table(request: pytest.FixtureRequest) -> ResponseTable:
    """Free-form, where the answers that members gave are the candidates, or multiple choice."""
    choices = build_table(simulate(MODEL, Q, rng=np.random.default_rng(0)))
    if not request.param:
        return choices
    kind = np.full(Q, CandidateKind.ANSWERS, dtype=np.int8)
    return replace(choices, kind=kind, exists=choices.support.any(axis=1))


@pytest.fixture(scope="module")
def fold(table: ResponseTable) -> np.ndarray:
    return inner_folds(table, 3, rng=np.random.default_rng(0))


@pytest.fixture(scope="module")
def prior(table: ResponseTable, fold: np.ndarray) -> PriorOnPool:
    return PriorOnPool.fit(table, fold, 3)


def scrambled(table: ResponseTable, rows: np.ndarray) -> ResponseTable:
    """With other labels of some queries."""
    score = table.candidate_score.copy()
    score[rows] = np.roll(score[rows], 1, axis=1)
    return replace(table, candidate_score=score)


def some(table: ResponseTable, seed: int = 1) -> View:
    return reveal(table, ROWS, np.random.default_rng(seed).random((Q, N)) < 0.5)


def test_the_signal_is_the_log_odds_of_the_priors_posterior(
    table: ResponseTable, prior: PriorOnPool
) -> None:
    view = reveal(table, ROWS, EVERYBODY)
    posterior = RlFocalPrior().fit(table, rng=np.random.default_rng(0)).decide(view).answer
    against = 1 - posterior.sum(axis=1) if view.is_open[0] else posterior.max(axis=1)
    seen = view.available & (posterior > 1e-3) & (against > 1e-3)[:, None]
    assert seen.mean() > 0.3
    expected = np.log(np.maximum(posterior, 1e-4)) - np.log(np.maximum(against, 1e-4))[:, None]
    signal = prior.of(view, Known(NOTHING)).signal
    np.testing.assert_allclose(signal[seen], expected[seen], rtol=1e-3, atol=1e-3)
    assert np.isfinite(signal).all()


def test_labels_of_its_own_fold_do_not_reach_a_query(
    table: ResponseTable, fold: np.ndarray, prior: PriorOnPool
) -> None:
    """What is believed of it; the Decider sees the statistics of all labels, as in use."""
    view = some(table)
    known = OutOfFold(np.stack([NOTHING] * 2), 2, fold).known(view)
    other = PriorOnPool.fit(scrambled(table, fold == 1), fold, 3)
    found = [one.of(view, known)[:2] for one in (prior, other)]
    for before, after in zip(*found, strict=True):
        np.testing.assert_array_equal(before[fold == 1], after[fold == 1])
        assert not np.allclose(before[fold == 0], after[fold == 0], atol=0.03)


def test_each_fold_is_judged_by_its_own_copy(
    table: ResponseTable, fold: np.ndarray, prior: PriorOnPool
) -> None:
    view = some(table)
    together = prior.of(view, Known(NOTHING, fold=fold))
    assert [copy.counts_.n_labels for copy in prior.copies] == [
        *(Q - np.bincount(fold)).tolist(), Q
    ]  # fmt: skip
    for k in range(3):
        rows = np.flatnonzero(fold == k)
        alone = PriorOnPool((prior.copies[k],))
        opinion = alone.of(view.take(rows), Known(NOTHING[rows]))
        np.testing.assert_allclose(together.signal[rows], opinion.signal, atol=1e-5)
        np.testing.assert_allclose(together.vote[rows], opinion.vote, atol=1e-5)
    for one, two in zip(together.seen, prior.of(view, Known(NOTHING)).seen, strict=True):
        np.testing.assert_array_equal(one, two)


def test_signals_of_a_table_stand_under_its_own_candidates(
    table: ResponseTable, fold: np.ndarray, prior: PriorOnPool
) -> None:
    held_out = OutOfFold(np.stack([NOTHING] * 2), 2, fold)
    whole = prior.of_table(table, EVERYBODY, held_out)
    asked = EVERYBODY.copy()
    asked[:, 0] = False  # leaves gaps in the numbers of open candidates
    part = prior.of_table(table, asked, held_out)
    for signal, member in ((whole, 0), (part, 1)):
        given = np.maximum(table.answer[:, member], 0)
        floor = signal.min(axis=1)
        assert (signal[ROWS, given] > floor)[table.answer[:, member] >= 0].mean() > 0.95


def test_the_decision_is_the_priors_at_each_querys_price(
    table: ResponseTable, prior: PriorOnPool
) -> None:
    """Where Fusion has added nothing, the observation is the prior's own."""
    view = some(table)
    price = np.where(ROWS % 2, 0.01, 0.1).astype(np.float32)
    opinion = prior.of(view, Known(NOTHING))
    logit = prior.whole.believe(view, opinion.seen).logit
    fused = fusion.Fused(logit[None], opinion.vote[None])
    seen = prior.whole.observe(opinion.seen, fused, price, view.task)
    found = np.exp(decide(prior.whole.prior.decider, seen))
    for odd, lam in ((0, 0.1), (1, 0.01)):
        rows = odd == ROWS % 2
        expected = prior.whole.at(lam).decide(view).chance
        assert expected is not None
        np.testing.assert_allclose(found[rows], expected[rows], atol=1e-4)


def test_a_member_said_to_be_competent_on_a_query_is_believed_there(
    table: ResponseTable, prior: PriorOnPool
) -> None:
    view = reveal(table, ROWS, EVERYBODY)
    competence = NOTHING.copy()
    competence[:, 2] = 0.4
    before, after = (prior.of(view, Known(c)) for c in (NOTHING, competence))
    rows = np.flatnonzero(view.answered[:, 2])
    own = view.answer[rows, 2]
    assert (after.signal[rows, own] >= before.signal[rows, own] - 1e-3).mean() > 0.95
    assert (after.vote[rows, 2] > before.vote[rows, 2]).mean() > 0.95


def test_recent_labels_count_and_an_empty_memory_does_not(
    table: ResponseTable, prior: PriorOnPool
) -> None:
    view = some(table)
    plain = prior.of(view, Known(NOTHING)).signal
    same = prior.follow(Memory.of(table, 0)).of(view, Known(NOTHING)).signal
    np.testing.assert_array_equal(plain, same)
    recent = prior.follow(Memory.of(scrambled(table, ROWS >= 0), 100))
    assert not np.allclose(recent.of(view, Known(NOTHING)).signal, plain, atol=0.1)
    assert len(recent.copies) == 1
