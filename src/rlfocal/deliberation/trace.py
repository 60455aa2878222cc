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
from rlfocal.deliberation.rounds import CallRecord, Round, known_fields, named_by
from rlfocal.deliberation.view import View
from rlfocal.markup import Displayed, Grid, Sheet, one_line
from rlfocal.readers import ReaderInfo, Reads
from rlfocal.records import BoolArray

__all__ = ["CallRecord", "Deliberation", "Round", "Trace", "named_by"]

_N_SHOWN = 4
"""Candidates named in a round."""


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
    by_session: bool = False
    """Whether members were asked first because the last request of the client's session had begun
    with them, in place of others whom the strategy wanted."""
    asked_on: bool = False
    """Whether others were to be asked whom the strategy did not want, since words led while as many
    members called a tool; not in replay."""

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
                "asked first: as in the session's last request" if self.by_session else "",
                "asked on: words led while as many called a tool" if self.asked_on else "",
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
        found |= {name: True for name in ("by_session", "asked_on") if getattr(self, name)}
        found["not_asked"] = self.not_asked
        return found if self.synthesis is None else found | {"synthesis": self.synthesis.as_json()}

    @classmethod
    def of_json(cls, found: Mapping[str, Any]) -> Self:
        """Undo `as_json`; traces that an earlier version wrote are read as well.

        What this version does not know is passed over, and what is missing is as in a new trace.
        """
        known = known_fields(found, _TRACE_FIELDS)
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


def _who(call: CallRecord) -> str:
    return f"{call.member} ({call.reading})" if call.read else call.member


def _said(call: CallRecord) -> tuple[str, str]:
    if call.failure is not None:
        return f"failed: {call.failure}", "-"
    if call.answer is None:
        return "nothing usable", "-"
    return one_line(call.answer, 30), "-" if call.support is None else f"{call.support:.2f}"


_TRACE_FIELDS = tuple(f.name for f in fields(Trace))
_SELDOM = ("synthesis", "readers", "nothing_to_read", "held_back", "by_session", "asked_on")
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

    def first(self, view: View, kept: Sequence[int] = ()) -> BoolArray:
        """bool[N]: members to ask in the first round.

        Args:
            view: of this one query, before any reply.
            kept: whom a session would ask in place of others, as many as the strategy wants. Where
                one of them cannot be asked, or it wants a member that reads others, it decides.
        """
        own = np.asarray(decided(self.strategy, view).ask[0])
        if not len(kept) or view.asked[0, list(kept)].any() or self._reads_any(own):
            return own
        # One that asks all at once would never ask those whom a smaller session leaves out.
        chosen = np.flatnonzero(own).tolist()
        order = dict.fromkeys([*(n for n in chosen if n in kept), *kept, *chosen])
        wanted = np.zeros_like(own)
        # It wants nobody where those whom it would ask are passed over.
        wanted[list(order)[: max(1, len(chosen))]] = True
        self.trace.by_session = bool((wanted != own).any())
        return wanted

    def _reads_any(self, wanted: BoolArray) -> bool:
        members = self.trace.members
        return any(members[n] in self.trace.readers for n in np.flatnonzero(wanted).tolist())

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
