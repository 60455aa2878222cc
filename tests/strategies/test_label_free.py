"""Votes that are fitted on no label: against the model that they assume, and against loops."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlfocal.deliberation.protocol import unmet
from rlfocal.deliberation.replay import replay
from rlfocal.records import CandidateKind, ResponseTable
from rlfocal.strategies.label_free import MatrixMeanSubsequence, OneCoin
from rlfocal.strategies.label_free.m_msr import trimmed_mean
from rlfocal.strategies.label_free.vote import LabelFreeVote, coin_posterior
from rlfocal.strategies.voting import Plurality

MakeTable = Callable[..., ResponseTable]
BOTH = pytest.mark.parametrize("make", [OneCoin, MatrixMeanSubsequence])
CHANCES = np.array([0.9, 0.8, 0.6, 0.5, 0.3])


def coins(
    make_table: MakeTable, chances: np.ndarray = CHANCES, *, n: int = 3000, seed: int = 0
) -> ResponseTable:
    """Members that are right with their chances, and else wrong evenly, of four options."""
    rng = np.random.default_rng(seed)
    table = make_table(n_queries=n, n_members=len(chances))
    right = rng.integers(4, size=n)
    wrong = (right[:, None] + rng.integers(1, 4, size=(n, len(chances)))) % 4
    answer = np.where(rng.random(wrong.shape) < chances, right[:, None], wrong).astype(np.int16)
    return replace(
        table,
        answer=answer,
        support=(answer[:, :, None] == np.arange(4)).astype(np.float32),
        candidate_score=np.eye(4, dtype=np.float32)[right],
    )


@BOTH
def test_chances_are_found_without_a_label(
    make: type[LabelFreeVote], make_table: MakeTable, rng: np.random.Generator
) -> None:
    table = coins(make_table)
    fitted = make().fit(table, rng=rng)
    np.testing.assert_allclose(fitted.chance_, CHANCES, atol=0.04)
    plain = replay(Plurality().fit(table, rng=rng), table).score.mean()
    assert replay(fitted, table).score.mean() > plain + 0.02


@BOTH
@pytest.mark.parametrize("kind", list(CandidateKind))
def test_labels_and_scores_change_nothing(
    make: type[LabelFreeVote], kind: CandidateKind, make_table: MakeTable, rng: np.random.Generator
) -> None:
    table = make_table(kind, seed=1)
    other = replace(table, candidate_score=np.where(table.exists, np.float32(0.5), np.float32(0)))
    one, two = make().fit(table, rng=rng), make().fit(other, rng=rng)
    assert np.array_equal(one.chance_, two.chance_)
    assert ((one.chance_ > 0) & (one.chance_ < 1)).all()


@BOTH
def test_order_of_queries_and_members_changes_nothing_else(
    make: type[LabelFreeVote], make_table: MakeTable, rng: np.random.Generator
) -> None:
    table = coins(make_table, n=200)
    plain = make().fit(table, rng=rng).chance_
    turned = table.take(rng.permutation(200))
    np.testing.assert_allclose(make().fit(turned, rng=rng).chance_, plain, atol=1e-6)
    options = np.ones((200, 4), dtype=bool)
    order = rng.permutation(5)
    found = make().chances(table.answer[:, order], options)
    np.testing.assert_allclose(found, plain[order], atol=1e-6)


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 2**32 - 1), st.integers(2, 6), st.booleans())
def test_the_posterior_is_that_of_bayes(seed: int, n_members: int, is_open: bool) -> None:
    rng = np.random.default_rng(seed)
    answer = rng.integers(-1, 3, size=(1, n_members)).astype(np.int16)
    chance = rng.uniform(0.02, 0.98, n_members)
    options = np.zeros((1, 4), dtype=bool) if is_open else np.array([[True] * 3 + [False]])
    n_possible = n_members + 1 if is_open else 3
    likelihood = [
        np.prod(
            [
                p if a == c else (1 - p) / (n_possible - 1)
                for a, p in zip(answer[0], chance, strict=True)
                if a >= 0
            ]
        )
        for c in range(n_possible)
    ]
    named = len({a for a in answer[0].tolist() if a >= 0})
    expected = np.array(likelihood[:4] + [0.0] * (4 - len(likelihood[:4])))
    if is_open:  # one that nobody gave is as likely as the next
        unnamed = np.prod(
            [(1 - p) / n_members for a, p in zip(answer[0], chance, strict=True) if a >= 0]
        )
        given_ones = np.isin(np.arange(4), answer[0])
        expected = np.where(given_ones, expected, 0.0)
        total = expected.sum() + (n_possible - named) * unnamed
    else:
        total = expected.sum()
    found = coin_posterior(answer, options, chance)[0]
    if named == 0:
        assert not found.any()
    else:
        np.testing.assert_allclose(found, expected / total, rtol=1e-9, atol=1e-12)


def test_one_coin_ends_at_a_fixed_point(make_table: MakeTable, rng: np.random.Generator) -> None:
    table = coins(make_table, n=300)
    chance = OneCoin().fit(table, rng=rng).chance_
    posterior = coin_posterior(table.answer, table.exists, chance)
    for n in range(5):
        right = sum(posterior[q, table.answer[q, n]] for q in range(300))
        assert chance[n] == pytest.approx((right + 1) / 302, abs=1e-4)


def test_two_members_split_what_they_agree_on(rng: np.random.Generator) -> None:
    """Agreement a of two equal members over K options: p = s (K - 1)/K + 1/K, s^2 from a."""
    answer = np.array([[0, 0]] * 70 + [[0, 1]] * 30, dtype=np.int16)
    found = MatrixMeanSubsequence().chances(answer, np.ones((100, 4), dtype=bool))
    skill = np.sqrt((4 * 0.7 - 1) / 3)
    np.testing.assert_allclose(found, skill * 0.75 + 0.25, atol=1e-6)


def test_a_member_that_shuns_the_right_answer_has_less_than_chance(
    make_table: MakeTable, rng: np.random.Generator
) -> None:
    table = coins(make_table, np.array([0.8, 0.75, 0.7, 0.8, 0.02]))
    for make in (OneCoin, MatrixMeanSubsequence):
        assert make().fit(table, rng=rng).chance_[4] < 0.1


@settings(deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=8), st.floats(0, 1), st.integers(0, 3))
def test_trimmed_mean_is_a_loop(values: list[float], own: float, n_trimmed: int) -> None:
    rest = sorted(values)
    for _ in range(n_trimmed):
        if rest and rest[0] < own and sum(v < own for v in rest):
            rest = rest[1:]
    for _ in range(n_trimmed):
        if rest and rest[-1] > own:
            rest = rest[:-1]
    expected = np.mean(rest) if rest else own
    assert trimmed_mean(np.array(values), own, n_trimmed) == pytest.approx(float(expected))


def test_two_copies_lead_one_coin_and_not_m_msr(
    make_table: MakeTable, rng: np.random.Generator
) -> None:
    """What the warning of a benchmark is about."""
    table = coins(make_table, np.array([0.55, 0.55, 0.6, 0.65, 0.6]), n=1000)
    answer = table.answer.copy()
    answer[:, 1] = answer[:, 0]
    copied = replace(
        table, answer=answer, support=(answer[:, :, None] == np.arange(4)) * np.float32(1)
    )
    led, not_led = OneCoin().fit(copied, rng=rng), MatrixMeanSubsequence().fit(copied, rng=rng)
    assert led.chance_[0] > led.chance_[2:].max() + 0.1
    follows = [(replay(s, copied).chosen == answer[:, 0]).mean() for s in (led, not_led)]
    assert follows[0] > 0.97
    assert follows[1] < follows[0] - 0.1
    assert led.trusts_agreement
    assert not_led.trusts_agreement


@BOTH
def test_silence_is_no_answer_and_no_evidence(
    make: type[LabelFreeVote], make_table: MakeTable, rng: np.random.Generator
) -> None:
    table = make_table(CandidateKind.ANSWERS, n_queries=20)
    silent = table.without(np.ones((20, 5), dtype=bool))
    fitted = make().fit(silent, rng=rng)
    assert np.isfinite(fitted.chance_).all()
    assert (replay(fitted, silent).chosen == -1).all()
    nobody = table.take(np.zeros(0, dtype=np.int64))
    assert np.isfinite(make().fit(nobody, rng=rng).chance_).all()


@BOTH
def test_scores_alone_cannot_be_voted_on(make: type[LabelFreeVote], make_table: MakeTable) -> None:
    assert unmet(make(), make_table(CandidateKind.RESPONSES)) is not None
