"""Marks of calls in arguments, in sentences, around empty lists, and with comments beside them."""

from __future__ import annotations

import json
import time

import pytest

from rlfocal.toolcalls import Call, Outcome, ToolCallExtractor, read_text
from rlfocal.toolcalls.functions import Tools, tools_from

ENVELOPES = [
    "<tool_call>%s</tool_call>",
    "<tool_calls>%s</tool_calls>",
    "<function_calls>%s</function_calls>",
    "<function_call>%s</function_call>",
    "<|tool_call|>%s",
    "<|tool_call_start|>%s<|tool_call_end|>",
    "[TOOL_CALLS] %s",
    "<|python_tag|>%s",
    "```tool_code\n%s\n```",
]


@pytest.fixture(scope="module")
def tools() -> Tools:
    """Functions that are offered; a file may well tell of marks."""
    properties = {"path": {"type": "string"}, "content": {"type": "string"}}
    city = {"city": {"type": "string"}}
    return tools_from([
        {"name": "write_file", "parameters": {"properties": properties}},
        {"name": "get_weather", "parameters": {"properties": city}},
    ])  # fmt: skip


@pytest.mark.parametrize("envelope", ENVELOPES)
@pytest.mark.parametrize("inner", ["[]", "\n[]\n", " [ ] "])
@pytest.mark.parametrize("before", ["", "Nothing fits.\n"])
def test_an_empty_list_in_markup_calls_nothing(
    tools: Tools, envelope: str, inner: str, before: str
) -> None:
    assert read_text(before + envelope % inner, tools).outcome is Outcome.NO_CALL


@pytest.mark.parametrize("envelope", ENVELOPES[:4])
@pytest.mark.parametrize("inner", ["[] moon", "[", "{}", "# none"])
def test_what_is_no_list_in_markup_is_an_attempt(tools: Tools, envelope: str, inner: str) -> None:
    assert read_text(envelope % inner, tools).outcome is Outcome.UNREADABLE


@pytest.mark.parametrize(
    "content",
    [
        "use <invoke name='x'> here",
        "<invoke name='get_weather'> and so on",
        "<invoke name='get_weather'><parameter name='city'>Oslo</parameter></invoke>",
        "<parameter=x>",
        "<parameter=x>y</parameter>",
        "<arg_key>x",
        "<arg_key>x</arg_key>",
        "a<|tool_sep|>b",
        "in </invoke> or </tool_call>",
    ],
)
@pytest.mark.parametrize(
    "form",
    [
        'I write it:\n{{"name": "write_file", "arguments": {{"path": "a", "content": {}}}}}',
        'I write it:\nwrite_file(path="a", content={})',
        'I write it:\n[write_file(path="a", content={})]',
        'So:\n```json\n{{"name": "write_file", "arguments": {{"path": "a", "content": {}}}}}\n```',
    ],
)
def test_marks_in_the_arguments_of_a_call_among_words_are_text(
    tools: Tools, form: str, content: str
) -> None:
    expected = (Call("write_file", {"path": "a", "content": content}),)
    assert read_text(form.format(json.dumps(content)), tools).calls == expected


@pytest.mark.parametrize(
    "text",
    [
        '[write_file(path="a", content="<arg_key>x")]\n<invoke name="get_weather"><parameter ',
        '<invoke name="write_file"><parameter name="content">[get_weather(city="Oslo")]',
        '<invoke name="write_file"><parameter name="content">\nget_weather(city="Oslo")\n',
        "<tool_sep><arg_key>city</arg_key><arg_value>[get_weather()]",
        '{"name": "moon", "arguments": {}}</tool_call>',
        'moon(day="2")\n</tool_call>',
        '<parameter name="city">Oslo</parameter>\n</invoke>',
        "city</arg_key><arg_value>Oslo</arg_value>",
        "function<|tool_sep|>get_weather",
        "<parameter=city>\nOslo\n</parameter>\n</function>",
        '<invoke name="moon"><parameter name="day">2',
        '<invoke name="get_weather"> I would say',
    ],
)
def test_what_is_left_of_a_call_is_an_attempt(tools: Tools, text: str) -> None:
    assert read_text(text, tools).outcome is Outcome.UNREADABLE


@pytest.mark.parametrize(
    "text",
    [
        "In their format, </invoke> closes a call. Which city?",
        'one writes <invoke name="foo"> around the arguments',
        "Which city do you mean?</tool_call>",
        "Which city do you mean? (In Norway)\n</tool_call>",
        "It is 20 degrees. <|tool_call_end|>",
        "I would </tool_call>",
        '"</tool_call>" closes a call',
        "This ends.<|python_end|>",
        "The token <|tool_sep|> separates the name from its arguments.",
        "In Qwen's format <parameter=city> opens an argument. Which city?",
        "Use List<param = 5> here.",
        "GLM writes <arg_key> for keys.",
    ],
)
def test_a_mark_that_a_sentence_tells_of_calls_nothing(tools: Tools, text: str) -> None:
    assert read_text(text, tools).outcome is Outcome.NO_CALL


CALLS = ['get_weather(city="Oslo")', '{"name": "get_weather", "arguments": {"city": "Oslo"}}']


@pytest.mark.parametrize("envelope", ENVELOPES)
@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize(
    "form",
    [
        "\n%s  # now\n",
        "%s // now: List<int> a < b [c] `d`\n",
        "%s /* now,\n** or later */",
        "\n# first\n%s",
        "\n// first\n  # of two\n%s\n",
        "/* first */ %s",
        "%s; # now",
    ],
)
def test_comments_beside_a_call_in_markup_say_nothing(
    tools: Tools, envelope: str, call: str, form: str
) -> None:
    expected = (Call("get_weather", {"city": "Oslo"}),)
    assert read_text(envelope % (form % call), tools).calls == expected


@pytest.mark.parametrize("call", CALLS)
def test_a_mark_ends_a_comment(tools: Tools, call: str) -> None:
    one = Call("get_weather", {"city": "Oslo"})
    tags = '<invoke name="get_weather"><parameter name="city">Oslo</parameter></invoke>'
    for text, count in (
        (f"<tool_call>{call} # now</tool_call>", 1),
        (f"<tool_call>{call} # now</tool_call> <tool_call>{call} // then</tool_call>", 2),
        (f"<|tool_call>{call} # now<tool_call|>", 1),
        (f"<start_function_call>{call} # now<end_function_call>", 1),
        (f"<function_calls># now {tags}</function_calls>", 1),
        (f"```tool_code\n{call} # now```", 1),
        (f"[TOOL_CALLS] [{call}] # now [TOOL_CALLS] [{call}]", 2),
    ):
        assert read_text(text, tools).calls == (one,) * count, text


def test_a_call_that_is_sent_comes_before_one_that_is_thought_of(tools: Tools) -> None:
    text = (
        "<|channel|>analysis<|message|>[write_file(path='<arg_key>')]?<|end|><|start|>assistant"
        '<|channel|>commentary to=functions.get_weather<|message|>{"city": "Oslo"}<|call|>'
    )
    assert read_text(text, tools).calls == (Call("get_weather", {"city": "Oslo"}),)


@pytest.mark.parametrize(
    "piece",
    [
        "/*", "<tool_call>/*", "<tool_call># ", "<tool_call>[]", "[]", "# ", "f()</tool_call>",
        "f(", "[f(a='<arg_key>')]", '<invoke name="x">', "<parameter=x>", " <|tool_sep|> ",
        "```xml\n<tool_sep>/*```",
    ],
)  # fmt: skip
@pytest.mark.parametrize("before", ["", "<tool_call>", "<tool_call>f() ", "I write:\n"])
def test_time_is_linear_in_what_is_told(reader: ToolCallExtractor, piece: str, before: str) -> None:
    def seconds(times: int) -> float:
        start = time.process_time()
        reader.extract(before + piece * times)
        reader.extract(before + piece * times + "x")
        return time.process_time() - start

    times = 16_000 // len(piece)
    assert seconds(4 * times) < 8 * seconds(times) + 0.5
