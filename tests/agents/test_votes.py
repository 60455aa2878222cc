"""Votes: the pool's own weights against plain loops over members and candidates."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlfocal.agents.fusion import Opinion, Votes
from rlfocal.agents.known import Known
from rlfocal.agents.prior.fusion import Queries
from rlfocal.deliberation.recorded import reveal
from rlfocal.deliberation.view import View
from rlfocal.records import CandidateKind, PoolModel, ResponseTable, build_table, simulate

T, SETS, B = 2, 4, 12


def pool(n_members: int, seed: int, *, graded: bool) -> ResponseTable:
    """Half of the queries are free-form, half multiple choice with five options."""
    accuracy = np.random.default_rng(seed).uniform(0.3, 0.9, (T, max(2, n_members)))
    model = PoolModel(accuracy=accuracy.tolist(), n_options=5)
    table = build_table(simulate(model, B, rng=np.random.default_rng(seed)))
    is_open = np.arange(B) % 2 == 0
    table = replace(
        table,
        kind=np.where(is_open, CandidateKind.ANSWERS, CandidateKind.OPTIONS).astype(np.int8),
        exists=np.where(is_open[:, None], table.support.any(axis=1), table.exists),
    )
    if graded:
        noise = np.random.default_rng(seed).dirichlet(np.ones(5), table.answer.shape)
        noise *= table.exists[:, None]
        support = 0.6 * table.support + 0.4 * noise / noise.sum(axis=2, keepdims=True)
        table = table.with_support(support.astype(np.float32))
    return table


def weights(
    n_members: int, seed: int, *, graded: bool, reads: bool = False, n_positions: int = 5
) -> Votes:
    draw = np.random.default_rng(seed + 1).standard_normal
    n_signals = n_members * (1 + graded) + reads + 1
    shapes = (
        (SETS, T + 1, n_signals), (SETS, T + 1), (SETS, T + 1, n_signals, n_members),
        (SETS, T + 1, n_positions),
    )  # fmt: skip
    return Votes(*(draw(shape).astype(np.float32) for shape in shapes), reads_replies=reads)


def view_of(table: ResponseTable, seed: int) -> View:
    """Random members asked; every third query is of a task that training has not met."""
    asked = np.random.default_rng(seed + 2).random(table.answer.shape) < 0.6
    view = reveal(table, np.arange(B), asked)
    return replace(view, task=np.where(np.arange(B) % 3 == 0, T, view.task))


def first_alone(view: View) -> View:
    """As if the first member were the only one: no table is so small, a view may be."""
    return replace(
        view, asked=view.asked[:, :1], answered=view.answered[:, :1], answer=view.answer[:, :1],
        support=view.support[:, :1],
        available=np.where(view.is_open[:, None], view.support[:, 0] > 0, view.available),
    )  # fmt: skip


def opinion_of(view: View, seed: int = 0) -> Opinion:
    """Any opinion at all."""
    draw = np.random.default_rng(seed + 3).standard_normal
    nothing = np.zeros((1, *view.asked.shape), dtype=np.float32)
    seen = Queries(
        nothing, view.is_open[None], view.asked[None], view.answered[None], view.support[None],
        view.available[None], nothing,
    )  # fmt: skip
    vote = draw(view.asked.shape).astype(np.float32) * view.answered
    return Opinion(draw(view.available.shape).astype(np.float32), vote, seen)


def known_of(view: View, *, reads: bool = False, fold: bool = False, seed: int = 0) -> Known:
    rng = np.random.default_rng(seed + 4)
    shift = rng.standard_normal(view.asked.shape).astype(np.float32) * view.answered
    return Known(
        np.zeros(view.asked.shape, dtype=np.float32),
        shift if reads else None,
        rng.integers(SETS, size=B) if fold else None,
    )


def naive(
    votes: Votes, view: View, known: Known, opinion: Opinion, drift: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Posterior [B, C + 1] and votes [B, N], one number after the other."""
    n_members, n_candidates = view.support.shape[1:]
    posterior, trusted = np.zeros((B, n_candidates + 1)), np.zeros((B, n_members))
    for b in range(B):
        sets = range(SETS) if known.fold is None else [known.fold[b]]
        task, absent = view.task[b], [m for m in range(n_members) if not view.answered[b, m]]
        logit = np.zeros(n_candidates + 1)
        for e in sets:

            def weight(k: int, e: int = e, task: int = task, absent: list[int] = absent) -> float:
                more = sum(votes.company[e, task, k, m] for m in absent)
                return float(votes.weight[e, task, k] + more)

            last = votes.weight.shape[2] - 1
            replies = 0.0 if not votes.reads_replies else weight(last - 1)
            for n in range(n_members):
                told = 0.0 if known.reply_shift is None else float(known.reply_shift[b, n])
                own = weight(n) + drift[n] + replies * told
                second = weight(n_members + n) if votes.graded else 0.0
                trusted[b, n] += own + second + weight(last) * opinion.vote[b, n]
                for c in range(n_candidates):
                    support = float(view.support[b, n, c])
                    logit[c] += own * support
                    logit[c] += second * np.log(1 + 100 * support) / np.log(101)
            for c in range(n_candidates):
                logit[c] += weight(last) * opinion.signal[b, c]
                if not view.is_open[b] and c < votes.position.shape[2]:
                    logit[c] += votes.position[e, task, c]
            logit[-1] += votes.none_bias[e, task]
        logit /= len(sets)
        trusted[b] /= len(sets)
        here = [c for c in range(n_candidates) if view.available[b, c]]
        if view.is_open[b]:
            here.append(n_candidates)
        power = np.exp(logit[here] - logit[here].max())
        posterior[b, here] = power / power.sum()
    return posterior, trusted


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10_000), n_members=st.integers(1, 6), graded=st.booleans(),
    reads=st.booleans(), told=st.booleans(), fold=st.booleans(), drifts=st.booleans(),
    n_positions=st.sampled_from([0, 3, 5, 8]),
)  # fmt: skip
def test_verdicts_agree_with_plain_loops(
    seed: int, n_members: int, graded: bool, reads: bool, told: bool, fold: bool, drifts: bool,
    n_positions: int,
) -> None:  # fmt: skip
    """Replies may be read and none be there; options may be more or fewer than in training."""
    votes = weights(n_members, seed, graded=graded, reads=reads, n_positions=n_positions)
    assert (votes.graded, votes.n_members) == (graded, n_members)
    view = view_of(pool(n_members, seed, graded=graded), seed)
    view = first_alone(view) if n_members == 1 else view
    known = known_of(view, reads=reads and told, fold=fold, seed=seed)
    opinion = opinion_of(view, seed)
    shift = np.random.default_rng(seed).standard_normal(n_members).astype(np.float32)
    found = votes.judge(view, known, opinion, shift if drifts else None)
    posterior, vote = naive(votes, view, known, opinion, shift if drifts else 0 * shift)
    assert found.posterior.dtype == found.vote.dtype == np.float32
    np.testing.assert_allclose(found.posterior, posterior, atol=2e-5)
    np.testing.assert_allclose(found.vote, vote, atol=1e-4)


@pytest.mark.parametrize("graded", [False, True])
def test_weight_of_members_is_that_where_all_have_answered(graded: bool) -> None:
    votes = weights(3, 0, graded=graded, reads=True)
    second = votes.weight[..., 3:6] if graded else np.zeros((SETS, T + 1, 3))
    expected = (votes.weight[..., :3] + second).mean(axis=0)
    np.testing.assert_allclose(votes.of_members(), expected, atol=1e-6)


def test_an_open_query_of_which_nothing_is_known_has_none_of_these() -> None:
    table = pool(3, 0, graded=False)
    view = reveal(table, np.arange(B), np.zeros((B, 3), dtype=bool))
    posterior = weights(3, 0, graded=False).judge(view, known_of(view), opinion_of(view)).posterior
    np.testing.assert_array_equal(posterior[view.is_open, -1], 1)
    assert (posterior[~view.is_open, -1] == 0).all()
    np.testing.assert_allclose(posterior.sum(axis=1), 1, atol=1e-6)


@pytest.mark.parametrize("graded", [False, True])
def test_a_member_that_was_not_asked_changes_nothing(graded: bool) -> None:
    table, rng = pool(4, 1, graded=graded), np.random.default_rng(5)
    votes, asked = weights(4, 1, graded=graded, reads=True), rng.random((B, 4)) < 0.5
    support = np.where(asked[:, :, None], table.support, np.flip(table.support, axis=2))
    answer = np.where(asked, table.answer, 4 - table.answer).astype(np.int16)
    other = replace(
        table, support=support, answer=answer, cost=np.where(asked, table.cost, 7),
        exists=np.where(table.is_open[:, None], True, table.exists),
        candidate_score=1 - table.candidate_score,
    )  # fmt: skip
    found = []
    for data in (table, other):
        view = reveal(data, np.arange(B), asked)
        found.append(votes.judge(view, known_of(view, reads=True), opinion_of(view)))
    for one, two in zip(*found, strict=True):
        np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize("fold", [False, True])
def test_queries_are_judged_alone_as_together(fold: bool) -> None:
    votes, view = weights(4, 2, graded=True), view_of(pool(4, 2, graded=True), 2)
    known, opinion = known_of(view, fold=fold), opinion_of(view)
    together = votes.judge(view, known, opinion)
    for b in range(B):
        rows = np.array([b])
        own = Opinion(opinion.signal[rows], opinion.vote[rows], opinion.seen)
        alone = votes.judge(view.take(rows), known.take(rows), own)
        for one, many in zip(alone, together, strict=True):
            np.testing.assert_allclose(one[0], many[b], atol=1e-5)


def test_an_index_carries_no_meaning_but_by_its_bias() -> None:
    """Without the bias candidates are treated alike; with it those of free-form queries are."""
    table, order = pool(4, 3, graded=False), np.array([2, 0, 4, 3, 1])
    view = view_of(table, 3)
    width = view.available.shape[1]
    order = np.argsort(order[:width])
    moved = replace(view, support=view.support[:, :, order], available=view.available[:, order])
    opinion = opinion_of(view)
    shuffled = opinion._replace(signal=opinion.signal[:, order])
    for n_positions, rows in ((0, np.full(B, True)), (5, view.is_open)):
        votes = weights(4, 3, graded=False, n_positions=n_positions)
        before = votes.judge(view, known_of(view), opinion).posterior
        after = votes.judge(moved, known_of(view), shuffled).posterior
        np.testing.assert_allclose(after[rows, :-1], before[rows][:, order], atol=1e-5)
        np.testing.assert_allclose(after[rows, -1], before[rows, -1], atol=1e-5)
    assert not np.allclose(after[:, :-1], before[:, order], atol=1e-2)
