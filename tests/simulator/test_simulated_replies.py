"""Replies of simulated pools: what is said of them is calibrated, and nothing where unread."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from rlfocal.simulator import PoolSpec, SimulatedPool, draw_answers, draw_pool

N = 5
every_kind = pytest.mark.parametrize("is_open", [True, False])


def spec_of(seed: int = 0, *, is_open: bool = True, **replies: Any) -> PoolSpec:
    """A pool whose members are right on 40 to 80 % and silent on a tenth, with such replies."""
    spec = draw_pool(np.random.default_rng(seed), n_members=N, is_open=is_open, graded=False)
    plain: dict[str, Any] = {
        "reads_replies": True, "reply_tells": np.zeros(N), "reply_tells_difficulty": 0.0,
        "reply_stretch": 0.0, "reply_noise": 0.0,
    }  # fmt: skip
    return dataclasses.replace(
        spec, accuracy=np.linspace(0.4, 0.8, N), abstain=np.full(N, 0.1), drift=np.zeros(N),
        **{**plain, **replies},
    )  # fmt: skip


def drawn(spec: PoolSpec, n_queries: int = 2000, seed: int = 1) -> SimulatedPool:
    return draw_answers(spec, n_queries, rng=np.random.default_rng(seed))


def auc(pool: SimulatedPool, member: int) -> float:
    """Chance that a right reply's shift lies above a wrong one's; ties count half."""
    given, right = pool.answer[:, member] >= 0, pool.member_score[:, member] == 1
    shift = pool.reply_shift[:, member]
    high, low = shift[given & right], shift[given & ~right]
    return float((high[:, None] > low).mean() + (high[:, None] == low).mean() / 2)


def slopes(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Slope and intercept of a logistic regression, by Newton's method."""
    design, theta = np.column_stack([x, np.ones_like(x)]), np.zeros(2)
    for _ in range(30):
        chance = 1 / (1 + np.exp(-design @ theta))
        weight = chance * (1 - chance)
        theta += np.linalg.solve((design * weight[:, None]).T @ design, design.T @ (y - chance))
    return np.asarray(theta)


def regressed(pool: SimulatedPool) -> np.ndarray:
    """Slope and intercept of being right on the log-odds of accuracy plus the shift."""
    given = pool.answer >= 0
    accuracy = pool.member_score.sum(axis=0) / given.sum(axis=0)
    said = np.log(accuracy / (1 - accuracy)) + pool.reply_shift
    return slopes(said[given], pool.member_score[given])


@every_kind
def test_where_replies_are_not_read_nothing_is_said_of_them(is_open: bool) -> None:
    pool = drawn(spec_of(is_open=is_open, reads_replies=False, reply_tells=np.full(N, 2.0)))
    assert pool.reply_shift.dtype == np.float32
    assert pool.reply_shift.shape == pool.answer.shape
    assert not pool.reply_shift.any()


@every_kind
def test_nothing_is_said_of_a_reply_without_a_usable_answer(is_open: bool) -> None:
    pool = drawn(spec_of(is_open=is_open, reply_tells=np.full(N, 1.0), reply_noise=0.6))
    silent = pool.answer < 0
    assert 0.05 < silent.mean() < 0.2
    assert not pool.reply_shift[silent].any()
    assert (pool.reply_shift[~silent] != 0).mean() > 0.99


@every_kind
def test_right_replies_stand_above_wrong_ones_as_far_as_they_tell(is_open: bool) -> None:
    """Two normals a distance d apart have an AUC of Phi(d / sqrt 2)."""
    tells = np.array([0.0, 0.5, 1.0, 1.5, 2.0])
    pool = drawn(spec_of(is_open=is_open, reply_tells=tells), 4000)
    found = [auc(pool, n) for n in range(1, N)]
    np.testing.assert_allclose(found, [0.638, 0.760, 0.856, 0.921], atol=0.025)


def test_useless_replies_rank_none_above_the_other() -> None:
    """Of a score that tells nothing, next to nothing is said, and noise is only noise."""
    pool = drawn(spec_of(), 4000)
    assert np.abs(pool.reply_shift).max() < 0.3
    noisy = drawn(spec_of(reply_noise=0.5), 4000)
    found = [auc(noisy, n) for n in range(N)]
    np.testing.assert_allclose(found, 0.5, atol=0.04)
    given = noisy.answer >= 0
    assert noisy.reply_shift[given].std() == pytest.approx(0.5, abs=0.05)


def test_replies_that_tell_of_the_query_are_lower_on_hard_ones() -> None:
    pool = drawn(spec_of(reply_tells_difficulty=1.5), 4000)
    n_right, given = pool.member_score.sum(axis=1), pool.answer >= 0
    mean = (pool.reply_shift * given).sum(axis=1) / np.maximum(given.sum(axis=1), 1)
    assert mean[n_right >= 4].mean() > mean[n_right <= 1].mean() + 0.2


@every_kind
@pytest.mark.parametrize("tells", [0.7, 1.5])
@pytest.mark.parametrize("of_difficulty", [0.0, 1.0])
def test_without_stretch_and_noise_the_shift_is_calibrated(
    is_open: bool, tells: float, of_difficulty: float
) -> None:
    spec = spec_of(
        is_open=is_open, reply_tells=np.full(N, tells), reply_tells_difficulty=of_difficulty
    )
    slope, intercept = regressed(drawn(spec, 4000))
    assert slope == pytest.approx(1, abs=0.1)
    assert intercept == pytest.approx(0, abs=0.1)


def test_stretch_and_noise_make_it_too_sure() -> None:
    kind = {"reply_tells": np.full(N, 1.2)}
    plain = regressed(drawn(spec_of(**kind), 4000))[0]
    stretched = regressed(drawn(spec_of(reply_stretch=np.log(2), **kind), 4000))[0]
    shrunk = regressed(drawn(spec_of(reply_stretch=-np.log(2), **kind), 4000))[0]
    noisy = regressed(drawn(spec_of(reply_noise=1.0, **kind), 4000))[0]
    assert stretched < noisy < plain < shrunk
    assert stretched < 0.7


def test_no_reply_is_said_to_move_its_log_odds_further_than_five() -> None:
    pool = drawn(spec_of(reply_tells=np.full(N, 6.0), reply_noise=3.0))
    assert np.abs(pool.reply_shift).max() == 5


def test_whether_replies_are_read_changes_no_answer() -> None:
    tells = np.full(N, 1.0)
    with_, without = (
        drawn(spec_of(reads_replies=flag, reply_tells=tells)) for flag in (True, False)
    )
    np.testing.assert_array_equal(with_.answer, without.answer)
    np.testing.assert_array_equal(with_.worth, without.worth)


def test_every_kind_of_replies_is_drawn() -> None:
    rng = np.random.default_rng(0)
    specs = [draw_pool(rng, n_members=3) for _ in range(400)]
    reads = np.mean([spec.reads_replies for spec in specs])
    useless = np.mean([not spec.reply_tells.any() for spec in specs])
    noisy = np.mean([spec.reply_noise > 0 for spec in specs])
    assert reads == pytest.approx(0.6, abs=0.1)
    assert useless == pytest.approx(0.25, abs=0.1)
    assert noisy == pytest.approx(0.5, abs=0.1)
    assert all((spec.reply_tells >= 0).all() for spec in specs)
