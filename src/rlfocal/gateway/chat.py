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

from rlfocal.gateway.errors import ApiError
from rlfocal.gateway.gateway import Gateway
from rlfocal.gateway.http import JsonResponse, read_body
from rlfocal.gateway.job import GONE, Job
from rlfocal.gateway.wire.replies import Completion, encode
from rlfocal.gateway.wire.request import read_request

__all__ = ["chat_completions"]

_log = logging.getLogger(__name__)
_Task = asyncio.Task[Completion]


async def chat_completions(request: Request) -> Response:
    """Answer a conversation."""
    started = asyncio.get_running_loop().time()
    gateway: Gateway = request.app.state.gateway
    with ExitStack() as held:
        held.enter_context(gateway.flight())
        # Before the body: who has no key gets no byte of his read.
        key = await gateway.access.key_of(request.headers.get("authorization"))
        body = await read_body(request, gateway.settings)
        chat = read_request(body, gateway.member_names, gateway.settings)
        job = Job(gateway, key, chat, started)
        if chat.stream:
            return await _streamed(job, gateway.settings.keep_alive_s, held)
        return await _whole(job, request)


async def _whole(job: Job, request: Request) -> Response:
    task = job.start()
    gone = asyncio.create_task(_until_gone(request))
    try:
        await asyncio.wait({task, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            return Response(status_code=GONE)  # nobody reads it
        done = task.result()
    finally:
        # Whoever hung up pays for no more calls.
        task.cancel()
        gone.cancel()
    shape = job.shape
    return JsonResponse(shape.whole(done, job.own_s), headers=shape.headers())


async def _until_gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def _streamed(job: Job, keep_alive_s: float, held: ExitStack) -> Response:
    pieces: asyncio.Queue[str | None] = asyncio.Queue()
    task = job.start(pieces.put_nowait)
    task.add_done_callback(lambda _: pieces.put_nowait(None))
    first: str | None = ""
    try:
        # What goes wrong before anything was said is an error with a status of its own.
        async with asyncio.timeout(keep_alive_s):
            first = await pieces.get()
    except TimeoutError:
        pass
    except asyncio.CancelledError:
        task.cancel()
        raise
    if first is None and (task.cancelled() or task.exception() is not None):
        return JsonResponse({}) if task.cancelled() else _raise(task)
    return _Stream(
        _events(job, task, pieces, first, keep_alive_s),
        task,
        held.pop_all(),
        headers=job.shape.headers() if first is None else {"x-rlfocal-id": job.id},
    )


def _raise(task: _Task) -> Response:
    error = task.exception()
    assert error is not None
    raise error


class _Stream(StreamingResponse):
    """Server-sent events; whatever ends them ends the work, too, and gives the place back."""

    media_type = "text/event-stream"

    def __init__(
        self, events: AsyncIterator[bytes], task: _Task, held: ExitStack, **options: Any
    ) -> None:
        super().__init__(events, **options)
        self._task, self._held = task, held

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        with self._held:
            try:
                await super().__call__(scope, receive, send)
            finally:
                self._task.cancel()


async def _events(
    job: Job,
    task: _Task,
    pieces: asyncio.Queue[str | None],
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
