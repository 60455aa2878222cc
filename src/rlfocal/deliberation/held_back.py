"""A call of a tool that an ensemble was not sure enough of, as its trace tells of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Self

__all__ = ["HeldBack", "Instead"]

Instead = Literal["confirm", "read", "text", "error"]
_IN_WORDS: Mapping[str, str] = {
    "confirm": "a confirmation was asked for",
    "read": "a call that only reads was given",
    "text": "a reply in words was given",
    "error": "the request was refused",
}


@dataclass(frozen=True)
class HeldBack:
    """What was held back, and what came instead; never what the tool would have been called with.

    >>> str(HeldBack("send_mail", 0.629, 0.95, "confirm"))
    'send_mail: the members are 62 % sure, below the 95 %; a confirmation was asked for'
    """

    tool: str
    """The one with the highest bar of those whose bar was not reached."""
    confidence: float | None
    """In the call, in [0, 1]; None where nobody knows it."""
    least_confidence: float
    """The tool's bar, in [0, 1]."""
    instead: Instead
    """What was given: a text that asks for confirmation, another reply that calls only what reads,
    another one that calls nothing, or an error."""

    @property
    def how_sure(self) -> str:
        """How sure the members are, and how sure they should be."""
        wanted = f"below the {100 * self.least_confidence:g} %"
        if self.confidence is None:
            return f"nobody has said how sure it is, {wanted}"
        # Cut, not rounded: what is just below its bar should look so.
        return f"the members are {int(100 * self.confidence)} % sure, {wanted}"

    def __str__(self) -> str:
        return f"{self.tool}: {self.how_sure}; {_IN_WORDS[self.instead]}"

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return dict(vars(self))

    @classmethod
    def of_json(cls, found: Mapping[str, Any]) -> Self:
        """Undo `as_json`; fields that this version does not know are passed over."""
        return cls(found["tool"], found["confidence"], found["least_confidence"], found["instead"])
