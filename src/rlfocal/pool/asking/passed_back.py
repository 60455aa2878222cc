"""What one member gave with a reply and wants to see again, and nobody else should.

Some servers hang a signature on a call of a tool ("extra_content"), or thoughts on the turn
("reasoning_details"), and refuse the next turn without them; others refuse the turn that has them.
They are marked with the member's name on their way to the client, who sends them back as part of
the conversation: so nothing need be kept in between, by whichever process. The mark is no secret
and is not trusted: it says who is shown the rest, no more.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from rlfocal.pool.types import Message, Response

__all__ = ["DETAILS", "EXTRA", "details_of", "for_member", "given_back", "giver_of", "marked"]

EXTRA = "extra_content"
DETAILS = ("reasoning_details", "thinking_blocks")
"""Thoughts of a turn, in texts or encrypted: a list, each entry of which has a mark of its own."""
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


def given_back(
    reply: Response, member: str
) -> tuple[tuple[Mapping[str, Any], ...], dict[str, Any]]:
    """The calls of a reply, and what of the rest has to come back with them; both marked."""
    if not reply.tool_calls:
        return (), {}
    return marked(reply.tool_calls, member), details_of(reply, member)


def details_of(reply: Response, member: str) -> dict[str, Any]:
    """The thoughts of a reply that its server wants to see again, marked.

    >>> reply = Response("7", beside={"thinking_blocks": [{"thinking": "hm"}], "images": [{}]})
    >>> details_of(reply, "claude")
    {'thinking_blocks': [{'thinking': 'hm', 'rlfocal': {'member': 'claude'}}]}
    """
    return {
        name: [_with_mark(one, member) if isinstance(one, dict) else one for one in given]
        for name, given in reply.beside.items()
        if name in DETAILS
    }


def _with_mark(own: dict[str, Any], member: str) -> dict[str, Any]:
    mark: dict[str, Any] = {"member": member}
    if _MARK in own:  # the member is a gateway itself
        mark["inner"] = own[_MARK]
    return {**own, _MARK: mark}


def giver_of(extra: Any) -> str | None:
    """The member that something is marked with; None where it has no mark."""
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
    for name in DETAILS:
        if isinstance(details := found.get(name), list):
            kept = [_without_mark(one, member) for one in details]
            found[name] = [one for one in kept if one is not None]
            if details and not found[name]:
                del found[name]
    return found


def _unmarked(holder: Mapping[str, Any], member: str) -> dict[str, Any]:
    found = dict(holder)
    if giver_of(found.get(EXTRA)) is None:
        return found
    if (own := _without_mark(found[EXTRA], member)) is None:
        del found[EXTRA]
    else:
        found[EXTRA] = own
    return found


def _without_mark(given: Any, member: str) -> Any:
    """What is marked, as its giver wrote it; None where that is another one."""
    giver = giver_of(given)
    if giver is None:
        return given
    if giver != member:
        return None
    inner = given[_MARK].get("inner")
    own = {name: value for name, value in given.items() if name != _MARK}
    return own if inner is None else {**own, _MARK: inner}
