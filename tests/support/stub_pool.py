"""A pool whose members answer by the hash of what they are asked: recorded, then asked live."""

from __future__ import annotations

import asyncio
import hashlib
import random
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from once import once

from rlfocal.checkpoint.training import train
from rlfocal.collect.collector import Collector, Limits
from rlfocal.collect.plan import make_plan
from rlfocal.deliberation.protocol import Spec
from rlfocal.features import HashingEncoder
from rlfocal.grading import Grader
from rlfocal.pool.building import LivePool
from rlfocal.pool.settings import read_pool
from rlfocal.pool.stub import Said, StubServer, prompt_of
from rlfocal.records import Dataset, build_table
from rlfocal.records.database import export_dataset, open_database
from rlfocal.records.schema import normalise_queries

N_TRAINING, N_TEST = 240, 100
ACCURACY = {"plain": (0.8, 0.5), "letters": (0.6, 0.7), "sampled": (0.5, 0.8), "hasty": (0.4, 0.4)}
"""On sums, and on choices."""

POOL = """
[endpoints.stub]
base_url = "{url}"
attempts = 1
timeout_s = 60

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
name = "sampled"
endpoint = "stub"
model = "sampled"
temperature = 0.7
samples = 3

[[members]]
name = "hasty"
endpoint = "stub"
model = "hasty"
"""


def says(body: Mapping[str, Any]) -> Said:
    """Right as often as its model is; the same question and seed get the same reply."""
    prompt, model = prompt_of(body), str(body["model"])
    digest = hashlib.sha256(f"{model} {body.get('seed')} {prompt}".encode()).digest()
    rng = random.Random(digest)
    left, right = map(int, re.findall(r"(\d+) \+ (\d+)", prompt)[0])
    chosen = "Which" in prompt
    if model == "hasty" and rng.random() < 0.1:
        return Said("I do not know.")
    is_right = rng.random() < ACCURACY[model][chosen]
    if not chosen:
        return Said(f"That is {left + right + (0 if is_right else rng.randint(1, 3))}.")
    letter = "ABCD"[(left + right + (0 if is_right else rng.randint(1, 3))) % 4]
    scores = {token: rng.uniform(-6, -3) for token in "ABCD"} | {letter: rng.uniform(-1, 0)}
    return Said(letter if model == "letters" else f"The answer is ({letter}).", logprobs=scores)


def questions() -> pa.Table:
    """Sums, and choices among the remainders by four."""
    rng = random.Random(5)
    rows: list[dict[str, Any]] = []
    for k in range(N_TRAINING + N_TEST):
        a, b = rng.randrange(1000), rng.randrange(1000)
        split = "train" if k < N_TRAINING else "test"
        row = {"query_id": f"q{k:03}", "split": split}
        if k % 2:
            prompt = f"Which remainder has {a} + {b} by four?"
            row |= {"task": "choices", "prompt": prompt, "choices": ["0", "1", "2", "3"]}
            rows.append(row | {"label": "ABCD"[(a + b) % 4]})
        else:
            row |= {"task": "sums", "prompt": f"{a} + {b} =", "choices": None}
            rows.append(row | {"label": str(a + b)})
    return normalise_queries(pa.Table.from_pylist(rows, schema=_SCHEMA))


_SCHEMA = pa.schema(
    [
        ("query_id", pa.string()), ("task", pa.string()), ("split", pa.string()),
        ("prompt", pa.string()), ("choices", pa.list_(pa.string())), ("label", pa.string()),
    ]
)  # fmt: skip


def pool_file(folder: Path, url: str) -> Path:
    path = folder / "pool.toml"
    path.write_text(POOL.format(url=url), encoding="utf-8")
    return path


def recorded(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """What `rlfocal collect` and `rlfocal export` make of that pool."""
    folder = once(tmp_path_factory, "stub-pool", lambda folder: asyncio.run(_record(folder)))
    with open_database(str(folder / "answers.db")) as database:
        return export_dataset(database, members=["plain", "letters", "sampled", "hasty"])


async def _record(folder: Path) -> None:
    async with StubServer(says) as stub:
        live = LivePool(read_pool(pool_file(folder, stub.base_url)))
        with open_database(str(folder / "answers.db")) as database:
            keys = [database.add_member(m.name, m.identity) for m in live.members]
            plan = make_plan(questions(), live.members, keys)
            database.add_queries(plan.queries)
            database.set_note("answers", "number")
            async with live:
                tally = await Collector(
                    plan, database, Grader("number"), limits=Limits(concurrency=16)
                ).run()
            assert tally.complete


SETTINGS: Mapping[str, Mapping[str, Any]] = {"rl-focal": {"n_iterations": 6, "n_episodes": 64}}
"""Where the defaults would take too long."""


def trained(tmp_path_factory: pytest.TempPathFactory, strategy: str) -> Path:
    """Folder of a small checkpoint of the training queries."""
    dataset = recorded(tmp_path_factory)
    name = f"stub-pool-{strategy}"
    return once(tmp_path_factory, name, lambda folder: _train(folder, dataset, strategy))


def _train(folder: Path, dataset: Dataset, strategy: str) -> None:
    encode = HashingEncoder(32)
    table = build_table(dataset, encode=encode)
    spec = Spec(strategy, SETTINGS.get(strategy, {}))
    train(folder, spec, table.take(table.split == "train"), seed=0, encoder_spec=encode.spec)
