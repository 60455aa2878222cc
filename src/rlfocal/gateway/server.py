"""How HTTP is spoken: a request's head is bounded in bytes and in seconds, before any key is seen.

uvicorn waits for the end of a head for ever, and takes as much of it as comes.
"""

from __future__ import annotations

import gc
import socket
import sys
from asyncio import TimerHandle
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

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

    _n_head = 0
    """Bytes of a head that has not ended."""
    _in_head = True
    _timer: TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        """Begin to wait for a head."""
        super().connection_made(transport)
        self._wait_for_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait for nothing any more."""
        self._stop_waiting()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take what comes, unless a head gets too long."""
        super().data_received(data)
        if not self._in_head:
            return
        self._n_head += len(data)
        if self._n_head > MOST_HEAD_BYTES:
            self._refuse(b"431 Request Header Fields Too Large")

    def on_message_begin(self) -> None:
        """Another head begins."""
        super().on_message_begin()
        self._wait_for_head()

    def on_headers_complete(self) -> None:
        """It is there."""
        self._stop_waiting()
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """What follows is another head."""
        super().on_message_complete()
        self._n_head = 0

    def _wait_for_head(self) -> None:
        self._stop_waiting()
        self._in_head, self._n_head = True, 0
        self._timer = self.loop.call_later(HEAD_TIMEOUT_S, self._refuse, b"408 Request Timeout")

    def _stop_waiting(self) -> None:
        self._in_head = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _refuse(self, status: bytes) -> None:
        self._stop_waiting()
        if not self.transport.is_closing():
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
