"""The learned score against pools whose signals are known, and the laws that it must obey."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from told import ACCURACY, Told, told_pool

from rlfocal.deliberation.state import check_state
from rlfocal.errors import CheckpointError
from rlfocal.numbers import log_odds, sigmoid
from rlfocal.records.signals import Replies, ReplyStore, SeenReply
from rlfocal.records.tables.folds import inner_folds
from rlfocal.strategies.evidence import ReplyScore

ALL = (1.2,) * 4
NONE = (0.0,) * 4


@pytest.fixture(scope="module")
def told() -> Told:
    return told_pool(1500, ALL, rng=np.random.default_rng(1))


@pytest.fixture(scope="module")
def score(told: Told) -> ReplyScore:
    return fitted(told.table.take(np.arange(500)))


def fitted(table, seed: int = 0) -> ReplyScore:
    found = ReplyScore.fit(table, rng=np.random.default_rng(seed))
    assert found is not None
    return found


def test_log_odds_are_those_of_the_pool(told: Told, score: ReplyScore) -> None:
    rest = told.table.take(np.arange(500, 1500))
    found = score.log_odds(rest.replies)
    true = log_odds(np.array(ACCURACY), least=0.01) + told.truth[500:]
    assert found.dtype == np.float32
    assert np.abs(found - true).mean() < 0.25
    # Of those said to be right with p, a share p is.
    chance = sigmoid(found)
    for low, high in ((0.0, 0.4), (0.4, 0.7), (0.7, 0.9), (0.9, 1.0)):
        here = (chance >= low) & (chance < high)
        assert rest.member_score[here].mean() == pytest.approx(chance[here].mean(), abs=0.05)


def test_ranking_is_close_to_the_best_possible(told: Told, score: ReplyScore) -> None:
    rest = told.table.take(np.arange(500, 1500))
    found = score.log_odds(rest.replies)
    right = rest.member_score > 0.5
    best = [pairs_won(told.truth[500:, n], right[:, n]) for n in range(4)]
    own = [pairs_won(found[:, n], right[:, n]) for n in range(4)]
    assert np.mean(best) == pytest.approx(0.802, abs=0.03)  # Phi(1.2 / sqrt 2)
    assert (np.array(own) > np.array(best) - 0.01).all()


def pairs_won(value: np.ndarray, right: np.ndarray) -> float:
    return float((value[right][:, None] > value[~right]).mean())


def test_a_telling_signal_is_believed_the_more_the_more_labels_there_are() -> None:
    worth = []
    for n in (25, 100, 1000):
        told = told_pool(n, ALL, rng=np.random.default_rng(5))
        found = fitted(told.table)
        worth.append(found.factor * float(np.corrcoef(
            found.shift(told.table.replies).ravel(), told.truth.ravel())[0, 1]))  # fmt: skip
    assert worth[0] < worth[1] < worth[2]
    assert worth[2] > 0.85


@pytest.mark.parametrize("n_labels", [25, 100, 500])
def test_signals_that_say_nothing_move_next_to_nothing(n_labels: int) -> None:
    told = told_pool(n_labels, NONE, rng=np.random.default_rng(2))
    found = ReplyScore.fit(told.table, rng=np.random.default_rng(0))
    assert found is not None
    assert np.abs(found.shift(told.table.replies)).mean() < 0.1


def test_what_holds_of_one_member_is_learned_of_it_alone() -> None:
    told = told_pool(1000, (0.0, 0.0, 1.5, 0.0), rng=np.random.default_rng(3))
    shift = fitted(told.table).shift(told.table.replies)
    spread = shift.std(axis=0)
    assert spread[2] > 4 * max(spread[[0, 1, 3]])


def test_a_reply_is_judged_by_itself(told: Told, score: ReplyScore) -> None:
    rest = told.table.take(np.arange(500, 540))
    whole, shift = score.log_odds(rest.replies), score.shift(rest.replies)
    known = np.random.default_rng(0).random(whole.shape) < 0.5
    part = rest.replies.where(known)
    np.testing.assert_array_equal(score.log_odds(part), np.where(known, whole, np.nan))
    np.testing.assert_array_equal(score.shift(part), np.where(known, shift, 0))
    for q in range(3):
        np.testing.assert_allclose(score.log_odds(rest.replies[[q]])[0], whole[q], rtol=1e-6)


def test_nobody_asked_is_nothing_known(told: Told, score: ReplyScore) -> None:
    nobody = told.table.replies.where(np.zeros(told.table.answer.shape, dtype=bool))
    assert np.isnan(score.log_odds(nobody)).all()
    assert not score.shift(nobody).any()


def test_out_of_fold_figures_know_no_label_of_their_fold(told: Told) -> None:
    table = told.table.take(np.arange(120))
    fold = inner_folds(table, 3)
    found = ReplyScore.out_of_fold(table, fold, rng=np.random.default_rng(0))
    spoilt = replace(
        table,
        candidate_score=np.where((fold == 1)[:, None], 1 - table.candidate_score,
                                 table.candidate_score),
    )  # fmt: skip
    other = ReplyScore.out_of_fold(spoilt, fold, rng=np.random.default_rng(0))
    assert found is not None
    assert other is not None
    for own, spoiled in zip(found, other, strict=True):
        np.testing.assert_array_equal(own[fold == 1], spoiled[fold == 1])
        assert not np.array_equal(own[fold == 0], spoiled[fold == 0])


def test_out_of_fold_each_member_stands_for_itself_where_nothing_is_learned(told: Told) -> None:
    table = told.table.take(np.arange(12))  # 8 remain, too few to learn from
    found = ReplyScore.out_of_fold(table, np.arange(12) % 3, rng=np.random.default_rng(0))
    assert found is not None
    assert not found.shift.any()
    rows = found.log_odds[::3]
    np.testing.assert_array_equal(rows, np.tile(rows[0], (4, 1)))


def test_arrays_hold_all_that_was_learned(told: Told, score: ReplyScore) -> None:
    state = score.state()
    check_state(state, ReplyScore.layout(), {"N": 4})
    again = ReplyScore.restore(state)
    rest = told.table.replies[500:520]
    np.testing.assert_array_equal(again.shift(rest), score.shift(rest))
    assert again.names == score.names


def test_arrays_that_do_not_fit_together_are_refused(score: ReplyScore) -> None:
    state = score.state()
    with pytest.raises(CheckpointError, match=r"'inputs'.*should be"):
        ReplyScore.restore(state | {"inputs": state["inputs"][:, :-1]})
    with pytest.raises(CheckpointError, match=r"'word'.*should be"):
        ReplyScore.restore(state | {"word": np.zeros(7, dtype=np.float32)})
    with pytest.raises(CheckpointError, match="'names'"):
        ReplyScore.restore(state | {"names": np.array([255, 10], dtype=np.uint8)})


def test_signals_that_nobody_gives_any_more_are_unknown(told: Told, score: ReplyScore) -> None:
    silent = Replies(ReplyStore([SeenReply(text=None)] * 4), np.arange(4)[None])
    found = score.log_odds(silent)
    assert np.isfinite(found).all()
    assert np.abs(found - score.base).max() < 1


def test_nothing_is_learned_without_replies_or_labels(told: Told) -> None:
    table = told.table
    rng = np.random.default_rng(0)
    assert ReplyScore.fit(replace(table, replies=None), rng=rng) is None
    assert ReplyScore.out_of_fold(replace(table, replies=None), table.group, rng=rng) is None
    assert ReplyScore.fit(table.take(np.arange(5)), rng=rng) is None
    unjudged = replace(table, judged=np.zeros(table.n_queries, dtype=bool))
    assert ReplyScore.fit(unjudged, rng=rng) is None
    silent = replace(table, replies=table.replies.where(np.zeros(table.answer.shape, dtype=bool)))
    assert ReplyScore.fit(silent, rng=rng) is None
    all_right = replace(table, candidate_score=np.ones_like(table.candidate_score))
    assert ReplyScore.fit(all_right, rng=rng) is None


def test_words_are_learned_from(told: Told) -> None:
    table = told.table.take(np.arange(300))
    rng = np.random.default_rng(4)
    right = table.member_score > 0.5
    sure = np.where(right, rng.random(right.shape) < 0.8, rng.random(right.shape) < 0.2)
    filler = rng.choice(["one", "two", "three", "four", "five"], size=(right.size, 6))
    texts = [
        f"{' '.join(row)} {'harbour' if yes else 'lantern'}"
        for row, yes in zip(filler.tolist(), sure.ravel().tolist(), strict=True)
    ]
    store = ReplyStore([SeenReply(text=text) for text in texts])
    replies = Replies(store, np.arange(right.size).reshape(right.shape))
    found = fitted(replace(table.take(np.arange(200)), replies=replies[:200]))
    assert found.learned.word.size
    told_right = found.log_odds(replies[200:]) - found.base
    assert told_right[sure[200:]].mean() > told_right[~sure[200:]].mean() + 1.5


def test_replies_that_cannot_be_learned_from_are_scored_all_the_same(told: Told) -> None:
    judged = np.arange(150) % 10 > 0
    table = replace(told.table.take(np.arange(150)), judged=judged)
    found = ReplyScore.fit_apart(table, rng=np.random.default_rng(0))
    assert found is not None
    own = found.score.log_odds(table.replies)
    np.testing.assert_array_equal(found.held_out.log_odds[~judged], own[~judged])
    assert not np.isnan(found.held_out.log_odds).any()
    assert (found.held_out.log_odds[judged] != own[judged]).mean() > 0.9
    gap = found.held_out.log_odds - found.score.base
    np.testing.assert_allclose(found.held_out.shift, found.score.factor * gap, atol=1e-6)
