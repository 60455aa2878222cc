"""Hold conversations on the folds of a benchmark, and make of them what strategies' jobs make."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from rlfocal.bench.folds import Fold, partition
from rlfocal.bench.jobs import Job, JobResult, Point
from rlfocal.bench.protocol import EvalProtocol
from rlfocal.conversations.calls import Query
from rlfocal.conversations.holding import hold_all
from rlfocal.conversations.recording import Ended, RecordingPool
from rlfocal.conversations.talk import Conversation, Talk
from rlfocal.deliberation.protocol import Outcome
from rlfocal.errors import ConfigError
from rlfocal.records import CandidateKind, Dataset, IntArray, ResponseTable

__all__ = ["Talked", "hold_talks", "queries_of"]

SEED = 0
"""Of all conversations: another one would have to be paid for."""


@dataclass(frozen=True)
class Talked:
    """Conversations that were held on all tested queries of a benchmark."""

    results: tuple[JobResult, ...] = ()
    """Conversation by conversation, fold by fold."""
    talks: Mapping[tuple[str, int], tuple[Talk, ...]] = field(default_factory=dict)
    """Conversation and fold → talks, in the order of the fold's test queries."""
    not_applicable: Mapping[str, str] = field(default_factory=dict)
    """Conversations that were not held on all of them, and why."""
    notes: tuple[str, ...] = ()


def queries_of(dataset: Dataset, table: ResponseTable) -> list[Query]:
    """The queries of a table, in its order, as members are asked them.

    Raises:
        ConfigError: some have no text.
    """
    columns = ("query_id", "task", "prompt", "choices", "label")
    rows = dataset.queries.select(columns).to_pylist()
    by_id = {row["query_id"]: row for row in rows}
    found = [by_id[name] for name in table.query_ids.tolist()]
    if without := [row["query_id"] for row in found if not (row["prompt"] or "").strip()]:
        raise ConfigError(
            f"{table.name}: {len(without)} queries have no text ('{without[0]}'), so nobody can be "
            "asked them; conversations need prompts"
        )
    return [Query(row) for row in found]


async def hold_talks(
    table: ResponseTable,
    queries: Sequence[Query],
    protocol: EvalProtocol,
    conversations: Sequence[Conversation],
    pool: RecordingPool,
    *,
    on_progress: Callable[[int, int, str], None] | None = None,
) -> Talked:
    """Hold conversations on the tested queries of every fold.

    In each fold members take part by their accuracy on its training queries, as recorded, the best
    first; those of whom nothing is recorded last, in the order of the pool. One conversation is
    over before the next begins, so that a limit of money cuts off whole ones.

    Args:
        table: the recorded answers.
        queries: of the table, in its order.
        protocol: says the folds.
        conversations: with distinct names.
        pool: of the members that take part.
        on_progress: called with the number of conversations done on a fold, of all, and which.

    Returns:
        What was held; a conversation that the pool's limits ended is not applicable.
    """
    folds = partition(table, protocol).folds
    results, talks, refused = list[JobResult](), {}, {}
    n_done, n_all = 0, len(conversations) * len(folds)
    for conversation in conversations:
        own: list[JobResult] = []
        for number, fold in enumerate(folds):
            if on_progress is not None:
                on_progress(n_done, n_all, f"{conversation.name}, fold {number}")
            try:
                held, seconds = await _held(table, queries, conversation, fold, pool)
            except Ended as exc:
                refused[conversation.name] = str(exc)
                break
            talks[conversation.name, number] = tuple(held)
            job = Job(conversation.name, number, SEED)
            own.append(_result(job, table, fold.test, queries, held, seconds, protocol))
            n_done += 1
        if conversation.name not in refused:
            results += own
    notes = [
        f"{name} was given up and counts as failed: {why}"
        for name, why in pool.spending.given_up.items()
    ]
    return Talked(tuple(results), talks, refused, (_about(pool), *notes))


async def _held(
    table: ResponseTable,
    queries: Sequence[Query],
    conversation: Conversation,
    fold: Fold,
    pool: RecordingPool,
) -> tuple[list[Talk], tuple[float, float]]:
    """Talks about a fold's test queries; and the seconds of fitting and of them."""
    members = _ranked(table.take(fold.train), list(pool.members))
    begun = time.perf_counter()
    train = [queries[row] for row in fold.train.tolist()]
    fitted = await conversation.fit(train, members, pool, seed=SEED)
    between = time.perf_counter()
    test = [queries[row] for row in fold.test.tolist()]
    held = await hold_all(fitted, test, members, pool, seed=SEED)
    return held, (between - begun, time.perf_counter() - between)


def _ranked(train: ResponseTable, names: Sequence[str]) -> list[str]:
    """The pool's members, the best recorded ones first; ties and the others in their order."""
    known = train.scored.sum(axis=0)
    right = np.where(train.scored, train.member_score, 0).sum(axis=0)
    accuracy = {
        name: float(right[n] / known[n]) for n, name in enumerate(train.members) if known[n]
    }
    return sorted(names, key=lambda name: -accuracy.get(name, -1.0))


def _result(
    job: Job,
    table: ResponseTable,
    rows: IntArray,
    queries: Sequence[Query],
    talks: Sequence[Talk],
    seconds: tuple[float, float],
    protocol: EvalProtocol,
) -> JobResult:
    placed = [
        _scored(table, row, queries[row], talk)
        for row, talk in zip(rows.tolist(), talks, strict=True)
    ]
    asked_in = np.zeros((len(rows), table.n_members), dtype=np.int16)
    place = {name: n for n, name in enumerate(table.members)}
    for k, talk in enumerate(talks):
        for turn in reversed(talk.turns):
            if turn.member in place:
                asked_in[k, place[turn.member]] = turn.round
    n_calls = np.array([talk.n_calls for talk in talks], dtype=np.int64)
    latency_s = np.array([talk.latency_s for talk in talks], dtype=np.float32)
    usd = np.array([_or_nan(talk.cost_usd) for talk in talks])
    unit: Mapping[str, np.ndarray] = {"usd": usd, "call": n_calls, "second": latency_s}
    answers = tuple(talk.answer for talk in talks)
    outcome = Outcome(
        chosen=np.array([chosen for chosen, _ in placed], dtype=np.int16),
        score=np.array([score for _, score in placed], dtype=np.float32),
        confidence=np.array([answer is not None for answer in answers], dtype=np.float32),
        asked=asked_in > 0,
        n_calls=n_calls,
        n_rounds=np.array([talk.n_rounds for talk in talks], dtype=np.int64),
        cost=unit[table.cost_unit].astype(np.float32),
        latency_s=latency_s,
        asked_in=asked_in,
    )
    points = (Point(None, outcome, answers),)
    hidden = points if protocol.tasks == "both" else ()  # members are not told tasks
    return JobResult(job, points, *seconds, history=(), hidden=hidden)


def _scored(table: ResponseTable, row: int, query: Query, talk: Talk) -> tuple[int, float]:
    """The candidate that a talk's answer is, -1 for none, and its score; NaN where not known."""
    texts = () if table.kind[row] == CandidateKind.RESPONSES else table.candidates[row]
    if talk.answer in texts and table.judged[row]:
        chosen = texts.index(talk.answer)
        return chosen, float(table.candidate_score[row, chosen])
    if talk.answer is None and table.judged[row]:
        return -1, 0.0
    return -1, _or_nan(talk.score)


def _or_nan(value: float | None) -> float:
    return float("nan") if value is None else value


def _about(pool: RecordingPool) -> str:
    names = ", ".join(pool.members)
    return (
        f"conversations were held live, with {names}, once a query whatever the seeds; what was "
        "said is stored, and costs are those of the calls, whenever they were made; talks about "
        "training queries are not among them"
    )
