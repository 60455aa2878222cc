"""Log-probabilities of the tokens of two real models' replies, by both APIs, whole and streamed."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rlfocal.pool.asking.prompting import Question
from rlfocal.pool.building import LiveMember, LivePool
from rlfocal.pool.settings import read_pool
from rlfocal.pool.types import Response

pytestmark = [pytest.mark.models, pytest.mark.slow]

POOL = """
[endpoints.gemma]
kind = "llama-cpp"
path = "{folder}/gemma-3-270m.gguf"
api = "completions"
n_context = 512

[endpoints.qwen]
kind = "llama-cpp"
path = "{folder}/qwen2.5-coder-0.5b.gguf"
n_context = 512

[[members]]
name = "text"
endpoint = "gemma"
template = "Question: {{question}}\\nAnswer:"
max_tokens = 12

[[members]]
name = "chat"
endpoint = "qwen"
max_tokens = 12
stop = ["5"]
"""
ASKED = (
    Question("What comes after 1, 2, 3? Count on."),
    Question("Sag es auf Deutsch: 'naïve façade', über Öl, 日本語, 😀. Wiederhole das bitte."),
)


@pytest.fixture(scope="module")
def replies(
    models_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[tuple[str, int, bool], Response]:
    """(member, question, streamed) → its reply."""
    file = tmp_path_factory.mktemp("pool") / "pool.toml"
    file.write_text(POOL.format(folder=models_folder), encoding="utf-8")

    async def one(member: LiveMember, question: Question, streamed: bool) -> Response:
        on_text: Any = (lambda _: None) if streamed else None
        # Its cache of prompts would move the numbers a little, and a reply may hang on that.
        extra = {"cache_prompt": False}
        request = replace(member.request(question), on_text=on_text, extra=extra)
        return await member.endpoint.send(request, timeout_s=120)

    async def go() -> dict[tuple[str, int, bool], Response]:
        async with LivePool(read_pool(file)) as pool:
            return {
                (member.name, n, streamed): await one(member, question, streamed)
                for member in pool.members
                for n, question in enumerate(ASKED)
                for streamed in (False, True)
            }

    return asyncio.run(go())


def test_tokens_add_up_to_the_text_and_are_likely(
    replies: dict[tuple[str, int, bool], Response],
) -> None:
    for where, reply in replies.items():
        tokens = reply.tokens
        assert tokens is not None, where
        assert len(tokens.chars) > 2, where
        assert tokens.chars.sum() == len(reply.text), (where, reply.text)
        assert np.isfinite(tokens.logprob).all(), where
        assert -20 < tokens.logprob.mean() <= 0, where
        # Greedy decoding takes the likeliest of all tokens each time.
        assert np.exp(tokens.logprob).min() > 1e-4, where
        assert reply.n_completion_tokens is not None
        assert len(tokens.chars) <= reply.n_completion_tokens, where


def test_pieces_bring_what_the_whole_reply_does(
    replies: dict[tuple[str, int, bool], Response],
) -> None:
    for (name, n, streamed), reply in replies.items():
        other = replies[name, n, not streamed]
        assert reply.text == other.text
        assert reply.tokens is not None
        assert other.tokens is not None
        assert reply.tokens.chars.tolist() == other.tokens.chars.tolist()
        np.testing.assert_allclose(reply.tokens.logprob, other.tokens.logprob, atol=1e-4)
