"""Ways in which the stub breaks."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

__all__ = ["BREAKS", "Fault"]


@dataclass(frozen=True)
class Fault:
    """One way to break.

    `kind` is a status ("500"), or "hang", "drip" (a byte at a time), "cut" (half of a reply),
    "broken-json", "empty", "content-type", "redirect", "filtered", "huge".
    """

    kind: str
    headers: Mapping[str, str] = field(default_factory=dict)
    message: str = "told to fail"


Break = Callable[[web.Request, dict[str, Any]], Awaitable[web.StreamResponse]]


async def _hang(request: web.Request, reply: dict[str, Any]) -> web.StreamResponse:
    await asyncio.sleep(3600)
    return web.json_response(reply)


async def _drip(request: web.Request, reply: dict[str, Any]) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    await response.prepare(request)
    for byte in json.dumps(reply).encode():
        await response.write(bytes([byte]))
        await asyncio.sleep(0.05)
    return response


async def _cut(request: web.Request, reply: dict[str, Any]) -> web.StreamResponse:
    data = json.dumps(reply).encode()
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    response.content_length = len(data)
    await response.prepare(request)
    await response.write(data[: len(data) // 2])
    assert request.transport is not None
    request.transport.close()
    return response


async def _huge(request: web.Request, reply: dict[str, Any]) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    await response.prepare(request)
    for _ in range(16):
        await response.write(b" " * (1 << 20))
    return response


def _as(change: Callable[[dict[str, Any]], web.Response]) -> Break:
    async def respond(request: web.Request, reply: dict[str, Any]) -> web.StreamResponse:
        return change(reply)

    return respond


def _emptied(reply: dict[str, Any], finish: str) -> web.Response:
    choice = reply["choices"][0]
    choice["finish_reason"] = finish
    if "message" in choice:
        choice["message"]["content"] = ""
    else:
        choice["text"] = ""
    return web.json_response(reply)


BREAKS: Mapping[str, Break] = {
    "hang": _hang,
    "drip": _drip,
    "cut": _cut,
    "huge": _huge,
    "broken-json": _as(
        lambda reply: web.Response(
            text=json.dumps(reply).replace(":", "", 1), content_type="application/json"
        )
    ),
    "empty": _as(lambda reply: _emptied(reply, "stop")),
    "filtered": _as(lambda reply: _emptied(reply, "content_filter")),
    "content-type": _as(
        lambda reply: web.Response(text="<html>a proxy's page</html>", content_type="text/html")
    ),
    "redirect": _as(
        lambda reply: web.Response(status=307, headers={"Location": "http://example.invalid/"})
    ),
}
