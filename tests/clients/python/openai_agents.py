"""OpenAI's agents: by default over /v1/responses, and over chat; a tool, whole and streamed."""

from __future__ import annotations

from typing import Any

from openai import AsyncOpenAI
from steps import ANSWER, BASE_URL, KEY, QUESTION, Steps, run, same

from agents import (
    Agent,
    OpenAIChatCompletionsModel,
    Runner,
    SQLiteSession,
    function_tool,
    set_default_openai_client,
    set_tracing_disabled,
)

step = Steps()
client = AsyncOpenAI(base_url=BASE_URL, api_key=KEY, max_retries=0)
set_default_openai_client(client, use_for_tracing=False)
set_tracing_disabled(True)


@function_tool
def add(a: int, b: int) -> str:
    """Add two numbers."""
    return str(a + b)


def agent(model: Any, **more: Any) -> Agent[Any]:
    return Agent(name="adder", instructions="Use the tool.", model=model, **more)


MODELS = {
    "responses": "rlfocal",
    "chat": OpenAIChatCompletionsModel(model="rlfocal", openai_client=client),
}


async def _streamed(model: Any) -> None:
    streamed = Runner.run_streamed(agent(model, tools=[add]), QUESTION)
    kinds = [event.type async for event in streamed.stream_events()]
    same(streamed.final_output, ANSWER)
    assert "run_item_stream_event" in kinds


async def _session(model: Any) -> None:
    session = SQLiteSession("one")
    for _ in range(2):
        done = await Runner.run(agent(model, tools=[add]), QUESTION, session=session)
        same(done.final_output, ANSWER)


for name, model in MODELS.items():

    @step(name)
    def _(model: Any = model) -> None:
        same(run(Runner.run(agent(model), QUESTION)).final_output, ANSWER)

    @step(f"{name}, tools")
    def _(model: Any = model) -> None:
        same(run(Runner.run(agent(model, tools=[add]), QUESTION)).final_output, ANSWER)

    @step(f"{name}, tools, streamed")
    def _(model: Any = model) -> None:
        run(_streamed(model))

    @step(f"{name}, a session")
    def _(model: Any = model) -> None:
        run(_session(model))


step.play("openai-agents", "openai-agents")
