"""How HTTP is spoken: a request's head is bounded in bytes and in seconds, before any key is seen.

uvicorn waits for the end of a head for ever, takes as much of it as comes, and keeps a connection
for ever that sends an empty line now and then. How many there may be is `connections`' affair.
"""

from __future__ import annotations

import gc
import socket
import sys
from asyncio import TimerHandle
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from rlfocal.gateway.door.connections import Connections, Standing

__all__ = ["OPTIONS", "BoundedProtocol", "OwnProcess"]

MOST_HEAD_BYTES = 64 << 10
HEAD_TIMEOUT_S = 20.0
_SWITCH_S = 0.0005


class OwnProcess(uvicorn.Server):
    """A server that has its process for itself, and tunes the interpreter for short replies."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to serve."""
        await super().startup(sockets)
        # Nets and libraries stay for good: to look through them for garbage takes a tenth of a
        # second each time, in which nobody is answered.
        gc.collect()
        gc.freeze()
        # The thread that writes to the database hands the interpreter back ten times sooner.
        sys.setswitchinterval(_SWITCH_S)


class BoundedProtocol(HttpToolsProtocol):
    """One connection."""

    standing: Standing
    _n_head = 0
    """Bytes of a head that has not ended."""
    _in_head = True
    _timer: TimerHandle | None = None

    @property
    def is_busy(self) -> bool:
        """Whether a request is under way: its head is there, and it has not been answered."""
        return self.cycle is not None and not self.cycle.response_complete

    def connection_made(self, transport: Any) -> None:
        """Begin to wait for a head."""
        super().connection_made(transport)
        self.standing = Standing(self.loop.time())
        if self._others is None or self._others.enter(self):
            self._hurry()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait for nothing any more."""
        self._stop_waiting()
        if self._others is not None:
            self._others.leave(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take what comes, unless a head gets too long."""
        super().data_received(data)
        if self._in_head:
            self._n_head += len(data)
            if self._n_head > MOST_HEAD_BYTES:
                self._refuse(b"431 Request Header Fields Too Large")
                return
        if not self.is_busy:
            # Whatever it is (a head, an empty line, what is left of a body that was refused),
            # uvicorn has stopped its own clock.
            self._hurry()

    def on_message_begin(self) -> None:
        """Another head begins."""
        super().on_message_begin()
        self._in_head, self._n_head = True, 0
        state: dict[str, Any] = self.scope["state"]
        state["connection"] = self

    def on_headers_complete(self) -> None:
        """It is there."""
        self._in_head = False
        self._stop_waiting()
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """What follows is another head."""
        super().on_message_complete()
        self._n_head = 0

    def on_response_complete(self) -> None:
        """It may be closed now, if another needs its place."""
        self.standing.since, self.standing.more_unsent = self.loop.time(), None
        super().on_response_complete()

    @property
    def _others(self) -> Connections | None:
        return self.app_state.get("connections")

    def _hurry(self) -> None:
        """Give a head so long to end; once that runs, nothing that comes prolongs it."""
        if self._timer is None and not self.transport.is_closing():
            self._timer = self.loop.call_later(HEAD_TIMEOUT_S, self._refuse, b"408 Request Timeout")

    def _stop_waiting(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _refuse(self, status: bytes) -> None:
        self._stop_waiting()
        if self.transport.is_closing():
            return
        if not self.is_busy:  # else it would stand in the middle of a reply
            self.transport.write(
                b"HTTP/1.1 " + status + b"\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
            )
        self.transport.close()


OPTIONS: dict[str, Any] = {
    "http": BoundedProtocol,
    "ws": "none",
    "access_log": False,
    "server_header": False,
    "proxy_headers": False,  # whatever a client says of where it comes from, nobody asks
    "log_config": None,
}
"""Of uvicorn, wherever a gateway is served."""
