"""The state of one query: which members were asked and what they replied, shown as a `View`.

The rules are those by which `build_table` and `reveal` show a recorded query: the same replies make
the same view. The state holds replies only, so that nothing can leak.

Axes: N members, C candidate slots, T tasks.
"""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np

from rlfocal.deliberation.view import View
from rlfocal.records import BoolArray, Calibration, FloatArray
from rlfocal.records.samples import agreed
from rlfocal.records.schema import OPTION_LETTERS

__all__ = ["QueryState", "Reply"]


@dataclass(frozen=True)
class Reply:
    """A member's reply as read: an answer, perhaps out of several samples."""

    samples: tuple[str | None, ...]
    """Canonical answers, at least one; None where a sample holds none."""
    cost: float
    """In the unit that the strategy reckons in."""
    scores: tuple[float, ...] | None = None
    """Of each option, where the member was asked for them."""
    support: Mapping[str, float] | None = None
    """Candidate → support, adding up to 1; None to count samples."""

    # Read dozens of times in a request, so computed once.
    @cached_property
    def typical(self) -> int:
        """The sample that stands for all: the first that gave the most frequent answer."""
        return agreed(self.samples)

    @cached_property
    def answer(self) -> str | None:
        """The most frequent one."""
        return self.samples[self.typical]


class QueryState:
    """The state of one query: members asked, their replies and what was spent.

    Args:
        n_members: N.
        calibration: turns option scores into supports.
        task: 0..T; T for a task that training did not know.
        features: float32[D], the encoded text.
        n_options: of a multiple choice question; 0 for an open one.
        n_slots: C, at least; as many as the strategy has seen in training.
        position: place in the stream of queries.
    """

    def __init__(
        self,
        n_members: int,
        calibration: Calibration,
        *,
        task: int,
        features: FloatArray,
        n_options: int = 0,
        n_slots: int = 1,
        position: int = 0,
    ) -> None:
        self._calibration, self._task, self._features = calibration, task, features
        self._position = position
        self.n_options, self._n_slots = n_options, max(n_options, n_slots)
        self._replies: list[Reply | None] = [None] * n_members
        self._spent = np.zeros(n_members, dtype=np.float32)
        self._candidates: tuple[str, ...] | None = None
        self.asked = np.zeros(n_members, dtype=bool)

    def put(self, member: int, reply: Reply | None, *, cost: float = 0.0) -> None:
        """Record the outcome of asking a member.

        Args:
            member: 0..N - 1.
            reply: None where it failed.
            cost: what the failure cost.
        """
        self.asked[member] = True
        self._replies[member] = reply
        self._spent[member] = cost if reply is None else reply.cost
        self._candidates = None

    @property
    def candidates(self) -> tuple[str, ...]:
        """Candidates as the view numbers them: options' letters, or answers given, by their texts.

        An answer that only a sample gave is one, too.
        """
        if self._candidates is None:
            self._candidates = tuple(OPTION_LETTERS[: self.n_options] or self._given())
        return self._candidates

    def _given(self) -> list[str]:
        given = [reply for reply in self._replies if reply is not None and reply.answer is not None]
        return sorted({text for reply in given for text in reply.samples if text is not None})

    @property
    def has_answer(self) -> bool:
        """True once a member has given a usable answer."""
        return any(reply is not None and reply.answer is not None for reply in self._replies)

    def copy(self) -> Self:
        """A copy that can be changed without changing this one."""
        other = copy.copy(self)
        other._replies, other._spent = list(self._replies), self._spent.copy()
        other.asked = self.asked.copy()
        return other

    def reply(self, member: int) -> Reply | None:
        """A member's reply; None where it was not asked, or failed."""
        return self._replies[member]

    def answered(self, member: int) -> str | None:
        """The answer of a member; None where it was not asked, failed, or gave none."""
        reply = self._replies[member]
        return None if reply is None else reply.answer

    def cost(self, member: int) -> float:
        """What asking a member has cost."""
        return float(self._spent[member])

    def view(self, *, n_rounds: int, budget: float = np.inf) -> View:
        """The view of a strategy, as one row.

        Args:
            n_rounds: rounds so far.
            budget: most that may be spent.
        """
        names = self.candidates
        place = {name: slot for slot, name in enumerate(names)}
        n_members, n_slots = len(self._replies), max(self._n_slots, len(names))
        answer = np.full(n_members, -1, dtype=np.int16)
        support = np.zeros((n_members, n_slots), dtype=np.float32)
        for member, reply in enumerate(self._replies):
            if reply is not None and reply.answer is not None:
                answer[member] = place[reply.answer]
                support[member] = _support(reply, place, n_slots)
        available = np.arange(n_slots) < len(names)
        self._calibrate(support, available, answer >= 0)
        return View(
            position=np.array([self._position], dtype=np.int64),
            task=np.array([self._task], dtype=np.int64),
            features=self._features[None],
            is_open=np.array([not self.n_options]),
            asked=self.asked[None].copy(),
            answered=(answer >= 0)[None],
            answer=answer[None],
            support=support[None],
            available=available[None],
            spent=self._spent.sum(dtype=np.float32)[None],
            budget=np.array([budget], dtype=np.float32),
            n_rounds=np.array([n_rounds], dtype=np.int64),
        )

    def _calibrate(self, support: FloatArray, exists: BoolArray, answered: BoolArray) -> None:
        """Replace counted supports by those from option scores, where there are scores."""
        if not self.n_options:
            return
        scores = np.full((1, *support.shape), np.nan, dtype=np.float32)
        for member, reply in enumerate(self._replies):
            if reply is not None and reply.scores is not None:
                scores[0, member, : len(reply.scores)] = reply.scores
        if np.isnan(scores).all():
            return
        task = np.array([self._task], dtype=np.int64)
        calibrated, known = self._calibration.support(scores, task, exists[None])
        use = known[0] & answered
        support[use] = calibrated[0, use]


def _support(reply: Reply, place: Mapping[str, int], n_slots: int) -> FloatArray:
    """float32[C]: a reply's support of each candidate; from sample counts where none is given."""
    weight = np.zeros(n_slots, dtype=np.float32)
    backed = reply.support or Counter([text for text in reply.samples if text is not None])
    for text, value in backed.items():
        weight[place[text]] = value
    return np.asarray(weight / weight.sum())
