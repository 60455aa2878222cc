"""Weights over spans where the best ones are known: RLAE as it is meant, and as it was released.

    .venv/bin/python benchmarks/blends_optimum.py [--seeds 3]

Of two models one is right on the first half of a text, the other on the second, each as sure of
wrong letters as of right ones (`rlfocal.simulator.voices.Halves`). The best weights write the whole
text, each model alone half of it. Told is the share of letters that are right with the weights that
were learned, and what training took; all versions are trained on about as many replies.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import asyncio
import time
from collections.abc import Awaitable, Callable

from rlfocal.pool.blends.blend import write
from rlfocal.pool.blends.weighing import ByConfidence, Fixed, Weighed, Weigher
from rlfocal.pool.types import Message, Request
from rlfocal.simulator.voices import Halves
from rlfocal.training.spans.released import train_released
from rlfocal.training.spans.training import Judged, SpanConfig, train_spans

SPAN = 4


def worth(halves: Halves, weigher: Weigher) -> float:
    """The share of letters that are right."""
    reply = asyncio.run(write(request(halves), halves.voices, Weighed(weigher, span=SPAN)))
    return halves.right(reply.response.text)


def request(halves: Halves) -> Request:
    """The one that there is."""
    return Request((Message("user", ""),), max_tokens=halves.length)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--iterations", type=int, default=20)
    parser.add_argument("--quick", action="store_true", help="one seed, few iterations")
    options = parser.parse_args()
    seeds = 1 if options.quick else options.seeds
    config = SpanConfig(n_iterations=4 if options.quick else options.iterations, span=SPAN)
    halves = Halves()
    judged = Judged([request(halves)], lambda _, reply: halves.right(reply.text))
    each = config.model_copy(update={"agents": "each"})
    learned: dict[str, Callable[[int], Awaitable[Weigher]]] = {
        "rlae, one agent": lambda s: train_spans(halves.voices, judged, config, seed=s),
        "rlae, an agent each": lambda s: train_spans(halves.voices, judged, each, seed=s),
        "rlae, as released": lambda s: train_released(halves.voices, judged, config, seed=s),
    }
    print(f"{config.n_iterations * config.n_episodes} replies of training\n")
    print("| weights | right, by seed | seconds |")
    print("|---|--:|--:|")
    known: dict[str, Weigher] = {
        "first alone": Fixed((1, 0)), "second alone": Fixed((0, 1)), "equal": Fixed((1, 1)),
        "by confidence": ByConfidence(),
    }  # fmt: skip
    for name, weigher in known.items():
        print(f"| {name} | {worth(halves, weigher):.2f} | |")
    for name, train in learned.items():
        found, began = [], time.perf_counter()
        for seed in range(seeds):
            found.append(worth(halves, asyncio.run(_trained(train, seed))))
        each_s = (time.perf_counter() - began) / seeds
        print(f"| {name} | {', '.join(f'{value:.2f}' for value in found)} | {each_s:.1f} |")
    print("| the best | 1.00 | |")


async def _trained(train: Callable[[int], Awaitable[Weigher]], seed: int) -> Weigher:
    return await train(seed)


if __name__ == "__main__":
    main()
