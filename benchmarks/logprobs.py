"""What it costs to ask for the log-probabilities of a reply's tokens: bytes, and processor time.

    python benchmarks/logprobs.py [--seconds 2] [--rounds 8] [--quick]

A stub in a process of its own answers at once, so that what is measured is our client: replies of
64 and of 512 tokens, whole and streamed a token a piece, as OpenAI and vLLM tell log-probabilities
(each token alone, with its bytes) and as llama.cpp does if it is not asked for one alone (20 likely
tokens beside each). The same client asks without, by which the others are compared; the kinds of
calls take turns in an order drawn anew each round. Medians over rounds, with 95 % intervals from a
bootstrap.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import random
import time
from multiprocessing.connection import Connection
from typing import Any

import numpy as np
from load.bare import serve_bare

from rlfocal.pool.openai.client import OpenAIEndpoint
from rlfocal.pool.types import Message, Request

LENGTHS = (64, 512)
TOLD = {"none": 0, "each token": 0, "20 beside each": 20}
"""What is told → likely tokens beside each one."""
WORDS = (" the", " answer", " is", " 17", ",", " since", " eight", " and", " nine")
_IN_FLIGHT = 4

Kind = tuple[int, bool, str]
"""Tokens, whether it is streamed, what is told."""


def _item(token: str, logprob: float) -> dict[str, Any]:
    return {"token": token, "logprob": logprob, "bytes": list(token.encode())}


def replies(n_tokens: int, told: str) -> tuple[bytes, bytes]:
    """A reply of so many tokens as bytes of HTTP: whole, and streamed."""
    rng = random.Random(n_tokens)
    words = [rng.choice(WORDS) for _ in range(n_tokens)]
    items = []
    for word in words:
        likely = [_item(rng.choice(WORDS), -20 * rng.random()) for _ in range(TOLD[told])]
        items.append({**_item(word, -3 * rng.random()), "top_logprobs": likely})

    def beside(part: list[dict[str, Any]]) -> dict[str, Any]:
        return {} if told == "none" else {"logprobs": {"content": part}}

    usage = {"prompt_tokens": 9, "completion_tokens": n_tokens, "total_tokens": n_tokens + 9}
    known = {"id": "c", "created": 1, "model": "m"}
    message = {"role": "assistant", "content": "".join(words)}
    choice = {"index": 0, "message": message, "finish_reason": "stop", **beside(items)}
    whole = json.dumps({**known, "choices": [choice], "usage": usage}).encode()
    events = [
        {**known, "choices": [{"index": 0, "delta": {"content": word}, "finish_reason": None,
                               **beside([item])}]}
        for word, item in zip(words, items, strict=True)
    ]  # fmt: skip
    events.append({**known, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
    events.append({**known, "choices": [], "usage": usage})
    parts = [b"data: %s\n\n" % json.dumps(event).encode() for event in events]
    return whole, b"".join([*parts, b"data: [DONE]\n\n"])


def serve(pipe: Connection) -> None:
    """The stub: the model's name says which reply is wanted."""
    said = {
        (f"{n} {told}", streamed): body
        for n in LENGTHS
        for told in TOLD
        for streamed, body in zip((False, True), replies(n, told), strict=True)
    }
    head = b"HTTP/1.1 200 OK\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n"

    def reply(raw: bytes) -> bytes:
        asked = json.loads(raw)
        streamed = bool(asked.get("stream"))
        body = said[asked["model"], streamed]
        kind = b"text/event-stream" if streamed else b"application/json"
        return head % (kind, len(body)) + body

    serve_bare(pipe, reply)


async def stretch(endpoint: OpenAIEndpoint, request: Request, seconds: float) -> float:
    """Milliseconds of the client's processor a call."""
    ends, done = time.perf_counter() + seconds, 0

    async def one() -> None:
        nonlocal done
        while time.perf_counter() < ends:
            reply = await endpoint.send(request, timeout_s=20)
            if (reply.tokens is not None) != request.logprobs:
                raise SystemExit(f"{request.model}: not what was asked for")
            done += 1

    before = time.process_time()
    await asyncio.gather(*(one() for _ in range(_IN_FLIGHT)))
    return 1000 * (time.process_time() - before) / done


async def measure(
    url: str, rounds: int, seconds: float
) -> dict[tuple[int, bool, str], list[float]]:
    """(tokens, streamed, what is told) → milliseconds a call, by round."""
    found: dict[tuple[int, bool, str], list[float]] = {}
    kinds = [(n, s, told) for n in LENGTHS for s in (False, True) for told in TOLD]
    rng = random.Random(0)
    for _ in range(rounds):
        for n, streamed, told in rng.sample(kinds, len(kinds)):
            request = Request(
                (Message("user", "8 + 9?"),), f"{n} {told}", n, logprobs=told != "none",
                on_text=(lambda _: None) if streamed else None,
            )  # fmt: skip
            async with OpenAIEndpoint(url) as endpoint:  # it learns to ask for fewer
                ms = await stretch(endpoint, request, seconds)
            found.setdefault((n, streamed, told), []).append(ms)
    return found


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=2.0, help="of one stretch")
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--quick", action="store_true", help="1 round of 0.05 s")
    options = parser.parse_args()
    rounds, seconds = (1, 0.05) if options.quick else (options.rounds, options.seconds)
    near, far = multiprocessing.Pipe()
    stub = multiprocessing.get_context("spawn").Process(target=serve, args=(far,), daemon=True)
    stub.start()
    try:
        url = f"http://127.0.0.1:{near.recv()}/v1"
        found = asyncio.run(measure(url, rounds, seconds))
    finally:
        stub.terminate()
        stub.join()
    rng = np.random.default_rng(0)
    print("| tokens | | log-probabilities told | bytes | client, ms a call | beside none |")
    print("|--:|:--|:--|--:|--:|--:|")
    order = list(TOLD)
    for n, streamed, told in sorted(found, key=lambda kind: (*kind[:2], order.index(kind[2]))):
        ms = found[n, streamed, told]
        size = len(replies(n, told)[streamed])
        drawn = np.median(rng.choice(np.array(ms), size=(2000, len(ms))), axis=1)
        low, high = np.quantile(drawn, [0.025, 0.975])
        times = np.median(ms) / np.median(found[n, streamed, "none"])
        how = "streamed" if streamed else "whole"
        print(
            f"| {n} | {how} | {told} | {size:,} | {np.median(ms):.3f} [{low:.3f}, {high:.3f}] "
            f"| {times:.1f} x |"
        )


if __name__ == "__main__":
    main()
