"""The body of a request in OpenAI's words.

Knows nothing of connections, keys or replies.
"""

from __future__ import annotations

from typing import Any

from rlfocal.pool.types import Api, Request

__all__ = ["body_of"]


def body_of(request: Request, api: Api) -> dict[str, Any]:
    """What is sent for a request, as JSON.

    Args:
        request: what to send.
        api: chat turns, or one text that the model goes on with.

    >>> body_of(Request((), max_tokens=1, temperature=0), "completions")
    {'max_tokens': 1, 'temperature': 0, 'prompt': ''}
    """
    body: dict[str, Any] = {
        **(request.extra if api == "chat" else {}),
        "max_tokens": request.max_tokens,
        "temperature": request.temperature,
    }
    if request.model:
        body["model"] = request.model
    if api == "chat":
        body["messages"] = [message.as_json() for message in request.messages]
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
    return body
