"""Pydantic AI: its chat model and its Responses model; tools, streams, structured output."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel
from pydantic_ai import Agent, NativeOutput
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
from pydantic_ai.providers.openai import OpenAIProvider
from steps import ANSWER, BASE_URL, KEY, QUESTION, Steps, run, same

step = Steps()
provider = OpenAIProvider(base_url=BASE_URL, api_key=KEY)
MODELS = {
    "chat": OpenAIChatModel("rlfocal", provider=provider),
    "responses": OpenAIResponsesModel("rlfocal", provider=provider),
}


class Total(BaseModel):
    """What a sum comes to."""

    total: int


def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


async def _streamed(agent: Any) -> None:
    async with agent.run_stream(QUESTION) as streamed:
        same("".join([piece async for piece in streamed.stream_text(delta=True)]), ANSWER)


async def _history(agent: Any) -> None:
    first = await agent.run(QUESTION)
    same((await agent.run(QUESTION, message_history=first.all_messages())).output, ANSWER)


for name, model in MODELS.items():

    @step(name)
    def _(model: Any = model) -> None:
        same(run(Agent(model).run(QUESTION)).output, ANSWER)

    @step(f"{name}, streamed")
    def _(model: Any = model) -> None:
        run(_streamed(Agent(model)))

    @step(f"{name}, tools")
    def _(model: Any = model) -> None:
        run(_history(Agent(model, tools=[add])))

    @step(f"{name}, tools, streamed")
    def _(model: Any = model) -> None:
        run(_streamed(Agent(model, tools=[add])))

    @step(f"{name}, a schema")
    def _(model: Any = model) -> None:
        shaped: Any = NativeOutput(Total)
        same(run(Agent(model, output_type=shaped).run(QUESTION)).output, Total(total=7))


step.play("pydantic-ai", "pydantic-ai-slim")
