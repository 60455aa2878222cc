"""One conversation about one query: rounds of calls, and the transcript that they leave.

Knows neither methods nor money. All calls of a round are made at once, and none reads another of
the same round; so a conversation takes as long as the slowest call of each round, added up.
"""

from __future__ import annotations

import asyncio
import hashlib
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np

from rlfocal.conversations.calls import Call, Heard, Query
from rlfocal.conversations.recording import RecordingPool
from rlfocal.pool.asking.question import Question, Said
from rlfocal.pool.reading.settings import Form
from rlfocal.pool.reading.showing import showing_of
from rlfocal.pool.types import Message

__all__ = ["Conversation", "Talk", "Talking", "Turn", "alone", "most_frequent", "reader", "rng_of"]


@dataclass(frozen=True)
class Turn:
    """One call of a transcript: who was sent what, why, and what came."""

    speaker: str
    member: str
    why: str
    round: int
    """From 1."""
    sample: int
    messages: tuple[Message, ...]
    """As they were sent."""
    shown: tuple[str, ...]
    """Speakers whose replies stand in them, in order."""
    heard: Heard
    answer: str | None
    """Canonical; None where the reply holds no usable one, or none came."""
    said: str | None
    """What of the reply is shown to others; None where none came."""

    @property
    def text(self) -> str | None:
        """The reply; None where the call failed."""
        return self.heard.text

    def as_json(self) -> dict[str, Any]:
        """As plain values."""
        heard = self.heard
        return {
            "speaker": self.speaker,
            "member": self.member,
            "why": self.why,
            "round": self.round,
            "sample": self.sample,
            "messages": [message.as_json() for message in self.messages],
            "shown": list(self.shown),
            "reply": heard.text,
            "answer": self.answer,
            "n_tokens": heard.n_tokens,
            "cost_usd": heard.cost_usd,
            "latency_s": heard.latency_s,
        }


@dataclass(frozen=True)
class Talk:
    """A conversation that is over."""

    reply: str | None
    """What it comes to, as text; None for nothing."""
    answer: str | None
    """The answer in that, canonical."""
    score: float | None
    """What the answer is worth by the query's label, in [0, 1]; None without one."""
    turns: tuple[Turn, ...]
    """The transcript, in the order in which calls were begun."""
    importance: Mapping[str, float]
    """Of each agent, by speaker, where a method reckons it; else empty."""

    @property
    def n_calls(self) -> int:
        """Calls, failed ones included."""
        return len(self.turns)

    @property
    def n_rounds(self) -> int:
        """Rounds."""
        return max((turn.round for turn in self.turns), default=0)

    @property
    def n_tokens(self) -> int | None:
        """Of all prompts and replies; None where some were not counted."""
        found = [turn.heard.n_tokens for turn in self.turns]
        return None if None in found else sum(n or 0 for n in found)

    @property
    def cost_usd(self) -> float | None:
        """Dollars, whoever paid them; None where a member has no price."""
        found = [turn.heard.cost_usd for turn in self.turns]
        return None if None in found else sum(usd or 0.0 for usd in found)

    @property
    def latency_s(self) -> float:
        """Seconds: the slowest call of each round, added up."""
        slowest: dict[int, float] = {}
        for turn in self.turns:
            slowest[turn.round] = max(slowest.get(turn.round, 0.0), turn.heard.latency_s)
        return sum(slowest.values(), 0.0)

    def as_json(self) -> dict[str, Any]:
        """As plain values."""
        return {
            "reply": self.reply,
            "answer": self.answer,
            "turns": [turn.as_json() for turn in self.turns],
            "importance": dict(self.importance),
        }


class Talking:
    """A conversation while it goes on.

    Args:
        query: what it is about.
        pool: who is asked.
    """

    def __init__(self, query: Query, pool: RecordingPool) -> None:
        self.query, self._pool = query, pool
        self.turns: list[Turn] = []
        self._n_rounds = 0

    @property
    def question(self) -> Question:
        """The query as members are asked it."""
        return self.query.question

    async def round(self, calls: Sequence[Call]) -> list[Turn]:
        """Make calls at once; a reader to whom nobody has replied is not asked.

        Returns:
            A turn for each call that was made, in their order.

        Raises:
            Ended: no more calls may be made.
        """
        calls = [call for call in calls if "reads" not in call.settings or call.question.shown]
        if not calls:
            return []
        self._n_rounds += 1
        tasks = [asyncio.ensure_future(self._pool.ask(call, self.query)) for call in calls]
        heard = await asyncio.gather(*tasks, return_exceptions=True)
        if failed := next((each for each in heard if isinstance(each, BaseException)), None):
            raise failed
        turns = [
            self._turn(c, h) for c, h in zip(calls, heard, strict=True) if isinstance(h, Heard)
        ]
        self.turns += turns
        return turns

    def over(
        self,
        by: Turn | None,
        *,
        importance: Mapping[str, float] | None = None,
        nothing: bool = False,
    ) -> Talk:
        """The talk that it has been.

        Args:
            by: whose reply it comes to; None for nobody's.
            importance: of agents.
            nothing: what is held is null, whatever was said.
        """
        turns, by = tuple(self.turns), None if nothing else by
        if by is None or by.said is None:
            score = None if self.query.row["label"] is None else 0.0
            return Talk(None, None, score, turns, importance or {})
        call = Call(by.speaker, by.member, self.question, by.why)
        grade = self._pool.grade(self.query, call, by.said, by.heard.finish)
        return Talk(by.said, grade.answer, grade.score, turns, importance or {})

    def _turn(self, call: Call, heard: Heard) -> Turn:
        put = self._pool.put(call)
        shown: tuple[str, ...] = ()
        if put.settings.reads:
            shown = showing_of(put.settings, call.question, call.sample).names
        said = answer = None
        if heard.text is not None:
            said = call.counts(heard.text)
            # A reply that is only supposed agrees with no other, so that nothing ends early.
            answer = said if heard.supposed else None
            if answer is None:
                answer = self._pool.grade(self.query, call, said, heard.finish).answer
        return Turn(
            call.speaker, call.member, call.why, self._n_rounds, call.sample,
            put.request.messages, shown, heard, answer, said,
        )  # fmt: skip


def alone(
    speaker: str, member: str, question: Question, why: str, *, role: str = "", sample: int = 0
) -> Call:
    """A call of a member that reads nobody.

    Args:
        speaker: as the conversation calls it.
        member: who is asked.
        question: what.
        why: for the transcript.
        role: who it is told to be, after what the pool file says.
        sample: which reply to the same.
    """
    asked = replace(question, system=role) if role else question
    return Call(speaker, member, asked, why, sample=sample)


def reader(
    speaker: str,
    member: str,
    question: Question,
    read: Sequence[Turn],
    why: str,
    *,
    form: Form = "aggregate",
    words: str | None = None,
    role: str = "",
    sample: int = 0,
    counts: Callable[[str], str] = str,
) -> Call:
    """A call of a member that reads turns; it is told how many of them brought no reply.

    Args:
        speaker: as the conversation calls it.
        member: who is asked.
        question: what.
        read: turns, failed ones included; in an order that is drawn, but for "refine".
        why: for the transcript.
        form: what it does with them, as in pool files.
        words: in place of those of the form; see `Reading.read_template`.
        role: who it is told to be, after what the pool file says.
        sample: which order of them it sees.
        counts: what of its reply counts.
    """
    said = {turn.speaker: Said(turn.said, turn.answer) for turn in read if turn.said is not None}
    settings = {"reads": tuple(turn.speaker for turn in read), "reading": form, "first": False}
    asked = replace(question, shown=said, system=role)
    words_too = {} if words is None else {"read_template": words}
    return Call(speaker, member, asked, why, {**settings, **words_too}, sample, counts)


def most_frequent(turns: Sequence[Turn]) -> tuple[Turn | None, int]:
    """The first turn with the most frequent answer, and how often it was given.

    Replies without a usable answer do not count; on a tie the answer given first is taken.
    """
    counts = Counter(turn.answer for turn in turns if turn.answer is not None)
    if not counts:
        return None, 0
    answer, n = max(counts.items(), key=lambda item: item[1])
    return next(turn for turn in turns if turn.answer == answer), n


def rng_of(seed: int, name: str, question: Question) -> np.random.Generator:
    """Random numbers of one conversation about one question, whatever else is talked about."""
    drawn = hashlib.sha256(f"{name}\n{question.seed_text}".encode("utf-8", "surrogatepass"))
    return np.random.default_rng([seed, int.from_bytes(drawn.digest()[:8], "big")])


class Conversation(ABC):
    """A published way to talk, with its settings."""

    name: ClassVar[str]
    paper: ClassVar[str]
    """Where it was published."""

    @abstractmethod
    async def hold(
        self, query: Query, members: Sequence[str], pool: RecordingPool, rng: np.random.Generator
    ) -> Talk:
        """Talk about a query.

        Args:
            query: what about.
            members: who takes part, the best first; that one aggregates, judges and refines.
            pool: of these members.
            rng: of this conversation alone.

        Raises:
            Ended: it would need a call that may not be made.
        """

    async def fit(
        self, queries: Sequence[Query], members: Sequence[str], pool: RecordingPool, *, seed: int
    ) -> Self:
        """The conversation as it is after training queries; itself where it learns nothing.

        Args:
            queries: of training.
            members: as of `hold`.
            pool: likewise.
            seed: of the conversations that are held about them.

        Raises:
            Ended: as of `hold`.
        """
        return self
