"""One query under way: its board, its deliberation, and the calls that fill them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from rlfocal.errors import MemberError, NobodyAnswered
from rlfocal.live.board import Board, Reply
from rlfocal.live.likeness import alike, text_encoder
from rlfocal.live.synthesis import synthesis_request
from rlfocal.live.trace import Round, Said, Trace
from rlfocal.pool.building import LiveMember
from rlfocal.pool.fan_out import Slot, ask_all
from rlfocal.pool.prompting import Question
from rlfocal.pool.types import Response
from rlfocal.records import BoolArray, FloatArray
from rlfocal.records.samples import agreed
from rlfocal.records.schema import OPTION_LETTERS
from rlfocal.strategies.protocol import View

if TYPE_CHECKING:
    from rlfocal.live.ensemble import Ensemble, LiveQuery

__all__ = ["Answer", "Answering", "Listener"]

_Number = TypeVar("_Number", int, float)


@dataclass(frozen=True)
class Answer:
    """What an ensemble answers."""

    answer: str
    """An option's letter, or an answer as members' answers are compared."""
    text: str
    """For people: the option's text; or the reply, verbatim, of the best member that gave the
    answer; or what the synthesiser made of the replies."""
    confidence: float
    """In [0, 1]: probability that the answer is right, as the strategy reckons."""
    trace: Trace
    streamed: bool = False
    """True where `text` was told piece by piece already."""


@dataclass(frozen=True)
class Listener:
    """Who wants to know what happens meanwhile."""

    on_round: Callable[[Round], None] = lambda _: None
    on_text: Callable[[str], None] | None = None
    """Told of each piece of a reply that is the answer, whatever it says."""


class Answering:
    """One query.

    Args:
        ensemble: who answers.
        query: what is asked.
        board: blank.
        budget: most that is spent, in the strategy's unit.
        listener: is told what happens.
        synthesiser: a member that makes one reply out of several; None for none.
    """

    def __init__(
        self,
        ensemble: Ensemble,
        query: LiveQuery,
        board: Board,
        *,
        budget: float,
        listener: Listener,
        synthesiser: LiveMember | None,
    ) -> None:
        self._ensemble, self._query, self._board = ensemble, query, board
        self._budget, self._listener, self._synthesiser = budget, listener, synthesiser
        self._question = Question(query.prompt, query.choices, query.history)
        self._deliberation = ensemble.deliberation()
        self._view = board.view(n_rounds=0, budget=budget)
        """After the last round."""
        self._replies: dict[int, list[Response]] = {}
        """Member → what it replied, one for each sample."""
        self._failures: dict[str, MemberError] = {}
        self._streamed: int | None = None
        """The member whose reply was told piece by piece."""

    async def run(self, deadline_s: float) -> Answer:
        """Answer it.

        Raises:
            NobodyAnswered: there is nothing to answer.
        """
        clock = asyncio.get_running_loop().time
        ends = clock() + deadline_s
        while (wanted := self._wanted()).any():
            left = ends - clock()
            if left <= 0:
                self._deliberation.trace.stopped = f"the deadline of {deadline_s:g} s is over"
                break
            await self._ask(np.flatnonzero(wanted).tolist(), left)
        answer = self._answer()
        if self._synthesiser is not None and not self._query.choices:
            return await self._synthesised(self._synthesiser, answer, ends - clock())
        return answer

    def _wanted(self) -> BoolArray:
        """bool[N]: whom to ask now."""
        board, spent = self._board, self._view.spent[0]
        wanted = self._deliberation.wanted(self._view)
        if board.asked.all():
            return wanted
        if self._deliberation.n_rounds and spent >= self._budget:
            self._deliberation.trace.stopped = "the budget is spent"
            return np.zeros_like(wanted)
        if not wanted.any() and not board.has_answer:
            # It would answer nothing: then rather whoever is the best of the others.
            ranking = self._ensemble.strategy.ranking.tolist()
            wanted[next(n for n in ranking if not board.asked[n])] = True
        return wanted

    # One round ---------------------------------------------------------------------------------

    async def _ask(self, chosen: Sequence[int], left_s: float) -> None:
        on_text = self._listener.on_text if self._may_stream(chosen) else None
        if on_text is not None:
            self._streamed = chosen[0]
        calls, allowed = {}, {}
        for n in chosen:
            member = self._ensemble.members[n]
            for sample in range(member.settings.samples):
                name = _call(member, sample)
                request = member.request(self._question, sample=sample)
                calls[name] = member.endpoint, replace(request, on_text=on_text)
                allowed[name] = member.timeout_s
        slots = await ask_all(calls, deadline_s=left_s, member_timeout_s=allowed)
        for n in chosen:
            self._take(n, slots)
        self._regroup()
        self._view = view = self._after(self._board)
        said = [self._said(n, view.support[0, n]) for n in chosen]
        self._deliberation.heard(view, said, self._board.candidates)
        self._listener.on_round(self._deliberation.trace.rounds[-1])

    def _may_stream(self, chosen: Sequence[int]) -> bool:
        """True where one member is asked and, whatever it says, nobody would be asked after it.

        Of an option there is nothing to tell but its text, so that is for open questions.
        """
        if self._listener.on_text is None or self._synthesiser is not None or self._query.choices:
            return False
        if len(chosen) > 1 or self._board.has_answer or self._streamed is not None:
            return False  # of two halves of replies nobody could make sense
        if self._ensemble.members[chosen[0]].settings.samples > 1:
            return False
        # What an answer says makes no difference as long as nobody else has given one.
        board = self._board.copy()
        board.put(chosen[0], Reply(("any",), cost=self._least))
        view = self._after(board)
        return not (self._ensemble.strategy.next_members(view) & ~view.asked).any()

    def _after(self, board: Board) -> View:
        """What a board shows after the round under way."""
        return board.view(n_rounds=self._deliberation.n_rounds + 1, budget=self._budget)

    def _take(self, n: int, slots: Mapping[str, Slot]) -> None:
        member = self._ensemble.members[n]
        own = [slots[_call(member, sample)] for sample in range(member.settings.samples)]
        replies = [slot for slot in own if isinstance(slot, Response)]
        if replies:
            self._replies[n] = replies
            self._board.put(n, self._ensemble.graded(member, self._query, replies))
            return
        self._failures[member.name] = next(s for s in own if isinstance(s, MemberError))
        self._board.put(n, None, cost=self._least)

    @property
    def _least(self) -> float:
        """What asking costs whatever comes of it."""
        return 1.0 if self._deliberation.trace.cost_unit == "call" else 0.0

    def _regroup(self) -> None:
        """Where replies are free words, see anew which of them say the same."""
        if not self._ensemble.free_words or self._query.choices or not self._replies:
            return
        texts = [(n, reply.text) for n, replies in self._replies.items() for reply in replies]
        found = alike([text for _, text in texts], text_encoder())
        for n in self._replies:
            own = [k for k, (owner, _) in enumerate(texts) if owner == n]
            backed = found.support[own].mean(axis=0)
            support = {texts[k][1]: float(backed[k]) for k in np.flatnonzero(backed).tolist()}
            samples = tuple(texts[found.stands_for[k]][1] for k in own)
            cost = self._board.cost(n)
            self._board.put(n, Reply(samples, cost=cost, support=support))

    def _said(self, n: int, support: FloatArray) -> Said:
        member, answer = self._ensemble.members[n], self._board.answered(n)
        replies, failure = self._replies.get(n, []), self._failures.get(member.name)
        place = None if answer is None else self._board.candidates.index(answer)
        return Said(
            member=member.name,
            answer=answer,
            support=None if place is None else float(support[place]),
            cost=self._board.cost(n),
            text=self._text_by(n),
            latency_s=max((reply.latency_s for reply in replies), default=None),
            cost_usd=_total([reply.cost_usd for reply in replies]),
            n_prompt_tokens=_total([reply.n_prompt_tokens for reply in replies]),
            n_completion_tokens=_total([reply.n_completion_tokens for reply in replies]),
            failure=None if failure is None else failure.failure.value,
            detail=None if failure is None else str(failure),
        )

    def _text_by(self, n: int) -> str | None:
        """The reply of a member that stands for its answer."""
        reply = self._board.reply(n)
        return None if reply is None else self._replies[n][agreed(reply.samples)].text

    # The end -----------------------------------------------------------------------------------

    def _answer(self) -> Answer:
        trace = self._deliberation.trace
        if trace.answer is None:
            causes = {
                said.member: said.detail or "its reply holds no usable answer"
                for part in trace.rounds
                for said in part.asked
            }
            raise NobodyAnswered(causes, self._failures)
        teller = self._teller(trace.answer)
        if self._query.choices:
            text = self._query.choices[OPTION_LETTERS.index(trace.answer)]
        else:
            text = trace.answer if teller is None else self._text_by(teller) or trace.answer
        streamed = teller is not None and teller == self._streamed
        return Answer(trace.answer, text, trace.confidence, trace, streamed)

    def _teller(self, answer: str) -> int | None:
        """The best member that gave an answer; None where only a sample did."""
        ranking = self._ensemble.strategy.ranking.tolist()
        return next((n for n in ranking if self._board.answered(n) == answer), None)

    async def _synthesised(self, writer: LiveMember, answer: Answer, left_s: float) -> Answer:
        """The answer in the words of a member that has read all replies; as it is if that fails."""
        believed = self._deliberation.trace.rounds[-1].probabilities
        ordered = sorted(
            self._replies, key=lambda n: -believed.get(str(self._board.answered(n)), 0)
        )
        texts = list(dict.fromkeys(text for n in ordered if (text := self._text_by(n))))
        if len(texts) < 2 or left_s <= 0:
            return answer
        request = synthesis_request(writer, self._question, texts)
        call = {writer.name: (writer.endpoint, request)}
        slot = (await ask_all(call, deadline_s=min(left_s, writer.timeout_s)))[writer.name]
        if isinstance(slot, MemberError):
            said = Said(writer.name, None, None, 0.0, failure=slot.failure.value, detail=str(slot))
            answer.trace.synthesis = said
            return answer
        answer.trace.synthesis = Said(
            member=writer.name,
            answer=None,
            support=None,
            cost=self._ensemble.cost_of([slot]),
            text=slot.text,
            latency_s=slot.latency_s,
            cost_usd=slot.cost_usd,
            n_prompt_tokens=slot.n_prompt_tokens,
            n_completion_tokens=slot.n_completion_tokens,
        )
        return replace(answer, text=slot.text)


def _call(member: LiveMember, sample: int) -> str:
    return member.name if member.settings.samples == 1 else f"{member.name}, sample {sample + 1}"


def _total(values: Sequence[_Number | None]) -> _Number | None:
    """The sum; None where there is nothing, or a part of it is not known."""
    known = [value for value in values if value is not None]
    return sum(known[1:], start=known[0]) if known and len(known) == len(values) else None
