"""How a gateway ends: it says so first, where it is told to, and finishes what is under way."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import httpx2
import pytest
import uvicorn
from process import GatewayProcess, gateway_process
from serving import Served, until
from stub_pool import pool_file, says

from rlfocal.gateway.door.server import OPTIONS, OwnProcess
from rlfocal.gateway.settings import GatewaySettings
from rlfocal.gateway.store import open_store
from rlfocal.gateway.under_way import UnderWay
from rlfocal.pool.stub import StubServer, StubThread

Serve = Callable[..., Any]
Ask = Callable[..., httpx2.Response]


class Ending:
    """A server that has started, and the signals that it gets."""

    def __init__(self, notice_s: float) -> None:
        self.n_told = 0
        self.server = OwnProcess(
            uvicorn.Config(lambda: None, **OPTIONS),
            on_ready=lambda: None, notice_s=notice_s, on_leaving=self._told,
        )  # fmt: skip
        self.server.started = True

    def _told(self) -> None:
        self.n_told += 1

    def gets(self, *signals: int) -> bool:
        """Whether it ends now."""
        for one in signals:
            self.server.handle_exit(one, None)
        return asyncio.run(self.server.on_tick(1))


@pytest.mark.parametrize(
    ("notice_s", "signals", "ends", "n_told"),
    [
        (0.0, (signal.SIGTERM,), True, 0),
        (60.0, (signal.SIGTERM,), False, 1),
        (60.0, (signal.SIGTERM, signal.SIGTERM), True, 1),  # somebody insists
        (60.0, (signal.SIGTERM, signal.SIGINT), True, 1),
        (60.0, (signal.SIGINT,), True, 0),  # a person who waits
        (60.0, (signal.SIGINT, signal.SIGTERM), True, 0),
    ],
)
def test_sigterm_gives_notice_once(
    notice_s: float, signals: tuple[int, ...], ends: bool, n_told: int
) -> None:
    ending = Ending(notice_s)
    assert ending.gets(*signals) == ends
    assert ending.n_told == n_told


def test_it_ends_when_the_notice_is_over_and_before_it_has_started_at_once() -> None:
    ending = Ending(0.05)
    assert not ending.gets(signal.SIGTERM)
    time.sleep(0.06)
    assert ending.gets()
    early = Ending(60.0)
    early.server.started = False
    assert early.gets(signal.SIGTERM)


def test_one_that_leaves_says_so_and_answers_on(serve: Serve, ask: Ask) -> None:
    with serve() as (served, _):
        ready = httpx2.get(f"{served.url}/readyz", timeout=60)
        assert (ready.status_code, ready.json()) == (200, {"status": "ready"})
        assert "connection" not in ready.headers
        served.gateway.is_leaving = True
        ready = httpx2.get(f"{served.url}/readyz", timeout=60)
        assert (ready.status_code, ready.json()) == (503, {"status": "leaving"})
        for stream in (False, True):
            reply = ask(served, stream=stream)
            assert reply.status_code == 200
            # Its last on this connection: the next request goes to somebody else.
            assert reply.headers["connection"] == "close"
        assert httpx2.get(f"{served.url}/healthz", timeout=60).status_code == 200


def test_by_default_it_ends_as_soon_as_its_requests_have() -> None:
    assert GatewaySettings().notice_s == 0
    assert GatewaySettings().drain_s >= GatewaySettings().deadline_s


class Late:
    """A request under way in a thread."""

    def __init__(
        self,
        process: GatewayProcess | Served,
        key: str,
        headers: Mapping[str, str] = MappingProxyType({}),
        **fields: Any,
    ) -> None:
        self.reply: httpx2.Response | None = None
        self.error: httpx2.HTTPError | None = None
        self._args = process, {"Authorization": f"Bearer {key}", **headers}, fields
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        process, headers, fields = self._args
        body = {"model": "plain", "messages": [{"role": "user", "content": "3 + 4 ="}], **fields}
        try:
            self.reply = httpx2.post(
                f"{process.url}/v1/chat/completions",
                json=body, headers=headers, timeout=60,
            )  # fmt: skip
        except httpx2.HTTPError as exc:
            self.error = exc

    def end(self) -> Late:
        self._thread.join(60)
        return self


@pytest.mark.slow
def test_what_is_under_way_ends_if_it_can(trained_folder: Path, tmp_path: Path) -> None:
    db, limits = str(tmp_path / "g.db"), tmp_path / "limits.toml"
    limits.write_text("drain_s = 4\n", encoding="utf-8")
    with open_store(db) as store, store.connections.write() as connection:
        key = store.keys.add(connection, "me", now=time.time()).plaintext
    delays = iter([2.0, 2.0, 20.0])
    stub = StubServer(says, latency_s=lambda: next(delays))
    with StubThread(stub):
        pool = pool_file(tmp_path, stub.base_url)
        with gateway_process(trained_folder, pool, db, tmp_path / "log", limits) as process:
            quick = [Late(process, key, stream=stream) for stream in (False, True)]
            until(lambda: stub.n_under_way == 2)
            slow = Late(process, key)
            until(lambda: stub.n_under_way == 3)
            began = time.monotonic()
            process.stop()
            assert 2 < time.monotonic() - began < 20
    for one in quick:
        assert one.end().reply is not None
        assert one.reply is not None
        assert one.reply.status_code == 200
    assert "[DONE]" in quick[1].reply.text  # type: ignore[union-attr]
    # What could not is told so, and has its row.
    assert slow.end().reply is not None
    assert slow.reply is not None
    assert slow.reply.status_code == 503
    assert slow.reply.json()["error"]["code"] == "shutting_down"
    with open_store(db) as store, store.connections.read() as connection:
        rows = store.log.requests(connection, 10)
    assert sorted((row.status, row.error) for row in rows if row.error is None) == [(200, None)] * 2
    assert [(row.status, row.error) for row in rows if row.error] == [(503, "shutting_down")]
    assert len(rows) == 3


ENDS = {"whole": (False, {}), "stream": (True, {}), "kept": (False, {"Idempotency-Key": "one"})}


@pytest.mark.parametrize("how", ENDS)
def test_what_the_end_breaks_off_is_written_down_as_what_its_client_is_told(
    serve: Serve, how: str
) -> None:
    stream, headers = ENDS[how]
    with serve(stub={"latency_s": 60.0}) as (served, stub):
        late = Late(served, served.key, headers, stream=stream)
        until(lambda: stub.n_under_way == 1)
        (task, *_) = served.gateway.under_way._tasks
        task.get_loop().call_soon_threadsafe(served.gateway.break_off)
        reply = late.end().reply
        assert reply is not None
        assert (reply.status_code, reply.json()["error"]["code"]) == (503, "shutting_down")

        def rows() -> Any:
            with served.store.connections.read() as connection:
                return served.store.log.requests(connection, 10)

        until(lambda: len(rows()) == 1)
        assert [(row.status, row.error) for row in rows()] == [(503, "shutting_down")]
        metrics = httpx2.get(f"{served.url}/metrics", headers=served.headers, timeout=60).text
        counted = [line for line in metrics.splitlines() if "rlfocal_requests_total{" in line]
        assert counted == [
            'rlfocal_requests_total{error="shutting_down",model="plain",status="503"} 1.0'
        ]


def test_who_hung_up_before_the_end_has_hung_up() -> None:
    async def go() -> tuple[bool, bool]:
        under_way = UnderWay()

        async def work() -> None:
            try:
                await asyncio.sleep(60)
            finally:
                await asyncio.sleep(0)  # it takes a while to end

        gone, late = (asyncio.create_task(work()) for _ in range(2))
        for task in (gone, late):
            under_way.keep(task)
        await asyncio.sleep(0)
        gone.cancel()
        await under_way.end()
        assert gone.cancelled()
        assert late.cancelled()
        return under_way.was_broken_off(gone), under_way.was_broken_off(late)

    assert asyncio.run(go()) == (False, True)


@pytest.mark.slow
@pytest.mark.postgres
@pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
def test_a_password_is_not_told_where_there_are_no_keys(database_url: str, tmp_path: Path) -> None:
    pool = pool_file(tmp_path, "http://127.0.0.1:9/v1")
    command = [sys.executable, "-c", "from rlfocal.cli.main import main; main()", "serve"]
    done = subprocess.run(
        [*command, str(pool), "--db", database_url], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 2
    assert "holds no key" in done.stderr
    assert "sesame" not in done.stderr
