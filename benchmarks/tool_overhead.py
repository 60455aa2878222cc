"""What offering tools adds to the gateway's own time, request by request in turns.

    .venv/bin/python benchmarks/tool_overhead.py [--requests 200]

Four stub members answer a question by a number, which is the least work for a gateway, and the same
question with tools by a call; the gateway has seen no label. Plain requests and such with 1, 8 and
32 functions follow one another, so that all meet the same machine. The time is the gateway's own
(`overhead_ms`, without waiting for members), median; the ratio to plain requests has a 95 %
interval over requests. A request with tools should take at most 1.3 times the time of a plain one.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
from load import ensemble

from rlfocal.pool.stub import Said, StubServer, StubThread

MEMBERS, N_TOOLS, MOST = ("a", "b", "c", "d"), (1, 8, 32), 1.3


def tools(n: int) -> list[dict[str, Any]]:
    """So many functions, each of a few arguments, as agents offer them."""
    properties = {
        "path": {
            "type": "string",
            "description": "Where the file is, from the folder of the task.",
        },
        "first": {"type": "integer", "description": "The first line, from 1."},
        "lines": {"type": "integer", "description": "How many of them."},
        "how": {"type": "string", "enum": ["text", "bytes"], "description": "What is wanted."},
    }
    schema = {"type": "object", "properties": properties, "required": ["path"]}
    return [
        {
            "type": "function",
            "function": {
                "name": f"read_{k}", "description": "Read a part of a file.", "parameters": schema,
            },
        }
        for k in range(n)
    ]  # fmt: skip


def says(body: Mapping[str, Any]) -> Said:
    """A number, or where tools are offered a call."""
    if not body.get("tools"):
        return Said("The file has 120 lines.")
    arguments = json.dumps({"path": "notes.txt", "first": 100, "lines": 20})
    function = {"name": "read_0", "arguments": arguments}
    return Said("", tool_calls=[{"id": "c1", "type": "function", "function": function}])


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=200)
    parser.add_argument("--quick", action="store_true", help="a few requests: does it run?")
    options = parser.parse_args()
    n_requests = 5 if options.quick else options.requests
    kinds: dict[str, dict[str, Any]] = {"plain": {"rlfocal": {"answers": "number"}}}
    kinds |= {f"{n} tools": {"tools": tools(n)} for n in N_TOOLS}
    took: dict[str, list[float]] = {name: [] for name in kinds}
    with StubThread(StubServer(says)) as stub, tempfile.TemporaryDirectory() as scratch:
        pool = Path(scratch) / "pool.toml"
        pool.write_text(
            f'[endpoints.stub]\nbase_url = "{stub.base_url}"\n'
            + "".join(
                f'[[members]]\nname = "{m}"\nendpoint = "stub"\nmodel = "{m}"\n' for m in MEMBERS
            ),
            "utf-8",
        )
        with ensemble.serve(None, pool, Path(scratch)) as served, httpx2.Client() as client:
            for k in range(n_requests + 1):
                for name, more in kinds.items():
                    asked = [{"role": "user", "content": f"How many lines has file {k}?"}]
                    body = {"model": "rlfocal:0", "messages": asked, **more}
                    reply = client.post(served.chat, json=body, headers=served.headers, timeout=60)
                    if k:  # the first of each is not counted
                        took[name].append(reply.json()["rlfocal"]["overhead_ms"])
    rng = np.random.default_rng(0)
    drawn = rng.integers(n_requests, size=(2000, n_requests))
    plain = np.array(took["plain"])
    print(f"{n_requests} requests of each kind, {len(MEMBERS)} members\n")
    print("| request | own time, ms | beside plain [95 %] |\n|---|--:|--:|")
    missed = []
    for name, values in took.items():
        own = np.array(values)
        ratio = np.median(own) / np.median(plain)
        low, high = np.quantile(
            np.median(own[drawn], axis=1) / np.median(plain[drawn], axis=1), (0.025, 0.975)
        )
        print(f"| {name} | {np.median(own):.2f} | {ratio:.2f} [{low:.2f}, {high:.2f}] |")
        if ratio > MOST:
            missed.append(name)
    if missed:
        raise SystemExit(f"\nmissed: {', '.join(missed)} take more than {MOST} times as long")


if __name__ == "__main__":
    main()
