"""A report, served on a free port to a real client."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

from rlfocal.report.serving import HOST, server

if TYPE_CHECKING:
    from conftest import Run

PAGE = "<!doctype html><title>tiny - rlfocal report</title><p>Use agreement."


@pytest.fixture
def report(tmp_path: Path) -> Path:
    """A folder as of a report, with a file that is none of it, and a secret beside it."""
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "index.html").write_text(PAGE, "utf-8")
    (folder / "bench.json").write_text("{}")
    (folder / "notes.txt").write_text("mine")
    (tmp_path / "secret.json").write_text("secret")
    (folder / "history.json").symlink_to(tmp_path / "secret.json")
    return folder


class Found(NamedTuple):
    status: int
    headers: http.client.HTTPMessage
    body: bytes
    port: int


Get = Callable[..., Found]


@contextmanager
def served(folder: Path) -> Iterator[Get]:
    with server(folder, 0) as found:
        thread = threading.Thread(target=found.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()

        def get(path: str, method: str = "GET", **headers: str) -> Found:
            connection = http.client.HTTPConnection(HOST, found.server_port, timeout=30)
            connection.putrequest(method, path, skip_host="Host" in headers)
            for name, value in headers.items():
                connection.putheader(name, value)
            connection.endheaders()
            response = connection.getresponse()
            sent = Found(response.status, response.headers, response.read(), found.server_port)
            connection.close()
            return sent

        yield get
        found.shutdown()
        thread.join()


def test_the_page_and_the_files_of_a_report_are_served_and_nothing_else(report: Path) -> None:
    with served(report) as get:
        for path in ("/", "/index.html", "/?x=1"):
            found = get(path)
            assert (found.status, found.body.decode()) == (200, PAGE)
            assert found.headers["Content-Type"] == "text/html; charset=utf-8"
        assert get("/bench.json").body == b"{}"
        head = get("/", "HEAD")
        assert (head.status, head.body) == (200, b"")
        assert int(head.headers["Content-Length"]) == len(PAGE)
        for path in (
            "/notes.txt", "/rows.parquet", "/..", "/../secret.json", "/%2e%2e/secret.json",
            "//secret.json", "/run/../../secret.json", "/index.html/", "/history.json",
        ):  # fmt: skip
            assert get(path).status == 404, path
        assert get("/", "POST").status == 501


def test_answers_forbid_frames_sniffing_and_caches(report: Path) -> None:
    with served(report) as get:
        for path in ("/", "/nothing"):
            headers = get(path).headers
            assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
            assert headers["X-Content-Type-Options"] == "nosniff"
            assert headers["Referrer-Policy"] == "no-referrer"
            assert headers["Cache-Control"] == "no-store"
            assert "Python" not in headers["Server"]


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:1", 200), ("localhost:8001", 200), ("[::1]:8001", 200),
        ("rebound.example", 403), ("127.0.0.1.rebound.example:80", 403), ("", 403), ("[", 403),
        ("192.0.2.1", 403),
    ],
)  # fmt: skip
def test_only_this_machine_by_its_own_name_is_answered(
    report: Path, host: str, status: int
) -> None:
    with served(report) as get:
        assert get("/", Host=host).status == status


def test_a_report_drawn_anew_is_seen_at_once(report: Path) -> None:
    with served(report) as get:
        get("/")
        (report / "index.html").write_text("new", "utf-8")
        assert get("/").body == b"new"


def test_who_goes_away_or_asks_for_nonsense_leaves_no_traceback(
    report: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (report / "index.html").write_bytes(bytes(8_000_000))  # more than a socket takes at once
    reset = struct.pack("ii", 1, 0)
    with served(report) as get:
        port = get("/nothing").port
        with socket.create_connection((HOST, port)) as client:
            client.sendall(b"GET http://[ HTTP/1.0\r\nHost: localhost\r\n\r\n")
            assert b" 404 " in client.recv(100)
        for _ in range(3):
            with socket.create_connection((HOST, port)) as client:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset)
                client.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
                client.recv(100)
        deadline = time.monotonic() + 10
        while threading.active_count() > 2 and time.monotonic() < deadline:
            time.sleep(0.01)
        assert get("/nothing").status == 404
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    "named", ["run", *(pytest.param(p, marks=pytest.mark.slow) for p in ("run/index.html", "."))]
)
def test_the_verb_serves_until_it_is_interrupted(report: Path, named: str) -> None:
    """A folder, its page, and the folder of a quickstart, which has it in "report"."""
    if named == ".":
        report.rename(report.parent / "report")
    command = [sys.executable, "-m", "rlfocal", "view", str(report.parent / named),
               "--port", "0", "--no-browser"]  # fmt: skip
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
    ) as process:  # fmt: skip
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        host, port = address.removeprefix("http://").rstrip("/").split(":")
        connection = http.client.HTTPConnection(host, int(port), timeout=30)
        connection.request("GET", "/")
        assert connection.getresponse().read().decode() == PAGE
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=30)
    assert (process.returncode, host) == (0, HOST)
    assert "Traceback" not in err


def test_a_port_that_is_taken_is_told(run: Run, report: Path) -> None:
    with server(report, 0) as taken:
        port = taken.server_port
        ran = run("view", report, "--port", port, "--no-browser")
    assert ran.code == 2
    assert f"--port {port}: Address already in use" in ran.err
    assert "--port 0" in ran.err


def test_what_is_no_report_is_told(run: Run, small: Path, tmp_path: Path) -> None:
    missing = run("view", tmp_path / "nowhere")
    assert missing.code == 2
    assert "nowhere: no such folder" in missing.err
    data = run("view", small)
    assert data.code == 2
    assert "holds no report" in data.err
    (small / "index.html").write_text("<title>my page</title>")
    assert "holds no report" in run("view", small).err


def test_results_without_a_page_are_shown_in_the_terminal(
    run: Run, small: Path, tmp_path: Path
) -> None:
    report = tmp_path / "report"
    ran = run("bench", small, "--no-features", "--folds", 3, "--strategies", "plurality",
              "--report", report)  # fmt: skip
    assert ran.code == 0
    (report / "index.html").unlink()
    shown = run("view", report)
    assert shown.code == 2
    assert "plurality" in shown.out
    assert f"--report {report} --overwrite" in " ".join(shown.err.split())
