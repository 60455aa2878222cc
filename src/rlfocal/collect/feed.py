"""Claim calls of a plan that are still to be made, without a list of them in memory.

The plan is traversed from start to end, and again as long as other collectors work on parts of it
or somebody whom readers read may reply yet. State between passes is kept in the database alone, so
memory does not grow with the number of calls.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import math
import time
from collections import deque
from collections.abc import AsyncGenerator, Callable, Collection, Iterator
from contextlib import aclosing
from itertools import islice
from typing import NamedTuple

from rlfocal.collect.claims import awake_s, release_dead
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
        self._held: dict[str, float] = {}
        """Calls claimed, and until when that surely holds."""
        self._place = _place_of(owner, len(plan.queries))
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
            if self._n_elsewhere:
                await asyncio.to_thread(release_dead, self._database)
            else:
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
        for block in self._blocks():
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

    def _blocks(self) -> Iterator[list[Call]]:
        """All calls; where others are found at work, those from a place of its own on come first.

        Else all would try to claim the same calls, one after another.
        """
        n_rows, before = len(self._plan.queries), self._n_elsewhere
        here, n_done = 0, 0
        for block in blocks(self._plan.calls()):
            yield block
            last = block[-1].query
            n_done = sum(call.query == last for call in block) + n_done * (last == here)
            here = last
            if self._n_elsewhere > before and here < self._place:
                break
        else:
            return
        yield from blocks(self._plan.calls(self._place, n_rows))
        # Its row may be half done.
        yield from blocks(islice(self._plan.calls(here, self._place), n_done, None))

    async def _won(self, wanted: list[Call]) -> AsyncGenerator[Call]:
        """Claim calls, a portion at a time, and yield those that nobody else has."""
        theirs: set[str] = set()
        for start in range(0, len(wanted), self._portion):
            portion = wanted[start : start + self._portion]
            keys = [call.key for call in portion if call.key not in theirs]
            won = await self._claim(keys) if keys else set()
            self._n_elsewhere += len(portion) - len(won)
            if len(won) < len(keys):  # to look is cheaper than to claim in vain
                left = [call.key for call in wanted[start + self._portion :]]
                theirs = await asyncio.to_thread(self._database.claimed, left, self._owner)
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
        held = set(self._held)
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
        until = awake_s() + self._lease_s
        won = await asyncio.to_thread(self._database.claim, keys, self._owner, self._lease_s)
        self._held.update(dict.fromkeys(won, until))
        return won

    async def still_holds(self, key: str) -> bool:
        """Whether a claimed call is nobody else's: this process may have slept over its lease."""
        if awake_s() > self._held.get(key, -math.inf):
            await self._renew_all()
        return key in self._held

    def ended(self, keys: Collection[str]) -> None:
        """Forget calls that are answered, have failed or were released."""
        self._has_ended.set()
        for key in keys:
            self._held.pop(key, None)

    async def renew(self) -> None:
        """Renew the claims held, until cancelled."""
        while True:
            await asyncio.sleep(self._lease_s / 3)
            await self._renew_all()

    async def _renew_all(self) -> None:
        """Renew all claims; those that others have by now are no longer held."""
        held, until = list(self._held), awake_s() + self._lease_s
        won = await asyncio.to_thread(self._database.claim, held, self._owner, self._lease_s)
        ended = won - self._held.keys()
        if ended:  # meanwhile
            await asyncio.to_thread(self._database.release, ended, self._owner)
        for key in self._held.keys() & held:
            if key in won:
                self._held[key] = until
            else:
                del self._held[key]


def _place_of(owner: str, n_rows: int) -> int:
    """The row at which an owner begins where it is not alone."""
    return int(hashlib.sha256(owner.encode()).hexdigest()[:8], 16) * n_rows >> 32
