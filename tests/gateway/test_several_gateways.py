"""Two processes on one database: rates, places and circuits are one, whoever is asked."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import cycle
from pathlib import Path
from typing import Any

import httpx2
import pytest
from process import GatewayProcess, gateway_process
from serving import until
from stub_pool import pool_file, says

from rlfocal.gateway.store import KeyLimits, open_store
from rlfocal.gateway.store.ledger import burst_of
from rlfocal.pool.stub import Fault, StubServer, StubThread

pytestmark = pytest.mark.slow
LIMITS = "poll_s = 0.2\ncircuit_failures = 4\ncircuit_cool_down_s = 600\n"
PER_MINUTE = 120


class Down:
    """Faults of a stub: 503 while it is down."""

    def __init__(self) -> None:
        self.is_down = False

    def __iter__(self) -> Iterator[Fault | None]:
        while True:
            yield Fault("503") if self.is_down else None


def add_key(db: str, name: str, **limits: Any) -> str:
    with open_store(db, busy_timeout_s=20) as store, store.connections.write() as connection:
        made = store.keys.add(connection, name, now=time.time(), limits=KeyLimits(**limits))
    return made.plaintext


class Both:
    """Two gateways, and what stands behind them."""

    def __init__(self, ones: list[GatewayProcess], stub: StubServer, down: Down, db: str) -> None:
        self.ones, self.stub, self.down, self._db = ones, stub, down, db

    def add_key(self, name: str, **limits: Any) -> str:
        return add_key(self._db, name, **limits)

    def ask(self, which: int, key: str, model: str = "plain", **fields: Any) -> httpx2.Response:
        body = {"model": model, "messages": [{"role": "user", "content": "3 + 4 ="}], **fields}
        return httpx2.post(
            f"{self.ones[which].url}/v1/chat/completions",
            json=body, headers={"Authorization": f"Bearer {key}"}, timeout=60,
        )  # fmt: skip


@pytest.fixture
def both(trained_folder: Path, database_url: str, tmp_path: Path) -> Iterator[Callable[..., Any]]:
    @contextmanager
    def start(latency_s: float = 0.0) -> Iterator[Both]:
        limits, down = tmp_path / "limits.toml", Down()
        limits.write_text(LIMITS, encoding="utf-8")
        add_key(database_url, "first")  # without one no gateway starts
        stub = StubServer(says, latency_s=latency_s, faults=down)
        with StubThread(stub):
            pool, where = pool_file(tmp_path, stub.base_url), (database_url, tmp_path)
            logs = [tmp_path / f"{name}.log" for name in ("one", "two")]
            with (
                gateway_process(trained_folder, pool, where[0], logs[0], limits) as one,
                gateway_process(trained_folder, pool, where[0], logs[1], limits) as two,
            ):
                yield Both([one, two], stub, down, database_url)

    return start


def test_a_rate_and_places_are_those_of_the_key(both: Callable[..., Any]) -> None:
    with both(latency_s=0.4) as two:
        quick = two.add_key("quick", requests_per_minute=PER_MINUTE)
        began, burst = time.monotonic(), burst_of(PER_MINUTE)
        with ThreadPoolExecutor(16) as pool:
            turn = list(zip(range(60), cycle((0, 1)), strict=False))
            codes = list(pool.map(lambda k: two.ask(k[1], quick).status_code, turn))
        took_s = time.monotonic() - began
        assert set(codes) == {200, 429}
        # Of 60 that two gateways were asked, as many as one would let pass.
        assert burst <= codes.count(200) <= burst + took_s * PER_MINUTE / 60 + 1

        few = two.add_key("few", concurrency=3)
        two.stub.most_under_way = 0
        with ThreadPoolExecutor(16) as pool:
            codes = list(pool.map(lambda k: two.ask(k % 2, few).status_code, range(48)))
        assert 200 in codes
        assert two.stub.most_under_way <= 3
        # Several replies of one request are as many places for the other gateway, too.
        two.stub.most_under_way = 0
        with ThreadPoolExecutor(16) as pool:
            codes = list(pool.map(lambda k: two.ask(k % 2, few, n=2).status_code, range(48)))
        assert 200 in codes
        assert two.stub.most_under_way <= 2


def test_what_fails_at_one_gateway_costs_the_other_one_call(both: Callable[..., Any]) -> None:
    with both() as two:
        key = two.add_key("me")
        two.down.is_down = True
        for _ in range(6):
            two.ask(0, key)
        assert len(two.stub.bodies) == 4  # its own row of failures
        until(lambda: "fails at another gateway" in two.ones[1].said(), 10)
        codes = [two.ask(1, key).json()["error"]["code"] for _ in range(5)]
        assert len(two.stub.bodies) == 5
        assert set(codes[1:]) == {"member_circuit_open"}
        # Other members are asked as ever, and nobody else was told of this one's.
        two.down.is_down = False
        assert two.ask(1, key, "hasty").status_code == 200
