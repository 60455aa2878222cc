"""Open-loop load: requests leave when they are due, however slow the replies are.

    python benchmarks/load/sender.py PLAN.json RESULT.json

Latency counts from the moment at which a request was due, so a stall of the server shows in every
request that it held up, and in its length. Connections are kept alive; the requests of the warm-up
are sent as all others and not counted. `Plan` says what is in PLAN.json, `Result` what comes out.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import uvloop

_KEEP_ALIVE_S = 4.0
"""Less than uvicorn's five seconds, or a request could meet a connection that is being closed."""


@dataclass(frozen=True)
class Plan:
    """What to send."""

    url: str
    bodies: Sequence[Sequence[Mapping[str, Any]]]
    """Request k sends all of number k modulo their number at once, and waits for all."""
    rate: float
    """Requests a second."""
    count: int
    """Requests that are counted."""
    warm_up: int = 0
    """Requests before them."""
    even: bool = False
    """Evenly spaced; else as a Poisson process."""
    seed: int = 0
    """Draws the moments, and which requests get feedback."""
    headers: Mapping[str, str] = field(default_factory=dict)
    timeout_s: float = 60.0
    keep: bool = False
    """Whether replies come back in the result."""
    feedback_url: str = ""
    feedback_share: float = 0.0
    """Of the requests that were answered, so many are judged at once."""


@dataclass
class Result:
    """What came of the counted requests, in the order they were due."""

    due_s: list[float]
    """Since the first counted one."""
    late_ms: list[float]
    """How late each left: the sender's own fault."""
    latency_ms: list[float]
    status: list[int]
    """HTTP; 0 where there was no whole reply."""
    failure: list[str]
    """Of requests without a whole reply, what was met."""
    replies: list[str]
    """Empty unless kept."""
    n_feedback: int = 0
    n_feedback_failed: int = 0
    connections: int = 0
    """Opened."""


def arrivals(plan: Plan) -> list[float]:
    """Seconds from the start at which requests are due."""
    rng = random.Random(plan.seed)
    moments, now = [], 0.0
    for _ in range(plan.warm_up + plan.count):
        moments.append(now)
        now += 1 / plan.rate if plan.even else rng.expovariate(plan.rate)
    return moments


class Sender:
    """Sends a plan once."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._bodies = [[json.dumps(body).encode() for body in some] for some in plan.bodies]
        self._headers = {"Content-Type": "application/json", **plan.headers}
        n = plan.warm_up + plan.count
        self._late_ms, self._latency_ms = [0.0] * n, [0.0] * n
        self._status, self._failure, self._replies = [0] * n, [""] * n, [""] * n
        judged = random.Random(plan.seed + 1)
        self._judged = [judged.random() < plan.feedback_share for _ in range(n)]
        self._n_feedback = self._n_feedback_failed = self._connections = 0

    async def run(self) -> Result:
        """Send it all and wait for every reply."""
        moments = arrivals(self._plan)
        trace = aiohttp.TraceConfig()
        trace.on_connection_create_end.append(self._connected)
        connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=_KEEP_ALIVE_S)
        timeout = aiohttp.ClientTimeout(total=self._plan.timeout_s)
        async with aiohttp.ClientSession(
            connector=connector, timeout=timeout, headers=self._headers, trace_configs=[trace]
        ) as self._session:
            start = time.perf_counter() + 0.1
            tasks = []
            for number, moment in enumerate(moments):
                left = start + moment - time.perf_counter()
                if left > 0:
                    await asyncio.sleep(left)
                tasks.append(asyncio.create_task(self._send(number, start + moment)))
            await asyncio.gather(*tasks)
        first = self._plan.warm_up
        return Result(
            due_s=[moment - moments[first] for moment in moments[first:]],
            late_ms=self._late_ms[first:],
            latency_ms=self._latency_ms[first:],
            status=self._status[first:],
            failure=self._failure[first:],
            replies=self._replies[first:] if self._plan.keep else [],
            n_feedback=self._n_feedback,
            n_feedback_failed=self._n_feedback_failed,
            connections=self._connections,
        )

    async def _connected(self, *_: object) -> None:
        self._connections += 1

    async def _send(self, number: int, due: float) -> None:
        bodies = self._bodies[number % len(self._bodies)]
        self._late_ms[number] = 1000 * (time.perf_counter() - due)
        try:
            found = await asyncio.gather(*(self._post(self._plan.url, body) for body in bodies))
        except (aiohttp.ClientError, TimeoutError) as exc:
            self._failure[number] = type(exc).__name__
            self._latency_ms[number] = 1000 * (time.perf_counter() - due)
            return
        self._latency_ms[number] = 1000 * (time.perf_counter() - due)
        self._status[number] = max(status for status, _ in found)
        if self._plan.keep:
            self._replies[number] = found[0][1].decode(errors="replace")
        if self._judged[number] and self._status[number] == 200:
            await self._judge(number, found[0][1])

    async def _judge(self, number: int, reply: bytes) -> None:
        judged = {"id": json.loads(reply)["id"], "score": float(number % 3 > 0)}
        self._n_feedback += 1
        try:
            status, _ = await self._post(self._plan.feedback_url, json.dumps(judged).encode())
        except (aiohttp.ClientError, TimeoutError):
            status = 0
        self._n_feedback_failed += not 200 <= status < 300

    async def _post(self, url: str, body: bytes) -> tuple[int, bytes]:
        async with self._session.post(url, data=body) as response:
            return response.status, await response.read()


def main() -> None:
    """Read the plan, send it, write what came of it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("plan", type=Path)
    parser.add_argument("result", type=Path)
    given = parser.parse_args()
    plan = Plan(**json.loads(given.plan.read_text(encoding="utf-8")))
    result = uvloop.run(Sender(plan).run())
    given.result.write_text(json.dumps(asdict(result)), encoding="utf-8")


if __name__ == "__main__":
    main()
