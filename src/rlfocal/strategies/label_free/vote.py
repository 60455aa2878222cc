"""What label-free votes share: the model of a coin a member, and the vote that follows from it.

Member n is right with chance p_n, whatever the query; else its answer falls evenly on the other
possible answers. Knows nothing of how the chances are found.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from rlfocal.deliberation.base import OneRound
from rlfocal.deliberation.protocol import Need
from rlfocal.deliberation.state import Row
from rlfocal.deliberation.view import View
from rlfocal.numbers import Float64Array, softmax
from rlfocal.records import BoolArray, FloatArray, ResponseTable
from rlfocal.strategies.voting import chance_log_odds, tally

__all__ = ["LabelFreeVote", "coin_posterior", "log_wrong_answers"]


class LabelFreeVote(OneRound, ABC):
    """Everybody is asked; a vote weighs log(p (K - 1) / (1 - p)), K possible answers.

    K is the number of options; of an open query nobody knows it, and each member is taken to have a
    wrong answer of its own, so K = N + 1. There the right answer may be one that nobody gave, so
    confidences need not add up to 1.
    """

    needs: ClassVar[frozenset[Need]] = frozenset({Need.ANSWERS})
    fits_on_window: ClassVar[bool] = True
    trusts_agreement: ClassVar[bool] = True
    fitted: ClassVar[Mapping[str, Row]] = {"chance": Row("float64", "N", 0, 1)}

    def fit(self, table: ResponseTable, *, rng: np.random.Generator) -> Self:
        """Estimate each member's chance from answers; labels and scores are not looked at."""
        self.chance_ = self.chances(
            table.answer, np.where(table.is_open[:, None], False, table.exists)
        )
        return self

    @abstractmethod
    def chances(self, answer: NDArray[np.int16], options: BoolArray) -> Float64Array:
        """How likely each member's answers are right.

        Args:
            answer: int16[Q, N], the candidate of each answer; -1 for none.
            options: bool[Q, C], the options of a query; none of an open one.

        Returns:
            float64[N] in (0, 1).
        """

    def fuse(self, view: View) -> FloatArray:
        """The posterior of each candidate."""
        options = np.where(view.is_open[:, None], False, view.available)
        return coin_posterior(view.answer, options, self.chance_).astype(np.float32)

    @property
    def votes_only_help(self) -> bool:
        """Whether no vote counts against its candidate, even of two options."""
        return bool((self.chance_ > 0.5).all())


def log_wrong_answers(options: BoolArray, n_members: int) -> Float64Array:
    """float64[Q]: log(K - 1), K the number of options, or of members and one where there are none.

    >>> options = np.array([[True, True, True], [False, False, False]])
    >>> np.exp(log_wrong_answers(options, 8)).round(3).tolist()
    [2.0, 8.0]
    """
    n_options = options.sum(axis=1)
    n_wrong = np.where(n_options == 0, n_members, n_options - 1)
    return np.asarray(np.log(np.maximum(n_wrong, 1)))


def coin_posterior(
    answer: NDArray[np.int16], options: BoolArray, chance: Float64Array
) -> Float64Array:
    """How likely each candidate is right, all being equally likely before anybody answered.

    Args:
        answer: int16[Q, N], the candidate of each answer; -1 for none.
        options: bool[Q, C], the options of a query; none of an open one.
        chance: float64[N] in (0, 1), each member's chance of being right.

    Returns:
        float64[Q, C]; 0 for what is neither an option nor was answered, and a row of zeros where
        nobody answered. A row of an open query adds up to less than 1: the rest is "none of these".

    >>> answer = np.array([[0, 0, 1]], dtype=np.int16)
    >>> options = np.array([[True, True]])
    >>> coin_posterior(answer, options, np.array([0.6, 0.6, 0.75])).round(3).tolist()
    [[0.429, 0.571]]
    """
    n_slots = options.shape[1]
    weight = chance_log_odds(chance) + log_wrong_answers(options, len(chance))[:, None]
    logit = tally(answer, weight, n_slots)
    given = tally(answer, np.ones(len(chance)), n_slots) > 0
    is_open = ~options.any(axis=1, keepdims=True)
    allowed = (given | options) & given.any(axis=1, keepdims=True)
    # One more candidate without votes: of an open query, all answers that nobody gave.
    n_unnamed = np.maximum(len(chance) + 1 - given.sum(axis=1, keepdims=True), 1)
    wide = np.hstack([logit, np.log(n_unnamed)])
    return softmax(wide, np.hstack([allowed, is_open & given.any(axis=1, keepdims=True)]))[:, :-1]
