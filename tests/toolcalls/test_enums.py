"""Enums: their values are the schema's own, however they are written, for all who ask at once."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from rlfocal.toolcalls import Call, Schema, canonical, tools_from
from rlfocal.toolcalls.alternatives import in_enum
from rlfocal.toolcalls.coercion import coerced


class Slowly(tuple[str, ...]):
    """Values that the first who reads them gets one by one, with time for others between."""

    begun: threading.Event
    goes_on: threading.Event

    def __iter__(self) -> Iterator[str]:
        if self.begun.is_set():
            return super().__iter__()
        return self._slowly()

    def _slowly(self) -> Iterator[str]:
        self.begun.set()
        assert self.goes_on.wait(10)
        yield from tuple(self[:])


def test_nobody_sees_an_enum_half_read() -> None:
    enum = Slowly(("km", "mile"))
    enum.begun, enum.goes_on = threading.Event(), threading.Event()
    schema, found = Schema(enum=enum), list[Any]()
    first = threading.Thread(target=lambda: found.append(in_enum("KM", schema)))
    first.start()
    assert enum.begun.wait(10)
    found.append(in_enum("KM", schema))
    enum.goes_on.set()
    first.join(10)
    assert found == [("km",), ("km",)]


def meant(schema: Any, value: Any) -> str:
    tools = tools_from({"name": "f", "parameters": {"properties": {"a": schema}}})
    return canonical([Call("f", {"a": value})], tools)


@pytest.mark.parametrize(
    "schema",
    [
        {"enum": ["x", None, "b"], "default": "x"},
        {"anyOf": [{"const": None}, {"type": "string"}], "default": "x"},
        {"anyOf": [{"anyOf": [{"type": "null"}, {"type": "string"}]}], "default": "x"},
        {"type": ["string", "null"], "default": "x"},
    ],
)
def test_a_null_beside_another_default_is_a_choice(schema: Any) -> None:
    assert meant(schema, None) != meant(schema, "x")


@pytest.mark.parametrize(
    "schema", [{"type": "string", "default": "x"}, {"enum": ["x"], "default": "x"}, {"default": 1}]
)
def test_a_null_that_is_none_of_the_values_is_left_out(schema: Any) -> None:
    assert meant(schema, None) == '[{"arguments":{},"name":"f"}]'


@pytest.mark.parametrize(
    ("schema", "values", "wanted"),
    [
        ({"type": "number", "enum": [1.0, 2]}, ["1", "1.0", 1, 1.0], 1.0),
        ({"enum": [1.0, 2]}, ["1", "1.0", 1, 1.0], 1.0),
        ({"type": "object", "enum": [{"x": 1.0}]}, ['{"x":1}', '{"x": 1.0}', {"x": 1}], {"x": 1.0}),
        (
            {"type": "array", "items": {"type": "number"}, "enum": [[1.0]]},
            [["1"], [1], "[1]"],
            [1.0],
        ),
        ({"anyOf": [{"type": "number", "enum": [1.0]}, {"type": "null"}]}, ["1", 1], 1.0),
        ({"anyOf": [{"type": "number"}, {"enum": [1.0]}]}, ["1", "1.0", 1], 1),
    ],
)
def test_a_value_of_an_enum_is_the_schemas_own(schema: Any, values: list[Any], wanted: Any) -> None:
    read = tools_from({"name": "f", "parameters": {"properties": {"a": schema}}})
    of_a = read.functions[0].parameters.properties["a"]
    for value in values:
        found = coerced(value, of_a)
        assert repr(found) == repr(wanted)
        assert repr(coerced(found, of_a)) == repr(wanted)
