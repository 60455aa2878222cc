"""Hold back a call of a tool that the members are not sure enough of, and say something instead.

The reply is then another one of the members', verbatim, a text that asks for confirmation, or an
error. Where calls come together, one of which members are not sure enough holds back all of them:
half of what was planned may be worse than nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from rlfocal.deliberation.held_back import HeldBack
from rlfocal.gateway.effects.rules import Below, Rule, Rules
from rlfocal.gateway.errors import ApiError
from rlfocal.live import Alternative, Answer

__all__ = ["held_back"]

_SLACK = 1e-6
"""Probabilities are reckoned in single precision, in which .9 is a little less."""
_BY_CARE: tuple[Below, ...] = ("read", "confirm", "error")
"""What may be given instead, the most careful last."""
_LONGEST_NAME = 64


def held_back(answer: Answer, rules: Rules, on_text: Callable[[str], None] | None = None) -> Answer:
    """An answer as it may be given; another one where it calls a tool below that one's bar.

    Args:
        answer: of an ensemble, or of a member asked by its name, whose confidence nobody knows: it
            is below every bar. Its trace says what was held back.
        rules: that hold for its request.
        on_text: gets what is added to a text that has been streamed.

    Raises:
        ApiError: 422, where the rules want an error.
    """
    if rules.are_none:
        return answer
    if answer.others:
        others = [held_back(one, rules) for one in answer.others]
        answer = replace(answer, others=tuple(others))
    low = _too_low(answer.tool_calls, answer.confidence, rules)
    if not low:
        return answer
    name = max(low, key=lambda name: low[name].bar)
    below = max((rule.below for rule in low.values()), key=_BY_CARE.index)
    sure = None if math.isnan(answer.confidence) else answer.confidence
    found = HeldBack(name[:_LONGEST_NAME], sure, low[name].bar, "error")
    answer.trace.held_back = found
    if below == "error":
        raise _refusal(found)
    # What was streamed of a reply cannot be taken back: no other can stand in its place.
    other = _safe(answer.alternatives, rules) if below == "read" and not answer.streamed else None
    if other is not None:
        answer.trace.held_back = replace(found, instead="read" if other.tool_calls else "text")
        return replace(
            answer, answer=other.answer, text=other.text, confidence=other.probability,
            finish=other.finish, tool_calls=other.tool_calls, alternatives=(),
            beside=other.beside,
        )  # fmt: skip
    answer.trace.held_back = replace(found, instead="confirm")
    asks = _asks(answer.tool_calls, found)
    if answer.streamed and on_text is not None:
        on_text(f"\n\n{asks}")
        asks = f"{answer.text}\n\n{asks}"
    # No candidate, so that a judgement of this text credits nobody with the call.
    return replace(
        answer, answer=" ".join(asks.split()), text=asks, confidence=math.nan, finish="stop",
        tool_calls=(), alternatives=(), beside={},
    )  # fmt: skip


def _too_low(
    calls: Iterable[Mapping[str, Any]], confidence: float, rules: Rules
) -> dict[str, Rule]:
    """Tools that are called with too little confidence → what holds for them."""
    found = {name: rules.of(name) for name in _names(calls)}
    return {n: r for n, r in found.items() if r.bar > 0 and not confidence + _SLACK >= r.bar}


def _names(calls: Iterable[Mapping[str, Any]]) -> list[str]:
    return [str(call["function"]["name"]) for call in calls]


def _safe(alternatives: Iterable[Alternative], rules: Rules) -> Alternative | None:
    """The likeliest that calls only what reads, and surely enough; else the likeliest text."""
    there = [one for one in alternatives if one.finish != "length"]  # a call may be cut short
    for one in there:
        reads = all(rules.of(name).effect == "read" for name in _names(one.tool_calls))
        if one.tool_calls and reads and not _too_low(one.tool_calls, one.probability, rules):
            return one
    return next((one for one in there if not one.tool_calls and one.text.strip()), None)


def _asks(calls: tuple[Mapping[str, Any], ...], found: HeldBack) -> str:
    """The text that asks for confirmation: with all that would be done, as members wrote it."""
    lines = []
    for call in calls:
        function = call["function"]
        lines.append(f"- {function['name']}({function['arguments']})")
    many = len(calls) > 1
    begins = "These calls have" if many else "This call has"
    whose = f", which '{found.tool}' needs" if many else ", which it needs"
    return (
        f"{begins} not been made yet: {found.how_sure}{whose}.\n\n"
        + "\n".join(lines)
        + f"\n\nShall {'they' if many else 'it'} be made? Please confirm, or say what to do "
        "instead."
    )


def _refusal(found: HeldBack) -> ApiError:
    return ApiError(
        422, "confidence_too_low",
        f"no call of '{found.tool}' is made: {found.how_sure}; ask your user, and send the request "
        f"again with rlfocal.tools.{found.tool}.confirmed = true, or another one",
        param=f"rlfocal.tools.{found.tool}",
        extra={
            "tool": found.tool, "confidence": found.confidence,
            "least_confidence": found.least_confidence,
        },
    )  # fmt: skip
