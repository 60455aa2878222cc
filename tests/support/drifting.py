"""Members of known accuracy on sums, one of which gets worse in the middle of a stream."""

from __future__ import annotations

import asyncio
import hashlib
import random
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from rlfocal.checkpoint.training import train as train_to_disk
from rlfocal.collect.collector import Collector, Limits
from rlfocal.collect.plan import make_plan
from rlfocal.deliberation.protocol import Spec
from rlfocal.features import HashingEncoder
from rlfocal.grading import Grader
from rlfocal.pool.building import LivePool
from rlfocal.pool.settings import read_pool
from rlfocal.pool.stub import Said, StubServer, prompt_of
from rlfocal.records import build_table
from rlfocal.records.database import export_dataset, open_database
from rlfocal.records.schema import normalise_queries

ACCURACY = {"a": 0.88, "b": 0.85, "c": 0.82, "d": 0.6}
N_TRAINING = 600
_WRONG = 40
"""So many wrong answers are as likely as each other: who errs seldom errs alike."""


def says(degraded: Callable[[], str | None] = lambda: None) -> Callable[[Mapping[str, Any]], Said]:
    """Members that are right as often as `ACCURACY` says; a degraded one on a tenth."""

    def reply(body: Mapping[str, Any]) -> Said:
        prompt, model = prompt_of(body), str(body["model"])
        digest = hashlib.sha256(f"{model} {prompt}".encode()).digest()
        rng = random.Random(digest)
        right = truth(prompt)
        accuracy = 0.1 if model == degraded() else ACCURACY[model]
        return Said(str(right if rng.random() < accuracy else right + rng.randint(1, _WRONG)))

    return reply


def truth(prompt: str) -> int:
    """What is right."""
    left, added = map(int, re.findall(r"(\d+) \+ (\d+)", prompt)[0])
    return left + added


def question(k: int) -> str:
    """Number k of a stream; those of training come first."""
    rng = random.Random(k)
    return f"{rng.randrange(10_000)} + {rng.randrange(10_000)} ="


def write_pool(path: Path, url: str) -> Path:
    """The pool file."""
    text = f'[endpoints.stub]\nbase_url = "{url}"\nattempts = 1\nconcurrency = 32\n'
    for name in ACCURACY:
        text += f'\n[[members]]\nname = "{name}"\nendpoint = "stub"\nmodel = "{name}"\n'
        text += f'\n[prices."{name}"]\nprompt = 1.0\ncompletion = 2.0\n'
    path.write_text(text, encoding="utf-8")
    return path


def train(folder: Path) -> Path:
    """A checkpoint trained on what the members said before anything changed."""
    rows = [
        {
            "query_id": f"q{k:04}", "task": "sums", "split": "train", "prompt": question(k),
            "choices": None, "label": str(truth(question(k))),
        }
        for k in range(N_TRAINING)
    ]  # fmt: skip
    kinds = {name: pa.string() for name in rows[0]} | {"choices": pa.list_(pa.string())}
    queries = normalise_queries(pa.Table.from_pylist(rows, schema=pa.schema(list(kinds.items()))))
    dataset = asyncio.run(_recorded(folder, queries))
    encode = HashingEncoder(16)
    table = build_table(dataset, encode=encode)
    settings = {"n_iterations": 20, "n_episodes": 256}
    spec = Spec("rl-focal", settings)
    train_to_disk(folder / "checkpoint", spec, table, seed=0, encoder_spec=encode.spec)
    return folder / "checkpoint"


async def _recorded(folder: Path, queries: pa.Table) -> Any:
    async with StubServer(says()) as stub:
        live = LivePool(read_pool(write_pool(folder / "pool.toml", stub.base_url)))
        with open_database(str(folder / "answers.db")) as database:
            keys = [database.add_member(m.name, m.identity) for m in live.members]
            plan = make_plan(queries, live.members, keys)
            database.add_queries(plan.queries)
            database.set_note("answers", "number")
            async with live:
                await Collector(
                    plan, database, Grader("number"), limits=Limits(concurrency=16)
                ).run()
            return export_dataset(database, members=list(ACCURACY))
