"""What happened to one query, round by round: who was asked, what was said, why it stopped.

A `Deliberation` puts the strategy's questions and notes the replies; where replies come from, a
recorded table or live members, is its caller's business.

Axes: N members, C candidate slots.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np

from rlfocal.deliberation.view import View
from rlfocal.pool.wrappers.unsettled import Bill
from rlfocal.records import BoolArray
from rlfocal.rl.everybody import Everybody
from rlfocal.rl.fallback import LEARNED
from rlfocal.rl.parts import Trained
from rlfocal.rl.strategy import RlFocal

__all__ = ["Deliberation", "Round", "Said", "Trace"]

AGENTS = (LEARNED, Everybody.name)
"""Who acts where no rival does; the second where calls cost nothing."""
_N_SHOWN = 4
"""Candidates named in a round."""


@dataclass(frozen=True)
class Said:
    """What came of asking one member."""

    member: str
    answer: str | None
    """None where it failed or gave no usable answer."""
    support: float | None
    """How strongly it backs that answer, in [0, 1]."""
    cost: float
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
    unsettled_usd: float | None = None
    """What its replies may cost beyond `cost_usd`, at most: its server has not counted."""


@dataclass(frozen=True)
class Round:
    """One round."""

    asked: tuple[Said, ...]
    probabilities: dict[str, float]
    """Of the leading candidates, after it."""
    spent: float
    """So far, in the unit of cost."""
    probability_of_stopping: float | None = None
    """After it; None where the strategy has no such thing."""


@dataclass
class Trace:
    """One query's way to its answer."""

    strategy: str
    price: float | None
    """Lambda; None for a strategy without one."""
    acting: str | None
    """Who acts at this price: what learned, or a rival in its place."""
    why: str | None
    members: tuple[str, ...]
    cost_unit: str
    rounds: list[Round]
    stopped: str
    """Why nobody else was asked."""
    answer: str | None = None
    confidence: float = 0.0
    synthesis: Said | None = None
    """By whom the replies were made into one, where that was asked for."""
    shut: list[str] = field(default_factory=list)
    """Members that were not asked because they kept failing just before."""
    unsettled_usd: float = 0.0
    """What failed and abandoned calls may cost, at most, nobody knows whether a bill comes; and
    replies whose server has not counted."""
    paid_usd: float = 0.0
    """For all replies that came; some may stand in no round, because it ended before."""
    waited_s: float = 0.0
    """For members; the rest of the time was our own."""

    @property
    def calls(self) -> list[Said]:
        """Everything that was asked for, the synthesis included."""
        asked = [said for part in self.rounds for said in part.asked]
        return asked if self.synthesis is None else [*asked, self.synthesis]

    @property
    def usd(self) -> float:
        """Dollars spent on replies that have a price, on those as well that came too late."""
        return max(self.paid_usd, sum(said.cost_usd or 0.0 for said in self.calls))

    def settle(self, bill: Bill) -> None:
        """Take over what the calls came to; what is under way counts as its most."""
        self.paid_usd, self.unsettled_usd = bill.paid_usd, bill.unsettled_usd

    @property
    def not_asked(self) -> list[str]:
        """Members that nobody asked."""
        asked = {said.member for part in self.rounds for said in part.asked}
        return [member for member in self.members if member not in asked]

    def as_json(self) -> dict[str, Any]:
        """Everything, as plain values; what is not known is left out of replies."""
        # Not by `asdict`, which copies each value and takes a good part of a millisecond.
        figures = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "synthesis"}
        figures["rounds"] = [
            vars(part) | {"asked": [_known(said) for said in part.asked]} for part in self.rounds
        ]
        figures["not_asked"] = self.not_asked
        return figures | ({} if self.synthesis is None else {"synthesis": _known(self.synthesis)})


def _known(said: Said) -> dict[str, Any]:
    return {k: v for k, v in vars(said).items() if v is not None or k in ("answer", "support")}


class Deliberation:
    """Drives a strategy through one query.

    Args:
        strategy: fitted.
        members: names of the N members.
        cost_unit: what costs are counted in.
    """

    def __init__(self, strategy: Trained, members: Sequence[str], cost_unit: str) -> None:
        self._strategy = strategy
        learned = strategy if isinstance(strategy, RlFocal) else None
        self.trace = Trace(
            strategy=strategy.name,
            price=getattr(strategy, "price", None),
            acting=None if learned is None else learned.verdict.chosen,
            why=None if learned is None else learned.verdict.explain(),
            members=tuple(members),
            cost_unit=cost_unit,
            rounds=[],
            stopped="",
        )

    @property
    def n_rounds(self) -> int:
        """How many there were."""
        return len(self.trace.rounds)

    def go_on_alone(self) -> Trained:
        """Let no rival act from now on, since a member has failed; the strategy that acts then."""
        learned = self._strategy
        if isinstance(learned, RlFocal) and self.trace.acting not in (None, *AGENTS):
            self.trace.why = f"{self.trace.acting} would act, but a member has failed"
            self.trace.acting = AGENTS[learned.price == 0]
            self._strategy = learned.alone()
        return self._strategy

    def first(self, view: View) -> BoolArray:
        """bool[N]: whom to ask in the first round.

        Args:
            view: of this one query, on which nothing has been said yet.
        """
        return np.asarray(self._strategy.next_members(view)[0] & ~view.asked[0])

    def heard(self, view: View, said: Sequence[Said], candidates: Sequence[str]) -> BoolArray:
        """Note a round.

        Args:
            view: after it.
            said: by those asked in it.
            candidates: names of the view's slots, from the first on.

        Returns:
            bool[N]: whom to ask next; nobody once it has enough.
        """
        # Decided before it is fused: the strategy then has to look at the view only once.
        wanted = np.asarray(self._strategy.next_members(view)[0] & ~view.asked[0])
        stop = None
        if isinstance(self._strategy, RlFocal):
            stop = float(self._strategy.decide(view)[0, -1])
        fused = np.where(view.available[0], np.asarray(self._strategy.fuse(view))[0], 0)
        named = {name: float(fused[slot]) for slot, name in enumerate(candidates) if fused[slot]}
        leading = sorted(named.items(), key=lambda item: -item[1])
        spent = float(view.spent[0])
        self.trace.rounds.append(Round(tuple(said), dict(leading[:_N_SHOWN]), spent, stop))
        self.trace.answer = leading[0][0] if leading else None
        self.trace.confidence = min(1.0, leading[0][1]) if leading else 0.0
        if not wanted.any():
            everybody = bool(view.asked.all())
            self.trace.stopped = "everybody was asked" if everybody else "it has enough"
        return wanted
