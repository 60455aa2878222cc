"""How long one request holds up everybody else: the gateway's event loop, and /healthz beside it.

    python benchmarks/gateway_stalls.py [--before SRC] [--repeats 3] [--quick] [--json FILE]

Each request is as large as the gateway takes, or has a member reply with as much as a member may.
It is sent to a gateway in a process of its own, whose loop beats every 2 ms. "loop" is the longest
pause between two beats, "busy" the CPU time of the loop's own thread in its longest one (which
other programs on the machine do not prolong), "/healthz" the slowest of replies asked for all the
while, "CPU" the whole process's. Medians of the repeats. --before names the folder src of another
build, which is measured in turn with this one. Exit code 1: some "busy" is above 100 ms.
"""

from __future__ import annotations

import argparse
import http.client
import json
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from load import ensemble
from load.doors import MOST_TOKENS, Door, door, talkative
from load.figures import markdown, setting

MOST_MS = 100.0
REPLY_BYTES = 7_900_000
MOST_BYTES = 1_000_000
"""As long a reply as `MOST_TOKENS` can be."""
KIND = "rlfocal:0"
LIMITS = "circuit_failures = 1000\n"
"""Else members whose replies are refused would not be asked again."""


class Seen(NamedTuple):
    """Of one request, in milliseconds."""

    cpu: float
    loop: float
    busy: float
    healthz: float
    took: float
    status: int


def asking(text: Any, model: str = KIND, **more: Any) -> dict[str, Any]:
    """A chat completion with one message."""
    message = {"role": "user", "content": text}
    return {"model": model, "messages": [message], "max_tokens": MOST_TOKENS, **more}


def _called(n: int) -> dict[str, Any]:
    function = {"name": "f", "arguments": "{}"}
    calls = [{"id": f"c{k}", "type": "function", "function": function} for k in range(n)]
    turns = [{"role": "user", "content": "1 + 1?"}, {"role": "assistant", "tool_calls": calls}]
    return asking("And then?", "model-1") | {"messages": [*turns, *asking("And?")["messages"]]}


def _says(unit: str, kind: str, n_bytes: int = REPLY_BYTES, **more: Any) -> dict[str, Any]:
    said = f"What is it? <<{unit}*{n_bytes // len(unit)}>>"
    return asking(said, rlfocal={"answers": kind, "deadline_ms": 60_000}, **more)


def requests() -> dict[str, dict[str, Any]]:
    """What is sent, by what it is."""
    parts = [{"type": "text", "text": "w"} for _ in range(30_000)]
    bias = {str(k): 1 for k in range(80_000)}
    unknown = {f"field_{k}": k for k in range(40_000)}
    words = " ".join(f"w{k:x}" for k in range(62_000))
    choices = {"choices": list(ensemble.OPTIONS)}
    options = [f"o{k} " + words[k * 14_000 : (k + 1) * 14_000] for k in range(26)]
    signs = [f"o{k} " + "(a) " * 3500 for k in range(26)]
    schema = {"type": "object", "properties": {f"p{k}": {"type": "string"} for k in range(11_000)}}
    shape = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
    tool = {"type": "function", "function": {"name": "f", "parameters": schema}}
    return {
        f"a prompt of {len(words) // 1000} kB, all words different": asking(words),
        "10,000 calls of tools in one message": _called(10_000),
        "40,000 unknown fields": {**asking("1 + 1?"), **unknown},
        "30,000 parts of one content": asking(parts),
        "80,000 entries of logit_bias": asking("1 + 1?", logit_bias=bias),
        "26 options of 14 kB": asking("Which?", rlfocal={"choices": options}),
        "26 options of 14 kB, '(a) (a) ...'": asking("Which?", rlfocal={"choices": signs}),
        "26 options of 2 kB": asking("Which?", rlfocal={"choices": [o[:2000] for o in options]}),
        "a response_format of 350 kB": asking("1 + 1?", response_format=shape),
        "tools of 350 kB": asking("1 + 1?", tools=[tool]),
        "64 replies to a prompt of 378 kB": asking(words[:378_000], "model-1", n=64),
        "replies of 1 MB: '1 1 1 ...', a number": _says("1 ", "number", MOST_BYTES),
        "replies of 1 MB: words, a number": _says("word ", "number", MOST_BYTES),
        "replies of 1 MB: words, a date": _says("word ", "date", MOST_BYTES),
        "replies of 1 MB: 'A A A ...', a choice": asking(
            f"Which? <<A *{MOST_BYTES // 2}>>", rlfocal=choices
        ),
        "replies of 1 MB in free words": _says("word ", "open", MOST_BYTES),
        "replies of 7.9 MB: words, a number": _says("word ", "number"),
        "a stream whose line of 7.9 MB does not end": asking(
            f"Go on. <<word *{REPLY_BYTES // 5} no line ends>>", "model-1", stream=True
        ),
        "a stream of 16,000 pieces": asking("Go on. <<word *16000>>", "model-1", stream=True),
    }


def beats(of: Door) -> Mapping[str, float]:
    """What its loop has seen since it was last asked."""
    with socket.create_connection(("127.0.0.1", of.beats), timeout=120) as sock:
        data = b""
        while part := sock.recv(4096):
            data += part
    found: Mapping[str, float] = json.loads(data)
    return found


@contextmanager
def knocking(of: Door) -> Iterator[list[float]]:
    """Ask for /healthz all the while; the slowest reply so far, in seconds."""
    worst, done = [0.0], threading.Event()
    place = urlsplit(of.server.url).netloc

    def knock() -> None:
        connection = http.client.HTTPConnection(place, timeout=180)
        while not done.wait(0.01):
            began = time.perf_counter()
            connection.request("GET", "/healthz")
            connection.getresponse().read()
            worst[0] = max(worst[0], time.perf_counter() - began)
        connection.close()

    thread = threading.Thread(target=knock)
    thread.start()
    try:
        time.sleep(0.3)
        worst[0] = 0.0
        yield worst
    finally:
        done.set()
        thread.join()


def seen(of: Door, body: bytes) -> Seen:
    """Send one request and watch."""
    connection = http.client.HTTPConnection(urlsplit(of.server.url).netloc, timeout=180)
    headers = {"Authorization": f"Bearer {of.keys['load']}", "Content-Type": "application/json"}
    connection.connect()
    with knocking(of) as worst:
        beats(of)
        worst[0] = 0.0
        began = time.perf_counter()
        connection.request("POST", "/v1/chat/completions", body, headers)
        reply = connection.getresponse()
        reply.read()
        took = time.perf_counter() - began
        time.sleep(0.1)
    found = beats(of)
    connection.close()
    return Seen(
        cpu=1000 * found["cpu_s"],
        loop=1000 * found["pause_s"],
        busy=1000 * found["busy_s"],
        healthz=1000 * worst[0],
        took=1000 * took,
        status=reply.status,
    )


def main() -> None:
    """Start all, measure, print, and say by the exit code whether the promise holds."""
    given = arguments()
    wanted = requests()
    if given.quick:
        wanted = dict(list(wanted.items())[:3])
    found: dict[str, dict[str, list[Seen]]] = {}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        data = ensemble.simulated((0.7, 0.65, 0.6), given.queries, seed=0)
        checkpoint = ensemble.train(folder, data, seed=0)
        upstream = stack.enter_context(talkative(folder))
        sources = {"now": None} if given.before is None else {"before": given.before, "now": None}
        keys = {"load": "admin = true\n"}
        built = {
            name: stack.enter_context(
                door(
                    checkpoint,
                    upstream,
                    folder / name,
                    keys,
                    limits=LIMITS,
                    source=source,
                    beating=True,
                )
            )
            for name, source in sources.items()
        }
        for what, body in wanted.items():
            for number in range(given.repeats):
                for name, of in built.items():
                    found.setdefault(what, {}).setdefault(name, []).append(
                        seen(of, json.dumps(body).encode())
                    )
                    print(f"{number + 1}: {what}, {name}", file=sys.stderr)
    rows, worst = [], 0.0
    for what, of_builds in found.items():
        for name, all_seen in of_builds.items():
            middle = {f: median(getattr(s, f) for s in all_seen) for f in Seen._fields}
            row = {"one request": what, "build": name}
            row |= {f"{f}, ms": f"{middle[f]:.0f}" for f in Seen._fields[:-1]}
            rows.append(row | {"status": f"{all_seen[-1].status}"})
            if name == "now":
                worst = max(worst, middle["busy"])
    said = "ok" if worst <= MOST_MS else "MISSED"
    print(markdown(rows))
    print(f"\nlongest the loop was busy at a stretch: {worst:.0f} ms of {MOST_MS:g} ms: {said}")
    print(json.dumps(setting(("rlfocal", "uvicorn", "uvloop"), repeats=given.repeats)))
    if given.json is not None:
        given.json.write_text(json.dumps(found), encoding="utf-8")
    sys.exit(worst > MOST_MS)


def arguments() -> argparse.Namespace:
    """From the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--before", type=Path, metavar="SRC", help="src of another build")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--queries", type=int, default=120, help="to train on (120)")
    parser.add_argument("--quick", action="store_true", help="three of the requests")
    parser.add_argument("--json", type=Path, metavar="FILE")
    return parser.parse_args()


if __name__ == "__main__":
    main()
