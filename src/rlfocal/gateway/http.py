"""What all routes share: errors in OpenAI's shape, and responses of JSON and of events."""

from __future__ import annotations

import logging
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from rlfocal.gateway.errors import ApiError, unavailable
from rlfocal.gateway.wire.replies import encode
from rlfocal.pool.openai.redaction import redact

__all__ = [
    "EVENTS",
    "JSON",
    "EndingStream",
    "Handler",
    "JsonResponse",
    "Straight",
    "error_response",
    "route",
]

_log = logging.getLogger(__name__)
Handler = Callable[[Request], Awaitable[Response]]
JSON, EVENTS = "application/json", "text/event-stream"


class JsonResponse(Response):
    """JSON, as `encode` writes it."""

    media_type = JSON

    def render(self, content: Any) -> bytes:
        """Encode a value."""
        return encode(content)


class EndingStream(StreamingResponse):
    """A stream that calls `ended` however it ends: sent, broken off, or never begun to be sent."""

    def __init__(
        self, content: AsyncIterator[bytes], ended: Callable[[], object], **options: Any
    ) -> None:
        super().__init__(content, **options)
        self._ended = ended

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the stream."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._ended()


class Straight:
    """Answers the requests that come most without looking for a route.

    Args:
        app: answers all others.
        handlers: path → what answers a POST to it, whatever goes wrong (`route`).
    """

    def __init__(self, app: ASGIApp, handlers: Mapping[str, Handler]) -> None:
        self._app, self._handlers = app, handlers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or pass it on."""
        handler = self._handlers.get(scope.get("path", ""))
        if handler is None or scope.get("method") != "POST":
            await self._app(scope, receive, send)
            return
        response = await handler(Request(scope, receive, send))
        await response(scope, receive, send)


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
