"""Calls in the markup of each family of models, whole, broken, and only spoken of."""

# ruff: noqa: RUF001  look-alikes are what is tested

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from reading_time import seconds_to_read

from rlfocal.records.calls import calls_in
from rlfocal.toolcalls import Call, Outcome, ToolCallExtractor, read_text, sends_call

ONE = (Call("weather.forecast", {"city": "Oslo", "days": 2}),)
TWO = (*ONE, Call("ping", {}))
ARGS = '{"city": "Oslo", "days": 2}'
NAMED = f'{{"name": "weather_forecast", "arguments": {ARGS}}}'
PING = '{"name": "ping", "arguments": {}}'


def invoked(before: str = "", more: str = "") -> str:
    """The call as Anthropic's tags write it, each with something before its name."""
    return (
        f'<{before}invoke name="weather_forecast">\n'
        f'<{before}parameter name="city"{more}>Oslo</{before}parameter>\n'
        f'<{before}parameter name="days">2</{before}parameter>\n</{before}invoke>'
    )


DSML = invoked("｜DSML｜", ' string="true"')
QWEN = (
    "<function=weather_forecast>\n<parameter=city>\nOslo\n</parameter>\n"
    "<parameter=days>\n2\n</parameter>\n</function>"
)
GLM = (
    "<tool_call>weather_forecast\n<arg_key>city</arg_key>\n<arg_value>Oslo</arg_value>\n"
    "<arg_key>days</arg_key>\n<arg_value>2</arg_value>\n</tool_call>"
)
V3 = "<｜tool▁call▁begin｜>function<｜tool▁sep｜>%s\n```json\n%s\n```<｜tool▁call▁end｜>"
V31 = "<｜tool▁call▁begin｜>%s<｜tool▁sep｜>%s<｜tool▁call▁end｜>"
KIMI = "<|tool_call_begin|>functions.%s:%d<|tool_call_argument_begin|>%s<|tool_call_end|>"
HARMONY = "<|channel|>commentary to=functions.%s <|constrain|>json<|message|>%s<|call|>"
DEEPSEEK = "<｜tool▁calls▁begin｜>%s<｜tool▁calls▁end｜>"
SECTION = "<|tool_calls_section_begin|>%s<|tool_calls_section_end|>"

FORMS = {
    "DeepSeek-V3": (
        DEEPSEEK % (V3 % ("weather_forecast", ARGS)),
        DEEPSEEK % (V3 % ("weather_forecast", ARGS) + "\n" + V3 % ("ping", "{}")),
    ),
    "DeepSeek-V3.1": (
        DEEPSEEK % (V31 % ("weather_forecast", ARGS)),
        DEEPSEEK % (V31 % ("weather_forecast", ARGS) + V31 % ("ping", "{}")),
    ),
    "Anthropic": (
        f"<function_calls>\n{invoked()}\n</function_calls>",
        f'<function_calls>\n{invoked()}\n<invoke name="ping">\n</invoke>\n</function_calls>',
    ),
    "Anthropic, its namespace": (
        f"<function_calls>\n{invoked('antml:')}\n</function_calls>",
        f"{invoked('antml:')}<invoke name='ping'/>",
    ),
    "Anthropic, before": (
        "<function_calls><invoke><tool_name>weather_forecast</tool_name><parameters>"
        "<city>Oslo</city><days>2</days></parameters></invoke></function_calls>",
        "<function_calls><invoke><tool_name>weather_forecast</tool_name><parameters>"
        "<city>Oslo</city><days>2</days></parameters></invoke><invoke><tool_name>ping"
        "</tool_name><parameters></parameters></invoke></function_calls>",
    ),
    "MiniMax-M2": (
        f"<minimax:tool_call>\n{invoked()}\n</minimax:tool_call>",
        f'<minimax:tool_call>{invoked()}<invoke name="ping"></invoke></minimax:tool_call>',
    ),
    "MiniMax-M3": (
        ']<]minimax[>[<tool_call>]<]minimax[>[<invoke name="weather_forecast">]<]minimax[>[<city>'
        "Oslo]<]minimax[>[</city>]<]minimax[>[<days>2]<]minimax[>[</days>]<]minimax[>[</invoke>"
        "]<]minimax[>[</tool_call>",
        "",
    ),
    "MiniMax-M1": (
        f"<tool_calls>\n{NAMED}\n</tool_calls>",
        f"<tool_calls>\n{NAMED}\n{PING}\n</tool_calls>",
    ),
    "DeepSeek-V3.2": (
        f"<｜DSML｜function_calls>\n{DSML}\n</｜DSML｜function_calls>",
        f"<｜DSML｜tool_calls>{DSML}<｜DSML｜invoke name='ping'></｜DSML｜invoke>"
        "</｜DSML｜tool_calls>",
    ),
    "DeepSeek-V3.2, JSON": (
        f'<｜DSML｜invoke name="weather_forecast">{ARGS}</｜DSML｜invoke>',
        f'<｜DSML｜invoke name="weather_forecast">{ARGS}</｜DSML｜invoke>\n'
        '<｜DSML｜invoke name="ping">{}</｜DSML｜invoke>',
    ),
    "Step3": (
        "<｜tool_calls_begin｜><｜tool_call_begin｜>function<｜tool_sep｜>"
        f"{invoked('steptml:')}<｜tool_call_end｜><｜tool_calls_end｜>",
        "",
    ),
    "Qwen3-Coder": (
        f"<tool_call>\n{QWEN}\n</tool_call>",
        f"<tool_call>\n{QWEN}\n</tool_call>\n"
        "<tool_call>\n<function=ping>\n</function>\n</tool_call>",
    ),
    "Qwen3-Coder, without its tag": (QWEN, f"{QWEN}\n<function=ping></function>"),
    "Seed-OSS": (
        f"<seed:tool_call>{QWEN}</seed:tool_call>",
        f"<seed:tool_call>{QWEN}<function=ping></function></seed:tool_call>",
    ),
    "MiniCPM": (
        '<function name="weather_forecast"><param name="city">Oslo</param>'
        '<param name="days">2</param></function>',
        "",
    ),
    "GLM": (GLM, f"{GLM}\n<tool_call>ping</tool_call>"),
    "GLM-4.7": (GLM.replace("\n", ""), f"{GLM}<tool_call>ping\n</tool_call>".replace("\n", "")),
    "Hunyuan": (
        "<tool_calls><tool_call>weather_forecast<tool_sep><arg_key>city</arg_key><arg_value>Oslo"
        "</arg_value><arg_key>days</arg_key><arg_value>2</arg_value></tool_call></tool_calls>",
        "",
    ),
    "Kimi": (
        SECTION % (KIMI % ("weather_forecast", 0, ARGS)),
        SECTION % (KIMI % ("weather_forecast", 0, ARGS) + KIMI % ("ping", 1, "{}")),
    ),
    "Gemini": (
        "```tool_code\nprint(default_api.weather_forecast(city='Oslo', days=2))\n```",
        "```tool_code\nprint(weather_forecast(city='Oslo', days=2))\nprint(ping())\n```",
    ),
    "Gemma": (
        "```tool_code\nweather_forecast(city='Oslo', days=2)\n```",
        "```tool_code\nweather_forecast(city='Oslo', days=2)\nping()\n```",
    ),
    "FunctionGemma": (
        "<start_function_call>call:weather_forecast{city:<escape>Oslo<escape>,days:2}"
        "<end_function_call>",
        "",
    ),
    "Gemma 4": (
        '<|tool_call>call:weather_forecast{city:<|"|>Oslo<|"|>,days:2}<tool_call|>',
        '<|tool_call>call:weather_forecast{city:<|"|>Oslo<|"|>,days:2}<tool_call|>'
        "<|tool_call>call:ping{}<tool_call|>",
    ),
    "gpt-oss": (
        HARMONY % ("weather_forecast", ARGS),
        HARMONY % ("weather_forecast", ARGS) + "<|start|>assistant" + HARMONY % ("ping", "{}"),
    ),
    "gpt-oss, to whom before": (
        "<|start|>assistant to=functions.weather_forecast<|channel|>commentary json<|message|>"
        f"{ARGS}<|call|>",
        "",
    ),
    "gpt-oss after thinking and words": (
        "<|channel|>analysis<|message|>to=functions.ping?<|end|><|start|>assistant<|channel|>"
        "commentary<|message|>I look.<|end|><|start|>assistant"
        + HARMONY
        % ("weather_forecast", ARGS),
        "",
    ),
    "gpt-oss without its tokens": (
        f"assistantcommentary to=functions.weather_forecast json{ARGS}",
        "",
    ),
    "Mistral": (
        f"[TOOL_CALLS]weather_forecast[ARGS]{ARGS}",
        f"[TOOL_CALLS]weather_forecast[ARGS]{ARGS}[TOOL_CALLS]ping[ARGS]{{}}",
    ),
    "Mistral, ids": (f"[TOOL_CALLS]weather_forecast[CALL_ID]a1B2c3D4e[ARGS]{ARGS}", ""),
    "Mistral, no mark between": (f"[TOOL_CALLS]weather_forecast{ARGS}", ""),
    "Mistral, before": (f"[TOOL_CALLS][{NAMED}]", f"[TOOL_CALLS] [{NAMED}, {PING}]</s>"),
    "Mistral, words after": (f"[TOOL_CALLS] [{NAMED}]\n\nWeather (in Oslo) is fine.", ""),
    "Llama, function": (
        f"<function=weather_forecast>{ARGS}</function>",
        f"<function=weather_forecast>{ARGS}</function><function=ping>{{}}</function>",
    ),
    "Llama, python_tag": (
        f'<|python_tag|>{{"name": "weather_forecast", "parameters": {ARGS}}}<|eom_id|>',
        f"<|python_tag|>{NAMED}; {PING}",
    ),
    "Llama's own tools": ('<|python_tag|>weather_forecast.call(city="Oslo", days=2)', ""),
    "Llama 4": ("<|python_start|>[weather_forecast(city='Oslo', days=2)]<|python_end|>", ""),
    "Granite": (f"<|tool_call|>[{NAMED}]", f"<|tool_call|>[{NAMED}, {PING}]"),
    "Granite-20b": (f"<function_call> {NAMED}", f"<function_call> {NAMED} <function_call> {PING}"),
    "Hermes": (
        f"<tool_call>\n{NAMED}\n</tool_call>",
        f"<tool_call>{NAMED}</tool_call>\n<tool_call>{PING}</tool_call>",
    ),
    "Hermes, fenced within": (f"<tool_call>\n```json\n{NAMED}\n```\n</tool_call>", ""),
    "LongCat": (f"<longcat_tool_call>{NAMED}</longcat_tool_call>", ""),
    "LFM2": (
        "<|tool_call_start|>[weather_forecast(city='Oslo', days=2)]<|tool_call_end|>",
        "<|tool_call_start|>[weather_forecast(city='Oslo', days=2), ping()]<|tool_call_end|>",
    ),
    "OLMo": (
        "<function_calls>weather_forecast(city='Oslo', days=2)</function_calls>",
        "<function_calls>weather_forecast(city='Oslo', days=2)\nping()</function_calls>",
    ),
    "InternLM": (f"<|action_start|><|plugin|>\n{NAMED}<|action_end|>", ""),
    "Nemotron": (f"<TOOLCALL>[{NAMED}]</TOOLCALL>", f"<TOOLCALL>[{NAMED}, {PING}]</TOOLCALL>"),
    "Cohere": (
        f'<|START_ACTION|>[{{"tool_call_id": "0", "tool_name": "weather_forecast", '
        f'"parameters": {ARGS}}}]<|END_ACTION|>',
        "",
    ),
    "Apertus": (f'<|tools_prefix|>[{{"weather_forecast": {ARGS}}}]<|tools_suffix|>', ""),
}


def meant(reader: ToolCallExtractor, text: str) -> list[tuple[str, object]] | None:
    """What is called, with values as their functions mean them; None where nothing can be read."""
    form = reader.extract(text)
    return None if form is None else [(c["name"], c["arguments"]) for c in json.loads(form)]


@pytest.mark.parametrize("text", [one for one, _ in FORMS.values()], ids=FORMS)
@pytest.mark.parametrize("around", ["%s", "I look it up.\n\n%s", "\n%s\n", "Say `x`, 1 < 2:\n%s"])
def test_one_call_is_read_in_the_markup_of_each_family(
    reader: ToolCallExtractor, text: str, around: str
) -> None:
    assert meant(reader, around % text) == [ONE[0]]


@pytest.mark.parametrize("text", [two for _, two in FORMS.values() if two])
def test_several_calls_are_read_in_the_markup_of_each_family(
    reader: ToolCallExtractor, text: str
) -> None:
    assert [call.name for call in read_text(text, reader.tools).calls] == [
        "weather.forecast",
        "ping",
    ]
    form = reader.extract(text)
    assert form == reader.extract(f"[{NAMED}, {PING}]")


@pytest.mark.parametrize("text", [one for one, _ in FORMS.values()], ids=FORMS)
def test_a_call_that_is_broken_off_is_an_attempt(reader: ToolCallExtractor, text: str) -> None:
    middle = text.index("Oslo") + 2
    assert read_text(text[:middle], reader.tools).outcome is Outcome.UNREADABLE
    assert reader.extract(text[:middle], truncated=True) is None


CLOSED = [
    name
    for name, (one, _) in FORMS.items()
    if one.endswith((">", "```")) and not name.startswith("Granite")
]


@pytest.mark.parametrize("name", CLOSED)
def test_what_is_marked_as_complete_counts_in_a_reply_that_was_cut_off(
    reader: ToolCallExtractor, name: str
) -> None:
    text = FORMS[name][0]
    assert reader.extract(text, truncated=True) == reader.extract(f"[{NAMED}]")


@pytest.mark.parametrize(
    "text",
    [
        "<｜tool▁calls▁begin｜>",
        '<invoke name="ping">',
        "<function_calls><invoke name=",
        "<|tool_call_begin|>functions.ping:0<|tool_call_argument_begin|>",
    ],
)
def test_a_mark_at_which_a_reply_was_cut_off_is_an_attempt(
    reader: ToolCallExtractor, text: str
) -> None:
    assert reader.extract(f"I look. {text}", truncated=True) is None


@pytest.mark.parametrize(
    "text",
    [
        "<tool_call><function=search><parameter=query>x",
        "<tool_call><function=search><parameter=query>x<parameter=limit>3</parameter></function>",
        "<tool_call><function=search>words</function></tool_call>",
        "<tool_call>search\n<arg_key>query</arg_key>\n</tool_call>",
        "<tool_call>search\n<arg_key>query</arg_key><arg_value>x</tool_call>",
        "search\n<arg_key>query</arg_key>\n<arg_value>x</arg_value>\n</tool_call>",
        '<invoke name="ping"><parameter name="a">1</parameter><parameter name="a">2</parameter>',
        '<function_calls><invoke name="search"><parameter name="query">x</function_calls>',
        "<function_calls>the ping function</function_calls>",
        '<｜tool▁call▁begin｜>function<｜tool▁sep｜>ping\n```json\n{"a"\n```<｜tool▁call▁end｜>',
        "<｜tool▁calls▁begin｜> I would call ping",
        "<|tool_call_begin|>functions.ping:0<|tool_call_argument_begin|>{<|tool_call_end|>",
        "<|channel|>commentary to=functions.ping<|message|>{<|call|>",
        "<|channel|>commentary to=python code<|message|>print(1)<|call|>",
        "[TOOL_CALLS]ping[ARGS]",
        "[TOOL_CALLS]ping[ARGS]{",
        "[TOOL_CALLS] is what I write",
        "<|python_tag|>import math\nprint(math.pi)",
        "```tool_code\nx = ping()\nprint(x)\n```",
        "```tool_code\nprint(ping()\n```",
        "<|tool_call_start|>[ping(]<|tool_call_end|>",
        "I look. <invoke name=",
        "I look. <｜tool▁calls▁beg",
        "<tool_call>moon</tool_call>",
        '```xml\n<invoke name="ping"><parameter name="a">\n```',
    ],
)
def test_marks_that_hold_no_call_are_an_attempt(reader: ToolCallExtractor, text: str) -> None:
    assert read_text(text, reader.tools).outcome is Outcome.UNREADABLE


@pytest.mark.parametrize(
    "text",
    [
        'I would write `<invoke name="ping"></invoke>` for it.',
        "It is `<｜tool▁calls▁begin｜>` that begins a call.",
        "Between `<arg_key>` and `</arg_key>` is a key.",
        "A `</tool_call>` ends it.",
        'In XML:\n```xml\n<invoke name="moon"><parameter name="a">1</parameter></invoke>\n```',
        'Like so:\n```xml\n<bean><parameter name="a" value="1"></bean>\n```',
        '```xml\n<function name="moon">\n```',
        'It is <function name="moon"> there.',
        '{"answer": "<invoke name=\'ping\'></invoke>"}',
        "Usage: ping [ARGS] <file>",
        "The tag <invoke> has a name.",
        "```xml\n<minimax:tool_call>\n<invoke name='moon'></invoke>\n</minimax:tool_call>\n```",
        "So:\n```\n<｜tool▁call▁begin｜>function<｜tool▁sep｜>...\n```",
        "a <b> c </b> <|im_end|>",
        "if x <y and z> 3, then to=functions is false",
        "<|channel|>final<|message|>Hello!<|return|>",
        "<tool_call></tool_call>",
        "Call a function by its name and its parameters <name>.",
    ],
)
def test_what_only_tells_of_a_mark_calls_nothing(reader: ToolCallExtractor, text: str) -> None:
    assert read_text(text, reader.tools).outcome is Outcome.NO_CALL


def test_a_function_that_is_not_offered_is_kept_as_written(reader: ToolCallExtractor) -> None:
    moon = (Call("moon", {"day": 2, "name": "new", "at": [1]}),)
    pairs = {"day": "2", "name": "new", "at": "[1]"}
    qwen = "".join(f"<parameter={k}>{v}</parameter>" for k, v in pairs.items())
    glm = "".join(f"<arg_key>{k}</arg_key><arg_value>{v}</arg_value>" for k, v in pairs.items())
    assert read_text(f"<function=moon>{qwen}</function>", reader.tools).calls == moon
    assert read_text(f"<tool_call>moon{glm}</tool_call>", reader.tools).calls == moon
    text = (
        f'<invoke name="moon">{qwen.replace("parameter=", "").replace("parameter", "x")}</invoke>'
    )
    assert read_text(text, reader.tools).outcome is Outcome.UNREADABLE


VALUES = [
    ("text", "5", "5"),
    ("text", '{"a": 1}', '{"a": 1}'),
    ("text", "\n  <b>x</b> &amp; `y`\n```\nz\n```\n", "<b>x</b> &amp; `y`\n```\nz\n```"),
    ("text", "true", "true"),
    ("whole", "5", 5),
    ("whole", " 5.0\n", 5),
    ("number", "2.5", 2.5),
    ("flag", "True", True),
    ("flag", "false", False),
    ("things", '["a", "5"]', ["a", "5"]),
    ("things", "['a']", ["a"]),
    ("object", '{"n": "5"}', {"n": 5}),
    ("maybe", "null", None),
    ("maybe", "nothing", "nothing"),
    ("either", "null", None),
    ("either", "7", 7),
    ("any", "5", 5),
    ("any", "[1, 2]", [1, 2]),
    ("any", "null", None),
    ("any", "it is", "it is"),
    ("any", '"5"', '"5"'),
    ("choice", "RED", "red"),
    ("size", "2", 2),
    ("number", "1e100", 1e100),
]
PROPERTIES = {
    "text": {"type": "string"},
    "whole": {"type": "integer"},
    "number": {"type": "number"},
    "flag": {"type": "boolean"},
    "things": {"type": "array", "items": {"type": "string"}},
    "object": {"type": "object", "properties": {"n": {"type": "integer"}}},
    "maybe": {"type": ["string", "null"]},
    "either": {"anyOf": [{"type": "integer"}, {"type": "null"}]},
    "any": {},
    "choice": {"enum": ["red", "blue"]},
    "size": {"enum": [1, 2]},
}


def typed(required: str) -> ToolCallExtractor:
    """Reads calls of one function that has an argument of every kind."""
    parameters = {"properties": PROPERTIES, "required": [required]}
    return ToolCallExtractor({"name": "f", "parameters": parameters})


@pytest.mark.parametrize(("key", "text", "value"), VALUES)
@pytest.mark.parametrize(
    "form",
    [
        '<invoke name="f"><parameter name="{}">{}</parameter></invoke>',
        "<tool_call>\n<function=f>\n<parameter={}>\n{}\n</parameter>\n</function>\n</tool_call>",
        "<tool_call>f\n<arg_key>{}</arg_key>\n<arg_value>{}</arg_value>\n</tool_call>",
    ],
)
def test_a_text_is_the_value_that_its_schema_asks_for(
    form: str, key: str, text: str, value: object
) -> None:
    assert meant(typed(key), form.format(key, text)) == [("f", {key: value})]


def test_a_value_that_says_whether_it_is_a_text_is_believed() -> None:
    form = (
        '<｜DSML｜invoke name="f"><｜DSML｜parameter name="any" string="{}">5</｜DSML｜parameter>'
        "</｜DSML｜invoke>"
    )
    tools = typed("any").tools
    assert read_text(form.format("true"), tools).calls == (Call("f", {"any": "5"}),)
    assert read_text(form.format("false"), tools).calls == (Call("f", {"any": 5}),)


def test_marks_within_the_arguments_of_a_call_are_text(reader: ToolCallExtractor) -> None:
    text = 'a </tool_call> b <tool_call> c </b> <|im_end|> <invoke name="ping"> ```d```'
    call = {"name": "search", "arguments": {"query": text}}
    expected = (Call("search", {"query": text}),)
    json_text = json.dumps(call)
    for form in (
        f"<tool_call>{json_text}</tool_call>",
        f"[TOOL_CALLS][{json_text}]",
        f"<function=search>{json.dumps(call['arguments'])}</function>",
        f"<function=search><parameter=query>{text}</parameter></function>",
        f"<tool_call>search<arg_key>query</arg_key><arg_value>{text}</arg_value></tool_call>",
        f"<tool_call>search(query={text!r})</tool_call>",
        KIMI % ("search", 0, json.dumps(call["arguments"])),
        V3 % ("search", json.dumps(call["arguments"])),
    ):
        assert read_text(form, reader.tools).calls == expected, form


def in_tags(arguments: dict[str, object], form: str) -> str:
    """Arguments as the values of tags, a text as it is and any other value as JSON."""
    said = {k: v if isinstance(v, str) else json.dumps(v) for k, v in arguments.items()}
    return "".join(form.format(key, value) for key, value in said.items())


TEXTS = st.text(st.characters(exclude_characters="<", exclude_categories=["Cs"]), max_size=20)
ARGUMENTS = st.fixed_dictionaries(
    {},
    optional={
        "text": TEXTS,
        "whole": st.integers(-(10**9), 10**9),
        "number": st.floats(allow_nan=False, allow_infinity=False),
        "flag": st.booleans(),
        "things": st.lists(TEXTS, max_size=3),
        "object": st.fixed_dictionaries({"n": st.integers(-9, 9)}),
    },
)


@given(arguments=ARGUMENTS)
def test_a_call_is_the_same_in_tags_and_as_json(arguments: dict[str, object]) -> None:
    reader = ToolCallExtractor({"name": "f", "parameters": {"properties": PROPERTIES}})
    form = reader.extract(json.dumps([{"name": "f", "arguments": arguments}]))
    tags = in_tags(arguments, '<parameter name="{}">{}</parameter>')
    assert reader.extract(f'<invoke name="f">{tags}</invoke>') == form
    tags = in_tags(arguments, "<parameter={}>\n{}\n</parameter>\n")
    assert reader.extract(f"<tool_call>\n<function=f>\n{tags}</function>\n</tool_call>") == form
    tags = in_tags(arguments, "<arg_key>{}</arg_key>\n<arg_value>{}</arg_value>\n")
    assert reader.extract(f"<tool_call>f\n{tags}</tool_call>") == form
    assert reader.extract(V3 % ("f", json.dumps(arguments))) == form
    assert reader.extract(HARMONY % ("f", json.dumps(arguments))) == form


@pytest.mark.parametrize("name", [name for name in FORMS if not name.startswith("gpt-oss")])
def test_what_is_thought_is_no_call(offered: list[dict[str, object]], name: str) -> None:
    text, tools = FORMS[name][0], json.dumps(offered)
    expected = calls_in(tools, f"[{NAMED}]")
    thought = f"<think>It is {text.replace('Oslo', 'Rome')}, or {PING}?</think>\n"
    assert calls_in(tools, f"{thought}I cannot tell.") == "[]"
    assert calls_in(tools, f"{thought}{text}") == expected


def test_a_reply_in_channels_sends_a_call_or_none() -> None:
    for name, (text, _) in FORMS.items():
        is_sent = name.startswith("gpt-oss") and "<|message|>" in text
        assert sends_call(text) is is_sent, name
    assert not sends_call("<|start|>functions.f to=assistant<|channel|>commentary<|message|>{}")


PIECES = st.lists(
    st.sampled_from([
        "<｜tool▁calls▁begin｜>", "<｜tool▁call▁begin｜>", "function", "<｜tool▁sep｜>", "ping",
        "```json\n", "```", "{}", '{"a": 1}', "<｜tool▁call▁end｜>", "<function_calls>",
        '<invoke name="ping">', '<parameter name="a">', "</parameter>", "</invoke>",
        "<function=ping>", "</function>", "<tool_call>", "</tool_call>", "<arg_key>", "a",
        "</arg_key>", "<arg_value>", "</arg_value>", "<|tool_call_begin|>", ":0",
        "<|tool_call_argument_begin|>", "[TOOL_CALLS]", "[ARGS]", "[CALL_ID]",
        "<|channel|>commentary to=functions.ping", "<|message|>", "<|call|>", "```tool_code\n",
        "print(", "ping()", ")", "<|python_tag|>", "<｜DSML｜invoke name='f'>", " ", "\n", "`",
        '<|"|>', "call:", "{a:", "}", "]<]minimax[>[", "<|im_end|>", "é", "\ud800", "<",
    ]),
    max_size=20,
).map("".join)  # fmt: skip


@given(text=PIECES, truncated=st.booleans())
def test_no_markup_raises_and_extracting_twice_is_extracting_once(
    reader: ToolCallExtractor, text: str, truncated: bool
) -> None:
    form = reader.extract(text, truncated=truncated)
    if form is not None:
        assert reader.extract(form) == reader.read(form) == form


REPEATED = [
    "<｜tool▁call▁begin｜>", "<｜tool▁sep｜>", '<invoke name="ping">', '<parameter name="a">',
    "<parameter=a>", "</parameter>", "<function=ping>", '<function name="ping">', "<arg_key>",
    "<arg_key>a</arg_key>", "<arg_value>", "<|tool_call_begin|>ping", "[TOOL_CALLS]",
    "[TOOL_CALLS]ping[ARGS]{}", "[ARGS]", "[CALL_ID]", "<|message|>",
    "to=functions.a<|message|>", "<|channel|>", "```tool_code\n", "```tool_code\nping()\n```\n",
    "<|python_tag|>", '<|"|>', "<escape>", "call:", "<a ", "<a>", "</a>", "<a:b ", "<｜DSML｜",
    "<tool_call>ping", "<tool_call>ping\n</tool_call>", '<invoke name="ping"/>',
    "`<tool_call>`", "`a` ", "<invoke name='", "]<]minimax[>[", "print(",
]  # fmt: skip
BEFORE = [
    "", '<invoke name="ping">', '<invoke name="ping"><parameter name="a">', "<tool_call>ping",
    "<function_calls>", "```xml\n", "```tool_code\n", "<|message|>", "[TOOL_CALLS]",
]  # fmt: skip


@pytest.mark.parametrize("piece", REPEATED)
def test_time_is_linear_in_markup(reader: ToolCallExtractor, piece: str) -> None:
    def seconds(times: int) -> float:
        return seconds_to_read(reader, BEFORE, piece, times)

    times = 8_000 // len(piece)
    assert seconds(4 * times) < 8 * seconds(times) + 1
