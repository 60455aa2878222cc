"""The stub itself: a server, and one in a thread of its own."""

from __future__ import annotations

import asyncio
import json
import threading
from collections import Counter
from collections.abc import Callable, Coroutine, Iterable, Mapping
from typing import Any, Self

from aiohttp import web

from rlfocal.pool.stub.faults import BREAKS, Fault
from rlfocal.pool.stub.shapes import Said, pieces_of, prompt_of, shaped

__all__ = ["StubServer", "StubThread"]

_GRACE_S = 60.0
"""For a thread to begin or to end, on a busy machine, too."""

Answer = Callable[[Mapping[str, Any]], str | Said]
"""The request's body → what is said."""


def echo(body: Mapping[str, Any]) -> str:
    """The last message, or the prompt."""
    return prompt_of(body)


class StubServer:
    """An asynchronous context: it listens on the loopback interface while it is open.

    Args:
        answer: what is said; by default what was asked.
        latency_s: seconds before each reply, or a function that draws them.
        faults: one for each request, in order; None lets a request pass, and so does their end.
        key: what clients must bring; None for nothing.
        models: what it says it serves.
        like_llama_cpp: log-probabilities have the chat's shape for plain completions, too.
    """

    __test__ = False

    def __init__(
        self,
        answer: Answer = echo,
        *,
        latency_s: float | Callable[[], float] = 0.0,
        faults: Iterable[Fault | None] = (),
        key: str | None = None,
        models: Iterable[str] = ("stub",),
        like_llama_cpp: bool = False,
    ) -> None:
        self._models, self._like_llama_cpp = tuple(models), like_llama_cpp
        self._answer, self._latency, self._key = answer, latency_s, key
        self._faults = iter(faults)
        self.bodies: list[dict[str, Any]] = []
        """Of all requests, in the order they came."""
        self.answered: Counter[str] = Counter()
        """Prompt → how often its reply was sent to the last byte."""
        self.n_under_way = self.most_under_way = 0
        self.base_url = ""
        self._runner: web.AppRunner | None = None

    async def __aenter__(self) -> Self:
        """Listen on a free port."""
        app = web.Application(client_max_size=64 << 20)
        app.router.add_post("/v1/chat/completions", self._handle)
        app.router.add_post("/v1/completions", self._handle)
        app.router.add_get("/v1/models", self._list)
        # Who hangs up is no longer under way.
        self._runner = web.AppRunner(
            app, access_log=None, shutdown_timeout=0.1, handler_cancellation=True
        )
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        host, port = self._runner.addresses[0][:2]
        self.base_url = f"http://{host}:{port}/v1"
        return self

    async def __aexit__(self, *exc: object) -> None:
        """Stop listening."""
        if self._runner is not None:
            await self._runner.cleanup()

    async def _list(self, request: web.Request) -> web.Response:
        listed = [{"id": name, "object": "model", "created": 0} for name in self._models]
        return web.json_response({"object": "list", "data": listed})

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        body: dict[str, Any] = await request.json()
        self.bodies.append(body)
        self.n_under_way += 1
        self.most_under_way = max(self.most_under_way, self.n_under_way)
        try:
            return await self._reply(request, body)
        finally:
            self.n_under_way -= 1

    async def _reply(self, request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        if self._key is not None and request.headers.get("Authorization") != f"Bearer {self._key}":
            return _error(401, "no such key", {})
        fault = next(self._faults, None)
        await asyncio.sleep(self._latency() if callable(self._latency) else self._latency)
        if fault is not None and fault.kind.isdigit():
            return _error(int(fault.kind), fault.message, fault.headers)
        chat = request.path.endswith("chat/completions")
        chat_logprobs = chat or self._like_llama_cpp
        reply = shaped(body, self._answer(body), chat=chat, chat_logprobs=chat_logprobs)
        if fault is not None and fault.kind == "cut" and body.get("stream"):
            return await _stream(request, reply, cut=True)
        if fault is not None:
            return await BREAKS[fault.kind](request, reply)
        if body.get("stream"):
            streamed = await _stream(request, reply)
            self.answered[prompt_of(body)] += 1
            return streamed
        response = web.json_response(reply)
        await response.prepare(request)
        await response.write_eof()
        self.answered[prompt_of(body)] += 1
        return response


class StubThread:
    """A stub in a thread of its own, for callers that block and for other processes.

    Args:
        stub: not yet open.
    """

    def __init__(self, stub: StubServer) -> None:
        self._stub = stub
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> StubServer:
        """Open it."""
        self._thread.start()
        self._wait_for(self._stub.__aenter__())
        return self._stub

    def __exit__(self, *exc: object) -> None:
        """Close it and end the thread."""
        self._wait_for(self._stub.__aexit__())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_GRACE_S)
        self._loop.close()

    def _wait_for(self, step: Coroutine[Any, Any, object]) -> None:
        asyncio.run_coroutine_threadsafe(step, self._loop).result(_GRACE_S)


async def _stream(
    request: web.Request, reply: dict[str, Any], *, cut: bool = False
) -> web.StreamResponse:
    """The reply word by word, as server-sent events; or half of it, and then nothing."""
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await response.prepare(request)
    choice = dict(reply["choices"][0])
    calls = choice.get("message", {}).get("tool_calls", ())
    pieces = pieces_of(choice)
    chat = reply["object"] == "chat.completion"
    for word, more in pieces[: len(pieces) // 2] if cut else pieces:
        piece = {"delta": {"content": word}} if chat else {"text": word}
        await _event(response, {"choices": [piece | more | {"index": 0, "finish_reason": None}]})
    if cut:
        assert request.transport is not None
        request.transport.close()
        return response
    for k, call in enumerate(calls):
        delta = {"tool_calls": [{"index": k, **call}]}
        told = {"delta": delta, "index": 0, "finish_reason": None}
        await _event(response, {"choices": [told]})
    await response.write(b": still here\n\n")
    last: dict[str, Any] = {"delta": {}} if chat else {"text": ""}
    await _event(response, {"choices": [choice | last]})
    await _event(response, {"choices": [], "usage": reply["usage"]})
    await response.write(b"data: [DONE]\n\n")
    await response.write_eof()
    return response


async def _event(response: web.StreamResponse, data: dict[str, Any]) -> None:
    await response.write(b"data: " + json.dumps(data).encode() + b"\n\n")


def _error(status: int, message: str, headers: Mapping[str, str]) -> web.Response:
    return web.json_response({"error": {"message": message}}, status=status, headers=headers)
