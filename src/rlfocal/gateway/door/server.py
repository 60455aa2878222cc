"""How HTTP is spoken: a request's head is bounded in bytes and in seconds, before any key is seen.

uvicorn waits for the end of a head for ever, takes as much of it as comes, and keeps a connection
for ever that sends an empty line now and then. A wish for another protocol is ignored, as HTTP has
it, where the parser would take the body for that protocol. What a head may say is `heads`' affair,
how many connections there may be that of `connections`.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import math
import signal
import socket
import sys
import time
from collections.abc import Callable
from types import FrameType
from typing import Any

import httptools
import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from rlfocal.gateway.door.connections import Connections, Standing
from rlfocal.gateway.door.heads import Fault, fault_of, without_upgrade

__all__ = ["OPTIONS", "BoundedProtocol", "OwnProcess"]

_log = logging.getLogger(__name__)
MOST_HEAD_BYTES = 64 << 10
HEAD_TIMEOUT_S = 20.0
_REFUSE_S = 2.0
"""To write refusals to whom could not be answered in time."""
_SWITCH_S = 0.0005
_GARBAGE = 10_000, 20, 50
"""Objects after which young garbage is looked for, and looks until that is done more thoroughly. A
request leaves little of it, and fifteen times as many looks are 2 % of what a request takes."""
_TOO_LONG = Fault(431, f"a head of more than {MOST_HEAD_BYTES} bytes; send shorter headers")
_TOO_SLOW = Fault(408, "the head of the request did not come in time; send it at once")


class OwnProcess(uvicorn.Server):
    """A server that has its process for itself, and tunes the interpreter for short replies.

    Args:
        config: of uvicorn.
        on_ready: called once requests are answered.
        notice_s: seconds for which it serves on after SIGTERM.
        on_leaving: called when they begin.
        drain_s: seconds after them, for what is under way to end.
        on_late: called when they are over; has what has not ended answered at once.
    """

    def __init__(
        self,
        config: uvicorn.Config,
        *,
        on_ready: Callable[[], None],
        notice_s: float = 0.0,
        on_leaving: Callable[[], None] = lambda: None,
        drain_s: float = 10.0,
        on_late: Callable[[], None] = lambda: None,
    ) -> None:
        # Whoever is not answered even then is cut off.
        config.timeout_graceful_shutdown = math.ceil(drain_s + _REFUSE_S)
        super().__init__(config)
        self._on_ready, self._on_leaving, self._notice_s = on_ready, on_leaving, notice_s
        self._drain_s, self._on_late = drain_s, on_late
        self._ends_at: float | None = None

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """End: after a notice where SIGTERM says so for the first time, else at once."""
        is_notice = sig == signal.SIGTERM and self.started and self._ends_at is None
        if not (is_notice and self._notice_s) or self.should_exit:
            super().handle_exit(sig, frame)
            return
        self._ends_at = time.monotonic() + self._notice_s
        self._on_leaving()
        _log.info("/readyz says 503; requests are taken for another %g s", self._notice_s)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Take no more connections, and wait for what is under way."""
        late = asyncio.get_running_loop().call_later(self._drain_s, self._on_late)
        await super().shutdown(sockets)
        late.cancel()

    async def on_tick(self, counter: int) -> bool:
        """Look, ten times a second, whether it is to end."""
        over = self._ends_at is not None and time.monotonic() >= self._ends_at
        if over and not self.should_exit:
            super().handle_exit(signal.SIGTERM, None)
        return await super().on_tick(counter)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to serve."""
        await super().startup(sockets)
        # Nets and libraries stay for good: to look through them for garbage takes a tenth of a
        # second each time, in which nobody is answered.
        gc.collect()
        gc.freeze()
        gc.set_threshold(*_GARBAGE)
        gc.enable()  # `serve` loads all that stays without looking for garbage
        # The thread that writes to the database hands the interpreter back ten times sooner.
        sys.setswitchinterval(_SWITCH_S)
        if self.started and not self.should_exit:
            self._on_ready()


class BoundedProtocol(HttpToolsProtocol):
    """One connection."""

    standing: Standing
    _others: Connections | None = None
    """All connections of the process; None with a server that is not ours."""
    _n_head = 0
    """Bytes of a head that has not ended."""
    _in_head = True
    _timer: asyncio.TimerHandle | None = None
    _lost: asyncio.Future[None] | None = None
    """What the request under way waits for beside its reply."""
    _is_read_again = False
    """Whether a head is left alone until it comes without its wish for another protocol."""
    _is_refused = False

    @property
    def is_busy(self) -> bool:
        """Whether a request is under way: its head is there, and it has not been answered."""
        return self.cycle is not None and not self.cycle.response_complete

    @property
    def has_whole_body(self) -> bool:
        """Whether all of the body of the request under way has come."""
        return self.cycle is not None and not self.cycle.more_body

    def lost(self) -> asyncio.Future[None]:
        """Done once the connection is closed; a new one for each request, in turn."""
        self._lost = self.loop.create_future()
        if self.cycle is None or self.cycle.disconnected:
            self._lost.set_result(None)
        return self._lost

    def connection_made(self, transport: Any) -> None:
        """Begin to wait for a head."""
        super().connection_made(transport)
        self.standing = Standing(self.loop.time())
        self._others = self.app_state.get("connections")
        if self._others is None or self._others.enter(self):
            self._hurry()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._stop_waiting()
        if self._lost is not None and not self._lost.done():
            self._lost.set_result(None)
        if self._others is not None:
            self._others.leave(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse bytes that have come, unless a head gets too long."""
        if self._is_refused:
            return
        self._unset_keepalive_if_required()
        self._feed(data)
        if self._is_refused or self.transport.is_closing():
            return
        if self._in_head:
            self._n_head += len(data)
            if self._n_head > MOST_HEAD_BYTES:
                self._refuse(_TOO_LONG)
                return
        if not self.is_busy:
            # Whatever it is (a head, an empty line, what is left of a body that was refused),
            # uvicorn has stopped its own clock.
            self._hurry()

    def _feed(self, data: bytes) -> None:
        while True:
            try:
                self.parser.feed_data(data)
                return
            except httptools.HttpParserUpgrade as exc:
                if self._is_refused:
                    return
                head = without_upgrade(
                    self.parser.get_method(), self.url, self.parser.get_http_version(), self.headers
                )
                data = head + data[exc.args[0] :]
                self._is_read_again = False
                self.parser = httptools.HttpRequestParser(self)
                self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn's
            except httptools.HttpParserError:
                if not self._is_refused:
                    message = "Invalid HTTP request received."
                    self.logger.warning(message)
                    self.send_400_response(message)
                return

    def on_message_begin(self) -> None:
        """Another head begins."""
        super().on_message_begin()
        self._in_head, self._n_head = True, 0
        state: dict[str, Any] = self.scope["state"]
        state["connection"] = self

    def on_headers_complete(self) -> None:
        """Check a head that is there."""
        if self._is_refused:
            return
        method, version = self.parser.get_method(), self.parser.get_http_version()
        if (fault := fault_of(method, version, self.headers)) is not None:
            self._refuse(fault)
            return
        if self.parser.should_upgrade():
            self._is_read_again = True
            return
        self._in_head = False
        self._stop_waiting()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """A part of a body has come."""
        if not self._is_refused:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """Expect another head."""
        if self._is_read_again or self._is_refused:
            return
        super().on_message_complete()
        self._n_head = 0

    def on_response_complete(self) -> None:
        """Note that the connection is idle: another may take its place."""
        self.standing.since, self.standing.more_unsent = self.loop.time(), None
        super().on_response_complete()

    def _hurry(self) -> None:
        """Give a head so long to end; once that runs, nothing that comes prolongs it."""
        if self._timer is None and not self.transport.is_closing():
            self._timer = self.loop.call_later(HEAD_TIMEOUT_S, self._refuse, _TOO_SLOW)

    def _stop_waiting(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _refuse(self, fault: Fault) -> None:
        self._stop_waiting()
        self._is_refused = True
        if self.transport.is_closing():
            return
        if not self.is_busy:  # else it would stand in the middle of a reply
            self.transport.write(fault.as_http())
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
