"""What all routes share: errors in OpenAI's shape, safe headers, and who may pass an open door."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from rlfocal.gateway.errors import ApiError, unavailable
from rlfocal.gateway.wire.replies import encode
from rlfocal.pool.openai.redaction import redact

__all__ = ["Guard", "Handler", "JsonResponse", "error_response", "route"]

_log = logging.getLogger(__name__)
Handler = Callable[[Request], Awaitable[Response]]

_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"cache-control", b"no-store"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-frame-options", b"DENY"),
    (
        b"content-security-policy",
        b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
        b"connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
)
_LOOPBACK = {"localhost", "127.0.0.1", "[::1]"}


class JsonResponse(Response):
    """JSON, as `encode` writes it."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        """To bytes."""
        return encode(content)


ErrorShape = Callable[[ApiError], dict[str, Any]]


def error_response(error: ApiError, told: ErrorShape = ApiError.as_json) -> Response:
    """A refusal, in OpenAI's shape unless another is given."""
    return JsonResponse(told(error), status_code=error.status, headers=error.headers)


def as_api_error(exc: Exception) -> ApiError | None:
    """What a client reads of an exception; None for an unforeseen one."""
    if isinstance(exc, ApiError):
        return exc
    if isinstance(exc, HTTPException):
        code = {404: "not_found", 405: "method_not_allowed"}.get(exc.status_code, "http_error")
        return ApiError(
            exc.status_code, code, f"{exc.detail}; see /openapi.json", headers=exc.headers
        )
    return None


def route(
    handler: Handler, secrets: tuple[str, ...] = (), told: ErrorShape = ApiError.as_json
) -> Handler:
    """A handler whose errors have become replies, in the shape that `told` gives them."""
    from rlfocal.errors import DatabaseError

    # Not the path: whoever asks could put a line break into it, or a key by mistake.
    name = getattr(handler, "__name__", "a handler")

    async def handle(request: Request) -> Response:
        try:
            return await handler(request)
        except DatabaseError as exc:
            _log.error("%s: %s", name, redact(str(exc), secrets))
            return error_response(unavailable(), told)
        except ClientDisconnect:
            return Response(status_code=499)
        except Exception as exc:
            known = as_api_error(exc)
            if known is None:
                _log.error("%s: %s", name, redact(_where(exc), secrets))
                known = ApiError(500, "internal_error", "a fault of the gateway; see its log")
            if known.status in (401, 413, 415, 429):
                request.app.state.gateway.metrics.refused.labels(known.code).inc()
            return error_response(known, told)

    return handle


def _where(exc: BaseException) -> str:
    """Kinds of exceptions and where they arose; their texts may hold keys and prompts."""
    parts: list[str] = []
    current: BaseException | None = exc
    while current is not None:
        frames = "".join(traceback.format_tb(current.__traceback__))
        parts.append(f"{type(current).__name__} at\n{frames}")
        hidden = None if current.__suppress_context__ else current.__context__
        current = current.__cause__ or hidden
    return "caused by ".join(parts)


class Guard:
    """Stands before all routes: safe headers on every reply, and who may speak to an open door.

    Args:
        app: what is guarded.
        loopback_only: refuse requests that were meant for another host: a page in a browser may
            have had its name resolved to this machine.
    """

    def __init__(self, app: ASGIApp, *, loopback_only: bool) -> None:
        self._app, self._loopback_only = app, loopback_only

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        sent = False

        async def send_guarded(message: Message) -> None:
            nonlocal sent
            if message["type"] == "http.response.start":
                sent = True
                given = list(message.get("headers", ()))
                names = {name for name, _ in given}
                message["headers"] = given + [h for h in _HEADERS if h[0] not in names]
            await send(message)

        if self._loopback_only and not _is_for_us(scope):
            error = ApiError(
                403, "wrong_host", "without keys only requests to localhost are served"
            )
            await error_response(error)(scope, receive, send_guarded)
            return
        await self._app(scope, receive, send_guarded)


def _is_for_us(scope: Scope) -> bool:
    if sum(name == b"host" for name, _ in scope["headers"]) > 1:
        return False  # whoever stands before us may have believed the other one
    headers: Mapping[bytes, bytes] = dict(scope["headers"])
    host = headers.get(b"host", b"").decode("latin-1").lower()
    name = host.rpartition(":")[0] if host.rpartition(":")[2].isdecimal() else host
    if name not in _LOOPBACK:
        return False
    origin = headers.get(b"origin", b"").decode("latin-1").lower()
    return not origin or origin.partition("://")[2] == host
