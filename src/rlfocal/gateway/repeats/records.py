"""The same request under one idempotency key gets the same reply, and is paid for once.

A reply is recorded while it is made; who comes with its key follows the record, from its beginning,
whether it is complete or still in the making. Records live in this process alone, for minutes and
within bounds. Failures are told to whoever waits for them and then forgotten.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from rlfocal.gateway.errors import ApiError

__all__ = ["HEADER", "Listening", "Record", "Records", "digest_of"]

HEADER = "idempotency-key"
_LONGEST_KEY = 255
_LONGEST_S = 600.0
_MOST, _MOST_OF_ONE = 2048, 256
_MOST_BYTES, _MOST_BYTES_OF_ONE = 64 << 20, 16 << 20


@dataclass
class Record:
    """A reply, as far as it has been made.

    Args:
        digest: of the request.
    """

    digest: bytes
    made_at: float
    status: int | None = None
    """None until it is known."""
    headers: dict[str, str] = field(default_factory=dict)
    media_type: str | None = None
    pieces: list[bytes] = field(default_factory=list)
    is_done: bool = False
    n_listeners: int = 0
    work: asyncio.Task[None] | None = None
    """What makes it; None before it has begun."""
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def size(self) -> int:
        """Bytes of its body so far."""
        return sum(map(len, self.pieces))

    def begin(self, status: int, headers: Mapping[str, str], media_type: str | None) -> None:
        """Note the status and the headers."""
        self.status, self.headers, self.media_type = status, dict(headers), media_type
        self._wake()

    def add(self, piece: bytes) -> None:
        """Add a piece of the body."""
        self.pieces.append(piece)
        self._wake()

    def end(self) -> None:
        """Note that the reply is complete."""
        self.is_done = True
        self._wake()

    def _wake(self) -> None:
        # Everybody who waits holds the old one.
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    async def begun(self) -> int:
        """Wait until its status is known."""
        while self.status is None:
            await self._changed.wait()
        return self.status

    async def follow(self) -> AsyncIterator[bytes]:
        """The reply's body, from the beginning to the end."""
        k = 0
        while True:
            while k < len(self.pieces):
                k += 1
                yield self.pieces[k - 1]
            if self.is_done:
                return
            await self._changed.wait()


class Listening:
    """One client that listens to a record.

    Args:
        record: is listened to.
        unheard: called when the last one goes before it is complete.
    """

    def __init__(self, record: Record, unheard: Callable[[], None]) -> None:
        self._record, self._unheard, self._is_over = record, unheard, False
        record.n_listeners += 1

    async def pieces(self) -> AsyncIterator[bytes]:
        """The record's body, from the beginning to the end."""
        try:
            async for piece in self._record.follow():
                yield piece
        finally:
            self.end()

    def end(self) -> None:
        """Note that the client goes; a second time does nothing."""
        if self._is_over:
            return
        self._is_over = True
        self._record.n_listeners -= 1
        if not (self._record.n_listeners or self._record.is_done):
            self._unheard()


class Records:
    """Records of a process.

    Args:
        clock: seconds, for their age.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._known: OrderedDict[tuple[str, str], Record] = OrderedDict()

    def claim(self, owner: str, key: str, digest: bytes) -> tuple[Record, bool]:
        """The record of a key, and whether it is new: then who asks has to make the reply.

        Args:
            owner: id of the API key that asks; others' keys are other keys.
            key: the idempotency key.
            digest: of the request.

        Raises:
            ApiError: 400 it is no key, 422 it was used for another request.
        """
        if not 0 < len(key) <= _LONGEST_KEY or not key.isprintable():
            raise ApiError(
                400, "invalid_value",
                f"Idempotency-Key should have 1 to {_LONGEST_KEY} printable characters",
                param=HEADER,
            )  # fmt: skip
        self.forget_old()
        found = self._known.get((owner, key))
        if found is None:
            made = self._known[owner, key] = Record(digest, self._clock())
            return made, True
        if found.digest != digest:
            raise ApiError(
                422, "idempotency_key_reused",
                "this Idempotency-Key was used for another request a short while ago; use a new "
                "one for each request",
                param=HEADER,
            )  # fmt: skip
        return found, False

    def n_unheard(self, owner: str) -> int:
        """How many records of a key are in the making with nobody listening."""
        mine = [one for (whose, _), one in self._known.items() if whose == owner]
        return sum(not (one.is_done or one.n_listeners) for one in mine)

    def close(self, owner: str, key: str, *, keep: bool) -> None:
        """The reply has been made; forget it where it is not worth to be kept."""
        if not keep:
            self._known.pop((owner, key), None)
            return
        mine = [k for k, one in self._known.items() if one.is_done and k[0] == owner]
        self._shorten(mine, _MOST_OF_ONE, _MOST_BYTES_OF_ONE)
        every = [k for k, one in self._known.items() if one.is_done]
        self._shorten(every, _MOST, _MOST_BYTES)

    def _shorten(self, keys: list[tuple[str, str]], most: int, most_bytes: int) -> None:
        """Forget the oldest of them until the others are within bounds."""
        size = sum(self._known[key].size for key in keys)
        for n, key in zip(range(len(keys), 0, -1), keys, strict=True):
            if n <= most and size <= most_bytes:
                return
            size -= self._known.pop(key).size

    def forget_old(self) -> None:
        """Forget what is older than it may be; to be called now and then."""
        oldest = self._clock() - _LONGEST_S
        # They stand in the order in which they were made; those in the making end by themselves.
        while self._known:
            key, first = next(iter(self._known.items()))
            if first.made_at > oldest:
                return
            del self._known[key]


def digest_of(path: str, found: Any) -> bytes:
    """Of a request, however its fields are ordered.

    Args:
        path: of the endpoint.
        found: the body, parsed.

    Raises:
        ApiError: 400, it is nested too deeply.
    """
    try:
        told = json.dumps([path, found], sort_keys=True, separators=(",", ":"))
    except RecursionError:
        raise ApiError(
            400, "invalid_json",
            f"the body is nested too deeply to be compared with others under its {HEADER}",
        ) from None  # fmt: skip
    return hashlib.sha256(told.encode("ascii")).digest()
