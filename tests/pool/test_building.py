"""From settings to members that can be asked."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from rlfocal.errors import ConfigError
from rlfocal.pool.building import LivePool
from rlfocal.pool.openai_client import OpenAIEndpoint
from rlfocal.pool.settings import read_pool

POOL = """
[endpoints.good]
base_url = "http://127.0.0.1:9/v1"
attempts = 3

[endpoints.bad]
kind = "llama-cpp"
path = "none.gguf"

[prices.m]
prompt = 1
completion = 2

[[members]]
name = "a"
endpoint = "good"
model = "m"

[[members]]
name = "b"
endpoint = "bad"
"""


def test_what_was_opened_is_closed_when_another_cannot_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = []

    async def close(endpoint: OpenAIEndpoint) -> None:
        closed.append(endpoint)

    monkeypatch.setattr(OpenAIEndpoint, "close", close)
    (tmp_path / "pool.toml").write_text(POOL)

    async def run() -> None:
        async with LivePool(read_pool(tmp_path / "pool.toml")):
            pytest.fail("opened")

    pytest.importorskip("xllamacpp")
    with pytest.raises(ConfigError, match=r"none\.gguf"):
        asyncio.run(run())
    assert len(closed) == 1
