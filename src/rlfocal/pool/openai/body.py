"""The body of a request in OpenAI's words.

Knows nothing of connections, keys or replies.
"""

from __future__ import annotations

from typing import Any

from rlfocal.pool.asking.turns import system_as_user
from rlfocal.pool.types import PASSED_ON, Api, Request, SystemAs

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
    body: dict[str, Any] = {
        **{k: v for k, v in request.extra.items() if api == "chat" or k not in PASSED_ON},
        words.max_tokens_field: request.max_tokens,
        "temperature": request.temperature,
    }
    if request.model:
        body["model"] = request.model
    if api == "chat":
        turns = system_as_user(request.messages) if words.system_as == "user" else request.messages
        body["messages"] = [_named(turn.as_json(), words.system_as) for turn in turns]
    else:
        body["prompt"] = request.text
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
    left_out = words.drop | ({"stream_options"} if "stream" in words.drop else set())
    return {name: value for name, value in body.items() if name not in left_out}


def _named(turn: dict[str, Any], system_as: SystemAs) -> dict[str, Any]:
    return {**turn, "role": system_as} if turn["role"] == "system" else turn
