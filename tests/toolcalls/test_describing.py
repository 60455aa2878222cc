"""Schemas as clients write them: inheritance, free forms, names in other letters, large ones."""

from __future__ import annotations

import json
import time
import unicodedata
from typing import Any

import pytest

from rlfocal.errors import ConfigError
from rlfocal.toolcalls import Call, ToolCallExtractor, normalised, tools_from
from rlfocal.toolcalls.offering import as_openai

B = {"type": "object", "properties": {"base": {"type": "integer"}}, "required": ["base"]}
C = {"properties": {"c": {"type": "integer"}}}
OWN = {"type": "object", "properties": {"own": {"type": "integer"}}}
DEFS = {"$defs": {"B": B, "C": C, "D": {"allOf": [{"$ref": "#/$defs/B"}, OWN]}}}
NFD = unicodedata.normalize("NFD", "café")


def reader_of(parameters: dict[str, Any], **options: bool) -> ToolCallExtractor:
    return ToolCallExtractor({"name": "f", "parameters": parameters}, **options)


def form_of(reader: ToolCallExtractor, arguments: object) -> str | None:
    return reader.of_calls([{"function": {"name": "f", "arguments": json.dumps(arguments)}}])


@pytest.mark.parametrize(
    ("schema", "written"),
    [
        ({"allOf": [{"$ref": "#/$defs/B"}, OWN], **DEFS}, {"base": "1", "own": "2"}),
        ({"allOf": [{"$ref": "#/$defs/B"}, {"$ref": "#/$defs/C"}], **DEFS}, {"base": "1", "c": 2}),
        ({"allOf": [{"$ref": "#/$defs/D"}], **DEFS}, {"base": "1", "own": "2"}),
        ({"$ref": "#/$defs/B", "properties": OWN["properties"], **DEFS}, {"base": 1, "own": "2"}),
        ({"anyOf": [B, {"properties": {"y": {}}}]}, {"base": "1"}),
        ({"properties": {"base": {"type": "integer"}}, "oneOf": [OWN, C]}, {"base": "1", "c": "2"}),
    ],
)
def test_arguments_are_known_wherever_they_are_described(
    schema: dict[str, Any], written: dict[str, Any]
) -> None:
    whole = {key: int(value) for key, value in written.items()}
    reader = reader_of(schema)
    assert form_of(reader, written) == form_of(reader, whole) is not None


def test_what_is_required_by_inheritance_is_required() -> None:
    reader = reader_of({"allOf": [{"$ref": "#/$defs/B"}, OWN], **DEFS})
    assert form_of(reader, {"own": 1}) is None
    assert form_of(reader, {"base": 1, "other": 1}) is None


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object"},
        {"patternProperties": {"^x": {"type": "string"}}, "properties": {"a": {}}},
        {"properties": {"a": {}}, "anyOf": [{"required": ["a"]}, {"required": ["b"]}]},
        {"patternProperties": {"^x": {}}, "additionalProperties": False},
    ],
)
def test_a_function_that_does_not_say_all_takes_more(schema: dict[str, Any]) -> None:
    assert form_of(reader_of(schema), {"x": 1}) is not None


def test_alternatives_keep_what_stands_beside_them() -> None:
    either = [{"required": ["n"]}, {"required": ["m"]}]
    inner = {"type": "object", "properties": {"n": {"type": "integer"}}, "anyOf": either}
    reader = reader_of({"properties": {"o": inner}})
    assert form_of(reader, {"o": {"n": "5"}}) == form_of(reader, {"o": {"n": 5}}) is not None


def test_names_and_values_are_compared_composed_and_given_as_offered() -> None:
    schema = {"properties": {NFD: {"enum": [NFD, "x "]}, "b ": {}}, "required": [NFD]}
    reader = reader_of(schema)
    form = form_of(reader, {NFD: NFD})
    assert form is not None
    assert form == form_of(reader, {"café": "CAFÉ"}) == reader.extract(form)
    assert normalised(Call("f", {"café": "café", "b": 1}), reader.tools).arguments == {
        NFD: NFD,
        "b ": 1,
    }


def test_a_function_keeps_the_name_it_is_offered_under() -> None:
    reader = ToolCallExtractor({"name": "send_mail ", "parameters": {"properties": {}}})
    assert normalised(Call("send_mail", {}), reader.tools).name == "send_mail "
    form = reader.extract("[send_mail()]")
    assert form == reader.extract(str(form)) == '[{"arguments":{},"name":"send_mail "}]'
    with pytest.raises(ConfigError, match="two functions are called 'f'"):
        tools_from([{"name": "f"}, {"name": "f "}])


def test_whatever_is_given_on_can_be_stored() -> None:
    half = chr(0xD800)
    schema = {
        "properties": {
            "a": {"enum": [half, "b"]},
            "o": {"enum": [{"k": half}]},
            half: {},
            "d": {"default": half},
        }
    }
    reader = ToolCallExtractor({"name": f"f{half}", "parameters": schema})
    call = normalised(
        Call(f"f{half}", {"a": half, "o": {"k": half}, half: half, "d": "x"}), reader.tools
    )
    assert set(call.arguments) == {"a", "o", "?", "d"}
    json.dumps(call, ensure_ascii=False).encode()


UNREAD: list[Any] = [
    {"properties": {"a": {"$ref": "#anchor"}}},
    {"properties": {"a": {"$ref": "http://x/y"}}},
    {"properties": [1]},
    [],
    {"properties": {"a": {"enum": 5}}},
    {"properties": {f"p{i}": {} for i in range(20_000)}},
    json.loads('{"items": ' * 100 + "{}" + "}" * 100),
]


@pytest.mark.parametrize("parameters", UNREAD)
def test_a_function_that_cannot_be_read_costs_no_other(parameters: object) -> None:
    offered = [{"name": "f", "parameters": parameters}, {"name": "g", "parameters": B}]
    with pytest.raises(ConfigError):
        tools_from(offered)
    for given in (offered, json.dumps(offered)):
        reader = ToolCallExtractor(given, lenient=True)
        assert form_of(reader, {"x": "1"}) == '[{"arguments":{"x":"1"},"name":"f"}]'
        assert reader.extract("[g(base='1')]") == '[{"arguments":{"base":1},"name":"g"}]'
    with pytest.raises(ConfigError):
        tools_from([*offered, 5], lenient=True)


def test_a_schema_that_holds_itself_may_have_a_default_beside() -> None:
    node = {
        "type": "object",
        "properties": {
            "v": {"type": "integer"},
            "child": {"$ref": "#/$defs/N", "default": {}},
            "next": {"allOf": [{"$ref": "#/$defs/N"}], "default": None},
        },
    }
    reader = reader_of({"properties": {"t": {"$ref": "#/$defs/N"}}, "$defs": {"N": node}})
    given = {"t": {"v": "1", "child": {}, "next": {"v": "2", "next": None}}}
    assert form_of(reader, given) == form_of(reader, {"t": {"v": 1, "next": {"v": 2}}}) is not None


def test_a_default_that_holds_its_own_schema_is_reckoned_once() -> None:
    a = {
        "type": "object",
        "properties": {"x": {"$ref": "#/$defs/A"}, "y": {"$ref": "#/$defs/A"}},
        "default": {"x": {"x": {}}, "y": {}},
    }
    reader = reader_of({"properties": {"a": {"$ref": "#/$defs/A"}}, "$defs": {"A": a}})
    start = time.process_time()
    form = form_of(reader, {"a": {"x": {}}})
    assert form == '[{"arguments":{"a":{"x":{}}},"name":"f"}]'
    assert form_of(reader, {"a": a["default"]}) == '[{"arguments":{},"name":"f"}]'
    assert time.process_time() - start < 1


def test_time_is_no_product_of_schema_and_text() -> None:
    listed = {"type": "array", "items": {"enum": [f"value-{i}" for i in range(50_000)]}}
    objects = [{"type": "object", "properties": {"k": {"const": i}}} for i in range(10_000)]
    either = {"type": "array", "items": {"anyOf": objects}}
    start = time.process_time()
    reader = reader_of({"properties": {"a": listed}})
    assert form_of(reader, {"a": ["VALUE-1"] * 2000}) is not None
    assert form_of(reader, {"a": ["other"] * 2000}) is None
    reader = reader_of({"properties": {"a": either}}, lenient=True)
    assert form_of(reader, {"a": [{"k": -1}] * 2000}) is not None
    long = "k" * 500_000
    reader_of({"properties": {long: {"properties": {f"p{i}": {} for i in range(5000)}}}})
    assert time.process_time() - start < 5


def test_alternatives_within_alternatives_do_not_multiply() -> None:
    schema: dict[str, Any] = {"type": "integer"}
    for _ in range(15):
        both = [{"required": ["a"]}, {"properties": {"b": schema}}]
        schema = {"properties": {"a": schema}, "anyOf": both}
    start = time.process_time()
    tools_from({"name": "f", "parameters": {"properties": {"a": schema}}}, lenient=True)
    refs = {f"D{i}": {"allOf": [{"$ref": f"#/$defs/D{i + 1}"}] * 2} for i in range(60)}
    looped = {"properties": {"a": {"$ref": "#/$defs/D0"}}, "$defs": {**refs, "D60": {}}}
    tools_from({"name": "f", "parameters": looped}, lenient=True)
    assert time.process_time() - start < 5


def test_two_functions_cannot_be_sent_under_one_name() -> None:
    with pytest.raises(ConfigError, match=r"'a\.b' and 'a_b' are both sent as 'a_b'"):
        as_openai([{"name": "a.b"}, {"name": "a_b"}])
