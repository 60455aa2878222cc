"""Run a strategy over recorded answers: rounds of asking until it stops, with scores and costs."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from rlfocal.deliberation.protocol import Outcome, Strategy
from rlfocal.deliberation.recorded import candidates_of, reveal
from rlfocal.deliberation.view import Decision, View
from rlfocal.readers import Reads
from rlfocal.records import BoolArray, FloatArray, ResponseTable

__all__ = ["best_answer", "decided", "replay", "stages"]


def replay(
    strategy: Strategy,
    table: ResponseTable,
    *,
    budget: float = np.inf,
    batch_size: int = 4096,
) -> Outcome:
    """Let a fitted strategy answer every query of a table.

    Args:
        strategy: fitted on other queries.
        table: the recorded answers; its rows are the stream, in order.
        budget: a query that has spent this much (in the table's unit) may ask no more members. The
            price of a call is known only after it, so the last round may overshoot.
        batch_size: queries decided on at once; bounds memory, changes no result.

    Returns:
        Answers, scores and costs. A member is closed where it has no record: a strategy that asks
        it sees it fail, at no cost and without a call. Where no member asked has a record, the
        query is not measured.

    Raises:
        ValueError: when the strategy breaks the protocol, see `decided`.
    """
    asked = np.zeros(table.recorded.shape, dtype=bool)
    asked_in = np.zeros(asked.shape, dtype=np.int16)
    n_rounds = np.zeros(len(asked), dtype=np.int64)
    n_turns = np.zeros_like(n_rounds)  # rounds as the strategy sees them, calls or not
    latency_s = np.zeros(len(asked), dtype=np.float32)
    chosen = np.full(len(asked), -1, dtype=np.int16)
    confidence = np.zeros(len(asked), dtype=np.float32)
    playable = np.flatnonzero(table.recorded.any(axis=1))
    for start in range(0, len(playable), batch_size):
        active = playable[start : start + batch_size]
        while len(active):
            view = reveal(table, active, asked[active], n_rounds=n_turns[active], budget=budget)
            decision = decided(strategy, view)
            goes_on = decision.ask.any(axis=1)
            ends = np.flatnonzero(~goes_on)
            rows = active[ends]
            place, confidence[rows] = best_answer(view.available[ends], decision.answer[ends])
            chosen[rows] = candidates_of(table, rows, asked[rows], place)
            active, wanted = active[goes_on], decision.ask[goes_on]
            n_turns[active] += 1
            for now in stages(table.reads, wanted, asked[active]):
                asked[active] |= now
                called = now & table.recorded[active]
                n_rounds[active] += called.any(axis=1)
                asked_in[active] += np.where(called, n_rounds[active, None], 0).astype(np.int16)
                if table.latency_s is not None and len(active):
                    waits = np.where(called, table.latency_s[active], -np.inf).max(axis=1)
                    latency_s[active] += np.where(called.any(axis=1), waits, 0)
    asked &= table.recorded
    return Outcome(
        chosen=chosen,
        score=table.measured_score(chosen, asked),
        confidence=confidence,
        asked=asked,
        n_calls=asked.sum(axis=1),
        n_rounds=n_rounds,
        cost=(table.cost * asked).sum(axis=1, dtype=np.float32),
        latency_s=latency_s if table.latency_s is not None else np.full_like(latency_s, np.nan),
        asked_in=asked_in,
    )


def stages(reads: Reads | None, wanted: BoolArray, asked: BoolArray) -> Iterator[BoolArray]:
    """Whom to ask at once, one after another, until all that are wanted have been asked.

    Args:
        reads: who reads whom: whom a reader reads is asked before it.
        wanted: bool[B, N], not asked yet.
        asked: bool[B, N].

    Yields:
        bool[B, N]; once where nobody wanted reads anybody who has not been asked.
    """
    if reads is None:
        yield wanted
        return
    left = reads.expanded(wanted, asked)
    while left.any():
        now = left & reads.ready(asked)
        yield now
        asked, left = asked | now, left & ~now


def decided(strategy: Strategy, view: View) -> Decision:
    """Let a strategy decide, and check that it follows the protocol.

    Returns:
        Its decision, without members asked before, or any members once the budget is spent.

    Raises:
        ValueError: an empty first round, a wrong shape, or a probability of an answer that is
            negative or not finite.
    """
    found = strategy.decide(view)
    ask, answer = np.asarray(found.ask), np.asarray(found.answer)
    if ask.shape != view.asked.shape or ask.dtype != np.bool_:
        raise ValueError(
            f"{strategy.name}: decide must ask by bool{list(view.asked.shape)}, "
            f"got {ask.dtype}{list(ask.shape)}"
        )
    if answer.shape != view.available.shape or not np.isfinite(answer).all() or (answer < 0).any():
        raise ValueError(
            f"{strategy.name}: decide must answer by finite, non-negative values of shape "
            f"{list(view.available.shape)}, got {list(answer.shape)}"
        )
    ask = ask & ~view.asked & (view.spent < view.budget)[:, None]
    silent = (view.n_rounds == 0) & ~ask.any(axis=1) & ~view.asked.any(axis=1)
    if silent.any():
        raise ValueError(
            f"{strategy.name}: asked nobody in the first round of {int(silent.sum())} queries; "
            "every query must ask at least one member (and the budget must be above 0)"
        )
    return Decision(ask, answer, found.chance)


def best_answer(available: np.ndarray, answer: FloatArray) -> tuple[np.ndarray, FloatArray]:
    """The likeliest of the available candidates, and its probability.

    Args:
        available: bool[B, C].
        answer: float[B, C], as decided.

    Returns:
        int16[B], -1 for no answer; float32[B] in [0, 1].
    """
    fused = np.where(available, answer, 0)
    best = fused.argmax(axis=1)
    value = fused[np.arange(len(fused)), best].astype(np.float32)
    return np.where(value > 0, best, -1).astype(np.int16), np.minimum(value, 1).astype(np.float32)
