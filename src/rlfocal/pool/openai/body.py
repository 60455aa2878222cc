"""The body of a request in OpenAI's words.

Knows nothing of connections, keys or replies.
"""

from __future__ import annotations

import json
from dataclasses import replace
from operator import attrgetter
from typing import Any

from rlfocal.pool.asking.turns import system_as_user
from rlfocal.pool.types import PASSED_ON, Api, JsonObject, Message, Request

__all__ = ["body_bytes", "body_of"]


def body_of(request: Request, api: Api) -> dict[str, Any]:
    """What is sent for a request, as JSON.

    Args:
        request: what to send.
        api: chat turns, or one text that the model goes on with.

    >>> body_of(Request((), max_tokens=1, temperature=0), "completions")
    {'max_tokens': 1, 'temperature': 0, 'prompt': ''}
    """
    own, passed_on, turns = _parts(request, api)
    body = {name: request.extra[name] for name in passed_on} | own
    return body if turns is None else body | {"messages": [turn.as_json() for turn in turns]}


def body_bytes(request: Request, api: Api) -> bytes:
    """The same as it is sent; turns and fields that others are sent, too, are written once.

    >>> body_bytes(Request((Message("user", "Hi"),), "m", max_tokens=1), "completions")
    b'{"max_tokens": 1, "temperature": 0.0, "model": "m", "prompt": "Hi"}'
    """
    own, passed_on, turns = _parts(request, api)
    pieces = [json.dumps(own)[1:-1]] if own else []  # joined once: a long prompt takes its time
    if passed_on:
        written = JsonObject.of(request.extra).written
        pieces += [f"{json.dumps(name)}: {written[name]}" for name in passed_on]
    if turns is not None:
        pieces.append(f'"messages": [{", ".join(map(attrgetter("text"), turns))}]')
    return f"{{{', '.join(pieces)}}}".encode("ascii")


def _parts(
    request: Request, api: Api
) -> tuple[dict[str, Any], list[str], tuple[Message, ...] | None]:
    """Fields of our own, names of those that are passed on, and turns, where there are any."""
    words, turns = request.wording, None
    own: dict[str, Any] = {
        words.max_tokens_field: request.max_tokens, "temperature": request.temperature,
    }  # fmt: skip
    if request.model:
        own["model"] = request.model
    left_out = words.drop | {"stream_options"} if "stream" in words.drop else words.drop
    if api == "chat":
        turns = request.messages if words.system_as == "system" else _turns(request)
        turns = None if "messages" in left_out else turns
    else:
        own["prompt"] = request.text
    if request.on_text is not None:
        own |= {"stream": True, "stream_options": {"include_usage": True}}
    for name in ("top_p", "seed"):
        if (value := getattr(request, name)) is not None:
            own[name] = value
    if request.stop:
        own["stop"] = list(request.stop)
    if request.n_logprobs or request.logprobs:
        own |= _logprobs(request, api)
    if left_out:
        own = {name: value for name, value in own.items() if name not in left_out}
    if not request.extra:
        return own, [], turns
    left_out = left_out | own.keys() | (PASSED_ON if api == "completions" else frozenset())
    return own, [name for name in request.extra if name not in left_out], turns


def _logprobs(request: Request, api: Api) -> dict[str, Any]:
    """Log-probabilities of the likeliest tokens, or of those that came alone."""
    n_likeliest = request.n_logprobs or int(request.wording.one_alternative)
    if api == "completions":  # with 0 some tell none at all
        return {"logprobs": n_likeliest or 1}
    return {"logprobs": True} | ({"top_logprobs": n_likeliest} if n_likeliest else {})


def _turns(request: Request) -> tuple[Message, ...]:
    """The turns, in the roles that the server knows."""
    if request.wording.system_as == "user":
        return system_as_user(request.messages)
    return tuple(
        replace(turn, role="developer") if turn.role == "system" else turn
        for turn in request.messages
    )
