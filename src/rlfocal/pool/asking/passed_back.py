"""What one member gave with a reply and wants to see again, and nobody else should.

Some servers hang a signature on a call of a tool ("extra_content") and refuse the next turn without
it; others refuse the turn that has it. It is marked with the member's name on its way to the
client, who sends it back as part of the conversation: so nothing need be kept in between, by
whichever process. The mark is no secret and is not trusted: it says who is shown the rest, no more.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from rlfocal.pool.types import Message

__all__ = ["EXTRA", "for_member", "giver_of", "marked"]

EXTRA = "extra_content"
_MARK = "rlfocal"


def marked(calls: Iterable[Mapping[str, Any]], member: str) -> tuple[Mapping[str, Any], ...]:
    """Calls of tools with the name of the member that made them, where they hold more than a call.

    >>> call = {"id": "c", "extra_content": {"google": {"thought_signature": "x"}}}
    >>> (found,) = marked([call], "gemini")
    >>> found["extra_content"]["rlfocal"], giver_of(found["extra_content"])
    ({'member': 'gemini'}, 'gemini')
    """
    return tuple(
        {**call, EXTRA: _with_mark(own, member)}
        if isinstance(own := call.get(EXTRA), dict) and own
        else call
        for call in calls
    )


def _with_mark(own: dict[str, Any], member: str) -> dict[str, Any]:
    mark: dict[str, Any] = {"member": member}
    if _MARK in own:  # the member is a gateway itself
        mark["inner"] = own[_MARK]
    return {**own, _MARK: mark}


def giver_of(extra: Any) -> str | None:
    """The member that an "extra_content" is marked with; None where it has no mark."""
    mark = extra.get(_MARK) if isinstance(extra, dict) else None
    name = mark.get("member") if isinstance(mark, dict) else None
    return name if isinstance(name, str) else None


def for_member(messages: Sequence[Message], member: str) -> tuple[Message, ...]:
    """A conversation as one member is sent it: with its own marks' contents, and no other's.

    What is not marked stays as it is.
    """
    return tuple(
        replace(turn, extra=_own(turn.extra, member)) if turn.extra else turn for turn in messages
    )


def _own(extra: Mapping[str, Any], member: str) -> dict[str, Any]:
    found = _unmarked(extra, member)
    calls = found.get("tool_calls")
    if isinstance(calls, list):
        found["tool_calls"] = [
            _unmarked(call, member) if isinstance(call, dict) else call for call in calls
        ]
    return found


def _unmarked(holder: Mapping[str, Any], member: str) -> dict[str, Any]:
    found = dict(holder)
    given = found.get(EXTRA)
    giver = giver_of(given)
    if giver is None or not isinstance(given, dict):
        return found
    if giver != member:
        del found[EXTRA]
        return found
    inner = given[_MARK].get("inner")
    own = {name: value for name, value in given.items() if name != _MARK}
    found[EXTRA] = own if inner is None else {**own, _MARK: inner}
    return found
