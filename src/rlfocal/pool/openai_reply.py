"""What a server said in OpenAI's words, read into a `Response` or the reason why there is none.

Servers are not trusted: any JSON may come. Knows nothing of connections or of keys; what it shows
of a server's words goes through the caller's hands.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from typing import Any

from rlfocal.errors import Failure, MemberError
from rlfocal.pool.http_failures import filtered_error, status_error
from rlfocal.pool.types import Api, Finish, Request, Response

__all__ = ["read_error", "read_object", "read_reply"]

_FINISHES: Mapping[str | None, Finish] = {
    "stop": "stop", "length": "length", "tool_calls": "tool_calls", None: "stop",
}  # fmt: skip
"""Some servers leave it out; that is no reason to throw a reply away."""

Show = Callable[[str], str]
"""A server's words → what of them an error may repeat."""


def read_reply(
    body: bytes, content_type: str, request: Request, *, api: Api, where: str, show: Show
) -> Response:
    """Read a reply of status 200; its latency is left to the caller.

    Raises:
        MemberError: it holds no usable response.
    """
    kind = content_type.partition(";")[0].strip().lower()
    if kind and not (kind == "application/json" or kind.endswith("+json")):
        raise MemberError(
            f"{where}: the reply is {show(kind)}, not JSON; check base_url",
            failure=Failure.MALFORMED,
        )
    found = _json(body)
    if not isinstance(found, dict):
        raise MemberError(
            f"{where}: the reply is not the JSON object it should be; see the server's log",
            failure=Failure.MALFORMED,
        )
    return read_object(found, request, api=api, where=where, show=show)


def read_object(
    found: dict[str, Any], request: Request, *, api: Api, where: str, show: Show
) -> Response:
    """Read a reply that has been parsed; as `read_reply`."""
    if found.get("error") and not found.get("choices"):
        raise _error_as_reply(found, where, show)
    parts = _parts(found, api)
    if parts is None:
        raise MemberError(
            f"{where}: the reply lacks what OpenAI's API promises (choices, text); check "
            "base_url and api",
            failure=Failure.MALFORMED,
        )
    choice, text, usage = parts
    logprobs = _first_logprobs(choice.get("logprobs")) if request.n_logprobs else None
    # Tools that were not offered cannot be called: such a reply is an odd one.
    calls = _tool_calls(choice) if request.extra.get("tools") else ()
    finish = choice.get("finish_reason")
    if finish == "tool_calls" and not calls:
        raise MemberError(
            f"{where}: it wants tools to be called and names none that was offered; only text can "
            "be used, or a call of a tool in the request",
            failure=Failure.MALFORMED,
        )
    usable = bool(text.strip() or logprobs or calls)
    return Response(
        # Half of a character, as a cut at a token leaves it, could not be written anywhere.
        text=text.encode("utf-8", "replace").decode("utf-8"),
        finish="tool_calls" if calls else _finish(finish, where, show, usable=usable),
        n_prompt_tokens=_count(usage.get("prompt_tokens")),
        n_completion_tokens=_count(usage.get("completion_tokens")),
        first_logprobs=logprobs,
        cost_usd=_cost(usage.get("cost")),
        tool_calls=calls,
    )


def read_error(
    body: bytes, status: int, *, where: str, show: Show, retry_after_s: float | None
) -> MemberError:
    """The error for a reply of status 300 or more."""
    return _status_error(_error_of(_json(body)), status, where, show, retry_after_s)


def _status_error(
    error: dict[str, Any], status: int, where: str, show: Show, retry_after_s: float | None
) -> MemberError:
    if error.get("code") == "content_filter":  # as Azure says it
        return filtered_error(where, status)
    detail = error.get("message")
    told = show(detail) if isinstance(detail, str) else ""
    return status_error(where, status, detail=told, retry_after_s=retry_after_s)


def _error_as_reply(found: dict[str, Any], where: str, show: Show) -> MemberError:
    """Routers in front of other servers pass these servers' errors on with status 200."""
    error = _error_of(found)
    code, detail = error.get("code"), error.get("message")
    if isinstance(code, int) and 400 <= code < 600:
        return _status_error(error, code, where, show, None)
    told = f" ({show(detail)})" if isinstance(detail, str) else ""
    return MemberError(
        f"{where}: an error in place of a reply{told}; see the server's log",
        failure=Failure.MALFORMED,
    )


def _parts(found: dict[str, Any], api: Api) -> tuple[dict[str, Any], str, dict[str, Any]] | None:
    """The first choice, its text and the usage; None where they are not what they should be."""
    try:
        choice, usage = found["choices"][0], found.get("usage") or {}
        text = (choice["message"]["content"] if api == "chat" else choice["text"]) or ""
    except (KeyError, IndexError, TypeError):
        return None
    fit = isinstance(choice, dict) and isinstance(text, str) and isinstance(usage, dict)
    return (choice, text, usage) if fit else None


def _tool_calls(choice: dict[str, Any]) -> tuple[Mapping[str, Any], ...]:
    """Calls of functions as they are; what has another shape is left out."""
    message = choice.get("message")
    found = message.get("tool_calls") if isinstance(message, dict) else None
    return tuple(call for call in found if _is_call(call)) if isinstance(found, list) else ()


def _is_call(found: Any) -> bool:
    function = found.get("function") if isinstance(found, dict) else None
    if not isinstance(function, dict) or not isinstance(found.get("id"), str):
        return False
    return isinstance(function.get("name"), str) and isinstance(function.get("arguments"), str)


def _finish(found: Any, where: str, show: Show, *, usable: bool) -> Finish:
    if found == "content_filter":
        raise filtered_error(where, None)
    if not (found is None or isinstance(found, str)) or found not in _FINISHES:
        raise MemberError(
            f"{where}: ended for an unknown reason '{show(str(found)[:400])}'; only text can be "
            "used, no tool calls",
            failure=Failure.MALFORMED,
        )
    if not usable:
        raise MemberError(
            f"{where}: an empty reply; check template, stop and max_tokens",
            failure=Failure.EMPTY,
        )
    return _FINISHES[found]


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def _error_of(found: Any) -> dict[str, Any]:
    """The error object, wherever a server puts it."""
    error = found.get("error", found) if isinstance(found, dict) else None
    return error if isinstance(error, dict) else {"message": error}


def _count(value: Any) -> int | None:
    # One beyond all reason is no count: no database would take it.
    return value if type(value) is int and 0 <= value < 2**31 else None


def _cost(value: Any) -> float | None:
    """Dollars, where a router tells what it charged."""
    known = type(value) in (int, float) and math.isfinite(value) and value >= 0
    return float(value) if known else None


def _first_logprobs(found: Any) -> dict[str, float] | None:
    """Token → log-probability of the first token, in the chat's or the completions' shape."""
    try:
        if "content" in found:
            top = found["content"][0]["top_logprobs"]
            pairs = [(item["token"], item["logprob"]) for item in top]
        else:
            pairs = list(found["top_logprobs"][0].items())
        kept: dict[str, float] = {}
        for token, value in pairs:
            if not math.isnan(float(value)):
                kept.setdefault(str(token), float(value))  # of two that read the same, the likelier
        return kept or None
    except (KeyError, IndexError, TypeError, ValueError, AttributeError, OverflowError):
        return None
