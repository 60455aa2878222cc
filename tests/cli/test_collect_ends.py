"""However `rlfocal collect` ends, nothing that was paid for is lost: signals, disks, limits."""

from __future__ import annotations

import asyncio
import json
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from aiohttp import web

from rlfocal.pool.stub import StubServer, StubThread
from rlfocal.records.database import Database, open_database

if TYPE_CHECKING:
    from conftest import Run

N = 60
PROGRAM = "from rlfocal.cli.main import main; main()"
FULL = """
import sqlalchemy as sa
from rlfocal.records.database import Database
def full(database):
    # Of every connection made from now on, as a disk that is full for everybody.
    engine = database.connections.engine
    @sa.event.listens_for(engine, "checkout")
    def limit(connection, record, proxy):
        connection.execute(f"PRAGMA max_page_count = {LIMIT}")
before = Database.__enter__
def enter(database):
    full(database)
    return before(database)
Database.__enter__ = enter
"""


def make(folder: Path, url: str, *, concurrency: int = 4, n: int = N) -> list[str]:
    (folder / "pool.toml").write_text(
        f'[endpoints.stub]\nbase_url = "{url}"\nconcurrency = {concurrency}\n'
        "[prices.m]\nprompt = 1\ncompletion = 2\n"
        '[[members]]\nname = "ann"\nendpoint = "stub"\nmodel = "m"\n'
    )
    rows = [{"query_id": f"q{k}", "prompt": f"2 + 2 = ({k})", "label": "4"} for k in range(n)]
    (folder / "queries.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    files = [str(folder / "pool.toml"), str(folder / "queries.jsonl")]
    return ["collect", *files, "--db", str(folder / "answers.db"), "--json"]


def start(command: list[str], program: str = PROGRAM) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", program, *command], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


def n_stored(folder: Path) -> int:
    with open_database(folder / "answers.db") as database:
        return database.spent().n_calls


def wait_for(stub: StubServer, n: int) -> None:
    deadline = time.monotonic() + 240
    while len(stub.bodies) < n and time.monotonic() < deadline:
        time.sleep(0.005)
    assert len(stub.bodies) >= n


@pytest.mark.slow
@pytest.mark.usefixtures("interruptible")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_lets_calls_under_way_come_back(
    tmp_path: Path, run: Run, number: signal.Signals, code: int
) -> None:
    with StubThread(StubServer(lambda _: "It is 4.", latency_s=0.3)) as stub:
        command = make(tmp_path, stub.base_url)
        process = start(command)
        wait_for(stub, 10)  # some answered, and others under way
        process.send_signal(number)
        out, err = process.communicate(timeout=120)
        assert process.returncode == code
        assert b"waiting for calls under way" in err
        n_asked = len(stub.bodies)
        assert n_asked < N
        assert stub.answered.total() == n_asked == n_stored(tmp_path)
        done = json.loads(out)
        assert (done["n_answered"], done["n_attempted"]) == (n_asked, n_asked)
        assert done["stopped"] == ("terminated" if code == 143 else "interrupted")
        assert run(*command).code == 0
        assert len(stub.bodies) == N  # none was asked twice


@pytest.mark.slow
@pytest.mark.usefixtures("interruptible")
def test_a_second_signal_gives_calls_under_way_up(tmp_path: Path) -> None:
    with StubThread(StubServer(lambda _: "It is 4.", latency_s=60)) as stub:
        process = start(make(tmp_path, stub.base_url))
        wait_for(stub, 4)
        process.send_signal(signal.SIGTERM)
        assert process.stderr is not None
        while b"once more gives them up" not in process.stderr.readline():
            pass
        process.send_signal(signal.SIGTERM)
        out, _ = process.communicate(timeout=50)
        assert process.returncode == 143
        assert json.loads(out)["uncertain_cost_usd"] > 0  # nobody knows whether they will be billed


@pytest.mark.slow
def test_a_full_disk_stops_calls_and_loses_none_silently(tmp_path: Path, run: Run) -> None:
    with StubThread(StubServer(lambda _: "It is 4. " * 200, latency_s=0.02)) as stub:
        # A worker makes no call before its last reply is stored: one of each may be lost, no more.
        command = [*make(tmp_path, stub.base_url, n=200), "--concurrency", "4"]
        assert run(*command, "--dry-run").code == 0  # the tables are there
        with sqlite3.connect(tmp_path / "answers.db") as connection:
            [pages] = connection.execute("PRAGMA page_count").fetchone()
        # Queries take some, and the test for room is passed.
        program = FULL.replace("{LIMIT}", str(pages + 80)) + PROGRAM
        process = start(command, program)
        out, err = process.communicate(timeout=120)
        assert process.returncode == 2
        n_paid, stored = stub.answered.total(), n_stored(tmp_path)
        assert 0 < stored <= n_paid < 200
        done = json.loads(out)
        assert done["n_lost"] == n_paid - stored <= 4
        assert "the disk is full" in done["stopped"]
        said = err.decode()
        assert "the disk is full" in said
        assert "No further call was made" in said
        if done["n_lost"]:
            assert f"{done['n_lost']} replies that came ($" in said
        assert "Traceback" not in said
        assert run(*command).code == 0
        assert n_stored(tmp_path) == 200


def test_no_call_is_made_where_there_is_no_room(
    tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    from rlfocal.errors import DatabaseError

    def full(database: Database, n_bytes: int) -> None:
        raise DatabaseError("the disk is full")

    monkeypatch.setattr(Database, "reserve_room", full)
    with StubThread(StubServer(lambda _: "It is 4.")) as stub:
        ran = run(*make(tmp_path, stub.base_url))
        assert ran.code == 2
        assert "the disk is full" in ran.err
        assert ran.out == ""
        assert stub.bodies == []


class Limited:
    """A server that answers `n` calls in every `window_s`, in a thread of its own."""

    def __init__(self, n: int, window_s: float, headers: Mapping[str, str]) -> None:
        self.n, self.window_s, self.headers = n, window_s, headers
        self.at: list[float] = []
        self.n_refused = 0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    async def _answer(self, request: web.Request) -> web.Response:
        await request.read()
        now = time.monotonic()
        if sum(at > now - self.window_s for at in self.at) >= self.n:
            self.n_refused += 1
            error = {"error": {"message": "Slow down, quince."}}
            return web.json_response(error, status=429, headers=self.headers)
        self.at.append(now)
        message = {"role": "assistant", "content": "It is 4."}
        choice = {"index": 0, "finish_reason": "stop", "message": message}
        usage = {"prompt_tokens": 5, "completion_tokens": 3, "total_tokens": 8}
        return web.json_response({"choices": [choice], "usage": usage})

    async def _open(self) -> None:
        app = web.Application()
        app.router.add_post("/v1/chat/completions", self._answer)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        host, port = self._runner.addresses[0][:2]
        self.base_url = f"http://{host}:{port}/v1"

    def __enter__(self) -> Limited:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._open(), self._loop).result(60)
        return self

    def __exit__(self, *exc: object) -> None:
        asyncio.run_coroutine_threadsafe(self._runner.cleanup(), self._loop).result(60)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(60)
        self._loop.close()


@pytest.fixture(params=[{}, {"Retry-After": "2"}], ids=["silent", "telling"])
def limited(request: pytest.FixtureRequest) -> Iterator[Limited]:
    with Limited(5, 1.5, request.param) as server:
        yield server


@pytest.mark.slow
def test_under_a_rate_limit_it_ends_with_all_answers(
    tmp_path: Path, run: Run, limited: Limited
) -> None:
    ran = run(*make(tmp_path, limited.base_url, n=20))
    assert ran.code == 0
    done = json.loads(ran.out)
    assert (done["n_answered"], done["failures"], done["dropped"]) == (20, {}, {})
    assert len(limited.at) == 20
    assert limited.n_refused >= 3


def test_a_wait_beyond_all_patience_is_not_waited_for(tmp_path: Path, run: Run) -> None:
    with Limited(5, 1e9, {"Retry-After": "86400"}) as server:
        command = make(tmp_path, server.base_url, n=20)
        ran = run(*command)
        assert ran.code == 3
        done = json.loads(ran.out)
        assert done["n_answered"] == 5
        assert "Slow down, quince." in done["dropped"]["ann"]
        assert "24 h" in done["dropped"]["ann"]
        assert server.n_refused <= 4  # those that were under way together
        # The rest is not counted as failed: the same command asks it when there is room again.
        server.at.clear()
        done = json.loads(run(*command).out)
        assert done["n_answered"] == 5


@pytest.mark.slow
@pytest.mark.usefixtures("interruptible")
def test_a_signal_does_not_wait_for_a_rate_limit(tmp_path: Path) -> None:
    with Limited(5, 1e9, {"Retry-After": "300"}) as server:
        process = start(make(tmp_path, server.base_url, n=20))
        assert process.stderr is not None
        while b"its server limits the rate or is busy; waiting" not in process.stderr.readline():
            pass
        process.send_signal(signal.SIGTERM)
        out, _ = process.communicate(timeout=60)
        assert process.returncode == 143
        assert json.loads(out)["n_answered"] == n_stored(tmp_path) == 5
