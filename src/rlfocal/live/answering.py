"""Answer one query: run its deliberation over calls to live members."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from rlfocal.deliberation.replay import decided
from rlfocal.deliberation.trace import CallRecord, Deliberation, Round, Trace
from rlfocal.deliberation.view import View
from rlfocal.errors import MemberError, NobodyAnswered
from rlfocal.live.early_stop import outcome_is_fixed
from rlfocal.live.query import LiveQuery
from rlfocal.live.reading import Reader
from rlfocal.live.replies import Replies, call_names, record_of
from rlfocal.live.state import QueryState, Reply
from rlfocal.live.synthesis import synthesis_request
from rlfocal.pool.building import LiveMember
from rlfocal.pool.fan_out import Slot, ask_all
from rlfocal.pool.types import Request, Response
from rlfocal.pool.wrappers.text_relay import TextRelay
from rlfocal.pool.wrappers.unsettled import Bill, billed
from rlfocal.records import BoolArray
from rlfocal.records.schema import OPTION_LETTERS

__all__ = ["Answer", "Answering", "Limits", "Listener"]

_LEAST_BUDGET = 1e-30


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
    """True where `text` was passed to the listener as it came."""
    reply: Response | None = None
    """What the best member that gave the answer replied; None where only a sample did."""
    member: str | None = None
    """That member's name."""


@dataclass(frozen=True)
class Listener:
    """Callbacks for what happens while a query is answered."""

    on_round: Callable[[Round], None] = lambda _: None
    on_text: Callable[[str], None] | None = None
    """Called with each piece of a reply that will be the answer, whatever it says."""
    is_final: bool = False
    """True where text that was passed on cannot be taken back: if that reply breaks off, no other
    member is asked."""


@dataclass(frozen=True)
class Limits:
    """What answering one query may take."""

    budget: float = math.inf
    """Once this much is spent, in the strategy's unit, no other member is asked."""
    max_usd: float = math.inf
    """A call that could pass this sum of dollars is not made."""
    early: bool = False
    """Whether to stop waiting for members whose replies can no longer change the answer."""


class Answering:
    """The answering of one query.

    Args:
        deliberation: new.
        members: those that may be asked.
        ranking: of the members, the best first.
        reader: finds the answers in their replies.
        query: what is asked.
        state: of a query of which no member has been asked.
        limits: on spending and waiting.
        listener: its callbacks are called as the query is answered.
        synthesiser: a member that makes one reply out of several; None for none.
    """

    def __init__(
        self,
        deliberation: Deliberation,
        members: Sequence[LiveMember],
        ranking: Sequence[int],
        reader: Reader,
        query: LiveQuery,
        state: QueryState,
        *,
        limits: Limits,
        listener: Listener,
        synthesiser: LiveMember | None,
    ) -> None:
        self._deliberation, self._members, self._ranking = deliberation, members, ranking
        self._reader, self._query, self._state = reader, query, state
        self._limits, self._listener, self._synthesiser = limits, listener, synthesiser
        self.trace = deliberation.trace
        """What has happened so far, whatever comes of it."""
        self._least = 1.0 if reader.cost_unit == "call" else 0.0
        self._replies = Replies(members, reader, query, least=self._least)
        # A member is asked in the first round, however little may be spent.
        self._budget = max(limits.budget, _LEAST_BUDGET)
        self._view = state.view(n_rounds=0, budget=self._budget)
        """After the last round."""
        self._streamed: int | None = None
        """The member whose reply was streamed to the listener."""
        self._relay: TextRelay | None = None
        self._bill = Bill()

    async def run(self, deadline_s: float) -> Answer:
        """Answer it.

        Raises:
            NobodyAnswered: there is nothing to answer.
        """
        with billed() as self._bill:
            try:
                return await self._run(deadline_s)
            finally:
                self.trace.settle(self._bill.paid_usd, self._bill.unsettled_usd)

    async def _run(self, deadline_s: float) -> Answer:
        clock = asyncio.get_running_loop().time
        ends = clock() + deadline_s
        self._pass_over_unavailable()
        wanted = self._completed(self._deliberation.first(self._view))
        while wanted.any():
            left = ends - clock()
            if left <= 0:
                self.trace.stopped = f"the deadline of {deadline_s:g} s is over"
                break
            calls = self._affordable(wanted)
            if not calls:
                self.trace.stopped = f"another call could pass {self._limits.max_usd:g} dollars"
                break
            wanted = await self._ask(calls, left)
            if self._listener.is_final and self._relay is not None and self._relay.started:
                break
            wanted = self._completed(wanted)
        answer = self._answer()
        if self._synthesiser is None or self._query.choices or self._query.has_tools:
            return answer
        if self._query.has_images and not self._synthesiser.takes_images:
            return answer
        return await self._synthesised(self._synthesiser, answer, ends - clock())

    def _pass_over_unavailable(self) -> None:
        """Count members with an open circuit as asked and failed, at no cost, without calling them.

        So are members that take no images, where the query holds images.
        """
        images, skipped = self._query.has_images, []
        for n, member in enumerate(self._members):
            takes_none = images and not member.takes_images
            if takes_none or member.circuit_is_open:
                self._state.put(n, None)
                self._replies.not_asked(n, takes_no_images=takes_none)
                skipped.append(member.name)
        if skipped:
            self.trace.circuit_open = skipped
            self._deliberation.go_on_alone()
            self._view = self._state.view(n_rounds=0, budget=self._budget)

    def _completed(self, wanted: BoolArray) -> BoolArray:
        """bool[N]: members to ask now; none once the budget is spent, one while there is no answer.

        Args:
            wanted: bool[N], members that the strategy wants to ask.
        """
        state = self._state
        if state.asked.all():
            return wanted
        if self._deliberation.n_rounds and self._view.spent[0] >= self._budget:
            self.trace.stopped = "the budget is spent"
            return np.zeros_like(wanted)
        if not wanted.any() and not state.has_answer:
            # There would be nothing to return: ask the best of the members not asked yet.
            wanted[next(n for n in self._ranking if not state.asked[n])] = True
        return wanted

    # One round ---------------------------------------------------------------------------------

    def _requests(self, n: int) -> list[Request]:
        member = self._members[n]
        samples = range(member.settings.samples)
        return [member.request(self._query, sample=sample) for sample in samples]

    def _affordable(self, wanted: BoolArray) -> dict[int, list[Request]]:
        """Members and what they are sent, as far as the money reaches for certain."""
        chosen = np.flatnonzero(wanted).tolist()
        if math.isinf(self._limits.max_usd):
            return {n: self._requests(n) for n in chosen}
        calls = self._within(chosen)
        if not calls and not self._state.has_answer:
            # There is no answer yet: ask the best member that the budget allows.
            others = [n for n in self._ranking if not self._state.asked[n]]
            calls = dict(list(self._within(others).items())[:1])
        return calls

    def _within(self, members: Sequence[int]) -> dict[int, list[Request]]:
        left = self._limits.max_usd - self._bill.most_usd
        calls = {}
        for n in members:
            requests = self._requests(n)
            most = [self._members[n].most_usd(request) for request in requests]
            usd = sum(math.inf if part is None else part for part in most)
            if usd <= left:
                calls[n] = requests
                left -= usd
        return calls

    async def _ask(self, chosen: Mapping[int, list[Request]], left_s: float) -> BoolArray:
        """Run a round; returns bool[N], the members to ask next."""
        on_text = None
        if self._listener.on_text is not None and self._may_stream(list(chosen)):
            on_text = self._relay = TextRelay(self._listener.on_text)
            self._streamed = next(iter(chosen))
        calls, allowed, names = {}, {}, {}
        for n, requests in chosen.items():
            member = self._members[n]
            names[n] = call_names(member)
            for name, request in zip(names[n], requests, strict=True):
                sent = request if on_text is None else replace(request, on_text=on_text)
                calls[name] = member.endpoint, sent
                allowed[name] = member.timeout_s
        early = self._limits.early and len(chosen) > 1
        started = time.perf_counter()
        slots = await ask_all(
            calls,
            deadline_s=left_s,
            member_timeout_s=allowed,
            enough=partial(self._outcome_is_fixed, names) if early else None,
        )
        self.trace.members_s += time.perf_counter() - started
        for n, own in names.items():
            await self._replies.put(n, [slots[name] for name in own], self._state)
        if self._relay is not None and self._relay.started:
            self._replies.take_as_said()
        await self._replies.regroup(self._state)
        if self._replies.failures:
            self._deliberation.go_on_alone()
        self._view = view = self._after(self._state)
        records = [self._replies.record(n, self._state, view) for n in chosen]
        wanted = self._deliberation.record_round(view, records, self._state.candidates)
        self._listener.on_round(self.trace.rounds[-1])
        return wanted

    def _outcome_is_fixed(
        self, names: Mapping[int, Sequence[str]], slots: Mapping[str, Slot]
    ) -> bool:
        if self._replies.compares_together:
            return False  # answers are grouped only once all replies are there
        state, pending = self._state.copy(), []
        for n, own in names.items():
            came = [slots[name] for name in own if name in slots]
            # Reading a long reply here would block the event loop.
            if len(came) < len(own) or not self._replies.try_out(n, came, state):
                pending.append(n)
        return outcome_is_fixed(self._deliberation.strategy, state, pending, self._after)

    def _may_stream(self, chosen: Sequence[int]) -> bool:
        """True where one member is asked and no other would be asked after it, whatever it says.

        Only replies to open questions are streamed: of a multiple choice question the answer is the
        option's text, and a call of tools is no text.
        """
        if self._listener.on_text is None or self._synthesiser is not None:
            return False
        if self._query.choices or self._query.has_tools:
            return False
        if len(chosen) > 1 or self._state.has_answer or self._streamed is not None:
            return False  # the client would receive parts of two replies
        if self._members[chosen[0]].settings.samples > 1:
            return False
        # While there is no other answer, what this one says makes no difference.
        state = self._state.copy()
        state.put(chosen[0], Reply(("any",), cost=self._least))
        return not decided(self._deliberation.strategy, self._after(state)).ask.any()

    def _after(self, state: QueryState) -> View:
        """The view of a state after the round under way."""
        n_rounds = self._deliberation.n_rounds + 1
        return state.view(n_rounds=n_rounds, budget=self._budget)

    # The end -----------------------------------------------------------------------------------

    def _answer(self) -> Answer:
        trace = self.trace
        # Fusion gives options probabilities even without any answer, but that is a guess.
        if trace.answer is None or not self._state.has_answer:
            trace.answer, trace.confidence = None, 0.0
            causes = {name: str(self._replies.failures[name]) for name in trace.circuit_open} | {
                call.member: call.detail or "its reply holds no usable answer"
                for call in trace.calls
            }
            raise NobodyAnswered(causes, self._replies.failures)
        author = self._author(trace.answer)
        reply = None if author is None else self._replies.standing_for(author, self._state)
        if self._query.choices:
            text = self._query.choices[OPTION_LETTERS.index(trace.answer)]
        else:
            text = trace.answer if reply is None else reply.text or trace.answer
        streamed = author is not None and author == self._streamed
        name = None if author is None else self._members[author].name
        return Answer(trace.answer, text, trace.confidence, trace, streamed, reply, name)

    def _author(self, answer: str) -> int | None:
        """The best member that gave an answer; None where only a sample did."""
        return next((n for n in self._ranking if self._state.answered(n) == answer), None)

    async def _synthesised(self, writer: LiveMember, answer: Answer, left_s: float) -> Answer:
        """Rewrite the answer by a member that reads all replies; unchanged if that fails."""
        believed = self.trace.rounds[-1].probabilities
        ordered = sorted(
            self._replies.of, key=lambda n: -believed.get(str(self._state.answered(n)), 0)
        )
        found = [self._replies.standing_for(n, self._state) for n in ordered]
        texts = list(dict.fromkeys(reply.text for reply in found if reply and reply.text))
        if len(texts) < 2 or left_s <= 0:
            return answer
        request = synthesis_request(writer, self._query, texts)
        most = writer.most_usd(request)
        left_usd = self._limits.max_usd - self._bill.most_usd
        if (math.inf if most is None else most) > left_usd:
            return answer
        call = {writer.name: (writer.endpoint, request)}
        slot = (await ask_all(call, deadline_s=min(left_s, writer.timeout_s)))[writer.name]
        if isinstance(slot, MemberError):
            failure = slot.failure.value
            self.trace.synthesis = CallRecord(writer.name, failure=failure, detail=str(slot))
            return answer
        cost = self._reader.cost_of([slot])
        self.trace.synthesis = record_of(writer.name, slot, cost=cost)
        return replace(answer, text=slot.text)
