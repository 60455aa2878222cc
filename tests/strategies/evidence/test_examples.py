"""Labelled replies as rows, and the scale of their signals."""

from __future__ import annotations

import numpy as np
import pytest
from told import told_pool

from rlfocal.records.signals import ReplyStore, SeenReply
from rlfocal.strategies.evidence.examples import Scaling, examples_of


def test_replies_without_a_known_worth_or_an_answer_are_left_out() -> None:
    table = told_pool(20, (1.0,) * 4, rng=np.random.default_rng(0), n_useless=0).table
    gone = np.zeros(table.answer.shape, dtype=bool)
    gone[3, 1] = True
    found = examples_of(table.without(gone))
    assert found is not None
    names, examples = found
    assert names == ("telling",)  # families see no text, so they say nothing
    assert len(examples.right) == 79
    assert (np.diff(examples.member) >= 0).all()
    assert not ((examples.query == 3) & (examples.member == 1)).any()
    at = examples.query, examples.member
    np.testing.assert_array_equal(examples.right, table.member_score[at])
    np.testing.assert_array_equal(examples.values[:, 0], table.replies.signals(names)[*at, 0])


def test_scaled_by_hand() -> None:
    # One member; quartiles of 0..8 are 2 and 6, so a spread is 4 / 1.349.
    values = np.arange(9, dtype=np.float32)[:, None]
    member = np.zeros(9, dtype=np.int64)
    scaling = Scaling.fit(values, member, 1)
    assert scaling.centre.tolist() == [[4.0]]
    np.testing.assert_allclose(scaling.scale, [4 / 1.349], rtol=1e-6)
    scaled = scaling.apply(np.array([[4], [np.nan], [1e9]], dtype=np.float32), np.zeros(3, int))
    assert scaled.tolist() == [[0, 0], [0, 1], [4, 0]]


def test_rare_slips_are_scaled_by_their_deviation() -> None:
    values = np.zeros((100, 1), dtype=np.float32)
    values[:4] = 1
    scaling = Scaling.fit(values, np.zeros(100, dtype=np.int64), 1)
    np.testing.assert_allclose(scaling.scale, [0.2], rtol=1e-6)


def test_a_member_with_few_replies_is_taken_for_the_pool() -> None:
    values = np.concatenate([np.zeros(100), np.full(10, 2.0)]).astype(np.float32)[:, None]
    member = np.repeat([0, 1], [100, 10])
    centre = Scaling.fit(values, member, 3).centre[:, 0]
    assert centre.tolist() == [0.0, 1.0, 0.0]  # ten own replies weigh as much as the pool's median


def test_constant_and_unknown_signals_do_no_harm() -> None:
    values = np.array([[3, np.nan]] * 6, dtype=np.float32)
    scaling = Scaling.fit(values, np.zeros(6, dtype=np.int64), 1)
    assert np.isfinite(scaling.apply(values, np.zeros(6, dtype=np.int64))).all()


@pytest.mark.parametrize("unit", [1e-30, 1e-9, 1.0, 1e9, 1e29])
def test_the_unit_of_a_signal_does_not_matter(unit: float) -> None:
    values = np.array([[0], [1], [2], [4], [7]]) * np.array([unit, 1.0])
    member = np.zeros(5, dtype=np.int64)
    values = values.astype(np.float32)
    scaled = Scaling.fit(values, member, 1).apply(values, member)
    np.testing.assert_allclose(scaled[:, 0], scaled[:, 1], rtol=1e-5)
    assert np.ptp(scaled[:, 0]) > 1


def test_a_constant_is_not_scaled_up_to_its_rounding() -> None:
    values = np.full((30, 1), 0.1, dtype=np.float32)
    values[::2] = np.nextafter(values[0, 0], np.float32(1))
    assert Scaling.fit(values, np.zeros(30, dtype=np.int64), 1).scale.tolist() == [1.0]


def test_the_largest_signals_are_scaled_without_overflow() -> None:
    replies = [SeenReply(text=None, given={"sure": sure}) for sure in (-1e30, 1e30, 3e38, -1e300)]
    values = ReplyStore(replies, ["sure"]).signals(["sure"], np.arange(4))
    assert np.isnan(values[:, 0]).tolist() == [False, False, True, True]
    member = np.array([0, 1, 0, 1])
    assert np.isfinite(Scaling.fit(values, member, 2).apply(values, member)).all()
