"""A report on this machine's own address: its page and the files beside it, and nothing else.

Answers GET and HEAD of a few names, so there is no path to climb; a name that is a link out of the
folder is not followed. What it serves is private: only requests to this machine by its own name are
answered, so that a page elsewhere cannot read it by a name that it has made point here.
"""

from __future__ import annotations

import ipaddress
import sys
from functools import partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from rlfocal.report.place import FILES, PAGE

__all__ = ["HOST", "server"]

HOST = "127.0.0.1"
_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".json": "application/json",
    ".jsonl": "application/x-ndjson; charset=utf-8",
    ".md": "text/markdown; charset=utf-8",
    ".parquet": "application/vnd.apache.parquet",
}
_HEADERS = {
    # The page itself forbids every request and every script but its own.
    "Content-Security-Policy": "frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


def server(folder: Path, port: int) -> ThreadingHTTPServer:
    """A server of a report, listening; `serve_forever` answers.

    Args:
        folder: that holds the report; files are read as they are asked for.
        port: 0 for a free one.

    Raises:
        OSError: the port is taken, or not allowed.
    """
    return _Server((HOST, port), partial(_Handler, folder))


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of a browser that went away while a page was sent to it."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    server_version = "rlfocal"
    sys_version = ""

    def __init__(self, folder: Path, *args: Any) -> None:
        self._folder = folder
        super().__init__(*args)

    def do_GET(self) -> None:
        """Send a file of the report."""
        self._answer(with_body=True)

    def do_HEAD(self) -> None:
        """Say what GET would send."""
        self._answer(with_body=False)

    def _answer(self, *, with_body: bool) -> None:
        if not _is_here(self.headers.get("Host", "")):
            self._send(HTTPStatus.FORBIDDEN, "text/plain", b"", with_body=with_body)
            return
        name = self.path.partition("?")[0].removeprefix("/") or PAGE
        path = self._folder / name
        if name not in FILES or path.is_symlink() or not path.is_file():
            self._send(HTTPStatus.NOT_FOUND, "text/plain", b"not found\n", with_body=with_body)
            return
        kind = _TYPES[path.suffix]
        self._send(HTTPStatus.OK, kind, path.read_bytes(), with_body=with_body)

    def _send(self, status: HTTPStatus, kind: str, body: bytes, *, with_body: bool) -> None:
        self.send_response(status)
        for name, value in _HEADERS.items():
            self.send_header(name, value)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if with_body:
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: who looks at a report needs no log of it."""


def _is_here(host: str) -> bool:
    """Whether a request names this machine by an address of its own."""
    try:
        name = urlsplit(f"//{host}").hostname or ""
        return name == "localhost" or ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
