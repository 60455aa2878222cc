"""What the members asked about one query have replied, and what each reply comes to."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

import numpy as np

from rlfocal.deliberation.trace import CallRecord
from rlfocal.errors import Failure, MemberError
from rlfocal.live.aside import LONG, aside
from rlfocal.live.board import Board, Reply
from rlfocal.live.likeness import Alike, alike, text_encoder
from rlfocal.live.query import LiveQuery
from rlfocal.live.reading import Reader
from rlfocal.pool.building import LiveMember
from rlfocal.pool.fan_out import Slot
from rlfocal.pool.types import Response
from rlfocal.records import FloatArray
from rlfocal.records.canonical import expression_names

__all__ = ["Replies", "call_name", "known", "total"]

_DOUBTS = 2
"""So many replies without an answer of the kind that was expected, and it is another kind."""
_Number = TypeVar("_Number", int, float)


class Replies:
    """Of one query.

    Args:
        members: who is asked.
        reader: finds the answers in their replies.
        query: what is asked.
        least: what asking costs whatever comes of it, in the strategy's unit.
    """

    def __init__(
        self, members: Sequence[LiveMember], reader: Reader, query: LiveQuery, *, least: float
    ) -> None:
        self._members, self._reader, self._query = members, reader, query
        self._least = least
        self._free = reader.in_free_words(query)
        self._may_be_free = reader.may_be_free_words(query)
        self._maths = reader.kind_of(query) == "math"
        self._n_options = sum(map(len, query.choices))
        self._grades: dict[int, Reply] = {}
        """Member → what its replies come to, read once however often it is looked at."""
        self.of: dict[int, list[Response]] = {}
        """Member → what it replied, one for each sample."""
        self.failures: dict[str, MemberError] = {}

    def put(self, n: int, slots: Mapping[str, Slot], board: Board, *, final: bool = True) -> None:
        """Write down what became of asking a member.

        Args:
            n: the member.
            slots: by `call_name`.
            board: is written on.
            final: False to write on the board only, as a trial.
        """
        own = self._own(n, slots)
        replies = _came(own)
        board.put(n, self._graded(n, replies) if replies else None, cost=self._least)
        if not final:
            return
        if replies:
            self.of[n] = replies
        else:
            error = next(slot for slot in own if isinstance(slot, MemberError))
            self.failures[self._members[n].name] = error

    async def grade(self, members: Sequence[int], slots: Mapping[str, Slot]) -> None:
        """Read long texts beside the event loop; then `put` takes no time."""
        for n in members:
            replies = _came(self._own(n, slots))
            if (length := self._length(replies)) >= LONG:
                await aside(length, self._graded, n, replies)

    def is_quick(self, n: int, slots: Mapping[str, Slot]) -> bool:
        """Whether `put` takes no time: what the member replied is short, or has been graded."""
        return n in self._grades or self._length(_came(self._own(n, slots))) < LONG

    def _length(self, replies: Sequence[Response]) -> int:
        """Characters to read: of replies, and of the options that they may name."""
        return self._n_options + sum([len(reply.text) for reply in replies]) if replies else 0

    def _own(self, n: int, slots: Mapping[str, Slot]) -> list[Slot]:
        member = self._members[n]
        return [slots[call_name(member, sample)] for sample in range(member.settings.samples)]

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
        """Replies are answers as they are: one of them has been told already."""
        self._free = self._free or not (self._query.choices or self._query.has_tools)

    async def regroup(self, board: Board) -> None:
        """Where replies are free words or expressions, see anew which of them say the same."""
        if self._may_be_free and len(self.of) >= _DOUBTS and not board.has_answer:
            self._free = True  # nobody takes it for the kind of question that was learned of
        if not self.of:
            return
        if not self._free:
            if self._maths:
                await self._regroup_expressions(board)
            return
        texts = [(n, reply.text) for n, replies in self.of.items() for reply in replies]
        # Encoding takes milliseconds or more, in which others go on.
        found = await asyncio.to_thread(_compared, [text for _, text in texts])
        for n in self.of:
            own = [k for k, (owner, _) in enumerate(texts) if owner == n]
            backed = found.support[own].mean(axis=0)
            support = {texts[k][1]: float(backed[k]) for k in np.flatnonzero(backed).tolist()}
            samples = tuple(texts[found.stands_for[k]][1] for k in own)
            board.put(n, Reply(samples, cost=board.cost(n), support=support))

    async def _regroup_expressions(self, board: Board) -> None:
        """Expressions are equal or not by what they come to, which only a pair of them can tell."""
        read = {n: self._grades[n] for n in self.of}
        texts = {s for reply in read.values() for s in reply.samples if s is not None}
        if len(texts) < 2:
            return
        # Another process compares; meanwhile others go on.
        name = await asyncio.to_thread(expression_names, texts)
        for n, reply in read.items():
            samples = tuple(None if s is None else name[s] for s in reply.samples)
            if samples != reply.samples:
                board.put(n, replace(reply, samples=samples))

    def record(self, n: int, board: Board, support: FloatArray) -> CallRecord:
        """What came of asking a member, for the trace.

        Args:
            n: the member.
            board: with its answer.
            support: float32[C]: how strongly it backs each candidate.
        """
        name, read, cost = self._members[n].name, board.reply(n), board.cost(n)
        if read is None:
            error = self.failures[name]
            return CallRecord(name, cost=cost, failure=error.failure.value, detail=str(error))
        answer, replies = read.answer, self.of[n]
        backed = None if answer is None else float(support[board.candidates.index(answer)])
        return CallRecord(
            name,
            answer,
            backed,
            cost,
            text=replies[read.typical].text,
            latency_s=max(reply.latency_s for reply in replies),
            cost_usd=known([reply.cost_usd for reply in replies]),
            uncertain_cost_usd=sum([reply.unsettled_usd for reply in replies]) or None,
            n_prompt_tokens=total([reply.n_prompt_tokens for reply in replies]),
            n_completion_tokens=total([reply.n_completion_tokens for reply in replies]),
        )

    def standing_for(self, n: int, board: Board) -> Response | None:
        """The reply of a member that stands for its answer."""
        read = board.reply(n)
        return None if read is None else self.of[n][read.typical]


def _came(slots: Sequence[Slot]) -> list[Response]:
    return [slot for slot in slots if isinstance(slot, Response)]


def _compared(texts: Sequence[str]) -> Alike:
    return alike(texts, text_encoder())


def call_name(member: LiveMember, sample: int) -> str:
    """How one of a member's calls is named."""
    return member.name if member.settings.samples == 1 else f"{member.name}, sample {sample + 1}"


def known(values: Sequence[float | None]) -> float | None:
    """The sum of what is known: dollars are paid, whatever others cost; None where nothing is.

    >>> known([0.25, None]), known([None])
    (0.25, None)
    """
    found = [value for value in values if value is not None]
    return sum(found) if found else None


def total(values: Sequence[_Number | None]) -> _Number | None:
    """The sum; None where there is nothing, or a part of it is not known."""
    known = [value for value in values if value is not None]
    return sum(known[1:], start=known[0]) if known and len(known) == len(values) else None
