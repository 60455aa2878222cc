"""`rlfocal collect` and `export`: from queries to a data folder, whatever ends a run in between."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from stored import content_digest

from rlfocal.cli.main import main
from rlfocal.pool.stub import StubServer, StubThread, prompt_of
from rlfocal.records.database import open_database
from rlfocal.records.folders import read_dataset

N_QUERIES = 120
PROGRAM = "from rlfocal.cli.main import main; main()"


def counted(body: Mapping[str, Any]) -> str:
    return f"It is {len(prompt_of(body))}."


@pytest.fixture
def stub() -> Iterator[StubServer]:
    draw = random.Random(0)
    slow = StubServer(counted, latency_s=lambda: draw.uniform(0.005, 0.02))
    with StubThread(slow) as served:
        yield served


@pytest.fixture
def folder(tmp_path: Path, stub: StubServer) -> Path:
    """A pool of two members and queries whose answer is their prompt's length."""
    (tmp_path / "pool.toml").write_text(
        f'[endpoints.stub]\nbase_url = "{stub.base_url}"\nconcurrency = 4\n'
        '[[members]]\nname = "a"\nendpoint = "stub"\n'
        '[[members]]\nname = "b"\nendpoint = "stub"\nsystem = "Count."\n'
    )
    with (tmp_path / "queries.jsonl").open("w") as file:
        for k in range(N_QUERIES):
            prompt = f"How long is {'x' * k}?"
            file.write(json.dumps({"query_id": f"q{k}", "prompt": prompt, "label": len(prompt)}))
            file.write("\n")
    return tmp_path


def run(args: Sequence[str]) -> int | str | None:
    with pytest.raises(SystemExit) as left:
        main(args)
    return left.value.code


def arguments(folder: Path, database: str = "answers.db") -> list[str]:
    files = [str(folder / "pool.toml"), str(folder / "queries.jsonl")]
    return ["collect", *files, "--db", str(folder / database)]


def test_from_queries_to_a_data_folder(
    folder: Path, stub: StubServer, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([*arguments(folder), "--dry-run", "--json"]) == 0
    planned = json.loads(capsys.readouterr().out)
    assert (planned["n_calls"], planned["n_stored"]) == (2 * N_QUERIES, 0)
    assert planned["unpriced"] == ["a", "b"]
    assert stub.bodies == []
    assert run([*arguments(folder), "--json"]) == 0
    done = json.loads(capsys.readouterr().out)
    assert done["n_answered"] == 2 * N_QUERIES
    assert run(["export", str(folder / "answers.db"), "-o", str(folder / "data")]) == 0
    data = read_dataset(folder / "data")
    assert data.name == "data"
    assert data.members == ("a", "b")
    # The prompt "a" sees is the question alone, "b" has a system turn as well: both are right.
    assert data.responses["score"].to_pylist() == [1.0] * (2 * N_QUERIES)


@pytest.mark.usefixtures("interruptible")
@pytest.mark.slow
def test_killed_five_times_it_ends_up_as_if_nothing_had_been(
    folder: Path, stub: StubServer, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([*arguments(folder, "whole.db"), "--json"]) == 0
    asked_once = stub.answered.copy()
    assert set(asked_once.values()) == {2}  # by each of the two members
    stub.answered.clear()
    command = [sys.executable, "-c", PROGRAM, *arguments(folder), "--concurrency", "4"]
    draw, n_before = random.Random(1), 0
    for n_kills in range(1, 6):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        most, deadline = n_before + draw.randint(10, 40), time.monotonic() + 240
        while stub.answered.total() < most and time.monotonic() < deadline:
            time.sleep(0.002)
        assert process.poll() is None, "it should be in the middle of its work"
        process.send_signal(signal.SIGKILL)
        process.wait(60)
        n_before = stub.answered.total()
        with open_database(folder / "answers.db") as database:
            stored = database.spent().n_calls
        # Lost are at most the four calls that were under way each time.
        assert stored >= n_before - 4 * n_kills
    subprocess.run(command, check=True, capture_output=True, timeout=300)
    with open_database(folder / "answers.db") as one, open_database(folder / "whole.db") as two:
        assert content_digest(one) == content_digest(two)
        assert one.member_names() == two.member_names()
    paid_twice = stub.answered.total() - 2 * N_QUERIES
    assert 0 <= paid_twice <= 4 * 5


@pytest.mark.usefixtures("interruptible")
def test_ctrl_c_keeps_every_answer_that_came(folder: Path, stub: StubServer) -> None:
    command = [sys.executable, "-c", PROGRAM, *arguments(folder)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    deadline = time.monotonic() + 240
    while stub.answered.total() < 20 and time.monotonic() < deadline:
        time.sleep(0.002)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 130
    assert "waiting for calls under way" in err.decode()
    with open_database(folder / "answers.db") as database:
        assert database.spent().n_calls == stub.answered.total() < 2 * N_QUERIES
    assert run(arguments(folder)) == 0
    assert stub.answered.total() == 2 * N_QUERIES


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (["--members", "c"], "unknown member 'c'"),
        (["--max-usd", "1"], "nobody knows what these members cost: a, b"),
        (["--budget", "x"], "--budget NAME: a name under which --max-usd counts; give both"),
        (["--answers", "numbr"], "did you mean 'number'"),
        (["--samples", "2"], "temperature = 0"),
        (["--scorer", "none.py:f"], "is no file"),
    ],
)
def test_mistakes_are_named_before_anybody_is_asked(
    folder: Path,
    stub: StubServer,
    capsys: pytest.CaptureFixture[str],
    change: list[str],
    message: str,
) -> None:
    assert run([*arguments(folder), *change]) == 2
    assert message in capsys.readouterr().err
    assert stub.bodies == []


def test_an_unreachable_server_is_said_so_and_exits_3(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "pool.toml").write_text(
        '[endpoints.gone]\nbase_url = "http://127.0.0.1:9/v1"\nattempts = 1\n'
        '[[members]]\nname = "a"\nendpoint = "gone"\n'
    )
    assert run(arguments(folder)) == 3
    shown = capsys.readouterr().out
    assert "given up" in shown
    assert "connection refused" in shown


def test_queries_that_are_not_utf_8_are_named_by_line(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = folder / "queries.jsonl"
    path.write_bytes(path.read_bytes() + b'{"query_id": "q", "prompt": "\xff"}\n')
    assert run(arguments(folder)) == 2
    assert f"{path}:{N_QUERIES + 1}" in capsys.readouterr().err


def test_nothing_is_exported_from_a_database_that_is_not_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["export", str(tmp_path / "no.db"), "-o", str(tmp_path / "data")]) == 2
    assert "no such database" in capsys.readouterr().err


def test_a_named_budget_counts_what_earlier_runs_have_spent(
    folder: Path, stub: StubServer, capsys: pytest.CaptureFixture[str]
) -> None:
    pool = (folder / "pool.toml").read_text().replace("endpoint =", 'model = "m"\nendpoint =')
    (folder / "pool.toml").write_text(
        pool.replace("concurrency", "attempts = 1\nconcurrency")
        + "[prices.m]\nprompt = 1000\ncompletion = 1000\n"
    )
    # Of about a dollar a call is taken for a moment, and a cent or two is kept.
    command = [*arguments(folder), "--max-usd", "2", "--json", "--budget", "november"]
    assert run(command) == 3
    first = json.loads(capsys.readouterr().out)
    assert 0 < first["cost_usd"] < 2
    assert run(command) == 3
    again = json.loads(capsys.readouterr().out)
    assert "of others with the same cap" in again["stopped"]
    assert first["cost_usd"] + again["cost_usd"] <= 2
    assert again["n_answered"] <= 1


def test_a_large_export_is_written_in_parts_and_reads_the_same(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(arguments(folder)) == 0
    command = ["export", str(folder / "answers.db"), "-o"]
    assert run([*command, str(folder / "whole"), "--name", "x"]) == 0
    monkeypatch.setattr("rlfocal.cli.export._AT_ONCE", 100)
    capsys.readouterr()
    assert run([*command, str(folder / "parts"), "--name", "x"]) == 0
    said = " ".join(capsys.readouterr().err.split())
    assert said.endswith(f"{N_QUERIES} queries, 2 members, {2 * N_QUERIES} responses, in parts")
    assert read_dataset(folder / "parts").digest() == read_dataset(folder / "whole").digest()
    assert run([*command, str(folder / "lines"), "--format", "jsonl"]) == 0
    assert (folder / "lines" / "responses.jsonl").is_file()
    assert run([*command, str(folder / "parts")]) == 2
    assert run([*command, str(folder / "parts"), "--overwrite"]) == 0
