"""How a call breaks the schema of its function, as short records: a signal, and what to ask again.

A call is judged as it is meant (`coercion`), so "5" for a whole number breaks nothing, or as it is
written. Formats, patterns and bounds of numbers are not checked.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from itertools import islice
from typing import NamedTuple

from rlfocal.toolcalls.alternatives import enum_of
from rlfocal.toolcalls.canonical import normalised
from rlfocal.toolcalls.coercion import chosen
from rlfocal.toolcalls.functions import Tools
from rlfocal.toolcalls.parsing import Call
from rlfocal.toolcalls.plain import fits, plain
from rlfocal.toolcalls.schema import Schema
from rlfocal.toolcalls.values import JSON, MAX_DEPTH, compact, tidy

__all__ = ["GRAVE", "MOST", "Fault", "Violation", "violations"]

MOST = 100
"""Faults of one kind in one reply that are listed: what they cost is not per call."""
_SHOWN = 60
"""Characters of a value or a name in a message."""


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
    """List how calls break the schemas of their functions, at most `MOST` of a kind.

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
    faults = _Faults()
    for number, call in enumerate(calls):
        faults.call = number
        function = tools.named(call.name)
        if function is None:
            detail = f"no function '{_short(call.name)}' is offered"
            faults.add(Fault.UNKNOWN_FUNCTION, "", detail)
            continue
        arguments = call.arguments if as_written else normalised(call, tools).arguments
        _check(arguments, function.parameters, faults)
    return faults.found


class _Faults:
    """The faults of one reply, of each kind the first ones."""

    def __init__(self) -> None:
        self.found: list[Violation] = []
        self.call = 0
        """Place of the call that is checked."""
        self._left = dict.fromkeys(Fault, MOST)
        self._known: dict[Schema, str] = {}

    def takes(self, fault: Fault) -> bool:
        """Whether one more of a kind is kept; where it is not, nothing need be worked out."""
        return self._left[fault] > 0

    def add(self, fault: Fault, place: str, detail: str) -> None:
        """Keep one, if there is room."""
        if self.takes(fault):
            self._left[fault] -= 1
            self.found.append(Violation(fault, self.call, place, detail))

    def known(self, schema: Schema) -> str:
        """The first values of a schema's enum, in words; each may be long, so written once."""
        if schema not in self._known:
            self._known[schema] = ", ".join(_shown(one) for one in schema.enum[:20])
        return self._known[schema]


def _check(arguments: dict[str, JSON], schema: Schema, faults: _Faults) -> None:
    """Find the faults of the arguments of one call, outer ones first."""
    _check_keys(arguments, schema, "", faults, is_closed=schema.additional in (None, False))
    waiting = _inner(arguments, schema, "", 0)
    for value, of_value, place, depth in waiting:  # grows as it is read
        if of_value.alternatives:
            value, of_value = chosen(value, of_value)
        if not fits(value, of_value.kinds):
            if faults.takes(Fault.WRONG_TYPE):
                detail = f"{_shown(value)} is not {' or '.join(sorted(of_value.kinds))}"
                faults.add(Fault.WRONG_TYPE, place, detail)
        elif of_value.enum and compact(plain(value)) not in enum_of(of_value).exact:
            if faults.takes(Fault.NOT_IN_ENUM):
                detail = f"{_shown(value)} is none of {faults.known(of_value)}"
                faults.add(Fault.NOT_IN_ENUM, place, detail)
        else:
            if isinstance(value, dict):
                is_closed = of_value.additional is False
                _check_keys(value, of_value, f"{place}.", faults, is_closed=is_closed)
            waiting += _inner(value, of_value, place, depth)


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
        n_more = len(value) - len(schema.prefix)
        of_items = [*schema.prefix[: len(value)], *[schema.items] * n_more]
        for i, (one, of_item) in enumerate(zip(value, of_items, strict=False)):
            if of_item is not None:
                found.append((one, of_item, f"{place}[{i}]", depth + 1))
    return found


def _check_keys(
    value: dict[str, JSON], schema: Schema, before: str, faults: _Faults, *, is_closed: bool
) -> None:
    given = {tidy(key): key for key in value}
    if faults.takes(Fault.MISSING_ARGUMENT) and not schema.required <= given.keys():
        for key in sorted(schema.required - given.keys()):
            name = before + _short(schema.own_name(key))
            faults.add(Fault.MISSING_ARGUMENT, name, "it is required")
    for tidied, key in given.items() if is_closed else ():
        if tidied not in schema.properties and faults.takes(Fault.UNKNOWN_ARGUMENT):
            known = ", ".join(map(_short, islice(schema.properties, 20))) or "none"
            faults.add(Fault.UNKNOWN_ARGUMENT, before + _short(key), f"known: {known}")


def _shown(value: JSON) -> str:
    return _short(compact(value[: _SHOWN + 1] if isinstance(value, str) else value))


def _short(text: str) -> str:
    """A name or a value in a message; a long one may stand before thousands of others."""
    return text if len(text) <= _SHOWN else text[: _SHOWN - 3] + "..."
