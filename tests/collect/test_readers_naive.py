"""Pools that read one another at random: what is asked is what asking one by one asks."""

from __future__ import annotations

import asyncio
import hashlib
import random
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from rlfocal.collect import feed as feed_module
from rlfocal.collect import plan as plan_module
from rlfocal.collect.collector import Collector, Limits
from rlfocal.collect.plan import Plan, make_plan
from rlfocal.grading import Grader
from rlfocal.pool.asking.prompting import request_for
from rlfocal.pool.asking.question import Question
from rlfocal.pool.asking.question import Said as Replied
from rlfocal.pool.building import LivePool
from rlfocal.pool.member import MemberSettings
from rlfocal.pool.reading.showing import showing_of
from rlfocal.pool.settings import read_pool
from rlfocal.pool.stub import Said, StubServer
from rlfocal.pool.types import Response
from rlfocal.records.canonical import canonical_queries
from rlfocal.records.database import export_dataset, open_database
from rlfocal.records.schema import DatasetInfo, normalise_queries

N_QUERIES = 8


def pool_text(url: str, rng: random.Random) -> str:
    """Members that read up to three of those before them, in every form, in any order."""
    tables, names = [], list[str]()
    for k in range(8):
        lines = [f'name = "m{k}"', 'endpoint = "stub"', f'model = "m{k}"']
        read = rng.sample(names, min(len(names), rng.randrange(4)))
        if rng.random() < 0.4:
            lines += ["temperature = 1.0", f"samples = {rng.randint(1, 4)}"]
        if read:
            forms = ["aggregate", "debate", "criticise", "refine"]
            forms += ["verify"] if len(read) == 1 else ["judge", "pairwise"]
            lines += [f"reads = {read}", f'reading = "{rng.choice(forms)}"']
            others = [name for name in names if name not in read]
            if rng.random() < 0.3:
                lines.append("first = true")
            elif others and rng.random() < 0.3:
                lines.append(f'first = "{rng.choice(others)}"')
        names.append(f"m{k}")
        tables.append("\n".join(["[[members]]", *lines]))
    rng.shuffle(tables)
    return "\n\n".join([f'[endpoints.stub]\nbase_url = "{url}"\nattempts = 1\n', *tables])


def says(model: str, prompt: str, seed: Any) -> str:
    """A number, a name of a reply, nothing clear, or nothing at all: by the hash of all of it."""
    rng = random.Random(hashlib.sha256(f"{model} {seed} {prompt}".encode()).digest())
    return rng.choice(["", "1", "2", "It is 1.", "It is 2.", "It is right.", "It is wrong.", "Hm."])


def asked(body: Mapping[str, Any]) -> tuple[str, str, Any]:
    return str(body["model"]), str(body["messages"][-1]["content"]), body.get("seed")


def naive(
    members: list[MemberSettings], prompts: list[str]
) -> tuple[Counter[tuple[str, str, Any]], dict[tuple[str, str], list[str | None]]]:
    """What is asked, and the answers by prompt and member, one query after another."""
    calls = Counter[tuple[str, str, Any]]()
    answers: dict[tuple[str, str], list[str | None]] = {}
    grader = Grader("number")
    for prompt in prompts:
        row = {"query_id": "", "task": "all", "prompt": prompt, "choices": None, "label": "1"}
        shown: dict[str, Replied | None] = {}
        while len(shown) < len(members):
            for member in members:
                if member.name in shown or not set(member.inputs) <= set(shown):
                    continue
                said = {name: shown[name] for name in member.inputs}
                question = Question(prompt, shown={n: s for n, s in said.items() if s is not None})
                replies = []
                for sample in range(member.samples):
                    showing = showing_of(member, question, sample) if member.reads else None
                    if showing is not None and not showing.said and showing.own is None:
                        continue
                    request = request_for(member, question, sample=sample)
                    # A model that draws nothing is sent no seed.
                    seed = request.seed if request.temperature else None
                    text = says(member.model, request.messages[-1].content, seed)
                    calls[member.model, request.messages[-1].content, seed] += 1
                    if text:
                        grade = grader.grade(row, member, Response(text), showing)
                        replies.append(Replied(text, grade.answer))
                shown[member.name] = None
                if replies:
                    found = [reply.answer for reply in replies]
                    answers[prompt, member.name] = found
                    most = Counter(a for a in found if a is not None).most_common(1)
                    shown[member.name] = replies[found.index(most[0][0]) if most else 0]
    return calls, answers


@pytest.mark.parametrize(
    "seed", [0, 1, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(2, 6))]
)
def test_collecting_asks_what_asking_one_after_another_asks(
    tmp_path: Path, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed_module, "_POLL_S", 0.01)
    rng = random.Random(seed)
    monkeypatch.setattr(plan_module, "BLOCK", rng.choice([5, 40, 500]))
    queries = queries_of([f"What is {k}?" for k in range(N_QUERIES)])

    def answer(body: Mapping[str, Any]) -> Said:
        model, prompt, sent = asked(body)
        return Said(says(model, prompt, sent if body.get("temperature") else None))

    async def run() -> tuple[StubServer, Plan]:
        async with StubServer(answer, latency_s=lambda: rng.uniform(0, 0.01)) as stub:
            (tmp_path / "pool.toml").write_text(pool_text(stub.base_url, random.Random(seed)))
            async with LivePool(read_pool(tmp_path / "pool.toml")) as pool:
                keys = [database.add_member(m.name, m.identity) for m in pool.members]
                plan = make_plan(queries, pool.members, keys)
                database.add_queries(plan.queries)
                for _ in range(2):  # the second run finds nothing to ask
                    limits = Limits(concurrency=rng.randint(1, 9))
                    collector = Collector(plan, database, Grader("number"), limits=limits)
                    tally = await asyncio.wait_for(collector.run(), 300)
                    assert tally.n_settled == tally.n_calls
                    assert tally.stopped is None
                assert tally.n_attempted == 0
                # Of failed calls that are tried again all fail again.
                collector = Collector(
                    plan, database, Grader("number"), limits=Limits(8), retry_failed=True
                )
                tally = await collector.run()
                assert tally.n_attempted == tally.failures.total()
                return stub, plan

    with open_database(tmp_path / "answers.db") as database:
        stub, plan = asyncio.run(run())
        data = export_dataset(database)
    prompts = [row["prompt"] for row in plan.queries]
    members = [member.settings for member in plan.members]
    calls, answers = naive(members, prompts)
    seen = Counter(
        (model, prompt, sent if body.get("temperature") else None)
        for body in stub.bodies
        for model, prompt, sent in [asked(body)]
    )
    silent = {call for call in calls if not says(*call)}
    assert seen == calls + Counter({call: calls[call] for call in silent})  # tried once more
    prompt_of = {row["query_id"]: row["prompt"] for row in data.queries.to_pylist()}
    rows = {(prompt_of[r["query_id"]], r["member"]): r for r in data.responses.to_pylist()}
    assert rows.keys() == answers.keys()
    for place, found in answers.items():
        assert (rows[place]["samples"] or [rows[place]["answer"]]) == found


def queries_of(prompts: list[str]) -> pa.Table:
    names = [f"q{k}" for k in range(len(prompts))]
    table = pa.table({"query_id": names, "prompt": prompts, "label": ["1"] * len(prompts)})
    return canonical_queries(normalise_queries(table), DatasetInfo(answers="number")).queries
