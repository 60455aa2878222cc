"""The reply of a completion in its client's dialect: in one piece, or as events while it comes."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Any

from rlfocal.gateway.completion import Completion
from rlfocal.gateway.door.pieces import Pieces, Thought
from rlfocal.gateway.errors import ApiError, shutting_down
from rlfocal.gateway.wire.dialects.dialect import Dialect, Writer
from rlfocal.gateway.wire.replies import Shape, encode
from rlfocal.live import Answer
from rlfocal.live.aside import aside

__all__ = ["Responder"]

_log = logging.getLogger(__name__)


class Responder:
    """Writes the reply of one completion.

    Args:
        completion: not started.
        dialect: of who asked.
        writer: of this request.
        keep_alive_s: seconds of silence after which a stream says that it is still there.
    """

    def __init__(
        self, completion: Completion, dialect: Dialect, writer: Writer, keep_alive_s: float
    ) -> None:
        self.completion, self._dialect, self._writer = completion, dialect, writer
        self._keep_alive_s = keep_alive_s
        self.pieces = Pieces()

    def start(self) -> asyncio.Task[Answer]:
        """Start the completion."""
        if not self.completion.chat.body.stream:
            return self.completion.start()
        think = self.pieces.think if self._writer.tells_thoughts else None
        task = self.completion.start(self.pieces.put, think)
        task.add_done_callback(lambda _: self.pieces.end())
        return task

    async def whole(self, task: asyncio.Task[Answer]) -> tuple[bytes, dict[str, str]]:
        """The reply in one piece, of a task that is done: its body and its headers.

        Raises:
            ApiError: there is none.
        """
        done, shape = _done(task), self.completion.shape
        body = await aside(len(done.text), encode, self._writer.whole(shape, done))
        return body, self._headers(shape)

    def _headers(self, shape: Shape) -> dict[str, str]:
        return self._dialect.headers(shape) | shape.headers()

    async def first(
        self, task: asyncio.Task[Answer], gone: asyncio.Future[None] | None = None
    ) -> str | None:
        """Wait for the first of the text, so that what goes wrong before has a status of its own.

        Returns:
            It; "" where there is none yet, None where the reply is complete without any.

        Raises:
            ApiError: there is no reply.
        """
        got = asyncio.create_task(self.pieces.get())
        waited: set[asyncio.Future[Any]] = {got} if gone is None else {got, gone}
        try:
            await asyncio.wait(
                waited, timeout=self._keep_alive_s, return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            got.cancel()
        first = got.result() if got.done() else ""
        if first is None:
            _done(task)
        return first

    def head(self, first: str | None) -> dict[str, str]:
        """Headers of a stream."""
        shape = self.completion.shape
        if first is None:
            return self._headers(shape)
        return self._dialect.headers(shape) | {"x-rlfocal-id": self.completion.id}

    async def events(
        self, task: asyncio.Task[Answer], piece: str | None
    ) -> AsyncIterator[tuple[bytes, bool]]:
        """The stream.

        Args:
            task: from `start`.
            piece: from `first`.

        Yields:
            Events, and whether they tell of a failure.
        """
        writer, shape = self._writer, self.completion.shape
        if begun := writer.first(shape):
            yield begun, False
        while piece is not None:
            if isinstance(piece, Thought):
                yield writer.thought(piece, shape), False
            else:
                yield writer.piece(piece, shape) if piece else writer.still(), False
            try:
                async with asyncio.timeout(self._keep_alive_s):
                    piece = await self.pieces.get()
            except TimeoutError:
                piece = ""
        shape = self.completion.shape  # with the trace of what has happened meanwhile
        try:
            done = _done(task)
            for event in writer.rest(shape, done):
                yield event, False
        except ApiError as exc:
            yield writer.failed(shape, exc), True
        except Exception as exc:
            _log.error("request %s failed: %s", self.completion.id, type(exc).__name__)
            fault = ApiError(500, "internal_error", "a fault of the gateway; see its log")
            yield writer.failed(shape, fault), True


def _done(task: asyncio.Task[Answer]) -> Answer:
    if task.cancelled():
        raise shutting_down()
    return task.result()
