"""A deterministic upstream that speaks OpenAI's chat API and does next to nothing.

    python benchmarks/load/mock.py [--latency-ms 50] [--port 0]

It prints its port, then answers every chat completion after a fixed time with one of four replies
("Answer: A" to "Answer: D", by a checksum of what was asked), and GET /counts with how many there
were. Hand-written over a bare protocol, because a framework's share of 2 cores would be measured
as if it were the gateway's.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import zlib
from typing import cast

import uvloop

_LENGTH = re.compile(rb"content-length:\s*(\d+)", re.IGNORECASE)
_END = b"\r\n\r\n"
PROMPT_TOKENS, COMPLETION_TOKENS = 40, 3


def reply_of(letter: str) -> bytes:
    """A whole response, head and body."""
    message = {"role": "assistant", "content": f"Answer: {letter}"}
    usage = {
        "prompt_tokens": PROMPT_TOKENS,
        "completion_tokens": COMPLETION_TOKENS,
        "total_tokens": PROMPT_TOKENS + COMPLETION_TOKENS,
    }
    body = {
        "id": "chatcmpl-mock",
        "object": "chat.completion",
        "created": 1_700_000_000,
        "model": "mock",
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": usage,
    }
    return _response(json.dumps(body).encode())


def _response(body: bytes) -> bytes:
    head = (
        f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


class Mock(asyncio.Protocol):
    """One connection; requests on it come one after the other, as HTTP clients send them."""

    replies = tuple(reply_of(letter) for letter in "ABCD")
    latency_s = 0.05
    n_completions = 0
    """Over all connections."""

    def __init__(self) -> None:
        self._heard = bytearray()
        self._loop = asyncio.get_running_loop()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Somebody has come."""
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        """Answer each request that is complete."""
        self._heard += data
        while (end := self._heard.find(_END)) >= 0:
            head = bytes(self._heard[:end])
            found = _LENGTH.search(head)
            length = int(found.group(1)) if found else 0
            start = end + len(_END)
            if len(self._heard) < start + length:
                return
            body = bytes(self._heard[start : start + length])
            del self._heard[: start + length]
            self._answer(head, body)

    def _answer(self, head: bytes, body: bytes) -> None:
        if head.startswith(b"GET"):
            counts = {"completions": Mock.n_completions, "object": "list", "data": []}
            self._transport.write(_response(json.dumps(counts).encode()))
            return
        Mock.n_completions += 1
        self._loop.call_later(Mock.latency_s, self._say, self.replies[zlib.crc32(body) & 3])

    def _say(self, reply: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.write(reply)


async def _serve(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(Mock, "127.0.0.1", port, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


def main() -> None:
    """Serve until it is ended."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--latency-ms", type=float, default=50.0)
    parser.add_argument("--port", type=int, default=0, help="0: a free one")
    given = parser.parse_args()
    Mock.latency_s = given.latency_ms / 1000
    uvloop.run(_serve(given.port))


if __name__ == "__main__":
    main()
