"""A real model as a voice, and one that loses its connections."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from rlfocal.errors import MemberError
from rlfocal.pool.blends import llama_voice
from rlfocal.pool.blends.llama_voice import LlamaVoice
from rlfocal.pool.blends.reading_aloud import Likelihood, likelihood
from rlfocal.pool.blends.writing import Counts, Track
from rlfocal.pool.endpoints import LlamaCppSettings
from rlfocal.pool.types import Message, Request

PICTURES = "𓀀𓁐𓂀" * 3
"""Characters that the models have no tokens for: each is written byte by byte."""


@pytest.mark.slow
@pytest.mark.parametrize("name", ["gemma-3-270m", "qwen2.5-coder-0.5b"])
def test_it_goes_on_from_within_a_character(models_folder: Path, name: str) -> None:
    settings = LlamaCppSettings(kind="llama-cpp", path=models_folder / f"{name}.gguf")

    async def read() -> tuple[Likelihood, int]:
        async with LlamaVoice(name, settings) as voice:
            begun = await voice.begin(Request((Message("user", f"Repeat: {PICTURES}"),)))
            track, counts = Track(voice, begun), Counts([0])
            found = await likelihood(track, PICTURES.encode(), counts, 0)
            return found, counts.n_asked

    found, n_asked = asyncio.run(read())
    assert found.n_tokens == n_asked > len(PICTURES)
    assert found.n_bytes == len(PICTURES.encode())
    assert math.isfinite(found.per_byte)
    assert found.per_byte < 0


class BreaksOff:
    """Stands in for llama.cpp: closes the connection in place of some replies."""

    key = "key"

    def __init__(self, n_broken: int) -> None:
        self.n_broken, self.n_asked = n_broken, 0
        self.address = ""
        self._runner: web.AppRunner | None = None

    def load(self) -> None:
        """Nothing to load."""

    def close(self) -> None:
        """Nothing to give back."""

    async def listen(self) -> None:
        app = web.Application()
        app.router.add_post("/tokenize", self._tokens)
        app.router.add_get("/props", self._props)
        app.router.add_post("/completion", self._next)
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.address = "http://{}:{}".format(*self._runner.addresses[0][:2])

    async def end(self) -> None:
        assert self._runner is not None
        await self._runner.cleanup()

    async def _tokens(self, request: web.Request) -> web.Response:
        text = (await request.json())["content"]
        found = [{"id": ord(letter), "piece": letter} for letter in text]
        return web.json_response({"tokens": found})

    async def _props(self, request: web.Request) -> web.Response:
        return web.json_response({})

    async def _next(self, request: web.Request) -> web.Response:
        self.n_asked += 1
        if self.n_asked <= self.n_broken:
            assert request.transport is not None
            request.transport.abort()
        likely: list[Any] = [{"id": 98, "bytes": [98], "logprob": -0.5}]
        found = {"completion_probabilities": [{"top_logprobs": likely}]}
        return web.json_response(found | {"timings": {"prompt_n": 1}})


@pytest.mark.parametrize("n_broken", [1, 2])
def test_a_lost_connection_is_opened_again_once(
    n_broken: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    server = BreaksOff(n_broken)
    monkeypatch.setattr(llama_voice, "LlamaServer", lambda settings: server)
    settings = LlamaCppSettings(kind="llama-cpp", path=tmp_path / "x.gguf")

    async def propose() -> Mapping[bytes, float]:
        await server.listen()
        try:
            async with LlamaVoice("x", settings) as voice:
                return (await voice.propose([1, 2])).pieces
        finally:
            await server.end()

    if n_broken > 1:
        with pytest.raises(MemberError, match=r"'x': llama\.cpp broke off"):
            asyncio.run(propose())
    else:
        assert asyncio.run(propose()) == {b"b": math.exp(-0.5)}
    assert server.n_asked == 2
