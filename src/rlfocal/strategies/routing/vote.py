"""The routed vote: ask the k members most likely to be right on this query, and let them vote.

Between a router (k = 1) and the weighted vote (k = N): whom to ask and how much a vote weighs both
follow from each member's predicted chance. One round, so nothing depends on what others answered.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from rlfocal.deliberation.base import Base
from rlfocal.deliberation.dial import MEASURED
from rlfocal.deliberation.protocol import Need, State
from rlfocal.deliberation.state import Row, names_of, nested, prefixed, without_prefix
from rlfocal.deliberation.view import Decision, View
from rlfocal.errors import CheckpointError, ConfigError
from rlfocal.numbers import Float64Array, sigmoid
from rlfocal.records import BoolArray, FloatArray, IntArray, ResponseTable
from rlfocal.strategies.routing.chances import ROUTERS, choose_predictor
from rlfocal.strategies.single import sound_accuracy
from rlfocal.strategies.sizes import checked_count, pool_sizes
from rlfocal.strategies.voting import (
    VoteScale,
    chance_log_odds,
    fit_vote_scale,
    tally,
    vote_accuracy,
    vote_probability,
)

__all__ = ["RoutedVote", "most_promising"]


def most_promising(chance: FloatArray, cost: FloatArray, n_calls: int) -> BoolArray:
    """Pick the members with the highest chances; ties go to the cheaper, then to the first.

    Args:
        chance: float[B, N].
        cost: float[B, N], in any unit.
        n_calls: how many to pick.

    Returns:
        bool[B, N].

    >>> most_promising(np.array([[0.5, 0.7, 0.5]]), np.array([[2.0, 9.0, 1.0]]), 2).tolist()
    [[False, True, True]]
    """
    order = np.lexsort((cost, -chance), axis=-1)
    picked = np.zeros(chance.shape, dtype=bool)
    np.put_along_axis(picked, order[:, :n_calls], values=True, axis=1)
    return picked


class RoutedVote(Base):
    """Asks the k most promising members at once and fuses their votes by log-odds weights.

    Chances are predicted from task and text by whichever predictor `choose_predictor` prefers;
    where text does not help they are accuracies on the task. A vote weighs scale · log(p (K-1) /
    (1-p)), p being the chance that an answer, once given, is right: the predicted chance with its
    log-odds raised by what failing to answer costs the member on average. K and scale are fitted
    for each k, on predictions out of fold where text is used. An option that nobody asked named
    cannot win. Whom the promising ones read is asked with them, and votes.

    As in all votes, a member backs the candidate it answered. Where supports are graded, routers
    take the candidate of the largest calibrated support instead, so k = 1 may answer otherwise.

    Args:
        n_calls: k; None for the smallest k whose cross-validated accuracy on the training queries
            is within a standard error (of the paired difference) of the best.

    Raises:
        ValueError: fewer than one call; `with_dial`: more calls than members.
    """

    name = "routed-vote"
    needs: ClassVar[frozenset[Need]] = frozenset({Need.ANSWERS})
    packages = ("scipy",)
    dial: ClassVar[str] = "n_calls"
    fitted: ClassVar[Mapping[str, Row]] = {
        "shift": Row("float64", "N"),
        "sizes": Row("int64", "K", 1, "=N", distinct=True),
        "scales": Row("float64", "K2"),
        "default": Row("int64", "", 1, "=N"),
        "measured": MEASURED,
    }

    def __init__(self, *, n_calls: int | None = None) -> None:
        self.n_calls = None if n_calls is None else checked_count(n_calls, "n_calls")

    def fit(self, table: ResponseTable, *, rng: np.random.Generator) -> Self:
        """Choose the predictor, fit K and the scale for each k, and choose k.

        Raises:
            ConfigError: more calls than members.
        """
        if self.n_calls is not None and self.n_calls > table.n_members:
            raise ConfigError(
                f"{self.name}: n_calls must lie in [1, {table.n_members}], as there are "
                f"{table.n_members} members; got {self.n_calls}"
            )
        predictor = choose_predictor(table, rng=rng)
        self.router_ = predictor.router
        given, mean = vote_accuracy(table), sound_accuracy(table)
        self.shift_ = chance_log_odds(given) - chance_log_odds(mean)
        unseen = predictor.out_of_fold
        # Accuracies on the task hardly overfit; as in weighted votes, they may be the queries' own.
        seen = unseen if predictor.uses_text else self.router_.predict(table.task, table.features)
        cost = self.router_.relative_cost_[table.task]
        sizes = pool_sizes(table.n_members)
        score, spent = np.empty((2, len(sizes), table.n_queries))
        scales = []
        for i, size in enumerate(sizes):
            asked = table.called_for(most_promising(seen, cost, size))
            scale = fit_vote_scale(table, self._given_answer(seen), asked=asked)
            scales.append(scale)
            asked = table.called_for(most_promising(unseen, cost, size))
            score[i] = _vote_score(table, scale.weights(self._given_answer(unseen)), asked)
            spent[i] = (table.cost * (asked & table.recorded)).sum(axis=1) / table.call_cost()
        self.sizes_, self.scales_ = np.array(sizes), np.array(scales)
        known = ~np.isnan(score)
        self.measured_ = np.stack([sizes, _mean(score, known), _mean(spent, known)], axis=1)
        self.default_ = sizes[_smallest_good(score)]
        return self

    def state(self) -> State:
        """What fitting found; arrays of the router bear its name."""
        own = {name: np.asarray(getattr(self, f"{name}_")) for name in self.fitted}
        return own | prefixed(self.router_.name, self.router_.state())

    def restore(self, state: Mapping[str, NDArray[Any]]) -> Self:
        """Undo `state`."""
        super().restore({name: state[name] for name in self.fitted})
        name = _router_of(state)
        self.router_ = ROUTERS[name]().restore(without_prefix(name, state))
        return self

    def layout(self, present: Collection[str]) -> dict[str, Row]:
        """Rows of its own and of the router that is there.

        Raises:
            CheckpointError: there is none.
        """
        name, own = _router_of(present), super().layout(present)
        return own | nested(name, ROUTERS[name]().layout(names_of(name, present)), own)

    @property
    def dials(self) -> tuple[float, ...]:
        """Numbers of calls, from 1 to N: all of them in pools of at most 12."""
        return tuple(float(size) for size in self.sizes_)

    @property
    def setting(self) -> float:
        """How many members are asked."""
        return float(self.n_calls_)

    def with_dial(self, value: float) -> Self:
        """Return the same fitted strategy with another number of calls.

        Raises:
            ValueError: fewer calls than one or more than there are members.
        """
        self._check(value)
        return super().with_dial(int(value))

    @property
    def n_calls_(self) -> int:
        """How many members are asked."""
        return self.default_ if self.n_calls is None else self.n_calls

    def foreseeing(self, task: IntArray, features: FloatArray) -> Self:
        """With predictions for these queries."""
        return self._with(router_=self.router_.foreseeing(task, features))

    def decide(self, view: View) -> Decision:
        """Ask the k most promising members, once, and let them vote."""
        chance = self.router_.predict_for(view)
        begins = view.n_rounds == 0
        ask = np.zeros_like(view.asked)
        if begins.any():
            ask = most_promising(chance, self.router_.relative_cost_[view.task], self.n_calls_)
            ask &= begins[:, None]
        return Decision(ask, self._vote(view, chance))

    def _vote(self, view: View, chance: FloatArray) -> FloatArray:
        """Softmax of the weighted votes, of those candidates that were named."""
        n_slots = view.available.shape[1]
        votes = tally(view.answer, self._weights(chance), n_slots)
        named = tally(view.answer, np.ones(view.asked.shape[1]), n_slots) > 0
        return np.where(named, vote_probability(votes, view), np.float32(0))

    @property
    def votes_only_help(self) -> bool:
        """Whether, as its router predicts, no query makes a vote count against its candidate.

        Whom to ask is settled before anybody answers.
        """
        return bool((self._weights(self.router_.least_chance) > 0).all())

    def _weights(self, chance: FloatArray) -> Float64Array:
        """Float64 of the shape of chances: what votes weigh; more where a chance is higher."""
        # A number of calls that was not tried borrows from the next one that was.
        scale = VoteScale(*self.scales_[int(np.searchsorted(self.sizes_, self.n_calls_))])
        return scale.weights(self._given_answer(chance))

    def _given_answer(self, chance: FloatArray) -> Float64Array:
        """float64[B, N]: chance that the answer of a member that gave one is right."""
        return sigmoid(chance_log_odds(chance) + self.shift_)

    def _check(self, n_calls: float) -> None:
        if not 1 <= n_calls <= len(self.shift_):
            raise ValueError(f"n_calls must lie in [1, {len(self.shift_)}], got {n_calls}")


def _router_of(present: Collection[str]) -> str:
    """The router whose arrays are among those named."""
    for name in ROUTERS:
        if any(key.startswith(f"{name}.") for key in present):
            return name
    raise CheckpointError(f"the arrays of a router are missing: one of {', '.join(ROUTERS)}")


def _vote_score(table: ResponseTable, weight: Float64Array, asked: BoolArray) -> Float64Array:
    """float64[Q]: worth of the named candidate with the most votes; 0 where none answered.

    NaN where nothing is recorded of those asked.
    """
    answer = np.where(asked, table.answer, np.int16(-1))
    named = tally(answer, np.ones(table.n_members), table.n_candidates) > 0
    votes = np.where(named, tally(answer, weight, table.n_candidates), -np.inf)
    chosen: IntArray = np.where(named.any(axis=1), votes.argmax(axis=1), -1)
    return table.measured_score(chosen, asked & table.recorded).astype(np.float64)


def _mean(values: Float64Array, known: BoolArray) -> Float64Array:
    """float64[S]: of the known ones among values float64[S, Q]; 0 where nothing is known."""
    count = np.maximum(known.sum(axis=1), 1)
    return np.asarray(np.where(known, values, 0).sum(axis=1) / count)


def _smallest_good(score: Float64Array) -> int:
    """Index of the first setting that is within a standard error of the best.

    Args:
        score: float64[S, Q], what each query earned under each setting, settings from the cheapest;
            NaN where that was not measured. Settings are compared where both were.

    >>> _smallest_good(np.array([[0, 0, 0, 0, 0], [1, 1, 1, 0, 0], [1, 1, 0, 1, 1]]))
    1
    """
    known = ~np.isnan(score)
    if known.all():
        lost = score[score.mean(axis=1).argmax()] - score
        noise = lost.std(axis=1) / np.sqrt(score.shape[1])
        return int((lost.mean(axis=1) <= noise + 1e-12).argmax())
    best = int(_mean(score, known).argmax())
    for setting in range(len(score)):
        both = known[setting] & known[best]
        lost = score[best, both] - score[setting, both]
        if len(lost) and lost.mean() <= lost.std() / np.sqrt(len(lost)) + 1e-12:
            return setting
    return best
