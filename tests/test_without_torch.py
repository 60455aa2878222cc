"""What was trained acts by numpy alone: no extra but what serves, and never torch."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import httpx2
import numpy as np
import pytest
import stub_pool
from process import gateway_process
from stub_pool import pool_file, says, trained

from rlfocal.checkpoint import load_checkpoint
from rlfocal.deliberation.recorded import reveal
from rlfocal.deliberation.replay import replay
from rlfocal.extras import EXTRAS
from rlfocal.gateway.store import open_store
from rlfocal.pool.stub import StubServer, StubThread
from rlfocal.records.folders import write_dataset

FAMILY = ("rl-focal", "posterior-threshold", "rl-focal-prior")


def family(*quick: str) -> pytest.MarkDecorator:
    """For each of the family; those that are not quick are slow tests."""
    return pytest.mark.parametrize(
        "name", [n if n in quick else pytest.param(n, marks=pytest.mark.slow) for n in FAMILY]
    )


# Without rivals, which are simple: the agents themselves.
EVERY_PRICE = """
import json, sys
from pathlib import Path
from rlfocal.checkpoint import load_checkpoint
from rlfocal.deliberation.replay import replay
from rlfocal.records.folders import read_dataset

checkpoint = load_checkpoint(Path(sys.argv[1]))
table = checkpoint.table(read_dataset(Path(sys.argv[2])))
table = table.take(table.split == "test")
for price in (0.3, 0.02, 0.001):
    found = replay(checkpoint.strategy.at(price).alone(), table)
    print(json.dumps([found.chosen.tolist(), found.n_calls.tolist(), found.confidence.tolist()]))
"""
VERB = "from rlfocal.cli.main import main; main()"


@pytest.fixture
def blocked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in; programs started from now on cannot import what extras bring.

    What serves is left to them. Importing one of the others ends in an error, wherever it is tried.
    """
    folder = tmp_path / "blocked"
    folder.mkdir()
    for name, extra in EXTRAS.items():
        if extra != "serve":
            (folder / f"{name}.py").write_text("raise ImportError(name=__name__)")
    monkeypatch.setenv("PYTHONPATH", str(folder))
    return tmp_path


def output(code: str, *words: object) -> str:
    ran = subprocess.run(
        [sys.executable, "-c", code, *map(str, words)],
        capture_output=True, text=True, check=False, env=os.environ | {"OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr[-2000:]
    return ran.stdout


def test_what_is_blocked_cannot_be_imported(blocked: Path) -> None:
    for name in ("torch", "scipy", "sklearn"):
        with pytest.raises(AssertionError, match="ImportError"):
            output(f"import {name}")


@family("rl-focal")
def test_a_trained_checkpoint_decides_as_with_everything_installed(
    name: str, blocked: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    dataset = stub_pool.recorded(tmp_path_factory)
    write_dataset(dataset, blocked / "data")
    folder = trained(tmp_path_factory, name)
    checkpoint = load_checkpoint(folder)
    table = checkpoint.table(dataset)
    table = table.take(table.split == "test")
    lines = output(EVERY_PRICE, folder, blocked / "data").splitlines()
    for line, price in zip(lines, (0.3, 0.02, 0.001), strict=True):
        chosen, n_calls, confidence = json.loads(line)
        here = replay(checkpoint.strategy.at(price).alone(), table)
        assert here.chosen.tolist() == chosen
        assert here.n_calls.tolist() == n_calls
        np.testing.assert_allclose(confidence, here.confidence, atol=1e-6)


@family("rl-focal-prior")
def test_it_is_evaluated_explained_and_asked(
    name: str, blocked: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    dataset = stub_pool.recorded(tmp_path_factory)
    write_dataset(dataset, blocked / "data")
    folder = trained(tmp_path_factory, name)
    output(VERB, "inspect", blocked / "data")
    figures = json.loads(output(VERB, "evaluate", folder, blocked / "data", "--json", "-"))
    checkpoint = load_checkpoint(folder)
    table = checkpoint.table(dataset)
    expected = replay(checkpoint.strategy, table.take(~checkpoint.was_trained_on(table)))
    assert figures["accuracy"] == float(expected.score.mean())
    row = table.query_ids[table.split == "test"][0]
    explained = output(VERB, "explain", folder, blocked / "data", "--query", row, "--json")
    assert json.loads(explained)["strategy"] == name
    with StubThread(StubServer(says)) as stub:
        pool = pool_file(blocked, stub.base_url)
        told = json.loads(
            output(VERB, "ask", folder, pool, "12 + 30 =", "--task", "sums", "--json")
        )
    assert stub.bodies
    assert told["answer"].isdigit()


@family()
def test_a_gateway_starts_and_answers_with_it(
    name: str, blocked: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    db = str(blocked / "gateway.db")
    with open_store(db) as store, store.connections.write() as connection:
        key = store.keys.add(connection, "me", now=0.0).plaintext
    with StubThread(StubServer(says)) as stub:
        pool = pool_file(blocked, stub.base_url)
        folder = trained(tmp_path_factory, name)
        with gateway_process(folder, pool, db, blocked / "log") as gateway:
            reply = httpx2.post(
                f"{gateway.url}/v1/chat/completions",
                headers={"Authorization": f"Bearer {key}"},
                json={"model": "rlfocal", "messages": [{"role": "user", "content": "12 + 30 ="}]},
                timeout=60,
            )
    assert reply.status_code == 200, reply.text
    assert stub.bodies


@family("rl-focal", "rl-focal-prior")
def test_a_query_is_decided_alike_alone_and_among_others(
    name: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    checkpoint = load_checkpoint(trained(tmp_path_factory, name))
    table = checkpoint.table(stub_pool.recorded(tmp_path_factory))
    rows = np.flatnonzero(table.split == "test")
    asked = np.random.default_rng(3).random((len(rows), table.n_members)) < 0.5
    view = reveal(table, rows, asked, n_rounds=asked.sum(axis=1))
    for price in (0.3, 0.02, 0.001):
        strategy = checkpoint.strategy.at(price)
        whole = strategy.decide(view)
        for size in (1, 7, 64):
            for start in range(0, len(rows), size):
                part = np.arange(start, min(start + size, len(rows)))
                found = strategy.decide(view.take(part))
                np.testing.assert_array_equal(found.ask, whole.ask[part])
                np.testing.assert_allclose(found.answer, whole.answer[part], atol=1e-5)
                if whole.chance is not None and found.chance is not None:
                    np.testing.assert_allclose(found.chance, whole.chance[part], atol=1e-5)
