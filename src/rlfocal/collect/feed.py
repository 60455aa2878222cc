"""Claim calls of a plan that are still to be made, without a list of them in memory.

The plan is traversed from start to end, and again as long as other collectors work on parts of it
or somebody whom readers read may reply yet. State between passes is kept in the database alone, so
memory does not grow with the number of calls.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import AsyncGenerator, Callable, Collection
from contextlib import aclosing
from typing import NamedTuple

from rlfocal.collect.plan import BLOCK, Call, Plan, blocks
from rlfocal.collect.readings import Readings
from rlfocal.collect.tally import Tally
from rlfocal.records.database import Database

__all__ = ["Feed"]

_POLL_S = 0.5
"""Least time between two passes."""
_MOST_BEHIND = 8
"""Blocks kept for another look in the same pass."""


class _Look(NamedTuple):
    """What was found of a block."""

    wanted: list[Call]
    """Calls that can be made and are neither answered, failed, held nor given up."""
    n_waiting: int
    """Calls of readers of somebody who may reply yet."""


class Feed:
    """Claims calls, a few at a time.

    Args:
        plan: the calls.
        database: where claims and replies are.
        tally: counts, on the first pass, calls answered before and calls left out.
        owner: identifier of the claims' owner.
        lease_s: how long claims hold without being renewed.
        portion: calls claimed at once; other collectors cannot make a claimed call.
        retry_failed: make calls again that failed before this run.
    """

    def __init__(
        self,
        plan: Plan,
        database: Database,
        tally: Tally,
        *,
        owner: str,
        lease_s: float,
        portion: int,
        retry_failed: bool,
    ) -> None:
        self._plan, self._database, self._tally = plan, database, tally
        self._owner, self._lease_s, self._portion = owner, lease_s, min(portion, BLOCK)
        self._retry_failed = retry_failed
        self._failed_since = 0
        self._held: set[str] = set()
        self._n_elsewhere = 0
        """Calls of this pass that others have claimed."""
        self._is_waiting = False
        """Whether readers of somebody who may reply yet were left in this pass."""
        self._looked_s = 0.0
        self._has_ended = asyncio.Event()
        """Set when a call has ended since the pass began."""
        self.n_passes = 0

    async def calls(self, given_up: Callable[[int], bool]) -> AsyncGenerator[Call]:
        """Yield every call that is claimed, until all are answered, have failed or are given up.

        `given_up` says whether the member of a number is not to be asked any more.
        """
        if self._retry_failed:  # failures of this run are not retried in this run
            self._failed_since = await asyncio.to_thread(self._database.last_failure)
        while True:
            self.n_passes += 1
            self._looked_s, self._n_elsewhere, self._is_waiting = 0.0, 0, False
            self._has_ended.clear()
            async with aclosing(self._pass(given_up)) as found:
                async for call in found:
                    yield call
            if not (self._n_elsewhere or self._is_waiting):
                return
            # At most half of the time goes into passes, however large the plan is.
            await asyncio.sleep(max(_POLL_S, self._looked_s))
            if not self._n_elsewhere:
                await self._until_news()
            if self._tally.stopped:  # without a claimed call the caller would not see it
                return

    async def _pass(self, given_up: Callable[[int], bool]) -> AsyncGenerator[Call]:
        """Yield what is claimed from the plan's start to its end.

        Readers are looked for again a block later, when those whom they read have been asked: so
        what a limit leaves is of use, and the servers of readers do not idle.
        """
        readings = Readings(self._plan, self._database, failed_since=self._failed_since)
        behind: deque[list[Call]] = deque()
        for block in blocks(self._plan.calls()):
            again = [behind.popleft() for _ in range(min(len(behind), self._plan.depth))]
            for own in (*again, block):
                look = await self._look(own, readings, given_up, is_new=own is block)
                if look.n_waiting:
                    behind.append(own)
                async with aclosing(self._won(look.wanted)) as won:
                    async for call in won:
                        yield call
            if len(behind) > _MOST_BEHIND:
                behind.popleft()
                self._is_waiting = True
        self._is_waiting |= bool(behind)

    async def _won(self, wanted: list[Call]) -> AsyncGenerator[Call]:
        """Claim calls, a portion at a time, and yield those that nobody else has."""
        for start in range(0, len(wanted), self._portion):
            portion = wanted[start : start + self._portion]
            won = await self._claim([call.key for call in portion])
            self._n_elsewhere += len(portion) - len(won)
            for call in portion:
                if call.key in won:
                    yield call

    async def _until_news(self) -> None:
        """Return once a call under way has ended: before that a pass would find what it found."""
        while self._held and not (self._has_ended.is_set() or self._tally.stopped):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_POLL_S):
                    await self._has_ended.wait()

    async def _look(
        self,
        block: list[Call],
        readings: Readings,
        given_up: Callable[[int], bool],
        *,
        is_new: bool,
    ) -> _Look:
        """Find what can be asked of a block, which is new or was looked at before in this pass."""
        started = time.monotonic()
        # Read before the database: a call that ends in between has its reply or failure there.
        gone = {m for m in range(len(self._plan.members)) if given_up(m)}
        held = self._held.copy()
        found = await asyncio.to_thread(readings.resolve, block, held=held, gone=gone)
        keys = [call.key for call in found.calls]
        stored = await asyncio.to_thread(self._database.answered, keys)
        failed = await asyncio.to_thread(self._database.failed_among, keys, self._failed_since)
        if is_new and self.n_passes == 1:  # later looks would count what this run has stored
            self._tally.n_stored += len(stored)
            self._tally.n_skipped += len(failed)
            self._tally.n_unread += found.n_unread
        wanted = [
            call
            for call in found.calls
            if call.key not in held
            and call.key not in stored
            and call.key not in failed
            and not given_up(call.member)
        ]
        self._looked_s += time.monotonic() - started
        return _Look(wanted, len(found.waiting))

    async def _claim(self, keys: list[str]) -> set[str]:
        won = await asyncio.to_thread(self._database.claim, keys, self._owner, self._lease_s)
        self._held |= won
        return won

    def ended(self, keys: Collection[str]) -> None:
        """Forget calls that are answered, have failed or were released."""
        self._has_ended.set()
        self._held.difference_update(keys)

    async def renew(self) -> None:
        """Renew the claims held, until cancelled."""
        while True:
            await asyncio.sleep(self._lease_s / 3)
            held = list(self._held)
            await asyncio.to_thread(self._database.claim, held, self._owner, self._lease_s)
