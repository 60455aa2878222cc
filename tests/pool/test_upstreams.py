"""The habits of real servers collected beside the checkout: each comes out as is written there."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import random
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from rlfocal.errors import Failure, MemberError
from rlfocal.pool import Message, OpenAIEndpoint, Request, Response, Retrying
from rlfocal.records.answers import extractor

pytestmark = pytest.mark.shared
TOOLS = [{"type": "function", "function": {"name": name}} for name in ("f", "g")]
LONG_WAITS = {"r429_reset_groq": 432.0, "r429_long": 86_400.0}
KINDS = {
    "error": None,
    "empty": Failure.EMPTY,
    "filtered": Failure.FILTERED,
    "rate limited": Failure.RATE_LIMITED,
    "server error": Failure.SERVER_ERROR,
    "unreachable": Failure.UNREACHABLE,
    "error: broken off": Failure.UNREACHABLE,
    "out of credit": Failure.OUT_OF_CREDIT,
    "unauthorised or blocked": Failure.UNAUTHORISED,
    "unknown model or address": Failure.UNKNOWN_MODEL,
    "bad request": Failure.BAD_REQUEST,
    "error that names the new address": Failure.MALFORMED,
}
WORDS = {
    "r429_quota": "exceeded your current quota",
    "r403_html": "Attention Required",
    "r405": "Method Not Allowed",
    "r400_context": "maximum context length",
    "r413": "413",
    "sse_error_mid": "overloaded",
    "sse_error_event": "Overloaded",
    "sse_error_plain": "Internal Server Error",
    "sse_json_error": "bad",
    "redirect": "/ok/v1/chat/completions",
    "redirect_slash": "/ok/v1/chat/completions/",
}


@pytest.fixture(scope="module")
def outcomes(shared_data: Path) -> Mapping[tuple[str, str], Any]:
    """(case, form) → (what came of it, times it was asked, what was told on the way)."""
    folder = shared_data.parent / "upstreams"
    expected = json.loads((folder / "expected.json").read_text())
    found: dict[tuple[str, str], Any] = {}

    async def no_wait(seconds: float) -> None:
        await asyncio.sleep(0)

    async def one(fake: Any, case: str, form: str, port: int, at_once: asyncio.Semaphore) -> None:
        told: list[str] = []
        listen = told.append if form.startswith("stream") else None
        extra = {"tools": TOOLS} if case.startswith("tc") else {}
        request = Request(
            (Message("user", "8 + 9?"),), "m", 64, 0.0, seed=1, on_text=listen, extra=extra,
            logprobs=form.endswith("logprobs"),
        )  # fmt: skip
        base = OpenAIEndpoint(f"http://127.0.0.1:{port}/{case}/v1", key="sk-0123456789abcdef")
        async with at_once, Retrying(base, rng=random.Random(0), sleep=no_wait) as endpoint:
            before = fake.COUNTS.get(case, 0)
            try:
                out: Response | MemberError = await endpoint.send(request, timeout_s=100_000)
            except MemberError as exc:
                out = exc
            found[case, form] = (
                out,
                fake.COUNTS[case] - before,
                told,
                expected[case][form.split()[0]],
            )

    async def go(form: str) -> None:
        fake = load(folder / "fake.py")  # one for each form: it counts how often it was asked
        server = await fake.start()
        port, at_once = server.sockets[0].getsockname()[1], asyncio.Semaphore(8)
        await asyncio.gather(*(one(fake, case, form, port, at_once) for case in expected))
        server.close()
        await asyncio.sleep(0.01)

    async def all_forms() -> None:
        # Who reads no log-probabilities loses nothing where others do, and asks no server twice.
        forms = ("plain", "stream", "plain logprobs", "stream logprobs")
        await asyncio.gather(*map(go, forms))

    asyncio.run(asyncio.wait_for(all_forms(), 240))
    return found


def load(path: Path) -> Any:
    """A module of a file, anew."""
    spec = importlib.util.spec_from_file_location("fake_upstreams", path)
    assert spec is not None
    assert spec.loader is not None
    fake = importlib.util.module_from_spec(spec)
    sys.dont_write_bytecode = True
    spec.loader.exec_module(fake)
    return fake


def test_every_case_comes_out_as_expected(outcomes: Mapping[tuple[str, str], Any]) -> None:
    wrong = {
        (case, form): (outcome[3], str(outcome[0]), why)
        for (case, form), outcome in outcomes.items()
        if (why := misses(case, *outcome))
    }
    assert wrong == {}
    assert len(outcomes) >= 4 * 147


def misses(case: str, out: Any, n_asked: int, told: list[str], expected: str) -> str:
    """What is not as expected; empty where all is."""
    if expected.startswith(("17", "calls", "no answer")):
        return misses_reply(out, n_asked, told, expected)
    return misses_error(case, out, n_asked, told, expected)


def misses_reply(out: Any, n_asked: int, told: list[str], expected: str) -> str:
    if not isinstance(out, Response):
        return "no reply"
    if told and "".join(told) != out.text:
        return f"told {told}"
    if expected.startswith("calls"):
        wanted = json.loads(expected.removeprefix("calls ").partition(" with")[0])
        found = [
            [c["function"]["name"], json.loads(c["function"]["arguments"])] for c in out.tool_calls
        ]
        is_distinct = len({c["id"] for c in out.tool_calls}) == len(found)
        return "" if found == wanted and is_distinct else f"calls {found}"
    if "after a repeat" in expected and n_asked < 2:
        return "not repeated"
    answer = extractor("number").extract(out.text)
    if expected == "no answer":
        return "" if answer is None else f"answer {answer}"
    return "" if answer == "17" else f"answer {answer}"


def misses_error(case: str, out: Any, n_asked: int, told: list[str], expected: str) -> str:
    if not isinstance(out, MemberError):
        return "no error"
    kind = KINDS[expected.partition(",")[0]]
    if kind is not None and out.failure is not kind:
        return f"failure {out.failure}"
    is_meant = re.search(r"(?<!not )repeated", expected) is not None
    if is_meant and not (n_asked > 1 or (told and out.failure.passes)):  # half of one was told
        return "not repeated"
    if "not repeated" in expected and n_asked > 1:
        return f"asked {n_asked} times"
    if case in LONG_WAITS and out.retry_after_s != LONG_WAITS[case]:
        return f"waits {out.retry_after_s}"
    return "" if WORDS.get(case, "") in str(out) else "its words are missing"
