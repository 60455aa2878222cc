"""Random tables of every candidate kind, for tests of strategies."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from rlfocal.records import CandidateKind, ResponseTable
from rlfocal.records.signals import Replies, ReplyStore, SeenReply, TokenLogprobs

MakeTable = Callable[..., ResponseTable]


def _make_table(
    kind: CandidateKind = CandidateKind.OPTIONS,
    *,
    n_queries: int = 60,
    n_members: int = 5,
    n_slots: int = 4,
    seed: int = 0,
    graded: bool = False,
    replies: bool = False,
) -> ResponseTable:
    """A random table: members of falling accuracy, one answer in ten missing, two tasks.

    Replies tell right from wrong in three of four cases, by a word, a signal and log-probabilities.
    """
    rng = np.random.default_rng(seed)
    shape = (n_queries, n_members)
    if kind == CandidateKind.RESPONSES:
        n_slots = n_members
        answer = np.tile(np.arange(n_members), (n_queries, 1))
        score = (rng.random(shape) < np.linspace(0.8, 0.4, n_members)).astype(np.float32)
    else:
        right = rng.integers(n_slots, size=n_queries)
        wrong = rng.integers(n_slots, size=shape)
        hit = rng.random(shape) < np.linspace(0.8, 0.4, n_members)
        answer = np.where(hit, right[:, None], wrong)
        score = (np.arange(n_slots) == right[:, None]).astype(np.float32)
    answer = np.where(rng.random(shape) < 0.1, -1, answer).astype(np.int16)
    support = (answer[:, :, None] == np.arange(n_slots)).astype(np.float32)
    samples = None
    if graded:
        samples = np.where(rng.random((*shape, 5)) < 0.7, answer[:, :, None], 0).astype(np.int16)
        counts = (samples[..., None] == np.arange(n_slots)).sum(axis=2).astype(np.float32)
        total = counts.sum(axis=2, keepdims=True)
        use = (answer >= 0)[:, :, None] & (total > 0)
        support = np.where(use, counts / np.maximum(total, 1), support).astype(np.float32)
    exists = np.ones((n_queries, n_slots), dtype=bool)
    if kind == CandidateKind.ANSWERS:
        exists = support.any(axis=1)
    names = np.empty(n_queries, dtype=object)
    names[:] = [tuple("ABCDEFGH"[:n_slots])] * n_queries
    return ResponseTable(
        name="random",
        members=tuple(f"m{n}" for n in range(n_members)),
        tasks=("easy", "hard"),
        query_ids=np.array([f"q{q}" for q in range(n_queries)]),
        task=rng.integers(2, size=n_queries),
        group=np.arange(n_queries),
        split=np.full(n_queries, ""),
        features=rng.normal(size=(n_queries, 6)).astype(np.float32),
        candidates=names,
        kind=np.full(n_queries, kind, dtype=np.int8),
        exists=exists,
        candidate_score=np.where(exists, score, 0).astype(np.float32),
        answer=answer,
        support=support,
        cost=rng.uniform(0.5, 2, size=shape).astype(np.float32),
        cost_unit="usd",
        samples=samples,
        latency_s=rng.uniform(1, 3, size=shape).astype(np.float32),
        replies=_replies(answer, score, np.random.default_rng([seed, 1])) if replies else None,
    )


def _replies(answer: np.ndarray, score: np.ndarray, rng: np.random.Generator) -> Replies:
    worth = np.take_along_axis(score, np.maximum(answer, 0).astype(np.int64), axis=1)
    sound = (np.where(answer >= 0, worth, 0) > 0.5) ^ (rng.random(answer.shape) < 0.25)
    return Replies(
        ReplyStore([_reply(bool(one), rng) for one in sound.ravel()], ["sure"]),
        np.arange(answer.size).reshape(answer.shape),
    )


def _reply(sound: bool, rng: np.random.Generator) -> SeenReply:
    filler = rng.choice(["one", "two", "so", "then", "3", "41"], size=8)
    words = [*filler, "thus" if sound else "hm"]
    text = " ".join(words)
    chars = np.array([len(word) + 1 for word in words], dtype=np.int32)
    logprob = -rng.exponential(0.1 if sound else 0.5, size=len(words)).astype(np.float32)
    tokens = TokenLogprobs(chars, logprob) if rng.random() < 0.9 else None
    given = {"sure": float(sound + rng.normal())} if rng.random() < 0.9 else {}
    return SeenReply(text=text, n_chars=len(text), tokens=tokens, given=given, kind="number")


@pytest.fixture
def make_table() -> MakeTable:
    """Build a random table: `make_table(kind, n_queries=..., n_members=..., graded=...)`."""
    return _make_table
