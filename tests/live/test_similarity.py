"""Replies in free words: what is near enough is one answer, by average linkage."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlfocal.features import HashingEncoder
from rlfocal.live import similarity
from rlfocal.live.similarity import fetch_text_encoder, group_answers, text_encoder


class Vectors(HashingEncoder):
    """Reads a text as the numbers it lists."""

    def __call__(self, texts: Sequence[str]) -> np.ndarray:
        rows = np.array([[float(number) for number in text.split()] for text in texts])
        return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), dtype=np.float32)


def test_a_reply_joins_a_group_by_its_mean_distance_to_it() -> None:
    # At 0 and 30 degrees; at 70 the cosines are .34 and .77, on average .55: too far.
    at = [f"{np.cos(angle)} {np.sin(angle)}" for angle in np.radians([0, 30, 70])]
    assert group_answers(at, Vectors()).stands_for == (0, 0, 2)


def test_one_reply_is_one_group() -> None:
    assert group_answers(["1 0"], Vectors()).stands_for == (0,)


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(2, 12))
def test_groups_are_those_of_scipy(seed: int, n: int) -> None:
    hierarchy = pytest.importorskip("scipy.cluster.hierarchy")
    rows = np.abs(np.random.default_rng(seed).normal(1, 1, (n, 4)))
    texts = [" ".join(map(str, row)) for row in rows.tolist()]
    found = group_answers(texts, Vectors()).stands_for
    unit = Vectors()(texts).astype(np.float64)
    distance = 1 - np.clip(unit @ unit.T, 0, 1)
    tree = hierarchy.linkage(distance[np.triu_indices(n, k=1)], method="average")
    group = hierarchy.fcluster(tree, t=0.25, criterion="distance")
    expected, own = group[:, None] == group, np.array(found)[:, None] == np.array(found)
    np.testing.assert_array_equal(own, expected)


@pytest.fixture
def no_encoder_yet() -> Iterator[None]:
    similarity._fetched.cache_clear()
    yield
    similarity._fetched.cache_clear()


@pytest.mark.usefixtures("no_encoder_yet")
def test_the_encoder_is_loaded_once_whoever_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = []

    def load() -> HashingEncoder:
        loaded.append(HashingEncoder(8))
        return loaded[-1]

    monkeypatch.setattr(similarity, "_load", load)
    with ThreadPoolExecutor(8) as threads:
        fetched = list(threads.map(lambda _: fetch_text_encoder().result(), range(8)))
    assert fetched == [text_encoder()] * 8 == loaded * 8
