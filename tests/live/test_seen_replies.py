"""What a strategy reads of replies is the same whether they were recorded or have just come."""

from __future__ import annotations

import asyncio
import hashlib
import math
import random
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from rlfocal.checkpoint import load_checkpoint
from rlfocal.checkpoint.training import train
from rlfocal.collect.collector import Collector, Limits
from rlfocal.collect.plan import make_plan
from rlfocal.deliberation.protocol import Spec
from rlfocal.deliberation.view import Decision, View
from rlfocal.deliberation.wrapper import Wrapper
from rlfocal.grading import Grader
from rlfocal.live import LiveEnsemble, Question
from rlfocal.live.ensemble import members_for
from rlfocal.pool.building import LivePool
from rlfocal.pool.own_signals import OwnSignals
from rlfocal.pool.settings import PoolSettings, read_pool
from rlfocal.pool.stub import Said, StubServer, prompt_of
from rlfocal.records import ResponseTable, build_table
from rlfocal.records.database import export_dataset, open_database
from rlfocal.records.schema import normalise_queries
from rlfocal.records.signals import Replies, SeenReply

POOL = """
[endpoints.chat]
base_url = "{url}"

[endpoints.text]
base_url = "{url}"
api = "completions"

[signals]
length = "seen_replies_own:length"
doubt = "seen_replies_own:doubt"
broken = "seen_replies_own:broken"

[[members]]
name = "chat"
endpoint = "chat"
model = "chat"

[[members]]
name = "text"
endpoint = "text"
model = "text"
max_tokens = 6

[[members]]
name = "sampled"
endpoint = "chat"
model = "sampled"
temperature = 0.7
samples = 3

[[members]]
name = "letters"
endpoint = "chat"
model = "letters"
answers = "option-scores"

[[members]]
name = "silent"
endpoint = "chat"
model = "silent"
logprobs = false
"""
OWN = """
def length(reply):
    return len(reply.text) + len(reply.prompt) + len(reply.choices) + len(reply.kind)

def doubt(reply):
    known = reply.tokens is not None and reply.answer is not None
    return float(reply.tokens.logprob.min()) if known else None

def broken(reply):
    raise KeyError(reply.text)
"""
NEVER = ("server.latency",)
"""What no two calls have alike."""


def says(body: Mapping[str, Any]) -> Said:
    """Words drawn by what is asked, with log-probabilities; now and then no answer."""
    prompt, model = prompt_of(body), str(body["model"])
    rng = random.Random(hashlib.sha256(f"{model} {body.get('seed')} {prompt}".encode()).digest())
    asks_letter = "Which" in prompt
    answer = rng.choice("AB" if asks_letter else "789")
    if model == "letters" and asks_letter:
        return Said(answer, logprobs={answer: -0.5, "AB"[answer == "A"]: -rng.uniform(1, 3)})
    words = ["So", " 3", " +", " 4", " =", f" {answer}", rng.choice([".", "?", " €\u00e9"])]
    if rng.random() < 0.2:
        words = ["Not", " known"]
    finish = "length" if rng.random() < 0.15 else "stop"
    return Said("".join(words), finish, tokens=[(word, -rng.uniform(0, 5)) for word in words])


def questions() -> pa.Table:
    rows = []
    for n in range(8):
        options = ["a hen", "a cup"] if n % 2 else None
        prompt = f"Which is it, {n}?" if options else f"{n} + 4 ="
        label = "A" if options else str(n + 4)
        rows.append({"query_id": f"q{n}", "prompt": prompt, "choices": options, "label": label})
    kinds = {"choices": pa.list_(pa.string())} | dict.fromkeys(
        ("query_id", "prompt", "label"), pa.string()
    )
    return normalise_queries(pa.Table.from_pylist(rows, schema=pa.schema(kinds)))


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A folder with a user's own functions."""
    (tmp_path / "seen_replies_own.py").write_text(OWN)
    return tmp_path


async def record(pool: PoolSettings, folder: Path) -> ResponseTable:
    live = LivePool(pool)
    with open_database(folder / "answers.db") as database:
        keys = [database.add_member(m.name, m.identity) for m in live.members]
        plan = make_plan(questions(), live.members, keys)
        database.add_queries(plan.queries)
        database.set_note("answers", "number")
        async with live:
            await Collector(plan, database, Grader("number"), limits=Limits()).run()
        return build_table(export_dataset(database, members=[m.name for m in live.members]))


class Reading(Wrapper):
    """Keeps what it could read last."""

    replies: Replies | None = None

    @property
    def reads_replies(self) -> bool:
        return True

    def decide(self, view: View) -> Decision:
        type(self).replies = view.replies
        return super().decide(view)


async def both(folder: Path) -> tuple[ResponseTable, list[Replies], list[dict[str, Any]]]:
    """The table of what was recorded, and what a strategy could read of each query live."""
    async with StubServer(says) as stub:
        (folder / "pool.toml").write_text(POOL.format(url=stub.base_url))
        pool = read_pool(folder / "pool.toml")
        table = await record(pool, folder)
        await asyncio.to_thread(train, folder / "ensemble", Spec("plurality", {}), table, seed=0)
        checkpoint = load_checkpoint(folder / "ensemble")
        checkpoint = replace(checkpoint, strategy=Reading(checkpoint.strategy))
        found = []
        async with LivePool(pool, members_for(checkpoint, pool)) as live:
            ensemble = LiveEnsemble(checkpoint, live.members)
            for row in questions().to_pylist():
                asked = Question(row["prompt"], tuple(row["choices"] or ()), "all")
                await ensemble.answer(asked)
                assert Reading.replies is not None
                found.append(Reading.replies)
        return table, found, stub.bodies


def test_recorded_and_live_replies_say_the_same(
    own: Path, caplog: pytest.LogCaptureFixture
) -> None:
    table, live, bodies = asyncio.run(both(own))
    recorded = table.replies
    assert recorded is not None
    names = [name for name in recorded.names if name not in NEVER]
    assert {"length", "doubt"} <= set(names)
    places = [table.query_ids.tolist().index(f"q{n}") for n in range(8)]
    known = np.zeros(len(names), dtype=bool)
    for n, place in enumerate(places):
        expected = recorded[np.array([place])]
        assert set(live[n].names) >= set(names)
        want, got = expected.signals(names), live[n].signals(names)
        np.testing.assert_array_equal(got, want, err_msg=f"q{n}")
        for part, whole in zip(live[n].words(), expected.words(), strict=True):
            np.testing.assert_array_equal(part, whole)
        known |= np.isfinite(want).any(axis=(0, 1))
    # The comparison means something: most signals are known of some reply.
    assert known[names.index("length")]
    assert known[names.index("doubt")]
    assert known.mean() > 0.7
    assert math.isnan(live[0].signals(["doubt"])[0, 4, 0])  # of the silent member
    silent = [body for body in bodies if body["model"] == "silent"]
    assert not any("logprobs" in body for body in silent)
    said = [message for message in caplog.messages if "broken" in message]
    assert len(said) == 2  # once for each pool
    assert all("KeyError" in message for message in said)


Act = Callable[[LiveEnsemble], Awaitable[Any]]


def asked_live(folder: Path, act: Act, *, reads: bool, **options: Any) -> list[dict[str, Any]]:
    """Bodies that the members' server gets while something is done with an ensemble."""

    async def go() -> list[dict[str, Any]]:
        async with StubServer(says) as stub:
            (folder / "pool.toml").write_text(POOL.format(url=stub.base_url))
            pool = read_pool(folder / "pool.toml")
            table = await record(pool, folder)
            await asyncio.to_thread(
                train, folder / "ensemble", Spec("plurality", {}), table, seed=0
            )
            checkpoint = load_checkpoint(folder / "ensemble")
            if reads:
                checkpoint = replace(checkpoint, strategy=Reading(checkpoint.strategy))
            n_recorded = len(stub.bodies)
            async with LivePool(pool, members_for(checkpoint, pool)) as live:
                await act(LiveEnsemble(checkpoint, live.members, **options))
            return stub.bodies[n_recorded:]

    return asyncio.run(go())


def test_who_reads_no_replies_asks_for_no_log_probabilities(own: Path) -> None:
    asked = Question("3 + 4 =", task="all")
    bodies = asked_live(own, lambda ensemble: ensemble.answer(asked), reads=False)
    assert bodies
    assert not any("logprobs" in body for body in bodies)


@pytest.mark.parametrize("kind", ["math", "open"])
def test_replies_are_still_seen_where_answers_are_grouped_anew(own: Path, kind: str) -> None:
    asked = Question("3 + 4 =", answers=kind, task="all")
    asked_live(own, lambda ensemble: ensemble.answer(asked), reads=True)
    seen = Reading.replies
    assert seen is not None
    assert seen.present.all()
    known = {"math": "math", "open": ""}[kind]
    length = seen.signals(["length"])[0, :, 0] - len(asked.prompt) - len(known)
    assert all(length >= len("Not known"))


def test_a_user_s_functions_are_called_once_for_each_reply(
    own: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[SeenReply] = []
    known = OwnSignals.read

    def counted(self: OwnSignals, seen: SeenReply) -> dict[str, float]:
        calls.append(seen)
        return known(self, seen)

    async def read(ensemble: LiveEnsemble) -> None:
        monkeypatch.setattr(OwnSignals, "read", counted)
        await ensemble.answer(Question("3 + 4 =", task="all"))
        assert Reading.replies is not None
        Reading.replies.signals(Reading.replies.names)
        Reading.replies.words()

    asked_live(own, read, reads=True)
    assert Reading.replies is not None
    assert len(calls) == Reading.replies.present.sum()
