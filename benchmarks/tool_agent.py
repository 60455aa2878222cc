"""An agent of 200 tasks whose members each fail in a way of their own, alone and as an ensemble.

    .venv/bin/python benchmarks/tool_agent.py [--tasks 200] [--seed 0]

Every task moves a meeting: the agent has to look it up, move it, and tell somebody, each by a call
of a tool, and then say that it is done. The tools are real functions of a small calendar; a task
succeeds where the calendar and the messages end as they should, and nothing else was changed. The
members are stubs behind the gateway, of made-up prices: one misreads the hour, one leaves out an
argument, one writes its calls as text, one stops halfway, one moves the meeting before it has
looked it up. How often, is drawn for each step from the seed.

The same loop of OpenAI's client runs with each member by its name and with the ensemble, which has
seen no label (`rlfocal serve` without a checkpoint). The table tells the share of tasks that
succeed, with a 95 % interval, calls of members and dollars a task, and tasks in which something was
written that should not have been.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import openai
from load import ensemble

from rlfocal.bench.statistics import bootstrap_means
from rlfocal.pool.stub import Said, StubServer, StubThread

MOST_STEPS = 8
PEOPLE, DAYS = ("ann", "bob", "eve", "kim", "lou"), ("Monday", "Tuesday", "Thursday", "Friday")
PRICES = {"hasty": 0.2, "forgetful": 0.4, "talker": 0.6, "quitter": 0.8, "rash": 1.0}
"""Member → dollars per million tokens."""
TOOLS: Any = [
    {
        "type": "function",
        "function": {
            "name": name,
            "description": said,
            "parameters": {
                "type": "object", "properties": properties, "required": list(properties),
                "additionalProperties": False,
            },
        },
    }
    for name, said, properties in (
        ("find_meeting", "The number of a meeting.", {"about": {"type": "string"}}),
        (
            "move_meeting", "Move a meeting.",
            {
                "number": {"type": "integer"},
                "day": {"type": "string", "enum": list(DAYS)},
                "hour": {"type": "integer"},
            },
        ),
        (
            "send_message", "Tell somebody something.",
            {"to": {"type": "string"}, "text": {"type": "string", "enum": ["moved", "cancelled"]}},
        ),
    )
]  # fmt: skip


class Task(NamedTuple):
    """One task."""

    number: int
    """Of the meeting."""
    topic: str
    who: str
    day: str
    hour: int

    @property
    def prompt(self) -> str:
        """As the user puts it."""
        when = f"{self.day}, {self.hour} o'clock"
        return f"Move the meeting about {self.topic} to {when}, and tell {self.who} so."


def tasks_of(n: int, seed: int) -> list[Task]:
    """So many tasks, each with another meeting."""
    rng = random.Random(seed)
    numbers = rng.sample(range(100, 100 + 10 * n), n)
    return [
        Task(number, f"plan {k}", rng.choice(PEOPLE), rng.choice(DAYS), rng.randint(8, 17))
        for k, number in enumerate(numbers)
    ]


class Calendar:
    """What the tools do."""

    def __init__(self, task: Task) -> None:
        self.task = task
        self.written: list[tuple[Any, ...]] = []

    def call(self, name: str, arguments: Mapping[str, Any]) -> str:
        """Run a call; what it returns, or what is wrong with it."""
        try:
            if name == "find_meeting":
                found = arguments["about"] == self.task.topic
                return str(self.task.number) if found else "no such meeting"
            row: tuple[Any, ...]
            if name == "move_meeting":
                row = (arguments["number"], arguments["day"], arguments["hour"])
            elif name == "send_message":
                row = (arguments["to"], arguments["text"])
            else:
                return f"error: no tool {name}"
        except KeyError as exc:
            return f"error: argument {exc} is missing"
        self.written.append((name, *row))
        return "done"

    @property
    def wanted(self) -> list[tuple[Any, ...]]:
        """What should have been written."""
        task = self.task
        moved = ("move_meeting", task.number, task.day, task.hour)
        return [moved, ("send_message", task.who, "moved")]


def right_step(task: Task, results: Sequence[str]) -> tuple[str, dict[str, Any]] | None:
    """The next call; None where all is done."""
    if not results:
        return "find_meeting", {"about": task.topic}
    if len(results) == 1:
        number = int(results[0]) if results[0].isdigit() else 0
        return "move_meeting", {"number": number, "day": task.day, "hour": task.hour}
    return ("send_message", {"to": task.who, "text": "moved"}) if len(results) == 2 else None


def says(body: Mapping[str, Any], by_prompt: Mapping[str, Task], seed: int) -> Said:
    """What a member says to a conversation: the right step, or its own fault."""
    member = str(body["model"])
    prompt = next(str(m["content"]) for m in body["messages"] if m["role"] == "user")
    results = [str(m["content"]) for m in body["messages"] if m["role"] == "tool"]
    good = [text for text in results if not text.startswith(("error", "no such"))]
    task = by_prompt[prompt]
    drawn = f"{seed} {member} {prompt} {len(results)}"
    fails = random.Random(hashlib.sha256(drawn.encode()).digest()).random()
    step = right_step(task, good)
    if step is None:
        return Said(f"Done: {task.day}, {task.hour} o'clock.")
    name, arguments = step
    if member == "hasty" and name == "move_meeting" and fails < 0.3:
        arguments["hour"] = arguments["hour"] % 12 + 8
    if member == "forgetful" and name != "find_meeting" and fails < 0.3:
        arguments.popitem()
    if member == "quitter" and name == "send_message" and fails < 0.35:
        return Said("I have moved the meeting.")
    if member == "rash" and name == "find_meeting" and fails < 0.3:
        name, arguments = "move_meeting", {"number": 1, "day": task.day, "hour": task.hour}
    if member == "talker":
        call = f"{name}({', '.join(f'{k}={v!r}' for k, v in arguments.items())})"
        if fails < 0.2:
            return Said(f"I will look into it; {task.who} should be told.")
        return Said(f"[{call}]")
    return Said("", tool_calls=[{
        "id": f"call_{len(results)}", "type": "function",
        "function": {"name": name, "arguments": json.dumps(arguments)},
    }])  # fmt: skip


class Ended(NamedTuple):
    """What became of a task."""

    succeeded: bool
    n_calls: int
    """Of members."""
    usd: float
    harm: bool
    """Whether something was written that should not have been."""


def run_task(client: openai.OpenAI, model: str, task: Task) -> Ended:
    """The loop of an agent, as everybody writes it."""
    calendar = Calendar(task)
    messages: list[Any] = [{"role": "user", "content": task.prompt}]
    n_calls, usd = 0, 0.0
    for _ in range(MOST_STEPS):
        try:
            reply = client.chat.completions.create(model=model, messages=messages, tools=TOOLS)
        except openai.APIStatusError:
            break
        told = (reply.model_extra or {})["rlfocal"]
        n_calls += len(told["members"])
        usd += told["cost_usd"] or 0.0
        said = reply.choices[0].message
        if not said.tool_calls:
            break
        messages.append(said.model_dump(exclude_none=True))
        for call in said.tool_calls:
            assert call.type == "function"
            try:
                given = json.loads(call.function.arguments)
                result = calendar.call(call.function.name, given)
            except ValueError:
                result = "error: arguments are no JSON"
            messages.append({"role": "tool", "tool_call_id": call.id, "content": result})
    wanted = calendar.wanted
    harm = any(row not in wanted for row in calendar.written)
    return Ended(calendar.written == wanted, n_calls, usd, harm)


def pool_text(url: str) -> str:
    """A pool of the members at a stub."""
    text = f'[endpoints.stub]\nbase_url = "{url}"\nattempts = 1\nconcurrency = 32\n'
    for name, price in PRICES.items():
        text += f'\n[[members]]\nname = "{name}"\nendpoint = "stub"\nmodel = "{name}"\n'
        text += f'\n[prices."{name}"]\nprompt = {price}\ncompletion = {4 * price}\n'
    return text


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--models", default=f"{','.join(PRICES)},rlfocal")
    parser.add_argument("--quick", action="store_true", help="ten tasks: does it run?")
    options = parser.parse_args()
    tasks = tasks_of(10 if options.quick else options.tasks, options.seed)
    by_prompt = {task.prompt: task for task in tasks}
    stub = StubServer(lambda body: says(body, by_prompt, options.seed))
    ended: dict[str, list[Ended]] = {}
    with StubThread(stub), tempfile.TemporaryDirectory() as scratch:
        pool = Path(scratch) / "pool.toml"
        pool.write_text(pool_text(stub.base_url), "utf-8")
        with ensemble.serve(None, pool, Path(scratch)) as served:
            key = served.headers["Authorization"].removeprefix("Bearer ")
            client = openai.OpenAI(base_url=f"{served.url}/v1", api_key=key, max_retries=0)
            for model in options.models.split(","):
                ended[model] = [run_task(client, model, task) for task in tasks]
    print(f"{len(tasks)} tasks, seed {options.seed}\n")
    print("| asked | tasks done % [95 %] | calls a task | dollars a thousand tasks | harm done |")
    print("|---|--:|--:|--:|--:|")
    for model, all_ in ended.items():
        done = np.array([[100.0 * one.succeeded] for one in all_])
        share = bootstrap_means(done, np.arange(len(all_))).mean(0)
        print(
            f"| {model} | {share.value:.1f} [{share.low:.1f}, {share.high:.1f}] "
            f"| {np.mean([one.n_calls for one in all_]):.2f} "
            f"| {1000 * np.mean([one.usd for one in all_]):.3f} "
            f"| {sum(one.harm for one in all_)} |"
        )


if __name__ == "__main__":
    main()
