"""One round of a query's trace: members asked, and what each of them said and took.

Knows nothing of strategies; `trace` puts rounds together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Self

from rlfocal.errors import Failure

__all__ = ["CallRecord", "Round", "known_fields", "named_by"]

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
    n_cached_tokens: int | None = None
    """Of the prompts', those that servers read from their caches, as far as they say."""
    n_thinking_tokens: int | None = None
    """Of the completions', those that models thought with, as far as servers say."""
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
        known = known_fields(found, _CALL_FIELDS)
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


def named_by(read: Sequence[str], verdict: int | None) -> str | None:
    """Whom a judge named: a name; empty for none of them; None where it named none clearly.

    Args:
        read: whose replies it was shown, in order.
        verdict: the place of one among these, from 0; -1 for none of them.
    """
    if verdict is None or verdict >= len(read):
        return None
    return "" if verdict < 0 else read[verdict]


def known_fields(found: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    """The fields of a stored object that this version has, by their present names."""
    today = {_FORMER.get(name, name): value for name, value in found.items()}
    return {name: today[name] for name in names if name in today}


_CALL_FIELDS = tuple(f.name for f in fields(CallRecord))
