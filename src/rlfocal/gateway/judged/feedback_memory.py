"""The last judged answers, as the memory that a frozen policy follows drift by.

Every process reads them from the database, its own included, so all of them see the same.

Axes: N members, W remembered answers.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from functools import lru_cache, partial

import numpy as np

from rlfocal.checkpoint import Checkpoint
from rlfocal.deliberation.base import Base
from rlfocal.deliberation.view import Memory
from rlfocal.errors import DatabaseError
from rlfocal.gateway.store.rows import FeedbackRow
from rlfocal.gateway.store.store import Store

__all__ = ["FeedbackMemory", "memory_of"]

_log = logging.getLogger(__name__)
_BATCH = 1000
_PRICES = 64
"""Most prices at which the strategy is kept: clients may name any."""


class FeedbackMemory:
    """Follows the table of judged answers.

    Args:
        store: where they are.
        checkpoint: whose members and tasks they speak of.
        window: W, answers that are remembered.
        least: with fewer there is no memory, unless nothing else is known of the members.
        poll_s: seconds between two looks at what other processes have written.
        on_judged: is awaited when judged answers have come in, and once they are loaded.
    """

    def __init__(
        self,
        store: Store,
        checkpoint: Checkpoint,
        *,
        window: int,
        least: int,
        poll_s: float,
        on_judged: Callable[[], Awaitable[None]],
    ) -> None:
        self._store, self._checkpoint = store, checkpoint
        self._least, self._poll_s, self._on_judged = least, poll_s, on_judged
        self._rows: deque[FeedbackRow] = deque(maxlen=window)
        self._position = 0
        self._poke = asyncio.Event()
        self._lock = asyncio.Lock()
        self.memory: Memory | None = None
        """None while too few answers were judged."""
        self._follow_with(checkpoint.strategy)
        self.n_seen = 0
        """Judged answers since the start that are in the memory, or were."""

    @property
    def rows(self) -> Sequence[FeedbackRow]:
        """Judged answers that are remembered, oldest first."""
        return tuple(self._rows)

    def poke(self) -> None:
        """Look for new judged answers at once."""
        self._poke.set()

    async def load(self) -> None:
        """Read the latest judged answers.

        Raises:
            DatabaseError: it cannot be read.
        """
        await self._take(await asyncio.to_thread(self._latest))
        await self._on_judged()

    async def follow(self) -> None:
        """Poll for new ones until cancelled; the database may be away for a while."""
        while True:
            try:
                async with asyncio.timeout(self._poll_s):
                    await self._poke.wait()
            except TimeoutError:
                pass
            self._poke.clear()
            try:
                while rows := await asyncio.to_thread(partial(self._later, self._position)):
                    await self._take(rows)
                    await self._on_judged()
            except DatabaseError as exc:
                _log.warning("judged answers cannot be read: %s", exc)

    async def adopt(self, checkpoint: Checkpoint) -> None:
        """Follow another checkpoint from now on."""
        await self._take((), checkpoint)

    async def _take(
        self, rows: Sequence[FeedbackRow], checkpoint: Checkpoint | None = None
    ) -> None:
        async with self._lock:  # or a strategy could come after the checkpoint that replaces it
            self._checkpoint = checkpoint or self._checkpoint
            self._remember(rows)
            memory, strategy = None, self._checkpoint.strategy
            has_labels = self._checkpoint.description.n_training_queries > 0
            if len(self._rows) >= (self._least if has_labels else 1):
                memory = memory_of(tuple(self._rows), self._checkpoint)
                # Takes milliseconds, which no request should wait for.
                strategy = await asyncio.to_thread(strategy.follow, memory)
            self.memory = memory
            self._follow_with(strategy)
            self.n_seen += len(rows)

    def _follow_with(self, strategy: Base) -> None:
        self.strategy = strategy
        """The strategy, following the remembered answers."""
        self.at_price = lru_cache(_PRICES)(strategy.at_price)
        """The same at a price; most requests name one of a few."""

    def _remember(self, rows: Sequence[FeedbackRow]) -> None:
        for row in rows:
            # A second judgement of the same answer takes the place of the first.
            same = next((k for k, r in enumerate(self._rows) if r.request_id == row.request_id), -1)
            if same >= 0:
                del self._rows[same]
            self._rows.append(row)
            self._position = max(self._position, row.position or 0)

    def _latest(self) -> Sequence[FeedbackRow]:
        with self._store.connections.read() as connection:
            return self._store.log.feedback(connection, self._rows.maxlen or 0)

    def _later(self, position: int) -> Sequence[FeedbackRow]:
        with self._store.connections.read() as connection:
            return self._store.log.feedback_after(connection, position, n=_BATCH)


def memory_of(rows: Sequence[FeedbackRow], checkpoint: Checkpoint) -> Memory:
    """Judged answers as a strategy remembers them.

    Args:
        rows: W of them, oldest first.
        checkpoint: says in which order members and tasks are numbered; others are left out.
    """
    about = checkpoint.description
    place = {name: n for n, name in enumerate(about.members)}
    number = {name: n for n, name in enumerate(about.tasks)}
    answer = np.full((len(rows), len(place)), -1, dtype=np.int16)
    score = np.full(answer.shape, np.nan, dtype=np.float32)
    for w, row in enumerate(rows):
        for member, given in row.given.items():
            if (n := place.get(member)) is None:
                continue
            worth = row.member_scores.get(member)
            if given is not None:
                answer[w, n] = given
            if worth is not None:
                score[w, n] = worth
    task = np.array([number.get(row.task, len(number)) for row in rows], dtype=np.int64)
    return Memory(task, answer, score)
