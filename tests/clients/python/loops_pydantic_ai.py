"""Pydantic AI's agent runs the loops, over chat and over /v1/responses."""

from __future__ import annotations

from typing import Any

from loops import TOOLS, play
from pydantic_ai import Agent
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
from pydantic_ai.providers.openai import OpenAIProvider
from steps import BASE_URL, KEY

provider = OpenAIProvider(base_url=BASE_URL, api_key=KEY)
MODELS = {
    "chat": OpenAIChatModel("rlfocal", provider=provider),
    "responses": OpenAIResponsesModel("rlfocal", provider=provider),
}


async def loop(
    model: Any, question: str, history: Any, body: dict[str, Any], *, streamed: bool
) -> tuple[str, Any]:
    """One question, until words come back."""
    agent: Any = Agent(model, tools=TOOLS)
    asked = {"message_history": history, "model_settings": {"extra_body": body}}
    if not streamed:
        done = await agent.run(question, **asked)
        return done.output, done.all_messages()
    async with agent.run_stream(question, **asked) as run:
        said = "".join([piece async for piece in run.stream_text(delta=True)])
        return said, run.all_messages()


play("pydantic-ai", "pydantic-ai-slim", MODELS, loop)
