"""Two gateways behind a balancer, one after the other ended and started again: nobody notices."""

from __future__ import annotations

import asyncio
import random
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import aiohttp
import httpx2
import pytest
from process import GatewayProcess, gateway_process
from serving import until
from stub_pool import pool_file, says
from tools import program

from rlfocal.gateway.store import open_store
from rlfocal.pool.stub import StubServer, StubThread

pytestmark = [
    pytest.mark.slow,
    pytest.mark.postgres,
    pytest.mark.parametrize("database_url", ["postgres"], indirect=True),
]
NOTICE_S = 3.5
LIMITS = f"notice_s = {NOTICE_S}\ndrain_s = 30\n"
PER_S = 25
_BALANCER = Path(__file__).resolve().parents[2] / "benchmarks" / "load" / "balancer.py"


@contextmanager
def round_robin(options: list[str], gateways: list[str], log: Path) -> Iterator[str]:
    port = free_port()
    with log.open("wb") as out:
        command = [sys.executable, str(_BALANCER), *options, str(port), *gateways]
        balancer = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT)
    try:
        url = f"http://127.0.0.1:{port}"
        until(lambda: answers(f"{url}/readyz"))
        yield url
    finally:
        balancer.send_signal(signal.SIGTERM)
        balancer.wait(30)


def answers(url: str) -> bool:
    try:
        return httpx2.get(url, timeout=5).status_code == 200
    except httpx2.HTTPError:
        return False


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


class Load:
    """Requests at a steady pace, whole and streamed, of one member and of all."""

    def __init__(self, url: str, key: str) -> None:
        self._url, self._headers = f"{url}/v1/chat/completions", {"Authorization": f"Bearer {key}"}
        self.ended: Counter[str] = Counter()
        """What became of them; "ok" of those that were answered."""
        self.by: Counter[str] = Counter()
        """Gateway → answered."""
        self.n_streamed = 0

    async def one(self, session: aiohttp.ClientSession, k: int) -> None:
        body: dict[str, Any] = {
            "model": ("plain", "rlfocal", "hasty")[k % 3],
            "messages": [{"role": "user", "content": f"{k} + {k % 7} ="}],
            "stream": k % 2 == 0,
        }
        try:
            async with session.post(self._url, json=body, headers=self._headers) as reply:
                text = await reply.text()
        except (aiohttp.ClientError, TimeoutError) as exc:
            self.ended[type(exc).__name__] += 1
            return
        whole = text.rstrip().endswith("data: [DONE]") if body["stream"] else text.startswith("{")
        if reply.status == 200 and whole and '"error"' not in text:
            self.ended["ok"] += 1
            self.by[reply.headers["x-backend"]] += 1
            self.n_streamed += body["stream"]
        else:
            self.ended[f"{reply.status}: {text[:200]}"] += 1

    async def during(self, work: AsyncIterator[None]) -> None:
        """Send for as long as something goes on, and half a second before and after."""
        timeout = aiohttp.ClientTimeout(total=60)
        async with aiohttp.ClientSession(timeout=timeout) as session, asyncio.TaskGroup() as group:
            over = asyncio.Event()

            async def steps() -> None:
                await asyncio.sleep(0.5)
                async for _ in work:
                    pass
                await asyncio.sleep(0.5)
                over.set()

            group.create_task(steps())
            k, began = 0, time.monotonic()
            while not over.is_set() and time.monotonic() - began < 240:
                group.create_task(self.one(session, k))
                k += 1
                await asyncio.sleep(max(0.0, began + k / PER_S - time.monotonic()))


@pytest.mark.parametrize("balancer", ["of Python", "haproxy"])
def test_a_rolling_restart_fails_nobody(
    balancer: str, trained_folder: Path, database_url: str, tmp_path: Path
) -> None:
    """HAProxy with the configuration of deploy/."""
    if balancer == "haproxy":
        program("haproxy")
    options = ["--haproxy"] if balancer == "haproxy" else []
    with open_store(database_url) as store, store.connections.write() as connection:
        key = store.keys.add(connection, "me", now=time.time()).plaintext
    limits, ports = tmp_path / "limits.toml", [free_port(), free_port()]
    limits.write_text(LIMITS, encoding="utf-8")
    draws = random.Random(4)
    stub = StubServer(says, latency_s=lambda: draws.choice((0.02, 0.05, 0.3, 1.2)))
    with ExitStack() as stack:
        stack.enter_context(StubThread(stub))
        pool = pool_file(tmp_path, stub.base_url)

        def start(number: int, turn: int) -> GatewayProcess:
            log = tmp_path / f"{number}-{turn}.log"
            return stack.enter_context(
                gateway_process(trained_folder, pool, database_url, log, limits, ports[number])
            )

        running = [start(0, 0), start(1, 0)]
        url = stack.enter_context(
            round_robin(options, [one.url for one in running], tmp_path / "balancer.log")
        )
        load = Load(url, key)

        async def restart() -> AsyncIterator[None]:
            for number in (0, 1):
                before = Counter(load.by)
                leaving = running[number]
                leaving.tell()
                await asyncio.sleep(0.3)
                told = await asyncio.to_thread(httpx2.get, f"{leaving.url}/readyz", timeout=5)
                # It says that it leaves, and answers whoever has not noticed.
                assert (told.status_code, told.json()) == (503, {"status": "leaving"})
                assert told.headers["connection"] == "close"
                assert await asyncio.to_thread(leaving.stop) in (0, -signal.SIGTERM)
                running[number] = await asyncio.to_thread(start, number, 1)
                end = time.monotonic() + 60
                while load.by[str(number)] <= before[str(number)] + PER_S:
                    assert time.monotonic() < end, "it is not asked again"
                    await asyncio.sleep(0.2)
                yield

        asyncio.run(load.during(restart()))
        said = "".join(one.said() for one in running)
    assert list(load.ended) == ["ok"], load.ended
    assert load.ended["ok"] > 200
    assert load.n_streamed > 80
    assert set(load.by) == {"0", "1"}
    assert "Traceback" not in said
    with open_store(database_url) as store, store.connections.read() as connection:
        rows = store.log.requests(connection, 10_000)
        assert {row.error for row in rows} == {None}
        assert len(rows) == load.ended["ok"]
