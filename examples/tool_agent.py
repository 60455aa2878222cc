"""An agent whose every step is decided by an ensemble: the usual loop of OpenAI's client.

    python examples/tool_agent.py                    three stubs, each wrong in its own way
    python examples/tool_agent.py --pool pool.toml   yours: chat models, without a template that
                                                     asks for a number or a letter only

A gateway is started with the pool and no checkpoint, so nothing was trained. The agent books a
table: it looks up which are free, then books one. Booking changes something, so the request says
that it may only be called where the members are sure enough; else the reply is a question, and the
user (here: always yes) confirms.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import openai

from rlfocal.pool.stub import Said, StubServer, StubThread

BOOKED: list[dict[str, Any]] = []


def free_tables(day: str) -> list[dict[str, Any]]:
    """Tables that are free on a day."""
    return [{"table": 4, "seats": 2}, {"table": 7, "seats": 6}] if day == "Friday" else []


def book(table: int, day: str) -> str:
    """Book a table."""
    BOOKED.append({"table": table, "day": day})
    return "booked"


def tool(name: str, said: str, **properties: Any) -> dict[str, Any]:
    """A function in OpenAI's words."""
    schema = {"type": "object", "properties": properties, "required": list(properties)}
    return {
        "type": "function",
        "function": {"name": name, "description": said, "parameters": schema},
    }


DAY = {"type": "string", "enum": ["Thursday", "Friday", "Saturday"]}
TOOLS: Any = [
    tool("free_tables", "Tables that are free on a day.", day=DAY),
    tool("book", "Book a table.", table={"type": "integer"}, day=DAY),
]
CALLS: dict[str, Callable[..., Any]] = {"free_tables": free_tables, "book": book}
RULES = {"book": {"effect": "write", "least_confidence": 0.8, "below": "confirm"}}


def stub(body: Mapping[str, Any]) -> Said:
    """Three members: one writes its calls as text, one books too large a table, one is right."""
    arguments: dict[str, Any]
    n_results = sum(turn["role"] == "tool" for turn in body["messages"])
    if n_results == 2:
        return Said("Table 4 is booked for Friday.")
    if n_results == 0:
        name, arguments = "free_tables", {"day": "Friday"}
    else:
        table = 7 if body["model"] == "generous" else 4
        name, arguments = "book", {"table": table, "day": "Friday"}
    if body["model"] == "writer":
        return Said(f"[{name}({', '.join(f'{k}={v!r}' for k, v in arguments.items())})]")
    function = {"name": name, "arguments": json.dumps(arguments)}
    call = {"id": f"call_{n_results}", "type": "function", "function": function}
    return Said("", tool_calls=[call])


def called(name: str, arguments: Mapping[str, Any]) -> str:
    """What a call returns, as JSON, or what is wrong with it: members mend it when they are told.

    Where every member breaks what a function asks for, one such call comes with confidence 0.
    """
    try:
        return json.dumps(CALLS[name](**arguments))
    except (KeyError, TypeError) as exc:
        return f"error: {exc!r}"


@contextmanager
def gateway(pool: Path, folder: Path) -> Iterator[str]:
    """A gateway for everybody on this machine, and its address."""
    serve = [sys.executable, "-m", "rlfocal", "serve", str(pool), "--open", "--port", "0"]
    log = folder / "gateway.log"
    with (
        log.open("w") as said,
        subprocess.Popen([*serve, "--db", str(folder / "gateway.db")], stderr=said) as running,
    ):
        try:
            while (found := re.search(r"listening on (\S+)", log.read_text())) is None:
                if running.poll() is not None:
                    raise SystemExit(f"the gateway did not start:\n{log.read_text()}")
                time.sleep(0.1)
            yield found[1]
        finally:
            running.terminate()


def run(client: openai.OpenAI, question: str) -> str:
    """Ask, call what is called, and tell what it returned, until words alone come back."""
    turns: list[Any] = [{"role": "user", "content": question}]
    rules: dict[str, dict[str, Any]] = {name: dict(rule) for name, rule in RULES.items()}
    for _ in range(8):
        reply = client.chat.completions.create(
            model="rlfocal:0", messages=turns, tools=TOOLS, extra_body={"rlfocal": {"tools": rules}}
        )
        told = (reply.model_extra or {})["rlfocal"]
        said = reply.choices[0].message
        asked = ", ".join(one["member"] for one in told["members"])
        if said.tool_calls:
            turns.append(said.model_dump(exclude_none=True))
            for call in said.tool_calls:
                assert call.type == "function"
                print(f"{call.function.name}({call.function.arguments})   [{asked}]")
                result = called(call.function.name, json.loads(call.function.arguments))
                turns.append({"role": "tool", "tool_call_id": call.id, "content": result})
        elif told.get("held_back"):
            print(f"{said.content}\n  yes   [{asked}]")
            rules["book"]["confirmed"] = True  # asked again, it is called
        else:
            return said.content or ""
    return "too many steps"


def main() -> None:
    """Serve a pool, and let the agent work."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pool", type=Path, help="a pool file; without it stubs are asked")
    parser.add_argument("--question", default="Book a table for two on Friday.")
    options = parser.parse_args()
    with StubThread(StubServer(stub)) as served, tempfile.TemporaryDirectory() as scratch:
        pool = options.pool or Path(scratch) / "pool.toml"
        if options.pool is None:
            members = "".join(
                f'[[members]]\nname = "{name}"\nendpoint = "stub"\nmodel = "{name}"\n'
                for name in ("exact", "writer", "generous")
            )
            pool.write_text(f'[endpoints.stub]\nbase_url = "{served.base_url}"\n{members}', "utf-8")
        with gateway(pool, Path(scratch)) as url:
            client = openai.OpenAI(base_url=f"{url}/v1", api_key="none")
            print(run(client, options.question))
            print("booked:", BOOKED)


if __name__ == "__main__":
    main()
