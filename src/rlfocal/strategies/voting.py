"""Ask all members once, then count: plain votes, weighted votes, and the mean of supports.

A vote counts for the candidate that a member answered; only `MeanProbability` looks at how strongly
it backs the others. Knows nothing of costs and of query texts.

Log-odds weights: if members err independently and an error falls evenly on K - 1 wrong candidates,
the log posterior of a candidate is the sum of log(p (K-1) / (1-p)) over the members that answered
it, p being a member's accuracy (Nitzan & Paroush 1982; Shapley & Grofman 1984). Errors are neither
even nor independent, so K is no count of options but a parameter: it is fitted on the training
queries, and with it a scale that undoes the overconfidence which correlated errors cause.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from rlfocal.deliberation.base import OneRound
from rlfocal.deliberation.protocol import Need
from rlfocal.deliberation.state import Row
from rlfocal.deliberation.view import View
from rlfocal.numbers import Float64Array, log_odds, shrunk, softmax
from rlfocal.records import BoolArray, FloatArray, IntArray, ResponseTable
from rlfocal.strategies.amounts import checked_amount
from rlfocal.strategies.single import sound_accuracy, task_accuracy

__all__ = [
    "ORDER",
    "MeanProbability",
    "Plurality",
    "VoteScale",
    "WeightedVote",
    "WeightedVotePerTask",
    "chance_log_odds",
    "fit_vote_scale",
    "fit_vote_weights",
    "plurality_share",
    "rank_members",
    "tally",
    "vote_accuracy",
    "vote_probability",
]

_N_OPTIONS = np.array([2, 2.25, 2.5, 2.75, 3, 3.5, 4, 5, 6, 8, 12, 16, 24, 32])
"""Grid of K; finest where the weights of weak members change sign."""
_SCALES = np.array([0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.2])
"""Grid of the factor on all weights; it changes confidence and no answer."""
_LEAST = 0.005
"""No member is taken to be nearer to certain than this, either way."""
ORDER = Row("int64", "N", 0, "N", distinct=True)
"""What an array that orders the members must be like."""
_TIE_SHARE = 1e-3
"""Part of one vote that settles ties; below one vote in every pool."""


def rank_members(table: ResponseTable) -> IntArray:
    """int64[N]: members from the most to the least accurate.

    Ties go to the cheaper member, then to the first.
    """
    return np.lexsort((table.mean_full_cost, -sound_accuracy(table))).astype(np.int64)


def tally(
    answer: NDArray[np.int16], weight: NDArray[np.floating], n_candidates: int
) -> Float64Array:
    """Add up the weights of the members behind each candidate.

    Args:
        answer: int16[B, N], the candidate each member answered; -1 for none.
        weight: float[N], or float[B, N] where the weights depend on the query.
        n_candidates: C.

    Returns:
        float64[B, C]; 0 where no member answered that candidate. The sum runs over members in their
        order, so a row's result does not depend on the batch it is in.

    >>> tally(np.array([[0, 1, 0], [-1, 1, 1]], dtype=np.int16), np.array([0.5, 2, 1]), 2).tolist()
    [[1.5, 2.0], [0.0, 3.0]]
    """
    n_rows, n_members = answer.shape
    weights = np.broadcast_to(weight, answer.shape)
    rows = np.arange(n_rows)
    total = np.zeros((n_rows, n_candidates + 1))  # the last slot takes the -1
    for n in range(n_members):
        total[rows, answer[:, n]] += weights[:, n]
    return total[:, :n_candidates]


def vote_probability(logit: Float64Array, view: View) -> FloatArray:
    """Softmax over the candidates that exist already.

    Args:
        logit: float64[B, C].
        view: what is known.

    Returns:
        float32[B, C]; 0 where not available, and a row of zeros where none answered: naming an
        option then would be a guess, not a vote.
    """
    voted = view.answered.any(axis=1, keepdims=True)
    return softmax(logit, view.available & voted).astype(np.float32)


def vote_accuracy(table: ResponseTable) -> Float64Array:
    """float64[N] in (0, 1): chance that a vote of each member is right.

    Of the answers given: a member that fails to answer loses a vote, not its credibility. One
    right and one wrong answer are added, so that no log-odds are infinite.
    """
    right = table.member_score.sum(axis=0, dtype=np.float64)
    return np.asarray(shrunk(right, table.answered.sum(axis=0), towards=0.5, worth=2.0))


class VoteScale(NamedTuple):
    """The two fitted parameters that turn chances of being right into votes."""

    offset: float
    """log(K - 1)."""
    scale: float
    """Factor on all weights, > 0."""

    def weights(self, chance: NDArray[np.floating]) -> Float64Array:
        """float64 of the same shape: scale · log(p (K-1) / (1-p)) for chances p.

        >>> VoteScale(np.log(4 - 1), 1.0).weights(np.array([0.25, 0.5])).round(3).tolist()
        [0.0, 1.099]
        """
        return np.asarray(self.scale * (chance_log_odds(chance) + self.offset))


def fit_vote_weights(table: ResponseTable, accuracy: NDArray[np.floating]) -> Float64Array:
    """Turn accuracies into log-odds weights, with K and the scale fitted on training queries.

    Args:
        table: labelled training queries.
        accuracy: float[N], or float[T, N] for weights that depend on the task.

    Returns:
        float64[T, N]: scale · log(p (K-1) / (1-p)), see `fit_vote_scale`.
    """
    by_task = np.broadcast_to(accuracy, (len(table.tasks), table.n_members))
    return fit_vote_scale(table, by_task[table.task]).weights(by_task)


def fit_vote_scale(
    table: ResponseTable, chance: NDArray[np.floating], *, asked: BoolArray | None = None
) -> VoteScale:
    """Fit K and the scale of log-odds weights on training queries.

    Args:
        table: labelled training queries.
        chance: float[Q, N], how likely each member's answer to each query is right.
        asked: bool[Q, N], whose votes count; None for all.

    Returns:
        K is the grid's value with the best vote accuracy, ties going to the larger likelihood; the
        scale has the largest likelihood.
    """
    answer = table.answer if asked is None else np.where(asked, table.answer, np.int16(-1))
    backing = tally(answer, chance_log_odds(chance), table.n_candidates)
    votes = tally(answer, np.ones(table.n_members), table.n_candidates)
    given = votes > 0
    allowed = np.array(np.where(table.is_open[:, None], given, table.exists), dtype=bool)
    allowed[~given.any(axis=1)] = False
    right: Float64Array = np.where(allowed, table.candidate_score, 0.0).astype(np.float64)
    rows = np.arange(table.n_queries)
    offsets = np.log(_N_OPTIONS - 1)
    scores = np.zeros(len(offsets))
    for i, offset in enumerate(offsets):
        chosen = np.where(allowed, backing + offset * votes, -np.inf).argmax(axis=1)
        scores[i] = right[rows, chosen].mean()
    tied = offsets[scores >= scores.max() - 1e-12]
    fits = [_fit_scale(backing + offset * votes, allowed, right) for offset in tied]
    best = int(np.argmax([likelihood for _, likelihood in fits]))
    return VoteScale(float(tied[best]), fits[best][0])


def chance_log_odds(chance: NDArray[np.floating]) -> Float64Array:
    """float64 of the same shape: log(p / (1-p)), of chances kept within [0.005, 0.995]."""
    return log_odds(chance, least=_LEAST)


def _fit_scale(logit: Float64Array, allowed: BoolArray, right: Float64Array) -> tuple[float, float]:
    """The scale of the grid with the largest mean log-likelihood, and that likelihood.

    Queries without a right candidate among those given say nothing about it and are left out.
    """
    use = (right > 0).any(axis=1)
    if not use.any():
        return 1.0, 0.0
    logit, allowed, right = logit[use], allowed[use], right[use]
    likelihoods = []
    for scale in _SCALES:
        chance = (softmax(scale * logit, allowed) * right).sum(axis=1)
        likelihoods.append(float(np.log(np.maximum(chance, 1e-12)).mean()))
    best = int(np.argmax(likelihoods))
    return float(_SCALES[best]), likelihoods[best]


class Plurality(OneRound):
    """One member, one vote; ties go to the candidate backed by the best member in training."""

    name = "plurality"
    needs: ClassVar[frozenset[Need]] = frozenset({Need.ANSWERS})
    fitted: ClassVar[Mapping[str, Row]] = {"order": ORDER}

    def fit(self, table: ResponseTable, *, rng: np.random.Generator) -> Self:
        """Rank the members, for ties."""
        self.order_ = rank_members(table)
        return self

    def fuse(self, view: View) -> FloatArray:
        """Each candidate's share of the votes."""
        return plurality_share(view, self.order_)

    @property
    def votes_only_help(self) -> bool:
        """They do."""
        return True


def plurality_share(view: View, order: IntArray) -> FloatArray:
    """Each candidate's share of the votes; equal shares differ by who backs them.

    Args:
        view: what is known.
        order: int64[N], members from the best to the worst.

    Returns:
        float32[B, C]; a row of zeros where none answered.
    """
    n_slots, n_members = view.available.shape[1], len(order)
    votes = tally(view.answer, np.ones(n_members), n_slots)
    rows = np.arange(len(view))
    backer = np.zeros((len(view), n_slots + 1))  # N for the best member's candidate, 1 for the last
    for rank in reversed(range(n_members)):
        backer[rows, view.answer[:, order[rank]]] = n_members - rank
    votes += backer[:, :n_slots] * (_TIE_SHARE / n_members)
    share = votes / np.maximum(votes.sum(axis=1, keepdims=True), 1e-12)
    return np.asarray(share, dtype=np.float32)


class WeightedVote(OneRound):
    """Votes weighted by the log-odds of each member's accuracy."""

    name = "weighted-vote"
    fits_on_window: ClassVar[bool] = True
    needs: ClassVar[frozenset[Need]] = frozenset({Need.ANSWERS})
    fitted: ClassVar[Mapping[str, Row]] = {"weight": Row("float64", "TN")}

    def fit(self, table: ResponseTable, *, rng: np.random.Generator) -> Self:
        """Measure accuracies and fit K and the scale."""
        self.weight_ = fit_vote_weights(table, vote_accuracy(table))
        return self

    def fuse(self, view: View) -> FloatArray:
        """Softmax of the weighted votes."""
        votes = tally(view.answer, self.weight_[view.task], view.available.shape[1])
        return vote_probability(votes, view)

    @property
    def votes_only_help(self) -> bool:
        """Whether nobody is worse than chance, so that no vote counts against its candidate."""
        return bool((self.weight_ > 0).all())


class WeightedVotePerTask(WeightedVote):
    """Votes weighted by the log-odds of each member's accuracy on the query's task.

    Args:
        pseudo_counts: how many queries a member's overall accuracy is worth beside a task's own.

    Raises:
        ValueError: pseudo-counts that are not finite or not positive: a task may have no query.
    """

    name = "weighted-vote-per-task"
    fits_on_window: ClassVar[bool] = False

    def __init__(self, *, pseudo_counts: float = 20.0) -> None:
        self.pseudo_counts = checked_amount(pseudo_counts, "pseudo_counts")

    def fit(self, table: ResponseTable, *, rng: np.random.Generator) -> Self:
        """Measure accuracies per task and fit K and the scale."""
        accuracy = task_accuracy(table, pseudo_counts=self.pseudo_counts)
        self.weight_ = fit_vote_weights(table, accuracy)
        return self


class MeanProbability(OneRound):
    """The mean of the members' supports."""

    name = "mean-probability"
    needs: ClassVar[frozenset[Need]] = frozenset({Need.ANSWERS, Need.GRADED_SUPPORT})

    def fit(self, table: ResponseTable, *, rng: np.random.Generator) -> Self:
        """Nothing to learn: supports come calibrated."""
        return self

    def fuse(self, view: View) -> FloatArray:
        """Mean support over the members that answered."""
        n_answered = np.maximum(view.answered.sum(axis=1), 1)
        total = view.support.sum(axis=1, dtype=np.float64)
        return np.asarray(total / n_answered[:, None], dtype=np.float32)

    @property
    def votes_only_help(self) -> bool:
        """They do: who answers besides divides all alike."""
        return True
