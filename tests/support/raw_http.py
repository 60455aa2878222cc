"""HTTP as it is on the wire, for requests that no client library would send."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Answer:
    """A reply, or what came of it."""

    status: int
    """0 where the connection ended without any."""
    headers: Mapping[str, str]
    body: bytes

    @property
    def code(self) -> str:
        """Of the error object."""
        return str(json.loads(self.body)["error"]["code"])


def connect(url: str, timeout_s: float = 60.0) -> socket.socket:
    parts = urlsplit(url)
    return socket.create_connection((parts.hostname or "", parts.port or 80), timeout=timeout_s)


def head(
    path: str, headers: Mapping[str, str], *more: tuple[str, str], method: str = "POST"
) -> bytes:
    """Request line and headers; `more` may repeat names."""
    lines = [f"{method} {path} HTTP/1.1"]
    lines += [f"{name}: {value}" for name, value in [*headers.items(), *more]]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def exchange(url: str, *parts: bytes, pause_s: float = 0.0, timeout_s: float = 60.0) -> Answer:
    """Send some bytes, and read one reply."""
    with connect(url, timeout_s) as sock:
        for part in parts:
            try:
                sock.sendall(part)
            except OSError:
                break  # it has heard enough
            time.sleep(pause_s)
        return read_answer(sock)


def read_answer(sock: socket.socket) -> Answer:
    """As much as Content-Length says, or all there is."""
    data = b""
    while True:
        start, blank, body = data.partition(b"\r\n\r\n")
        if blank:
            first, *lines = start.decode("latin-1").split("\r\n")
            headers = {n.lower(): v.strip() for n, _, v in (line.partition(":") for line in lines)}
            length = int(headers.get("content-length", -1))
            if 0 <= length <= len(body):
                return Answer(int(first.split()[1]), headers, body[:length])
        try:
            part = sock.recv(65536)
        except ConnectionError:
            part = b""
        if not part:
            if not blank:
                return Answer(0, {}, data)
            return Answer(int(first.split()[1]), headers, body)
        data += part


def until(is_so: Callable[[], Any], within_s: float = 60.0) -> bool:
    """Wait for something; False where it does not come about."""
    ends = time.monotonic() + within_s
    while not (found := is_so()) and time.monotonic() < ends:
        time.sleep(0.01)
    return bool(found)


class Forwarder:
    """Passes bytes on to a server that is named later; a context."""

    def __init__(self) -> None:
        self.target = ""
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}"
        self._open: list[socket.socket] = []

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *exc: object) -> None:
        for sock in (self._listening, *self._open):
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._listening.accept()
                far = connect(self.target, 60)
                self._open += [near, far]
                for pair in ((near, far), (far, near)):
                    threading.Thread(target=_copy, args=pair, daemon=True).start()


def _copy(source: socket.socket, drain: socket.socket) -> None:
    with suppress(OSError):
        while part := source.recv(65536):
            drain.sendall(part)
    with suppress(OSError):
        drain.shutdown(socket.SHUT_RDWR)
