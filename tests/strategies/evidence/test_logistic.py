"""The regression against a second implementation, and its derivatives against differences."""

from __future__ import annotations

import math

import numpy as np
import pytest

from rlfocal.records.signals.words import words_of
from rlfocal.strategies.evidence.logistic import Design, Penalty, frequent


@pytest.fixture
def design() -> Design:
    rng = np.random.default_rng(0)
    member = np.repeat([0, 1, 2], [30, 40, 50])
    inputs = rng.standard_normal((120, 3)).astype(np.float32)
    texts = [" ".join(rng.choice(list("abcdefgh"), 4)) for _ in member]
    words, _ = frequent(words_of(texts), np.arange(120))
    offset = np.array([0.3, -0.2, 0.5])[member]
    chance = 1 / (1 + np.exp(-(inputs[:, 0] + offset)))
    right = (rng.random(120) < chance).astype(float)
    return Design(inputs, words, member, offset, right, 3)


def penalised(design: Design, penalty: Penalty, common, own, bias, own_bias, word) -> float:
    """The objective as written in the documentation, reply by reply."""
    total = 0.0
    dense = design.words.toarray()
    for r, n in enumerate(design.member):
        logit = design.offset[r] + bias + own_bias[n] + dense[r] @ word
        logit += design.inputs[r] @ (common + own[n])
        total += math.log1p(math.exp(logit)) - design.right[r] * logit
    ridges = ((penalty.common, common), (penalty.own, own), (0.1, bias), (5.0, own_bias))
    return (
        total
        + sum(k * (np.asarray(w) ** 2).sum() for k, w in ridges) / 2
        + (penalty.words * (word**2).sum() / 2)
    )


def test_no_step_from_the_minimum_lowers_the_objective(design: Design) -> None:
    penalty = Penalty(2.0, 6.0, 3.0)
    found = design.fit(penalty)
    # Sums of a common part and departures split in the ratio that costs least.
    common = found.inputs.mean(axis=0) * 3 * penalty.own / (3 * penalty.own + penalty.common)
    bias = found.bias.mean() * 3 * 5.0 / (3 * 5.0 + 0.1)
    parts = [common, found.inputs - common, bias, found.bias - bias, found.word]
    least = penalised(design, penalty, *parts)
    rng = np.random.default_rng(1)
    for size in (0.05, 0.3):
        for _ in range(20):
            moved = [part + size * rng.standard_normal(np.shape(part)) for part in parts]
            assert penalised(design, penalty, *moved) > least


def test_no_weights_where_the_penalty_is_infinite(design: Design) -> None:
    found = design.fit(Penalty(math.inf, math.inf, math.inf))
    assert not found.inputs.any()
    assert found.word.size == 0
    shared = design.fit(Penalty(1.0, math.inf, math.inf)).inputs
    np.testing.assert_allclose(shared, np.tile(shared[0], (3, 1)), atol=1e-12)


def test_the_start_does_not_matter(design: Design) -> None:
    strong, weak = Penalty(30.0, 90.0, 30.0), Penalty(1.0, 3.0, 3.0)
    cold, warm = design.fit(weak), design.fit(weak, design.fit(strong))
    np.testing.assert_allclose(cold.inputs, warm.inputs, atol=0.01)
    np.testing.assert_allclose(design.logit(cold), design.logit(warm), atol=0.02)


def test_words_of_few_queries_are_left_out() -> None:
    words = words_of([*"aaaaabbbbb"])
    matrix, places = frequent(words, np.array([0, 1, 2, 3, 4, 5, 5, 6, 7, 8]))
    assert matrix.shape == (10, 1)
    assert matrix.toarray()[:, 0].astype(bool).tolist() == [True] * 5 + [False] * 5
    assert len(places) == 1
