"""/v1/messages: Anthropic's endpoint, whole and as events, for clients that speak only that."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from typing import Any, NoReturn

from rlfocal.gateway.errors import ApiError
from rlfocal.gateway.wire.dialects.dialect import Writer, named_event
from rlfocal.gateway.wire.dialects.messages_body import translated
from rlfocal.gateway.wire.fields import is_shallow
from rlfocal.gateway.wire.replies import Shape
from rlfocal.gateway.wire.request import ChatRequest, Context
from rlfocal.live import Answer
from rlfocal.pool.asking.passed_back import DETAILS, EXTRA

__all__ = ["Messages"]

_TYPES = {
    400: "invalid_request_error", 401: "authentication_error", 403: "permission_error",
    404: "not_found_error", 413: "request_too_large", 429: "rate_limit_error",
    503: "overloaded_error", 504: "timeout_error",
}  # fmt: skip
_STOPS = {"length": "max_tokens", "content_filter": "refusal", "tool_calls": "tool_use"}
_CUT = ("length", "content_filter")


class Messages:
    """Anthropic's Messages."""

    id_prefix = "msg_"

    def read(self, found: Mapping[str, Any], context: Context) -> tuple[ChatRequest, Writer]:
        """As a chat completion."""
        return translated(found).read(context), _Writer()

    def headers(self, shape: Shape) -> dict[str, str]:
        """By which Anthropic's clients name a request."""
        return {"request-id": shape.id}

    def error(self, error: ApiError) -> dict[str, Any]:
        """Anthropic's error object, with our code and field in it."""
        told = error.as_json()["error"]
        kind = _TYPES.get(error.status)
        if kind is None:
            kind = "api_error" if error.status >= 500 else "invalid_request_error"
        return {"type": "error", "error": told | {"type": kind}}


class _Writer:
    """Writes one message."""

    tells_thoughts = False

    def __init__(self) -> None:
        self._is_open = False

    def whole(self, shape: Shape, done: Answer) -> dict[str, Any]:
        content: list[dict[str, Any]] = []
        calls = _calls(done)
        # A reply without anything is an empty text: clients look for one.
        if (text := done.text or done.refusal) or not calls:
            content.append({"type": "text", "text": text})
        for n, (call, given) in enumerate(calls):
            content.append(_block(call, done, n) | {"input": given})
        return _message(shape, content) | {
            "stop_reason": _stop(done),
            "usage": _usage(shape),
            "rlfocal": shape.extension(done),
        }

    def first(self, shape: Shape) -> bytes:
        return named_event({"type": "message_start", "message": _message(shape, [])})

    def piece(self, text: str, shape: Shape) -> bytes:
        opened = b""
        if not self._is_open:
            self._is_open = True
            opened = _start(0, {"type": "text", "text": ""})
        return opened + _delta(0, {"type": "text_delta", "text": text})

    def thought(self, thought: str, shape: Shape) -> bytes:
        return b""

    def still(self) -> bytes:
        return named_event({"type": "ping"})

    def rest(self, shape: Shape, done: Answer) -> Iterator[bytes]:
        calls = _calls(done)  # before anything of them is told
        text = done.text or done.refusal
        if (text and not done.streamed) or not (self._is_open or calls):
            yield self.piece(text, shape)
        k = 0
        if self._is_open:
            yield _stop_block(0)
            k = 1
        for n, (call, _) in enumerate(calls):
            yield _start(k, _block(call, done, n) | {"input": {}})
            arguments = _arguments(call)
            yield _delta(k, {"type": "input_json_delta", "partial_json": arguments})
            yield _stop_block(k)
            k += 1
        yield named_event(
            {
                "type": "message_delta",
                "delta": {"stop_reason": _stop(done), "stop_sequence": None},
                "usage": _usage(shape),
                "rlfocal": shape.extension(done),
            }
        )
        yield named_event({"type": "message_stop"})

    def failed(self, shape: Shape, error: ApiError) -> bytes:
        return named_event(Messages().error(error))


def _message(shape: Shape, content: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "id": shape.id, "type": "message", "role": "assistant", "model": shape.model,
        "content": content, "stop_reason": None, "stop_sequence": None,
        "usage": {"input_tokens": 0, "output_tokens": 0},
    }  # fmt: skip


def _usage(shape: Shape) -> dict[str, int]:
    usage, n_cached = shape.usage(), shape.n_cached or 0
    # Here what was read from a cache is no part of the input.
    return {
        "input_tokens": usage["prompt_tokens"] - n_cached,
        "output_tokens": usage["completion_tokens"],
        "cache_creation_input_tokens": 0, "cache_read_input_tokens": n_cached,
    }  # fmt: skip


def _stop(done: Answer) -> str:
    if done.refusal and not done.text:
        return _STOPS["content_filter"]
    # Members do not say whether it was a stop sequence that ended a reply.
    return _STOPS.get(done.finish) or ("tool_use" if done.tool_calls else "end_turn")


def _block(call: Mapping[str, Any], done: Answer, n: int) -> dict[str, Any]:
    block = {"type": "tool_use", "id": call["id"], "name": call["function"]["name"]}
    # Clients that send blocks back as they are so give a member what it wants to see again.
    block |= {name: call[name] for name in (EXTRA,) if call.get(name)}
    return block | {name: done.beside[name] for name in DETAILS if not n and name in done.beside}


def _calls(done: Answer) -> list[tuple[Mapping[str, Any], dict[str, Any]]]:
    """Calls and what they are called with; one at which a reply was cut is no call yet.

    Raises:
        ApiError: that of one is no JSON object, which a client could not read.
    """
    found = [(call, _input(call)) for call in done.tool_calls]
    if done.finish in _CUT and found and found[-1][1] is None:
        del found[-1]
    read = [(call, given) for call, given in found if given is not None]
    if len(read) < len(found):
        raise ApiError(
            502, "tool_arguments_unreadable",
            "a member called a tool with arguments that are no JSON object; ask again, or "
            "another member",
        )  # fmt: skip
    return read


def _input(call: Mapping[str, Any]) -> dict[str, Any] | None:
    """What a tool is called with; None where it cannot be read, or not be written again."""
    try:
        found = json.loads(_arguments(call), parse_constant=_no_json, parse_float=_finite)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) and is_shallow(found) else None


def _arguments(call: Mapping[str, Any]) -> str:
    given = (call["function"].get("arguments") or "").strip()
    # Some models write that for a tool without arguments.
    return given if given not in ("", "null") else "{}"


def _no_json(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


def _finite(text: str) -> float:
    value = float(text)
    return value if math.isfinite(value) else _no_json("an endless number")


def _start(k: int, block: Mapping[str, Any]) -> bytes:
    return named_event({"type": "content_block_start", "index": k, "content_block": block})


def _delta(k: int, delta: Mapping[str, Any]) -> bytes:
    return named_event({"type": "content_block_delta", "index": k, "delta": delta})


def _stop_block(k: int) -> bytes:
    return named_event({"type": "content_block_stop", "index": k})
