"""Every form in which members write calls, and the three outcomes of reading."""

from __future__ import annotations

import json
import warnings
from typing import Any

import pytest

from rlfocal.toolcalls import Call, Outcome, ToolCallExtractor, read_calls, read_text

ONE = (Call("weather.forecast", {"city": "Oslo", "days": 2}),)
TWO = (*ONE, Call("ping", {}))

ARGS = '{"city": "Oslo", "days": 2}'
TEXT = ARGS.replace('"', '\\"')
NAMED = f'{{"name": "weather_forecast", "arguments": {ARGS}}}'

FORMS = {
    "list of named": f"[{NAMED}]",
    "parameters": f'[{{"name": "weather_forecast", "parameters": {ARGS}}}]',
    "args": f'{{"tool": "weather_forecast", "args": {ARGS}}}',
    "arguments as text": f'[{{"name": "weather_forecast", "arguments": "{TEXT}"}}]',
    "keyed": f'[{{"weather_forecast": {ARGS}}}]',
    "keyed with text": f'[{{"weather_forecast": "{TEXT}"}}]',
    "keyed without a list": f'{{"weather_forecast": {ARGS}}}',
    "tool_calls": f'{{"tool_calls": [{NAMED}]}}',
    "function": (
        f'{{"type": "function", "function": {{"name": "weather_forecast", "arguments": "{TEXT}"}}}}'
    ),
    "Anthropic's": (
        f'[{{"type": "tool_use", "id": "t1", "name": "weather_forecast", "input": {ARGS}}}]'
    ),
    "tagged": f"<tool_call>\n{NAMED}\n</tool_call>",
    "tagged, never closed": f"<tool_call>{NAMED}",
    "tagged after words": f"I look.\n<tool_call>{NAMED}</tool_call>",
    "tagged in Python's words": (
        "<tool_call>{'name': 'weather_forecast', "
        "'arguments': {'city': 'Oslo', 'days': 2}}</tool_call>"
    ),
    "function tag": f"<function=weather_forecast>{ARGS}</function>",
    "[TOOL_CALLS]": f"[TOOL_CALLS] [{NAMED}]",
    "name, then JSON": f"weather_forecast\n{ARGS}",
    "Python": "[weather.forecast(city='Oslo', days=2)]",
    "Python without brackets": "weather.forecast(city='Oslo', days=2)",
    "semicolon": "weather.forecast(city='Oslo', days=2);",
    "by place": 'weather.forecast("Oslo", 2)',
    "calls as texts": "[\"weather.forecast(city='Oslo', days=2)\"]",
    "a pair": "[('weather.forecast', {'city': 'Oslo', 'days': 2})]",
    "JavaScript's options": "weather.forecast({city: 'Oslo', days: 2});",
    "colons": "weather.forecast(city: 'Oslo', days: 2)",
    "neighbouring texts": "[weather.forecast(city='Os' 'lo', days=2)]",
    "over lines": "[\n  weather.forecast(\n    city='Oslo',  # where\n    days=2,\n  ),\n]",
    "fenced": "```python\n[weather.forecast(city='Oslo', days=2)]\n```",
    "fenced JSON": f"```json\n{NAMED}\n```",
    "fence after words": "Like so:\n\n```\nweather.forecast('Oslo', days=2)\n```\nIt tells.",
    "fence explained": "```\n[weather.forecast('Oslo', 2)]\n```\nAs in:\n```\nx = ping()\n```",
    "list among words": "I would call [weather.forecast(city='Oslo', days=2)] for it.",
    "list, then its result": "[weather.forecast('Oslo', 2)]\n\nIt gives:\n```\n{'rain': True}\n```",
    "JSON among words": f"Sure: {NAMED} is it.",
    "a line of its own": "The call:\nweather.forecast(city='Oslo', days=2)\nwhich tells.",
    "Markdown's escapes": "[weather\\_forecast(city='Oslo', days=2)]",
    "tokens of a chat": f"<|im_start|>{NAMED}<|im_end|>",
}


@pytest.mark.parametrize("text", FORMS.values(), ids=FORMS)
def test_one_call_is_read_from_every_form(reader: ToolCallExtractor, text: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert read_text(text, reader.tools).calls == ONE


@pytest.mark.parametrize(
    "text",
    [
        "[weather.forecast('Oslo', 2), ping()]",
        "weather.forecast('Oslo', 2); ping();",
        "weather.forecast('Oslo', 2)\nping()",
        "[weather.forecast('Oslo', 2)]\n[ping()]",
        "[weather.forecast('Oslo', 2)]\n[ping()]\n\nBoth are needed.",
        "I call [weather.forecast('Oslo', 2)], [ping()] for you.",
        '[{"weather_forecast": {"city": "Oslo", "days": 2}}, {"ping": {}}]',
        '{"weather_forecast": {"city": "Oslo", "days": 2}, "ping": {}}',
        f'<tool_call>{NAMED}</tool_call><tool_call>{{"name": "ping"}}</tool_call>',
        "First:\n```\nweather.forecast('Oslo', 2)\n```\nthen:\n```\nping()\n```",
        '[{"name": "weather_forecast", "arguments": {"city": "Oslo", "days": 2}}, "ping()"]',
    ],
)
def test_parallel_calls_are_read(reader: ToolCallExtractor, text: str) -> None:
    assert read_text(text, reader.tools).calls == TWO


@pytest.mark.parametrize(
    "text",
    [
        "",
        "   \n",
        "[weather.forecast(city='Oslo'",
        "[weather.forecast(city='Oslo, days=2)]",
        "weather.forecast(city='Oslo', city='Rome')",
        "weather.forecast('Oslo', city='Rome')",
        "result = weather.forecast(city='Oslo')\nprint(result)",
        '{"name": "weather_forecast", "arguments": "{city"}',
        '<tool_call>{"name": "weather_forecast"</tool_call>',
        '[{"name": "", "arguments": {}}]',
        '{"weather_forecast": ' * 10_000,
        "ping(" * 10_000,
        "ping(" + "[" * 300 + "]" * 300 + ")",
    ],
)
def test_an_attempt_that_cannot_be_read_is_none(reader: ToolCallExtractor, text: str) -> None:
    assert read_text(text, reader.tools).outcome is Outcome.UNREADABLE
    assert reader.extract(text) is None


def test_print_is_a_function_that_nobody_offers(reader: ToolCallExtractor) -> None:
    assert read_text("print(ping())", reader.tools).calls == (Call("print", {"0": "ping()"}),)


def test_a_function_that_is_not_offered_is_kept_as_written(reader: ToolCallExtractor) -> None:
    assert read_text("[moon.phase(1, day='x')]", reader.tools).calls == (
        Call("moon.phase", {"day": "x", "0": 1}),
    )


def test_what_cannot_be_read_stays_text(reader: ToolCallExtractor) -> None:
    text = (
        "ui.setText(text=new Date(1, 2), start=x => x + 1, options=new HashMap<String, Object>())"
    )
    assert read_text(text, reader.tools).calls[0].arguments == {
        "text": "new Date(1, 2)",
        "start": "x => x + 1",
        "options": "new HashMap<String, Object>()",
    }


def test_halves_of_a_character_are_joined(reader: ToolCallExtractor) -> None:
    text = "[weather.forecast(city='\\ud83d\\ude00')]"
    assert read_text(text, reader.tools).calls[0].arguments == {"city": "\U0001f600"}


def openai(name: str, arguments: object) -> dict[str, Any]:
    return {"id": "c1", "type": "function", "function": {"name": name, "arguments": arguments}}


def test_openai_tool_calls_are_read(reader: ToolCallExtractor) -> None:
    text = json.dumps({"city": "Oslo", "days": 2})
    assert (
        read_calls([openai("weather_forecast", text), openai("ping", "")], reader.tools).calls
        == TWO
    )
    assert read_calls([openai("weather_forecast", json.loads(text))], reader.tools).calls == ONE


def test_of_calls_knows_no_call_and_broken_ones(reader: ToolCallExtractor) -> None:
    assert reader.of_calls(None) == "[]"
    assert reader.of_calls([]) == "[]"
    assert reader.of_calls([openai("ping", "{")]) is None
    assert reader.of_calls(["ping()"]) is None
    deep: dict[str, Any] = {}
    for _ in range(10_000):
        deep = {"a": deep}
    assert reader.of_calls([openai("ping", deep)]) is None


def test_of_a_reply_that_was_cut_off_only_what_is_whole_counts(reader: ToolCallExtractor) -> None:
    one = '<tool_call>{"name": "ping", "arguments": {}}</tool_call>'
    assert reader.extract(one, truncated=True) == '[{"arguments":{},"name":"ping"}]'
    assert reader.extract(one + "<tool_call>", truncated=True) is None
    assert reader.extract("I would", truncated=True) is None
    assert reader.extract("[ping(), ping()", truncated=True) is None


def test_read_takes_calls_alone(reader: ToolCallExtractor) -> None:
    assert reader.read("[ping()]") == reader.read('{"ping": {}}') is not None
    assert reader.read("Hello!") is None
    assert reader.read("I call [ping()].") is None
