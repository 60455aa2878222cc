"""What happened to one query, round by round: who was asked, what was said, why it stopped.

A `Deliberation` puts the strategy's questions and notes the replies; where replies come from, a
recorded table or live members, is its caller's business. What it leaves is a `Trace`, which is
written as JSON and read back by the same class.

Axes: N members, C candidate slots.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, Self

import numpy as np

from rlfocal.deliberation.base import Base
from rlfocal.deliberation.replay import decided
from rlfocal.deliberation.view import View
from rlfocal.records import BoolArray

__all__ = ["CallRecord", "Deliberation", "Round", "Trace"]

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
    """What came of asking one member."""

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
    """The failure in words."""
    uncertain_cost_usd: float | None = None
    """What its replies may cost beyond `cost_usd`, at most: its server has not counted."""

    def as_json(self) -> dict[str, Any]:
        """Plain values; what is not known is left out."""
        return {k: v for k, v in vars(self).items() if v is not None or k in _ALWAYS}

    @classmethod
    def of_json(cls, found: Mapping[str, Any]) -> Self:
        """Undo `as_json`; fields that this version does not know are passed over."""
        return cls(**_known(found, _CALL_FIELDS))


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
class Trace:
    """One query's way to its answer."""

    strategy: str = ""
    price: float | None = None
    """Lambda; None for a strategy without one."""
    policy: str | None = None
    """Who decides at this price, where the strategy may leave that to another one."""
    why: str | None = None
    members: tuple[str, ...] = ()
    cost_unit: str = "call"
    kind: str = ""
    """How answers are compared: "choice", "tools", "open" or as in records; empty where nobody
    says."""
    rounds: list[Round] = field(default_factory=list)
    stopped: str = ""
    """Why nobody else was asked."""
    answer: str | None = None
    confidence: float = 0.0
    synthesis: CallRecord | None = None
    """By whom the replies were made into one, where that was asked for."""
    circuit_open: list[str] = field(default_factory=list)
    """Members that were not asked because they kept failing just before, or take no images."""
    uncertain_cost_usd: float = 0.0
    """What failed and abandoned calls may cost, at most, nobody knows whether a bill comes; and
    replies whose server has not counted."""
    paid_usd: float = 0.0
    """For all replies that came; some may stand in no round, because it ended before."""
    members_s: float = 0.0
    """Seconds in which members were waited for; the rest of the time was our own."""

    @property
    def calls(self) -> list[CallRecord]:
        """Everything that was asked for, the synthesis included."""
        asked = list[CallRecord]()
        for part in self.rounds:
            asked += part.asked
        return asked if self.synthesis is None else [*asked, self.synthesis]

    @property
    def usd(self) -> float:
        """Dollars spent on replies that have a price, on those as well that came too late."""
        return max(self.paid_usd, sum([call.cost_usd or 0.0 for call in self.calls]))

    @property
    def not_asked(self) -> list[str]:
        """Members that nobody asked."""
        asked = {call.member for part in self.rounds for call in part.asked}
        return [member for member in self.members if member not in asked]

    def settle(self, paid_usd: float, uncertain_cost_usd: float) -> None:
        """Take over what the calls came to; what is under way counts as its most."""
        self.paid_usd, self.uncertain_cost_usd = paid_usd, uncertain_cost_usd

    def with_calls(self, change: Callable[[CallRecord], CallRecord]) -> Self:
        """A copy of which every call is changed, the synthesis among them."""
        rounds = [replace(part, asked=tuple(map(change, part.asked))) for part in self.rounds]
        made = None if self.synthesis is None else change(self.synthesis)
        return replace(self, rounds=rounds, synthesis=made)

    def as_json(self) -> dict[str, Any]:
        """Everything, as plain values; what is not known is left out of calls."""
        # Not by `asdict`, which copies each value and takes a good part of a millisecond.
        found = {name: getattr(self, name) for name in _TRACE_FIELDS if name != "synthesis"}
        found["members"] = list(self.members)
        found["rounds"] = [part.as_json() for part in self.rounds]
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
        if known.get("synthesis") is not None:
            known["synthesis"] = CallRecord.of_json(known["synthesis"])
        return cls(**known)


def _known(found: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    """Fields by today's names, as far as there are any."""
    today = {_FORMER.get(name, name): value for name, value in found.items()}
    return {name: today[name] for name in names if name in today}


_CALL_FIELDS = tuple(f.name for f in fields(CallRecord))
_TRACE_FIELDS = tuple(f.name for f in fields(Trace))


class Deliberation:
    """Drives a strategy through one query.

    Args:
        strategy: fitted.
        members: names of the N members.
        cost_unit: what costs are counted in.
        kind: how answers are compared, see `Trace.kind`.
    """

    def __init__(
        self, strategy: Base, members: Sequence[str], cost_unit: str, *, kind: str = ""
    ) -> None:
        self.strategy = strategy
        """Who decides now."""
        acting = strategy.acting
        self.trace = Trace(
            strategy=strategy.name,
            price=strategy.price,
            policy=None if acting is None else acting.name,
            why=None if acting is None else acting.why,
            members=tuple(members),
            cost_unit=cost_unit,
            kind=kind,
        )

    @property
    def n_rounds(self) -> int:
        """How many there were."""
        return len(self.trace.rounds)

    def go_on_alone(self) -> None:
        """Let nobody stand in for what was learned from now on, since a member has failed."""
        acting = self.strategy.acting
        if acting is None or not acting.stands_in:
            return
        self.strategy = self.strategy.alone()
        now = self.strategy.acting
        self.trace.policy = None if now is None else now.name
        self.trace.why = f"{acting.name} would act, but a member has failed"

    def first(self, view: View) -> BoolArray:
        """bool[N]: whom to ask in the first round.

        Args:
            view: of this one query, on which nothing has been said yet.
        """
        return np.asarray(decided(self.strategy, view).ask[0])

    def record_round(
        self, view: View, calls: Sequence[CallRecord], candidates: Sequence[str]
    ) -> BoolArray:
        """Note a round.

        Args:
            view: after it.
            calls: what came of asking, of each member asked in it.
            candidates: names of the view's slots, from the first on.

        Returns:
            bool[N]: whom to ask next; nobody once it has enough.
        """
        found = decided(self.strategy, view)
        chance = None if found.chance is None else float(found.chance[0, -1])
        fused = np.where(view.available[0], found.answer[0], 0).tolist()
        named = {name: fused[slot] for slot, name in enumerate(candidates) if fused[slot]}
        leading = sorted(named, key=named.__getitem__, reverse=True)  # of equals, the earlier slot
        shown, spent = {name: named[name] for name in leading[:_N_SHOWN]}, float(view.spent[0])
        self.trace.rounds.append(Round(tuple(calls), shown, spent, chance))
        self.trace.answer = leading[0] if leading else None
        self.trace.confidence = min(1.0, named[leading[0]]) if leading else 0.0
        if not found.ask.any():
            everybody = bool(view.asked.all())
            self.trace.stopped = "everybody was asked" if everybody else "it has enough"
        return np.asarray(found.ask[0])
