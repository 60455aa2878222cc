"""Hashed words: rows of length 1 that no batch changes, and the laws of sparse rows."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlfocal.records.signals import words as module
from rlfocal.records.signals.words import N_PLACES, Words, words_of

texts = st.lists(st.none() | st.text(alphabet="ab 12.=\né", max_size=20), max_size=8)


def dense(words: Words) -> np.ndarray:
    out = np.zeros((words.n_rows, N_PLACES))
    for r in range(words.n_rows):
        here = slice(words.start[r], words.start[r + 1])
        assert (np.diff(words.place[here]) > 0).all()  # each place once, in order
        out[r, words.place[here]] = words.value[here]
    return out


def same(one: Words, other: Words) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def test_digits_stand_for_their_number() -> None:
    one, two, three = words_of(["17 apples"]), words_of(["42 apples"]), words_of(["421 apples"])
    assert same(one, two)
    assert not same(one, three)
    assert not same(words_of(["so it is"]), words_of(["it is so"]))  # pairs tell order
    assert same(words_of(["So IT"]), words_of(["so it"]))


def test_the_end_of_a_long_text_is_read() -> None:
    assert same(words_of(["x" * 9_000 + " " * 1_491 + "so it is."]), words_of(["so it is."]))


@settings(max_examples=40, deadline=None)
@given(texts)
def test_rows_have_length_1_or_are_empty_and_no_batch_changes_them(found: list[str | None]) -> None:
    words = words_of(found)
    assert words.n_rows == len(found)
    assert ((words.place >= 0) & (words.place < N_PLACES)).all()
    length = np.linalg.norm(dense(words), axis=1)
    assert (np.isclose(length, 1, atol=1e-5) | (length == 0)).all()
    if found:
        assert same(words, Words.concat([words_of([text]) for text in found]))


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    found = ["so it is", None, "a b c", "", "so so"]
    whole = words_of(found)
    monkeypatch.setattr(module, "_BLOCK", 2)
    assert same(words_of(found), whole)


@settings(max_examples=40, deadline=None)
@given(texts, st.data())
def test_taking_and_multiplying_are_those_of_a_matrix(
    found: list[str | None], data: st.DataObject
) -> None:
    words, rng = words_of(found), np.random.default_rng(3)
    matrix, weight = dense(words), rng.normal(size=N_PLACES)
    np.testing.assert_allclose(words.dot(weight), matrix @ weight, atol=1e-5)
    rows = np.array(data.draw(st.lists(st.integers(-1, len(found) - 1))), dtype=np.int64)
    if len(found) or (rows < 0).all():
        taken = words.take(rows)
        expected = np.concatenate([matrix, np.zeros((1, N_PLACES))])[rows]
        assert np.array_equal(dense(taken), expected)
