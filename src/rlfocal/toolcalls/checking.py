"""How a call breaks the schema of its function, as short records: a signal, and what to ask again.

A call is judged as it is meant (`coercion`), so "5" for a whole number breaks nothing, or as it is
written. Formats, patterns and bounds of numbers are not checked.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import NamedTuple

from rlfocal.toolcalls.canonical import normalised
from rlfocal.toolcalls.coercion import chosen, fits, is_in_enum
from rlfocal.toolcalls.functions import Tools
from rlfocal.toolcalls.parsing import Call
from rlfocal.toolcalls.schema import Schema
from rlfocal.toolcalls.values import JSON, MAX_DEPTH, compact, tidy

__all__ = ["GRAVE", "Fault", "Violation", "violations"]


class Fault(StrEnum):
    """What is wrong."""

    UNKNOWN_FUNCTION = "unknown function"
    MISSING_ARGUMENT = "missing argument"
    UNKNOWN_ARGUMENT = "unknown argument"
    WRONG_TYPE = "wrong type"
    NOT_IN_ENUM = "not in enum"


GRAVE = frozenset(Fault) - {Fault.WRONG_TYPE}
"""What makes a call no answer: of 117 recorded calls with one of these 2 were right, of 312 with a
value of another type than the schema says 127."""


class Violation(NamedTuple):
    """One way in which one call breaks its schema.

    Attributes:
        fault: what is wrong.
        call: place of the call among those of its reply, from 0.
        place: the argument, with dots and places of a list: `filters.tags[2]`; empty for the
            function itself.
        detail: what is there, what there may be; in words for people.
    """

    fault: Fault
    call: int
    place: str
    detail: str


def violations(calls: Iterable[Call], tools: Tools, *, as_written: bool = False) -> list[Violation]:
    """List how calls break the schemas of their functions.

    Args:
        calls: of one reply.
        tools: the functions offered.
        as_written: what coercion would mend counts, too.

    >>> from rlfocal.toolcalls.functions import tools_from
    >>> tools = tools_from({"name": "f", "parameters": {
    ...     "properties": {"n": {"type": "integer"}}, "required": ["n"]}})
    >>> [(v.fault.value, v.place) for v in violations([Call("f", {"m": 1})], tools)]
    [('missing argument', 'n'), ('unknown argument', 'm')]
    """
    found: list[Violation] = []
    for number, call in enumerate(calls):
        function = tools.named(call.name)
        if function is None:
            detail = f"no function '{_short(call.name)}' is offered"
            found.append(Violation(Fault.UNKNOWN_FUNCTION, number, "", detail))
            continue
        arguments = call.arguments if as_written else normalised(call, tools).arguments
        for fault, place, detail in _faults(arguments, function.parameters):
            found.append(Violation(fault, number, place, detail))
    return found


def _faults(arguments: dict[str, JSON], schema: Schema) -> list[tuple[Fault, str, str]]:
    """The faults of the arguments of one call, outer ones first."""
    found = _of_keys(arguments, schema, "", is_closed=schema.additional in (None, False))
    waiting = _inner(arguments, schema, "", 0)
    for value, of_value, place, depth in waiting:  # grows as it is read
        if of_value.alternatives:
            value, of_value = chosen(value, of_value)
        if not fits(value, of_value.kinds):
            detail = f"{_shown(value)} is not {' or '.join(sorted(of_value.kinds))}"
            found.append((Fault.WRONG_TYPE, place, detail))
        elif of_value.enum and not is_in_enum(value, of_value):
            known = ", ".join(_shown(one) for one in of_value.enum[:20])
            found.append((Fault.NOT_IN_ENUM, place, f"{_shown(value)} is none of {known}"))
        else:
            if isinstance(value, dict):
                is_closed = of_value.additional is False
                found += _of_keys(value, of_value, f"{place}.", is_closed=is_closed)
            waiting += _inner(value, of_value, place, depth)
    return found


def _inner(
    value: JSON, schema: Schema, place: str, depth: int
) -> list[tuple[JSON, Schema, str, int]]:
    """What a list or an object holds, with its schema, place and depth."""
    found: list[tuple[JSON, Schema, str, int]] = []
    if depth >= MAX_DEPTH:
        return found
    if isinstance(value, dict):
        for key, one in value.items():
            of_one = schema.properties.get(tidy(key), schema.additional)
            if isinstance(of_one, Schema):
                at = f"{place}.{_short(key)}" if place else _short(key)
                found.append((one, of_one, at, depth + 1))
    elif isinstance(value, list):
        of_items = [*schema.prefix, *[schema.items] * (len(value) - len(schema.prefix))]
        for i, (one, of_item) in enumerate(zip(value, of_items, strict=False)):
            if of_item is not None:
                found.append((one, of_item, f"{place}[{i}]", depth + 1))
    return found


def _of_keys(
    value: dict[str, JSON], schema: Schema, before: str, *, is_closed: bool
) -> list[tuple[Fault, str, str]]:
    given = {tidy(key): key for key in value}
    found = [
        (Fault.MISSING_ARGUMENT, before + _short(schema.own_name(key)), "it is required")
        for key in [*schema.properties, *sorted(schema.required - schema.properties.keys())]
        if key in schema.required and key not in given
    ]
    if is_closed:
        known = ", ".join(map(_short, list(schema.properties)[:20])) or "none"
        found += [
            (Fault.UNKNOWN_ARGUMENT, before + _short(key), f"known: {known}")
            for tidied, key in given.items()
            if tidied not in schema.properties
        ]
    return found


def _shown(value: JSON) -> str:
    return _short(compact(value))


def _short(text: str) -> str:
    """A name or a value in a message; a long one may stand before thousands of others."""
    return text if len(text) <= 60 else text[:57] + "..."
