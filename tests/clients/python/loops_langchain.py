"""LangChain's agent runs the loops, over chat and over /v1/responses."""

from __future__ import annotations

from typing import Any

from langchain.agents import create_agent
from langchain_openai import ChatOpenAI
from loops import TOOLS, play
from steps import BASE_URL, KEY

MODELS: dict[str, Any] = {"chat": {}, "responses": {"use_responses_api": True}}


async def loop(
    model: Any, question: str, history: Any, body: dict[str, Any], *, streamed: bool
) -> tuple[str, Any]:
    """One question, until words come back."""
    options = {"base_url": BASE_URL, "api_key": KEY, "max_retries": 0, "extra_body": body or None}
    agent: Any = create_agent(ChatOpenAI(model="rlfocal", **options, **model), tools=TOOLS)
    state = {"messages": [*(history or []), {"role": "user", "content": question}]}
    if not streamed:
        turns = (await agent.ainvoke(state))["messages"]
        return turns[-1].text, turns
    said, turns = "", list[Any]()
    async for mode, part in agent.astream(state, stream_mode=["messages", "values"]):
        if mode == "values":
            turns = part["messages"]
            said = said if turns[-1].type == "ai" else ""
        elif part[0].type == "AIMessageChunk":
            said += part[0].text
    return said, turns


play("LangChain", "langchain-openai", MODELS, loop)
