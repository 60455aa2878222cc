"""What arrays of a checkpoint must be like, and in which words others are refused."""

from __future__ import annotations

import re

import numpy as np
import pytest

from rlfocal.deliberation.state import Row, check_state, nested, prefixed, without_prefix
from rlfocal.errors import CheckpointError

ROWS = {
    "order": Row("int64", "N", 0, "N", distinct=True),
    "weight": Row("float", "TN"),
    "right": Row("float32", "QN", 0, 1, finite=False),
    "k": Row("int64", "", 0, "=Q"),
    "pair": Row("float64", "2"),
    "net": Row("float32", "..."),
}


def sound() -> dict[str, np.ndarray]:
    """Arrays as they should be: 3 members, 2 tasks, 4 queries."""
    return {
        "k": np.array(4),  # before the array that says how many queries there are
        "order": np.array([2, 0, 1]),
        "weight": np.zeros((2, 3)),
        "right": np.full((4, 3), np.nan, dtype=np.float32),
        "pair": np.ones(2),
        "net": np.zeros((7, 7), dtype=np.float32),
    }


def test_sound_arrays_pass_whatever_the_order_in_the_file() -> None:
    check_state(sound(), ROWS, {"N": 3, "T": 2})
    check_state(dict(reversed(sound().items())), ROWS, {})
    check_state(sound() | {"weight": np.zeros((2, 3), dtype=np.float32)}, ROWS, {})


def test_an_array_without_a_row_is_taken_as_it_is() -> None:
    check_state(sound() | {"mine": np.array([np.nan])}, ROWS, {})


@pytest.mark.parametrize(
    ("name", "array", "message"),
    [
        ("weight", np.zeros((3, 2)), "'weight' has the shape [3, 2]; it should be [2, 3]"),
        ("weight", np.zeros(3), "'weight' has the shape [3]; it should be [2, 3]"),
        ("pair", np.ones(3), "'pair' has the shape [3]; it should be [2]"),
        ("k", np.array([1]), "'k' has the shape [1]; it should be []"),
        ("order", np.array([0.0, 1, 2]), "'order' holds float64 numbers; it should be int64"),
        ("weight", np.zeros((2, 3), dtype=int), "'weight' holds int64 numbers; it should be float"),
        ("weight", np.full((2, 3), np.inf), "'weight' holds a number that is not finite"),
        ("order", np.array([0, 1, 3]), "'order' holds 3; it should lie in [0, 2]"),
        ("order", np.array([0, 1, 1]), "'order' should name each member once"),
        ("right", np.full((4, 3), 1.5, dtype=np.float32), "'right' holds 1.5; it should lie in"),
        ("k", np.array(5), "'k' holds 5; it should lie in [0, 4]"),
    ],
)
def test_a_damaged_array_is_refused_by_name(name: str, array: np.ndarray, message: str) -> None:
    with pytest.raises(CheckpointError, match=re.escape(f"the array {message}")):
        check_state(sound() | {name: array}, ROWS, {"N": 3, "T": 2, "Q": 4})


def test_a_missing_array_is_named() -> None:
    arrays = sound()
    del arrays["weight"]
    with pytest.raises(CheckpointError, match="the array 'weight' is missing"):
        check_state(arrays, ROWS, {})


def test_arrays_of_a_part_are_kept_apart_and_found_again() -> None:
    part = {"weight": np.ones(2), "net.bias": np.zeros(1)}
    whole = prefixed("vote", part) | {"voted": np.ones(3)}
    assert whole.keys() == {"vote.weight", "vote.net.bias", "voted"}
    assert without_prefix("vote", whole).keys() == part.keys()
    assert without_prefix("ballot", whole) == {}


def test_axes_of_a_part_do_not_clash_with_those_of_its_whole() -> None:
    own = {"grid": Row("bool", "KN")}
    rows = own | nested("part", {"scale": Row("float64", "K", 1, "=K")}, own)
    arrays = {"grid": np.ones((5, 3), dtype=bool), "part.scale": np.ones(2)}
    check_state(arrays, rows, {"N": 3})
    assert rows["part.scale"].high != "=K"
