"""The example package: once installed, its strategy is one like any other."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx2
import pytest
from demo_pool import demo_pool
from process import gateway_process

from rlfocal.gateway.store import open_store

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that holds the package as pip installs it; nothing is downloaded."""
    work = tmp_path_factory.mktemp("own-package")
    source = work / "source"
    shutil.copytree(ROOT / "examples/own_package", source)  # a build leaves files beside its source
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    offline = ["--no-index", "--no-deps", "--no-build-isolation", "--target", str(work / "site")]
    subprocess.run([*command, *offline, str(source)], check=True, timeout=300)
    return work / "site"


@pytest.fixture
def work(installed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in; programs started from now on find the package."""
    monkeypatch.setenv("PYTHONPATH", str(installed))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    return tmp_path


def rlfocal(line: str, work: Path) -> str:
    """What the program prints."""
    program = [sys.executable, "-c", "from rlfocal.cli.main import main; main()"]
    ran = subprocess.run(
        [*program, *shlex.split(line)],
        cwd=work, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def written(path: Path) -> Any:
    return json.loads(path.read_text("utf-8"))


@pytest.mark.slow
def test_it_is_compared_trained_and_evaluated(work: Path) -> None:
    rlfocal("bench demo --folds 2 --strategies two-then-third --json bench.json", work)
    rows = {row["strategy"]: row for row in written(work / "bench.json")["rows"]}
    assert 2 < rows["two-then-third"]["mean_calls"] < 3
    command = rows["two-then-third"]["command"]
    assert command.startswith("rlfocal train demo --strategy two-then-third ")

    rlfocal("train demo --strategy two-then-third --set lead=0.05 -o ensemble", work)
    about = written(work / "ensemble" / "checkpoint.json")
    assert (about["strategy"], about["settings"]) == ("two-then-third", {"lead": 0.05})

    rlfocal("evaluate ensemble demo --include-trained --json figures.json", work)
    assert 0.5 < written(work / "figures.json")["accuracy"] < 1


@pytest.mark.slow
def test_it_is_asked_and_served(work: Path) -> None:
    rlfocal("train demo --strategy two-then-third -o ensemble", work)
    with demo_pool(work) as (pool, stub):
        ask = "ask ensemble pool.toml Which? --choice left --choice right --json"
        assert json.loads(rlfocal(ask, work))["answer"] == "B"
        assert len(stub.bodies) == 2  # the two agree

        db = str(work / "gateway.db")
        with open_store(db) as store, store.connections.write() as connection:
            key = store.keys.add(connection, "me", now=0.0).plaintext
        with gateway_process(work / "ensemble", pool, db, work / "log") as gateway:
            reply = httpx2.post(
                f"{gateway.url}/v1/chat/completions",
                headers={"Authorization": f"Bearer {key}"},
                json={"model": "rlfocal", "messages": [{"role": "user", "content": "Which?"}]},
                timeout=60,
            )
        assert reply.status_code == 200, reply.text
        assert reply.json()["choices"][0]["message"]["content"] == "The answer is (B)."


def test_it_is_unknown_where_it_is_not_installed(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "from rlfocal.cli.main import main; main()", "train", "demo"]
    ran = subprocess.run(
        [*command, "--strategy", "two-then-third", "-o", str(tmp_path / "x")],
        capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": ""},
    )  # fmt: skip
    assert ran.returncode == 2
    assert "unknown strategy 'two-then-third'" in ran.stderr
