"""An hour of a gateway's traffic: recorded questions of the built-in pool, replayed by a policy.

Who is asked, what is answered and what is right are the records'. When requests come, whose they
are, how long members take and what they cost is made up.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from rlfocal.checkpoint import load_checkpoint
from rlfocal.checkpoint.training import train
from rlfocal.deliberation.protocol import Spec
from rlfocal.deliberation.trace import CallRecord, Round, Trace
from rlfocal.errors import Failure
from rlfocal.features import HashingEncoder
from rlfocal.gateway.policies import policy_id
from rlfocal.gateway.store import FeedbackRow, KeyLimits, RequestRow, open_store
from rlfocal.gateway.store.periods import day_of
from rlfocal.online.episodes import Episode
from rlfocal.online.exploring import Exploration, log_replay
from rlfocal.records import ResponseTable, build_table
from rlfocal.records.built_in import localpool

N_TRAINING, N_REQUESTS, SPAN_S = 300, 2000, 3540
SMALL = {"n_iterations": 10, "n_episodes": 128}
"""A policy that is trained in a minute."""


class Speed(NamedTuple):
    """How a member is made to be: seconds and dollars of a reply, share of calls that fail."""

    seconds: float
    usd: float
    fails: float


MEMBERS = {
    "qwen-1.5b-steps": Speed(1.9, 0.0012, 0.012),
    "qwen-1.5b-other": Speed(2.0, 0.0012, 0.012),
    "qwen-1.5b-sampled": Speed(0.8, 0.0005, 0.004),
    "qwen-0.5b-steps": Speed(1.1, 0.0003, 0.03),
    "qwen-0.5b": Speed(0.4, 0.0001, 0.002),
    "gemma-270m": Speed(0.25, 0.00005, 0.0),
    "smollm2-135m": Speed(0.2, 0.00003, 0.01),
}
KEYS = {"web-shop": (0.55, 40.0), "support-bot": (0.3, 5.0), "nightly-report": (0.15, None)}
"""Name → share of the requests, and dollars that it may spend in a month."""
PRICES = ((None, 0.9), (0.02, 0.07), (0.3, 0.03))
"""Price of a call that is asked for, and share of the requests."""


def checkpoint_of(work: Path) -> Path:
    """A policy of some of the pool's questions."""
    folder = work / "ensemble"
    if not folder.exists():
        encode = HashingEncoder(32)
        table = build_table(localpool(), encode=encode)
        some = table.take(np.sort(_order(table.n_queries)[:N_TRAINING]))
        train(folder, Spec("rl-focal", SMALL), some, seed=0, encoder_spec=encode.spec)
    return folder


def pool_of(work: Path) -> Path:
    """A pool file with the members' names; nobody is asked."""
    path = work / "pool.toml"
    members = [
        f'[[members]]\nname = "{name}"\nendpoint = "here"\nmodel = "{name}"\n'
        f'[prices."{name}"]\nprompt = 1.0\ncompletion = 2.0\n'
        for name in MEMBERS
    ]
    head = '[endpoints.here]\nbase_url = "http://127.0.0.1:9/v1"\n\n'
    path.write_text(head + "\n".join(members), encoding="utf-8")
    return path


def an_hour(checkpoint: Path, db: Path, *, now: float) -> None:
    """Fill a database with requests and judgements that end at that moment."""
    loaded = load_checkpoint(checkpoint)
    policy = policy_id(loaded.description)
    whole = loaded.table(localpool())
    table = whole.take(np.sort(_order(whole.n_queries)[N_TRAINING:]))
    rng = np.random.default_rng(3)
    strategies = {price: loaded.strategy.at_price(price) for price, _ in PRICES}
    episodes = {p: log_replay(s, table, Exploration()) for p, s in strategies.items()}
    with open_store(str(db)) as store:
        ids = []
        for name, (_, usd) in KEYS.items():
            with store.connections.write() as connection:
                limits = KeyLimits(usd=usd)
                new = store.keys.add(connection, name, now=now - 86400, limits=limits)
                ids.append(new.key.id)
                if name == list(KEYS)[-1]:
                    store.keys.add(connection, "intern", now=now - 864000)
                    store.keys.revoke(connection, "intern", now=now - 86400)
        with store.connections.write() as connection:
            for k, at in enumerate(_moments(rng, now)):
                price = PRICES[rng.choice(len(PRICES), p=[share for _, share in PRICES])][0]
                q = int(rng.integers(table.n_queries))
                key_id = ids[rng.choice(len(ids), p=[share for share, _ in KEYS.values()])]
                made = _request(table, q, episodes[price][q], strategies[price].price, rng, at)
                row, judged = _row(made, k, key_id, policy, price, rng)
                store.log.add_request(connection, row)
                store.ledger.add_spending(connection, key_id, day_of(at), row.spent)
                if row.status == 200 and rng.random() < 0.35:
                    store.log.put_feedback(connection, judged)


def _order(n: int) -> Sequence[int]:
    return np.random.default_rng(0).permutation(n)


def _moments(rng: np.random.Generator, now: float) -> Sequence[float]:
    """More towards the middle of the hour, and a quiet spell."""
    share = np.sort(rng.beta(1.3, 1.1, size=N_REQUESTS))
    share = share[(share < 0.3) | (share > 0.33)]
    return (now - SPAN_S * (1 - share)).tolist()


class _Made(NamedTuple):
    trace: Trace
    task: str
    at: float
    episode: Episode
    scores: dict[str, float]


def _request(
    table: ResponseTable,
    q: int,
    episode: Episode,
    price: float | None,
    rng: np.random.Generator,
    at: float,
) -> _Made:
    names, final = table.members, episode.states.answer[-1]
    texts = list("ABCDEFGHIJ") if episode.n_options else [str(17 + 3 * c) for c in range(64)]
    rounds: list[Round] = []
    for wanted in episode.wanted:
        asked = [
            _call(names[n], texts, int(final[n]), rng, slow=1 + 1.5 * (n == 0 and _part(at) > 0.55))
            for n in np.flatnonzero(wanted)
        ]
        if asked:
            sure = float(rng.uniform(0.5, 0.99))
            spent = float(sum(len(one.asked) for one in rounds) + len(asked))
            rounds.append(Round(tuple(asked), {texts[max(0, int(final[0]))]: sure}, spent, 0.5))
    waited = sum(max(call.latency_s or 10.0 for call in one.asked) for one in rounds)
    chosen = texts[episode.chosen] if episode.chosen >= 0 else None
    trace = Trace(
        strategy="rl-focal", price=price, policy="learned", members=names,
        kind="choice" if episode.n_options else "number", rounds=rounds,
        stopped="it has enough", answer=chosen, confidence=0.8, members_s=waited,
    )  # fmt: skip
    asked_of = np.flatnonzero(episode.states.asked[-1])
    scores = {names[n]: float(table.member_score[q, n]) for n in asked_of}
    return _Made(trace, table.tasks[int(table.task[q])], at, episode, scores)


def _part(at: float) -> float:
    return 1 - (time.time() - at) / SPAN_S


def _call(
    name: str, texts: Sequence[str], answer: int, rng: np.random.Generator, *, slow: float
) -> CallRecord:
    how = MEMBERS[name]
    if rng.random() < how.fails * slow:
        kind = rng.choice([Failure.TIMEOUT, Failure.RATE_LIMITED, Failure.SERVER_ERROR])
        return CallRecord(name, None, None, 1.0, failure=str(kind))
    return CallRecord(
        name, texts[answer] if answer >= 0 else None, 1.0, 1.0,
        latency_s=how.seconds * slow * float(rng.lognormal(0, 0.4)),
        cost_usd=how.usd * float(rng.lognormal(0, 0.2)),
        n_prompt_tokens=60, n_completion_tokens=20,
    )  # fmt: skip


def _row(
    made: _Made,
    k: int,
    key_id: str,
    policy: str,
    price: float | None,
    rng: np.random.Generator,
) -> tuple[RequestRow, FeedbackRow]:
    trace, calls = made.trace, made.trace.calls
    given_by = list(dict.fromkeys(c.answer for c in calls if c.answer is not None))
    given = {c.member: None if c.answer is None else given_by.index(c.answer) for c in calls}
    own = float(rng.uniform(0.002, 0.006))
    status, error = (504, "deadline_exceeded") if rng.random() < 0.008 else (200, None)
    row = RequestRow(
        id=f"chatcmpl-{k:024x}", key_id=key_id, created_at=made.at,
        model="rlfocal" if price is None else f"rlfocal:{price:g}", task="", policy=policy,
        status=status, error=error, latency_s=trace.members_s + own, own_s=own,
        n_calls=len(calls), n_rounds=len(trace.rounds), usd=trace.usd,
        n_prompt_tokens=60 * len(calls), n_completion_tokens=20 * len(calls), confidence=0.8,
        given=given, candidates=given_by,
        chosen=given_by.index(trace.answer) if trace.answer in given_by else None,
        trace=trace.as_json(), episode=made.episode.as_json(),
    )  # fmt: skip
    judged = FeedbackRow(
        request_id=row.id, key_id=key_id, created_at=made.at + 1, answer="the right one",
        earned=float(made.episode.score or 0.0), task="", given=given, member_scores=made.scores,
    )  # fmt: skip
    return row, judged
