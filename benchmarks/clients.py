"""Which client should ask members: our own, or the `openai` package with either transport.

    python benchmarks/clients.py [--seconds 3] [--rounds 12] [--quick] [--upstreams FOLDER]

Two questions. What a call costs: a stub in a process of its own answers at once, so that what is
measured is the client; whole replies and streams of 64 pieces, with 1 and with 16 calls in flight.
The clients take turns in an order drawn anew each round; medians over rounds, with 95 % intervals
from a bootstrap. How lenient each is: every habit of a folder of fake upstreams (../shared, where
it lies beside the checkout; else this column is left out), asked plain and streamed as each
library's manual has it, judged by the folder's `expected.json`. Habits that concern settings of a
request are left out: none of the clients is asked to change what was asked. Repeats are on, as each
library has them, without waits of more than a second.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib.util
import json
import multiprocessing
import random
import statistics
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import openai
from load.bare import serve_bare

from rlfocal.errors import Failure, MemberError
from rlfocal.pool.openai.client import OpenAIEndpoint
from rlfocal.pool.types import Message, Request
from rlfocal.pool.wrappers.retry import Retrying
from rlfocal.records.answers import extractor

UPSTREAMS = Path(__file__).resolve().parents[2] / "shared" / "upstreams"
KEY = "sk-0123456789abcdef"
SETTINGS = {"no_max_tokens", "no_temperature", "no_stream_options", "no_system", "no_model"}
"""Habits that concern what is asked and not what comes back."""
N_PIECES = 64
MODES = (("whole", 1), ("whole", 16), ("streamed", 1), ("streamed", 16))
OURS = "rlfocal"
TOOLS = [{"type": "function", "function": {"name": name}} for name in ("f", "g")]
TEXT = "The answer is seventeen, which is eight and nine, as anybody can count. " * 4


class Heard(NamedTuple):
    """What a user of a client has in hand after a call."""

    text: str = ""
    calls: Sequence[tuple[str, str, str]] = ()
    """(id, name, arguments)."""
    failure: str = ""
    """Kind of failure, in the words of `Failure`; empty where there is a reply."""
    words: str = ""


Ask = Callable[[str, bool, bool], Awaitable[Heard]]
"""(base_url, streamed, with tools) → what is heard."""


async def ask_ours(endpoint: OpenAIEndpoint | Retrying, streamed: bool, tools: bool) -> Heard:
    """One call of our client."""
    told: list[str] = []
    request = Request(
        (Message("user", "8 + 9?"),), "m", 256, on_text=told.append if streamed else None,
        extra={"tools": TOOLS} if tools else {},
    )  # fmt: skip
    try:
        reply = await endpoint.send(request, timeout_s=20)
    except MemberError as exc:
        return Heard(failure=exc.failure.value, words=str(exc))
    calls = [(c["id"], c["function"]["name"], c["function"]["arguments"]) for c in reply.tool_calls]
    return Heard(reply.text, calls)


async def ask_openai(client: openai.AsyncOpenAI, streamed: bool, tools: bool) -> Heard:
    """One call of the `openai` package."""
    asked: dict[str, Any] = {
        "model": "m", "max_tokens": 256, "temperature": 0.0,
        "messages": [{"role": "user", "content": "8 + 9?"}],
        **({"tools": TOOLS} if tools else {}),
    }  # fmt: skip
    try:
        if not streamed:
            choice = (await client.chat.completions.create(**asked)).choices[0]
            message, finish = choice.message, choice.finish_reason
        elif not tools:
            return await _pieces(client, asked)
        else:
            async with client.chat.completions.stream(**asked) as events:
                async for _ in events:
                    pass
                choice = (await events.get_final_completion()).choices[0]
            message, finish = choice.message, choice.finish_reason
    except openai.ContentFilterFinishReasonError as exc:
        return Heard(failure=Failure.FILTERED.value, words=str(exc))
    except openai.APIError as exc:
        return Heard(failure=_kind(exc), words=f"{exc} {exc.body}")
    except Exception as exc:  # what breaks within the library is heard, too
        return Heard(failure=f"broken: {type(exc).__name__}", words=str(exc))
    if finish == "content_filter":
        return Heard(failure=Failure.FILTERED.value)
    if message is None:  # the library does not check what comes
        return Heard(failure="broken: no message")
    called = message.tool_calls or ()
    calls = [(c.id, c.function.name, c.function.arguments) for c in called]
    text = message.content if isinstance(message.content, str) else ""
    return Heard(text, calls, "" if text or calls else Failure.EMPTY.value)


async def _pieces(client: openai.AsyncOpenAI, asked: dict[str, Any]) -> Heard:
    """The cheapest way to hear a stream: what is said is put together by hand."""
    texts, finish = [], None
    create: Any = client.chat.completions.create
    options = {"include_usage": True}
    async for piece in await create(**asked, stream=True, stream_options=options):
        for choice in piece.choices[:1]:
            texts.append(choice.delta.content or "")
            finish = choice.finish_reason or finish
    if finish == "content_filter":
        return Heard(failure=Failure.FILTERED.value)
    text = "".join(texts)
    return Heard(text, failure="" if text else Failure.EMPTY.value)


def _kind(exc: openai.APIError) -> str:
    status = getattr(exc, "status_code", None)
    if exc.code == "content_filter":
        return Failure.FILTERED.value
    if exc.code == "insufficient_quota":
        return Failure.OUT_OF_CREDIT.value
    if isinstance(exc, openai.APIConnectionError):
        return Failure.UNREACHABLE.value
    kinds = {401: "unauthorised", 403: "unauthorised", 404: "unknown-model", 429: "rate-limited"}
    if status is None or status >= 500 or status in (408, 409):
        return Failure.SERVER_ERROR.value
    return kinds.get(status, Failure.MALFORMED.value if status < 400 else "bad-request")


def openai_client(url: str, transport: str, repeats: int) -> openai.AsyncOpenAI:
    """The package's client, over its default transport or over aiohttp."""
    http = openai.DefaultAioHttpClient() if transport == "aiohttp" else None
    return openai.AsyncOpenAI(
        base_url=url, api_key=KEY, http_client=http, max_retries=repeats, timeout=20
    )


# --- What a call costs ---------------------------------------------------------------------------


def serve(pipe: Connection) -> None:
    """The stub, in a process of its own: answers at once, until it is ended."""
    usage = {"prompt_tokens": 9, "completion_tokens": 64, "total_tokens": 73}
    message = {"role": "assistant", "content": TEXT}
    whole = json.dumps(
        {"id": "c", "object": "chat.completion", "created": 1, "model": "m", "usage": usage,
         "choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}
    ).encode()  # fmt: skip
    step = -(-len(TEXT) // N_PIECES)
    pieces = [TEXT[i : i + step] for i in range(0, len(TEXT), step)]
    events = [_event({"index": 0, "delta": {"content": p}, "finish_reason": None}) for p in pieces]
    events.append(_event({"index": 0, "delta": {}, "finish_reason": "stop"}))
    events.append(_event(None, usage=usage) + b"data: [DONE]\n\n")
    head = b"HTTP/1.1 200 OK\r\nContent-Type: %s\r\n%s\r\n\r\n"
    said = head % (b"application/json", b"Content-Length: %d" % len(whole)) + whole
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(e), e) for e in events) + b"0\r\n\r\n"
    streamed = head % (b"text/event-stream", b"Transfer-Encoding: chunked") + chunks

    serve_bare(pipe, lambda body: streamed if b'"stream"' in body else said)


def _event(choice: Any, **more: Any) -> bytes:
    found = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    return (
        b"data: %s\n\n"
        % json.dumps({**found, "choices": [choice] if choice else [], **more}).encode()
    )


async def stretch(ask: Callable[[bool], Awaitable[Heard]], mode: str, n: int, s: float) -> float:
    """Milliseconds of the client's processor a call, over some seconds with n calls in flight."""
    ends, done = time.perf_counter() + s, 0

    async def one() -> None:
        nonlocal done
        while time.perf_counter() < ends:
            if (await ask(mode == "streamed")).text != TEXT:
                raise SystemExit(f"{mode}: a reply is not the one that was sent")
            done += 1

    before = time.process_time()
    await asyncio.gather(*(one() for _ in range(n)))
    return 1000 * (time.process_time() - before) / done


async def costs(url: str, rounds: int, seconds: float) -> dict[tuple[str, str], list[float]]:
    """(client, mode) → milliseconds a call, by round."""
    async with AsyncExitStack() as stack:
        ours = await stack.enter_async_context(OpenAIEndpoint(url, key=KEY))
        clients: dict[str, Callable[[bool], Awaitable[Heard]]] = {
            OURS: lambda streamed: ask_ours(ours, streamed, False)
        }
        for transport in ("aiohttp", "httpx2"):
            made = await stack.enter_async_context(openai_client(url, transport, 0))
            clients[f"openai, {transport}"] = lambda s, made=made: ask_openai(made, s, False)  # type: ignore[misc]
        for ask in clients.values():
            await stretch(ask, "whole", 2, seconds / 4)
        found: dict[tuple[str, str], list[float]] = {}
        rng = random.Random(0)
        for _ in range(rounds):
            for mode, n in MODES:
                for name in rng.sample(list(clients), len(clients)):
                    ms = await stretch(clients[name], mode, n, seconds)
                    found.setdefault((name, f"{mode}, {n} in flight"), []).append(ms)
        return found


def interval(values: Sequence[float], rng: np.random.Generator) -> tuple[float, float]:
    """95 % of the median, by a bootstrap."""
    drawn = rng.choice(np.asarray(values), size=(2000, len(values)))
    low, high = np.quantile(np.median(drawn, axis=1), [0.025, 0.975])
    return float(low), float(high)


# --- How lenient each is -------------------------------------------------------------------------

KINDS = {
    "empty": "empty", "filtered": "filtered", "rate limited": "rate-limited",
    "server error": "server-error", "unreachable": "unreachable",
    "error: broken off": "unreachable", "out of credit": "out-of-credit",
    "unauthorised or blocked": "unauthorised", "unknown model or address": "unknown-model",
    "bad request": "bad-request", "error that names the new address": "",
}  # fmt: skip


def is_right(heard: Heard, expected: str) -> bool:
    """Whether a user has in hand what was to be expected."""
    if expected.startswith("calls"):
        wanted = json.loads(expected.removeprefix("calls ").partition(" with")[0])
        try:
            found = [[name, json.loads(text)] for _, name, text in heard.calls]
        except (TypeError, ValueError):
            return False
        return found == wanted and len({i for i, _, _ in heard.calls}) == len(found)
    if expected.startswith(("17", "no answer")):
        answer = extractor("number").extract(heard.text)
        return not heard.failure and answer == ("17" if expected.startswith("17") else None)
    if expected == "error":
        return bool(heard.failure) and not heard.failure.startswith("broken: ")
    kind = KINDS[expected.partition(",")[0]]
    if not kind:
        return "/ok/v1" in heard.words
    return heard.failure == kind


async def leniency(folder: Path) -> Mapping[str, list[tuple[str, bool]]]:
    """Client → (habit and form, whether it got it right)."""
    spec = importlib.util.spec_from_file_location("fake_upstreams", folder / "fake.py")
    assert spec is not None
    assert spec.loader is not None
    fake = importlib.util.module_from_spec(spec)
    sys.dont_write_bytecode = True
    spec.loader.exec_module(fake)
    expected = json.loads((folder / "expected.json").read_text())
    habits = [(h, f) for h in expected for f in ("plain", "stream") if h not in SETTINGS]
    found: dict[str, list[tuple[str, bool]]] = {}
    for name in (OURS, "openai, aiohttp", "openai, httpx2"):
        server = await fake.start()
        port, at_once = server.sockets[0].getsockname()[1], asyncio.Semaphore(8)
        fake.COUNTS.clear()

        async def one(habit: str, form: str) -> tuple[str, bool]:
            url = f"http://127.0.0.1:{port}/{habit}/v1"  # noqa: B023 - awaited within the round
            tools, streamed = habit.startswith("tc"), form == "stream"
            async with at_once:  # noqa: B023
                if name == OURS:  # noqa: B023
                    base = OpenAIEndpoint(url, key=KEY)
                    async with Retrying(base, attempts=3, rng=random.Random(0)) as endpoint:
                        heard = await ask_ours(endpoint, streamed, tools)
                else:
                    async with openai_client(url, name.split()[-1], 2) as client:  # noqa: B023
                        heard = await asyncio.wait_for(ask_openai(client, streamed, tools), 60)
            return f"{habit}, {form}", is_right(heard, expected[habit][form])

        found[name] = await asyncio.gather(*(one(habit, form) for habit, form in habits))
        server.close()
    return found


def main() -> None:
    """Measure, and print both tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=3.0, help="of one stretch")
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--quick", action="store_true", help="2 rounds of 0.2 s, no habits")
    parser.add_argument("--upstreams", type=Path, default=UPSTREAMS)
    options = parser.parse_args()
    rounds, seconds = (2, 0.2) if options.quick else (options.rounds, options.seconds)
    near, far = multiprocessing.Pipe()
    stub = multiprocessing.get_context("spawn").Process(target=serve, args=(far,), daemon=True)
    stub.start()
    try:
        found = asyncio.run(costs(f"http://127.0.0.1:{near.recv()}/v1", rounds, seconds))
    finally:
        stub.terminate()
        stub.join()
    rng = np.random.default_rng(0)
    print(f"openai {openai.__version__}; processor time of the client a call, ms")
    for (name, mode), values in sorted(found.items(), key=lambda item: item[0][::-1]):
        low, high = interval(values, rng)
        print(f"| {mode} | {name} | {statistics.median(values):.2f} ({low:.2f} to {high:.2f}) |")
    if options.quick or not (options.upstreams / "fake.py").is_file():
        print("habits: left out")
        return
    for name, habits in asyncio.run(leniency(options.upstreams)).items():
        wrong = [habit for habit, right in habits if not right]
        print(f"| habits | {name} | {len(habits) - len(wrong)} of {len(habits)} |")
        print(f"wrong: {'; '.join(wrong) or 'none'}", file=sys.stderr)


if __name__ == "__main__":
    main()
