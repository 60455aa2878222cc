"""Blends of real models in this process: what they write, stream and tell."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from pathlib import Path

import pytest

from rlfocal.errors import MemberError
from rlfocal.pool.asking.question import Question
from rlfocal.pool.building import LivePool
from rlfocal.pool.settings import read_pool
from rlfocal.pool.types import Response

pytestmark = [pytest.mark.models, pytest.mark.slow]

POOL = """
[endpoints.qwen]
kind = "llama-cpp"
path = "{folder}/qwen2.5-coder-0.5b.gguf"
n_context = 512

[endpoints.copy]
kind = "llama-cpp"
path = "{folder}/qwen2.5-coder-0.5b.gguf"
n_context = 512

[endpoints.gemma]
kind = "llama-cpp"
path = "{folder}/gemma-3-270m.gguf"
n_context = 512

[endpoints.twice]
kind = "blend"
parts = ["qwen", "copy"]

[endpoints.led]
kind = "blend"
parts = ["gemma", "qwen"]
weights = [0.0, 1.0]

[endpoints.both]
kind = "blend"
parts = ["gemma", "qwen"]
weights = "confidence"

[endpoints.judged]
kind = "blend"
parts = ["gemma", "qwen"]
weights = "values"
reward = "verify:qwen"
span = 4
horizon = 4
"""
MEMBER = """
[[members]]
name = "{name}"
endpoint = "{name}"
max_tokens = {most}
"""
QUESTIONS = ("What is 17 + 5? Explain in one sentence.", "Name three colours, one on each line.")


def ask(folder: Path, name: str, scratch: Path, *, most: int = 24) -> list[Response]:
    path = scratch / "pool.toml"
    path.write_text(POOL.format(folder=folder) + MEMBER.format(name=name, most=most), "utf-8")

    async def asked() -> list[Response]:
        async with LivePool(read_pool(path)) as live:
            member = live.members[0]
            return [await member.ask(Question(question)) for question in QUESTIONS]

    return asyncio.run(asked())


@pytest.fixture(scope="module")
def alone(models_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Response]:
    """What the larger model says by llama.cpp's own sampler, at temperature 0."""
    return ask(models_folder, "qwen", tmp_path_factory.mktemp("alone"))


@pytest.mark.parametrize("name", ["twice", "led"])
def test_what_is_one_model_in_truth_writes_what_that_model_writes(
    name: str, models_folder: Path, tmp_path: Path, alone: list[Response]
) -> None:
    found = ask(models_folder, name, tmp_path)
    for reply, wanted in zip(found, alone, strict=True):
        assert reply.text == wanted.text
        assert reply.finish == wanted.finish
        assert reply.n_completion_tokens is not None
        assert reply.tokens is not None
        assert wanted.tokens is not None
        kept = min(len(reply.tokens.logprob), len(wanted.tokens.logprob))
        assert kept >= 4
        assert reply.tokens.logprob[:kept] == pytest.approx(wanted.tokens.logprob[:kept], abs=0.1)


def test_two_models_write_one_text(models_folder: Path, tmp_path: Path) -> None:
    for reply in ask(models_folder, "both", tmp_path):
        assert reply.text.strip()
        assert reply.tokens is not None
        assert reply.tokens.chars.sum() == len(reply.text)
        assert (reply.tokens.logprob <= 0).all()
        assert reply.cost_usd == 0


def test_it_streams_as_it_writes(models_folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "pool.toml"
    text = POOL.format(folder=models_folder) + MEMBER.format(name="both", most=24)
    path.write_text(text, "utf-8")
    told: list[tuple[float, str]] = []

    async def asked() -> Response:
        async with LivePool(read_pool(path)) as live:
            member = live.members[0]
            request = member.request(Question(QUESTIONS[1]))
            heard = replace(request, on_text=lambda piece: told.append((time.monotonic(), piece)))
            return await member.endpoint.send(heard, timeout_s=60)

    reply = asyncio.run(asked())
    assert "".join(piece for _, piece in told) == reply.text
    assert len(told) > 3
    assert told[-1][0] - told[0][0] > 0.1


def test_a_model_that_judges_leads(models_folder: Path, tmp_path: Path) -> None:
    for reply in ask(models_folder, "judged", tmp_path, most=8):
        assert reply.text.strip()


def test_a_prompt_longer_than_the_context_is_refused(models_folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "pool.toml"
    path.write_text(POOL.format(folder=models_folder) + MEMBER.format(name="both", most=8), "utf-8")

    async def asked() -> None:
        async with LivePool(read_pool(path)) as live:
            await live.members[0].ask(Question("long " * 600))

    with pytest.raises(MemberError, match=r"more than n_context = 512; raise it"):
        asyncio.run(asked())
