"""A policy over spans for a blend of a pool file, trained on queries whose right answers are known.

A part of the queries is held out, and on it the policy stands beside equal weights and beside each
model alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from rlfocal.errors import ConfigError, Failure, MemberError
from rlfocal.grading import Grader
from rlfocal.pool.asking.question import Question
from rlfocal.pool.blends.blend import write
from rlfocal.pool.blends.llama_voice import LlamaVoice
from rlfocal.pool.blends.policy import SpanPolicy, write_policy
from rlfocal.pool.blends.voices import Voice
from rlfocal.pool.blends.weighing import Fixed, Weighed
from rlfocal.pool.blends.writing import Method
from rlfocal.pool.building import LiveMember
from rlfocal.pool.endpoints import BlendSettings
from rlfocal.pool.types import Response
from rlfocal.training.spans.training import Iteration, Judged, SpanConfig, train_spans

__all__ = ["Measured", "Parts", "divided", "judged_by", "train_on_queries"]

Query = Mapping[str, Any]


class Parts(NamedTuple):
    """Queries to train on, and to measure on."""

    train: list[Query]
    held_out: list[Query]


class Measured(NamedTuple):
    """How one way of writing did on the queries that were held out."""

    name: str
    right: tuple[float, ...]
    """Of each query, what its reply is worth."""
    n_written: int
    """Tokens of all replies."""
    n_evaluated: int
    """Tokens that models read for them, prompts included."""
    seconds: float
    n_failed: int
    """Queries that could not be put to the models, or answered; their replies are worth nothing."""


def divided(queries: Sequence[Query], share: float, *, seed: int) -> Parts:
    """Hold out a part of the labelled queries, drawn by the seed.

    Args:
        queries: with labels, some of them perhaps without.
        share: of those with labels that is held out, in [0, 1).
        seed: of the draw.

    Raises:
        ConfigError: fewer than two have labels, or none would be left to train on.
    """
    labelled = [query for query in queries if query["label"] is not None]
    n_held_out = round(share * len(labelled))
    if len(labelled) < 2 or n_held_out >= len(labelled):
        raise ConfigError(
            f"{len(labelled)} of {len(queries)} queries have labels, {n_held_out} of them held "
            "out: too few to train on"
        )
    order = np.random.default_rng(seed).permutation(len(labelled)).tolist()
    held_out = sorted(order[:n_held_out])
    left = sorted(order[n_held_out:])
    return Parts([labelled[n] for n in left], [labelled[n] for n in held_out])


def judged_by(member: LiveMember, queries: Sequence[Query], grader: Grader) -> Judged:
    """The requests of a member for queries, and what its replies to them are worth."""
    settings = member.settings
    requests = [
        member.request(Question(query["prompt"], tuple(query["choices"] or ())), logprobs=False)
        for query in queries
    ]

    def reward(number: int, reply: Response) -> float:
        return grader.grade(queries[number], settings, reply).score or 0.0

    return Judged(requests, reward)


async def train_on_queries(
    member: LiveMember,
    blend: BlendSettings,
    parts: Parts,
    grader: Grader,
    config: SpanConfig,
    path: Path,
    *,
    seed: int = 0,
    on_iteration: Callable[[Iteration], None] | None = None,
    on_measured: Callable[[Measured], None] | None = None,
) -> SpanPolicy:
    """Train a policy, write it, and measure it on what was held out.

    Args:
        member: one that the blend serves: its words are what the models are asked.
        blend: its endpoint.
        parts: queries.
        grader: says what replies are worth.
        config: how it is trained.
        path: where the policy is written, after every iteration.
        seed: of the training.
        on_iteration: told of each.
        on_measured: told how the policy, equal weights and each model alone did on the queries that
            were held out; where there are none, nothing is measured.

    Raises:
        ConfigError: a model cannot be loaded.
        MemberError: a model cannot be asked.
    """
    judged = judged_by(member, parts.train, grader)
    async with AsyncExitStack() as opened:
        voices: list[Voice] = [
            await opened.enter_async_context(LlamaVoice(name, blend.files[name]))
            for name in blend.parts
        ]
        models = [blend.files[name].path.name for name in blend.parts]

        def keep(iteration: Iteration) -> None:
            about = {
                "seed": seed, "n_queries": len(parts.train), "iterations": iteration.number + 1,
                "config": config.model_dump(mode="json"),
            }  # fmt: skip
            write_policy(iteration.policy, path, models=models, about=about)
            if on_iteration is not None:
                on_iteration(iteration)

        policy = await train_spans(voices, judged, config, seed=seed, on_iteration=keep)
        if parts.held_out and on_measured is not None:
            held_out = judged_by(member, parts.held_out, grader)
            n_models = len(voices)
            ways: dict[str, tuple[Sequence[Voice], Method]] = {
                "the policy": (voices, Weighed(policy, span=policy.span)),
                "equal weights": (voices, Weighed(Fixed((1.0,) * n_models))),
            }
            for voice in voices:
                ways[f"{voice.name} alone"] = ([voice], Weighed(Fixed((1.0,))))
            for name, (used, method) in ways.items():
                on_measured(await _measured(name, used, method, held_out))
    return policy


async def _measured(name: str, voices: Sequence[Voice], method: Method, judged: Judged) -> Measured:
    right, n_written, n_evaluated, n_failed, seconds = list[float](), 0, 0, 0, 0.0
    for number, request in enumerate(judged.requests):
        try:
            reply = await write(request, voices, method)
        except MemberError as exc:
            if exc.failure != Failure.BAD_REQUEST:
                raise
            right.append(0.0)  # longer than a model takes, or in letters that it does not have
            n_failed += 1
            continue
        right.append(judged.reward(number, reply.response))
        n_written += reply.response.n_completion_tokens or 0
        n_evaluated += reply.counts.n_evaluated
        seconds += reply.response.latency_s
    return Measured(name, tuple(right), n_written, n_evaluated, seconds, n_failed)
