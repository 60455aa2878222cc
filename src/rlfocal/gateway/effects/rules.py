"""Rules for calls of tools: whether one only reads, and how sure members have to be of it.

A client says them in its request, by the tools' names; the house in its configuration, by patterns.
Where both speak, the stricter word counts, but a client chooses what it gets instead of a call, and
may say that its user has confirmed one: it is the client that makes the call.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from rlfocal.settings import Settings

__all__ = ["Below", "ClientRule", "Effect", "HouseRule", "Rule", "Rules"]

Effect = Literal["read", "write"]
Below = Literal["confirm", "read", "error"]
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]

_USUAL = 0.9
"""The bar of a tool that writes, where nobody names one."""


class ClientRule(BaseModel):
    """What a request says of one of its tools."""

    model_config = ConfigDict(extra="forbid", strict=True, hide_input_in_errors=True, frozen=True)

    effect: Effect | None = None
    """Whether a call changes something; null for one that only reads."""
    least_confidence: Share | None = None
    """Below it no call is given. Null: 0.9 for one that writes, none for one that reads."""
    below: Below | None = None
    """What is given instead: a text that asks for confirmation, the likeliest other reply that
    changes nothing, or an error. Null for what the house says, or the text."""
    confirmed: bool | None = None
    """Whether the user has confirmed the call: then no bar counts in this request."""


class HouseRule(Settings):
    """What the house says of the tools whose names fit a pattern."""

    effect: Effect = "read"
    """Whether a call changes something."""
    least_confidence: Share | None = None
    """Below it no call is given; 0.9 for one that writes, where nothing is said."""
    below: Below = "confirm"
    """What is given instead, where the client does not choose."""


@dataclass(frozen=True)
class Rule:
    """What holds for one tool."""

    effect: Effect = "read"
    bar: float = 0.0
    """The least confidence, in [0, 1], at which a call of it is given."""
    below: Below = "confirm"


@dataclass(frozen=True)
class Rules:
    """What holds for the tools of one request.

    >>> house = {"send_*": HouseRule(effect="write"), "*": HouseRule(least_confidence=0.5)}
    >>> rules = Rules(house, {"send_mail": ClientRule(effect="read", below="error")})
    >>> rules.of("send_mail")
    Rule(effect='write', bar=0.9, below='error')
    >>> rules.of("look"), Rules().of("look").bar
    (Rule(effect='read', bar=0.5, below='confirm'), 0.0)
    """

    house: Mapping[str, HouseRule] = field(default_factory=dict)
    """Pattern → rule; the first that fits a name counts."""
    client: Mapping[str, ClientRule] = field(default_factory=dict)
    """Name → rule."""

    @property
    def are_none(self) -> bool:
        """Whether nobody says anything."""
        return not (self.house or self.client)

    offered: frozenset[str] | None = None
    """Names of the tools of the request; None where nobody says."""

    @property
    def have_bars(self) -> bool:
        """Whether a call of some tool that is offered needs a confidence."""
        return any(self.of(name).bar > 0 for name in self.offered or ())

    def of(self, name: str) -> Rule:
        """What holds for a tool.

        For one that was not offered, since members make up names, the strictest of all: a client
        may look names up less exactly than we do.
        """
        if self.offered and name not in self.offered and not self.are_none:
            rules = [self._of(name), *map(self._of, self.offered)]
            return max(rules, key=lambda rule: (rule.bar, rule.effect == "write"))
        return self._of(name)

    def _of(self, name: str) -> Rule:
        said = self.client.get(name) or ClientRule()
        ours = next((r for p, r in self.house.items() if fnmatchcase(name, p)), HouseRule())
        effect: Effect = "write" if "write" in (said.effect, ours.effect) else "read"
        bars = (_bar(said.effect, said.least_confidence), _bar(ours.effect, ours.least_confidence))
        return Rule(effect, 0.0 if said.confirmed else max(bars), said.below or ours.below)


def _bar(effect: Effect | None, least: float | None) -> float:
    if least is not None:
        return least
    return _USUAL if effect == "write" else 0.0
