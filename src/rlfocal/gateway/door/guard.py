"""Safe headers on every reply, and who may speak to a gateway whose door is open."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from rlfocal.gateway.errors import ApiError
from rlfocal.gateway.http import error_response

__all__ = ["Guard"]

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
_LAST = (b"connection", b"close")
_LOOPBACK = {"localhost", "127.0.0.1", "[::1]"}


class Guard:
    """Stands before all routes: safe headers on every reply, and who may speak to an open door.

    Args:
        app: what is guarded.
        loopback_only: refuse requests that were meant for another host: a page in a browser may
            have had its name resolved to this machine.
        is_leaving: whether the gateway will end soon: then each reply is its connection's last, so
            that no request is sent into one that is just being closed.
    """

    def __init__(
        self, app: ASGIApp, *, loopback_only: bool, is_leaving: Callable[[], bool]
    ) -> None:
        self._app, self._loopback_only, self._is_leaving = app, loopback_only, is_leaving

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                given = list(message.get("headers", ()))
                names = {name for name, _ in given}
                message["headers"] = given + [h for h in _HEADERS if h[0] not in names]
                if self._is_leaving():
                    message["headers"].append(_LAST)
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
