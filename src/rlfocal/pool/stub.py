"""A server that speaks OpenAI's API and knows nothing: for tests, here and at users'.

It answers by a function, waits as long as it is told, and breaks in every way that real servers do.
"""

from __future__ import annotations

import asyncio
import json
import re
import threading
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from aiohttp import web

__all__ = ["Fault", "Said", "StubServer", "StubThread"]

_GRACE_S = 60.0
"""For a thread to begin or to end, on a busy machine, too."""


@dataclass(frozen=True)
class Said:
    """What the stub says."""

    text: str
    finish: str | None = "stop"
    logprobs: Mapping[str, float] | None = None
    """Token → log-probability of the first token, where the request asks for any."""
    tokens: Sequence[tuple[str, float]] = ()
    """The text in tokens with their log-probabilities, told where the request asks for any."""


@dataclass(frozen=True)
class Fault:
    """One way to break.

    `kind` is a status ("500"), or "hang", "drip" (a byte at a time), "cut" (half of a reply),
    "broken-json", "empty", "content-type", "redirect", "filtered", "huge".
    """

    kind: str
    headers: Mapping[str, str] = field(default_factory=dict)
    message: str = "told to fail"


Answer = Callable[[Mapping[str, Any]], str | Said]
"""The request's body → what is said."""


def echo(body: Mapping[str, Any]) -> str:
    """The last message, or the prompt."""
    return prompt_of(body)


def prompt_of(body: Mapping[str, Any]) -> str:
    """What a request asks last."""
    messages = body.get("messages")
    return str(messages[-1]["content"] if messages else body.get("prompt", ""))


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
        reply = _shaped(body, self._answer(body), chat=chat, chat_logprobs=chat_logprobs)
        if fault is not None and fault.kind == "cut" and body.get("stream"):
            return await _stream(request, reply, cut=True)
        if fault is not None:
            return await _BREAKS[fault.kind](request, reply)
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


def _shaped(
    body: Mapping[str, Any], said: str | Said, *, chat: bool, chat_logprobs: bool
) -> dict[str, Any]:
    """A reply as OpenAI's API has it; words count as tokens."""
    said = Said(said) if isinstance(said, str) else said
    choice: dict[str, Any] = {"index": 0, "finish_reason": said.finish}
    if chat:
        choice["message"] = {"role": "assistant", "content": said.text}
    else:
        choice["text"] = said.text
    if body.get("logprobs") and said.tokens and not said.logprobs:
        choice["logprobs"] = _of_tokens(said.tokens, as_items=chat_logprobs)
    if body.get("logprobs") and said.logprobs is not None:
        top = [{"token": token, "logprob": value} for token, value in said.logprobs.items()]
        if chat_logprobs:
            choice["logprobs"] = {"content": [{**top[0], "top_logprobs": top}]}
        else:
            choice["logprobs"] = {"top_logprobs": [dict(said.logprobs)]}
    asked = " ".join(m["content"] for m in body.get("messages", [])) or body.get("prompt", "")
    n_prompt, n_completion = len(asked.split()), len(said.text.split())
    usage = {
        "prompt_tokens": n_prompt,
        "completion_tokens": n_completion,
        "total_tokens": n_prompt + n_completion,
    }
    kind = "chat.completion" if chat else "text_completion"
    return {
        "id": "stub-1", "object": kind, "created": 0, "model": body.get("model", "stub"),
        "choices": [choice], "usage": usage,
    }  # fmt: skip


def _of_tokens(tokens: Sequence[tuple[str, float]], *, as_items: bool) -> dict[str, Any]:
    if not as_items:
        texts, values = zip(*tokens, strict=True)
        return {"tokens": texts, "token_logprobs": values}
    items = [{"token": text, "logprob": value, "top_logprobs": []} for text, value in tokens]
    return {"content": [{**item, "bytes": list(str(item["token"]).encode())} for item in items]}


async def _stream(
    request: web.Request, reply: dict[str, Any], *, cut: bool = False
) -> web.StreamResponse:
    """The reply word by word, as server-sent events; or half of it, and then nothing."""
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await response.prepare(request)
    choice = dict(reply["choices"][0])
    text = choice.pop("message", {}).get("content", choice.pop("text", ""))
    pieces = _by_token(choice) or [(word, {}) for word in re.findall(r"\s*\S+|\s+$", text)]
    chat = reply["object"] == "chat.completion"
    for word, more in pieces[: len(pieces) // 2] if cut else pieces:
        piece = {"delta": {"content": word}} if chat else {"text": word}
        await _event(response, {"choices": [piece | more | {"index": 0, "finish_reason": None}]})
    if cut:
        assert request.transport is not None
        request.transport.close()
        return response
    await response.write(b": still here\n\n")
    last: dict[str, Any] = {"delta": {}} if chat else {"text": ""}
    await _event(response, {"choices": [choice | last]})
    await _event(response, {"choices": [], "usage": reply["usage"]})
    await response.write(b"data: [DONE]\n\n")
    await response.write_eof()
    return response


def _by_token(choice: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """Each token with its log-probability, taken out of a choice that tells them all; else none."""
    told = choice.get("logprobs", {})
    items, texts = told.get("content", ()), told.get("tokens", ())
    if len(items) + len(texts) < 2:
        return []
    del choice["logprobs"]
    found = [(item["token"], {"content": [item]}) for item in items]
    for text, value in zip(texts, told.get("token_logprobs", ()), strict=True):
        found.append((text, {"tokens": [text], "token_logprobs": [value]}))
    return [(text, {"logprobs": part}) for text, part in found]


async def _event(response: web.StreamResponse, data: dict[str, Any]) -> None:
    await response.write(b"data: " + json.dumps(data).encode() + b"\n\n")


def _error(status: int, message: str, headers: Mapping[str, str]) -> web.Response:
    return web.json_response({"error": {"message": message}}, status=status, headers=headers)


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


_BREAKS: Mapping[str, Break] = {
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
