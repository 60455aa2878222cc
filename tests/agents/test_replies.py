"""Agents that read replies: what a reply says reaches them once it is paid for, if it says much."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from telling import with_signal

from rlfocal.agents.config import RlFocalConfig
from rlfocal.agents.fitted_pool import FittedPool
from rlfocal.agents.known import OutOfFold
from rlfocal.deliberation.recorded import reveal
from rlfocal.deliberation.replay import replay
from rlfocal.focal.ask_all import AskAll
from rlfocal.focal.rl_focal import RlFocal
from rlfocal.records import PoolModel, ResponseTable, build_table, simulate
from rlfocal.strategies.evidence import Apart, ReplyScore
from rlfocal.training.weights import one_thread

CONFIG = RlFocalConfig(n_iterations=2, n_episodes=64, learn_from=200)
MODEL = PoolModel(accuracy=[[0.75, 0.65, 0.6, 0.55]])


def pool(n: int, seed: int) -> ResponseTable:
    return build_table(simulate(MODEL, n, rng=np.random.default_rng(seed)))


def fitted(table: ResponseTable) -> FittedPool:
    with one_thread():
        return FittedPool.fit(table, CONFIG, rng=np.random.default_rng(0))


def test_a_training_querys_shift_is_seen_only_of_members_that_were_asked() -> None:
    table = pool(30, 0)
    shift = np.random.default_rng(0).normal(size=table.answer.shape).astype(np.float32)
    held_out = OutOfFold(np.zeros((2, *shift.shape)), 1, np.zeros(30, dtype=np.int64), shift)
    rows, asked = np.array([3, 17]), np.array([[True, False, True, False]] * 2)
    known = held_out.known(reveal(table, rows, asked))
    assert known.reply_shift is not None
    np.testing.assert_array_equal(known.reply_shift, np.where(asked, shift[rows], 0))
    part = held_out.take(rows).known(reveal(table.take(rows), np.arange(2), asked))
    np.testing.assert_array_equal(known.reply_shift, part.reply_shift)
    assert known.take(np.array([1])).reply_shift.tolist() == known.reply_shift[1:].tolist()


def test_replies_that_say_nothing_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    table = pool(300, 1)
    plain = fitted(table)
    fit = ReplyScore.fit_apart

    def of_little_worth(table: ResponseTable, *, rng: np.random.Generator) -> Apart[ReplyScore]:
        found = fit(table, rng=rng)
        assert found is not None
        return found._replace(score=replace(found.score, factor=0.04))

    monkeypatch.setattr(ReplyScore, "fit_apart", of_little_worth)
    useless = fitted(with_signal(table, 0.0))
    assert useless.reply_score is None
    for name, array in plain.state().items():
        np.testing.assert_array_equal(array, useless.state()[name], err_msg=name)


@pytest.fixture(scope="module")
def informed() -> RlFocal:
    return RlFocal(CONFIG).fit(with_signal(pool(400, 1), 2.0), rng=np.random.default_rng(0))


def test_replies_that_tell_right_from_wrong_are_believed(informed: RlFocal) -> None:
    """The likeliest candidate, with everything known: log-odds of accuracy plus two times noise."""
    test = with_signal(pool(2000, 2), 2.0, seed=3)
    blind = AskAll(fitted(pool(400, 1)))
    seeing = AskAll(informed.fitted_pool_)
    gained = replay(seeing, test).score.mean() - replay(blind, test).score.mean()
    log_odds = np.log(test.member_score.mean(axis=0) / (1 - test.member_score.mean(axis=0)))
    sure = test.replies.signals(["sure"])[:, :, 0]
    best = np.einsum("qn,qnc->qc", log_odds + np.log(3) + 2.0 * sure, test.support).argmax(axis=1)
    ceiling = test.score_of(best).mean() - replay(blind, test).score.mean()
    assert ceiling > 0.05
    assert gained > 0.7 * ceiling


def test_what_is_written_decides_as_what_was_trained(informed: RlFocal) -> None:
    test = with_signal(pool(200, 2), 2.0, seed=3)
    restored = RlFocal(CONFIG).restore(informed.state())
    for price in (0.0, 0.01, 0.1):
        one, two = (replay(each.at(price), test) for each in (informed, restored))
        np.testing.assert_array_equal(one.asked, two.asked)
        np.testing.assert_allclose(one.confidence, two.confidence, atol=1e-6)
    layout = RlFocal(CONFIG).layout(informed.state().keys())
    assert {"replies.word", "replies.base"} <= layout.keys()


def test_without_replies_it_acts_as_where_they_say_nothing(informed: RlFocal) -> None:
    test = pool(50, 2)
    silent = replace(with_signal(test, 2.0), replies=None)
    outcome = replay(informed.at(0.01), silent)
    assert np.isfinite(outcome.confidence).all()
    assert (outcome.n_calls >= 1).all()
