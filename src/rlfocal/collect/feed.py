"""Claim calls of a plan that are still to be made, without a list of them in memory.

The plan is traversed from start to end, and again as long as other collectors work on parts of it
or somebody whom readers read may reply yet. State between passes is kept in the database alone, so
memory does not grow with the number of calls.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, Callable, Collection

from rlfocal.collect.plan import BLOCK, Call, Plan, blocks
from rlfocal.collect.readings import Readings
from rlfocal.collect.tally import Tally
from rlfocal.records.database import Database

__all__ = ["Feed"]

_POLL_S = 0.5
"""Least time between two passes."""


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
        self._n_waiting = 0
        """Calls of readers that cannot be made yet, of this pass."""
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
            looked_s, n_elsewhere, self._n_waiting = 0.0, 0, 0
            self._has_ended.clear()
            readings = Readings(self._plan, self._database, failed_since=self._failed_since)
            for block in blocks(self._plan.calls()):
                started = time.monotonic()
                wanted = await self._open(block, readings, given_up)
                looked_s += time.monotonic() - started
                for start in range(0, len(wanted), self._portion):
                    portion = wanted[start : start + self._portion]
                    won = await self._claim([call.key for call in portion])
                    n_elsewhere += len(portion) - len(won)
                    for call in portion:
                        if call.key in won:
                            yield call
            if not n_elsewhere and not self._n_waiting:
                return
            # At most half of the time goes into passes, however large the plan is.
            await asyncio.sleep(max(_POLL_S, looked_s))
            if not n_elsewhere:
                await self._until_news()
            if self._tally.stopped:  # without a claimed call the caller would not see it
                return

    async def _until_news(self) -> None:
        """Return once a call under way has ended: before that a pass would find what it found."""
        while self._held and not (self._has_ended.is_set() or self._tally.stopped):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_POLL_S):
                    await self._has_ended.wait()

    async def _open(
        self, block: list[Call], readings: Readings, given_up: Callable[[int], bool]
    ) -> list[Call]:
        """Calls that can be made and are neither answered, failed, held nor given up."""
        # Read before the database: a call that ends in between has its reply or failure there.
        gone = {m for m in range(len(self._plan.members)) if given_up(m)}
        held = self._held.copy()
        found = await asyncio.to_thread(readings.resolve, block, held=held, gone=gone)
        self._n_waiting += len(found.waiting)
        keys = [call.key for call in found.calls]
        stored = await asyncio.to_thread(self._database.answered, keys)
        failed = await asyncio.to_thread(self._database.failed_among, keys, self._failed_since)
        if self.n_passes == 1:  # later passes would count what this run has stored
            self._tally.n_stored += len(stored)
            self._tally.n_skipped += len(failed)
            self._tally.n_unread += found.n_unread
        return [
            call
            for call in found.calls
            if call.key not in held
            and call.key not in stored
            and call.key not in failed
            and not given_up(call.member)
        ]

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
