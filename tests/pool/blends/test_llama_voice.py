"""A real model as a voice."""

from __future__ import annotations

import asyncio
import math
from pathlib import Path

import pytest

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
