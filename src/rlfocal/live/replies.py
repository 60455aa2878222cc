"""The replies to one query and the answers read from them."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property

import numpy as np

from rlfocal.deliberation.trace import CallRecord, named_by
from rlfocal.deliberation.view import View
from rlfocal.errors import Failure, MemberError
from rlfocal.live.aside import LONG, aside
from rlfocal.live.calls import tools_of
from rlfocal.live.reading import FREE_WORDS, Reader, speaks
from rlfocal.live.similarity import AnswerGroups, group_answers, text_encoder
from rlfocal.live.state import QueryState, Reply
from rlfocal.pool.asking.question import Question, Said
from rlfocal.pool.building import LiveMember
from rlfocal.pool.fan_out import Slot
from rlfocal.pool.reading.showing import Showing
from rlfocal.pool.types import Response
from rlfocal.records.canonical import expression_names

__all__ = ["Replies", "record_of"]

_DOUBTS = 2
"""From this many replies on free text is assumed where most hold no answer of the expected kind."""
_IN_WORDS = re.compile(r"[^\W\d_]{2}")
"""Two letters in a row; a text without is a bare number, option's letter or sign."""


class Replies:
    """The replies to one query.

    Args:
        members: those that may be asked.
        reader: finds the answers in their replies.
        question: what is asked.
        kind: of the question, as `reader.kind_of` finds it.
        least: cost of asking a member that fails, in the strategy's unit.
        are_seen: whether the strategy reads more of replies than their answers.
    """

    def __init__(
        self,
        members: Sequence[LiveMember],
        reader: Reader,
        question: Question,
        kind: str,
        *,
        least: float,
        are_seen: bool = False,
    ) -> None:
        self._members, self._reader, self._question = members, reader, question
        self._kind, self._least, self._are_seen = kind, least, are_seen
        self._is_open = kind not in ("choice", "tools")
        self._free = kind == FREE_WORDS
        self._may_be_free = self._is_open and reader.may_be_free_words(question)
        self._gave_up_kind = False
        """Whether replies are taken for free words although training had another kind."""
        self._n_against = sum(map(len, question.choices))
        if kind == "tools":  # calls are held against them
            self._n_against += len(tools_of(question))
        self._read: dict[int, Reply] = {}
        """Member → its replies as read; each is read once."""
        self.of: dict[int, list[Response]] = {}
        """Member → what it replied, one for each sample."""
        self.showings: dict[int, list[Showing]] = {}
        """Of members that read others: what each of their requests shows."""
        self._shown: dict[int, list[Showing]] = {}
        """The same, of those that were replied to."""
        self.failures: dict[str, MemberError] = {}
        self.unfit = ""
        """How many replies are not of the kind that training had, where most are not."""

    @cached_property
    def number(self) -> Mapping[str, int]:
        """Name of a member → its number."""
        return {member.name: n for n, member in enumerate(self._members)}

    @property
    def compares_together(self) -> bool:
        """Whether answers can only be grouped once all of them are there."""
        return self._free or self._kind == "math"

    def assume_no_kind(self) -> None:
        """Take replies for free words, unless somebody says what kind of answer is wanted."""
        if self._may_be_free and not self._free:
            self._kind, self._free, self._gave_up_kind = FREE_WORDS, True, True

    @property
    def in_free_words(self) -> bool:
        """Whether replies are compared by meaning."""
        return self._free

    def passed_over(self, candidates: Sequence[str]) -> frozenset[str]:
        """Those that are no answer beside others: where the kind was given up, bare numbers.

        A member that is told to say a number says one whatever is asked, and so it is with letters.
        """
        if not self._gave_up_kind:
            return frozenset()
        return frozenset([text for text in candidates if not _IN_WORDS.search(text)])

    async def take(
        self, slots: Mapping[int, Sequence[Slot]], state: QueryState, *, verbatim: bool = False
    ) -> None:
        """Record the outcome of a round; long texts are read in a thread.

        Args:
            slots: member → what became of its calls, one for each sample.
            state: is updated.
            verbatim: whether replies to open questions are answers as they are, since one of them
                has been streamed already.
        """
        for n, own in slots.items():
            replies, length = self._responses(n, own)
            if not replies:
                error = next(slot for slot in own if isinstance(slot, MemberError))
                self.failures[self._members[n].name] = error
                state.put(n, None, cost=self._least)
                continue
            if n not in self._read and length >= LONG:
                await aside(length, self._graded, n, replies)
            read = self._graded(n, replies)
            self.of[n] = replies if read.given is None else list(read.given)
            state.put(n, read)
        if verbatim and self._is_open and not self._fit(slots, state):
            self._free = True
        elif self._may_be_free:
            # Judges and critics say nothing of the kind of the question.
            told = [n for n in self.of if speaks(self._members[n])] if self._shown else self.of
            n_unfit = sum(state.answer(n) is None for n in told)
            if len(told) >= _DOUBTS and 2 * n_unfit > len(told):
                # Most replies do not fit the kind of question that training had.
                self._free = self._gave_up_kind = True
                self.unfit = f"{n_unfit} of {len(told)} replies hold no {self._kind}"
        if self._free and self.of:
            await self._regroup(state)
        elif self._kind == "math" and self.of:
            await self._regroup_expressions(state)

    def _fit(self, slots: Mapping[int, Sequence[Slot]], state: QueryState) -> bool:
        """Whether readers that were asked have answers of the kind of the question."""
        readers = [n for n in slots if n in self._shown]
        return bool(readers) and all(state.answer(n) is not None for n in readers)

    def try_out(self, n: int, slots: Sequence[Slot], state: QueryState) -> bool:
        """Record the outcome in `state` alone, as a trial; False where reading it would take long.

        Args:
            n: the member.
            slots: what became of its calls, one for each sample.
            state: is updated.
        """
        replies, length = self._responses(n, slots)
        if replies and n not in self._read and length >= LONG:
            return False
        state.put(n, self._graded(n, replies) if replies else None, cost=self._least)
        return True

    def _responses(self, n: int, slots: Sequence[Slot]) -> tuple[list[Response], int]:
        """Those that came, and the characters to read: of them, and of options or tools."""
        replies, length = [], self._n_against
        if n in self.showings:
            pairs = zip(self.showings[n], slots, strict=True)
            self._shown[n] = [shown for shown, slot in pairs if isinstance(slot, Response)]
        for slot in slots:
            if isinstance(slot, Response):
                replies.append(slot)
                length += len(slot.written)
        return replies, length

    def _graded(self, n: int, replies: Sequence[Response]) -> Reply:
        if n not in self._read:
            asked = self._members[n], self._question, self._kind, replies
            read = self._reader.graded(*asked, self._shown.get(n, ()))
            if self._are_seen:
                seen = self._reader.seen(*asked, read, self._shown.get(n, ()))
                read = replace(read, seen=seen)
            self._read[n] = read
        return self._read[n]

    def not_asked(self, n: int, *, takes_no_images: bool) -> None:
        """Note a member that is not asked: it takes no images, or it kept failing just before."""
        member = self._members[n]
        if takes_no_images:
            why, failure = "takes no images (images = true in the pool file)", Failure.BAD_REQUEST
        else:
            why, failure = "kept failing, and is left alone for a while", Failure.CIRCUIT_OPEN
        circuit = None if takes_no_images else member.circuit
        self.failures[member.name] = MemberError(
            f"{member.name}: not asked: it {why}",
            failure=failure,
            retry_after_s=None if circuit is None else circuit.retry_after_s,
        )

    async def _regroup(self, state: QueryState) -> None:
        """Group replies in free words anew by their meaning."""
        voices = {n: self._voices(n) for n in self.of}
        texts = [(n, one.text) for n, said in voices.items() for one in said if one is not None]
        if not texts:
            return
        # Encoding takes milliseconds or more: keep the event loop free.
        found = await asyncio.to_thread(_compared, [text for _, text in texts])
        for n in self.of:
            own = [k for k, (owner, _) in enumerate(texts) if owner == n]
            if not own:  # a critic, or a judge that named nobody
                silent = Reply((None,) * len(self.of[n]), float(state.spent[n]))
                state.put(n, replace(silent, seen=self._read[n].seen))
                continue
            backed = found.support[own].mean(axis=0)
            support = {texts[k][1]: float(backed[k]) for k in np.flatnonzero(backed).tolist()}
            named = iter([texts[found.stands_for[k]][1] for k in own])
            samples = tuple([None if one is None else next(named) for one in voices[n]])
            seen = self._read[n].seen
            state.put(n, Reply(samples, float(state.spent[n]), support=support, seen=seen))

    async def _regroup_expressions(self, state: QueryState) -> None:
        """Group expressions by value, which takes comparing them in pairs."""
        read = {n: self._read[n] for n in self.of}
        texts = {s for reply in read.values() for s in reply.samples if s is not None}
        if len(texts) < 2:
            return
        # Another process compares; the event loop stays free.
        name = await asyncio.to_thread(expression_names, texts)
        for n, reply in read.items():
            samples = tuple(None if s is None else name[s] for s in reply.samples)
            if samples != reply.samples:
                state.put(n, replace(reply, samples=samples))

    def record(self, n: int, state: QueryState, view: View) -> CallRecord:
        """The call record of a member, for the trace.

        Args:
            n: the member.
            state: holds its reply.
            view: of that state.
        """
        name, read, cost = self._members[n].name, state.replies[n], float(state.spent[n])
        if read is None:
            found = record_of(name, [self.failures[name]], cost=cost)
        else:
            place = view.answer[0, n]
            support = None if place < 0 else float(view.support[0, n, place])
            found = record_of(
                name, self.of[n], typical=read.typical, cost=cost, answer=read.answer,
                support=support,
            )  # fmt: skip
            if read.answer is None and read.faulty is not None:
                found = replace(found, detail=read.faulty.fault)
        return found if n not in self.showings else self._with_read(found, n)

    def _with_read(self, found: CallRecord, n: int) -> CallRecord:
        """A call with whom the member read, and whom it named."""
        shown = self._shown.get(n) or self.showings[n]
        own = self._members[n].settings.own
        read = tuple([(*s.names, *([own] if own and s.own is not None else [])) for s in shown])
        verdicts = self._read[n].verdicts if n in self._read else None
        if verdicts is None:
            return replace(found, read=read)
        named = [named_by(s.names, v) for s, v in zip(shown, verdicts, strict=True)]
        return replace(found, read=read, verdict=tuple(named))

    # Who speaks, and who is read ----------------------------------------------------------------

    def said(self, n: int) -> Said | None:
        """The reply of a member as others read it: its typical one; None where it gave none."""
        if n not in self.of:
            return None
        read = self._read[n]
        reply = self.of[n][read.typical]
        return Said(reply.written, read.answer)

    def faulty(self, ranking: Sequence[int], state: QueryState) -> str | None:
        """Calls that break what their functions ask for, as an answer where there is no other.

        Args:
            ranking: of the members, the best first.
            state: of the query; where there are such calls, they are an answer in it from now on.
        """
        for n in ranking:
            read = state.replies[n]
            if read is not None and read.faulty is not None:
                bad = read.faulty
                state.put(n, replace(read, samples=(bad.answer,) * len(read.samples)))
                self.of[n] = [self.of[n][bad.sample]] * len(self.of[n])
                return bad.answer
        return None

    def texts(self, believed: Mapping[str, float], state: QueryState) -> list[str]:
        """The distinct replies, the best supported first; those of critics are none.

        Args:
            believed: answer → its probability.
            state: of the query.
        """
        ordered = sorted(self.of, key=lambda n: -believed.get(str(state.answer(n)), 0))
        heard = [n for n in ordered if any(self._voices(n))]
        found = [self.standing_for(n, state)[1].text for n in heard]
        return list(dict.fromkeys(filter(None, found)))

    def _voices(self, n: int) -> Sequence[Response | None]:
        """The replies by which a member speaks, one for each of its own: a judge by those named."""
        if speaks(self._members[n]):
            return self.of[n]
        verdicts = self._read[n].verdicts or (None,) * len(self.of[n])
        found = list[Response | None]()
        for showing, verdict in zip(self._shown[n], verdicts, strict=True):
            name = named_by(showing.names, verdict)
            found.append(self._voice(self.number[name]) if name else None)
        return found

    def _voice(self, n: int) -> Response | None:
        return self._voices(n)[self._read[n].typical]

    def standing_for(self, n: int, state: QueryState) -> tuple[int, Response]:
        """The reply that stands for a member's answer, and whose it is: a judge's is another's."""
        read = state.replies[n]
        typical = 0 if read is None else read.typical
        own = self.of[n][typical]
        if not self._shown or speaks(self._members[n]):
            return n, own
        verdicts = self._read[n].verdicts or {typical: None}
        name = named_by(self._shown[n][typical].names, verdicts[typical])
        return self.standing_for(self.number[name], state) if name else (n, own)


def record_of(
    member: str,
    slots: Sequence[Slot],
    *,
    cost: float,
    typical: int = 0,
    answer: str | None = None,
    support: float | None = None,
) -> CallRecord:
    """The call record of a member.

    Known dollars of several samples are added up even where others have no price; tokens only where
    all of them were counted.

    Args:
        member: its name.
        slots: what came back, one for each sample; or an error alone.
        cost: in the strategy's unit.
        typical: the sample whose text is shown.
        answer: that was found.
        support: of that answer.
    """
    latency_s = uncertain_usd = 0.0
    usd: float | None = None
    texts, n_prompt, n_completion, n_cached, n_thinking = [], [], [], [], []
    for slot in slots:
        if isinstance(slot, MemberError):
            return CallRecord(member, cost=cost, failure=slot.failure.value, detail=str(slot))
        texts.append(slot.text)
        latency_s = max(latency_s, slot.latency_s)
        uncertain_usd += slot.unsettled_usd
        if slot.cost_usd is not None:
            usd = slot.cost_usd + (usd or 0.0)
        n_prompt.append(slot.n_prompt_tokens)
        n_completion.append(slot.n_completion_tokens)
        if slot.n_cached_tokens is not None:
            n_cached.append(slot.n_cached_tokens)
        if slot.n_thinking_tokens is not None:
            n_thinking.append(slot.n_thinking_tokens)
    return CallRecord(
        member,
        answer,
        support,
        cost,
        text=texts[typical],
        latency_s=latency_s,
        cost_usd=usd,
        uncertain_cost_usd=uncertain_usd or None,
        n_prompt_tokens=None if None in n_prompt else sum(filter(None, n_prompt)),
        n_completion_tokens=None if None in n_completion else sum(filter(None, n_completion)),
        # A part of a whole that is not known says nothing.
        n_cached_tokens=sum(n_cached) if n_cached and None not in n_prompt else None,
        n_thinking_tokens=sum(n_thinking) if n_thinking and None not in n_completion else None,
    )


def _compared(texts: Sequence[str]) -> AnswerGroups:
    return group_answers(texts, text_encoder())
