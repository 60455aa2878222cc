"""Tokens a second of local models alone and of a blend of them, in turns within one run.

    .venv/bin/python benchmarks/blend_speed.py DIR [--models A.gguf B.gguf] [--questions 12]

DIR holds GGUF files as examples/local_models fetches them; without --models the pair is
gemma-3-270m and qwen2.5-coder-0.5b. Each question is answered, one after another, by each model as
its own llama.cpp server writes it (nothing of a blend in between), by each as the only part of a
blend, and by both together with equal weights; one thread a model, as a blend uses them. A token of
a blend is a piece that all have appended.

The table tells the median of tokens a second over the questions; the last line compares the blend,
question by question, with the harmonic mean of the models' own speeds: 1 is what two models that
wait for each other and read nothing twice would reach on one core.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import asyncio
import statistics
from contextlib import AsyncExitStack
from pathlib import Path

import numpy as np

from rlfocal.bench.statistics import bootstrap_means
from rlfocal.pool.blends.blend import write
from rlfocal.pool.blends.llama_voice import LlamaVoice
from rlfocal.pool.blends.weighing import Fixed, Weighed
from rlfocal.pool.endpoints import LlamaCppSettings
from rlfocal.pool.llama_cpp import LlamaCppEndpoint
from rlfocal.pool.types import Message, Request, Response

THINGS = (
    "a lighthouse", "a market in the rain", "two old friends", "a lost key", "the first snow",
    "a night train", "a garden wall", "a broken clock", "a letter", "the ferry", "a small bakery",
    "an empty school",
)  # fmt: skip
PAIR = ("gemma-3-270m.gguf", "qwen2.5-coder-0.5b.gguf")


def speed(reply: Response) -> float:
    """Tokens a second, the reading of the question included."""
    return (reply.n_completion_tokens or 0) / max(1e-9, reply.latency_s)


async def run(options: argparse.Namespace) -> None:
    """Measure, and print the table."""
    settings = [
        LlamaCppSettings(kind="llama-cpp", path=options.folder / name, n_context=1024)
        for name in options.models
    ]
    names = [Path(name).stem for name in options.models]
    n = len(names)
    async with AsyncExitStack() as opened:
        servers = [await opened.enter_async_context(LlamaCppEndpoint(one)) for one in settings]
        voices = [
            await opened.enter_async_context(LlamaVoice(name, one))
            for name, one in zip(names, settings, strict=True)
        ]
        alone, equal = Weighed(Fixed((1.0,))), Weighed(Fixed((1.0,) * n))
        rows = list[list[float]]()
        for k in range(options.questions + 1):
            text = f"Write a long story about {THINGS[k % len(THINGS)]}. This is number {k + 1}."
            request = Request((Message("user", text),), max_tokens=options.tokens)
            row = [speed(await server.send(request, timeout_s=600)) for server in servers]
            row += [speed((await write(request, [voice], alone)).response) for voice in voices]
            row.append(speed((await write(request, voices, equal)).response))
            rows.append(row)
    found = np.array(rows[1:])  # the first warms caches up
    harmonic = n / (1.0 / found[:, :n]).sum(axis=1)
    print(f"{len(found)} questions, {options.tokens} tokens each at most\n")
    print("| written by | tokens/s, median |\n|---|--:|")
    ways = [f"{name}, its own server" for name in names]
    ways += [f"{name}, a blend of one" for name in names] + ["all, a blend"]
    for way, column in zip(ways, found.T, strict=True):
        print(f"| {way} | {statistics.median(column):.1f} |")
    share = bootstrap_means((found[:, -1] / harmonic)[:, None], np.arange(len(found))).mean(0)
    print(
        f"\nthe blend beside the harmonic mean of the models' own speeds: "
        f"{share.value:.2f} [{share.low:.2f}, {share.high:.2f}]"
    )


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="where the GGUF files are")
    parser.add_argument("--models", nargs="+", default=list(PAIR), metavar="FILE")
    parser.add_argument("--questions", type=int, default=12)
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--quick", action="store_true", help="two questions: does it run?")
    options = parser.parse_args()
    if options.quick:
        options.questions, options.tokens = 2, 4
    asyncio.run(run(options))


if __name__ == "__main__":
    main()
