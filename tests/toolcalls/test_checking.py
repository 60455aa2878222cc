"""Faults of calls, by hand."""

from __future__ import annotations

import json
from typing import Any

import pytest

from rlfocal.toolcalls import (
    Call,
    Fault,
    ToolCallExtractor,
    checking,
    read_text,
    tools_from,
    violations,
)
from rlfocal.toolcalls.checking import MOST

CASES = [
    ("[ping()]", []),
    ("[moon.phase()]", [(Fault.UNKNOWN_FUNCTION, 0, "")]),
    ("[weather.forecast()]", [(Fault.MISSING_ARGUMENT, 0, "city")]),
    ("[ping(), ping(a=1)]", [(Fault.UNKNOWN_ARGUMENT, 1, "a")]),
    ("[weather.forecast('Oslo', days='soon')]", [(Fault.WRONG_TYPE, 0, "days")]),
    ("[weather.forecast('Oslo', days='5')]", []),
    ("[weather.forecast('Oslo', days=2.5)]", [(Fault.WRONG_TYPE, 0, "days")]),
    ("[weather.forecast('Oslo', unit='F')]", [(Fault.NOT_IN_ENUM, 0, "unit")]),
    ("[weather.forecast('Oslo', unit='fahrenheit')]", []),
    ("[distance([1, 'x'], 5)]", [(Fault.WRONG_TYPE, 0, "end"), (Fault.WRONG_TYPE, 0, "start[1]")]),
    ("[book('d', 1, room={'floor': 'x'})]", [
        (Fault.MISSING_ARGUMENT, 0, "room.kind"),
        (Fault.WRONG_TYPE, 0, "room.floor"),
    ]),
    ("[book('d', 1, room={'kind': 'single', 'view': 'sea'})]", []),
    ("[search('x', filter=[1])]", [(Fault.WRONG_TYPE, 0, "filter")]),
    ("[search('x', limit=None)]", []),
    ("[search('x', within={'by': 'year', 'of': 'x'})]", [(Fault.WRONG_TYPE, 0, "within.of")]),
]  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), CASES)
def test_faults_are_found_at_their_place(
    reader: ToolCallExtractor, text: str, expected: list[tuple[Fault, int, str]]
) -> None:
    found = violations(read_text(text, reader.tools).calls, reader.tools)
    assert [(one.fault, one.call, one.place) for one in found] == expected
    assert all(one.detail for one in found)


def test_as_written_counts_what_would_be_mended(reader: ToolCallExtractor) -> None:
    calls = read_text("[weather.forecast('Oslo', days='5')]", reader.tools).calls
    found = violations(calls, reader.tools, as_written=True)
    assert [(one.fault, one.place) for one in found] == [(Fault.WRONG_TYPE, "days")]
    assert found[0].detail == '"5" is not integer'


@pytest.mark.parametrize(("additional", "count"), [(None, 1), (False, 1), (True, 0), ({}, 0)])
def test_unknown_arguments_are_faults_unless_the_schema_allows_them(
    additional: object, count: int
) -> None:
    schema = {"properties": {}, "additionalProperties": additional}
    tools = tools_from(json.dumps({"name": "f", "parameters": schema}))
    assert len(violations(read_text("[f(a=1)]", tools).calls, tools)) == count


@pytest.mark.parametrize(
    ("name", "arguments"), [("f", {}), ("f", {"a": 1, "z": 1}), ("f", {"a": 1, "e": 7}), ("g", {})]
)
def test_faults_are_bounded_for_a_reply_not_for_each_call(
    name: str, arguments: dict[str, Any]
) -> None:
    schema = {"properties": {"a": {}, "e": {"enum": [[1], [2]]}}, "required": ["a"]}
    tools = tools_from({"name": "f", "parameters": schema})
    found = violations([Call(name, arguments)] * (3 * MOST), tools)
    assert [one.call for one in found] == list(range(MOST))


def test_what_an_enum_knows_is_written_once(monkeypatch: pytest.MonkeyPatch) -> None:
    written = list[object]()
    shown = checking._shown

    def counted(value: Any) -> str:
        written.append(value)
        return shown(value)

    monkeypatch.setattr(checking, "_shown", counted)
    enum = [[k] * 5000 for k in range(20)]
    tools = tools_from({"name": "f", "parameters": {"properties": {"n": {"enum": enum}}}})
    assert len(violations([Call("f", {"n": 1})] * 50, tools)) == 50
    assert sum(one in enum for one in written) == len(enum)
