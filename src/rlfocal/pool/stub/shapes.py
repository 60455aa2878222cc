"""What the stub says, in the shapes of OpenAI's API."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["Said", "pieces_of", "prompt_of", "shaped"]


@dataclass(frozen=True)
class Said:
    """What the stub says."""

    text: str
    finish: str | None = "stop"
    logprobs: Mapping[str, float] | None = None
    """Token → log-probability of the first token, where the request asks for any."""
    tokens: Sequence[tuple[str, float]] = ()
    """The text in tokens with their log-probabilities, told where the request asks for any."""
    tool_calls: Sequence[Mapping[str, Any]] = ()
    """Calls of tools, as OpenAI has them; beside them the text may be empty."""


def prompt_of(body: Mapping[str, Any]) -> str:
    """What a request asks last."""
    messages = body.get("messages")
    return str(messages[-1]["content"] if messages else body.get("prompt", ""))


def shaped(
    body: Mapping[str, Any], said: str | Said, *, chat: bool, chat_logprobs: bool
) -> dict[str, Any]:
    """A reply as OpenAI's API has it; words count as tokens."""
    said = Said(said) if isinstance(said, str) else said
    choice: dict[str, Any] = {"index": 0, "finish_reason": said.finish}
    if chat:
        choice["message"] = {"role": "assistant", "content": said.text}
        if said.tool_calls:
            choice["message"]["tool_calls"] = [dict(call) for call in said.tool_calls]
            choice["finish_reason"] = "tool_calls"
    else:
        choice["text"] = said.text
    if body.get("logprobs") and said.tokens and not said.logprobs:
        choice["logprobs"] = _of_tokens(said.tokens, as_items=chat_logprobs)
    if body.get("logprobs") and said.logprobs is not None:
        top = [{"token": token, "logprob": value} for token, value in said.logprobs.items()]
        if chat_logprobs:
            choice["logprobs"] = {"content": [{**top[0], "top_logprobs": top}]}
        else:
            choice["logprobs"] = {"top_logprobs": [dict(said.logprobs)]}
    turns = body.get("messages", [])
    asked = " ".join(str(m.get("content") or "") for m in turns) or body.get("prompt", "")
    n_prompt, n_completion = len(asked.split()), len(said.text.split())
    n_completion += sum(len(str(call).split()) for call in said.tool_calls)
    usage = {
        "prompt_tokens": n_prompt,
        "completion_tokens": n_completion,
        "total_tokens": n_prompt + n_completion,
    }
    kind = "chat.completion" if chat else "text_completion"
    return {
        "id": "stub-1", "object": kind, "created": 0, "model": body.get("model", "stub"),
        "choices": [choice], "usage": usage,
    }  # fmt: skip


def _of_tokens(tokens: Sequence[tuple[str, float]], *, as_items: bool) -> dict[str, Any]:
    if not as_items:
        texts, values = zip(*tokens, strict=True)
        return {"tokens": texts, "token_logprobs": values}
    items = [{"token": text, "logprob": value, "top_logprobs": []} for text, value in tokens]
    return {"content": [{**item, "bytes": list(str(item["token"]).encode())} for item in items]}


def pieces_of(choice: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """The text of a choice as a stream brings it, word by word, with what stands beside each word.

    Log-probabilities of several tokens are taken out of the choice: then each piece is a token.
    """
    text = choice.pop("message", {}).get("content", choice.pop("text", ""))
    return _by_token(choice) or [(word, {}) for word in re.findall(r"\s*\S+|\s+$", text)]


def _by_token(choice: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """Each token with its log-probability, taken out of a choice that tells them all; else none."""
    told = choice.get("logprobs", {})
    items, texts = told.get("content", ()), told.get("tokens", ())
    if len(items) + len(texts) < 2:
        return []
    del choice["logprobs"]
    found = [(item["token"], {"content": [item]}) for item in items]
    for text, value in zip(texts, told.get("token_logprobs", ()), strict=True):
        found.append((text, {"tokens": [text], "token_logprobs": [value]}))
    return [(text, {"logprobs": part}) for text, part in found]
