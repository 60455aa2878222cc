"""From what was written to calls: each shape in which a call is said, told apart by its keys.

JSON is also what answers are written in, so in a text it is a call only where it names a function
offered, or has a shape that nothing else has. Where a reply marks its calls as such (`tool_calls`,
tags), any name is one.

It takes JSON values and invocations, whoever read them, and names positional arguments by the
schema. Sources: OpenAI's chat and responses APIs, Anthropic's, and what models write by habit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from enum import IntEnum
from typing import NamedTuple

from rlfocal.toolcalls.functions import Function, Tools
from rlfocal.toolcalls.parsing.invocations import Invocation
from rlfocal.toolcalls.parsing.literals import literal
from rlfocal.toolcalls.values import JSON, decoded, tidy

__all__ = ["Call", "Inner", "Place", "calls_of", "says_call"]

Inner = Callable[[str], "list[Call] | None"]
"""Reads the calls in a text that stands where a call might."""

_NAMES = ("name", "function", "tool", "tool_name", "function_name")
_ARGUMENTS = ("arguments", "parameters", "args", "params", "input", "tool_input")
_EXPLICIT = ({"name", "arguments"}, {"name", "parameters"})
"""Keys of what is a call whatever its name."""
_MARKING = ("tool_calls", "function_calls")
_LISTS = (*_MARKING, "calls")
_BESIDE = frozenset(
    {"id", "type", "index", "call_id", "tool_call_id", "status", "caller", "thought", "reasoning"}
)
"""Keys that may stand beside a name and its arguments, and say nothing of the call."""


class Place(IntEnum):
    """Where something stands that may be a call."""

    TEXT = 0
    """Among words and answers."""
    MARKED = 1
    """Where only calls stand: in tags, in a list of that name."""
    NATIVE = 2
    """Where a server has put it."""


class Call(NamedTuple):
    """One call of a function.

    Attributes:
        name: as offered, where the name written can stand for one function; else as written.
        arguments: name → value, as they were written.
    """

    name: str
    arguments: dict[str, JSON]


def calls_of(
    written: Iterable[object], tools: Tools, inner: Inner, *, at: Place = Place.TEXT
) -> list[Call] | None:
    """The calls that values and invocations say; None where one says no call.

    Args:
        written: elements of a list, in their order.
        tools: the functions offered.
        inner: reads an element that is text.
        at: where they stand.

    >>> from rlfocal.toolcalls.functions import tools_from
    >>> calls_of([{"f": '{"a": 1}'}], tools_from({"name": "f"}), lambda text: None)
    [Call(name='f', arguments={'a': 1})]
    """
    found: list[Call] = []
    for one in written:
        if isinstance(one, Invocation):
            calls = _invoked(one, tools, at=at)
        elif isinstance(one, dict):
            calls = _of_object(one, tools, inner, at=at)
        elif isinstance(one, str):
            calls = inner(one)
        elif isinstance(one, list):
            calls = _of_list(one, tools, inner, at=at)
        else:
            calls = None
        if calls is None:
            return None
        found += calls
    return found


def says_call(written: object, tools: Tools) -> bool:
    """Say whether a value or an invocation is meant as a call, well made or not.

    >>> from rlfocal.toolcalls.functions import tools_from
    >>> tools = tools_from({"name": "f"})
    >>> says_call({"name": "f", "arguments": 5}, tools), says_call({"answer": {"f": 5}}, tools)
    (True, False)
    """
    if isinstance(written, Invocation):
        return tools.named(written.name) is not None
    if isinstance(written, list):
        if len(written) == 2 and isinstance(written[0], str) and isinstance(written[1], dict):
            return tools.named(written[0]) is not None
        return any(says_call(one, tools) for one in written)
    if not isinstance(written, dict) or not written:
        return False
    if any(isinstance(written.get(key), list) and written[key] for key in _MARKING):
        return True
    if isinstance(function := written.get("function"), dict) and says_call(function, tools):
        return True
    if written.keys() in _EXPLICIT or all(tools.named(key) is not None for key in written):
        return True
    name = _name_in(written)
    return name is not None and tools.named(name) is not None and any(map(written.get, _ARGUMENTS))


def _of_list(written: list[JSON], tools: Tools, inner: Inner, *, at: Place) -> list[Call] | None:
    """The calls of a list within a list; or of a pair: a name with its arguments."""
    if len(written) == 2 and isinstance(written[0], str) and isinstance(written[1], dict):
        return _one(written[0], written[1], tools, is_known=at is Place.TEXT)
    if any(isinstance(one, list) for one in written):
        pairs = [one for one in written if isinstance(one, list)]
        if len(pairs) != len(written) or any(map(_is_list_of_lists, pairs)):
            return None
    return calls_of(written, tools, inner, at=at)


def _is_list_of_lists(written: list[JSON]) -> bool:
    return any(isinstance(one, list) for one in written)


def _of_object(
    written: dict[str, JSON], tools: Tools, inner: Inner, *, at: Place
) -> list[Call] | None:
    for key in _LISTS:
        listed = written.get(key)
        if isinstance(listed, list) and tools.named(key) is None:
            if any(_is_nested(one) for one in listed):
                return None
            return calls_of(
                listed, tools, inner, at=max(at, Place.MARKED) if key in _MARKING else at
            )
    function = written.get("function")
    if isinstance(function, dict) and (
        tools.named("function") is None or (at is Place.NATIVE and _name_in(function) is not None)
    ):
        return _named(function, tools, at=at)
    return _named(written, tools, at=at) or _keyed(written, tools, at=at)


def _is_nested(one: JSON) -> bool:
    """Whether a call in a list of calls is itself one: nobody writes that, but texts do."""
    return isinstance(one, list) or (isinstance(one, dict) and any(key in one for key in _LISTS))


def _name_in(written: dict[str, JSON]) -> str | None:
    found = next((one for one in map(written.get, _NAMES) if isinstance(one, str)), None)
    return found if isinstance(found, str) else None


def _named(written: dict[str, JSON], tools: Tools, *, at: Place) -> list[Call] | None:
    """`{"name": ..., "arguments": ...}` in any of its words.

    Servers add keys of their own to a call; in a text, keys tell calls from anything else.
    """
    name = _name_in(written)
    if name is None:
        return None
    keys = [k for k in _ARGUMENTS if k in written]
    others = len(written) - 2 - sum(k in _BESIDE for k in written)
    if keys and (at is Place.NATIVE or (len(keys) == 1 and others <= 0)):
        is_known = at is Place.TEXT and written.keys() not in _EXPLICIT
        return _one(name, written[keys[0]], tools, is_known=is_known)
    if not keys and (len(written) == 1 or (at is Place.NATIVE and others < 0)):
        return _one(name, {}, tools, is_known=True)
    return None


def _keyed(written: dict[str, JSON], tools: Tools, *, at: Place) -> list[Call] | None:
    """`{"f": {...}}`, where f is offered; where calls are marked one that is not, by itself."""
    found: list[Call] = []
    for name, arguments in written.items():
        is_known = at is Place.TEXT or len(written) > 1
        calls = _one(name, arguments, tools, is_known=is_known)
        if calls is None:
            return None
        found += calls
    return found or None


def _one(name: str, arguments: JSON, tools: Tools, *, is_known: bool) -> list[Call] | None:
    """A call, if its name is one and, where that is asked, offered."""
    name = name.strip()
    if isinstance(arguments, str):
        arguments = _within(arguments)
    elif arguments is None:
        arguments = {}
    if not name or not isinstance(arguments, dict):
        return None
    function = tools.named(name)
    if function is None:
        return None if is_known else [Call(name, arguments)]
    return [Call(function.name, arguments)]


def _within(text: str) -> JSON:
    """The arguments that JSON text within JSON holds; no text, and null, hold none of them."""
    if not text.strip():
        return {}
    read = decoded(text)
    if isinstance(read, str):  # written twice over
        read = decoded(read)
    if isinstance(read, ValueError):
        return literal(text.strip())
    return {} if read is None else read


def _invoked(written: Invocation, tools: Tools, *, at: Place) -> list[Call] | None:
    function = tools.named(written.name)
    if function is None and written.is_spaced and at is Place.TEXT:
        return None  # a word, and something in brackets
    arguments = dict(written.named)
    positional = written.positional
    if function is not None and not arguments and len(positional) == 1:
        options = positional[0]
        if isinstance(options, dict) and _are_options(options, function):
            return [Call(function.name, options)]
    names = [] if function is None else list(function.parameters.properties)
    for place, value in enumerate(positional):
        name = names[place] if place < len(names) else str(place)
        if name in arguments:
            return None  # said twice
        arguments[name] = value
    return [Call(written.name if function is None else function.name, arguments)]


def _are_options(options: dict[str, JSON], function: Function) -> bool:
    """Whether one object in the place of all arguments holds them, as JavaScript has it."""
    properties = function.parameters.properties
    takes_object = properties and "object" in next(iter(properties.values())).kinds
    return bool(options) and not takes_object and set(map(tidy, options)) <= properties.keys()
