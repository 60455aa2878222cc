"""Answer one query with live members: ask in rounds, as the strategy wants, until it has enough.

A member that fails is one that was asked and gave no answer, as in a recorded table. Where the
strategy stops and nobody has answered yet, the best of the others are asked in turn.

Axes: N members.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from rlfocal.errors import ConfigError, MemberError, NobodyAnswered, nearest
from rlfocal.features import encoder
from rlfocal.grading import Grader
from rlfocal.live.board import Board, Reply
from rlfocal.live.trace import Deliberation, Round, Said, Trace
from rlfocal.pool.building import LiveMember, LivePool, unpriced
from rlfocal.pool.fan_out import Slot, ask_all
from rlfocal.pool.prompting import Question
from rlfocal.pool.settings import MemberSettings, PoolSettings
from rlfocal.pool.types import Response
from rlfocal.records import BoolArray, FloatArray
from rlfocal.records.samples import agreed
from rlfocal.records.schema import OPTION_LETTERS
from rlfocal.rl.checkpoint import Checkpoint
from rlfocal.rl.paper.strategy import RlFocalPaper
from rlfocal.rl.parts import Trained

__all__ = ["Answer", "Ensemble", "LiveQuery", "members_for"]

_DEADLINE_S = 600.0


@dataclass(frozen=True)
class LiveQuery:
    """What is asked."""

    prompt: str
    choices: tuple[str, ...] = ()
    """Options of a multiple choice question; empty for an open one."""
    task: str = ""
    """As the training data call it; another one is an unknown task."""


@dataclass(frozen=True)
class Answer:
    """What an ensemble answers."""

    answer: str
    """An option's letter, or an answer as members' answers are compared."""
    text: str
    """For people: the option's text, or the reply of a member that gave the answer, verbatim."""
    confidence: float
    """In [0, 1]: probability that the answer is right, as the strategy reckons."""
    trace: Trace


def members_for(checkpoint: Checkpoint, pool: PoolSettings) -> tuple[MemberSettings, ...]:
    """The members that a checkpoint was trained for, in its order.

    Raises:
        ConfigError: the pool lacks one.
    """
    known = {member.name: member for member in pool.members}
    for name in checkpoint.description.members:
        if name not in known:
            raise ConfigError(
                f"the checkpoint was trained with member '{name}', which the pool lacks; "
                f"{nearest(name, known)}"
            )
    return tuple(known[name] for name in checkpoint.description.members)


class Ensemble:
    """A trained strategy and the members it may ask.

    Args:
        checkpoint: what was trained.
        pool: open, with the checkpoint's members in its order (`members_for`).
        price: of a call, lambda; None for the checkpoint's own.
        answers: kind of answer that open questions have; None for that of the training data.

    Raises:
        ConfigError: other members, a price that the strategy does not know, an unknown kind of
            answer, or a strategy that reckons in dollars with members that nobody has priced.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        pool: LivePool,
        *,
        price: float | None = None,
        answers: str | None = None,
    ) -> None:
        about = checkpoint.description
        names = [member.name for member in pool.members]
        if names != about.members:
            raise ConfigError(
                f"the checkpoint's members are {', '.join(about.members)}; the pool's are "
                f"{', '.join(names)}"
            )
        if about.cost_unit == "usd" and (missing := unpriced(pool.members)):
            raise ConfigError(
                "the checkpoint weighs calls by their dollars, and nobody knows what these members "
                f'cost: {", ".join(missing)}; add [prices."MODEL"] to the pool file'
            )
        self.members: Sequence[LiveMember] = pool.members
        self.strategy = at_price(checkpoint.strategy, price)
        self._checkpoint = checkpoint
        kind = answers or about.answers
        self._grader = Grader("text" if kind in ("", "choice", "score only") else kind)
        self._encode = None if about.encoder is None else encoder(about.encoder)
        self._task = {name: number for number, name in enumerate(about.tasks)}
        self._n_queries = 0

    def board(self, query: LiveQuery, *, position: int = 0) -> Board:
        """A blank board for a query.

        Args:
            query: what is asked.
            position: its place in the stream.

        Raises:
            ConfigError: one option alone, or too many.
        """
        n_options = len(query.choices)
        if n_options == 1 or n_options > len(OPTION_LETTERS):
            raise ConfigError(
                f"{n_options} choices: give 2 to {len(OPTION_LETTERS)}, or none for an open one"
            )
        about = self._checkpoint.description
        features: FloatArray = np.zeros(0, dtype=np.float32)
        if self._encode is not None:
            features = self._encode([query.prompt])[0]
        return Board(
            len(self.members),
            self._checkpoint.calibration,
            task=self._task.get(query.task, len(about.tasks)),
            features=features,
            n_options=n_options,
            n_slots=about.n_candidates,
            position=position,
        )

    def route(self, query: LiveQuery) -> list[str]:
        """Whom the first round would ask; nobody is asked."""
        wanted = self.strategy.next_members(self.board(query).view(n_rounds=0))[0]
        return [self.members[n].name for n in np.flatnonzero(wanted).tolist()]

    async def answer(
        self,
        query: LiveQuery,
        *,
        deadline_s: float = _DEADLINE_S,
        budget: float = math.inf,
        on_round: Callable[[Round], None] | None = None,
    ) -> Answer:
        """Answer a query.

        Args:
            query: what is asked.
            deadline_s: seconds for all rounds together; at the end of them the best answer so far
                is given.
            budget: once this much is spent, in the strategy's unit, nobody else is asked.
            on_round: told of every round.

        Raises:
            NobodyAnswered: every member failed, or none of the replies held an answer.
            ConfigError: the query cannot be asked.
        """
        board = self.board(query, position=self._n_queries)
        self._n_queries += 1
        return await _Answering(self, query, board, budget, on_round).run(deadline_s)

    # What one reply comes to -------------------------------------------------------------------

    def graded(self, member: LiveMember, query: LiveQuery, replies: Sequence[Response]) -> Reply:
        """From a member's replies, one for each sample, to what a board takes."""
        row = {"query_id": "", "choices": list(query.choices) or None, "label": None}
        grades = [self._grader.grade(row, member.settings, reply) for reply in replies]
        answers = tuple(grade.answer for grade in grades)
        scores = grades[agreed(answers)].choice_scores
        return Reply(answers, self._cost(replies), scores)

    def _cost(self, replies: Sequence[Response]) -> float:
        unit = self._checkpoint.description.cost_unit
        if unit == "usd":
            return sum(reply.cost_usd or 0.0 for reply in replies)
        return 1.0 if unit == "call" else float(np.mean([reply.latency_s for reply in replies]))

    def deliberation(self) -> Deliberation:
        """A new one."""
        about = self._checkpoint.description
        return Deliberation(self.strategy, about.members, about.cost_unit)


class _Answering:
    """One query under way."""

    def __init__(
        self,
        ensemble: Ensemble,
        query: LiveQuery,
        board: Board,
        budget: float,
        on_round: Callable[[Round], None] | None,
    ) -> None:
        self._ensemble, self._query, self._budget = ensemble, query, budget
        self._tell = on_round or (lambda _: None)
        self._board = board
        self._deliberation = ensemble.deliberation()
        self._texts: dict[int, str] = {}
        """Member → the reply that stands for its answer."""
        self._failures: dict[str, MemberError] = {}

    async def run(self, deadline_s: float) -> Answer:
        clock = asyncio.get_running_loop().time
        ends = clock() + deadline_s
        while True:
            wanted = self._wanted()
            if not wanted.any():
                break
            left = ends - clock()
            if left <= 0:
                self._deliberation.trace.stopped = f"the deadline of {deadline_s:g} s is over"
                break
            await self._ask(np.flatnonzero(wanted).tolist(), left)
        return self._answer()

    def _wanted(self) -> BoolArray:
        """bool[N]: whom to ask now."""
        board, n_rounds = self._board, self._deliberation.n_rounds
        view = board.view(n_rounds=n_rounds, budget=self._budget)
        wanted = self._deliberation.wanted(view)
        if board.asked.all():
            return wanted
        if n_rounds and view.spent[0] >= self._budget:
            self._deliberation.trace.stopped = "the budget is spent"
            return np.zeros_like(wanted)
        if not wanted.any() and not board.has_answer:
            ranking = self._ensemble.strategy.ranking
            wanted[next(n for n in ranking.tolist() if not board.asked[n])] = True
        return wanted

    async def _ask(self, chosen: Sequence[int], left_s: float) -> None:
        question = Question(self._query.prompt, self._query.choices)
        calls, allowed = {}, {}
        for n in chosen:
            member = self._ensemble.members[n]
            for sample in range(member.settings.samples):
                name = _call(member, sample)
                calls[name] = member.endpoint, member.request(question, sample=sample)
                allowed[name] = member.timeout_s
        slots = await ask_all(calls, deadline_s=left_s, member_timeout_s=allowed)
        for n in chosen:
            self._put(n, slots)
        board = self._board
        view = board.view(n_rounds=self._deliberation.n_rounds + 1, budget=self._budget)
        said = [self._said(n, slots, view.support[0, n]) for n in chosen]
        self._deliberation.heard(view, said, board.candidates)
        self._tell(self._deliberation.trace.rounds[-1])

    def _put(self, n: int, slots: Mapping[str, Slot]) -> None:
        member = self._ensemble.members[n]
        replies = _replies(member, slots)
        if not replies:
            self._failures[member.name] = _failure(member, slots)
            failed_cost = 1.0 if self._deliberation.trace.cost_unit == "call" else 0.0
            self._board.put(n, None, cost=failed_cost)
            return
        reply = self._ensemble.graded(member, self._query, replies)
        self._board.put(n, reply)
        self._texts[n] = replies[agreed(reply.samples)].text

    def _said(self, n: int, slots: Mapping[str, Slot], support: FloatArray) -> Said:
        member, answer = self._ensemble.members[n], self._board.answered(n)
        replies, failure = _replies(member, slots), self._failures.get(member.name)
        backed = None if answer is None else self._board.candidates.index(answer)
        return Said(
            member=member.name,
            answer=answer,
            support=None if backed is None else float(support[backed]),
            cost=self._board.cost(n),
            text=self._texts.get(n),
            latency_s=max((reply.latency_s for reply in replies), default=None),
            failure=None if failure is None else failure.failure.value,
            detail=None if failure is None else str(failure),
        )

    def _answer(self) -> Answer:
        trace = self._deliberation.trace
        if trace.answer is None:
            causes = {
                said.member: said.detail or "its reply holds no usable answer"
                for part in trace.rounds
                for said in part.asked
            }
            raise NobodyAnswered(causes, self._failures)
        return Answer(trace.answer, self._text_of(trace.answer), trace.confidence, trace)

    def _text_of(self, answer: str) -> str:
        if self._query.choices:
            return self._query.choices[OPTION_LETTERS.index(answer)]
        gave = [n for n in self._texts if self._board.answered(n) == answer]
        ranking = self._ensemble.strategy.ranking.tolist()
        best = min(gave, key=ranking.index, default=None)
        return answer if best is None else self._texts[best]


def at_price(strategy: Trained, price: float | None) -> Trained:
    """The strategy at another price of a call; None for its own.

    Raises:
        ConfigError: it has no price, or was not trained for this one.
    """
    if price is None:
        return strategy
    if isinstance(strategy, RlFocalPaper):
        raise ConfigError(f"price: {strategy.name} has no price of a call")
    try:
        return strategy.at(price)
    except ValueError as exc:
        raise ConfigError(f"price: {exc}") from exc


def _call(member: LiveMember, sample: int) -> str:
    return member.name if member.settings.samples == 1 else f"{member.name}, sample {sample + 1}"


def _slots(member: LiveMember, slots: Mapping[str, Slot]) -> list[Slot]:
    return [slots[_call(member, sample)] for sample in range(member.settings.samples)]


def _replies(member: LiveMember, slots: Mapping[str, Slot]) -> list[Response]:
    return [slot for slot in _slots(member, slots) if isinstance(slot, Response)]


def _failure(member: LiveMember, slots: Mapping[str, Slot]) -> MemberError:
    return next(slot for slot in _slots(member, slots) if isinstance(slot, MemberError))
