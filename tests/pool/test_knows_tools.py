"""Whether a model in this process has words for tools, and what is said where that is not known."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from rlfocal.pool.endpoints import LlamaCppSettings
from rlfocal.pool.llama_cpp import LlamaServer


@contextmanager
def server(status: int, body: str) -> Iterator[LlamaServer]:
    """A model whose server says this of itself."""

    class Told(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *args: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Told) as listening:
        thread = threading.Thread(target=listening.serve_forever)
        thread.start()
        made = LlamaServer(LlamaCppSettings(kind="llama-cpp", path=Path("m.gguf")))
        address = f"http://127.0.0.1:{listening.server_port}"
        made._server = SimpleNamespace(listening_address=address)
        try:
            yield made
        finally:
            listening.shutdown()
            thread.join()


@pytest.mark.parametrize("knows", [True, False])
def test_what_it_says_of_itself_counts(caplog: pytest.LogCaptureFixture, knows: bool) -> None:
    told = json.dumps({"chat_template_caps": {"supports_tools": knows}})
    with server(200, told) as made:
        assert made.knows_tools() is knows
    assert not caplog.records


@pytest.mark.parametrize(
    ("status", "told", "why"),
    [
        (401, {"chat_template_caps": {"supports_tools": False}}, "HTTP 401"),
        (500, {}, "HTTP 500"), (200, {}, "tells nothing"), (200, [], "tells nothing"),
        (200, {"chat_template_caps": {"supports_tools": "no"}}, "tells nothing"),
    ],
)  # fmt: skip
def test_where_that_cannot_be_told_it_is_said(
    caplog: pytest.LogCaptureFixture, status: int, told: Any, why: str
) -> None:
    with caplog.at_level(logging.WARNING), server(status, json.dumps(told)) as made:
        assert made.knows_tools()
    (said,) = [record.getMessage() for record in caplog.records]
    assert said.startswith("m.gguf: ")
    assert why in said


def test_a_server_that_is_away_is_said(caplog: pytest.LogCaptureFixture) -> None:
    with server(200, "{}") as made:
        pass
    assert made.knows_tools()
    assert len(caplog.records) == 1
