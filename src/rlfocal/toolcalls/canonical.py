"""One string for calls that mean the same, so that votes on calls add up.

What is made equal: the order of arguments, of parallel calls and of what the schema calls a set;
values written in another type than the schema's ("5" for 5); enum values in other letters;
optional arguments that are null or the schema's default; space around texts. What is left alone:
the order of lists, letters and space within texts, units, dates, and every argument that no schema
describes. The canonical string is itself JSON text that a reader of calls reads.
"""

from __future__ import annotations

from collections.abc import Iterable

from rlfocal.toolcalls.coercion import keyed
from rlfocal.toolcalls.functions import Tools
from rlfocal.toolcalls.parsing import Call
from rlfocal.toolcalls.plain import plain
from rlfocal.toolcalls.values import JSON, MAX_DEPTH, compact, is_nested_deeper, is_too_deep, tidy

__all__ = ["NO_CALL", "all_normalised", "canonical", "form_of", "normalised"]

NO_CALL = "[]"
"""The canonical form of deliberately calling nothing."""


def canonical(calls: Iterable[Call], tools: Tools) -> str:
    """Write calls so that equal meaning is an equal string.

    Args:
        calls: in any order; the same call twice is two.
        tools: the functions offered.

    Returns:
        A JSON list of `{"arguments": {...}, "name": ...}`; `NO_CALL` for none.

    Raises:
        ValueError: an argument is nested deeper than `MAX_DEPTH`.

    >>> from rlfocal.toolcalls.functions import tools_from
    >>> tools = tools_from({"name": "f", "parameters": {"properties": {"n": {"type": "integer"}}}})
    >>> canonical([Call("f", {"n": "5"}), Call("f", {"n": 4.0})], tools)
    '[{"arguments":{"n":4},"name":"f"},{"arguments":{"n":5},"name":"f"}]'
    """
    return form_of(all_normalised(calls, tools))


def all_normalised(calls: Iterable[Call], tools: Tools) -> tuple[Call, ...]:
    """The calls as `form_of` writes them; raises as `canonical` does."""
    found = []
    for call in calls:
        if is_nested_deeper(call.arguments):
            raise ValueError(f"arguments of '{call.name}' are nested deeper than {MAX_DEPTH}")
        found.append(normalised(call, tools))
    return tuple(found)


def form_of(calls: Iterable[Call]) -> str:
    """As `canonical`, of calls that are normalised."""
    written = [compact({"arguments": one.arguments, "name": one.name}) for one in calls]
    form = f"[{','.join(sorted(written))}]"
    if is_too_deep(form):  # texts may hold lists that hold texts
        raise ValueError(f"the calls are nested deeper than {MAX_DEPTH}")
    return form


def normalised(call: Call, tools: Tools) -> Call:
    """A call with its function's own name, and its arguments as the schema writes them.

    >>> from rlfocal.toolcalls.functions import tools_from
    >>> tools = tools_from({"name": "a.f", "parameters": {"properties": {"n": {"enum": ["Km"]}}}})
    >>> normalised(Call("a_f", {"n": "km", "k": None}), tools)
    Call(name='a.f', arguments={'n': 'Km', 'k': None})
    """
    function = tools.named(call.name)
    if function is None:
        free: dict[str, JSON] = {tidy(k): plain(v) for k, v in call.arguments.items()}
        return Call(tidy(call.name), free)
    return Call(function.name, keyed(call.arguments, function.parameters))
