"""LlamaIndex's OpenAILike: by default over /v1/completions; as a chat model with a tool."""

from __future__ import annotations

from typing import Any

from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.llms import ChatMessage
from llama_index.llms.openai_like import OpenAILike
from steps import ANSWER, BASE_URL, KEY, QUESTION, Steps, run, same

step = Steps()


def llm(**more: Any) -> OpenAILike:
    options: Any = {"model": "rlfocal", "api_base": BASE_URL, "api_key": KEY, "max_retries": 0}
    return OpenAILike(**options, **more)


def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


@step("completions")
def _() -> None:
    same(llm().complete(QUESTION).text, ANSWER)
    same(llm().chat([ChatMessage(role="user", content=QUESTION)]).message.content, ANSWER)


@step("completions, streamed")
def _() -> None:
    same("".join(piece.delta or "" for piece in llm().stream_complete(QUESTION)), ANSWER)


@step("chat")
def _() -> None:
    same(llm(is_chat_model=True).complete(QUESTION).text, ANSWER)


@step("chat, streamed")
def _() -> None:
    pieces = llm(is_chat_model=True).stream_complete(QUESTION)
    same("".join(piece.delta or "" for piece in pieces), ANSWER)


@step("chat, tools, streamed")
def _() -> None:
    async def loop() -> str:
        chat = llm(is_chat_model=True, is_function_calling_model=True)
        return str(await FunctionAgent(tools=[add], llm=chat).run(QUESTION))

    same(run(loop()), ANSWER)


step.play("LlamaIndex", "llama-index-llms-openai-like")
