"""A server that answers as it is told to, byte by byte: what no library would send, servers do.

A script is what comes back: bytes are sent, numbers are seconds of silence, END closes the
connection and RESET breaks it.
"""

from __future__ import annotations

import asyncio
import json
import struct
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from socket import SO_LINGER, SOL_SOCKET
from typing import Any, Self

END, RESET = "end", "reset"
Part = bytes | float | str
Script = Sequence[Part]


def json_reply(
    found: Any, status: str = "200 OK", *, kind: str | None = "application/json", **headers: str
) -> list[Part]:
    """A whole reply; `found` as it is where it is bytes. `headers` with _ for -."""
    body = found if isinstance(found, bytes) else json.dumps(found).encode()
    lines = [f"HTTP/1.1 {status}", *([f"Content-Type: {kind}"] if kind else [])]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    if "Content_Length" not in headers:
        lines.append(f"Content-Length: {len(body)}")
    return ["\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body]


def chunked(
    parts: Iterable[Part], *, kind: str = "text/event-stream", **headers: str
) -> list[Part]:
    """A reply in chunks; without its last chunk where the script ends in END or RESET."""
    lines = ["HTTP/1.1 200 OK", f"Content-Type: {kind}", "Transfer-Encoding: chunked"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    script: list[Part] = ["\r\n".join(lines).encode() + b"\r\n\r\n"]
    for part in parts:
        if isinstance(part, bytes):
            part = f"{len(part):x}\r\n".encode() + part + b"\r\n"
        script.append(part)
    return script if script[-1] in (END, RESET) else [*script, b"0\r\n\r\n"]


def event(found: Any) -> bytes:
    """One event, in the usual form."""
    return b"data: " + (found if isinstance(found, bytes) else json.dumps(found).encode()) + b"\n\n"


def piece(delta: Any = None, finish: Any = None, **more: Any) -> dict[str, Any]:
    """One piece of a streamed reply."""
    return {"choices": [{"index": 0, "delta": delta or {}, "finish_reason": finish}], **more}


def reply(content: Any = "It is 17.", finish: Any = "stop", **more: Any) -> dict[str, Any]:
    """A whole reply's JSON; `more` goes into its message."""
    message = {"role": "assistant", "content": content, **more}
    return {
        "id": "r-1",
        "choices": [{"index": 0, "message": message, "finish_reason": finish}],
        "usage": {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10},
    }


DONE = event(b"[DONE]")


class Habits:
    """The server; a context.

    Args:
        script: what is sent for the nth request, from the body it came with.
    """

    def __init__(self, script: Callable[[dict[str, Any], int], Script]) -> None:
        self._script = script
        self.bodies: list[dict[str, Any]] = []
        self.heads: list[Mapping[str, str]] = []
        self.writers: list[asyncio.StreamWriter] = []
        """One for each connection."""
        self.url = ""

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, limit=1 << 22)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/v1"
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writers.append(writer)
        with suppress(asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
                pairs = (line.partition(":") for line in head[1:] if line)
                headers = {name.lower(): value.strip() for name, _, value in pairs}
                body = await reader.readexactly(int(headers.get("content-length", "0")))
                self.bodies.append(json.loads(body))
                self.heads.append({":target": head[0].split()[1], **headers})
                if not await self._play(self._script(self.bodies[-1], len(self.bodies)), writer):
                    break
        writer.close()

    @staticmethod
    async def _play(script: Script, writer: asyncio.StreamWriter) -> bool:
        for part in script:
            if isinstance(part, bytes):
                writer.write(part)
                await writer.drain()
            elif isinstance(part, str):
                if part == RESET:
                    sock = writer.get_extra_info("socket")
                    sock.setsockopt(SOL_SOCKET, SO_LINGER, struct.pack("ii", 1, 0))
                    writer.transport.abort()
                return False
            else:
                await asyncio.sleep(part)
        return True
