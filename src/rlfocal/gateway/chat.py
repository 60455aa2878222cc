"""POST /v1/chat/completions: one reply, in one piece or as a stream of server-sent events."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import ExitStack
from typing import Any

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from rlfocal.gateway.door import key_of, note_unsent, take_body
from rlfocal.gateway.errors import ApiError
from rlfocal.gateway.gateway import Gateway
from rlfocal.gateway.http import JsonResponse
from rlfocal.gateway.job import GONE, Job
from rlfocal.gateway.pieces import Pieces
from rlfocal.gateway.wire.replies import Completion, encode
from rlfocal.gateway.wire.request import read_request
from rlfocal.live.aside import aside
from rlfocal.pool.openai_client import HOPS_HEADER, hops

__all__ = ["chat_completions"]

_log = logging.getLogger(__name__)
_Task = asyncio.Task[Completion]
_MOST_HOPS = 1
"""Gateways that a request may have come through before: one may be another's member."""


async def chat_completions(request: Request) -> Response:
    """Answer a conversation."""
    started = asyncio.get_running_loop().time()
    gateway: Gateway = request.app.state.gateway
    # Before the body: who has no key gets no byte of his read.
    key = await key_of(request)
    _count_hop(request)
    body = await take_body(request, key)
    chat = await aside(len(body), read_request, body, gateway.member_names, gateway.settings)
    with ExitStack() as held:
        # After it: who sends slowly keeps nobody out.
        held.enter_context(gateway.flight())
        job = Job(gateway, key, chat, started)
        if chat.stream:
            return await _streamed(job, request, gateway.settings.keep_alive_s, held)
        return await _whole(job, request)


def _count_hop(request: Request) -> None:
    """Refuse a request that goes round in circles: a pool may hold the gateway itself.

    The header is believed only so far that it may have its own request refused. It is no failure
    of the kind that is tried again, or each round would be walked several times.
    """
    given = request.headers.get(HOPS_HEADER, "0")
    n = int(given) if given.isdecimal() and len(given) < 4 else _MOST_HOPS + 1
    if n > _MOST_HOPS:
        raise ApiError(
            400, "loop_detected",
            f"this request came through {_MOST_HOPS + 1} gateways already; a pool's base_url "
            "leads back to its own gateway",
        )  # fmt: skip
    hops.set(n + 1)


async def _whole(job: Job, request: Request) -> Response:
    task = job.start()
    gone = asyncio.create_task(_until_gone(request))
    try:
        await asyncio.wait({task, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            return Response(status_code=GONE)  # nobody reads it
        if task.cancelled():
            raise _ending()
        done = task.result()
    finally:
        # Whoever hung up pays for no more calls.
        task.cancel()
        gone.cancel()
    shape = job.shape
    whole = shape.whole(done, job.own_s)
    return await aside(len(done.text), JsonResponse, whole, headers=shape.headers())


async def _until_gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _ending() -> ApiError:
    return ApiError(503, "shutting_down", "the gateway is being ended", retry_after_s=1.0)


async def _streamed(job: Job, request: Request, keep_alive_s: float, held: ExitStack) -> Response:
    pieces = Pieces()
    task = job.start(pieces.put)
    task.add_done_callback(lambda _: pieces.end())
    got = asyncio.create_task(pieces.get())
    gone = asyncio.create_task(_until_gone(request))
    try:
        # What goes wrong before anything was said is an error with a status of its own.
        await asyncio.wait({got, gone}, timeout=keep_alive_s, return_when=asyncio.FIRST_COMPLETED)
        if gone.done():
            task.cancel()
            return Response(status_code=GONE)  # nobody reads it
    except asyncio.CancelledError:
        task.cancel()
        raise
    finally:
        gone.cancel()
        got.cancel()
    first = got.result() if got.done() else ""
    if first is None and task.cancelled():
        raise _ending()
    if first is None and (error := task.exception()) is not None:
        raise error
    # With the work, not with the last byte: who reads slowly, or not at all, holds no place.
    place = held.pop_all()
    task.add_done_callback(lambda _: place.close())
    note_unsent(request, lambda: pieces.size)
    return _Stream(
        _events(job, task, pieces, first, keep_alive_s),
        task,
        headers=job.shape.headers() if first is None else {"x-rlfocal-id": job.id},
    )


class _Stream(StreamingResponse):
    """Server-sent events; whatever ends them ends the work, too."""

    media_type = "text/event-stream"

    def __init__(self, events: AsyncIterator[bytes], task: _Task, **options: Any) -> None:
        super().__init__(events, **options)
        self._task = task

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._task.cancel()


async def _events(
    job: Job,
    task: _Task,
    pieces: Pieces,
    piece: str | None,
    keep_alive_s: float,
) -> AsyncIterator[bytes]:
    shape = job.shape
    yield _event(shape.first())
    while piece is not None:
        if piece:
            yield _event(shape.piece(piece))
        else:
            yield b": still at it\n\n"
        try:
            async with asyncio.timeout(keep_alive_s):
                piece = await pieces.get()
        except TimeoutError:
            piece = ""
    shape = job.shape  # with the trace of what has happened meanwhile
    try:
        if task.cancelled():
            raise _ending()
        done = await task
    except ApiError as exc:
        yield _event(exc.as_json())
    except Exception as exc:
        _log.error("request %s failed: %s", job.id, type(exc).__name__)
        fault = ApiError(500, "internal_error", "a fault of the gateway; see its log")
        yield _event(fault.as_json())
    else:
        for event in shape.rest(done, job.own_s, include_usage=job.chat.include_usage):
            yield _event(event)
    yield b"data: [DONE]\n\n"


def _event(data: dict[str, Any]) -> bytes:
    return b"data: " + encode(data) + b"\n\n"
