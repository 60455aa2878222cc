"""Answers that only look like calls: words, JSON, numbers without quotes."""

from __future__ import annotations

import json

import pytest

from rlfocal.toolcalls import Call, Outcome, ToolCallExtractor, read_calls, read_text

WORDS = [
    "Which city do you mean?",
    "[]",
    '{"tool_calls": []}',
    "I can look with `weather.forecast` if you name a city.",
    "None of the functions helps here (sorry).",
    "5 + 5 = 10",
    '{"answer": 5}',
    '{"answer": {"x": 5}}',
    '{"name": "Bob", "age": 3}',
    '{"name": "Bob", "input": {"a": 1}}',
    "[1, 2, 3]",
    '[{"x": 1}]',
    "{}",
    '["ping", "book"]',
    '{"answer": "use ping()"}',
    '{"answer": {"ping": {}}}',
    "{'city': 'Oslo'}",
    "```json\n[1, 2, 3]\n```",
    '```json\n{"answer": {"x": 1}}\n```',
    'Here:\n```json\n{"answer": {"x": 1}}\n```',
    '"Hello"',
    "Hello (there)",
    "Shall I call ping(a=1)?",
    "You can use ping() for that. Shall I?",
    "You can use `weather.forecast(city='Oslo')` for that.",
    "[Docs](http://x) explain ping(a).",
    "[1] Smith 2020 says so, as does search(x).",
    "{placeholder} is what search(x) fills.",
    "search(x) is what finds it.",
    "[" * 10_000,
]


@pytest.mark.parametrize("text", WORDS)
def test_words_and_answers_in_json_call_nothing(reader: ToolCallExtractor, text: str) -> None:
    assert read_text(text, reader.tools).outcome is Outcome.NO_CALL


@pytest.mark.parametrize(
    "text",
    [
        '{"name": "ping", "arguments": 5}',
        '{"name": "moon", "arguments": [5]}',
        '{"tool_calls": [5]}',
        '[{"ping": {}}, {"moon": {}}]',
        '["ping()", "ping("]',
        "['ping'(a=1)]",
        "weather.forecast(city='Oslo's')\nis it.",
        "```python\nfor x in y:\n    ping(x)\n```",
        '{"name": "search", "arguments": {"query": "x"',
        "ping(a='x'); ping(b='y's');",
    ],
)
def test_what_names_a_function_and_cannot_be_read_is_an_attempt(
    reader: ToolCallExtractor, text: str
) -> None:
    assert read_text(text, reader.tools).outcome is Outcome.UNREADABLE


@pytest.mark.parametrize(
    "text",
    [
        '{"name": "moon", "arguments": {"a": 1}}',
        '[{"name": "moon", "parameters": {"a": 1}}]',
        '{"tool_calls": [{"name": "moon", "input": {"a": 1}}]}',
        '<tool_call>{"moon": {"a": 1}}</tool_call>',
        '<function=moon>{"a": 1}</function>',
        "[moon(a=1)]",
    ],
)
def test_what_can_be_nothing_else_is_a_call_of_any_name(
    reader: ToolCallExtractor, text: str
) -> None:
    assert read_text(text, reader.tools).calls == (Call("moon", {"a": 1}),)


def test_servers_add_keys_of_their_own_to_a_call(reader: ToolCallExtractor) -> None:
    function = {"name": "ping", "arguments": "{}", "provider_specific_fields": {"x": "y"}, "z": 1}
    native = {"id": "1", "type": "function", "function": function, "extra": {}}
    assert read_calls([native], reader.tools).calls == (Call("ping", {}),)
    assert read_calls([function], reader.tools).calls == (Call("ping", {}),)
    text = json.dumps(function)
    assert read_text(text, reader.tools).outcome is Outcome.UNREADABLE


@pytest.mark.parametrize(
    "written", ["10/2/2024", "555-1234", "(555)-123", "2024-01-05", "0049", "1/2"]
)
def test_a_number_without_quotes_is_text_where_text_is_wanted(written: str) -> None:
    tools = {
        "name": "f",
        "parameters": {"properties": {"b": {"type": "string"}, "c": {}, "d": {"type": "array"}}},
    }
    reader = ToolCallExtractor(tools)
    form = reader.extract(f"[f(b={written}, c={written}, d=[{written}])]")
    assert form == reader.extract(f"[f(b='{written}', c='{written}', d=['{written}'])]")
    assert form is not None
    assert reader.extract(form) == form


@pytest.mark.parametrize(("written", "meant"), [("10/4", 2.5), ("007", 7), ("2 * (3 + 4)", 14)])
def test_it_is_its_result_where_a_number_is_wanted(written: str, meant: float) -> None:
    either = {"anyOf": [{"type": "number"}, {"type": "null"}]}
    tools = {"name": "f", "parameters": {"properties": {"a": {"type": "number"}, "b": either}}}
    form = ToolCallExtractor(tools).extract(f"[f(a={written}, b={written})]")
    assert form == f'[{{"arguments":{{"a":{meant},"b":{meant}}},"name":"f"}}]'


def test_large_numbers_are_equal_only_as_the_same_number() -> None:
    reader = ToolCallExtractor(
        {"name": "f", "parameters": {"properties": {"a": {"type": "number"}}}}
    )
    assert reader.equal("[f(9007199254740993)]", "[f(9007199254740993.0)]")
    assert reader.equal("[f(9007199254740993)]", '[{"f": {"a": 9007199254740993.0}}]')
    assert reader.equal("[f(9007199254740993)]", "[f('9007199254740993.0')]")
    assert not reader.equal("[f(9007199254740993)]", "[f(9007199254740992.0)]")
