"""Store outcomes in the database; where that fails, keep them and retry until the end.

One task writes everything pending at once. A database that cannot be written to (a full disk, a
server that went away) ends the collecting, not the replies that were paid for: those under way
still come back, and are kept here until they are stored or the last retry fails.
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
"""Time between two tries while calls are under way."""
_LAST_WAITS_S = (0.5, 1.0, 2.0, 4.0)
"""Waits before each of the tries after the last call."""


@dataclass(frozen=True)
class Unmade:
    """A claimed call that was not made."""

    key: str


Outcome = StoredResponse | StoredError | Unmade


class Writer:
    """Stores outcomes of calls.

    Args:
        database: where they go.
        owner: owner of the claims that end with them.
        on_stored: called with outcomes that are stored.
        on_trouble: called once, when storing fails for the first time.
        spent_usd: dollars of this run so far, which others who share its cap must know; None where
            nobody does.
    """

    def __init__(
        self,
        database: Database,
        owner: str,
        *,
        on_stored: Callable[[Sequence[Outcome]], None],
        on_trouble: Callable[[DatabaseError], None],
        spent_usd: Callable[[], float] | None = None,
    ) -> None:
        self._spent_usd = spent_usd
        self._database, self._owner = database, owner
        self._on_stored, self._on_trouble = on_stored, on_trouble
        self._left: list[Outcome] = []
        """Outcomes not yet known to be stored."""
        self._has_come = asyncio.Event()
        self._is_over: list[asyncio.Event] = []
        """One for each of them."""
        self.trouble: DatabaseError | None = None
        """Last error of storing; None where there was none."""

    @property
    def left(self) -> tuple[Outcome, ...]:
        """Outcomes that are not stored."""
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
        """Store outcomes as they come, until cancelled."""
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
        """Store the remaining outcomes after the last call; `left` holds those that failed."""
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
        """Try once to store the remaining outcomes."""
        for part in self._parts():
            try:
                self._store(part)
            except DatabaseError as exc:
                self._met(exc)
            else:
                self._stored(part)

    def _parts(self) -> Iterator[list[Outcome]]:
        """All at once, then each by itself, so that a refused outcome does not block others."""
        if self._left:
            yield self._left.copy()
        for item in self._left.copy():
            yield [item]

    def _met(self, exc: DatabaseError) -> None:
        first, self.trouble = self.trouble is None, exc
        for over in self._is_over:  # workers make no further call, so no more outcomes are kept
            over.set()
        if first:
            self._on_trouble(exc)

    def _stored(self, batch: Sequence[Outcome]) -> None:
        """Forget outcomes once they are stored, so that an interrupted one is stored again."""
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
        spent = () if self._spent_usd is None else ((self._owner, self._spent_usd()),)
        if replies:
            self._database.add_responses(replies, *spent)
        if errors:
            self._database.add_errors(errors, *spent)
        if unanswered := [item.key for item in batch if not isinstance(item, StoredResponse)]:
            self._database.release(unanswered, self._owner)
