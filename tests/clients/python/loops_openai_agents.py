"""OpenAI's agents run the loops, over /v1/responses and over chat."""

from __future__ import annotations

from typing import Any

from loops import TOOLS, play
from openai import AsyncOpenAI
from steps import BASE_URL, KEY

from agents import (
    Agent,
    ModelSettings,
    OpenAIChatCompletionsModel,
    OpenAIResponsesModel,
    Runner,
    function_tool,
    set_tracing_disabled,
)

set_tracing_disabled(True)
client = AsyncOpenAI(base_url=BASE_URL, api_key=KEY, max_retries=0)
MODELS = {
    "responses": OpenAIResponsesModel(model="rlfocal", openai_client=client),
    "chat": OpenAIChatCompletionsModel(model="rlfocal", openai_client=client),
}


async def loop(
    model: Any, question: str, history: Any, body: dict[str, Any], *, streamed: bool
) -> tuple[str, Any]:
    """One question, until words come back."""
    agent: Agent[Any] = Agent(
        name="clerk", instructions="Use the tools.", model=model,
        tools=[function_tool(tool) for tool in TOOLS],
        model_settings=ModelSettings(extra_body=body or None),
    )  # fmt: skip
    asked = [*(history or []), {"role": "user", "content": question}]
    if streamed:
        done: Any = Runner.run_streamed(agent, asked)
        async for _ in done.stream_events():
            pass
    else:
        done = await Runner.run(agent, asked)
    return done.final_output, done.to_input_list()


play("openai-agents", "openai-agents", MODELS, loop)
