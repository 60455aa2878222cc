"""The reply with the highest learned score: among several asked at once, or one after another.

Axes: B queries, N members, C candidate slots.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Self

import numpy as np

from rlfocal.deliberation.base import OneRound
from rlfocal.deliberation.dial import MEASURED
from rlfocal.deliberation.state import Row
from rlfocal.deliberation.view import Decision, View
from rlfocal.numbers import sigmoid
from rlfocal.records import BoolArray, FloatArray, IntArray, ResponseTable
from rlfocal.strategies.reading import in_turn
from rlfocal.strategies.scored.scored import Scored
from rlfocal.strategies.scored.walk import Looked, Walk, next_of, walk
from rlfocal.strategies.single import sound_accuracy
from rlfocal.strategies.sizes import checked_count, pool_sizes
from rlfocal.strategies.static import ask_only
from rlfocal.strategies.voting import ORDER, plurality_share, rank_members

__all__ = ["BestOfN", "ScoreCascade", "best_scored"]

_TIE = 1e-3
"""Part of a probability that the votes decide, where scores are the same."""


def best_scored(log_odds: FloatArray, view: View, order: IntArray) -> Looked:
    """The highest scores, and the candidates' chances of being right as the best of each says.

    Where nobody has answered, the highest score is -1.

    Args:
        log_odds: float32[B, N] that each answer is right, -inf where a member has not answered.
        view: what is known.
        order: int64[N], members from the best to the worst; ties of scores go by vote, then by it.
    """
    chance = sigmoid(log_odds.astype(np.float64))
    best = np.zeros((len(view), view.available.shape[1] + 1))  # the last slot takes the -1
    rows = np.arange(len(view))
    for n in range(chance.shape[1]):
        place = view.answer[:, n]
        best[rows, place] = np.maximum(best[rows, place], chance[:, n])
    share = plurality_share(view, order)
    answer = (1 - _TIE) * best[:, :-1] + _TIE * share
    # Scores of several candidates may add up to more than 1; only one of them is right.
    answer /= np.maximum(answer.sum(axis=1, keepdims=True), 1)
    sure = np.where(view.answered, chance, -1.0).max(axis=1)
    return Looked(sure, answer.astype(np.float32))


class BestOfN(Scored, OneRound):
    """Asks the n most accurate members at once; the reply with the highest score is the answer.

    Best-of-n sampling with a learned verifier (Cobbe et al., "Training verifiers to solve math word
    problems", arXiv:2110.14168). Departures: n members answer once each in place of n samples of
    one, and the verifier is `ReplyScore`, which reads signals and words, no fine-tuned model.

    Args:
        n_calls: n; None for all members.

    Raises:
        ValueError: fewer than one call.
    """

    name = "best-of-n"
    dial: ClassVar[str] = "n_calls"
    fitted: ClassVar[Mapping[str, Row]] = {
        **Scored.fitted,
        "order": ORDER,
        "measured": MEASURED,
    }

    def __init__(self, *, n_calls: int | None = None) -> None:
        self.n_calls = None if n_calls is None else checked_count(n_calls, "n_calls")

    def fit(self, table: ResponseTable, *, rng: np.random.Generator) -> Self:
        """Learn the score, and measure every n out of fold."""
        _, held_out = self.learn(table, rng=rng)
        self.order_ = in_turn(table, rank_members(table))
        sizes = pool_sizes(table.n_members)

        grid = _walk(table, held_out.log_odds, self.order_).grid(np.array([np.inf]), sizes)
        self.measured_ = np.stack([grid.caps, grid.score[0], grid.cost[0]], axis=1)
        return self

    @property
    def dials(self) -> tuple[float, ...]:
        """Numbers of calls, ascending."""
        return tuple(float(size) for size in pool_sizes(len(self.order_)))

    @property
    def setting(self) -> float:
        """How many members are asked."""
        return float(self.n_calls or len(self.order_))

    @property
    def reads_replies(self) -> bool:
        """Of several asked."""
        return self.n_calls != 1

    def with_dial(self, value: float) -> Self:
        """Return the same fitted strategy with another number of calls.

        Raises:
            ValueError: fewer than one.
        """
        return super().with_dial(checked_count(value, "n_calls"))

    def first(self, view: View) -> BoolArray:
        """The most accurate members."""
        mask = np.zeros(view.asked.shape[1], dtype=bool)
        mask[self.order_[: self.n_calls]] = True
        return ask_only(view, mask)

    def fuse(self, view: View) -> FloatArray:
        """Each candidate's chance of being right, as its best reply says."""
        return best_scored(self.log_odds(view), view, self.order_).answer


class ScoreCascade(Scored):
    """Asks one member after another until a reply's score passes a threshold.

    FrugalGPT's cascade (Chen et al., arXiv:2305.05176): a learned scorer accepts a reply or hands
    the query on. Departures: members stand in the order of accuracy per price, nothing searches for
    a list of three and a threshold for each; where no reply is accepted, the best-scored one is the
    answer, not the last; and the scorer is `ReplyScore`, no fine-tuned DistilBERT.

    Args:
        threshold: in [0, 1], the chance of being right at which a reply is accepted.

    Raises:
        ValueError: a threshold out of range.
    """

    name = "score-cascade"
    dial: ClassVar[str] = "threshold"
    dials = (
        0.0, 0.2, 0.3, 0.4, 0.5, 0.6, 0.65, 0.7, 0.75, 0.8, 0.84, 0.88, 0.91, 0.93, 0.95, 0.97,
        0.98, 0.99, 1.0,
    )  # fmt: skip
    fitted: ClassVar[Mapping[str, Row]] = {
        **Scored.fitted,
        "order": ORDER,
        "measured": MEASURED,
    }

    def __init__(self, *, threshold: float = 0.95) -> None:
        self.threshold = _checked(threshold)

    def fit(self, table: ResponseTable, *, rng: np.random.Generator) -> Self:
        """Learn the score, and measure every threshold out of fold."""
        _, held_out = self.learn(table, rng=rng)
        cost = table.mean_full_cost
        best = np.lexsort((cost, -sound_accuracy(table) / cost)).astype(np.int64)
        self.order_ = in_turn(table, best)

        grid = _walk(table, held_out.log_odds, self.order_).grid(
            np.array(self.dials), [table.n_members]
        )
        self.measured_ = np.stack([grid.thresholds, grid.score[:, 0], grid.cost[:, 0]], axis=1)
        return self

    def with_dial(self, value: float) -> Self:
        """Return the same fitted strategy at another threshold.

        Raises:
            ValueError: a threshold outside [0, 1].
        """
        return super().with_dial(_checked(value))

    def decide(self, view: View) -> Decision:
        """Ask the next member, unless a reply is good enough."""
        seen = best_scored(self.log_odds(view), view, self.order_)
        accepted = seen.sure >= self.threshold
        return Decision(next_of(self.order_, view.asked) & ~accepted[:, None], seen.answer)


def _walk(table: ResponseTable, log_odds: FloatArray, order: IntArray) -> Walk:
    """Follow training queries with scores float32[Q, N] that were not fitted on them."""

    def look(rows: IntArray, view: View) -> Looked:
        seen = np.where(view.answered, log_odds[rows], np.float32(-np.inf))
        return best_scored(seen, view, order)

    return walk(table, order, look)


def _checked(threshold: float) -> float:
    if not 0 <= threshold <= 1:
        raise ValueError(f"threshold must lie in [0, 1], got {threshold}")
    return float(threshold)
