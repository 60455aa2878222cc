"""OpenAI's own client: chat, responses and completions; whole, streamed and with tools."""

from __future__ import annotations

import json
from typing import Any

from openai import OpenAI
from pydantic import BaseModel
from steps import ANSWER, BASE_URL, KEY, MODELS, QUESTION, Steps, same

step = Steps()
client = OpenAI(base_url=BASE_URL, api_key=KEY, max_retries=0)
ASK: Any = [{"role": "user", "content": QUESTION}]
SCHEMA = {
    "type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}},
    "required": ["a", "b"], "additionalProperties": False,
}  # fmt: skip
TOOL: Any = {"type": "function", "function": {"name": "add", "parameters": SCHEMA}}
FLAT: Any = {"type": "function", "name": "add", "parameters": SCHEMA, "strict": True}


class Total(BaseModel):
    """What a sum comes to."""

    total: int


@step("chat")
def _() -> None:
    for model in MODELS:
        reply = client.chat.completions.create(model=model, messages=ASK)
        same(reply.choices[0].message.content, ANSWER)
        same(reply.choices[0].finish_reason, "stop")


@step("chat, streamed")
def _() -> None:
    for model in MODELS:
        with client.chat.completions.stream(model=model, messages=ASK) as stream:
            said = "".join(e.delta for e in stream if e.type == "content.delta")
        same(said, ANSWER)


@step("chat, tools")
def _() -> None:
    for model in MODELS:
        reply = client.chat.completions.create(model=model, messages=ASK, tools=[TOOL])
        message = reply.choices[0].message
        (call,) = message.tool_calls or ()
        same(json.loads(call.function.arguments), {"a": 3, "b": 4})
        result = {"role": "tool", "tool_call_id": call.id, "content": "7"}
        for said in (message, message.model_dump()):
            turns: Any = [*ASK, said, result]
            more = client.chat.completions.create(model=model, messages=turns, tools=[TOOL])
            same(more.choices[0].message.content, ANSWER)


@step("chat, tools, streamed")
def _() -> None:
    for model in MODELS:
        with client.chat.completions.stream(model=model, messages=ASK, tools=[TOOL]) as stream:
            final = stream.get_final_completion()
        (call,) = final.choices[0].message.tool_calls or ()
        same((call.function.name, json.loads(call.function.arguments)), ("add", {"a": 3, "b": 4}))


@step("chat, a schema")
def _() -> None:
    reply = client.chat.completions.parse(model="rlfocal", messages=ASK, response_format=Total)
    same(reply.choices[0].message.parsed, Total(total=7))


@step("responses")
def _() -> None:
    for model in MODELS:
        reply = client.responses.create(model=model, input=QUESTION, instructions="Be brief.")
        same((reply.output_text, reply.status), (ANSWER, "completed"))
        assert reply.usage is not None
        same(reply.usage.total_tokens, reply.usage.input_tokens + reply.usage.output_tokens)


@step("responses, streamed")
def _() -> None:
    for model in MODELS:
        with client.responses.stream(model=model, input=ASK) as stream:
            said = "".join(e.delta for e in stream if e.type == "response.output_text.delta")
            final = stream.get_final_response()
        same((said, final.output_text), (ANSWER, ANSWER))


@step("responses, tools")
def _() -> None:
    for model in MODELS:
        reply = client.responses.create(model=model, input=ASK, tools=[FLAT])
        (call,) = (item for item in reply.output if item.type == "function_call")
        same(json.loads(call.arguments), {"a": 3, "b": 4})
        result = {"type": "function_call_output", "call_id": call.call_id, "output": "7"}
        items: Any = [*ASK, *reply.output, result]
        same(client.responses.create(model=model, input=items, tools=[FLAT]).output_text, ANSWER)


@step("responses, tools, streamed")
def _() -> None:
    for model in MODELS:
        with client.responses.stream(model=model, input=ASK, tools=[FLAT]) as stream:
            final = stream.get_final_response()
        (call,) = (item for item in final.output if item.type == "function_call")
        same((call.name, json.loads(call.arguments)), ("add", {"a": 3, "b": 4}))


@step("responses, a schema")
def _() -> None:
    reply = client.responses.parse(model="rlfocal", input=QUESTION, text_format=Total)
    same(reply.output_parsed, Total(total=7))


@step("completions")
def _() -> None:
    for model in MODELS:
        reply = client.completions.create(model=model, prompt=QUESTION, max_tokens=20)
        same(reply.choices[0].text, ANSWER)


@step("completions, streamed")
def _() -> None:
    for model in MODELS:
        pieces = client.completions.create(model=model, prompt=QUESTION, stream=True)
        same("".join(piece.choices[0].text for piece in pieces if piece.choices), ANSWER)


@step("models")
def _() -> None:
    assert {"rlfocal", "plain"} <= {model.id for model in client.models.list()}
    same(client.models.retrieve("rlfocal:0.02").id, "rlfocal:0.02")


step.play("openai (Python)", "openai")
