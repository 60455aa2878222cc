"""PriorSignal: the prior's opinion on a pool, never from the labels of the query's own fold."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from rlfocal.agents.fusion import PriorSignal
from rlfocal.agents.fusion import prior_signal as module
from rlfocal.agents.known import Known, OutOfFold
from rlfocal.agents.policy import action_log_prob
from rlfocal.agents.prior.strategy import RlFocalPrior
from rlfocal.deliberation.recorded import reveal
from rlfocal.records import CandidateKind, PoolModel, ResponseTable, build_table, simulate
from rlfocal.records.tables.folds import inner_folds

NOTHING = np.zeros((200, 3), dtype=np.float32)
MODEL = PoolModel(accuracy=[[0.8, 0.6, 0.5], [0.4, 0.8, 0.5]])


@pytest.fixture(scope="module")
def table() -> ResponseTable:
    """Free-form: the answers that members gave are the candidates."""
    choices = build_table(simulate(MODEL, 200, rng=np.random.default_rng(0)))
    kind = np.full(200, CandidateKind.ANSWERS, dtype=np.int8)
    return replace(choices, kind=kind, exists=choices.support.any(axis=1))


@pytest.fixture(scope="module")
def fold(table: ResponseTable) -> np.ndarray:
    return inner_folds(table, 3, rng=np.random.default_rng(0))


def test_a_hint_is_the_log_odds_of_the_priors_posterior(
    table: ResponseTable, fold: np.ndarray
) -> None:
    prior = PriorSignal.fit(table, fold, 3)
    view = reveal(table, np.arange(200), np.ones((200, 3), dtype=bool))
    posterior = RlFocalPrior().fit(table, rng=np.random.default_rng(0)).decide(view).answer
    none = 1 - posterior.sum(axis=1, keepdims=True)
    seen = view.available & (posterior > 1e-3)
    expected = np.log(np.maximum(posterior, 1e-4)) - np.log(none)
    np.testing.assert_allclose(
        prior.of(view, Known(NOTHING)).prior_signal[seen], expected[seen], rtol=1e-3, atol=1e-3
    )


def test_labels_of_its_own_fold_do_not_reach_a_query(
    table: ResponseTable, fold: np.ndarray
) -> None:
    scrambled = table.candidate_score.copy()
    scrambled[fold == 1] = 0
    other = replace(table, candidate_score=scrambled)
    view = reveal(table, np.arange(200), np.ones((200, 3), dtype=bool))
    known = OutOfFold(NOTHING, torch.from_numpy(fold)).known(view)
    before, after = (
        PriorSignal.fit(t, fold, 3).of(view, known).prior_signal for t in (table, other)
    )
    np.testing.assert_array_equal(before[fold == 1], after[fold == 1])
    assert not np.allclose(before[fold == 0], after[fold == 0], atol=0.05)


def test_hints_of_a_table_stand_under_its_own_candidates(
    table: ResponseTable, fold: np.ndarray
) -> None:
    prior = PriorSignal.fit(table, fold, 3)
    everybody = np.ones((200, 3), dtype=bool)
    held_out = OutOfFold(NOTHING, torch.from_numpy(fold))
    whole = prior.of_table(table, everybody, held_out)
    asked = everybody.copy()
    asked[:, 0] = False  # leaves gaps in the numbers of open candidates
    part = prior.of_table(table, asked, held_out)
    rows = np.arange(200)
    for prior_signal, member in ((whole, 0), (part, 1)):
        given = np.maximum(table.answer[:, member], 0)
        floor = prior_signal.min(axis=1)
        assert (prior_signal[rows, given] > floor)[table.answer[:, member] >= 0].mean() > 0.95


def test_the_decision_is_the_priors_at_each_querys_price(
    table: ResponseTable, fold: np.ndarray
) -> None:
    prior = PriorSignal.fit(table, fold, 3)
    asked = np.random.default_rng(1).random((200, 3)) < 0.5
    view = reveal(table, np.arange(200), asked)
    price = np.where(np.arange(200) % 2, 0.01, 0.1).astype(np.float32)
    start = prior.of(view, Known(NOTHING), price=price).start
    assert start is not None
    legal = torch.from_numpy(np.hstack([~asked, asked.any(axis=1, keepdims=True)]))
    found = action_log_prob(start=start, legal=legal, logit=torch.zeros_like(start)).exp().numpy()
    own = RlFocalPrior().fit(table, rng=np.random.default_rng(0))
    usable = ~asked.all(axis=1)
    for odd, lam in ((0, 0.1), (1, 0.01)):
        rows = usable & (np.arange(200) % 2 == odd)
        expected = own.at(lam).decide(view).chance
        assert expected is not None
        np.testing.assert_allclose(found[rows], expected[rows], atol=1e-4)
    assert prior.of(view, Known(NOTHING)).start is None


def test_large_pools_do_without(table: ResponseTable, fold: np.ndarray) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_MOST_LABELS", 200)
        prior = PriorSignal.fit(table, fold, 3)
    assert not prior
    view = reveal(table, np.arange(5), np.ones((5, 3), dtype=bool))
    assert not prior.of(view, Known(NOTHING[:5])).prior_signal.any()


def test_a_member_said_to_be_competent_on_a_query_is_believed_there(
    table: ResponseTable, fold: np.ndarray
) -> None:
    prior = PriorSignal.fit(table, fold, 3)
    view = reveal(table, np.arange(200), np.ones((200, 3), dtype=bool))
    competence = NOTHING.copy()
    competence[:, 2] = 0.4
    before, after = (prior.of(view, Known(c)).prior_signal for c in (NOTHING, competence))
    rows = np.flatnonzero(view.answered[:, 2])
    own = view.answer[rows, 2]
    assert (after[rows, own] >= before[rows, own]).mean() > 0.95
    lam = np.full(200, 0.01, dtype=np.float32)
    fresh = reveal(table, np.arange(200), np.zeros((200, 3), dtype=bool))
    starts = [prior.of(fresh, Known(c), price=lam).start for c in (NOTHING, competence)]
    assert starts[0] is not None
    assert starts[1] is not None
    assert (starts[1][:, 2] > starts[0][:, 2]).all()
