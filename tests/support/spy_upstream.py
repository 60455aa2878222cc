"""An upstream that keeps all that it is sent, headers included, and says whatever a test wants."""

from __future__ import annotations

import asyncio
import json
import re
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from aiohttp import web

_GRACE_S = 60.0


@dataclass(frozen=True)
class Received:
    """One request."""

    path: str
    headers: Mapping[str, str]
    """Names in lower case."""
    raw: bytes

    @property
    def body(self) -> dict[str, Any]:
        """As JSON."""
        found: dict[str, Any] = json.loads(self.raw)
        return found


@dataclass(frozen=True)
class Reply:
    """What is said; a stream tells it word by word."""

    text: str = ""
    tool_calls: Sequence[Mapping[str, Any]] = ()
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    json: Any = None
    """In place of a completion."""
    events: Sequence[Mapping[str, Any]] = ()
    """What a stream tells, in place of words."""
    wait_s: float = 0.0
    pause_s: float = 0.0
    """Between two words of a stream."""
    may_say: Callable[[int], bool] = lambda k: True
    """Whether word or event k of a stream (a whole reply: 0) may be said yet; it is waited for."""
    cut_after: int | None = None
    """Words, after which the connection breaks."""


class SpyUpstream:
    """Listens on the loopback interface in a thread of its own; a context.

    Args:
        says: a request → what is said, or only its text.
    """

    def __init__(self, says: Callable[[Received], Reply | str]) -> None:
        self._says = says
        self.received: list[Received] = []
        self.n_under_way = 0
        self.base_url = ""
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._runner: web.AppRunner | None = None

    def __enter__(self) -> Self:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._open(), self._loop).result(_GRACE_S)
        return self

    def __exit__(self, *exc: object) -> None:
        assert self._runner is not None
        asyncio.run_coroutine_threadsafe(self._runner.cleanup(), self._loop).result(_GRACE_S)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_GRACE_S)
        self._loop.close()

    async def _open(self) -> None:
        app = web.Application(client_max_size=64 << 20)
        app.router.add_route("*", "/{tail:.*}", self._handle)
        self._runner = web.AppRunner(
            app, access_log=None, shutdown_timeout=0.1, handler_cancellation=True
        )
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.base_url = "http://{}:{}/v1".format(*self._runner.addresses[0][:2])

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        headers = {name.lower(): value for name, value in request.headers.items()}
        got = Received(request.path_qs, headers, await request.read())
        self.received.append(got)
        self.n_under_way += 1
        try:
            said = self._says(got)
            reply = Reply(said) if isinstance(said, str) else said
            await asyncio.sleep(reply.wait_s)
            await _until_it_may(reply, 0)
            streams = got.raw and got.body.get("stream") and reply.status == 200
            if streams and (reply.json is None or reply.events):
                return await _streamed(request, reply)
            shown = _whole(got, reply) if reply.json is None else reply.json
            return web.json_response(shown, status=reply.status, headers=reply.headers)
        finally:
            self.n_under_way -= 1


def aimed_at(base_url: str, endpoint: str = "") -> Callable[[str], str]:
    """Changes a pool file so that its endpoint is at another address, with more settings."""

    def edit(text: str) -> str:
        return re.sub(r'base_url = "[^"]*"', f'base_url = "{base_url}"\n{endpoint}', text)

    return edit


def _usage(n_prompt: int, reply: Reply) -> dict[str, int]:
    n_completion = len(reply.text.split()) + len(reply.tool_calls)
    return {
        "prompt_tokens": n_prompt, "completion_tokens": n_completion,
        "total_tokens": n_prompt + n_completion,
    }  # fmt: skip


def _whole(got: Received, reply: Reply) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": reply.text}
    if reply.tool_calls:
        message |= {"content": None, "tool_calls": list(reply.tool_calls)}
    finish = "tool_calls" if reply.tool_calls else "stop"
    choice = {"index": 0, "message": message, "finish_reason": finish}
    return {
        "id": "spy-1", "object": "chat.completion", "created": 0, "model": "spy",
        "choices": [choice], "usage": _usage(7, reply),
    }  # fmt: skip


async def _until_it_may(reply: Reply, k: int) -> None:
    async with asyncio.timeout(_GRACE_S):
        while not reply.may_say(k):  # noqa: ASYNC110 - another thread says so
            await asyncio.sleep(0.005)


async def _streamed(request: web.Request, reply: Reply) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await response.prepare(request)

    async def event(delta: Mapping[str, Any], finish: str | None = None, **more: Any) -> None:
        choice = {"index": 0, "delta": dict(delta), "finish_reason": finish}
        data = json.dumps({"choices": [choice], **more})
        await response.write(f"data: {data}\n\n".encode())

    for k, data in enumerate(reply.events):
        await _until_it_may(reply, k)
        await response.write(f"data: {json.dumps(data)}\n\n".encode())
    if reply.events:
        await response.write(b"data: [DONE]\n\n")
        await response.write_eof()
        return response
    for k, word in enumerate(re.findall(r"\s*\S+", reply.text)):
        if k == reply.cut_after:
            assert request.transport is not None
            request.transport.close()
            return response
        await _until_it_may(reply, k)
        await event({"content": word})
        await asyncio.sleep(reply.pause_s)
    for k, call in enumerate(reply.tool_calls):
        await event({"tool_calls": [{"index": k, **call}]})
    await event({}, "tool_calls" if reply.tool_calls else "stop", usage=_usage(7, reply))
    await response.write(b"data: [DONE]\n\n")
    await response.write_eof()
    return response
