"""Laws of the canonical form, on calls and on texts that nobody wrote by hand."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from reading_time import seconds_to_read

from rlfocal.toolcalls import (
    NO_CALL,
    Call,
    Outcome,
    ToolCallExtractor,
    canonical,
    read_calls,
    read_text,
    violations,
)
from rlfocal.toolcalls.checking import GRAVE
from rlfocal.toolcalls.values import MAX_DEPTH

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**25), 10**25)
    | st.floats()
    | st.text(max_size=6)
    | st.sampled_from([
        "5", " 5.0 ", "1e3", "true", "FAHRENHEIT", "null", "[1, 2]", '{"kind": "Double"}',
        '{"by": "name", "of": 5}', "year", "NaN", "('a',)", "new ArrayList<>()", 3, 10, 1.0,
    ]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["kind", "extras", "floor", "by", "of", " by "]), inner, max_size=3
        )
    ),
    max_leaves=6,
)  # fmt: skip
NAMES = st.sampled_from(
    ["weather.forecast", "weather_forecast", "distance", "book", "search", "ping", "moon.phase"]
)
ARGUMENTS = st.dictionaries(
    st.sampled_from([
        "city", "days", "unit", "precise", "tags", "start", "end", "scale", "date", "guests",
        "room", "query", "limit", "filter", "within", "more", "text", "lines", "other", "name",
        "arguments", "",
    ]),
    VALUES,
    max_size=5,
)  # fmt: skip
CALLS = st.lists(st.builds(Call, NAMES, ARGUMENTS), max_size=3)
PIECES = st.lists(
    st.sampled_from([
        "ping", "weather.forecast", "(", ")", "[", "]", "{", "}", ",", ":", "=", ";", "'", '"', "`",
        "```", "\n", " ", "\\", "\\_", "5", "-", "0.5", "city", "true", "<tool_call>",
        "</tool_call>",
        '{"name": "ping", "arguments": {}}', "<function=ping>", "<|x|>", "new ", "HashMap<String, ",
        "//", "#", '"""', "x => y", "ping()", "[ping()]", "é", "\ud800", "\x00", "٣", "print(",
    ]),
    max_size=25,
).map("".join)  # fmt: skip
TEXTS = st.text(max_size=80) | PIECES


@given(calls=CALLS)
def test_a_canonical_form_is_left_unchanged(reader: ToolCallExtractor, calls: list[Call]) -> None:
    form = canonical(calls, reader.tools)
    assert meant(reader, form) == form
    assert reader.read(form) == reader.extract(form) == reader.extract(form, truncated=True)
    assert reader.read(form) == (None if violated(reader, calls) else form)
    form.encode()


def meant(reader: ToolCallExtractor, text: str, *, truncated: bool = False) -> str | None:
    """The canonical form of what a text calls, faulty or not."""
    reading = read_text(text, reader.tools, truncated=truncated)
    if reading.outcome is Outcome.NO_CALL:
        return NO_CALL
    found = reader.meant(reading)
    return None if found is None else found.form


def violated(reader: ToolCallExtractor, calls: list[Call]) -> bool:
    return any(one.fault in GRAVE for one in violations(calls, reader.tools))


LEAVES = st.fixed_dictionaries(
    {},
    optional={
        "type": st.sampled_from([
            "string", "integer", "number", "boolean", "null", "any", "array", "object",
            ["integer", "string"], ["boolean", "null"],
        ]),
        "enum": st.lists(
            st.sampled_from([
                "Double", "double", " x", 5, "5", None, True, 5.0, 1.0, [1.0], {"of": 5.0},
            ]),
            max_size=3,
        ),
        "default": VALUES,
        "nullable": st.booleans(),
        "uniqueItems": st.booleans(),
    },
)  # fmt: skip
SCHEMAS = st.recursive(
    LEAVES,
    lambda inner: (
        st.builds(lambda leaf, items: {**leaf, "type": "array", "items": items}, LEAVES, inner)
        | st.builds(
            lambda leaf, either: {**leaf, "anyOf": either}, LEAVES, st.lists(inner, max_size=3)
        )
        | st.builds(
            lambda leaf, first: {**leaf, "type": "array", "prefixItems": first},
            LEAVES,
            st.lists(inner, min_size=1, max_size=2),
        )
        | st.builds(
            lambda properties, required: {"properties": properties, "required": required},
            st.dictionaries(st.sampled_from(["kind", "by", "of", "floor"]), inner, max_size=3),
            st.lists(st.sampled_from(["kind", "by", "of"]), max_size=2),
        )
    ),
    max_leaves=5,
)


@given(schema=SCHEMAS, value=VALUES, is_required=st.booleans())
def test_a_form_is_left_unchanged_whatever_the_schema(
    schema: dict[str, Any], value: Any, is_required: bool
) -> None:
    parameters = {"properties": {"a": schema}, "required": ["a"] if is_required else []}
    reader = ToolCallExtractor([{"name": "f", "parameters": parameters}])
    calls = [Call("f", {"a": value})]
    form = canonical(calls, reader.tools)
    assert meant(reader, form) == form
    assert reader.read(form) == (None if violated(reader, calls) else form)
    form.encode()
    violations(calls, reader.tools, as_written=True)


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "array", "prefixItems": [{"type": "integer"}], "uniqueItems": True},
        {
            "anyOf": [
                {"type": "array", "items": {"type": "integer"}, "uniqueItems": True},
                {"type": "array", "items": {"type": "string"}},
            ]
        },
    ],
)
@pytest.mark.parametrize("value", [["2", "1"], [1, "b"], ["b", 1], [2, 1]])
def test_what_is_a_set_does_not_turn_on_what_is_in_it(
    schema: dict[str, Any], value: list[Any]
) -> None:
    test_a_form_is_left_unchanged_whatever_the_schema.hypothesis.inner_test(  # type: ignore[attr-defined]
        schema, value, False
    )


def test_a_long_argument_is_read_and_one_too_long_is_not(reader: ToolCallExtractor) -> None:
    form = reader.extract(f"[search('{'x' * 300_000}')]")
    assert form is not None
    assert reader.read(form) == form
    assert reader.extract(f"[search('{'x' * 1_100_000}')]") is None
    assert (
        reader.of_calls([{"function": {"name": "ping", "arguments": {"a": "x" * 10**6}}}]) is None
    )


@given(calls=CALLS, data=st.data())
def test_the_order_of_arguments_and_calls_is_free(
    reader: ToolCallExtractor, calls: list[Call], data: st.DataObject
) -> None:
    moved = [
        Call(call.name, dict(data.draw(st.permutations(list(call.arguments.items())))))
        for call in data.draw(st.permutations(calls))
    ]
    assert canonical(moved, reader.tools) == canonical(calls, reader.tools)


@given(calls=CALLS)
def test_the_written_form_is_free(reader: ToolCallExtractor, calls: list[Call]) -> None:
    form = canonical(calls, reader.tools)
    listed = json.loads(form)
    keyed = json.dumps([{one["name"]: json.dumps(one["arguments"])} for one in listed])
    tagged = "".join(f"<tool_call>\n{json.dumps(one)}\n</tool_call>" for one in listed)
    native = [{"type": "function", "function": one} for one in listed]
    is_offered = all(reader.tools.named(call.name) for call in calls)
    assert not is_offered or meant(reader, keyed) == form  # JSON by other names is an answer
    assert meant(reader, f"```json\n{form}\n```") == form
    assert not listed or meant(reader, tagged) == form
    found = reader.meant(read_calls(native, reader.tools))
    assert not listed or (found is not None and found.form == form)


@given(text=TEXTS, truncated=st.booleans())
def test_no_text_raises_and_extracting_twice_is_extracting_once(
    reader: ToolCallExtractor, text: str, truncated: bool
) -> None:
    form = reader.extract(text, truncated=truncated)
    whole = reader.read(text)
    assert whole is None or whole == reader.extract(text)
    if form is not None:
        assert reader.extract(form) == reader.read(form) == form


@given(texts=st.lists(PIECES | CALLS.map(json.dumps), min_size=3, max_size=3))
def test_equality_is_symmetric_and_transitive(reader: ToolCallExtractor, texts: list[str]) -> None:
    a, b, c = texts
    assert reader.equal(a, b) == reader.equal(b, a)
    assert reader.equal(a, a) == (reader.extract(a) is not None)
    assert not (reader.equal(a, b) and reader.equal(b, c)) or reader.equal(a, c)


@given(calls=CALLS, as_written=st.booleans())
def test_violations_raise_on_no_call(
    reader: ToolCallExtractor, calls: list[Call], as_written: bool
) -> None:
    for one in violations(calls, reader.tools, as_written=as_written):
        assert 0 <= one.call < len(calls)


@pytest.mark.parametrize("levels", range(MAX_DEPTH - 6, MAX_DEPTH + 4))
@pytest.mark.parametrize("form", ["[search('x', more={})]", '[{{"search": {{"more": {}}}}}]'])
def test_deep_values_are_read_or_not_and_never_raise(
    reader: ToolCallExtractor, levels: int, form: str
) -> None:
    text = form.replace("{}", "[" * levels + "]" * levels).replace("{{", "{").replace("}}", "}")
    found = reader.extract(text)
    assert found is None or reader.extract(found) == found


def test_calls_made_too_deep_by_hand_are_refused(reader: ToolCallExtractor) -> None:
    deep: Any = 1
    for _ in range(MAX_DEPTH):
        deep = [deep]
    with pytest.raises(ValueError, match="deeper than 64"):
        canonical([Call("search", {"more": deep})], reader.tools)
    text = json.dumps(deep)
    for _ in range(3):  # texts within texts
        text = json.dumps([text])
    assert meant(reader, json.dumps([{"search": {"more": text}}])) is not None


HOSTILE = {
    "brackets": "[" * 40_000,
    "braces": "{" * 40_000,
    "pairs": "[]" * 20_000,
    "calls": "ping(" * 10_000,
    "quotes": "\"'`" * 14_000,
    "escaped quotes": '\\"' * 20_000,
    "keys": '{"a":' * 8_000,
    "tags": "<tool_call>" * 4_000,
    "fences": "```" * 14_000,
    "backticks": "`" * 40_000,
    "lines": "ping()   \n" * 4_000,
    "spaces": "ping()" + " " * 40_000 + "x",
    "name": "a" * 40_000,
    "dots": "a." * 20_000,
    "news": "ping(" + "new A<" * 7_000,
    "digits": "ping(" + "9" * 40_000 + ")",
    "lists": "[ping(" * 7_000,
    "neighbours": "ping(" + "'a' " * 10_000 + ")",
    "nested objects": "ping(" + "{a: " * 60 + "x y " * 10_000,
    "comments": "# \n" * 14_000,
    "commas": "[" + "," * 40_000 + "]",
}


REPEATED = [
    " ", "\n", "\t", "[", "]", "(", "{", "[[", "((", '"', "'", "`", '"""', "\\", '\\"', "```",
    "``` ", "```a\n", "<tool_call>", "<function=ping>", "<|x|>", "a.", "a", "a ", "a=", "ping(",
    "ping() ", "ping()\n", "ping(\n", "ping (", "[ping(", '["ping(",', '"a": ', '{"name": "',
    "new ", "new A<", "//", "1+", "(1", "_", "é", ", ", "; ", "[]",
]  # fmt: skip
BEFORE = [
    "", "x ", "```", "[ping(a=", '[{"name": "ping", "arguments": ', "[" * 70 + '"', "<tool_call>",
]  # fmt: skip


@pytest.mark.parametrize("piece", REPEATED)
def test_time_is_linear_in_whatever_is_repeated(reader: ToolCallExtractor, piece: str) -> None:
    def seconds(times: int) -> float:
        return seconds_to_read(reader, BEFORE, piece, times)

    times = 20_000 // len(piece)
    assert seconds(4 * times) < 8 * seconds(times) + 1


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_time_is_linear_in_the_text(reader: ToolCallExtractor, text: str) -> None:
    start = time.process_time()
    reader.extract(text)
    short = time.process_time() - start
    start = time.process_time()
    reader.extract(text[:5] + text[5:] * 4)
    assert time.process_time() - start < 8 * short + 0.5
