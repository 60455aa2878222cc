"""What a good key waits for its reply, in quiet and while others misbehave.

    python benchmarks/gateway_availability.py [--before SRC] [--seconds 20] [--only WORD] [--quick]

One key asks one member all the while, each time on a new connection, as a client without a pool
does. Meanwhile: nothing; bodies that never come, on 300 connections of a weak key (6 requests a
minute, one at a time); 1,500 idle connections without a key, opened anew (100 a second) as they
are closed; and streams that nobody reads, more than there are places. The gateway may open 1,024
files. Latency of a request that got no 200 counts as the time-out. Each begins on a gateway of its
own. --before names the folder src of another build. Exit code 1: some p95 is
above twice that in quiet, and above 50 ms more.
"""

from __future__ import annotations

import argparse
import http.client
import json
import shutil
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
from load import ensemble
from load.doors import Door, door, talkative
from load.figures import markdown, setting

PATH = "/v1/chat/completions"
TIMEOUT_S = 10.0
SLACK_MS = 50.0
"""Of a p95 of few milliseconds, twice is within the noise of a machine."""
WEAK = "usd = 0.01\nrequests_per_minute = 6\nconcurrency = 1\n"
LONG_TOKENS = 100_000
LIMITS = f"in_flight = 16\nmost_tokens = {LONG_TOKENS}\n"


@dataclass(frozen=True)
class Sizes:
    """How many of each."""

    bodies: int
    idle: int
    streams: int


def place_of(of: Door) -> tuple[str, int]:
    """Where it listens."""
    parts = urlsplit(of.server.url)
    return str(parts.hostname), int(parts.port or 0)


def head(of: Door, key: str, length: int) -> bytes:
    """Of a chat completion."""
    lines = [
        f"POST {PATH} HTTP/1.1", "Host: x", "Content-Type: application/json",
        f"Authorization: Bearer {of.keys[key]}", f"Content-Length: {length}", "", "",
    ]  # fmt: skip
    return "\r\n".join(lines).encode()


# What others do ------------------------------------------------------------------------------


@contextmanager
def held(n: int, opened: Callable[[], socket.socket]) -> Iterator[None]:
    """Keep so many connections, opened anew as they end."""
    socks: list[socket.socket] = []
    done = threading.Event()

    def more(count: int) -> None:
        for _ in range(count):
            with suppress(OSError):
                sock = opened()
                sock.setblocking(False)  # to look at one must not take its time-out
                socks.append(sock)

    def keep() -> None:
        more(n)
        while not done.wait(0.2):
            socks[:] = [sock for sock in socks if not is_over(sock)]
            more(min(20, n - len(socks)))

    thread = threading.Thread(target=keep)
    thread.start()
    try:
        time.sleep(2.0)
        yield
    finally:
        done.set()
        thread.join()
        for sock in socks:
            sock.close()


def is_over(sock: socket.socket) -> bool:
    """Whether the other side has closed it, or answered."""
    try:
        ended = bool(sock.recv(1, socket.MSG_DONTWAIT | socket.MSG_PEEK)) or True
    except BlockingIOError:
        return False
    except OSError:
        ended = True
    sock.close()
    return ended


def slow_bodies(of: Door, n: int) -> Any:
    """Heads of a weak key, and a byte."""

    def opened() -> socket.socket:
        sock = socket.create_connection(place_of(of), timeout=5)
        sock.sendall(head(of, "weak", 1000) + b"{")
        return sock

    return held(n, opened)


def idle(of: Door, n: int) -> Any:
    """Nothing at all."""
    return held(n, lambda: socket.create_connection(place_of(of), timeout=5))


@contextmanager
def unread(of: Door, n: int) -> Iterator[None]:
    """Streams of megabytes that nobody reads."""
    asked = {"role": "user", "content": f"Go on. <<{'w' * 4000} *1500>>"}
    own = {"deadline_ms": 5000}
    body = json.dumps(
        {"model": "model-1", "messages": [asked], "stream": True, "max_tokens": LONG_TOKENS,
         "rlfocal": own}
    ).encode()  # fmt: skip
    with ExitStack() as stack:
        for _ in range(n):
            sock = stack.enter_context(socket.socket())
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            sock.connect(place_of(of))
            sock.sendall(head(of, "reader", len(body)) + body)
            time.sleep(0.05)
        time.sleep(12.0)  # past their deadline
        yield


# What a good key sees ------------------------------------------------------------------------


def latencies(of: Door, seconds: float) -> list[float]:
    """Milliseconds of each request; of one that failed, the time-out."""
    host, port = place_of(of)
    body = json.dumps(ensemble.plain_body("model-1", 0)).encode()
    headers = {"Authorization": f"Bearer {of.keys['good']}", "Content-Type": "application/json"}
    found, ends = [], time.monotonic() + seconds
    while time.monotonic() < ends:
        began, status = time.perf_counter(), 0
        connection = http.client.HTTPConnection(host, port, timeout=TIMEOUT_S)
        with suppress(OSError, http.client.HTTPException):
            connection.request("POST", PATH, body, headers)
            reply = connection.getresponse()
            reply.read()
            status = reply.status
        connection.close()
        took = 1000 * (time.perf_counter() - began)
        found.append(took if status == 200 else 1000 * TIMEOUT_S)
        time.sleep(0.02 if status == 200 else 0.2)
    return found


def main() -> None:
    """Start all, measure, print, and say by the exit code whether the promise holds."""
    given = arguments()
    n = Sizes(60, 200, 12) if given.quick else Sizes(300, 1500, 20)
    attacks: dict[str, Callable[[Door], Any]] = {
        f"{n.bodies} bodies of a weak key that never come": lambda of: slow_bodies(of, n.bodies),
        f"{n.idle} idle connections without a key": lambda of: idle(of, n.idle),
        f"{n.streams} streams that nobody reads": lambda of: unread(of, n.streams),
    }
    limits = LIMITS.replace("= 16", "= 8") if given.quick else LIMITS
    keys = {"good": "admin = true\n", "weak": WEAK, "reader": ""}
    prlimit = [] if shutil.which("prlimit") is None else ["prlimit", "--nofile=1024:1024"]
    rows, missed, raw = [], 0, {}
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        data = ensemble.simulated((0.7, 0.65, 0.6), given.queries, seed=0)
        checkpoint = ensemble.train(folder, data, seed=0)
        upstream = stack.enter_context(talkative(folder))
        sources = {"now": None} if given.before is None else {"before": given.before, "now": None}
        for number, (what, attack) in enumerate(attacks.items()):
            if given.only not in what:
                continue
            for build, source in sources.items():
                own = folder / f"{build}-{number}"
                with door(
                    checkpoint,
                    upstream,
                    own,
                    keys,
                    limits=limits,
                    prefix=prlimit,
                    source=source,
                    max_tokens=LONG_TOKENS,
                ) as of:
                    latencies(of, 1.0)
                    quiet = latencies(of, given.seconds / 2)
                    with attack(of):
                        loud = latencies(of, given.seconds)
                raw[f"{what}, {build}"] = {"quiet": quiet, "loud": loud}
                (q50, q95), (l50, l95) = (
                    np.percentile(quiet, [50, 95]),
                    np.percentile(loud, [50, 95]),
                )
                held_ = l95 <= max(2 * q95, q95 + SLACK_MS)
                missed += build == "now" and not held_
                n_failed = sum(each >= 1000 * TIMEOUT_S for each in loud)
                rows.append(
                    {
                        "meanwhile": what, "build": build, "quiet p50, ms": f"{q50:.1f}",
                        "quiet p95, ms": f"{q95:.1f}", "p50, ms": f"{l50:.1f}",
                        "p95, ms": f"{l95:.1f}", "failed": f"{n_failed} of {len(loud)}",
                        "": "ok" if held_ else "MISSED" if build == "now" else "",
                    }
                )  # fmt: skip
                print(rows[-1], file=sys.stderr)
    print(markdown(rows))
    print(json.dumps(setting(("rlfocal", "uvicorn", "uvloop"), seconds=given.seconds)))
    if given.json is not None:
        given.json.write_text(json.dumps(raw), encoding="utf-8")
    sys.exit(missed > 0)


def arguments() -> argparse.Namespace:
    """From the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--before", type=Path, metavar="SRC", help="src of another build")
    parser.add_argument("--seconds", type=float, default=20.0, help="of each attack (20)")
    parser.add_argument("--queries", type=int, default=120, help="to train on (120)")
    parser.add_argument("--quick", action="store_true", help="few of each, and few places")
    parser.add_argument("--only", default="", metavar="WORD", help="of attacks that say so")
    parser.add_argument("--json", type=Path, metavar="FILE")
    return parser.parse_args()


if __name__ == "__main__":
    main()
