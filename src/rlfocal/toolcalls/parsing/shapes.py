"""From what was written to calls: each shape in which a call is said, told apart by its keys.

It takes JSON values and invocations, whoever read them, and names positional arguments by the
schema. Sources: OpenAI's chat and responses APIs, Anthropic's, and what models write by habit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

from rlfocal.toolcalls.parsing.invocations import Invocation
from rlfocal.toolcalls.parsing.literals import literal
from rlfocal.toolcalls.schema import Function, Tools
from rlfocal.toolcalls.values import JSON, decoded

__all__ = ["Call", "Inner", "calls_of"]

Inner = Callable[[str], "list[Call] | None"]
"""Reads the calls in a text that stands where a call might."""

_NAMES = ("name", "function", "tool", "tool_name", "function_name")
_ARGUMENTS = ("arguments", "parameters", "args", "params", "input", "tool_input")
_LISTS = ("tool_calls", "function_calls", "calls")
_BESIDE = frozenset({"id", "type", "index", "call_id", "status", "caller", "thought", "reasoning"})
"""Keys that may stand beside a name and its arguments, and say nothing of the call."""


class Call(NamedTuple):
    """One call of a function.

    Attributes:
        name: as offered, where the name written can stand for one function; else as written.
        arguments: name → value, as they were written.
    """

    name: str
    arguments: dict[str, JSON]


def calls_of(written: Iterable[object], tools: Tools, inner: Inner) -> list[Call] | None:
    """The calls that values and invocations say; None where one says no call.

    Args:
        written: elements of a list, in their order.
        tools: the functions offered.
        inner: reads an element that is text.

    >>> from rlfocal.toolcalls.schema import tools_from
    >>> calls_of([{"f": '{"a": 1}'}], tools_from({"name": "f"}), lambda text: None)
    [Call(name='f', arguments={'a': 1})]
    """
    found: list[Call] = []
    for one in written:
        if isinstance(one, Invocation):
            calls = _invoked(one, tools)
        elif isinstance(one, dict):
            calls = _of_object(one, tools, inner)
        elif isinstance(one, str):
            calls = inner(one)
        elif isinstance(one, list):
            calls = _of_list(one, tools, inner)
        else:
            calls = None
        if calls is None:
            return None
        found += calls
    return found


def _of_list(written: list[JSON], tools: Tools, inner: Inner) -> list[Call] | None:
    """The calls of a list within a list; or of a pair: a name with its arguments."""
    if len(written) == 2 and isinstance(written[0], str) and isinstance(written[1], dict):
        return _one(written[0], written[1], tools)
    if any(isinstance(one, list) for one in written):
        pairs = [one for one in written if isinstance(one, list)]
        if len(pairs) != len(written) or any(map(_is_list_of_lists, pairs)):
            return None
    return calls_of(written, tools, inner)


def _is_list_of_lists(written: list[JSON]) -> bool:
    return any(isinstance(one, list) for one in written)


def _of_object(written: dict[str, JSON], tools: Tools, inner: Inner) -> list[Call] | None:
    for key in _LISTS:
        listed = written.get(key)
        if isinstance(listed, list) and tools.named(key) is None:
            if any(_is_nested(one) for one in listed):
                return None
            return calls_of(listed, tools, inner)
    function = written.get("function")
    if isinstance(function, dict) and tools.named("function") is None:
        return _named(function, tools)
    return _named(written, tools) or _keyed(written, tools)


def _is_nested(one: JSON) -> bool:
    """Whether a call in a list of calls is itself one: nobody writes that, but texts do."""
    return isinstance(one, list) or (isinstance(one, dict) and any(key in one for key in _LISTS))


def _named(written: dict[str, JSON], tools: Tools) -> list[Call] | None:
    """`{"name": ..., "arguments": ...}` in any of its words."""
    name_key = next((k for k in _NAMES if isinstance(written.get(k), str)), None)
    if name_key is None:
        return None
    name = written[name_key]
    assert isinstance(name, str)
    keys = [k for k in _ARGUMENTS if k in written]
    if len(keys) == 1 and len(written) - 2 <= sum(k in _BESIDE for k in written):
        return _one(name, written[keys[0]], tools)
    if not keys and len(written) == 1 and tools.named(name.strip()) is not None:
        return _one(name, {}, tools)
    return None


def _keyed(written: dict[str, JSON], tools: Tools) -> list[Call] | None:
    """`{"f": {...}}`, where f is offered; one that is not, if it is the only key."""
    if not written:
        return None
    if len(written) > 1 and any(tools.named(name.strip()) is None for name in written):
        return None
    found: list[Call] = []
    for name, arguments in written.items():
        calls = _one(name, arguments, tools)
        if calls is None:
            return None
        found += calls
    return found


def _one(name: str, arguments: JSON, tools: Tools) -> list[Call] | None:
    name = name.strip()
    if isinstance(arguments, str):
        arguments = _within(arguments)
    elif arguments is None:
        arguments = {}
    if not name or not isinstance(arguments, dict):
        return None
    function = tools.named(name)
    return [Call(name if function is None else function.name, arguments)]


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


def _invoked(written: Invocation, tools: Tools) -> list[Call] | None:
    function = tools.named(written.name)
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
    return bool(options) and not takes_object and options.keys() <= properties.keys()
