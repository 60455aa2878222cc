"""What an ensemble answers, what one may say beforehand, and who is told meanwhile."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from rlfocal.deliberation.trace import Round, Trace
from rlfocal.live.given.alternatives import Alternative
from rlfocal.markup import Displayed, Sheet, one_line
from rlfocal.pool.types import Finish

__all__ = ["Answer", "Limits", "Listener"]


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
    refusal: str = ""
    """Why a member asked by its name says that it will not answer, where that is told apart."""
    beside: Mapping[str, Any] = field(default_factory=dict)
    """What else a member asked by its name gave, as `Response.beside`; of others, what goes with
    their calls, marked as these are."""
    others: tuple[Answer, ...] = ()
    """More replies of a member asked by its name, where several are wanted."""
    alternatives: tuple[Alternative, ...] = ()
    """Where tools were offered: every other candidate, the likeliest first."""

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
