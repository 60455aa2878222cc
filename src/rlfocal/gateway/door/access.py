"""The door: whose request it is, and whether it may pass.

Knows keys and limits, and nothing of HTTP but the status that a refusal has. Every wrong key is
refused in the same words, so that nobody learns what was wrong with it.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from collections import OrderedDict
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import sqlalchemy as sa

from rlfocal.errors import DatabaseError
from rlfocal.gateway.errors import ApiError
from rlfocal.gateway.store.heart import Heart
from rlfocal.gateway.store.keys import Key, KeyWithDigest, id_in
from rlfocal.gateway.store.ledger import Refused
from rlfocal.gateway.store.rows import RequestRow
from rlfocal.gateway.store.store import Store
from rlfocal.gateway.store.writer import Writer

__all__ = ["ANONYMOUS", "Access"]

ANONYMOUS = Key(id="", name="anonymous", admin=True)
"""The caller where the door is open: there are no keys."""

MAX_REMEMBERED = 4096
MAX_LOOKUPS = 4
"""Looked up at once: who guesses ids must not occupy every thread."""
_NOBODY = hashlib.sha256(b"").hexdigest()


class _Remembered(NamedTuple):
    known: KeyWithDigest | None
    at: float


class Access:
    """Knows keys, and counts what they use; it belongs to one event loop.

    Args:
        store: where keys are looked up.
        writer: of the same store.
        open_door: let everybody pass, as an administrator: for a gateway without keys that only
            its own machine can reach.
        clock: seconds since 1970; None for the one that all gateways of the database share.
        remembered_s: seconds after which a key is looked up again: a revoked one may live so long.
    """

    def __init__(
        self,
        store: Store,
        writer: Writer,
        *,
        open_door: bool = False,
        clock: Callable[[], float] | None = None,
        remembered_s: float = 2.0,
    ) -> None:
        self._store, self._writer = store, writer
        self.heart = Heart(store, writer, clock=clock)
        self._clock = self.heart.now
        self._open_door, self._remembered_s = open_door, remembered_s
        # Apart, so that who makes ids up does not push out those that are used.
        self._known: OrderedDict[str, _Remembered] = OrderedDict()
        self._unknown: OrderedDict[str, _Remembered] = OrderedDict()
        self._under_way: dict[str, asyncio.Task[KeyWithDigest | None]] = {}
        self._lookups = asyncio.Semaphore(MAX_LOOKUPS)
        self._finish_all = self._write_down  # one object: by which the writer knows what it joins

    async def key_of(self, authorization: str | None) -> Key:
        """Whose request it is.

        Args:
            authorization: the header, "Bearer rlf_..."; None where there is none.

        Raises:
            ApiError: 401, in the same words whatever is wrong.
            DatabaseError: it cannot be looked up just now.
        """
        if self._open_door:
            return ANONYMOUS
        scheme, _, text = (authorization or "").partition(" ")
        plaintext = text.strip()
        key_id = id_in(plaintext) if scheme.lower() == "bearer" else None
        if key_id is None:
            raise _no_key()
        given = hashlib.sha256(plaintext.encode("ascii")).hexdigest()
        known = await self._look_up(key_id)
        # An id is no secret, but an unknown one takes the same way, and every digest the same time.
        proved = hmac.compare_digest(given, _NOBODY if known is None else known.digest)
        if known is None or not proved or known.key.state(self._clock()) != "active":
            raise _no_key()
        return known.key

    async def admit(
        self,
        key: Key,
        request_id: str,
        most_usd: float | None,
        lease_s: float,
        *,
        n_replies: int = 1,
    ) -> None:
        """Let a request pass and reserve what it may use, until `finish`.

        A key without limits passes without a look into the database, unless what it spends could
        not be written down.

        Args:
            key: from `key_of`.
            request_id: that no other request has.
            most_usd: dollars that it may cost at most; None where some member has no price.
            lease_s: seconds after which it counts as lost: longer than any request takes.
            n_replies: that it wants; each takes a place of those that the key may have at once.

        Raises:
            ApiError: 400 it wants more replies than the key may have at once, 401 the key was
                revoked or is over, 429 it has used up a limit, 400 it has a budget and nobody
                knows what this may cost.
            DatabaseError: it cannot be counted just now.
        """
        if not key.limits.exist:
            if (trouble := self._writer.trouble) is not None:
                raise DatabaseError(f"what it costs could not be written down: {trouble}")
            return
        if key.limits.usd is not None and most_usd is None:
            raise _unpriced()
        if key.limits.concurrency is not None and n_replies > key.limits.concurrency:
            raise _too_many(n_replies, key.limits.concurrency)
        ledger, process = self._store.ledger, self.heart.process
        try:
            decision = await self._writer.do(
                lambda c: ledger.admit(
                    c,
                    key,
                    request_id,
                    most_usd,
                    lease_s,
                    self._clock(),
                    process,
                    n_places=n_replies,
                )
            )
        except asyncio.CancelledError:
            # Comes after it in the queue, so the reservation is gone even if it was made.
            self._writer.put(lambda c: ledger.release(c, request_id))
            raise
        if isinstance(decision, Refused):
            raise _refusal(decision)

    @property
    def stuck_s(self) -> float:
        """Seconds for which the database has been at one transaction."""
        return self._writer.stuck_s

    def charge(self, key: Key) -> None:
        """Take one request out of what a key may make a minute, soon, though none came of it."""
        if key.limits.requests_per_minute is not None:
            self._writer.put(lambda c: self._store.ledger.charge(c, key, self._clock()))

    def finish(self, row: Callable[[], RequestRow], *, reserved: bool = True) -> None:
        """Write a request down and settle it, soon; a second time counts nothing.

        Where nothing was reserved for it, because its key has no limits, nobody waits for that, and
        it is written with others. The row is made in the writer's thread, perhaps twice. Where the
        database does not take it, it is kept and tried again. If it is lost all the same, that is
        logged, and what was reserved counts as spent when its lease is over.
        """
        if not reserved:
            self._writer.gather(self._finish_all, row)
            return
        ledger = self._store.ledger
        self._writer.put(lambda connection: ledger.finish(connection, row(), self._clock()))

    def _write_down(
        self, connection: sa.Connection, rows: Sequence[Callable[[], RequestRow]]
    ) -> None:
        self._store.ledger.finish_all(connection, [row() for row in rows], self._clock())

    async def sweep(self) -> int:
        """Settle requests of processes that were killed; to be called now and then.

        Returns:
            How many they were.

        Raises:
            DatabaseError: it cannot be written just now.
        """
        return await self._writer.do(lambda c: self._store.ledger.sweep(c, self._clock()))

    async def _look_up(self, key_id: str) -> KeyWithDigest | None:
        now = self._clock()
        for memory in (self._known, self._unknown):
            found = memory.get(key_id)
            if found is not None and 0 <= now - found.at < self._remembered_s:
                memory.move_to_end(key_id)
                return found.known
        task = self._under_way.get(key_id)
        if task is None:
            task = self._under_way[key_id] = asyncio.create_task(self._read(key_id, now))
            task.add_done_callback(partial(self._looked_up, key_id))
        return await asyncio.shield(task)  # who is cancelled must not cancel the others

    def _looked_up(self, key_id: str, task: asyncio.Task[KeyWithDigest | None]) -> None:
        del self._under_way[key_id]
        if not task.cancelled():
            task.exception()  # whoever asked may have been cancelled: then nobody else takes it

    async def _read(self, key_id: str, now: float) -> KeyWithDigest | None:
        def read() -> KeyWithDigest | None:
            with self._store.connections.read() as connection:
                return self._store.keys.find(connection, key_id)

        async with self._lookups:
            known = await asyncio.to_thread(read)
        memory, other = self._known, self._unknown
        if known is None:
            memory, other = other, memory
        other.pop(key_id, None)
        memory[key_id] = _Remembered(known, now)
        memory.move_to_end(key_id)
        if len(memory) > MAX_REMEMBERED:
            memory.popitem(last=False)
        return known


def _no_key() -> ApiError:
    return ApiError(
        401, "invalid_api_key", "no valid key; send it as the header Authorization: Bearer rlf_..."
    )


def _refusal(refused: Refused) -> ApiError:
    if refused.code == "invalid_api_key":
        return _no_key()
    if refused.code == "unpriced":
        return _unpriced()
    return ApiError(429, refused.code, refused.message, retry_after_s=refused.retry_after_s)


def _too_many(n: int, most: int) -> ApiError:
    return ApiError(
        400,
        "invalid_value",
        f"{n} replies at once, and this key may have {most} calls under way at once; ask for fewer",
        param="n",
    )


def _unpriced() -> ApiError:
    return ApiError(
        400,
        "unpriced",
        "this key has a budget, and nobody knows what this request may cost: a member has no "
        'price; add [prices."MODEL"] to the pool file, or use a key without a budget',
    )
