"""The replies to one query and the answers read from them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from functools import reduce

import numpy as np

from rlfocal.deliberation.trace import CallRecord
from rlfocal.deliberation.view import View
from rlfocal.errors import Failure, MemberError
from rlfocal.live.aside import LONG, aside
from rlfocal.live.query import FREE_WORDS, LiveQuery
from rlfocal.live.reading import Reader
from rlfocal.live.similarity import AnswerGroups, group_answers, text_encoder
from rlfocal.live.state import QueryState, Reply
from rlfocal.pool.building import LiveMember
from rlfocal.pool.fan_out import Slot
from rlfocal.pool.types import Response
from rlfocal.records.canonical import expression_names

__all__ = ["Replies", "call_names", "record_of"]

_DOUBTS = 2
"""After this many replies without an answer of the expected kind, free text is assumed."""


class Replies:
    """The replies to one query.

    Args:
        members: those that may be asked.
        reader: finds the answers in their replies.
        query: what is asked.
        least: cost of asking a member that fails, in the strategy's unit.
    """

    def __init__(
        self, members: Sequence[LiveMember], reader: Reader, query: LiveQuery, *, least: float
    ) -> None:
        self._members, self._reader, self._query = members, reader, query
        self._least = least
        self._kind = reader.kind_of(query)
        self._free = self._kind == FREE_WORDS
        self._may_be_free = reader.may_be_free_words(query)
        self._n_options = sum(map(len, query.choices))
        self._grades: dict[int, Reply] = {}
        """Member → its replies as read; each is read once."""
        self.of: dict[int, list[Response]] = {}
        """Member → what it replied, one for each sample."""
        self.failures: dict[str, MemberError] = {}

    @property
    def compares_together(self) -> bool:
        """Whether answers can only be grouped once all of them are there."""
        return self._free or self._kind == "math"

    async def put(self, n: int, slots: Sequence[Slot], state: QueryState) -> None:
        """Record the outcome of asking a member; long texts are read in a thread.

        Args:
            n: the member.
            slots: of its calls, one for each sample.
            state: is updated.
        """
        replies = [slot for slot in slots if isinstance(slot, Response)]
        if not replies:
            error = next(slot for slot in slots if isinstance(slot, MemberError))
            self.failures[self._members[n].name] = error
            state.put(n, None, cost=self._least)
            return
        self.of[n] = replies
        if n not in self._grades and (length := self._length(replies)) >= LONG:
            await aside(length, self._graded, n, replies)
        state.put(n, self._graded(n, replies))

    def try_out(self, n: int, slots: Sequence[Slot], state: QueryState) -> bool:
        """Record the outcome in `state` alone, as a trial; False where reading it would take long.

        Args: as of `put`.
        """
        replies = [slot for slot in slots if isinstance(slot, Response)]
        if replies and n not in self._grades and self._length(replies) >= LONG:
            return False
        state.put(n, self._graded(n, replies) if replies else None, cost=self._least)
        return True

    def _length(self, replies: Sequence[Response]) -> int:
        """Characters to read: of replies, and of the options that they may name."""
        return sum([len(reply.text) for reply in replies], start=self._n_options)

    def _graded(self, n: int, replies: Sequence[Response]) -> Reply:
        if n not in self._grades:
            self._grades[n] = self._reader.graded(self._members[n], self._query, replies)
        return self._grades[n]

    def not_asked(self, n: int, *, takes_no_images: bool = False) -> None:
        """Note a member that is not asked: it kept failing just before, or takes no images."""
        member = self._members[n]
        if takes_no_images:
            self.failures[member.name] = MemberError(
                f"{member.name}: not asked: it takes no images (images = true in the pool file)",
                failure=Failure.BAD_REQUEST,
            )
            return
        wait_s = None if member.circuit is None else member.circuit.retry_after_s
        self.failures[member.name] = MemberError(
            f"{member.name}: not asked: it kept failing, and is left alone for a while",
            failure=Failure.CIRCUIT_OPEN,
            retry_after_s=wait_s,
        )

    def take_as_said(self) -> None:
        """Treat replies as answers verbatim, since one of them has been streamed already."""
        self._free = self._free or not (self._query.choices or self._query.has_tools)

    async def regroup(self, state: QueryState) -> None:
        """Group free-text replies or mathematical expressions anew by equality."""
        if self._may_be_free and len(self.of) >= _DOUBTS and not state.has_answer:
            self._free = True  # no reply fits the kind of question that training had
        if not self.of:
            return
        if not self._free:
            if self._kind == "math":
                await self._regroup_expressions(state)
            return
        texts = [(n, reply.text) for n, replies in self.of.items() for reply in replies]
        # Encoding takes milliseconds or more: keep the event loop free.
        found = await asyncio.to_thread(_compared, [text for _, text in texts])
        for n in self.of:
            own = [k for k, (owner, _) in enumerate(texts) if owner == n]
            backed = found.support[own].mean(axis=0)
            support = {texts[k][1]: float(backed[k]) for k in np.flatnonzero(backed).tolist()}
            samples = tuple(texts[found.stands_for[k]][1] for k in own)
            state.put(n, Reply(samples, cost=state.cost(n), support=support))

    async def _regroup_expressions(self, state: QueryState) -> None:
        """Group expressions by value, which takes comparing them in pairs."""
        read = {n: self._grades[n] for n in self.of}
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
        name, read = self._members[n].name, state.reply(n)
        if read is None:
            error = self.failures[name]
            failure = error.failure.value
            return CallRecord(name, cost=state.cost(n), failure=failure, detail=str(error))
        replies, place = self.of[n], int(view.answer[0, n])
        return record_of(
            name,
            reduce(_together, replies),
            cost=read.cost,
            answer=read.answer,
            support=None if place < 0 else float(view.support[0, n, place]),
            text=replies[read.typical].text,
        )

    def standing_for(self, n: int, state: QueryState) -> Response | None:
        """The reply of a member that stands for its answer."""
        read = state.reply(n)
        return None if read is None else self.of[n][read.typical]


def record_of(
    member: str,
    reply: Response,
    *,
    cost: float,
    answer: str | None = None,
    support: float | None = None,
    text: str | None = None,
) -> CallRecord:
    """The call record of a reply.

    Args:
        member: its name.
        reply: what came back.
        cost: in the strategy's unit.
        answer: that was found in it.
        support: of that answer.
        text: in place of the reply's.
    """
    return CallRecord(
        member,
        answer,
        support,
        cost,
        text=reply.text if text is None else text,
        latency_s=reply.latency_s,
        cost_usd=reply.cost_usd,
        uncertain_cost_usd=reply.unsettled_usd or None,
        n_prompt_tokens=reply.n_prompt_tokens,
        n_completion_tokens=reply.n_completion_tokens,
    )


def _together(one: Response, other: Response) -> Response:
    """Two replies added up: known costs are summed even where the other reply has none."""
    paid = [reply.cost_usd for reply in (one, other) if reply.cost_usd is not None]
    return replace(
        one,
        latency_s=max(one.latency_s, other.latency_s),
        cost_usd=sum(paid) if paid else None,
        unsettled_usd=one.unsettled_usd + other.unsettled_usd,
        n_prompt_tokens=_total(one.n_prompt_tokens, other.n_prompt_tokens),
        n_completion_tokens=_total(one.n_completion_tokens, other.n_completion_tokens),
    )


def _total(one: int | None, other: int | None) -> int | None:
    """The sum; None where a part of it is not known."""
    return None if one is None or other is None else one + other


def _compared(texts: Sequence[str]) -> AnswerGroups:
    return group_answers(texts, text_encoder())


def call_names(member: LiveMember) -> list[str]:
    """Names of a member's calls, one for each sample."""
    n_samples = member.settings.samples
    if n_samples == 1:
        return [member.name]
    return [f"{member.name}, sample {k + 1}" for k in range(n_samples)]
