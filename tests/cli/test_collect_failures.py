"""What `rlfocal collect` prints of calls that failed, in both forms, and what it lists later."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from rlfocal.cli.output import console
from rlfocal.pool.stub import Fault, StubServer, StubThread

if TYPE_CHECKING:
    from conftest import Run

WORDS = "Budget of project 'quince' is used up, write to its owner and wait for an answer"


@pytest.fixture
def narrow(monkeypatch: pytest.MonkeyPatch) -> int:
    """As on a terminal of 80 columns."""
    monkeypatch.setattr(console, "PIPE_WIDTH", 80)
    return 80


def faulty(faults: Iterable[Fault | None]) -> StubThread:
    return StubThread(StubServer(lambda _: "It is 4.", faults=faults))


@pytest.fixture
def refusing() -> Iterator[StubServer]:
    """Refuses every second call of the first eight."""
    fault = Fault("400", message=WORDS)
    with faulty([fault, None] * 4) as stub:
        yield stub


def make(folder: Path, url: str, *, n: int = 8, more: str = "") -> list[str]:
    (folder / "pool.toml").write_text(
        f'[endpoints.stub]\nbase_url = "{url}"\nconcurrency = 1\nattempts = 1\n{more}\n'
        '[[members]]\nname = "ann"\nendpoint = "stub"\n'
    )
    rows = [{"query_id": f"q{k}", "prompt": f"2 + 2 = ({k})", "label": "4"} for k in range(n)]
    (folder / "queries.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    files = [str(folder / "pool.toml"), str(folder / "queries.jsonl")]
    return ["collect", *files, "--db", str(folder / "answers.db"), "--concurrency", "1"]


def unfolded(text: str) -> str:
    return " ".join(text.split())


def test_json_counts_failures_and_says_why(run: Run, tmp_path: Path, refusing: StubServer) -> None:
    ran = run(*make(tmp_path, refusing.base_url), "--json")
    assert ran.code == 3
    done: Mapping[str, Any] = json.loads(ran.out)
    assert (done["n_answered"], done["failures"]) == (4, {"bad-request": 4})
    [cause] = done["causes"]
    assert (cause["member"], cause["failure"]) == ("ann", "bad-request")
    assert (cause["n"], cause["status"]) == (4, 400)
    assert WORDS in cause["message"]
    assert "Traceback" not in ran.err


def test_the_table_fits_eighty_columns_and_says_why(
    run: Run, tmp_path: Path, refusing: StubServer, narrow: int
) -> None:
    ran = run(*make(tmp_path, refusing.base_url))
    assert ran.code == 3
    assert max(map(len, ran.out.splitlines())) <= narrow
    said = unfolded(ran.out)
    assert "failed now 4 (bad-request 4)" in said
    assert "ann: bad-request (status 400): 4 calls. The latest:" in said
    assert WORDS in said


@pytest.mark.parametrize("status", ["401", "402", "403"])
def test_a_member_that_was_given_up_is_named_with_the_reason(
    run: Run, tmp_path: Path, narrow: int, status: str
) -> None:
    with faulty([Fault(status, message="this key is no more")] * 99) as stub:
        command = make(tmp_path, stub.base_url)
        ran = run(*command)
        assert ran.code == 3
        assert max(map(len, ran.out.splitlines())) <= narrow
        assert "ann was given up" in unfolded(ran.out)
        assert "this key is no more" in unfolded(ran.out)
        assert len(stub.bodies) == 1
        done = json.loads(run(*command, "--retry-failed", "--json").out)
        assert "this key is no more" in done["dropped"]["ann"]
        assert len(stub.bodies) == 2


def test_failures_are_listed_from_the_database_alone(
    run: Run, tmp_path: Path, refusing: StubServer, narrow: int
) -> None:
    command = make(tmp_path, refusing.base_url)
    run(*command)
    (tmp_path / "pool.toml").unlink()
    listing = ["collect", "--failures", "--db", tmp_path / "answers.db"]
    ran = run(*listing)
    assert ran.code == 0
    assert max(map(len, ran.out.splitlines())) <= narrow
    assert "ann: bad-request (status 400): 4 calls without a reply." in unfolded(ran.out)
    assert "It happened 4 times (20" in unfolded(ran.out)
    assert WORDS in unfolded(ran.out)
    [found] = json.loads(run(*listing, "--json").out)["failures"]
    assert (found["member"], found["failure"], found["status"]) == ("ann", "bad-request", 400)
    assert (found["n_left"], found["n_failures"]) == (4, 4)
    assert found["first_at"] <= found["last_at"]
    assert WORDS in found["message"]
    assert json.loads(run(*listing, "--members", "ann", "--json").out)["failures"] == [found]


def test_what_was_answered_since_is_listed_as_such(
    run: Run, tmp_path: Path, refusing: StubServer
) -> None:
    command = make(tmp_path, refusing.base_url)
    run(*command)
    assert run(*command, "--retry-failed").code == 0
    listed = run("collect", "--failures", "--db", tmp_path / "answers.db", "--json")
    [found] = json.loads(listed.out)["failures"]
    assert (found["n_left"], found["n_failures"]) == (0, 4)


def test_without_failures_there_is_nothing_to_list(run: Run, tmp_path: Path) -> None:
    with faulty([]) as stub:
        assert run(*make(tmp_path, stub.base_url, n=1)).code == 0
    listing = ["collect", "--failures", "--db", tmp_path / "answers.db"]
    assert run(*listing).out == "no call has failed\n"
    assert json.loads(run(*listing, "--json").out) == {"failures": []}
    ran = run(*listing, "--members", "anne")
    assert ran.code == 2
    assert "unknown member 'anne'; did you mean 'ann'?" in ran.err


def test_an_export_of_failures_alone_says_where_they_are_listed(run: Run, tmp_path: Path) -> None:
    with faulty([Fault("400", message=WORDS)] * 2) as stub:
        assert run(*make(tmp_path, stub.base_url, n=2)).code == 3
    db, out = tmp_path / "answers.db", tmp_path / "data"
    ran = run("export", db, "-o", out)
    assert (ran.code, out.exists()) == (2, False)
    assert "nobody has answered any query (2 calls failed: rlfocal collect --failures" in ran.err
    assert f"--db {db})" in ran.err


def test_a_database_that_is_not_there_is_not_made(run: Run, tmp_path: Path) -> None:
    ran = run("collect", "--failures", "--db", tmp_path / "no.db")
    assert ran.code == 2
    assert "no such database" in ran.err
    assert not (tmp_path / "no.db").exists()


def test_what_is_missing_is_named(run: Run, tmp_path: Path) -> None:
    ran = run("collect", "--db", tmp_path / "a.db")
    assert ran.code == 2
    assert "the pool and the queries are missing" in ran.err
    ran = run("collect", tmp_path / "pool.toml", "--db", tmp_path / "a.db")
    assert ran.code == 2
    assert "the queries are missing" in ran.err
    assert not (tmp_path / "a.db").exists()


KEYED = 'key_env = "QUINCE_KEY"'


def test_planning_needs_no_key_and_says_that_a_run_would(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("QUINCE_KEY", raising=False)
    with faulty([]) as stub:
        command = make(tmp_path, stub.base_url, more=KEYED)
        ran = run(*command, "--dry-run", "--json")
        assert ran.code == 0
        planned = json.loads(ran.out)
        assert planned["n_calls"] == 8
        assert "QUINCE_KEY is not set" in planned["missing_keys"][0]
        assert "note: a real run would stop here: endpoint 'stub'" in ran.err
        ran = run(*command)
        assert ran.code == 2
        assert "QUINCE_KEY is not set" in ran.err
        assert stub.bodies == []
        monkeypatch.setenv("QUINCE_KEY", "a key of some length")
        ran = run(*command, "--dry-run", "--json")
        assert json.loads(ran.out)["missing_keys"] == []
        assert "note" not in ran.err.replace("note: open answers", "")
        assert run(*command).code == 0
