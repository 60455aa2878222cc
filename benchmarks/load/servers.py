"""Starts the servers that are measured, each a process of its own on a free loopback port."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_HERE = Path(__file__).parent
_START_S, _END_S = 120.0, 15.0
_THREADS = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
"""For every server alike: more threads than one only fight over 2 cores."""


@dataclass(frozen=True)
class Server:
    """One that runs."""

    name: str
    url: str
    """Up to /v1."""
    pid: int
    headers: Mapping[str, str] = field(default_factory=dict)
    log: Path | None = None
    ready_s: float = 0.0
    """From its start until it answered."""

    @property
    def chat(self) -> str:
        """Where chat completions are asked for."""
        return f"{self.url}/v1/chat/completions"


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def get(url: str, headers: Mapping[str, str] | None = None) -> str:
    """What is at an address of this machine."""
    request = urllib.request.Request(url, headers=dict(headers or {}))
    with urllib.request.urlopen(request, timeout=10) as response:
        return str(response.read().decode())


def post(url: str, body: Mapping[str, Any], headers: Mapping[str, str]) -> tuple[int, str]:
    """Status and text of the reply; errors that HTTP has are replies, too."""
    head = {"Content-Type": "application/json", **headers}
    request = urllib.request.Request(url, data=json.dumps(body).encode(), headers=head)
    try:
        with urllib.request.urlopen(request, timeout=60) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as exc:
        with exc:
            return exc.code, exc.read().decode()


@contextmanager
def process(
    command: Sequence[str], log: Path, env: Mapping[str, str] | None = None, cwd: Path | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """A process that ends with the block; what it says is in `log`."""
    with log.open("wb") as out:
        running = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            env={**os.environ, **_THREADS, **(env or {})},
            cwd=cwd,
        )
        try:
            yield running
        finally:
            running.terminate()
            try:
                running.wait(_END_S)
            except subprocess.TimeoutExpired:
                running.kill()
                running.wait()


def wait_for(url: str, running: subprocess.Popen[bytes], log: Path, headers: Any = None) -> None:
    """Wait until a server answers.

    Raises:
        SystemExit: it has ended, or takes too long; its last words are shown.
    """
    ends = time.monotonic() + _START_S
    while time.monotonic() < ends and running.poll() is None:
        with suppress(OSError):
            get(url, headers)
            return
        time.sleep(0.01)
    said = log.read_text(encoding="utf-8", errors="replace")[-3000:]
    raise SystemExit(f"no answer at {url}; it said:\n{said}")


# The upstream --------------------------------------------------------------------------------


@contextmanager
def mock(folder: Path, latency_ms: float) -> Iterator[Server]:
    """The lean upstream."""
    port, log = free_port(), folder / "mock.log"
    words = ["--latency-ms", str(latency_ms), "--port", str(port)]
    with process([sys.executable, str(_HERE / "mock.py"), *words], log) as running:
        url = f"http://127.0.0.1:{port}"
        wait_for(f"{url}/counts", running, log)
        yield Server("mock", url, running.pid, log=log)


def n_completions(upstream: Server) -> int:
    """How many it was asked for."""
    return int(json.loads(get(f"{upstream.url}/counts"))["completions"])


# LiteLLM -------------------------------------------------------------------------------------

LITELLM_ENV = {
    "LITELLM_TELEMETRY_DISABLED": "true",
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "LITELLM_LOCAL_POLICY_TEMPLATES": "True",
    "LITELLM_LOCAL_BLOG_POSTS": "True",
    "LITELLM_LOCAL_AUTOROUTER_PRESETS": "True",
    "LITELLM_LOCAL_ANTHROPIC_BETA_HEADERS": "True",
    "LITELLM_MODE": "PRODUCTION",
    "LITELLM_LOG": "ERROR",
    "DISABLE_ADMIN_UI": "True",
    "NO_DOCS": "True",
}
"""Its documentation's advice for production, and nothing fetched from or told to anybody."""
_MASTER_KEY = "sk-benchmark-master-key"


def litellm_version(python: Path) -> str:
    """Of the package that an interpreter has."""
    code = "import importlib.metadata as m; print(m.version('litellm'))"
    found = subprocess.run([str(python), "-c", code], check=True, capture_output=True, text=True)
    return found.stdout.strip()


@contextmanager
def litellm(
    python: Path, folder: Path, upstream: Server, members: Sequence[str]
) -> Iterator[Server]:
    """LiteLLM's proxy with one worker: uvicorn on uvloop, keys on, no database, no callbacks."""
    config = {
        "model_list": [
            {
                "model_name": member,
                "litellm_params": {
                    "model": f"openai/{member}",
                    "api_base": f"{upstream.url}/v1",
                    "api_key": "none",
                },
            }
            for member in members
        ],
        "litellm_settings": {
            "num_retries": 0, "request_timeout": 60, "set_verbose": False, "callbacks": [],
        },
        "general_settings": {"master_key": _MASTER_KEY},
    }  # fmt: skip
    path, log, port = folder / "litellm.yaml", folder / "litellm.log", free_port()
    path.write_text(json.dumps(config, indent=1), encoding="utf-8")  # JSON is YAML
    words = ["--config", str(path), "--host", "127.0.0.1", "--port", str(port)]
    command = [str(python.with_name("litellm")), *words, "--num_workers", "1"]
    headers = {"Authorization": f"Bearer {_MASTER_KEY}"}
    with process(command, log, LITELLM_ENV, folder) as running:
        url = f"http://127.0.0.1:{port}"
        wait_for(f"{url}/health/liveliness", running, log)
        yield Server("LiteLLM", url, running.pid, headers, log)
