"""The oracle and self-consistency: points of comparison worked by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from rlfocal.deliberation.protocol import Reference, Strategy, unmet
from rlfocal.errors import NotApplicable
from rlfocal.records import CandidateKind
from rlfocal.strategies.oracle import Oracle
from rlfocal.strategies.sampled.consistency import SelfConsistency


@pytest.mark.parametrize("kind", list(CandidateKind))
def test_the_oracle_takes_the_cheapest_of_the_best(make_table, rng, kind):
    table = make_table(kind, seed=1)
    outcome = Oracle().fit(table, rng=rng).outcome(table)
    score = table.member_score
    for q in range(table.n_queries):
        best = [n for n in range(5) if score[q, n] == score[q].max()]
        cheapest = min(best, key=lambda n: table.cost[q, n])
        assert outcome.asked[q].tolist() == [n == cheapest for n in range(5)]
        assert outcome.score[q] == score[q].max()
        assert outcome.cost[q] == table.cost[q, cheapest]
        assert outcome.chosen[q] == table.answer[q, cheapest]
    assert (outcome.n_calls == 1).all()
    assert isinstance(Oracle(), Reference)
    assert not isinstance(Oracle(), Strategy)


# Member 1 is sampled four times; -1 = unusable, -2 = no such sample.
SAMPLES = [[0, 1, 1, 0], [-1, 2, -1, 2], [3, 1, 1, 3], [-2, -2, -2, -2]]


def _sampled(make_table, cost_unit="usd"):
    table = make_table(n_queries=4, n_members=2)
    answer = np.array([[0, 0], [0, 2], [0, 1], [0, 3]], dtype=np.int16)
    score = np.eye(4, dtype=np.float32)[[1, 2, 1, 3]]
    samples = np.full((4, 2, 4), -2, dtype=np.int16)
    samples[:, 1] = SAMPLES
    return replace(
        table,
        answer=answer,
        support=(answer[:, :, None] == np.arange(4)).astype(np.float32),
        candidate_score=score,
        samples=samples,
        cost=np.full((4, 2), 8, dtype=np.float32)
        if cost_unit == "usd"
        else np.ones_like(table.cost),
        cost_unit=cost_unit,
    )


@pytest.mark.parametrize(
    ("m", "chosen", "calls", "cost"),
    [
        (1, [0, 2, 3, 3], [1, 2, 1, 1], [2, 4, 2, 8]),
        (2, [0, 2, 3, 3], [2, 4, 2, 1], [4, 8, 4, 8]),  # one each: the earliest sample wins
        (3, [1, 2, 1, 3], [3, 4, 3, 1], [6, 8, 6, 8]),
        (4, [0, 2, 3, 3], [4, 4, 4, 1], [8, 8, 8, 8]),
    ],
)
def test_majority_of_the_first_usable_samples(make_table, rng, m, chosen, calls, cost):
    table = _sampled(make_table)
    outcome = SelfConsistency(n_samples=m).fit(table, rng=rng).outcome(table)
    assert outcome.chosen.tolist() == chosen
    assert outcome.n_calls.tolist() == calls
    assert outcome.cost.tolist() == cost
    assert outcome.asked[:, 1].all()
    assert not outcome.asked[:, 0].any()
    scores = [table.candidate_score[q, c] for q, c in enumerate(chosen)]
    assert outcome.score.tolist() == scores


def test_where_calls_have_no_price_every_sample_costs_one(make_table, rng):
    table = _sampled(make_table, "call")
    outcome = SelfConsistency(n_samples=3).fit(table, rng=rng).outcome(table)
    assert outcome.cost.tolist() == outcome.n_calls.tolist() == [3, 4, 3, 1]


def test_dials_stop_at_what_was_recorded(make_table, rng):
    fitted = SelfConsistency().fit(_sampled(make_table), rng=rng)
    assert fitted.dials == (1.0, 3.0)
    table = _sampled(make_table)
    one = SelfConsistency(n_samples=1).fit(table, rng=rng).outcome(table)
    assert np.array_equal(fitted.with_dial(1).outcome(table).chosen, one.chosen)
    assert fitted.outcome(table).n_calls.tolist() == [4, 4, 4, 1]


def test_no_usable_sample_is_no_answer_and_still_costs(make_table, rng):
    table = _sampled(make_table)
    samples = table.samples.copy()
    samples[0, 1] = -1
    outcome = SelfConsistency().fit(table, rng=rng).outcome(replace(table, samples=samples))
    assert outcome.chosen[0] == -1
    assert outcome.score[0] == 0
    assert outcome.n_calls[0] == 4


def test_the_most_accurate_sampled_member_is_asked(make_table, rng):
    table = make_table(seed=1, graded=True)
    samples = table.samples.copy()
    best = int(table.member_score.mean(axis=0).argmax())
    samples[:, best, 1:] = -2  # sampled once only
    fitted = SelfConsistency().fit(replace(table, samples=samples), rng=rng)
    score = table.member_score.mean(axis=0)
    score[best] = -1
    assert fitted.member_ == score.argmax()


def test_without_samples_it_does_not_apply(make_table, rng):
    table = make_table()
    assert unmet(SelfConsistency(), table) is not None
    with pytest.raises(NotApplicable, match="sampled more than once"):
        SelfConsistency().fit(table, rng=rng)
    with pytest.raises(ValueError, match="at least 1"):
        SelfConsistency(n_samples=0)
    with pytest.raises(ValueError, match="at least 1"):
        SelfConsistency().with_dial(0)
