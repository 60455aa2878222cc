"""An upstream whose members know as much as they should, and break as they are told to.

`rlfocal.pool.stub.StubServer` in a process of its own. Which member fails on which question, and
how, is laid down beforehand, so that accuracy can be reckoned for each number of failed members.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from multiprocessing.connection import Connection
from typing import Any, NamedTuple

from rlfocal.pool.stub import Fault, StubServer, prompt_of

_CONTEXT = multiprocessing.get_context("spawn")
_NUMBER = re.compile(r"question (\d+) ")
_NAME = re.compile(r"model-\d+")

LASTING = ("429", "500", "hang", "drip", "cut", "broken-json", "empty", "content-type")
"""Every way to break, whatever is tried again."""
PASSING = ("429", "500")
"""Those that are over when the request is sent again."""
RETRY_AFTER_S = 1


class Told(NamedTuple):
    """What a member does on one question."""

    kind: str
    lasts: bool
    """Else only the first attempt fails."""


class Delivered(NamedTuple):
    """What the upstream has counted."""

    replies: dict[str, int]
    """Prompt → times its reply was sent to the last byte."""
    n_under_way: int
    n_requests: int


Key = tuple[str, int]
"""A member's name and a question's number."""


def asked_of(prompt: str) -> Key:
    """Whom a prompt asks about what; a member's template names it, so that replies can be told."""
    number, name = _NUMBER.search(prompt), _NAME.search(prompt)
    if number is None or name is None:
        raise ValueError(f"neither question nor member in {prompt!r}")
    return name.group(), int(number.group(1))


def fault(kind: str) -> Fault:
    """As the stub takes it."""
    headers = {"Retry-After": str(RETRY_AFTER_S)} if kind == "429" else {}
    return Fault(kind, headers)


def _serve(
    pipe: Connection, answers: Mapping[Key, str], told: Mapping[Key, Told], latency_s: float
) -> None:
    """Say the address; say the counts after each message but the last, which ends it."""

    def answer(body: Mapping[str, Any]) -> str:
        return f"Answer: {answers[asked_of(prompt_of(body))]}"

    tried: Counter[Key] = Counter()

    def faults() -> Iterator[Fault | None]:
        while True:
            # The stub asks for a request's fault as soon as it has noted its body.
            key = asked_of(prompt_of(stub.bodies[-1]))
            tried[key] += 1
            plan = told.get(key)
            fails = plan is not None and (plan.lasts or tried[key] == 1)
            yield fault(plan.kind) if plan is not None and fails else None

    stub = StubServer(answer, latency_s=latency_s, faults=faults())

    async def run() -> None:
        async with stub:
            pipe.send(stub.base_url)
            while await asyncio.to_thread(pipe.recv) != "end":
                pipe.send(Delivered(dict(stub.answered), stub.n_under_way, len(stub.bodies)))

    asyncio.run(run())


class Faulty:
    """A context; the upstream runs while it is open.

    Args:
        answers: what each member answers to each question: an option's letter.
        told: who breaks, where, how.
        latency_s: of every reply.
    """

    def __init__(
        self, answers: Mapping[Key, str], told: Mapping[Key, Told], latency_s: float
    ) -> None:
        self._pipe, theirs = _CONTEXT.Pipe()
        args = (theirs, dict(answers), dict(told), latency_s)
        self._process = _CONTEXT.Process(target=_serve, args=args, daemon=True)
        self.base_url = ""

    def __enter__(self) -> Faulty:
        self._process.start()
        self.base_url = self._pipe.recv()
        return self

    def __exit__(self, *exc: object) -> None:
        self._pipe.send("end")
        self._process.join(10)

    def delivered(self) -> Delivered:
        """What it has counted so far."""
        self._pipe.send("counts")
        found: Delivered = self._pipe.recv()
        return found
