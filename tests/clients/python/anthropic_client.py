"""Anthropic's own client over /v1/messages: whole, streamed and with tools."""

from __future__ import annotations

from typing import Any

from anthropic import Anthropic
from steps import ANSWER, KEY, MODELS, QUESTION, URL, Steps, same

step = Steps()
client = Anthropic(base_url=URL, api_key=KEY, max_retries=0)
ASK: Any = [{"role": "user", "content": QUESTION}]
TOOL: Any = {
    "name": "add", "description": "Add two numbers.",
    "input_schema": {
        "type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}},
    },
}  # fmt: skip


@step("messages")
def _() -> None:
    for model in MODELS:
        reply = client.messages.create(model=model, max_tokens=64, messages=ASK, system="Be brief.")
        same(([part.text for part in reply.content], reply.stop_reason), ([ANSWER], "end_turn"))
        assert reply.usage.output_tokens > 0


@step("messages, streamed")
def _() -> None:
    for model in MODELS:
        with client.messages.stream(model=model, max_tokens=64, messages=ASK) as stream:
            same("".join(stream.text_stream), ANSWER)


@step("messages, tools")
def _() -> None:
    for model in MODELS:
        reply = client.messages.create(model=model, max_tokens=64, messages=ASK, tools=[TOOL])
        (call,) = (part for part in reply.content if part.type == "tool_use")
        same((call.name, call.input, reply.stop_reason), ("add", {"a": 3, "b": 4}, "tool_use"))
        result = {"type": "tool_result", "tool_use_id": call.id, "content": "7"}
        turns: Any = [
            *ASK, {"role": "assistant", "content": reply.content},
            {"role": "user", "content": [result]},
        ]  # fmt: skip
        more = client.messages.create(model=model, max_tokens=64, messages=turns, tools=[TOOL])
        same([part.text for part in more.content], [ANSWER])


@step("messages, tools, streamed")
def _() -> None:
    for model in MODELS:
        asked: Any = {"model": model, "max_tokens": 64, "messages": ASK, "tools": [TOOL]}
        with client.messages.stream(**asked) as stream:
            final = stream.get_final_message()
        (call,) = (part for part in final.content if part.type == "tool_use")
        same((call.name, call.input), ("add", {"a": 3, "b": 4}))


step.play("anthropic (Python)", "anthropic")
