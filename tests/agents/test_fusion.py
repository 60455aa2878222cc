"""Fusion starts as the log-odds vote, treats candidates alike, and judges queries it never saw."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

import rlfocal.agents.fusion.start as start_module
import rlfocal.agents.fusion.training as training
from rlfocal.agents.config import RlFocalConfig
from rlfocal.agents.fusion import Fusion, FusionInput, PriorSignal, fit_fusion, fusion_input
from rlfocal.agents.fusion.start import FusionStart, Lesson, fit_start
from rlfocal.agents.known import Known, OutOfFold
from rlfocal.agents.nets import seeded
from rlfocal.deliberation.recorded import reveal
from rlfocal.deliberation.view import View
from rlfocal.records import PoolModel, ResponseTable, build_table, simulate
from rlfocal.records.tables.folds import inner_folds
from rlfocal.strategies.stacking.likelihood import evidence

CONFIG = RlFocalConfig(fusion_epochs=4, fusion_patience=50)


@pytest.fixture(scope="module")
def table() -> ResponseTable:
    model = PoolModel(accuracy=[[0.8, 0.6, 0.5, 0.4], [0.4, 0.8, 0.5, 0.6]], shared_distractor=0.3)
    return build_table(simulate(model, 400, rng=np.random.default_rng(0)))


@pytest.fixture
def view(table: ResponseTable) -> View:
    asked = np.random.default_rng(1).random((50, 4)) < 0.6
    return reveal(table, np.arange(50), asked)


def random_fusion() -> Fusion:
    def make() -> Fusion:
        fusion = Fusion(
            torch.rand(3, 3, 5), torch.rand(3, 3), torch.rand(3, 3, 5, 4), n_candidates=4
        )
        for name, parameter in fusion.named_parameters():
            if name != "position":
                torch.nn.init.normal_(parameter, std=0.3)
        return fusion

    return seeded(0, make)


def seen_of(view: View) -> FusionInput:
    return fusion_input(view, Known(np.zeros(view.asked.shape, dtype=np.float32)), hint_of(view))


def hint_of(view: View) -> np.ndarray:
    """An opinion that moves with the candidates."""
    return np.asarray(view.support.sum(axis=1) ** 2, dtype=np.float32)


@pytest.mark.parametrize("graded", [False, True])
@pytest.mark.parametrize("with_prior", [False, True])
@pytest.mark.parametrize("reads", [False, True])
def test_it_starts_as_the_conditional_logit(
    view: View, graded: bool, with_prior: bool, reads: bool
) -> None:
    n_signals = (8 if graded else 4) + reads + with_prior
    weight, none = torch.rand(2, 3, n_signals), torch.rand(2, 3)
    company = torch.rand(2, 3, n_signals, 4)
    fusion = seeded(0, lambda: Fusion(weight, none, company, n_candidates=4, reads_replies=reads))
    assert (fusion.graded, fusion.with_prior) == (graded, with_prior)
    view = replace(view, support=view.support * 0.7, is_open=np.full(50, True))
    shift = np.where(view.asked, view.position[:, None] / 50 - view.task[:, None], 0)
    known = Known(np.zeros(view.asked.shape, dtype=np.float32), shift.astype(np.float32))
    logit = fusion(fusion_input(view, known, hint_of(view))).detach().numpy()
    signal = evidence(view.support, graded=graded)
    if reads:
        moved = np.einsum("bn,bnc->bc", shift, view.support)
        signal = np.concatenate([signal, moved[:, None]], axis=1)
    if with_prior:
        signal = np.concatenate([signal, hint_of(view)[:, None]], axis=1)
    for net in (0, 1):
        weights = weight[net].numpy()[view.task]
        weights += np.einsum("bkn,bn->bk", company[net].numpy()[view.task], ~view.answered)
        vote = np.einsum("bk,bkc->bc", weights, signal)
        vote = np.where(view.available, vote, -1e9)
        np.testing.assert_allclose(logit[net, :, :-1], vote, atol=1e-5)
        np.testing.assert_allclose(logit[net, :, -1], none[net].numpy()[view.task], atol=1e-6)


def test_an_unknown_task_has_no_weights_of_its_own(view: View) -> None:
    fusion = random_fusion()
    unknown = seen_of(replace(view, task=np.full(50, 2)))
    before = fusion.judge(unknown)[1]
    with torch.no_grad():
        fusion.task_trust.add_(5.0)
    torch.testing.assert_close(fusion.judge(unknown)[1], before)
    assert not torch.equal(fusion.judge(seen_of(view))[1], before)


def test_the_start_is_convex_and_judged_out_of_fold(table: ResponseTable) -> None:
    """Net e does not depend on labels of fold e; nets of unequal data differ."""
    fold = inner_folds(table, 3, rng=np.random.default_rng(0))
    scrambled = table.candidate_score.copy()
    scrambled[fold == 1] = np.roll(scrambled[fold == 1], 1, axis=1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(start_module, "PENALTIES", start_module.PENALTIES[1:2])
        lessons = [Lesson(torch.ones(400, 4) > 0, torch.zeros(400, table.n_candidates))]
        starts = [
            fit_start(data, fold, 3, lessons, with_prior=False)
            for data in (table, replace(table, candidate_score=scrambled))
        ]
    assert torch.equal(starts[0].weight[1], starts[1].weight[1])
    for net in (0, 2, 3):
        assert not torch.allclose(starts[0].weight[net], starts[1].weight[net], atol=0.1)


@pytest.mark.parametrize("is_open", [True, False])
def test_candidates_are_treated_alike(view: View, is_open: bool) -> None:
    fusion, order = random_fusion(), np.array([2, 0, 3, 1])
    available = view.support.any(axis=1) if is_open else view.available
    view = replace(view, is_open=np.full(50, is_open), available=available)
    moved = replace(view, support=view.support[:, :, order], available=view.available[:, order])
    before = fusion.judge(seen_of(view))[0].detach()
    after = fusion.judge(seen_of(moved))[0].detach()
    torch.testing.assert_close(after[:, :-1], before[:, :-1][:, order])
    torch.testing.assert_close(after[:, -1], before[:, -1])
    torch.testing.assert_close(before.sum(1), torch.ones(50))
    assert (before[:, :-1][torch.from_numpy(~view.available)] == 0).all()
    assert bool((before[:, -1] > 0).all()) is is_open  # options always hold the right one


def test_what_was_not_answered_does_not_count(view: View) -> None:
    fusion = random_fusion()
    before = fusion.judge(seen_of(view))[0]
    competence = np.where(view.answered, 0, 9).astype(np.float32)
    after = fusion.judge(fusion_input(view, Known(competence), hint_of(view)))[0]
    torch.testing.assert_close(after, before)


def fitted(table: ResponseTable, fold: np.ndarray) -> Fusion:
    nothing = np.zeros(table.answer.shape, dtype=np.float32)
    return fit_fusion(
        table,
        OutOfFold(nothing, torch.from_numpy(fold)),
        PriorSignal(),
        CONFIG,
        rng=np.random.default_rng(0),
    )


def test_a_net_never_learns_from_the_fold_that_it_judges(table: ResponseTable) -> None:
    fold = inner_folds(table, 3, rng=np.random.default_rng(0))
    scrambled = table.candidate_score.copy()
    scrambled[fold == 1] = np.roll(scrambled[fold == 1], 1, axis=1)
    other = replace(table, candidate_score=scrambled)
    config = CONFIG.model_copy(update={"fusion_epochs": 1})
    nothing = np.zeros(table.answer.shape, dtype=np.float32)
    start = FusionStart(torch.ones(4, 3, 4), torch.zeros(4, 3), torch.zeros(4, 3, 4, 4))
    lessons = [Lesson(torch.ones(400, 4) > 0, torch.zeros(400, table.n_candidates))] * 2
    nets = []
    for data in (table, other):
        with pytest.MonkeyPatch.context() as patch:
            falling = iter([2.0, 1.0, 0.0])
            patch.setattr(training, "fit_start", lambda *_, **__: start)
            patch.setattr(training, "draw_lessons", lambda *_, **__: lessons)
            patch.setattr(training, "_out_of_fold", lambda *_, f=falling: next(f))
            nets.append(
                fit_fusion(
                    data,
                    OutOfFold(nothing, torch.from_numpy(fold)),
                    PriorSignal(),
                    config,
                    rng=np.random.default_rng(0),
                )
            )
    for one, two in zip(nets[0].parameters(), nets[1].parameters(), strict=True):
        assert torch.equal(one[1], two[1])
    assert not torch.equal(nets[0].trust[0], nets[1].trust[0])
    assert not torch.equal(nets[0].trust[3], nets[1].trust[3])


def test_it_beats_plurality_and_is_calibrated(table: ResponseTable) -> None:
    model = PoolModel(accuracy=[[0.8, 0.6, 0.5, 0.4], [0.4, 0.8, 0.5, 0.6]], shared_distractor=0.3)
    new = build_table(simulate(model, 2000, rng=np.random.default_rng(7)))
    fusion = fitted(table, inner_folds(table, 3, rng=np.random.default_rng(0)))
    everybody = reveal(new, np.arange(2000), np.ones((2000, 4), dtype=bool))
    posterior = fusion.judge(seen_of(everybody))[0][:, :-1].detach().numpy()
    score = new.score_of(posterior.argmax(axis=1))
    votes = (new.answer[:, :, None] == np.arange(4)).sum(axis=1)
    assert score.mean() > new.score_of(votes.argmax(axis=1)).mean() + 0.02
    assert abs(score.mean() - posterior.max(axis=1).mean()) < 0.05
