"""Formulas that several rooms share, against naive loops and at their edges."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlfocal.numbers import log_odds, shrunk, sigmoid, softmax, wilson


@given(st.floats(0.01, 0.99))
def test_sigmoid_undoes_log_odds(chance: float) -> None:
    assert sigmoid(log_odds(np.array(chance), least=0.001)) == pytest.approx(chance)


def test_log_odds_of_certainty_are_those_of_the_bound_in_the_precision_asked_for() -> None:
    found = log_odds(np.array([0.0, 1.0], dtype=np.float32), least=0.02)
    assert found.dtype == np.float64
    assert found.tolist() == pytest.approx([-math.log(49), math.log(49)])
    assert log_odds(np.array([0.5]), least=0.02, dtype=np.float32).dtype == np.float32


@given(st.lists(st.tuples(st.floats(-500, 500), st.booleans()), min_size=1, max_size=6))
def test_softmax_is_that_of_a_loop_over_what_is_allowed(cells: list[tuple[float, bool]]) -> None:
    logit, allowed = np.array([[x for x, _ in cells]]), np.array([[ok for _, ok in cells]])
    found = softmax(logit, allowed)[0]
    top = max((x for x, ok in cells if ok), default=0)
    total = sum(math.exp(x - top) for x, ok in cells if ok)
    wanted = [math.exp(x - top) / total if ok else 0.0 for x, ok in cells]
    np.testing.assert_allclose(found, wanted, atol=1e-12)


def test_a_mean_of_nothing_is_the_prior() -> None:
    found = shrunk(np.array([0.0, 30.0]), np.array([0, 30]), towards=0.4, worth=10.0)
    assert found.tolist() == pytest.approx([0.4, 0.85])


@given(st.integers(0, 50), st.integers(1, 50))
def test_wilson_bounds_solve_the_equation_they_come_from(right: int, n: int) -> None:
    share = min(right, n) / n
    for bound in wilson(share, n):
        bound = float(bound)
        assert 0 <= bound <= 1
        if 1e-9 < bound < 1 - 1e-9:
            z = abs(share - bound) / math.sqrt(bound * (1 - bound) / n)
            assert z == pytest.approx(1.959964, abs=1e-5)


def test_wilson_bounds_enclose_the_share_at_both_ends() -> None:
    low, high = wilson(np.array([0.0, 1.0]), np.array([4, 4]))
    assert low[0] == 0
    assert high[1] == 1
