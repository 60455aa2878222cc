"""Answer one query: run its deliberation over calls to live members."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from rlfocal.deliberation.trace import Deliberation, Round, Trace
from rlfocal.errors import MemberError, NobodyAnswered
from rlfocal.live.aside import aside
from rlfocal.live.early_stop import is_last, outcome_is_fixed
from rlfocal.live.reading import FREE_WORDS, Reader
from rlfocal.live.replies import Replies, record_of
from rlfocal.live.similarity import fetch_text_encoder
from rlfocal.live.state import QueryState
from rlfocal.live.synthesis import synthesis_request
from rlfocal.live.unlike import lowered
from rlfocal.markup import Displayed, Sheet, one_line
from rlfocal.pool.asking.passed_back import marked
from rlfocal.pool.asking.question import Question
from rlfocal.pool.building import LiveMember
from rlfocal.pool.fan_out import Slot, ask_all
from rlfocal.pool.types import Finish, Request
from rlfocal.pool.wrappers.text_relay import TextRelay
from rlfocal.pool.wrappers.unsettled import Bill, billed
from rlfocal.records import BoolArray
from rlfocal.records.schema import OPTION_LETTERS

__all__ = ["Answer", "Answering", "Limits", "Listener"]

_LEAST_BUDGET = 1e-30
_STOP: Finish = "stop"


@dataclass(frozen=True)
class Answer(Displayed):
    """What an ensemble answers to a question, or one member that was asked by its name."""

    answer: str
    """An option's letter, or an answer as members' answers are compared."""
    text: str
    """For people: the option's text; or the reply, verbatim, of the best member that gave the
    answer; or what the synthesiser made of the replies."""
    confidence: float
    """In [0, 1]: probability that the answer is right, as the strategy reckons; NaN for a member
    that was asked by its name."""
    trace: Trace
    streamed: bool = False
    """True where `text` was passed to the listener as it came."""
    finish: Finish = "stop"
    """How the reply ended, where it is given verbatim."""
    tool_calls: tuple[Mapping[str, Any], ...] = ()
    """Of the reply, marked with the name of the member that made them."""
    reasoning: str = ""
    """What a member asked by its name thought before, where its server tells that apart."""
    others: tuple[Answer, ...] = ()
    """More replies of a member asked by its name, where several are wanted."""

    def __repr__(self) -> str:
        calls = len(self.trace.calls)
        sure = "" if math.isnan(self.confidence) else f", {self.confidence:.0%} sure"
        return f"Answer({one_line(self.text)!r}{sure} after {calls} call{'s' * (calls != 1)})"

    def _sheet(self) -> Sheet:
        title, parts, _ = self.trace._sheet()
        return Sheet(self.text, (title, *parts))


@dataclass(frozen=True)
class Listener:
    """Callbacks for what happens while a query is answered."""

    on_round: Callable[[Round], None] | None = None
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
        question: what is asked.
        new_state: makes the state of the query from the most that may be spent; encodes its text.
        synthesiser: a member that makes one reply out of several; None for none.
        unlike: says in what a prompt is unlike those of training, see `Unlike`; None for a question
            that is taken for one of them.
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
    ) -> None:
        self._deliberation, self._members, self._ranking = deliberation, members, ranking
        self._reader, self._question, self._new_state = reader, question, new_state
        self._synthesiser, self._unlike = synthesiser, unlike
        self.trace = deliberation.trace
        """What has happened so far, whatever comes of it."""
        self._is_open = self.trace.kind not in ("choice", "tools")
        self._reads = deliberation.strategy.reads_replies
        self._least = 1.0 if reader.cost_unit == "call" else 0.0
        self._replies = Replies(
            members, reader, question, self.trace.kind, least=self._least, are_seen=self._reads
        )
        self._streamed: int | None = None
        """The member whose reply was streamed to the listener."""
        self._has_streamed = False
        """True once some of its text has been passed on."""

    async def run(
        self,
        deadline_s: float,
        *,
        limits: Limits = Limits(),
        listener: Listener = Listener(),
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
                self._pass_over_unavailable()
                wanted = self._deliberation.first(self._state.view())
                while calls := self._next_calls(wanted, deadline_s, ends - clock()):
                    wanted = await self._ask(calls, ends - clock())
                    if listener.is_final and self._has_streamed:
                        break
                return await self._synthesised(self._answer(), ends - clock())
            finally:
                self.trace.settle(self._bill.paid_usd, self._bill.unsettled_usd)

    def _pass_over_unavailable(self) -> None:
        """Count members with an open circuit as asked and failed, at no cost, without calling them.

        So are members that take no images, where the question holds images.
        """
        images, skipped = self._question.has_images, []
        for n, member in enumerate(self._members):
            takes_none = images and not member.takes_images
            if takes_none or member.circuit_is_open:
                self._state.put(n, None)
                self._replies.not_asked(n, takes_no_images=takes_none)
                skipped.append(member.name)
        if skipped:
            self.trace.circuit_open = skipped
            self._deliberation.go_on_alone()

    # One round ---------------------------------------------------------------------------------

    def _next_calls(
        self, wanted: BoolArray, deadline_s: float, left_s: float
    ) -> dict[int, list[Request]]:
        """Members to ask now and what each is sent, one request for each sample; none at the end.

        Args:
            wanted: bool[N], members that the strategy wants to ask.
            deadline_s: for all rounds together.
            left_s: of it.
        """
        state, trace, most_usd = self._state, self.trace, self._limits.max_usd
        if not state.asked.all():
            if trace.rounds and state.spent.sum(dtype=np.float32) >= state.budget:
                trace.stopped = "the budget is spent"
                return {}
            if not (wanted.any() or state.has_answer):
                # There would be nothing to return: ask the best of the members not asked yet.
                wanted[next(n for n in self._ranking if not state.asked[n])] = True
        chosen = np.flatnonzero(wanted).tolist()
        if not chosen:
            return {}
        if left_s <= 0:
            trace.stopped = f"the deadline of {deadline_s:g} s is over"
            return {}
        calls = self._affordable(chosen)
        if not calls and not state.has_answer:
            # There is no answer yet: ask the best member that the budget allows.
            others = [n for n in self._ranking if not state.asked[n]]
            calls = dict(list(self._affordable(others).items())[:1])
        if not calls:
            trace.stopped = f"another call could pass {most_usd:g} dollars"
        return calls

    def _affordable(self, chosen: Sequence[int]) -> dict[int, list[Request]]:
        """Members and what they are sent, as far as the money reaches for certain."""
        left_usd = self._limits.max_usd - self._bill.most_usd
        calls = {}
        for n in chosen:
            member = self._members[n]
            requests = member.requests(self._question, logprobs=self._reads)
            if left_usd < math.inf:
                most = [member.most_usd(request) for request in requests]
                usd = sum(math.inf if part is None else part for part in most)
                if usd > left_usd:
                    continue
                left_usd -= usd
            calls[n] = requests
        return calls

    async def _ask(self, chosen: Mapping[int, list[Request]], left_s: float) -> BoolArray:
        """Run a round; returns bool[N], the members to ask next."""
        state, listener = self._state, self._listener
        state.n_rounds += 1
        on_text: TextRelay | None = None
        if listener.on_text is not None and self._may_stream(list(chosen)):
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
            enough=partial(self._outcome_is_fixed, names) if early else None,
        )
        self.trace.members_s += time.perf_counter() - started
        if on_text is not None:
            self._has_streamed = on_text.started
        came = {n: [slots[name] for name in own] for n, own in names.items()}
        await self._replies.take(came, state, verbatim=self._has_streamed)
        if self._replies.failures:
            self._deliberation.go_on_alone()
        view = state.view()
        records = [self._replies.record(n, state, view) for n in chosen]
        passed_over = self._replies.passed_over(state.candidates)
        wanted = self._deliberation.record_round(
            view, records, state.candidates, passed_over=passed_over
        )
        if listener.on_round is not None:
            listener.on_round(self.trace.rounds[-1])
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
        return outcome_is_fixed(self._deliberation.strategy, state, pending)

    def _may_stream(self, chosen: Sequence[int]) -> bool:
        """True where one member is asked and no other would be asked after it, whatever it says.

        Only replies to open questions are streamed: of a choice the answer is the option's text,
        and a call of tools is no text.
        """
        if self._synthesiser is not None or not self._is_open:
            return False
        if len(chosen) > 1 or self._state.has_answer or self._streamed is not None:
            return False  # the client would receive parts of two replies
        if self._members[chosen[0]].settings.samples > 1:
            return False
        return is_last(self._deliberation.strategy, self._state, chosen[0], cost=self._least)

    # The end -----------------------------------------------------------------------------------

    def _answer(self) -> Answer:
        trace, state, choices = self.trace, self._state, self._question.choices
        # Fusion gives options probabilities even without any answer, but that is a guess.
        if trace.answer is None or not state.has_answer:
            trace.answer, trace.confidence = None, 0.0
            causes = {name: str(self._replies.failures[name]) for name in trace.circuit_open} | {
                call.member: call.detail or "its reply holds no usable answer"
                for call in trace.calls
            }
            raise NobodyAnswered(causes, self._replies.failures)
        if self._replies.unfit:
            trace.kind = FREE_WORDS
            trace.unlike = trace.unlike or f"unlike the training queries: {self._replies.unfit}"
        if trace.unlike:
            trace.learned_confidence = trace.confidence
            free = self._replies.in_free_words
            trace.confidence = lowered(trace.confidence, in_free_words=free)
        text = trace.answer
        if choices:
            text = choices[OPTION_LETTERS.index(trace.answer)]
        for n in self._ranking:
            if state.answer(n) == trace.answer:
                break
        else:  # only a sample gave it
            return Answer(trace.answer, text, trace.confidence, trace)
        reply, finish = self._replies.standing_for(n, state), _STOP
        calls = marked(reply.tool_calls, self._members[n].name) if reply.tool_calls else ()
        if calls:
            text = reply.text
        if not choices:
            text, finish = reply.text or text, reply.finish
        return Answer(
            trace.answer,
            text,
            trace.confidence,
            trace,
            streamed=n == self._streamed,
            finish=finish,
            tool_calls=calls,
        )

    async def _synthesised(self, answer: Answer, left_s: float) -> Answer:
        """Rewrite the answer by a member that reads all replies; unchanged if that fails."""
        writer = self._synthesiser
        if writer is None or not self._is_open or left_s <= 0:
            return answer
        if self._question.has_images and not writer.takes_images:
            return answer
        believed = self.trace.rounds[-1].probabilities
        ordered = sorted(
            self._replies.of, key=lambda n: -believed.get(str(self._state.answer(n)), 0)
        )
        found = [self._replies.standing_for(n, self._state).text for n in ordered]
        texts = list(dict.fromkeys(filter(None, found)))
        if len(texts) < 2:
            return answer
        request = synthesis_request(writer, self._question, texts)
        most = writer.most_usd(request)
        left_usd = self._limits.max_usd - self._bill.most_usd
        if (math.inf if most is None else most) > left_usd:
            return answer
        call = {writer.name: (writer.endpoint, request)}
        slot = (await ask_all(call, deadline_s=min(left_s, writer.timeout_s)))[writer.name]
        if isinstance(slot, MemberError):
            self.trace.synthesis = record_of(writer.name, [slot], cost=0.0)
            return answer
        cost = self._reader.cost_of([slot])
        self.trace.synthesis = record_of(writer.name, [slot], cost=cost)
        return replace(answer, text=slot.text, finish="stop")
