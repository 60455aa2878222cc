"""Calls as gpt-oss makes them: messages of its harmony format that are sent to a function.

A head says to whom (`<|channel|>commentary to=functions.f <|constrain|>json`), `<|message|>` ends
it, and a token ends the message. What is sent to nobody is thinking or words. Where a server drops
the tokens, the head is left: `commentary to=functions.f json{...}`.

Source: OpenAI's description of the harmony response format.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from rlfocal.toolcalls.functions import Tools
from rlfocal.toolcalls.parsing.invocations import Element, value_at
from rlfocal.toolcalls.parsing.reader import Unreadable
from rlfocal.toolcalls.parsing.shapes import Call, Place, calls_of
from rlfocal.toolcalls.values import JSON

__all__ = ["sends_call", "sent_calls"]

_MESSAGE = "<|message|>"
_END = re.compile(r"<\|(?:end|call|return|start|channel)\|>")
_TO = re.compile(r"\bto=(?P<name>[\w.$-]{1,200})")
_LONGEST = 300
"""Characters of a head."""
_PEOPLE = frozenset({"assistant", "user", "system", "developer", "all"})
_BARE = re.compile(
    r"(?:commentary|analysis|assistant)\s?to=(?P<name>functions\.[\w.-]{1,200}?)"
    r"\s?(?:(?:json|code)\s?)?(?=\{)"
)


class _Sent(NamedTuple):
    """A message that is sent to a function."""

    name: str
    body: str
    is_closed: bool


def sends_call(text: str) -> bool:
    """Say whether a reply in channels sends a message to a function.

    Such a reply need not answer anybody, so all of it may pass for thinking.

    >>> sends_call("<|channel|>commentary to=functions.f <|constrain|>json<|message|>{}<|call|>")
    True
    >>> sends_call("<|channel|>final<|message|>to=functions.f is how one is called")
    False
    """
    return next(_messages(text), None) is not None


def sent_calls(text: str, tools: Tools, *, truncated: bool) -> list[Call] | None:
    """The calls among a reply's messages, in their order; None where none is sent to a function.

    Raises:
        Unreadable: what is sent to a function is no object, or not whole.
    """
    found: list[Element] = []
    for sent in _messages(text) if _MESSAGE in text else _bare(text):
        if truncated and not sent.is_closed:
            raise Unreadable
        found.append({"name": sent.name, "arguments": _object(sent.body)})
    if not found:
        return None
    calls = calls_of(found, tools, lambda _: None, at=Place.MARKED)
    if calls is None:
        raise Unreadable
    return calls


def _messages(text: str) -> Iterator[_Sent]:
    at, start = 0, text.find(_MESSAGE)
    while start >= 0:
        to = _TO.search(text, max(at, start - _LONGEST), start)
        end = _END.search(text, start)
        at = len(text) if end is None else end.start()
        if to is not None and to["name"] not in _PEOPLE:
            yield _Sent(to["name"], text[start + len(_MESSAGE) : at], end is not None)
        start = text.find(_MESSAGE, at)


def _bare(text: str) -> Iterator[_Sent]:
    for head in _BARE.finditer(text):
        read = value_at(text, head.end())
        yield _Sent(head["name"], text[head.end() : None if read is None else read[1]], False)


def _object(body: str) -> JSON:
    """The arguments that a message is; no text stands for none."""
    body = body.strip()
    if not body:
        return {}
    read = value_at(body, 0)
    if read is None or len(read[0]) != 1 or body[read[1] :].strip():
        raise Unreadable
    arguments = read[0][0]
    if not isinstance(arguments, dict):
        raise Unreadable
    return arguments
