"""Answer one query: run its deliberation over calls to live members."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from rlfocal.deliberation.trace import Deliberation
from rlfocal.errors import NobodyAnswered
from rlfocal.live.aside import aside
from rlfocal.live.calls import as_many_call
from rlfocal.live.early_stop import is_last, outcome_is_fixed
from rlfocal.live.given.alternatives import alternatives, voices
from rlfocal.live.given.answer import Answer, Limits, Listener
from rlfocal.live.given.synthesis import in_words_of, synthesis
from rlfocal.live.reading import FREE_WORDS, Reader, shares_out, speaks
from rlfocal.live.replies import Replies
from rlfocal.live.similarity import fetch_text_encoder
from rlfocal.live.state import QueryState
from rlfocal.live.turns import Turns
from rlfocal.live.unlike import lowered
from rlfocal.pool.asking.passed_back import given_back
from rlfocal.pool.asking.question import Question
from rlfocal.pool.building import LiveMember
from rlfocal.pool.fan_out import Slot, ask_all
from rlfocal.pool.types import Finish, Request
from rlfocal.pool.wrappers.text_relay import TextRelay
from rlfocal.pool.wrappers.unsettled import Bill, billed
from rlfocal.readers import Reads
from rlfocal.records import BoolArray
from rlfocal.records.schema import OPTION_LETTERS
from rlfocal.toolcalls import NO_CALL

__all__ = ["Answering"]

_LEAST_BUDGET = 1e-30
_STOP: Finish = "stop"


class Answering:
    """The answering of one query.

    Args:
        deliberation: new.
        members: those that may be asked.
        ranking: of the members, the best first.
        reader: finds the answers in their replies.
        question: what is asked.
        new_state: makes the state of the query from the most that may be spent; encodes its text.
        synthesiser: a member that makes one reply out of several; None for none.
        unlike: says in what a prompt is unlike those of training, see `Unlike`; None for a question
            that is taken for one of them.
        reads: who of the members reads whom; None where nobody does.
        kept: members that are asked first in place of others, see `Deliberation.first`.
        asks_on: whether words that lead have to be said by most, see `as_many_call`.
    """

    _state: QueryState
    _bill: Bill

    def __init__(
        self,
        deliberation: Deliberation,
        members: Sequence[LiveMember],
        ranking: Sequence[int],
        reader: Reader,
        question: Question,
        new_state: Callable[[float], QueryState],
        *,
        synthesiser: LiveMember | None,
        unlike: Callable[[str], str] | None = None,
        reads: Reads | None = None,
        kept: Sequence[int] = (),
        asks_on: bool = False,
    ) -> None:
        self._deliberation, self._members, self._ranking = deliberation, members, ranking
        self._reader, self._question, self._synthesiser = reader, question, synthesiser
        self._new_state, self._unlike, self._kept, self._asks_on = new_state, unlike, kept, asks_on
        self.trace = deliberation.trace
        """What has happened so far, whatever comes of it."""
        self._is_open = self.trace.kind not in ("choice", "tools")
        self._reads = deliberation.strategy.reads_replies
        self._least = 1.0 if reader.cost_unit == "call" else 0.0
        self._replies = Replies(
            members, reader, question, self.trace.kind, least=self._least, are_seen=self._reads
        )
        self._turns = Turns(members, ranking, question, self._replies, reads, logprobs=self._reads)
        self._is_over = False
        self._streamed: int | None = None
        """The member whose reply was streamed to the listener."""
        self._has_streamed = False
        """True once some of its text has been passed on."""

    async def run(
        self,
        deadline_s: float,
        *,
        limits: Limits = Limits(),  # noqa: B008 (frozen)
        listener: Listener = Listener(),  # noqa: B008 (frozen)
    ) -> Answer:
        """Answer it, once.

        Args:
            deadline_s: seconds for all rounds together; at the end of them the best answer so far
                is given.
            limits: on spending and waiting.
            listener: callbacks for rounds and, where one member is enough, for its text.

        Raises:
            NobodyAnswered: there is nothing to answer.
            ConfigError: one option alone, or too many.
        """
        clock = asyncio.get_running_loop().time
        ends = clock() + deadline_s
        self._limits, self._listener = limits, listener
        # A member is asked in the first round, however little may be spent.
        budget = max(limits.budget, _LEAST_BUDGET)
        self._state = await aside(len(self._question.prompt), self._new_state, budget)
        if self._unlike is not None:
            prompt = self._question.prompt
            self.trace.unlike = await aside(len(prompt), self._unlike, prompt)
        if self.trace.unlike:
            self._replies.assume_no_kind()
        if self._replies.in_free_words:
            self.trace.kind = FREE_WORDS
            fetch_text_encoder()  # it is there by the time replies are
        with billed() as self._bill:
            try:
                if skipped := self._turns.pass_over_unavailable(self._state):
                    self.trace.circuit_open = skipped
                    self._deliberation.go_on_alone()
                wanted = self._deliberation.first(self._state.view(), self._kept)
                while not self._is_over and self._begins(wanted):
                    wanted = await self._take_turn(wanted, deadline_s, ends)
                return await self._synthesised(self._answer(), ends - clock())
            finally:
                self.trace.settle(self._bill.paid_usd, self._bill.unsettled_usd)

    # One turn ----------------------------------------------------------------------------------

    def _begins(self, wanted: BoolArray) -> bool:
        """Whether there is another turn.

        Args:
            wanted: bool[N], members that the strategy wants to ask; where there is nothing to
                return yet, somebody is added.
        """
        state, trace = self._state, self.trace
        if not state.asked.all():
            if trace.rounds and state.spent.sum(dtype=np.float32) >= state.budget:
                trace.stopped = "the budget is spent"
                return False
            if not (wanted.any() or state.has_answer):
                # There would be nothing to return: ask the best of the members not asked yet.
                wanted[next(n for n in self._ranking if not state.asked[n])] = True
        return bool(wanted.any())

    async def _take_turn(self, wanted: BoolArray, deadline_s: float, ends: float) -> BoolArray:
        """Ask whom the strategy wants, and before them, in stages, whom they read.

        Returns:
            bool[N], members that it wants to ask next.
        """
        clock, state, turns = asyncio.get_running_loop().time, self._state, self._turns
        if not self._has_time(deadline_s, ends - clock()):
            return wanted
        left_usd = self._limits.max_usd - self._bill.most_usd
        left: BoolArray | None = turns.affordable(wanted, state, left_usd)
        if left is None:
            self.trace.stopped = f"another call could pass {self._limits.max_usd:g} dollars"
            self._is_over = True
        else:
            state.n_rounds += 1
        while left is not None:
            left_s = ends - clock()
            if not self._has_time(deadline_s, left_s):
                break
            now, later = turns.split(left, state.asked)
            if later is not None:  # those who read what comes now are left as much time
                left_s /= turns.n_stages(left, state.asked)
            calls, unread = turns.calls(now, state)
            self.trace.nothing_to_read += unread
            wanted, left = await self._ask(calls, later, left_s)
            if self._listener.is_final and self._has_streamed:
                self._is_over = True
                break
        return wanted

    def _has_time(self, deadline_s: float, left_s: float) -> bool:
        if left_s > 0:
            return True
        self.trace.stopped = f"the deadline of {deadline_s:g} s is over"
        self._is_over = True
        return False

    async def _ask(
        self, chosen: Mapping[int, list[Request]], later: BoolArray | None, left_s: float
    ) -> tuple[BoolArray, BoolArray | None]:
        """Run a round.

        Args:
            chosen: member → what it is sent.
            later: bool[N], members of this turn that are asked after it; None for none.
            left_s: seconds for it.

        Returns:
            bool[N], the members to ask next, which counts at the end of the turn only; and `later`,
            or None where they are not needed any more.
        """
        state, listener, replies = self._state, self._listener, self._replies
        came = await self._sent(chosen, later, left_s) if chosen else {}
        await replies.take(came, state, verbatim=self._has_streamed)
        if replies.failures:
            self._deliberation.go_on_alone()
        left = [] if later is None else np.flatnonzero(later).tolist()
        settled = bool(left) and self._limits.early and self._is_settled(state, left)
        if settled:
            for n in left:
                state.put(n, None)
            later = None
        view = state.view()
        records = [replies.record(n, state, view) for n in chosen]
        wanted = self._deliberation.record_round(
            view,
            records,
            state.candidates,
            passed_over=replies.passed_over(state.candidates),
            goes_on=later is not None,
        )
        if self._asks_on and later is None and not wanted.any() and self.trace.answer == NO_CALL:
            wanted = self._another() if as_many_call(state.replies) else wanted
        if settled:
            self.trace.stopped = "it has enough"
        if records and listener.on_round is not None:
            listener.on_round(self.trace.rounds[-1])
        return wanted, later

    def _another(self) -> BoolArray:
        """bool[N]: the best member that has not been asked, and reads nobody."""
        asked, members = self._state.asked, self._members
        left = [n for n in self._ranking if not (asked[n] or members[n].settings.reads)]
        self.trace.asked_on |= bool(left)
        return np.isin(np.arange(len(asked)), left[:1])

    async def _sent(
        self, chosen: Mapping[int, list[Request]], later: BoolArray | None, left_s: float
    ) -> dict[int, list[Slot]]:
        """Member → what became of its calls."""
        on_text: TextRelay | None = None
        listener = self._listener
        if later is None and listener.on_text is not None and self._may_stream(list(chosen)):
            on_text = TextRelay(listener.on_text)
            self._streamed = next(iter(chosen))
        calls, allowed, names = {}, {}, dict[int, list[str]]()
        for n, requests in chosen.items():
            member, names[n] = self._members[n], []
            for k, request in enumerate(requests):
                name = member.name if len(requests) == 1 else f"{member.name}, sample {k + 1}"
                sent = request if on_text is None else replace(request, on_text=on_text)
                calls[name], allowed[name] = (member.endpoint, sent), member.timeout_s
                names[n].append(name)
        early = self._limits.early and len(chosen) > 1
        started = time.perf_counter()
        slots = await ask_all(
            calls,
            deadline_s=left_s,
            member_timeout_s=allowed,
            enough=partial(self._outcome_is_fixed, names, later) if early else None,
        )
        self.trace.members_s += time.perf_counter() - started
        if on_text is not None:
            self._has_streamed = on_text.started
        return {n: [slots[name] for name in own] for n, own in names.items()}

    def _outcome_is_fixed(
        self,
        names: Mapping[int, Sequence[str]],
        later: BoolArray | None,
        slots: Mapping[str, Slot],
    ) -> bool:
        if self._replies.compares_together:
            return False  # answers are grouped only once all replies are there
        state = self._state.copy()
        pending = [] if later is None else np.flatnonzero(later).tolist()
        for n, own in names.items():
            came = [slots[name] for name in own if name in slots]
            # Reading a long reply here would block the event loop.
            if len(came) < len(own) or not self._replies.try_out(n, came, state):
                pending.append(n)
        return self._is_settled(state, pending)

    def _is_settled(self, state: QueryState, pending: Sequence[int]) -> bool:
        """True where no reply of those who are left could change the outcome."""
        if self._replies.compares_together:
            return False
        shares = any(shares_out(self._members[n]) for n in pending)
        return outcome_is_fixed(self._deliberation.strategy, state, pending, shares=shares)

    def _may_stream(self, chosen: Sequence[int]) -> bool:
        """True where one member is asked and no other would be asked after it, whatever it says.

        Only replies to open questions are streamed: of a choice the answer is the option's text,
        and a call of tools is no text.
        """
        if self._synthesiser is not None or not self._is_open:
            return False
        if len(chosen) > 1 or self._streamed is not None:
            return False
        member = self._members[chosen[0]]
        if self._state.has_answer and not member.settings.reads:
            return False  # the client would receive parts of two replies
        if member.settings.samples > 1 or not speaks(member):
            return False
        return is_last(self._deliberation.strategy, self._state, chosen[0], cost=self._least)

    # The end -----------------------------------------------------------------------------------

    def _settle(self) -> str:
        """The answer that is given, which the trace says then, too.

        Raises:
            NobodyAnswered: there is none.
        """
        trace, state, broken = self.trace, self._state, False
        if self._listener.is_final and self._has_streamed and self._streamed is not None:
            # What was passed on of a reply cannot be taken back.
            broken = state.replies[self._streamed] is None
            trace.answer = state.answer(self._streamed) or trace.answer
        if trace.answer is None and trace.readers:
            # It follows one reader, who gave none: then the best of those who were read.
            trace.answer, trace.confidence = state.first_answer(self._ranking)
        if trace.kind == "tools" and not state.has_answer:
            # Clients tell models what was wrong with a call; they cannot without one.
            trace.answer, trace.confidence = self._replies.faulty(self._ranking, state), 0.0
        # Fusion gives options probabilities even without any answer, but that is a guess.
        if broken or trace.answer is None or not state.has_answer:
            trace.answer, trace.confidence = None, 0.0
            causes = {name: str(self._replies.failures[name]) for name in trace.circuit_open} | {
                call.member: call.detail or "its reply holds no usable answer"
                for call in trace.calls
            }
            raise NobodyAnswered(causes, self._replies.failures)
        return trace.answer

    def _answer(self) -> Answer:
        trace, state, choices = self.trace, self._state, self._question.choices
        given = self._settle()
        if self._replies.unfit:
            trace.kind = FREE_WORDS
            trace.unlike = trace.unlike or f"unlike the training queries: {self._replies.unfit}"
        believed = self._deliberation.believed
        if trace.unlike:
            trace.learned_confidence = trace.confidence
            lower = partial(lowered, in_free_words=self._replies.in_free_words)
            trace.confidence = lower(trace.confidence)
            believed = {name: lower(p) for name, p in believed.items()}
        text = choices[OPTION_LETTERS.index(given)] if choices else given
        first = [] if self._streamed is None else [self._streamed]  # what was passed on is it
        members, tools = self._members, self._question.has_tools
        ranking = (*first, *self._ranking)
        found = voices(members, ranking, self._replies, state, in_samples=tools)
        if given not in found:  # only a sample gave it
            return Answer(given, text, trace.confidence, trace)
        n, speaker, reply = found[given]
        finish = _STOP
        calls, beside = given_back(reply, members[speaker].name)
        if calls:
            text = reply.text
        if not choices:
            text, finish = reply.text or text, reply.finish
        return Answer(
            given, text, trace.confidence, trace,
            streamed=n == self._streamed, finish=finish, tool_calls=calls, beside=beside,
            alternatives=alternatives(given, found, believed, members) if tools else (),
        )  # fmt: skip

    async def _synthesised(self, answer: Answer, left_s: float) -> Answer:
        """Rewrite the answer by a member that reads all replies; unchanged if that fails."""
        writer = self._synthesiser
        if writer is None or not self._is_open or left_s <= 0:
            return answer
        if self._question.has_images and not writer.takes_images:
            return answer
        texts = self._replies.texts(self.trace.rounds[-1].probabilities, self._state)
        if len(texts) < 2:
            return answer
        left_usd = self._limits.max_usd - self._bill.most_usd
        slot = await synthesis(writer, self._question, texts, left_s=left_s, left_usd=left_usd)
        if slot is None:
            return answer
        told, self.trace.synthesis = in_words_of(writer.name, slot, answer, self._reader.cost_of)
        return told
