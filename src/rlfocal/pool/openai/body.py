"""The body of a request in OpenAI's words.

Knows nothing of connections, keys or replies.
"""

from __future__ import annotations

from typing import Any

from rlfocal.pool.asking.turns import system_as_user
from rlfocal.pool.types import PASSED_ON, Api, Request

__all__ = ["body_of"]


def body_of(request: Request, api: Api) -> dict[str, Any]:
    """What is sent for a request, as JSON.

    Args:
        request: what to send.
        api: chat turns, or one text that the model goes on with.

    >>> body_of(Request((), max_tokens=1, temperature=0), "completions")
    {'max_tokens': 1, 'temperature': 0, 'prompt': ''}
    """
    words = request.wording
    body = dict(request.extra)
    body |= {words.max_tokens_field: request.max_tokens, "temperature": request.temperature}
    if request.model:
        body["model"] = request.model
    if api == "chat":
        body["messages"] = _messages(request)
    else:
        body["prompt"] = request.text
        for name in PASSED_ON:
            body.pop(name, None)
    if request.on_text is not None:
        body |= {"stream": True, "stream_options": {"include_usage": True}}
    for name in ("top_p", "seed"):
        if (value := getattr(request, name)) is not None:
            body[name] = value
    if request.stop:
        body["stop"] = list(request.stop)
    if request.n_logprobs and api == "chat":
        body |= {"logprobs": True, "top_logprobs": request.n_logprobs}
    elif request.n_logprobs:
        body["logprobs"] = request.n_logprobs
    return _without(body, words.drop) if words.drop else body


def _messages(request: Request) -> list[dict[str, Any]]:
    system_as = request.wording.system_as
    turns = system_as_user(request.messages) if system_as == "user" else request.messages
    messages = [turn.as_json() for turn in turns]
    if system_as == "developer":
        for message in messages:
            if message["role"] == "system":
                message["role"] = system_as
    return messages


def _without(body: dict[str, Any], names: frozenset[str]) -> dict[str, Any]:
    left_out = names | {"stream_options"} if "stream" in names else names
    return {name: value for name, value in body.items() if name not in left_out}
