"""On pools with a known optimum, votes gain what signals are worth, and lose nothing by others."""

from __future__ import annotations

import numpy as np
import pytest
from told import told_pool

from rlfocal.records import ResponseTable
from rlfocal.strategies.evidence import ReplyScore
from rlfocal.strategies.voting import fit_vote_scale, tally, vote_accuracy

DRAWS = 8
N_TESTS = 1000


def gains(strength: tuple[float, ...], n_labels: int) -> np.ndarray:
    """float64[draws, 2]: points that a vote of all gains by the score, and by the truth."""
    found = []
    for draw in range(DRAWS):
        told = told_pool(n_labels + N_TESTS, strength, rng=np.random.default_rng([draw, n_labels]))
        train = told.table.take(np.arange(n_labels))
        test = told.table.take(np.arange(n_labels, n_labels + N_TESTS))
        score = ReplyScore.fit(train, rng=np.random.default_rng(draw))
        assert score is not None
        plain = vote(train, test, np.zeros(test.answer.shape))
        shifts = score.shift(test.replies), told.truth[n_labels:]
        found.append([100 * (vote(train, test, shift) - plain) for shift in shifts])
    return np.array(found)


def vote(train: ResponseTable, test: ResponseTable, shift: np.ndarray) -> float:
    chance = vote_accuracy(train)
    by = fit_vote_scale(train, np.broadcast_to(chance, train.answer.shape))
    votes = tally(test.answer, by.weights(chance) + by.scale * shift, test.n_candidates)
    return float(test.score_of(votes.argmax(axis=1)).mean())


@pytest.mark.slow
@pytest.mark.parametrize(("n_labels", "share"), [(25, 0.35), (100, 0.7), (500, 0.9), (2000, 0.95)])
def test_what_a_telling_signal_is_worth_is_gained(n_labels: int, share: float) -> None:
    own, best = gains((1.2,) * 4, n_labels).mean(axis=0)
    assert best > 4
    assert own > share * best


@pytest.mark.slow
@pytest.mark.parametrize(("n_labels", "share"), [(25, -0.1), (100, 0.15), (500, 0.75), (2000, 0.9)])
def test_what_one_member_tells_is_gained_with_more_labels(n_labels: int, share: float) -> None:
    own, best = gains((0.0, 0.0, 1.5, 0.0), n_labels).mean(axis=0)
    assert best > 1
    assert own > share * best


@pytest.mark.slow
@pytest.mark.parametrize("n_labels", [25, 100, 500, 2000])
def test_signals_that_say_nothing_cost_nothing(n_labels: int) -> None:
    own = gains((0.0,) * 4, n_labels)[:, 0]
    assert own.mean() > -0.2
    # With 25 labels one draw in thirty has a signal that is right by luck, at 1.3 points.
    assert own.min() > (-1.5 if n_labels == 25 else -0.5)
