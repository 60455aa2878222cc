"""Put what came back into the database; where that fails, keep it and try again until the end.

One task writes, all that is there at once. A database that cannot be written to (a full disk, a
server that went away) ends the collecting, not the replies that were paid for: those under way
still come back, and are kept here until they are stored or there is no hope left.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from rlfocal.errors import DatabaseError
from rlfocal.records.database import Database, StoredError, StoredResponse

__all__ = ["Outcome", "Unmade", "Writer"]

_AGAIN_S = 1.0
"""Between two tries while calls are under way."""
_LAST_WAITS_S = (0.5, 1.0, 2.0, 4.0)
"""Before each of the tries after the last call."""


@dataclass(frozen=True)
class Unmade:
    """A call that was claimed and is not made after all."""

    key: str


Outcome = StoredResponse | StoredError | Unmade


class Writer:
    """Stores outcomes of calls.

    Args:
        database: where they go.
        owner: whose claims end with them.
        on_stored: told of those that are stored.
        on_trouble: told once, when storing fails for the first time.
    """

    def __init__(
        self,
        database: Database,
        owner: str,
        *,
        on_stored: Callable[[Sequence[Outcome]], None],
        on_trouble: Callable[[DatabaseError], None],
    ) -> None:
        self._database, self._owner = database, owner
        self._on_stored, self._on_trouble = on_stored, on_trouble
        self._left: list[Outcome] = []
        """What came back and is not yet known to be written."""
        self._has_come = asyncio.Event()
        self._is_over: list[asyncio.Event] = []
        """One for each of them."""
        self.trouble: DatabaseError | None = None
        """Why storing failed the last time; None where it never did."""

    @property
    def left(self) -> tuple[Outcome, ...]:
        """What is not stored."""
        return tuple(self._left)

    async def keep(self, outcome: Outcome) -> None:
        """Return when the outcome of a call is stored, or cannot be for now."""
        over = asyncio.Event()
        self._left.append(outcome)
        self._is_over.append(over)
        self._has_come.set()
        if self.trouble is None:
            await over.wait()

    async def run(self) -> None:
        """Store what comes, until cancelled."""
        while True:
            await self._has_come.wait()
            self._has_come.clear()
            batch = self._left.copy()
            try:
                await asyncio.to_thread(self._store, batch)
            except DatabaseError as exc:
                self._met(exc)
                await asyncio.sleep(_AGAIN_S)
                self._has_come.set()
            else:
                self._stored(batch)

    async def finish(self) -> None:
        """Store what is left, now that no more will come; `left` is what could not be."""
        for wait in (*_LAST_WAITS_S, 0.0):
            for part in self._parts():
                try:
                    await asyncio.to_thread(self._store, part)
                except DatabaseError as exc:
                    self._met(exc)
                else:
                    self._stored(part)
            if not self._left:
                return
            await asyncio.sleep(wait)

    def store_now(self) -> None:
        """Store what is left, as far as that is possible at once."""
        for part in self._parts():
            try:
                self._store(part)
            except DatabaseError as exc:
                self._met(exc)
            else:
                self._stored(part)

    def _parts(self) -> Iterator[list[Outcome]]:
        """All at once, else each by itself: one that is refused takes no others with it."""
        if self._left:
            yield self._left.copy()
        for item in self._left.copy():
            yield [item]

    def _met(self, exc: DatabaseError) -> None:
        first, self.trouble = self.trouble is None, exc
        for over in self._is_over:  # they make no further call, so no more than these is kept
            over.set()
        if first:
            self._on_trouble(exc)

    def _stored(self, batch: Sequence[Outcome]) -> None:
        """Not before it is: interrupted, it is to be written all the same."""
        for item in batch:
            place = self._left.index(item)
            del self._left[place]
            self._is_over.pop(place).set()
        self._on_stored(batch)

    def _store(self, batch: Sequence[Outcome]) -> None:
        if self.trouble is not None:
            with contextlib.suppress(DatabaseError):
                self._database.make_room()
        replies = [item for item in batch if isinstance(item, StoredResponse)]
        errors = [item for item in batch if isinstance(item, StoredError)]
        if replies:
            self._database.add_responses(replies)
        if errors:
            self._database.add_errors(errors)
        if unanswered := [item.key for item in batch if not isinstance(item, StoredResponse)]:
            self._database.release(unanswered, self._owner)
