"""curl against the gateway: whole, streamed, too long, and from a browser's form."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Serve = Callable[..., Any]
BODY = {"model": "rlfocal", "messages": [{"role": "user", "content": "3 + 4 ="}]}


@pytest.fixture
def curl() -> Callable[..., str]:
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")

    def run(*options: str) -> str:
        told = ["curl", "-s", "-m", "20", *options]
        return subprocess.run(told, capture_output=True, text=True, check=True).stdout

    return run


def test_curl_asks_streams_and_is_refused(
    serve: Serve, curl: Callable[..., str], tmp_path: Path
) -> None:
    with serve() as (served, stub):
        url = f"{served.url}/v1/chat/completions"
        key = ["-H", f"Authorization: Bearer {served.key}"]
        sent = ["-H", "Content-Type: application/json"]
        reply = json.loads(curl(url, *key, *sent, "-d", json.dumps(BODY)))
        text = reply["choices"][0]["message"]["content"]
        assert text
        streamed = curl("-N", url, *key, *sent, "-d", json.dumps(BODY | {"stream": True}))
        events = streamed.strip().split("\n\n")
        assert events[-1] == "data: [DONE]"
        assert text in streamed

        n_before = len(stub.bodies)
        # Longer than a mebibyte: curl asks first, with Expect: 100-continue.
        (tmp_path / "long").write_text(json.dumps(BODY | {"user": "x" * (2 << 20)}), "utf-8")
        for how in (["--data-binary", f"@{tmp_path / 'long'}"], ["-T", str(tmp_path / "long")]):
            shown = curl("-i", "-X", "POST", url, *key, *sent, *how)
            assert "413" in shown.splitlines()[0]
            assert "body_too_large" in shown
        assert "invalid_api_key" in curl(url, *sent, "-d", json.dumps(BODY))
        assert "unsupported_media_type" in curl(url, *key, "-d", json.dumps(BODY))
        assert "unsupported_media_type" in curl(url, *key, "-F", "model=rlfocal")
        assert len(stub.bodies) == n_before
