"""Requests with an idempotency key: made once, and told to everybody who comes with the key.

Who sends a key means to come again, so the work goes on when he hangs up, until its deadline. Of
one key only so much goes on that others find their places.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from rlfocal.gateway.completion import GONE
from rlfocal.gateway.door.connections import of_scope
from rlfocal.gateway.door.places import Places
from rlfocal.gateway.errors import ApiError, shutting_down
from rlfocal.gateway.http import EVENTS, JSON, EndingStream
from rlfocal.gateway.repeats.records import Listening, Record, Records
from rlfocal.gateway.responder import Responder
from rlfocal.gateway.store.keys import Key
from rlfocal.gateway.wire.dialects.dialect import Dialect
from rlfocal.gateway.wire.replies import encode

__all__ = ["follow", "gone_of", "write_down"]

_log = logging.getLogger(__name__)


async def write_down(
    record: Record, places: Places, key: Key, dialect: Dialect, make: Callable[[], Responder]
) -> bool:
    """Have a reply made and recorded, whoever listens.

    Args:
        record: empty.
        places: of requests under way.
        key: whose request it is.
        dialect: of who asks.
        make: the reply, not yet begun; may raise an ApiError.

    Returns:
        Whether it is worth to be kept: failures may pass.
    """
    try:
        with places.hold(key):
            return await _recorded(record, make())
    except ApiError as exc:
        _refuse(record, exc, dialect)
    except Exception as exc:
        _log.error("a request that is recorded failed: %s", type(exc).__name__)
        fault = ApiError(500, "internal_error", "a fault of the gateway; see its log")
        _refuse(record, fault, dialect)
    finally:
        if record.status is None:  # cancelled
            _refuse(record, shutting_down(), dialect)
        record.end()
    return False


async def _recorded(record: Record, responder: Responder) -> bool:
    task = responder.start()
    try:
        if not responder.completion.chat.body.stream:
            await asyncio.wait({task})
            body, headers = await responder.whole(task)
            record.begin(200, headers, JSON)
            record.add(body)
            return True
        first = await responder.first(task)
        record.begin(200, responder.head(first), EVENTS)
        is_good = True
        async for event, failed in responder.events(task, first):
            record.add(event)
            is_good = is_good and not failed
        return is_good
    finally:
        task.cancel()


def _refuse(record: Record, error: ApiError, dialect: Dialect) -> None:
    record.begin(error.status, error.headers, JSON)
    record.add(encode(dialect.error(error)))


async def follow(
    record: Record,
    request: Request,
    key: Key,
    *,
    is_new: bool,
    records: Records,
    places: Places,
) -> Response:
    """The response that sends what is recorded, and what will be.

    Args:
        record: of the reply.
        request: of who listens.
        key: whose record it is.
        is_new: whether this client is the first to do so.
        records: of all keys.
        places: of requests under way.
    """
    listening = Listening(record, lambda: _end_unheard(record, records.n_unheard(key.id), places))
    begun = asyncio.create_task(record.begun())
    gone = gone_of(request)
    try:
        waited: set[asyncio.Future[Any]] = {begun, gone}
        await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
        if not begun.done():
            listening.end()
            return Response(status_code=GONE)  # nobody reads it
    except BaseException:
        listening.end()
        raise
    finally:
        begun.cancel()
        gone.cancel()
    status, headers = begun.result(), record.headers
    if not is_new and status == 200:  # a failure is not kept: who comes again is asked for anew
        headers = headers | {"x-rlfocal-replayed": "true"}
    more: dict[str, Any] = {
        "status_code": status, "headers": headers, "media_type": record.media_type,
    }  # fmt: skip
    if record.media_type == JSON:
        return Response(b"".join([piece async for piece in listening.pieces()]), **more)
    return EndingStream(listening.pieces(), listening.end, **more)


def _end_unheard(record: Record, n_unheard: int, places: Places) -> None:
    """End work that nobody listens to, where there is much of that already: as without a key."""
    if record.work is not None and n_unheard > places.most_unheard:
        record.work.cancel()


def gone_of(request: Request) -> asyncio.Future[None]:
    """Done once the client hangs up, whose body has been read; who waits for it cancels it."""
    connection = of_scope(request.scope)
    if connection is None:  # with a server that is not ours
        return asyncio.create_task(_until_gone(request))
    return connection.lost()


async def _until_gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
