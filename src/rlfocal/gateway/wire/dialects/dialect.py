"""What a dialect does: read a body, write a reply, whole or as events, and write errors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Protocol

from rlfocal.gateway.errors import ApiError
from rlfocal.gateway.wire.replies import Shape, encode
from rlfocal.gateway.wire.request import ChatRequest, Context
from rlfocal.live import Answer

__all__ = ["Dialect", "Writer", "data_event", "named_event"]


class Writer(Protocol):
    """Writes what comes of one request; it remembers how far a stream has come.

    Each method is given the request's `Shape` as it is now: who was asked, what it cost and took.
    """

    tells_thoughts: bool
    """Whether there is a place for what a member thinks; else `thought` is never called."""

    def whole(self, shape: Shape, done: Answer) -> dict[str, Any]:
        """The reply in one piece.

        Raises:
            ApiError: it cannot be said in this dialect.
        """
        ...

    def first(self, shape: Shape) -> bytes:
        """The events by which a stream begins."""
        ...

    def piece(self, text: str, shape: Shape) -> bytes:
        """The events that tell a piece of the text."""
        ...

    def thought(self, thought: str, shape: Shape) -> bytes:
        """The events that tell a piece of what is thought."""
        ...

    def still(self) -> bytes:
        """What keeps the connection open while there is nothing to say."""
        ...

    def rest(self, shape: Shape, done: Answer) -> Iterator[bytes]:
        """What a stream ends with: what was not streamed yet, and the end.

        Raises:
            ApiError: it cannot be said in this dialect.
        """
        ...

    def failed(self, shape: Shape, error: ApiError) -> bytes:
        """The events by which a stream ends that has begun and fails."""
        ...


class Dialect(Protocol):
    """One endpoint's manner of asking and answering."""

    id_prefix: str
    """Of the ids of its replies."""

    def read(self, found: Mapping[str, Any], context: Context) -> tuple[ChatRequest, Writer]:
        """Read a body that has been parsed.

        Args:
            found: the body.
            context: who can be asked, limits, and who asks.

        Raises:
            ApiError: 400 or 404, naming the field as this dialect calls it, never its value.
        """
        ...

    def headers(self, shape: Shape) -> dict[str, str]:
        """Of a reply, beside those of every dialect."""
        ...

    def error(self, error: ApiError) -> dict[str, Any]:
        """A refusal as its clients read it."""
        ...


def data_event(data: Mapping[str, Any]) -> bytes:
    """A server-sent event without a name."""
    return b"data: " + encode(data) + b"\n\n"


def named_event(data: Mapping[str, Any]) -> bytes:
    """A server-sent event whose name is its data's type."""
    return b"event: " + str(data["type"]).encode() + b"\n" + data_event(data)
