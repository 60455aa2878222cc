"""Runs of words, and the reach of training queries: which others are unlike all of them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import rlfocal
from rlfocal.errors import ConfigError
from rlfocal.features import Reach, encoder
from rlfocal.features.runs import RunsEncoder

OFF_TOPIC = Path(__file__).parents[2] / "benchmarks" / "off_topic.json"
WORDS = ["how", "many", "cats", "12", "7", "+", "?", "sing", "été", "\ud800"]


@given(st.lists(st.text(max_size=40), min_size=1, max_size=4))
def test_runs_are_of_unit_length_or_zero_and_do_not_depend_on_their_batch(texts: list[str]) -> None:
    encode = RunsEncoder(64)
    together = encode(texts)
    length = np.linalg.norm(together, axis=1)
    assert np.all(np.isclose(length, 1, atol=1e-5))  # the ends of a text are a run, too
    assert (together >= 0).all()
    np.testing.assert_array_equal(together, np.vstack([encode([text]) for text in texts]))


def test_runs_by_hand() -> None:
    """Two words between two ends: 2 words, 3 pairs and 2 triples; "b" alone has 1, 2 and 1."""
    both, one = RunsEncoder(1 << 20)(["a b", "b"])
    assert np.isclose(both[both > 0], 7**-0.5).all()
    assert int((one > 0).sum()) == 4
    assert both @ one == pytest.approx(2 / (7 * 4) ** 0.5)  # in common: "b" and its end


def test_runs_come_back_from_their_spec() -> None:
    spec = RunsEncoder(16).spec
    assert encoder(spec).spec == spec
    with pytest.raises(ConfigError, match="n_features must be an integer of at least 1, got 0"):
        encoder({"name": "runs", "n_features": 0})


@settings(max_examples=30)
@given(st.integers(0, 2**32), st.integers(30, 60), st.integers(1, 40), st.integers(1, 5))
def test_no_training_query_is_unlike_the_others_however_many_come_beside_it(
    seed: int, n: int, n_more: int, n_words: int
) -> None:
    rng = np.random.default_rng(seed)
    texts = [" ".join(rng.choice(WORDS, rng.integers(n_words + 1))) for _ in range(n + n_more)]
    rows = RunsEncoder(128)(texts)
    for own in (rows[:n], rows):
        reach = Reach.measured(own, np.arange(len(own)), {"name": "runs"}, most=20)
        assert reach is not None
        assert min(map(reach.nearest, own)) >= reach.least


@given(st.lists(st.text(max_size=40), min_size=1, max_size=4), st.text(max_size=40))
def test_the_nearest_is_that_of_all_features(texts: list[str], other: str) -> None:
    rows, (row,) = RunsEncoder(64)(texts), RunsEncoder(64)([other])
    reach = Reach(rows, 0.1, {"name": "runs"})
    assert reach.nearest(row) == pytest.approx(float((rows @ row).max()), abs=1e-6)
    assert reach.nearest(np.zeros_like(row)) == 0.0


def circle(turns: np.ndarray) -> np.ndarray:
    return np.stack([np.cos(turns), np.sin(turns)], axis=1).astype(np.float32)


def test_the_nearest_of_the_one_in_a_hundred_that_are_farthest_from_the_others_is_the_limit() -> (
    None
):
    """198 directions within a degree, and three that are alone: at 61, 122 and 183 degrees.

    Of 201 the third farthest, in its place 0.01 x 200 = 2, is the limit: cos 61 of the nearest.
    """
    turns = np.radians([*np.linspace(0, 1, 198), 62.0, 123.0, 184.0])
    reach = Reach.measured(circle(turns), np.arange(201), {"name": "angle"})
    assert reach is not None
    assert reach.least == pytest.approx(np.cos(np.radians(61)), abs=1e-3)
    assert reach.nearest(circle(np.radians([31.0]))[0]) > 0.8
    assert reach.nearest(circle(np.radians([270.0]))[0]) < reach.least
    near = Reach.measured(circle(turns[:198]), np.arange(198), {"name": "angle"})
    assert near is not None
    assert near.least == 0.5  # never above, however near they are to each other


def test_the_same_query_twice_says_nothing_and_few_queries_neither() -> None:
    rows = circle(np.linspace(0, 6, 60))
    spec = {"name": "angle"}
    assert Reach.measured(rows[:29], np.arange(29), spec) is None
    assert Reach.measured(np.repeat(rows[:29], 2, axis=0), np.arange(58) // 2, spec) is None
    once = Reach.measured(rows, np.arange(60), spec)
    twice = Reach.measured(np.repeat(rows, 2, axis=0), np.arange(120) // 2, spec)
    assert once is not None
    assert twice is not None
    np.testing.assert_array_equal(once.queries, twice.queries)
    assert once.least == twice.least
    assert Reach.measured(np.zeros((60, 0), np.float32), np.arange(60), spec) is None


def test_texts_are_encoded_anew_where_their_features_are_hashed_words() -> None:
    prompts = np.array([f"What is {k} + {k * k}, {'xyz'[k % 3]}?" for k in range(40)], np.object_)
    group = np.arange(40)
    hashed = np.zeros((40, 8), np.float32)
    found = Reach.of(prompts, hashed, group, {"name": "hashing", "n_features": 8})
    assert found is not None
    assert found.encoder == RunsEncoder().spec
    assert Reach.of(None, hashed, group, {"name": "hashing", "n_features": 8}) is None
    assert Reach.of(None, hashed, group, None) is None
    angles, own = circle(np.linspace(0, 6, 40)), {"name": "angle"}
    found = Reach.of(prompts, angles, group, own)
    assert found is not None
    assert found.encoder == own


def test_of_the_built_in_pool_held_out_questions_are_like_it_and_others_are_not() -> None:
    table = rlfocal.read_table("localpool")
    assert table.prompts is not None
    rest = np.arange(table.n_queries) % 3 > 0
    part, held = table.take(rest), table.take(~rest)
    reach = Reach.of(part.prompts, part.features, part.group, {"name": "hashing"})
    assert reach is not None

    def share_unlike(texts: list[str]) -> float:
        rows = encoder(reach.encoder)(texts)
        return float(np.mean([reach.nearest(row) < reach.least for row in rows]))

    assert held.prompts is not None
    assert share_unlike(held.prompts.tolist()) <= 0.02
    others = json.loads(OFF_TOPIC.read_text(encoding="utf-8"))["development"]
    assert share_unlike([text for texts in others.values() for text in texts]) >= 0.9
