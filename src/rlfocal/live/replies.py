"""What the members asked about one query have replied, and what each reply comes to."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from rlfocal.errors import Failure, MemberError
from rlfocal.live.aside import LONG, aside
from rlfocal.live.board import Board, Reply
from rlfocal.live.likeness import Alike, alike, text_encoder
from rlfocal.live.query import LiveQuery
from rlfocal.live.trace import Said
from rlfocal.pool.building import LiveMember
from rlfocal.pool.fan_out import Slot
from rlfocal.pool.types import Response
from rlfocal.records import FloatArray
from rlfocal.records.canonical import expression_names
from rlfocal.records.samples import agreed

if TYPE_CHECKING:
    from rlfocal.live.ensemble import Ensemble

__all__ = ["Replies", "call_name", "known", "total"]

_DOUBTS = 2
"""So many replies without an answer of the kind that was expected, and it is another kind."""
_Number = TypeVar("_Number", int, float)


class Replies:
    """Of one query.

    Args:
        ensemble: who is asked.
        query: what is asked.
        least: what asking costs whatever comes of it, in the strategy's unit.
    """

    def __init__(self, ensemble: Ensemble, query: LiveQuery, *, least: float) -> None:
        self._ensemble, self._query, self._least = ensemble, query, least
        self._free = ensemble.in_free_words(query)
        self._may_be_free = ensemble.may_be_free_words(query)
        self._maths = ensemble.kind_of(query) == "math"
        self._n_options = sum(map(len, query.choices))
        self._read: dict[int, Reply] = {}
        self._grades: dict[int, Reply] = {}
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
        member, own = self._ensemble.members[n], self._own(n, slots)
        replies = [slot for slot in own if isinstance(slot, Response)]
        graded = self._graded(n, replies) if replies else None
        board.put(n, graded, cost=self._least)
        if not final:
            return
        if graded is not None:
            self.of[n], self._read[n] = replies, graded
        else:
            self.failures[member.name] = next(s for s in own if isinstance(s, MemberError))

    async def grade(self, members: Sequence[int], slots: Mapping[str, Slot]) -> None:
        """Read what members replied, long texts beside the event loop; then `put` takes no time."""
        for n in members:
            replies = [slot for slot in self._own(n, slots) if isinstance(slot, Response)]
            if replies:
                await aside(self._length(replies), self._graded, n, replies)

    def is_quick(self, n: int, slots: Mapping[str, Slot]) -> bool:
        """Whether `put` takes no time: what the member replied is short, or has been graded."""
        if n in self._grades:
            return True
        return self._length([s for s in self._own(n, slots) if isinstance(s, Response)]) < LONG

    def _length(self, replies: Sequence[Response]) -> int:
        """Characters to read: of replies, and of the options that they may name."""
        return self._n_options + sum(len(reply.text) for reply in replies)

    def _own(self, n: int, slots: Mapping[str, Slot]) -> list[Slot]:
        member = self._ensemble.members[n]
        return [slots[call_name(member, sample)] for sample in range(member.settings.samples)]

    def _graded(self, n: int, replies: Sequence[Response]) -> Reply:
        """Once: to see whether a round is settled they are looked at as often as one more comes."""
        if n not in self._grades:
            self._grades[n] = self._ensemble.graded(self._ensemble.members[n], self._query, replies)
        return self._grades[n]

    def shut(self, n: int, *, blind: bool = False) -> None:
        """Note a member that is not asked, because it kept failing just before, or is blind."""
        member = self._ensemble.members[n]
        if blind:
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
        if self._may_be_free and not board.has_answer and len(self.of) >= _DOUBTS:
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
        texts = {s for reply in self._read.values() for s in reply.samples if s is not None}
        if len(texts) < 2:
            return
        # Another process compares; meanwhile others go on.
        name = await asyncio.to_thread(expression_names, texts)
        for n, reply in self._read.items():
            samples = tuple(None if s is None else name[s] for s in reply.samples)
            if samples != reply.samples:
                board.put(n, replace(reply, samples=samples))

    def said(self, n: int, board: Board, support: FloatArray) -> Said:
        """What came of asking a member, for the trace.

        Args:
            n: the member.
            board: with its answer.
            support: float32[C]: how strongly it backs each candidate.
        """
        member, answer = self._ensemble.members[n], board.answered(n)
        replies, failure = self.of.get(n, []), self.failures.get(member.name)
        place = None if answer is None else board.candidates.index(answer)
        reply = self.standing_for(n, board)
        return Said(
            member=member.name,
            answer=answer,
            support=None if place is None else float(support[place]),
            cost=board.cost(n),
            text=None if reply is None else reply.text,
            latency_s=max((reply.latency_s for reply in replies), default=None),
            cost_usd=known([reply.cost_usd for reply in replies]),
            unsettled_usd=sum(reply.unsettled_usd for reply in replies) or None,
            n_prompt_tokens=total([reply.n_prompt_tokens for reply in replies]),
            n_completion_tokens=total([reply.n_completion_tokens for reply in replies]),
            failure=None if failure is None else failure.failure.value,
            detail=None if failure is None else str(failure),
        )

    def standing_for(self, n: int, board: Board) -> Response | None:
        """The reply of a member that stands for its answer."""
        reply = board.reply(n)
        return None if reply is None else self.of[n][agreed(reply.samples)]


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
