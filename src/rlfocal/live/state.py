"""The state of one query: which members were asked and what they replied, shown as a `View`.

The rules are those by which `build_table` and `reveal` show a recorded query: the same replies make
the same view. The state holds replies only, so that nothing can leak.

Axes: N members, C candidate slots, T tasks.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Self

import numpy as np

from rlfocal.deliberation.view import View
from rlfocal.pool.types import Response
from rlfocal.readers import Reads
from rlfocal.records import Calibration, FloatArray
from rlfocal.records.samples import agreed
from rlfocal.records.schema import OPTION_LETTERS
from rlfocal.records.signals import Replies, ReplyStore

__all__ = ["Faulty", "QueryState", "Reply"]


class Faulty(NamedTuple):
    """Calls that break what their functions ask for."""

    answer: str
    """As calls are compared."""
    fault: str
    """In what they break it, in words."""
    sample: int
    """Which of a member's samples they are."""


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
    seen: ReplyStore | None = None
    """The typical sample, as signals read it; None where they cannot."""
    verdicts: tuple[int | None, ...] | None = None
    """Of a judge: which of the replies shown each sample named, as `Grade.verdict`."""
    given: tuple[Response, ...] | None = None
    """The samples as they are given on, where that is not as they came: calls of tools."""
    faulty: Faulty | None = None
    """Calls that are no answer, since they break what their functions ask for."""
    typical: int = field(init=False)
    """The sample that stands for all: the first that gave the most frequent answer."""
    answer: str | None = field(init=False)
    """The most frequent one."""

    def __post_init__(self) -> None:
        typical = agreed(self.samples) if len(self.samples) > 1 else 0
        object.__setattr__(self, "typical", typical)
        object.__setattr__(self, "answer", self.samples[typical])


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
        budget: most that may be spent.
        reads: who reads whom; None where nobody does.
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
        budget: float = np.inf,
        reads: Reads | None = None,
    ) -> None:
        self._calibration, self._task, self._features = calibration, task, features
        self._position, self.budget, self._reads = position, budget, reads
        self.n_options, self._n_slots = n_options, max(n_options, n_slots)
        self.n_rounds = 0
        """Turns of the strategy so far, one under way included."""
        self.replies: list[Reply | None] = [None] * n_members
        """[N]: None where a member was not asked, or failed."""
        self.asked = np.zeros(n_members, dtype=bool)
        """bool[N]."""
        self.spent = np.zeros(n_members, dtype=np.float32)
        """float32[N]: what asking each member has cost."""
        self.candidates = tuple(OPTION_LETTERS[:n_options])
        """Candidates as the view numbers them: options' letters, or answers given, by their texts.
        An answer that only a sample gave is one, too."""
        self.has_answer = False
        """True once a member has given a usable answer."""

    def put(self, member: int, reply: Reply | None, *, cost: float = 0.0) -> None:
        """Record the outcome of asking a member.

        Args:
            member: 0..N - 1.
            reply: None where it failed.
            cost: what the failure cost.
        """
        self.asked[member] = True
        self.replies[member] = reply
        self.spent[member] = cost if reply is None else reply.cost
        given = set[str]()
        for other in self.replies:
            if other is not None and other.answer is not None:
                given.add(other.answer)
                if len(other.samples) > 1:
                    given.update([text for text in other.samples if text is not None])
        self.has_answer = bool(given)
        if not self.n_options:
            self.candidates = tuple(sorted(given))

    def copy(self) -> Self:
        """A copy that can be changed without changing this one."""
        other = copy.copy(self)
        other.replies, other.spent = self.replies.copy(), self.spent.copy()
        other.asked = self.asked.copy()
        return other

    def answer(self, member: int) -> str | None:
        """The answer of a member; None where it was not asked, failed, or gave none."""
        reply = self.replies[member]
        return None if reply is None else reply.answer

    def first_answer(self, members: Sequence[int]) -> tuple[str | None, float]:
        """The answer of the first of these members that gave one, and its support of it."""
        view = self.view()
        for n in members:
            if (answer := self.answer(n)) is not None:
                return answer, float(view.support[0, n, view.answer[0, n]])
        return None, 0.0

    def view(self) -> View:
        """What a strategy sees, as one row."""
        place = {}
        for slot, name in enumerate(self.candidates):
            place[name] = slot
        n_members, n_slots = len(self.replies), max(self._n_slots, len(place))
        answer = np.full(n_members, -1, dtype=np.int16)
        support = np.zeros((n_members, n_slots), dtype=np.float32)
        has_scores = False
        for member, reply in enumerate(self.replies):
            if reply is None or reply.answer is None:
                continue
            answer[member] = place[reply.answer]
            weight = support[member]
            if reply.support:
                for text, value in reply.support.items():
                    weight[place[text]] = value
            else:
                for sample in reply.samples:
                    if sample is not None:
                        weight[place[sample]] += 1
            weight /= weight.sum()
            has_scores = has_scores or reply.scores is not None
        available = np.arange(n_slots) < len(place)
        if has_scores and self.n_options:
            self._calibrate(support, available)
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
            spent=self.spent.sum(dtype=np.float32)[None],
            budget=np.array([self.budget], dtype=np.float32),
            n_rounds=np.array([self.n_rounds], dtype=np.int64),
            ready=None if self._reads is None else self._reads.ready(self.asked[None]),
            replies=self._seen(),
        )

    def _seen(self) -> Replies | None:
        """The replies, as one row; None before one can be read."""
        stores = [(n, r.seen) for n, r in enumerate(self.replies) if r is not None and r.seen]
        if not stores:
            return None
        parts = [Replies(store, np.zeros((1, 1), dtype=np.int64)) for _, store in stores]
        place = np.full((1, len(self.replies)), -1, dtype=np.int64)
        place[0, [n for n, _ in stores]] = np.arange(len(stores))
        return Replies.concat(parts).at(place)

    def _calibrate(self, support: FloatArray, exists: np.ndarray) -> None:
        """Replace counted supports by those from option scores, where there are scores."""
        scores = np.full((1, *support.shape), np.nan, dtype=np.float32)
        for member, reply in enumerate(self.replies):
            if reply is not None and reply.answer is not None and reply.scores is not None:
                scores[0, member, : len(reply.scores)] = reply.scores
        task = np.array([self._task], dtype=np.int64)
        calibrated, known = self._calibration.support(scores, task, exists[None])
        support[known[0]] = calibrated[0, known[0]]
