"""The default encoder: stateless, of unit length, and rebuilt from its spec."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlfocal.errors import ConfigError
from rlfocal.features import HashingEncoder, encoder, hashing
from rlfocal.murmur import murmur


@settings(deadline=None, max_examples=30)
@given(st.lists(st.text(max_size=80), min_size=1, max_size=5))
def test_rows_are_of_unit_length_or_zero_and_do_not_depend_on_their_batch(texts: list[str]) -> None:
    encode = HashingEncoder(64)
    together = encode(texts)
    assert together.shape == (len(texts), 64)
    assert together.dtype == np.float32
    length = np.linalg.norm(together, axis=1)
    assert np.all(np.isclose(length, 1, atol=1e-5) | (length == 0))
    np.testing.assert_array_equal(together, np.vstack([encode([text]) for text in texts]))


@given(st.lists(st.binary(max_size=40), min_size=1, max_size=20))
def test_terms_are_hashed_alike_one_by_one_and_many_at_once(terms: list[bytes]) -> None:
    many = murmur([*terms, *[b"more"] * 300])
    np.testing.assert_array_equal(murmur(terms), many[: len(terms)])


def by_scikit_learn(texts: list[str], n_features: int) -> np.ndarray:
    text = pytest.importorskip("sklearn.feature_extraction.text")
    analyze = text.CountVectorizer(ngram_range=(1, 2), stop_words="english").build_analyzer()
    hasher = text.FeatureHasher(n_features, input_type="string")
    rows = hasher.transform(map(analyze, texts)).toarray()
    length = np.sqrt((rows * rows).sum(axis=1, keepdims=True))
    return np.asarray(rows / np.where(length, length, 1), dtype=np.float32)


WORDS = st.sampled_from(
    [
        "the",
        "Apples",
        "été",
        "Straße",
        "東京",
        "i",
        "x1",
        "\u0131x",
        "İİ",
        "__",
        "don't",
        "12,000",
        "ⅷ",
    ]
    + ["w" * n for n in range(1, 40)]
)


@settings(deadline=None, max_examples=30)
@given(
    st.lists(st.text(max_size=60) | st.lists(WORDS, max_size=9).map(" ".join), min_size=1),
    st.sampled_from([1, 7, 64, 256]),
)
def test_the_features_are_those_of_scikit_learn(texts: list[str], n_features: int) -> None:
    expected = by_scikit_learn(texts, n_features)
    np.testing.assert_array_equal(HashingEncoder(n_features)(texts), expected)


def test_every_stop_word_of_scikit_learn_is_left_out() -> None:
    text = pytest.importorskip("sklearn.feature_extraction.text")
    assert not HashingEncoder()(sorted(text.ENGLISH_STOP_WORDS)).any()


def test_no_texts_are_no_rows() -> None:
    assert HashingEncoder(64)([]).shape == (0, 64)


def test_texts_that_share_words_are_nearer_than_texts_that_do_not() -> None:
    cats, more_cats, tax = HashingEncoder()(
        ["The cat chased a small mouse", "A small mouse fled from the cat", "Quarterly tax returns"]
    )
    assert cats @ more_cats > 0.4
    assert abs(cats @ tax) < 0.2


def test_stop_words_case_and_punctuation_do_not_matter() -> None:
    first, second = HashingEncoder()(["The Apples, and the pears!", "apples pears"])
    np.testing.assert_allclose(first, second, atol=1e-6)


def test_an_empty_text_is_the_zero_vector() -> None:
    assert not HashingEncoder()([""]).any()


def test_a_spec_makes_the_same_encoder_again() -> None:
    original = HashingEncoder(32)
    rebuilt = encoder(original.spec)
    text = ["How many apples are left?"]
    assert rebuilt.spec == {"name": "hashing", "n_features": 32}
    np.testing.assert_array_equal(original(text), rebuilt(text))


def test_an_unknown_encoder_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ConfigError, match="unknown encoder 'hashin'; did you mean 'hashing'"):
        encoder({"name": "hashin"})


def test_blocks_of_texts_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [f"apples {n} and pears {n % 7}" for n in range(50)]
    whole = HashingEncoder(32)(texts)
    monkeypatch.setattr(hashing, "_BLOCK", 7)
    assert np.array_equal(HashingEncoder(32)(texts), whole)
