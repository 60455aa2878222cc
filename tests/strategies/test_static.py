"""The best fixed subset against naive loops over all subsets."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from rlfocal.deliberation.replay import replay
from rlfocal.records import CandidateKind
from rlfocal.strategies import static
from rlfocal.strategies.static import StaticSubset, VoteAccuracy
from rlfocal.strategies.voting import rank_members


def _naive(table, order, inside):
    total = 0.0
    for q in range(table.n_queries):
        votes = [a for a in table.answer[q, inside].tolist() if a >= 0]
        if votes:
            most = max(votes.count(a) for a in votes)
            best = next(
                a
                for n in order
                if n in inside and votes.count(a := int(table.answer[q, n])) == most and a >= 0
            )
            total += float(table.candidate_score[q, best])
    return total / table.n_queries


def _masks(n_members):
    return np.array([m for m in itertools.product([False, True], repeat=n_members) if any(m)])


@pytest.mark.parametrize("kind", list(CandidateKind))
def test_vote_accuracy_of_every_subset_equals_a_loop(make_table, kind):
    table = make_table(kind, seed=1)
    order = rank_members(table)
    masks = _masks(5)
    expected = [_naive(table, order.tolist(), np.flatnonzero(m).tolist()) for m in masks]
    np.testing.assert_allclose(VoteAccuracy(table, order)(masks), expected, atol=1e-6)


def test_ties_are_exact_in_large_pools(make_table):
    table = make_table(seed=1, n_members=24, n_queries=30)
    order = rank_members(table)
    masks = np.random.default_rng(0).random((40, 24)) < 0.3
    masks[:, 0] = True
    expected = [_naive(table, order.tolist(), np.flatnonzero(m).tolist()) for m in masks]
    np.testing.assert_allclose(VoteAccuracy(table, order)(masks), expected, atol=1e-12)


def test_the_subset_is_the_best_of_all_and_the_smallest_among_equals(make_table, rng):
    table = make_table(seed=4, n_members=6, n_queries=80)
    accuracy = VoteAccuracy(table, rank_members(table))
    masks = _masks(6)
    values, sizes = accuracy(masks).round(9), masks.sum(axis=1)
    fitted = StaticSubset().fit(table, rng=rng)
    assert accuracy(fitted.mask_[None])[0].round(9) == values.max()
    assert fitted.mask_.sum() == sizes[values == values.max()].min()
    for dial in fitted.dials:
        mask = fitted.with_dial(dial).mask_
        assert 1 <= mask.sum() <= dial
        assert accuracy(mask[None])[0].round(9) == values[sizes <= dial].max()


def test_replay_asks_the_subset_and_scores_as_promised(make_table, rng):
    table = make_table(seed=4, n_members=6)
    fitted = StaticSubset().fit(table, rng=rng)
    assert fitted.dials == (1, 2, 3, 4, 5, 6)
    for mask, accuracy in zip(fitted.masks_, fitted.accuracies_, strict=True):
        outcome = replay(fitted.with_dial(float(mask.sum())), table)
        assert (outcome.asked == mask).all()
        assert outcome.score.mean() == pytest.approx(accuracy)


def test_search_without_enumeration_comes_within_a_query_of_the_best(make_table, rng, monkeypatch):
    for seed in range(4):
        table = make_table(seed=seed, n_members=7, n_queries=80)
        exact = StaticSubset().fit(table, rng=rng).accuracies_[-1]
        with monkeypatch.context() as patch:
            patch.setattr(static, "_MAX_WORK", 0)
            searched = StaticSubset().fit(table, rng=rng)
        assert searched.accuracies_[-1] >= exact - 1.01 / 80


def test_sizes_below_one_are_refused():
    with pytest.raises(ValueError, match="at least 1"):
        StaticSubset(max_size=0)
    with pytest.raises(ValueError, match="at least 1"):
        StaticSubset().with_dial(0)
