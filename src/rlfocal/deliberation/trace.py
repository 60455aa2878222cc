"""The trace of one query, round by round: members asked, their answers, and why it stopped.

A `Deliberation` runs a strategy and records the replies that its caller gets, from a recorded table
or from live members. The result is a `Trace`, which is written as JSON and read back by the same
class.

Axes: N members, C candidate slots.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Self

import numpy as np

from rlfocal.deliberation.base import Base
from rlfocal.deliberation.held_back import HeldBack
from rlfocal.deliberation.replay import decided
from rlfocal.deliberation.view import View
from rlfocal.errors import Failure
from rlfocal.markup import Displayed, Grid, Sheet, one_line
from rlfocal.readers import ReaderInfo, Reads
from rlfocal.records import BoolArray

__all__ = ["CallRecord", "Deliberation", "Round", "Trace", "named_by"]

_N_SHOWN = 4
"""Candidates named in a round."""
_ALWAYS = ("answer", "support")
"""Fields of a call that are written even where they are not known."""
_FORMER = {
    "shut": "circuit_open", "waited_s": "members_s", "acting": "policy",
    "unsettled_usd": "uncertain_cost_usd",
}  # fmt: skip
"""Names in traces that an earlier version wrote → today's."""


@dataclass(frozen=True)
class CallRecord:
    """The outcome of asking one member."""

    member: str
    answer: str | None = None
    """None where it failed or gave no usable answer."""
    support: float | None = None
    """How strongly it backs that answer, in [0, 1]."""
    cost: float = 0.0
    """In the unit that the strategy reckons in."""
    text: str | None = None
    """Its full reply, where it is at hand."""
    latency_s: float | None = None
    cost_usd: float | None = None
    n_prompt_tokens: int | None = None
    n_completion_tokens: int | None = None
    failure: str | None = None
    """The kind of failure; None for a reply."""
    detail: str | None = None
    """The failure in words; or why a reply is no answer: calls that break their schema."""
    uncertain_cost_usd: float | None = None
    """What its replies may cost beyond `cost_usd`, at most: its server has not counted."""
    read: tuple[tuple[str, ...], ...] | None = None
    """Of a member that reads others: whose replies each of its samples was shown, in that order;
    last its own earlier one."""
    verdict: tuple[str | None, ...] | None = None
    """Of a judge: whose reply each of its samples named; empty for none of them, None where it
    named none clearly."""

    @property
    def reading(self) -> str:
        """Whom it read, and whom it named, in words; empty for one that reads nobody.

        >>> CallRecord("j", read=(("a", "b"), ("b", "a")), verdict=("a", None)).reading
        'read a, b (named a); b, a (named nobody)'
        """
        if not self.read:
            return ""
        named = [""] * len(self.read)
        for k, name in enumerate(self.verdict or ()):
            named[k] = f" (named {name or ('none of them' if name == '' else 'nobody')})"
        parts = [f"{', '.join(one)}{name}" for one, name in zip(self.read, named, strict=True)]
        return f"read {'; '.join(dict.fromkeys(parts))}"

    @property
    def was_cancelled(self) -> bool:
        """True where its reply was not waited for, because the answer was certain without it."""
        return self.failure == Failure.CANCELLED

    def as_json(self) -> dict[str, Any]:
        """Plain values; what is not known is left out."""
        return {k: v for k, v in vars(self).items() if v is not None or k in _ALWAYS}

    @classmethod
    def of_json(cls, found: Mapping[str, Any]) -> Self:
        """Undo `as_json`; fields that this version does not know are passed over."""
        known = _known(found, _CALL_FIELDS)
        if "read" in known:
            known["read"] = tuple(map(tuple, known["read"]))
        if "verdict" in known:
            known["verdict"] = tuple(known["verdict"])
        return cls(**known)


@dataclass(frozen=True)
class Round:
    """One round."""

    asked: tuple[CallRecord, ...]
    probabilities: dict[str, float]
    """Of the leading candidates, after it."""
    spent: float
    """So far, in the unit of cost."""
    probability_of_stopping: float | None = None
    """After it; None where the strategy has no such thing."""

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return vars(self) | {"asked": [call.as_json() for call in self.asked]}

    @classmethod
    def of_json(cls, found: Mapping[str, Any]) -> Self:
        """Undo `as_json`."""
        return cls(
            tuple(map(CallRecord.of_json, found.get("asked", ()))),
            dict(found.get("probabilities", {})),
            found.get("spent", 0.0),
            found.get("probability_of_stopping"),
        )


@dataclass
class Trace(Displayed):
    """The record of a query's rounds, answer and cost."""

    strategy: str = ""
    price: float | None = None
    """Lambda; None for a strategy without one."""
    policy: str | None = None
    """The policy that acts at this price, where the strategy may choose among several."""
    why: str | None = None
    members: tuple[str, ...] = ()
    cost_unit: str = "call"
    kind: str = ""
    """How answers are compared: "choice", "tools", "open" or as in records; empty where unknown."""
    rounds: list[Round] = field(default_factory=list)
    stopped: str = ""
    """Why no other member was asked."""
    answer: str | None = None
    confidence: float = 0.0
    unlike: str = ""
    """In what the query is unlike those of training; empty where it is like some, where that is not
    known, and in replay."""
    learned_confidence: float | None = None
    """The confidence that was learned, where `confidence` is lower because the query is unlike
    those that it was learned from."""
    synthesis: CallRecord | None = None
    """The call of the member that made one reply out of several, where requested."""
    circuit_open: list[str] = field(default_factory=list)
    """Members that were not asked because they kept failing just before, or take no images."""
    uncertain_cost_usd: float = 0.0
    """Upper bound of costs that are not confirmed: failed and abandoned calls that may be billed,
    and replies whose server has not counted their tokens."""
    paid_usd: float = 0.0
    """Cost of all replies received; some are in no round, because it ended before."""
    members_s: float = 0.0
    """Seconds spent waiting for members; the rest of the time is overhead."""
    readers: dict[str, ReaderInfo] = field(default_factory=dict)
    """Of the members, those that read others."""
    nothing_to_read: list[str] = field(default_factory=list)
    """Members that were not asked because nobody of those they read has replied."""
    held_back: HeldBack | None = None
    """The call that `answer` is, where it was not given for want of confidence."""

    def _sheet(self) -> Sheet:
        price = "" if self.price is None else f", price of a call {self.price:g}"
        rows = [
            (str(number), _who(call), *_said(call), self._belief(part) if last else "")
            for number, part in enumerate(self.rounds, start=1)
            for call, last in zip(part.asked, [False] * len(part.asked[1:]) + [True], strict=False)
        ]
        return Sheet(
            f"{self.strategy}{price}",
            (
                self.why or "",
                Grid("rounds", ("round", "asked", "answered", "support", "then likeliest"), rows),
                f"stopped: {self.stopped}; not asked: {', '.join(self.not_asked) or 'nobody'}",
                self.unread,
                f"answer: {one_line(self.answer or 'none')} (confidence {self.confidence:.2f})",
                f"held back: {self.held_back}" if self.held_back else "",
            ),
        )

    @property
    def unread(self) -> str:
        """Who was not asked for want of anything to read, in words; empty for nobody."""
        names = ", ".join(self.nothing_to_read)
        return f"not asked, since nobody whom they read has replied: {names}" if names else ""

    @staticmethod
    def _belief(part: Round) -> str:
        return ", ".join(f"{one_line(n, 20)} {p:.2f}" for n, p in part.probabilities.items())

    @property
    def calls(self) -> list[CallRecord]:
        """All calls, the synthesis included."""
        asked = list[CallRecord]()
        for part in self.rounds:
            asked += part.asked
        return asked if self.synthesis is None else [*asked, self.synthesis]

    @property
    def usd(self) -> float:
        """Dollars spent on replies with a known price, late ones included."""
        return max(self.paid_usd, sum([call.cost_usd or 0.0 for call in self.calls]))

    @property
    def not_asked(self) -> list[str]:
        """Names of members that were not asked."""
        asked = {call.member for part in self.rounds for call in part.asked}
        return [member for member in self.members if member not in asked]

    def settle(self, paid_usd: float, uncertain_cost_usd: float) -> None:
        """Set the final costs; calls under way count with their upper bound."""
        self.paid_usd, self.uncertain_cost_usd = paid_usd, uncertain_cost_usd

    def as_json(self) -> dict[str, Any]:
        """Everything, as plain values; what is not known is left out of calls."""
        # Not by `asdict`, which copies each value and takes a good part of a millisecond.
        found = {name: getattr(self, name) for name in _ALWAYS_OF_TRACE}
        found["members"] = list(self.members)
        if self.readers:
            found["readers"] = {name: one.model_dump() for name, one in self.readers.items()}
        if self.nothing_to_read:
            found["nothing_to_read"] = self.nothing_to_read
        found["rounds"] = [part.as_json() for part in self.rounds]
        if self.held_back is not None:
            found["held_back"] = self.held_back.as_json()
        found["not_asked"] = self.not_asked
        return found if self.synthesis is None else found | {"synthesis": self.synthesis.as_json()}

    @classmethod
    def of_json(cls, found: Mapping[str, Any]) -> Self:
        """Undo `as_json`; traces that an earlier version wrote are read as well.

        What this version does not know is passed over, and what is missing is as in a new trace.
        """
        known = _known(found, _TRACE_FIELDS)
        known["members"] = tuple(known.get("members", ()))
        known["rounds"] = [Round.of_json(part) for part in known.get("rounds", ())]
        known["circuit_open"] = list(known.get("circuit_open", ()))
        known["nothing_to_read"] = list(known.get("nothing_to_read", ()))
        told = known.get("readers", {})
        known["readers"] = {name: ReaderInfo.model_validate(told[name]) for name in told}
        if known.get("held_back") is not None:
            known["held_back"] = HeldBack.of_json(known["held_back"])
        if known.get("synthesis") is not None:
            known["synthesis"] = CallRecord.of_json(known["synthesis"])
        return cls(**known)


def named_by(read: Sequence[str], verdict: int | None) -> str | None:
    """Whom a judge named: a name; empty for none of them; None where it named none clearly.

    Args:
        read: whose replies it was shown, in order.
        verdict: the place of one among these, from 0; -1 for none of them.
    """
    if verdict is None or verdict >= len(read):
        return None
    return "" if verdict < 0 else read[verdict]


def _who(call: CallRecord) -> str:
    return f"{call.member} ({call.reading})" if call.read else call.member


def _said(call: CallRecord) -> tuple[str, str]:
    if call.failure is not None:
        return f"failed: {call.failure}", "-"
    if call.answer is None:
        return "nothing usable", "-"
    return one_line(call.answer, 30), "-" if call.support is None else f"{call.support:.2f}"


def _known(found: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    """The fields present, by their present names."""
    today = {_FORMER.get(name, name): value for name, value in found.items()}
    return {name: today[name] for name in names if name in today}


_CALL_FIELDS = tuple(f.name for f in fields(CallRecord))
_TRACE_FIELDS = tuple(f.name for f in fields(Trace))
_SELDOM = ("synthesis", "readers", "nothing_to_read", "held_back")
_ALWAYS_OF_TRACE = tuple(name for name in _TRACE_FIELDS if name not in _SELDOM)
"""Fields of a trace that are written even where they say nothing."""


class Deliberation:
    """Drives a strategy through one query.

    Args:
        strategy: fitted.
        members: names of the N members.
        cost_unit: what costs are counted in.
        kind: how answers are compared, see `Trace.kind`.
        reads: who reads whom; None where nobody does.
    """

    def __init__(
        self,
        strategy: Base,
        members: Sequence[str],
        cost_unit: str,
        *,
        kind: str = "",
        reads: Reads | None = None,
    ) -> None:
        self.strategy = strategy
        """The strategy that decides now."""
        self.believed: Mapping[str, float] = {}
        """Candidate → its probability after the last round: of all that have any."""
        acting = strategy.acting
        self.trace = Trace(
            strategy=strategy.name,
            price=strategy.price,
            policy=None if acting is None else acting.name,
            why=None if acting is None else acting.why,
            members=tuple(members),
            cost_unit=cost_unit,
            kind=kind,
            readers={} if reads is None else dict(reads.infos),
        )

    @property
    def n_rounds(self) -> int:
        """Number of rounds so far."""
        return len(self.trace.rounds)

    def go_on_alone(self) -> None:
        """Use the learned policy without rivals from now on, since a member has failed."""
        acting = self.strategy.acting
        if acting is None or not acting.stands_in:
            return
        self.strategy = self.strategy.alone()
        now = self.strategy.acting
        self.trace.policy = None if now is None else now.name
        self.trace.why = f"{acting.name} would act, but a member has failed"

    def first(self, view: View) -> BoolArray:
        """bool[N]: members to ask in the first round.

        Args:
            view: of this one query, before any reply.
        """
        return np.asarray(decided(self.strategy, view).ask[0])

    def record_round(
        self,
        view: View,
        calls: Sequence[CallRecord],
        candidates: Sequence[str],
        *,
        passed_over: Collection[str] = (),
        goes_on: bool = False,
    ) -> BoolArray:
        """Record a round.

        Args:
            view: after it.
            calls: of the members asked in it; without any it is no round where members read others,
                since there was nothing to read.
            candidates: names of the view's slots, from the first on.
            passed_over: those that are not the answer while there is another.
            goes_on: whether others are asked now whatever the strategy says: those who read what
                has just come.

        Returns:
            bool[N]: members to ask next; none once the strategy stops.
        """
        found = decided(self.strategy, view)
        chance = None if found.chance is None else float(found.chance[0, -1])
        fused = np.where(view.available[0], found.answer[0], 0).tolist()
        named = {name: fused[slot] for slot, name in enumerate(candidates) if fused[slot]}
        self.believed = named
        leading = sorted(named, key=named.__getitem__, reverse=True)  # of equals, the earlier slot
        shown, spent = {name: named[name] for name in leading[:_N_SHOWN]}, float(view.spent[0])
        if calls or not self.trace.readers:
            chance = None if goes_on else chance
            self.trace.rounds.append(Round(tuple(calls), shown, spent, chance))
        best = next(
            (name for name in leading if name not in passed_over), next(iter(leading), None)
        )
        self.trace.answer = best
        self.trace.confidence = 0.0 if best is None else min(1.0, named[best])
        if not (goes_on or found.ask.any()):
            all_asked = bool(view.asked.all())
            self.trace.stopped = "everybody was asked" if all_asked else "it has enough"
        return np.asarray(found.ask[0])
