"""Adaptive-consistency and ESC against loops that look at one sample after another."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from math import comb

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlfocal.deliberation.protocol import Reference, unmet
from rlfocal.errors import NotApplicable
from rlfocal.records import ResponseTable
from rlfocal.strategies.sampled.consistency import Sampled, SelfConsistency
from rlfocal.strategies.sampled.early_samples import (
    AdaptiveConsistency,
    EarlyStoppingConsistency,
    leads,
)

MakeTable = Callable[..., ResponseTable]

samples_of_a_query = st.lists(st.integers(-1, 3), min_size=1, max_size=24)


def drawn_of(strategy: Sampled, samples: list[int]) -> int:
    """How many of a query's samples are drawn."""
    drawn = strategy.drawn(np.array([samples], dtype=np.int16), 4)[0]
    n = int(drawn.sum())
    assert drawn.tolist() == [True] * n + [False] * (len(samples) - n)
    return n


def mass_above_half(a: int, b: int) -> float:
    """Of Beta(a + 1, b + 1), as a sum over the binomial distribution that it equals."""
    n = a + b + 1
    return sum(comb(n, k) for k in range(a + 1)) / 2**n


@given(st.integers(0, 25), st.integers(0, 25))
def test_the_chance_to_lead_is_the_mass_of_a_beta_distribution(a: int, b: int) -> None:
    assert leads(50)[a + b, a] == pytest.approx(mass_above_half(a, b), abs=1e-12)


@settings(deadline=None)
@given(samples_of_a_query, st.sampled_from([0.5, 0.7, 0.8, 0.9, 0.95, 0.99, 1.0]))
def test_adaptive_consistency_is_a_loop_over_samples(samples: list[int], threshold: float) -> None:
    expected = len(samples)
    for n in range(1, len(samples) + 1):
        count = Counter(s for s in samples[:n] if s >= 0)
        a, b = ([c for _, c in count.most_common(2)] + [0, 0])[:2]
        if mass_above_half(a, b) >= threshold:
            expected = n
            break
    assert drawn_of(AdaptiveConsistency(threshold=threshold), samples) == expected


@settings(deadline=None)
@given(samples_of_a_query, st.integers(1, 7))
def test_esc_is_a_loop_over_windows(samples: list[int], window: int) -> None:
    expected = 0
    for start in range(0, len(samples), window):
        own = samples[start : start + window]
        expected += len(own)
        if len(set(own)) == 1 and own[0] >= 0:
            break
    assert drawn_of(EarlyStoppingConsistency(window=window), samples) == expected


@pytest.mark.parametrize(
    ("threshold", "calls"), [(0.7, 1), (0.8, 2), (0.9, 3), (0.95, 4), (0.99, 6), (0.999, 9)]
)
def test_without_dissent_a_threshold_is_a_number_of_samples(threshold: float, calls: int) -> None:
    assert drawn_of(AdaptiveConsistency(threshold=threshold), [2] * 12) == calls


@settings(deadline=None)
@given(samples_of_a_query, st.integers(0, 23), st.integers(-1, 3))
def test_no_later_sample_changes_what_is_drawn_before_it(
    samples: list[int], place: int, other: int
) -> None:
    changed = list(samples)
    place = min(place, len(samples) - 1)
    changed[place] = other
    for strategy in (AdaptiveConsistency(), EarlyStoppingConsistency(window=3)):
        n = drawn_of(strategy, samples)
        if n <= place:
            assert drawn_of(strategy, changed) == n


def sampled(make_table: MakeTable) -> ResponseTable:
    """Member 1 of 2 has eight samples a query: unanimous, split, and half of them unusable."""
    table = make_table(n_queries=3, n_members=2)
    rows = [[1] * 8, [0, 1, 0, 1, 1, 1, 1, 1], [-1, 2, -1, 2, -1, 2, 2, 2]]
    samples = np.full((3, 2, 8), -2, dtype=np.int16)
    samples[:, 1] = rows
    answer = np.array([[0, 1], [0, 1], [0, 2]], dtype=np.int16)
    return replace(
        table,
        answer=answer,
        support=(answer[:, :, None] == np.arange(4)).astype(np.float32),
        candidate_score=np.eye(4, dtype=np.float32)[[1, 1, 2]],
        samples=samples,
        cost=np.full((3, 2), 16, dtype=np.float32),
    )


@pytest.mark.parametrize(
    ("strategy", "calls", "chosen"),
    [
        (AdaptiveConsistency(threshold=0.9), [3, 8, 6], [1, 1, 2]),
        (AdaptiveConsistency(threshold=0.7), [1, 1, 2], [1, 0, 2]),
        (EarlyStoppingConsistency(window=4), [4, 8, 8], [1, 1, 2]),
        (EarlyStoppingConsistency(window=1), [1, 1, 2], [1, 0, 2]),
    ],
)
def test_every_sample_drawn_is_paid_for(
    make_table: MakeTable,
    rng: np.random.Generator,
    strategy: Sampled,
    calls: list[int],
    chosen: list[int],
) -> None:
    table = sampled(make_table)
    outcome = strategy.fit(table, rng=rng).outcome(table)
    assert outcome.n_calls.tolist() == calls
    assert outcome.chosen.tolist() == chosen
    assert outcome.cost.tolist() == [2.0 * n for n in calls]
    assert outcome.asked[:, 1].all()
    assert not outcome.asked[:, 0].any()


@pytest.mark.parametrize("make", [AdaptiveConsistency, EarlyStoppingConsistency])
def test_drawing_everything_is_self_consistency(
    make_table: MakeTable, rng: np.random.Generator, make: type[Sampled]
) -> None:
    table = make_table(seed=1, graded=True)
    whole = SelfConsistency().fit(table, rng=rng).outcome(table)
    most = {AdaptiveConsistency: 1.0, EarlyStoppingConsistency: 5}[make]
    found = make().fit(table, rng=rng).with_dial(most).outcome(table)
    assert np.array_equal(found.chosen, whole.chosen)
    assert np.array_equal(found.n_calls, whole.n_calls)
    assert isinstance(make(), Reference)


def test_dials_come_cheapest_first(make_table: MakeTable, rng: np.random.Generator) -> None:
    table = sampled(make_table)
    assert EarlyStoppingConsistency().fit(table, rng=rng).dials == (1, 2, 3, 4, 5, 8)
    for make in (AdaptiveConsistency, EarlyStoppingConsistency):
        fitted = make().fit(table, rng=rng)
        calls = [fitted.with_dial(d).outcome(table).n_calls.sum() for d in fitted.dials]
        assert calls[0] == min(calls)
        assert fitted.at(0.0).setting in fitted.dials
        assert len(fitted.measured_) == len(fitted.dials)


def test_impossible_settings_and_data_are_refused(
    make_table: MakeTable, rng: np.random.Generator
) -> None:
    table = make_table()
    for make in (AdaptiveConsistency, EarlyStoppingConsistency):
        assert unmet(make(), table) is not None
        with pytest.raises(NotApplicable, match="sampled more than once"):
            make().fit(table, rng=rng)
    for threshold in (0.4, 1.1, float("nan")):
        with pytest.raises(ValueError, match=r"threshold must lie in \[0.5, 1\]"):
            AdaptiveConsistency(threshold=threshold)
    with pytest.raises(ValueError, match=r"threshold must lie in \[0.5, 1\]"):
        AdaptiveConsistency().with_dial(2)
    with pytest.raises(ValueError, match="window must be at least 1"):
        EarlyStoppingConsistency(window=0)
    with pytest.raises(ValueError, match="window must be at least 1"):
        EarlyStoppingConsistency().with_dial(0)
