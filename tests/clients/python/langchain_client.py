"""LangChain's ChatOpenAI: over chat, and over /v1/responses; tools, streams, a schema."""

from __future__ import annotations

from typing import Any

from langchain_core.messages import HumanMessage, ToolMessage
from langchain_openai import ChatOpenAI
from pydantic import BaseModel
from steps import ANSWER, BASE_URL, KEY, QUESTION, Steps, same

step = Steps()


class Total(BaseModel):
    """What a sum comes to."""

    total: int


def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


def chat(**more: Any) -> Any:
    options: Any = {"model": "rlfocal", "base_url": BASE_URL, "api_key": KEY, "max_retries": 0}
    return ChatOpenAI(**options, **more)


for name, asked in {"chat": chat(), "responses": chat(use_responses_api=True)}.items():

    @step(name)
    def _(asked: Any = asked) -> None:
        reply = asked.invoke(QUESTION)
        same(reply.text, ANSWER)
        assert reply.usage_metadata["total_tokens"] > 0

    @step(f"{name}, streamed")
    def _(asked: Any = asked) -> None:
        same("".join(piece.text for piece in asked.stream(QUESTION)), ANSWER)

    @step(f"{name}, tools")
    def _(asked: Any = asked) -> None:
        bound, question = asked.bind_tools([add]), HumanMessage(QUESTION)
        said = bound.invoke([question])
        (call,) = said.tool_calls
        same((call["name"], call["args"]), ("add", {"a": 3, "b": 4}))
        result = ToolMessage("7", tool_call_id=call["id"])
        same(bound.invoke([question, said, result]).text, ANSWER)

    @step(f"{name}, tools, streamed")
    def _(asked: Any = asked) -> None:
        whole: Any = None
        for piece in asked.bind_tools([add]).stream(QUESTION):
            whole = piece if whole is None else whole + piece
        same([(c["name"], c["args"]) for c in whole.tool_calls], [("add", {"a": 3, "b": 4})])

    @step(f"{name}, a schema")
    def _(asked: Any = asked) -> None:
        same(asked.with_structured_output(Total).invoke(QUESTION), Total(total=7))


step.play("LangChain", "langchain-openai")
