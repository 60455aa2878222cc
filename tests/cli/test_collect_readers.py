"""`collect`, `export`, `import` and `inspect` of members that read one another."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from stored import content_digest

from rlfocal.pool.stub import Said, StubServer, StubThread, prompt_of
from rlfocal.records.database import open_database
from rlfocal.records.folders import read_dataset

if TYPE_CHECKING:
    from conftest import Run

N_QUERIES = 60
N_CALLS = 1 + 1 + 2 + 1 + 1
"""Of one query: a, b, the judge in both orders, again-first, again."""
PROGRAM = "from rlfocal.cli.main import main; main()"
POOL = """
[endpoints.stub]
base_url = "{url}"
concurrency = 4

[[members]]
name = "again"
endpoint = "stub"
system = "again"
reads = ["judge", "a"]
first = true
reading = "debate"

[[members]]
name = "a"
endpoint = "stub"
system = "a"

[[members]]
name = "b"
endpoint = "stub"
system = "b"

[[members]]
name = "judge"
endpoint = "stub"
system = "judge"
reads = ["a", "b"]
reading = "judge"
samples = 2
"""


def says(body: Mapping[str, Any]) -> Said:
    """The judge names b, wherever it stands; b is right, a is one off."""
    who, prompt = str(body["messages"][0]["content"]), prompt_of(body)
    if who == "judge":
        return Said("1" if prompt.index("b says") < prompt.index("a says") else "Reply 2.")
    number = int(prompt.split()[0])
    return Said(f"{who} says it is {number + (who != 'a')}.")


@pytest.fixture
def stub() -> Iterator[StubServer]:
    draw = random.Random(0)
    slow = StubServer(says, latency_s=lambda: draw.uniform(0.002, 0.01))
    with StubThread(slow) as served:
        yield served


@pytest.fixture
def folder(tmp_path: Path, stub: StubServer) -> Path:
    (tmp_path / "pool.toml").write_text(POOL.format(url=stub.base_url))
    with (tmp_path / "queries.jsonl").open("w") as file:
        for k in range(N_QUERIES):
            row = {"query_id": f"q{k}", "prompt": f"{k} + 1 =", "label": k + 1}
            file.write(json.dumps(row) + "\n")
    return tmp_path


def arguments(folder: Path, database: str = "answers.db") -> list[str]:
    files = [str(folder / "pool.toml"), str(folder / "queries.jsonl")]
    return ["collect", *files, "--db", str(folder / database)]


def test_from_a_pool_with_readers_to_a_data_folder_and_back(
    run: Run, folder: Path, stub: StubServer
) -> None:
    planned = json.loads(run(*arguments(folder), "--dry-run", "--json").out)
    assert (planned["n_calls"], planned["n_stored"]) == (N_CALLS * N_QUERIES, 0)
    assert stub.bodies == []
    done = json.loads(run(*arguments(folder), "--json").out)
    assert (done["n_answered"], done["n_unread"]) == (N_CALLS * N_QUERIES, 0)
    again = json.loads(run(*arguments(folder), "--json").out)
    assert (again["n_answered"], again["n_stored"]) == (0, N_CALLS * N_QUERIES)
    planned = json.loads(run(*arguments(folder), "--dry-run", "--json").out)
    assert (planned["n_calls"], planned["n_stored"]) == (0, N_CALLS * N_QUERIES)
    assert len(stub.bodies) == N_CALLS * N_QUERIES

    found = run("export", folder / "answers.db", "-o", folder / "data")
    assert found.code == 0
    assert "left out" not in found.err
    data = read_dataset(folder / "data")
    assert sorted(data.info.readers) == ["again", "judge"]
    judged = [row for row in data.responses.to_pylist() if row["member"] == "judge"]
    assert {row["score"] for row in judged} == {1.0}
    for row in judged:
        assert [shown[v] for shown, v in zip(row["shown"], row["verdicts"], strict=True)] == [
            "b", "b",
        ]  # fmt: skip
    assert run("import", "data", folder / "data", "--db", folder / "other.db").code == 0
    assert run("export", folder / "other.db", "-o", folder / "back").code == 0
    back = read_dataset(folder / "back")
    assert (back.digest(), back.info.readers) == (data.digest(), data.info.readers)
    lone = run("export", folder / "answers.db", "-o", folder / "lone", "--members", "a,judge")
    assert lone.code != 0
    assert "member 'judge' reads 'b', which is not to be exported; name 'b', too" in lone.err
    assert not (folder / "lone").exists()

    shown = " ".join(run("inspect", folder / "data").out.split())
    assert "again answers again after a and judge, seeing its own first answer (again-first)" in (
        shown
    )
    assert "judge names the best of a and b" in shown
    found = json.loads(run("inspect", folder / "data", "--json").out)
    assert found["readers"]["judge"] == {"reads": ["a", "b"], "first": None, "reading": "judge"}
    some = json.loads(run("inspect", folder / "data", "--members", "a,b", "--json").out)
    assert "readers" not in some
    wrong = run("inspect", folder / "data", "--members", "a,judge")
    assert wrong.code != 0
    assert "'judge' reads 'b', which is not among them; name 'b', too" in wrong.err


def test_readers_without_those_whom_they_read_are_refused_before_any_call(
    run: Run, folder: Path, stub: StubServer
) -> None:
    found = run(*arguments(folder), "--members", "judge,a")
    assert found.code != 0
    assert "member 'judge' reads 'b', who is not among those to be asked" in found.err
    assert stub.bodies == []
    assert run(*arguments(folder), "--members", "judge,a,b", "--json").code == 0
    assert len(stub.bodies) == 4 * N_QUERIES


@pytest.mark.usefixtures("interruptible")
@pytest.mark.slow
def test_killed_four_times_it_ends_up_as_if_nothing_had_been(
    run: Run, folder: Path, stub: StubServer
) -> None:
    assert run(*arguments(folder, "whole.db"), "--json").code == 0
    stub.answered.clear()
    command = [sys.executable, "-c", PROGRAM, *arguments(folder), "--concurrency", "4"]
    draw, n_before = random.Random(1), 0
    for _ in range(4):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        most, deadline = n_before + draw.randint(30, 75), time.monotonic() + 240
        while stub.answered.total() < most and time.monotonic() < deadline:
            time.sleep(0.002)
        assert process.poll() is None, "it should be in the middle of its work"
        process.send_signal(signal.SIGKILL)
        process.wait(60)
        n_before = stub.answered.total()
    subprocess.run(command, check=True, capture_output=True, timeout=300)
    with open_database(folder / "answers.db") as one, open_database(folder / "whole.db") as two:
        assert content_digest(one) == content_digest(two)
    assert 0 <= stub.answered.total() - N_CALLS * N_QUERIES <= 4 * 4
