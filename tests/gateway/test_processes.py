"""Several processes, and processes that are killed: what they share is in the database."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle
from pathlib import Path
from typing import Any

import httpx2
import pytest
from process import GatewayProcess, gateway_process
from serving import until
from stub_pool import ACCURACY, pool_file, says

from rlfocal.gateway.store import KeyLimits, Store, open_store
from rlfocal.pool.stub import StubServer, StubThread

pytestmark = pytest.mark.slow
OPTIONS = ["0", "1", "2", "3"]
PRICES = "".join(f'\n[prices."{n}"]\nprompt = 1.0\ncompletion = 2.0\n' for n in ACCURACY)
FAST = "poll_s = 0.2\nleast_remembered = 5\nremember = 50\n"


@pytest.fixture
def pool(tmp_path: Path) -> Iterator[Path]:
    with StubThread(StubServer(says, latency_s=0.01)) as stub:
        path = pool_file(tmp_path, stub.base_url)
        path.write_text(path.read_text(encoding="utf-8") + PRICES, encoding="utf-8")
        yield path


@pytest.fixture
def start(
    trained_folder: Path, pool: Path, database_url: str, tmp_path: Path
) -> Callable[[str], Any]:
    (tmp_path / "limits.toml").write_text(FAST, encoding="utf-8")

    def begin(name: str) -> Any:
        log, limits = tmp_path / f"{name}.log", tmp_path / "limits.toml"
        return gateway_process(trained_folder, pool, database_url, log, limits)

    return begin


def add_key(store: Store, name: str, *, admin: bool = False, **limits: Any) -> str:
    with store.connections.write() as connection:
        made = store.keys.add(
            connection, name, now=time.time(), admin=admin, limits=KeyLimits(**limits)
        )
    return made.plaintext


def post(process: GatewayProcess, key: str, k: int, **extension: Any) -> httpx2.Response:
    body = {
        "model": "rlfocal",
        "messages": [{"role": "user", "content": f"Which remainder has {k} + {k % 7} by four?"}],
        "rlfocal": {"choices": OPTIONS, "task": "choices"} | extension,
    }
    url = f"{process.url}/v1/chat/completions"
    return httpx2.post(url, json=body, headers=bearer(key), timeout=30)


def judge(process: GatewayProcess, key: str, request_id: str, answer: str) -> httpx2.Response:
    body = {"id": request_id, "answer": answer}
    return httpx2.post(f"{process.url}/v1/feedback", json=body, headers=bearer(key), timeout=30)


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def figure(process: GatewayProcess, key: str, name: str) -> float:
    text = httpx2.get(f"{process.url}/metrics", headers=bearer(key), timeout=30).text
    return float(next(line for line in text.splitlines() if line.startswith(name)).split()[-1])


def test_two_processes_share_keys_budgets_feedback_and_statistics(
    start: Callable[[str], Any], database_url: str
) -> None:
    with open_store(database_url, busy_timeout_s=20) as store:
        admin = add_key(store, "admin", admin=True)
        poor = add_key(store, "poor", usd=0.004)
        with start("one") as one, start("two") as two:
            both = cycle([one, two])
            # Feedback goes to the process that has not answered.
            for k in range(8):
                reply = post(next(both), admin, k)
                assert reply.status_code == 200, reply.text
                judged = judge(next(both), admin, reply.json()["id"], "B")
                assert judged.status_code == 200, judged.text
                next(both)
            for process in (one, two):
                until(lambda p=process: figure(p, admin, "rlfocal_remembered") == 8)  # type: ignore[misc]
            # A budget is one, whoever spends it.
            with ThreadPoolExecutor(8) as pool:
                replies = list(
                    pool.map(lambda k: post(next(both), poor, k, max_usd=0.001), range(60))
                )
            spent = sum(r.json()["rlfocal"]["cost_usd"] for r in replies if r.status_code == 200)
            assert {r.status_code for r in replies} <= {200, 429}
            assert 0 < spent <= 0.004
            # A key that is revoked is so everywhere, after a moment.
            with store.connections.write() as connection:
                store.keys.revoke(connection, "poor", now=time.time())
            for process in (one, two):
                until(lambda p=process: post(p, poor, 1).status_code == 401)  # type: ignore[misc]


def test_nothing_acknowledged_is_lost_when_a_process_is_killed_under_load(
    start: Callable[[str], Any], database_url: str
) -> None:
    with open_store(database_url, busy_timeout_s=20) as store:
        admin = add_key(store, "admin", admin=True)
        bounded = add_key(store, "bounded", usd=1.0)
        acknowledged: list[str] = []
        costs: list[float] = []
        with start("killed") as first:
            stop = threading.Event()

            def load(worker: int) -> None:
                k = worker
                while not stop.is_set():
                    k += 16
                    try:
                        reply = post(first, bounded, k, max_usd=0.002)
                        if reply.status_code != 200:
                            continue
                        costs.append(reply.json()["rlfocal"]["cost_usd"])
                        judged = judge(first, bounded, reply.json()["id"], "B")
                        if judged.status_code == 200:
                            acknowledged.append(reply.json()["id"])
                    except httpx2.HTTPError:
                        return  # it was killed

            workers = [threading.Thread(target=load, args=(w,)) for w in range(16)]
            for worker in workers:
                worker.start()
            until(lambda: len(acknowledged) > 150, 60)
            first.kill()
            stop.set()
            for worker in workers:
                worker.join()
        with start("again") as second:
            with store.connections.read() as connection:
                kept = {row.request_id for row in store.log.feedback(connection, 100_000)}
                (use,) = [
                    u for u in store.keys.uses(connection, time.time()) if u.key.name == "bounded"
                ]
            assert set(acknowledged) <= kept
            # What was replied is paid for, or still held until its lease is over.
            assert use.spent_usd + use.held_usd >= sum(costs) - 1e-9
            assert post(second, bounded, 5, max_usd=0.002).status_code == 200
            remembered = figure(second, admin, "rlfocal_remembered")
            assert remembered == min(50, len(kept))
