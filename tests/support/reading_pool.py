"""A pool whose members read one another, and answer by the hash of what they are asked.

What it is recorded by knows nothing of `live` or `collect`: a second, naive way of asking readers
after those whom they read.
"""

from __future__ import annotations

import asyncio
import hashlib
import random
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from once import once
from stub_pool import questions

from rlfocal.checkpoint.training import train
from rlfocal.deliberation.protocol import Spec
from rlfocal.errors import MemberError
from rlfocal.features import HashingEncoder
from rlfocal.grading import Grader
from rlfocal.pool.asking.question import Question
from rlfocal.pool.asking.question import Said as Read
from rlfocal.pool.building import LiveMember, LivePool
from rlfocal.pool.reading.showing import showing_of
from rlfocal.pool.settings import read_pool
from rlfocal.pool.stub import Said, StubServer, prompt_of
from rlfocal.readers import ReaderInfo
from rlfocal.records import Dataset, build_table
from rlfocal.records.samples import agreed
from rlfocal.records.schema import RESPONSES, DatasetInfo, table_of

ACCURACY = {"plain": 0.7, "letters": 0.6, "sampled": 0.55, "second": 0.75, "top": 0.8, "mend": 0.7}
TURN = (
    "plain", "letters", "sampled", "second-first", "judge", "pairs", "second", "check", "critic",
    "mend", "top",
)  # fmt: skip
"""The members in an order in which nobody stands before whom it reads."""

POOL = """
[endpoints.stub]
base_url = "{url}"
attempts = 1
timeout_s = 60

[[members]]
name = "top"
endpoint = "stub"
model = "top"
reads = ["judge", "plain"]

[[members]]
name = "plain"
endpoint = "stub"
model = "plain"

[[members]]
name = "letters"
endpoint = "stub"
model = "letters"
answers = "option-scores"

[[members]]
name = "judge"
endpoint = "stub"
model = "judge"
reads = ["plain", "letters", "sampled"]
reading = "judge"
samples = 2

[[members]]
name = "sampled"
endpoint = "stub"
model = "sampled"
temperature = 0.7
samples = 3

[[members]]
name = "pairs"
endpoint = "stub"
model = "judge"
reads = ["plain", "letters", "sampled"]
reading = "pairwise"
samples = 6

[[members]]
name = "second"
endpoint = "stub"
model = "second"
reads = ["plain", "letters"]
reading = "debate"
first = true
samples = 2

[[members]]
name = "check"
endpoint = "stub"
model = "check"
reads = ["second"]
reading = "verify"

[[members]]
name = "critic"
endpoint = "stub"
model = "critic"
reads = ["plain"]
reading = "criticise"

[[members]]
name = "mend"
endpoint = "stub"
model = "mend"
reads = ["plain", "critic"]
reading = "refine"
"""


def says(body: Mapping[str, Any]) -> Said:
    """The same question, with the same replies shown in the same order, gets the same reply."""
    prompt, model = prompt_of(body), str(body["model"])
    digest = hashlib.sha256(f"{model} {body.get('seed')} {prompt}".encode()).digest()
    rng = random.Random(digest)
    if model == "judge":
        n_shown = len(re.findall(r"^Reply \d+:$", prompt, re.MULTILINE))
        return Said("Hard to say." if rng.random() < 0.1 else f"Reply {rng.randint(1, n_shown)}.")
    if model == "check":
        return Said("It is right." if rng.random() < 0.7 else "Wrong.")
    if model == "critic":
        return Said(rng.choice(["The sum is off by 1.", "I see no mistake."]))
    if model != "letters" and rng.random() < 0.1:
        return Said("I do not know.")
    left, right = map(int, re.findall(r"(\d+) \+ (\d+)", prompt)[0])
    is_right = rng.random() < ACCURACY[model]
    if "Which" not in prompt:
        return Said(f"That is {left + right + (0 if is_right else rng.randint(1, 3))}.")
    letter = "ABCD"[(left + right + (0 if is_right else rng.randint(1, 3))) % 4]
    scores = {token: rng.uniform(-6, -3) for token in "ABCD"} | {letter: rng.uniform(-1, 0)}
    return Said(letter if model == "letters" else f"The answer is ({letter}).", logprobs=scores)


def falters(body: Mapping[str, Any]) -> Said:
    """As `says`, but members that read nobody often say nothing at all, which is a failure."""
    prompt, model = prompt_of(body), str(body["model"])
    alone = model in ("plain", "letters", "sampled") or (model == "second" and "===" not in prompt)
    digest = hashlib.sha256(f"falters {model} {body.get('seed')} {prompt}".encode()).digest()
    return Said("") if alone and digest[0] < 128 else says(body)


def pool_file(folder: Path, url: str) -> Path:
    path = folder / "pool.toml"
    path.write_text(POOL.format(url=url), encoding="utf-8")
    return path


def recorded(tmp_path_factory: pytest.TempPathFactory, *, faltering: bool = False) -> Dataset:
    """What asking that pool all questions makes."""
    name = "reading-pool" + "-faltering" * faltering
    answer = falters if faltering else says
    folder = once(tmp_path_factory, name, lambda folder: asyncio.run(_record(folder, answer)))
    responses = pq.read_table(folder / "responses.parquet")
    info = DatasetInfo.model_validate_json((folder / "info.json").read_text())
    return Dataset("reading-pool", questions(), responses, info)


async def _record(folder: Path, answer: Any) -> None:
    async with StubServer(answer) as stub:
        live = LivePool(read_pool(pool_file(folder, stub.base_url)))
        by_name = {member.name: member for member in live.members}
        async with live:
            gate = asyncio.Semaphore(16)

            async def one(query: Mapping[str, Any]) -> list[dict[str, Any]]:
                async with gate:
                    return await _asked(query, by_name)

            found = await asyncio.gather(*[one(query) for query in questions().to_pylist()])
    rows = [row for own in found for row in own]
    pq.write_table(table_of(rows, RESPONSES), folder / "responses.parquet")
    readers = {
        name: ReaderInfo(reads=list(s.reads), first=s.own, reading=s.reading)
        for name, s in [(name, member.settings) for name, member in by_name.items()]
        if s.reads
    }
    info = DatasetInfo(
        name="reading-pool", answers="number", pools={"all": list(by_name)}, readers=readers
    )
    (folder / "info.json").write_text(info.model_dump_json())


async def _asked(
    query: Mapping[str, Any], members: Mapping[str, LiveMember]
) -> list[dict[str, Any]]:
    """A row for each member that replied."""
    question = Question(query["prompt"], tuple(query["choices"] or ()), query["task"])
    said, rows, grader = dict[str, Read](), list[dict[str, Any]](), Grader("number")
    for name in TURN:
        member = members[name]
        shown = {other: said[other] for other in member.settings.inputs if other in said}
        asked = replace(question, shown=shown)
        grades, replies, showings = [], [], []
        for sample in range(member.settings.samples):
            showing = None
            if member.settings.reads:
                showing = showing_of(member.settings, asked, sample)
                if not (showing.said or showing.own):
                    continue
            try:
                reply = await member.ask(asked, sample=sample)
            except MemberError:
                continue
            replies.append(reply)
            showings.append(showing)
            grades.append(grader.grade(query, member.settings, reply, showing))
        if not replies:
            continue
        typical = agreed([grade.answer for grade in grades])
        said[name] = Read(replies[typical].text, grades[typical].answer)
        several = len(replies) > 1
        rows.append(
            dict.fromkeys(RESPONSES) | {
                "query_id": query["query_id"], "member": name,
                "answer": grades[typical].answer,
                "samples": [grade.answer for grade in grades] if several else None,
                "choice_scores": grades[typical].choice_scores,
                "text": replies[typical].text, "response_chars": len(replies[typical].text),
                "finish": replies[typical].finish, "latency_s": 0.1,
                "n_prompt_tokens": replies[typical].n_prompt_tokens,
                "n_completion_tokens": replies[typical].n_completion_tokens,
                "shown": [list(s.names) for s in showings] if member.settings.reads else None,
                "verdicts": [g.verdict for g in grades]
                if member.settings.reading in ("judge", "pairwise", "verify") and shown
                else None,
            }
        )  # fmt: skip
    return rows


SETTINGS: Mapping[str, Mapping[str, Any]] = {"rl-focal": {"n_iterations": 3, "n_episodes": 32}}
"""Where the defaults would take too long."""


def trained(
    tmp_path_factory: pytest.TempPathFactory,
    strategy: str,
    settings: Mapping[str, Any] | None = None,
    *,
    faltering: bool = False,
) -> Path:
    """Folder of a small checkpoint of the training queries."""
    dataset = recorded(tmp_path_factory, faltering=faltering)
    known = SETTINGS.get(strategy, {}) if settings is None else settings
    name = f"reading-pool-{strategy}{'-faltering' * faltering}-{sorted(known.items())}"
    name = re.sub(r"[^\w.-]+", "-", name)

    def make(folder: Path) -> None:
        encode = HashingEncoder(32)
        table = build_table(dataset, encode=encode)
        spec = Spec(strategy, known)
        train(folder, spec, table.take(table.split == "train"), seed=0, encoder_spec=encode.spec)

    return once(tmp_path_factory, name, make)
