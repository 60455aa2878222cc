"""Whoever asks for a reply passes here, in any dialect: the door, the body, the work, the reply.

A dialect (`wire.dialects`) reads the body and writes the reply; all else is the same for all.
"""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from rlfocal.gateway.completion import GONE
from rlfocal.gateway.door.entering import note_unsent
from rlfocal.gateway.errors import ApiError
from rlfocal.gateway.gateway import Gateway
from rlfocal.gateway.http import EVENTS, JSON, EndingStream, Handler
from rlfocal.gateway.repeats.joining import follow, gone_of, write_down
from rlfocal.gateway.repeats.records import HEADER, digest_of
from rlfocal.gateway.responder import Responder
from rlfocal.gateway.wire.dialects.dialect import Dialect, Writer
from rlfocal.gateway.wire.parsing import read_json
from rlfocal.gateway.wire.request import ChatRequest, Context
from rlfocal.live.aside import aside
from rlfocal.pool.openai.client import HOPS_HEADER, hops

__all__ = ["answering", "count_tokens"]

_Read = tuple[Any, ChatRequest, Writer]
_MOST_HOPS = 1
"""Gateways that a request may have come through before: one may be another's member."""


def answering(dialect: Dialect) -> Handler:
    """The handler of a dialect's endpoint."""

    async def answer(request: Request) -> Response:
        started = asyncio.get_running_loop().time()
        gateway: Gateway = request.app.state.gateway
        key = await gateway.door.key_of(request)  # before the body is read
        _count_hop(request)
        body = await gateway.door.take_body(request, key)
        context = Context(gateway.member_names, gateway.settings, key.id)
        found, chat, writer = await aside(len(body), read_request, body, dialect, context)

        def made() -> Responder:
            completion = gateway.completion(
                key, chat, started, id_prefix=dialect.id_prefix, headers=request.headers
            )
            return Responder(completion, dialect, writer, gateway.settings.keep_alive_s)

        name = request.headers.get(HEADER)
        if name is not None:
            digest = await aside(len(body), digest_of, request.url.path, found)
            record, is_new = gateway.records.claim(key.id, name, digest)
            if is_new:

                async def keep() -> None:
                    kept = False
                    try:
                        kept = await write_down(record, gateway.places, key, dialect, made)
                    finally:
                        gateway.records.close(key.id, name, keep=kept)

                record.work = asyncio.create_task(keep())
                gateway.under_way.keep(record.work)
            return await follow(
                record,
                request,
                key,
                is_new=is_new,
                records=gateway.records,
                places=gateway.places,
            )
        # After the body: who sends slowly keeps nobody out.
        if not chat.body.stream:
            with gateway.places.hold(key):
                return await _whole(made(), request)
        with ExitStack() as held:
            held.enter_context(gateway.places.hold(key))
            return await _streamed(made(), request, held)

    return answer


def read_request(body: bytes, dialect: Dialect, context: Context) -> _Read:
    """What a body holds, what it asks for, and who writes the reply.

    Raises:
        ApiError: it cannot be read.
    """
    found = read_json(body)
    if not isinstance(found, dict):
        raise ApiError(400, "invalid_type", "the body should be a JSON object")
    return found, *dialect.read(found, context)


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


async def _whole(responder: Responder, request: Request) -> Response:
    task = responder.start()
    gone = gone_of(request)
    try:
        waited: set[asyncio.Future[Any]] = {task, gone}
        await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            return Response(status_code=GONE)  # nobody reads it
        body, headers = await responder.whole(task)
    finally:
        # Whoever hung up pays for no more calls.
        task.cancel()
        gone.cancel()
    return Response(body, headers=headers, media_type=JSON)


async def _streamed(responder: Responder, request: Request, held: ExitStack) -> Response:
    task = responder.start()
    gone = gone_of(request)
    try:
        first = await responder.first(task, gone)
        if gone.done():
            task.cancel()
            return Response(status_code=GONE)  # nobody reads it
    except BaseException:
        task.cancel()
        raise
    finally:
        gone.cancel()
    # With the work, not with the last byte: who reads slowly, or not at all, holds no place.
    place = held.pop_all()
    task.add_done_callback(lambda _: place.close())
    note_unsent(request, lambda: responder.pieces.size)
    events = (event async for event, _ in responder.events(task, first))
    return EndingStream(events, task.cancel, headers=responder.head(first), media_type=EVENTS)


async def count_tokens(request: Request) -> Response:
    """Say that there is no such count, as Anthropic's clients can read it."""
    raise ApiError(
        404, "not_found",
        "tokens are not counted before they are paid for: each member counts in its own way; see "
        "the usage of replies",
    )  # fmt: skip
