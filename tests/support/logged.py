"""Requests as a gateway that logs episodes would have written them, from recorded answers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rlfocal.deliberation.base import Base
from rlfocal.deliberation.trace import CallRecord, Round, Trace
from rlfocal.gateway.store import FeedbackRow, RequestRow
from rlfocal.online.episodes import Episode
from rlfocal.online.exploring import Exploration, log_replay
from rlfocal.records import ResponseTable

USD = {"plain": 0.001, "letters": 0.002, "sampled": 0.006, "hasty": 0.0005}
LATENCY_S = {"plain": 0.4, "letters": 0.7, "sampled": 1.9, "hasty": 0.2}


def logged(
    strategy: Base,
    table: ResponseTable,
    *,
    policy: str,
    begin: float,
    every_s: float = 1.0,
    key_id: str | None = None,
    rng: np.random.Generator | None = None,
) -> list[tuple[RequestRow, FeedbackRow]]:
    """One request and its judgement for each query, at the strategy's price, in their order.

    `rng` scatters latencies.
    """
    rng = rng or np.random.default_rng(0)
    episodes = log_replay(strategy, table, Exploration())
    return [
        _row(
            strategy, table, q, episode,
            policy=policy, at=begin + q * every_s, key_id=key_id, rng=rng,
        )
        for q, episode in enumerate(episodes)
    ]  # fmt: skip


def _row(
    strategy: Base,
    table: ResponseTable,
    q: int,
    episode: Episode,
    *,
    policy: str,
    at: float,
    key_id: str | None,
    rng: np.random.Generator,
) -> tuple[RequestRow, FeedbackRow]:
    members, final = table.members, episode.states.answer[-1]
    names = list("ABCD") if episode.n_options else [str(17 + 3 * c) for c in range(64)]
    rounds, spent = [], 0.0
    for wanted in episode.wanted:
        asked = [_call(members[n], names, int(final[n]), rng) for n in np.flatnonzero(wanted)]
        if not asked:
            continue
        spent += len(asked)
        sure = float(rng.uniform(0.5, 0.99))
        leading = {names[int(final[np.flatnonzero(wanted)[0]])]: sure}
        rounds.append(Round(tuple(asked), leading, spent, float(rng.uniform(0, 1))))
    calls = [call for part in rounds for call in part.asked]
    given_names = list(dict.fromkeys(c.answer for c in calls if c.answer is not None))
    given = {c.member: None if c.answer is None else given_names.index(c.answer) for c in calls}
    waited = sum(max(c.latency_s or 0.0 for c in part.asked) for part in rounds)
    acting = strategy.acting
    trace = Trace(
        strategy=strategy.name, price=strategy.price,
        policy=None if acting is None else acting.name, why=None if acting is None else acting.why,
        members=members, kind="choice" if episode.n_options else "number", rounds=rounds,
        stopped="it has enough", answer=names[episode.chosen], confidence=0.9, members_s=waited,
    )  # fmt: skip
    own = float(rng.uniform(0.002, 0.006))
    request_id = f"chatcmpl-{policy[:4]}{q:020d}"
    row = RequestRow(
        id=request_id, key_id=key_id, created_at=at, model="rlfocal",
        task=table.tasks[int(table.task[q])], policy=policy, status=200,
        latency_s=waited + own, own_s=own, n_calls=len(calls), n_rounds=len(rounds),
        usd=sum(c.cost_usd or 0.0 for c in calls), n_prompt_tokens=24 * len(calls),
        n_completion_tokens=4 * len(calls), confidence=0.9, given=given, candidates=given_names,
        chosen=given_names.index(names[episode.chosen]) if episode.chosen >= 0 else None,
        trace=trace.as_json(),
        episode=episode.as_json(),
    )  # fmt: skip
    worth = {
        members[n]: float(table.member_score[q, n])
        for n in np.flatnonzero(episode.states.asked[-1])
    }
    judgement = FeedbackRow(
        request_id=request_id, key_id=key_id, created_at=at + 1, score=None, answer="the right one",
        earned=float(episode.score or 0.0), task=row.task, given=given, member_scores=worth,
    )  # fmt: skip
    return row, judgement


def _call(name: str, names: Sequence[str], answer: int, rng: np.random.Generator) -> CallRecord:
    return CallRecord(
        name, names[answer] if answer >= 0 else None, 1.0, 1.0,
        latency_s=LATENCY_S[name] * float(rng.lognormal(0, 0.4)), cost_usd=USD[name],
        n_prompt_tokens=24, n_completion_tokens=4,
    )  # fmt: skip
