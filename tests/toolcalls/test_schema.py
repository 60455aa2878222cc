"""Functions offered, in every shape of clients and data sets, and what is wrong with some."""

from __future__ import annotations

import json
from typing import Any

import pytest

from rlfocal.errors import ConfigError
from rlfocal.toolcalls import Call, ToolCallExtractor, canonical, tools_from

SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
BARE = {"name": "f", "description": "d", "parameters": SCHEMA}

SHAPES: dict[str, Any] = {
    "bare": [BARE],
    "one": BARE,
    "chat": [{"type": "function", "function": BARE}],
    "responses": [{"type": "function", **BARE, "strict": True}],
    "Anthropic": [{"name": "f", "description": "d", "input_schema": SCHEMA}],
    "MCP": [{"name": "f", "description": "d", "inputSchema": SCHEMA}],
    "text": json.dumps([BARE]),
    "text of one": json.dumps(BARE),
    "among tools of the server's": [{"type": "web_search"}, BARE],
}


@pytest.mark.parametrize("offered", SHAPES.values(), ids=SHAPES)
def test_every_shape_offers_the_same(offered: object) -> None:
    tools = tools_from(offered)
    assert [(one.name, one.description) for one in tools.functions] == [("f", "d")]
    assert canonical([Call("f", {"n": "5"})], tools) == '[{"arguments":{"n":5},"name":"f"}]'


WRONG: list[tuple[Any, str]] = [
    ("{", "tools: no JSON"),
    ("5", "a list of functions is needed, not 5"),
    ([5], r"tools\[0\]: a function is an object, not 5"),
    ([{"description": "x"}], r"tools\[0\].name: a function needs a name, not null"),
    ([{"function": {"name": ""}}], r"tools\[0\].function.name: a function needs a name"),
    ([{"name": "f", "parameters": []}], r"tools\[0\].parameters: a schema is an object, not \[\]"),
    ([{"name": "f", "parameters": {"properties": []}}, 1], r"tools\[1\]"),
    ([{"name": "f", "parameters": {"properties": [1]}}], r"properties: an object, not \[1\]"),
    (
        [{"name": "f", "parameters": {"properties": {"a": {"enum": 5}}}}],
        r"tools\[0\].parameters.properties.a.enum: a list of values, not 5",
    ),
    ([{"name": "f", "parameters": {"required": "a"}}], "required: a list of names"),
    (
        [{"name": "f", "parameters": {"properties": {"a": {"$ref": "#/$defs/x"}}}}],
        r"properties.a.\$ref: the schema has no '#/\$defs/x'",
    ),
    ([BARE, BARE], "two functions are called 'f'"),
]


@pytest.mark.parametrize(("offered", "message"), WRONG)
def test_what_is_no_function_is_said_with_its_place(offered: object, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        tools_from(offered)


def test_a_schema_that_is_too_deep_is_refused() -> None:
    deep: dict[str, Any] = {}
    for _ in range(3000):
        deep = {"type": "array", "items": deep}
    with pytest.raises(ConfigError, match="nested deeper than 64"):
        tools_from([{"name": "f", "parameters": {"properties": {"a": deep}}}])


def canonical_of(schema: dict[str, Any], value: object, **root: Any) -> object:
    reader = ToolCallExtractor({"name": "f", "parameters": {"properties": {"a": schema}, **root}})
    form = reader.extract(json.dumps([{"name": "f", "arguments": {"a": value}}]))
    assert form is not None
    return json.loads(form)[0]["arguments"].get("a", "dropped")


@pytest.mark.parametrize(
    "word", ["integer", "int", "Integer", "long", "number", "float", "double", "Double"]
)
def test_words_for_numbers(word: str) -> None:
    assert canonical_of({"type": word}, "5") == 5


@pytest.mark.parametrize("word", ["string", "String", "char", "str"])
def test_words_for_text(word: str) -> None:
    assert canonical_of({"type": word}, 5) == "5"


@pytest.mark.parametrize("word", ["array", "list", "tuple", "ArrayList", "Array"])
def test_words_for_lists(word: str) -> None:
    assert canonical_of({"type": word}, "[1, 2]") == [1, 2]


@pytest.mark.parametrize("word", ["any", "", "Widget", None, 5, ["string", "Widget"]])
def test_unknown_words_are_anything(word: object) -> None:
    assert canonical_of({"type": word}, "5") == "5"
    assert canonical_of({"type": word}, 5) == 5


def test_references_are_followed() -> None:
    defs = {"$defs": {"N": {"type": "integer"}, "M": {"$ref": "#/$defs/N"}}}
    assert canonical_of({"$ref": "#/$defs/N"}, "5", **defs) == 5
    assert canonical_of({"$ref": "#/$defs/M"}, "5", **defs) == 5
    assert canonical_of({"allOf": [{"$ref": "#/$defs/M"}], "default": 5}, "5", **defs) == "dropped"
    assert canonical_of({"items": {"$ref": "#/$defs/M"}, "type": "array"}, ["5"], **defs) == [5]


def test_a_schema_may_hold_itself() -> None:
    tree = {
        "type": "object",
        "properties": {"n": {"type": "integer"}, "next": {"$ref": "#/$defs/T"}},
    }
    value = {"n": "1", "next": {"n": "2", "next": {"n": "3"}}}
    assert canonical_of({"$ref": "#/$defs/T"}, value, **{"$defs": {"T": tree}}) == {
        "n": 1,
        "next": {"n": 2, "next": {"n": 3}},
    }
    endless = {"$defs": {"A": {"$ref": "#/$defs/B"}, "B": {"$ref": "#/$defs/A"}}}
    assert canonical_of({"$ref": "#/$defs/A"}, "5", **endless) == "5"


def test_nullable_and_anyof() -> None:
    nullable = {"type": "integer", "nullable": True, "default": 3}
    either = {"anyOf": [{"type": "integer"}, {"type": "null"}], "default": 3}
    for schema in (nullable, either):
        assert canonical_of(schema, None) is None
        assert canonical_of(schema, 3) == "dropped"
        assert canonical_of(schema, "4") == 4
    assert canonical_of({"type": "integer", "default": 3}, None) == "dropped"
    assert canonical_of({"type": "integer"}, None, required=["a"]) is None


def test_additional_properties_have_their_schema() -> None:
    schema = {"type": "object", "additionalProperties": {"type": "number"}}
    assert canonical_of(schema, {"x": "1.50"}) == {"x": 1.5}


def test_items_each_of_its_own_schema() -> None:
    schema = {"type": "array", "prefixItems": [{"type": "string"}, {"type": "integer"}]}
    assert canonical_of(schema, [1, "2", "3"]) == ["1", 2, "3"]


def test_a_name_that_two_functions_share_without_their_dots_is_neither() -> None:
    tools = tools_from([{"name": "a.b"}, {"name": "a:b"}])
    assert tools.named("a_b") is None
    assert tools.named("a.b") is not None
