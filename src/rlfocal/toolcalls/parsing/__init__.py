"""From a member's reply to the calls in it, in whichever of its written forms they are.

Three outcomes are told apart, since a vote needs each: calls; no call, said in prose or by an
empty list; an attempt at a call that cannot be read. What counts is the whole reply, else what a
reply marks (a model's own markup, code fences, a list in brackets, lines that are calls). Of these,
what is in markup, names a function offered, or can be nothing but a call, and cannot be read is an
attempt, never guessed at. A function told of in a sentence is words, and so is JSON that calls
nothing: an answer in JSON.

It knows the names of the functions and of their arguments, and of types only what a text in a tag
may stand for.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum
from functools import partial
from typing import NamedTuple

from rlfocal.toolcalls.functions import Tools
from rlfocal.toolcalls.parsing.channels import sent_calls
from rlfocal.toolcalls.parsing.invocations import Element, element_at, elements, value_at
from rlfocal.toolcalls.parsing.marks import ends_in_mark, said_marks, stands_anywhere
from rlfocal.toolcalls.parsing.markup import has_orphans, marked_calls
from rlfocal.toolcalls.parsing.reader import Unreadable
from rlfocal.toolcalls.parsing.shapes import Call, Place, calls_of, says_call
from rlfocal.toolcalls.values import decoded, is_nested_deeper

__all__ = ["MAX_TEXT", "Call", "Outcome", "Reading", "read_calls", "read_text", "read_whole"]

MAX_TEXT = 1_000_000
"""Characters of a reply; a longer one is not read. A file may well be an argument."""
MAX_TRIES = 16
"""Places in a reply at which a list of calls is looked for; one with more is a program."""

_SPECIAL = re.compile(r"<\|[\w/]{1,30}\|>|</?s>")
"""What separates the turns of a chat, and slips into replies."""
_FENCE = re.compile(r"```[ \t]*+[\w+-]{0,20}+[ \t]*+\n?(.*?)```", re.DOTALL)
_FENCED = re.compile(r"```[ \t]*+(?!tool_code\b)[\w+-]{0,20}+[ \t]*+\n?(.*?)```", re.DOTALL)
"""A block of code, but for one in whose language to print is to call."""
_LIST = re.compile(r"\[\s*+(?=[{\"'(]|[^\W\d][\w.$]{0,200}\s?\()|\{\s*+(?=[\"'])")
_FOLLOWING = re.compile(r"[\s,;]*+(?=[\[{])")
_LINE = re.compile(
    r"^[ \t]*+([^\W\d][\w.$-]{0,200}[ \t]?\(.*\))[ \t]*+(?:;[ \t]*+)?$", re.MULTILINE
)
_BEGUN = re.compile(
    r"""
    ^[ \t]*+ (?: [\w, \t]{1,80}+ = (?!=) [ \t]*+ | (?:return|await|print) [ \t(]++ )?
    (?P<call> (?P<name> [^\W\d][\w.$-]{0,200} ) [ \t]? \( )
    """,
    re.VERBOSE | re.MULTILINE,
)
"""A line that begins with a call, or with what a program does with one."""
_AFTER = 40
"""Characters after a call in which it shows whether words follow."""
_HEAD = re.compile(
    r"""
    [\s\[{(]*+ (?: ["']? ([^\W\d][\w.$-]{0,200}) ["']? \s? \(
                 | ["'] ([^"'\s\\]{1,200}) \\? ["'] \s*+ : )
    """,
    re.VERBOSE,
)
"""The first thing in a list or an object: a call, or a key."""
_MARKED = re.compile(r"\\([_\[\]*])")
"""Escapes of Markdown in a call that is shown."""
_INVOKED = re.compile(
    r"([^\W\d][\w.$-]{0,200})\s?\(|[\"']([^\"'\s\\]{1,200})\\?[\"']\s*+:\s*+[\"'{]"
)
_SAID = re.compile(r"[\"'](?:name|function|tool)[\"']\s*+:\s*+[\"']([^\"'\s]{1,200})[\"']")
_ARGUMENTS = re.compile(r"[\"'](?:arguments|parameters|args|params|input)[\"']\s*+:")


class Outcome(StrEnum):
    """What a reply holds."""

    CALLS = "calls"
    NO_CALL = "no call"
    """Prose, or an empty list."""
    UNREADABLE = "unreadable"
    """An attempt at a call; or nothing at all."""


class Reading(NamedTuple):
    """What a reply holds, and the calls in it, in the order in which they stand there."""

    outcome: Outcome
    calls: tuple[Call, ...] = ()


_NOTHING = Reading(Outcome.NO_CALL)
_UNREADABLE = Reading(Outcome.UNREADABLE)


def read_calls(tool_calls: object, tools: Tools) -> Reading:
    """Read the `tool_calls` of a message of OpenAI's, or what other APIs have in their place.

    Args:
        tool_calls: a list of objects; None or an empty list for no call.
        tools: the functions offered.

    >>> from rlfocal.toolcalls.functions import tools_from
    >>> one = {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    >>> read_calls([one], tools_from({"name": "f"})).calls
    (Call(name='f', arguments={}),)
    """
    if tool_calls is None:
        return _NOTHING
    if isinstance(tool_calls, Mapping):
        tool_calls = [tool_calls]
    if not isinstance(tool_calls, Iterable) or isinstance(tool_calls, (str, bytes)):
        return _UNREADABLE
    listed = list(tool_calls)
    if is_nested_deeper(listed) or not all(isinstance(one, dict) for one in listed):
        return _UNREADABLE
    return _reading(calls_of(listed, tools, _no_text, at=Place.NATIVE))


def read_whole(text: str, tools: Tools) -> Reading | None:
    """Read a reply that is calls and nothing else; None where it is something else.

    >>> from rlfocal.toolcalls.functions import tools_from
    >>> read_whole("[f(1)]", tools_from({"name": "f", "parameters": {"properties": {"a": {}}}}))
    Reading(outcome=<Outcome.CALLS: 'calls'>, calls=(Call(name='f', arguments={'a': 1}),))
    """
    text = text.strip()
    if not text or len(text) > MAX_TEXT:
        return None
    calls = _whole(text, tools)
    if calls is None and (fenced := _FENCED.fullmatch(text)):
        calls = _whole(fenced[1].strip(), tools)
    return None if calls is None else _reading(calls)


def read_text(text: str, tools: Tools, *, truncated: bool = False) -> Reading:
    """Read any reply.

    Args:
        text: what a member said.
        tools: the functions offered.
        truncated: it was cut off, so that only calls that are marked as complete count.

    >>> from rlfocal.toolcalls.functions import tools_from
    >>> read_text("Which city do you mean?", tools_from({"name": "f"})).outcome
    <Outcome.NO_CALL: 'no call'>
    """
    whole = read_whole(text, tools)
    if whole is not None:
        return whole
    if not text.strip() or len(text) > MAX_TEXT:
        return _UNREADABLE
    found = _marked(text, tools, truncated=truncated)
    if found is None and "\\" in text:
        plain = _MARKED.sub(r"\1", text)
        calls = _whole(plain.strip(), tools) if plain != text else None
        found = None if calls is None else _reading(calls)
    if found is None and not _is_json(text.strip()):  # what is within an answer is no call
        found = _told(text, tools, truncated=truncated)
    if found is None:
        found = _UNREADABLE if truncated or _is_attempt(text, tools) else _NOTHING
    return found


def _quoting(text: str, tools: Tools, *, truncated: bool) -> Reading | None:
    """The calls that stand among words, where all marks of a text are within their arguments.

    Such marks are text: a file that tells of calls is no call. One that is never only shown counts
    wherever it stands.
    """
    count = 0 if stands_anywhere(text) or _is_json(text.strip()) else said_marks(text)
    found = _told(text, tools, truncated=truncated, is_plain=True) if count else None
    if found is None or sum(said_marks(one) for one in _texts(found)) < count:
        return None
    return found


def _texts(reading: Reading) -> Iterator[str]:
    """The texts in the arguments of calls."""
    values: list[object] = [call.arguments for call in reading.calls]
    while values:
        value = values.pop()
        if isinstance(value, str):
            yield value
        elif isinstance(value, dict):
            values += value.values()
        elif isinstance(value, list):
            values += value


def _told(text: str, tools: Tools, *, truncated: bool, is_plain: bool = False) -> Reading | None:
    """The calls that stand among words: those that a reply begins with, marks, or writes out."""
    begins = text.lstrip()[:1] in ("[", "{")
    found = _listed(text, tools, tries=1) if begins and not truncated else None
    if found is None:
        found = _fenced(text, tools)
    if found is None and not truncated:
        plain = text if is_plain else _SPECIAL.sub("\n", text)
        found = _listed(plain, tools, tries=MAX_TRIES) or _in_lines(plain, tools)
    return found


def _reading(calls: list[Call] | None) -> Reading:
    if calls is None:
        return _UNREADABLE
    return Reading(Outcome.CALLS, tuple(calls)) if calls else _NOTHING


def _no_text(_: str) -> None:
    return None


def _is_json(text: str) -> bool:
    return text[:1] in ("[", "{") and not isinstance(decoded(text), ValueError)


def _written(text: str) -> list[Element] | None:
    """What a text is a list of, or several; None where it is words."""
    if text[:1] in ("[", "{"):
        value = decoded(text)
        if not isinstance(value, ValueError):
            return [*value] if isinstance(value, list) else [value]
    if not text or text.startswith("```"):  # a fence is no text in quotes
        return None
    return elements(text) or None


def _whole(
    text: str, tools: Tools, *, is_inner: bool = False, at: Place = Place.TEXT
) -> list[Call] | None:
    """The calls of a text that is nothing but calls."""
    inner = _no_text if is_inner else partial(_whole, tools=tools, is_inner=True)
    written = _written(text)
    return None if written is None else calls_of(written, tools, inner, at=at)


def _marked(text: str, tools: Tools, *, truncated: bool) -> Reading | None:
    """The calls in a model's own markup; None where none is marked."""
    try:
        calls = sent_calls(text, tools, truncated=truncated)
        if calls is None:
            quoting = _quoting(text, tools, truncated=truncated)
            if quoting is not None:
                return quoting
            inner = partial(_whole, tools=tools, is_inner=True)
            calls = marked_calls(text, tools, inner, truncated=truncated)
    except Unreadable:
        calls = None
    else:
        if calls is None:
            return None
    # What is within an answer in JSON is no call, unless it can be nothing else.
    return None if _is_json(text.strip()) and not stands_anywhere(text) else _reading(calls)


def _fenced(text: str, tools: Tools) -> Reading | None:
    """The calls in fences of code; None where no fence holds any.

    A reply that begins with its calls has given them: what it fences later explains them.
    """
    found: list[Call] = []
    place = len(text) - len(text.lstrip())
    has_begun = text.startswith("```", place)
    for fence in _FENCE.finditer(text):
        if found and has_begun and text[place : fence.start()].strip():
            break
        inner, place = fence[1].strip(), fence.end()
        calls = _whole(inner, tools)
        if calls and _are_offered(calls, tools):
            found += calls
        elif _names_function(inner, tools):
            return _reading(found) if found and has_begun else _UNREADABLE
    return _reading(found) if found else None


def _listed(text: str, tools: Tools, *, tries: int) -> Reading | None:
    """The calls of the first list or object in a text that holds some, and of those next to it."""
    start = _LIST.search(text)
    while start is not None and tries > 0:
        read = _list_at(text, start.start(), tools)
        if read is not None:
            found, end = read
            while read is not None and (following := _FOLLOWING.match(text, end)):
                read = _list_at(text, following.end(), tools)
                found, end = (found, end) if read is None else (found + read[0], read[1])
            return _reading(found)
        start, tries = _LIST.search(text, start.end()), tries - 1
    return None


def _list_at(text: str, start: int, tools: Tools) -> tuple[list[Call], int] | None:
    """The calls of the list or object that begins at a place, and where it ends."""
    read = value_at(text, start)
    if read is None:
        return None
    written, end = read
    calls = calls_of(written, tools, partial(_whole, tools=tools, is_inner=True))
    return (calls, end) if calls and _are_offered(calls, tools) else None


def _in_lines(text: str, tools: Tools) -> Reading | None:
    """The calls of the lines that are calls; None where no line is."""
    found: list[Call] = []
    for line in _LINE.finditer(text):
        calls = _whole(line[1], tools)
        if calls and _are_offered(calls, tools):
            found += calls
    return _reading(found) if found else None


def _are_offered(calls: list[Call], tools: Tools) -> bool:
    return all(tools.named(call.name) is not None for call in calls)


def _is_attempt(text: str, tools: Tools) -> bool:
    """Whether a text that is no calls writes one all the same: as a whole, in a mark, in a line."""
    text = text.strip()
    written = _written(text) or []
    if any(
        _has_begun_line(one, tools) if isinstance(one, str) else says_call(one, tools)
        for one in written
    ):
        return True
    if _is_json(text):
        return False
    if has_orphans(text) or ends_in_mark(text):
        return True
    return (text[:1] in ("[", "{") and _begins_call(text, tools)) or _has_begun_line(text, tools)


def _begins_call(text: str, tools: Tools) -> bool:
    """Whether a list or an object that never ends well begins as calls of functions offered do."""
    head = _HEAD.match(text)
    if head is None:
        return False
    if head[2] in ("tool_calls", "function_calls") or _is_offered(head, tools):
        return True
    if head[1]:
        return any(_is_offered(found, tools) for found in _INVOKED.finditer(text))
    return _ARGUMENTS.search(text) is not None and _says_name(text, tools)


def _has_begun_line(text: str, tools: Tools) -> bool:
    """Whether a line begins with a call of a function offered, and is not about it."""
    tries, found = MAX_TRIES, _BEGUN.search(text)
    while found is not None and tries > 0:
        end = found.end()
        if tools.named(found["name"]) is not None:
            tries -= 1
            read = element_at(text, found.start("call"))
            if read is None:
                return True
            end = read[1]
            rest = text[end : end + _AFTER].lstrip(" \t")
            if not rest or rest[0] in "\n;,)":
                return True
        found = _BEGUN.search(text, end)
    return False


def _names_function(text: str, tools: Tools) -> bool:
    """Whether code that is no calls calls a function offered."""
    if _is_json(text):
        return _is_attempt(text, tools)
    return any(_is_offered(found, tools) for found in _INVOKED.finditer(text)) or _says_name(
        text, tools
    )


def _is_offered(found: re.Match[str], tools: Tools) -> bool:
    return tools.named(found[1] or found[2]) is not None


def _says_name(text: str, tools: Tools) -> bool:
    return any(tools.named(found[1]) is not None for found in _SAID.finditer(text))
