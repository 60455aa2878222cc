"""Which requests may be sent now: none while a server asks to wait, few after that.

One gate stands before one model of one server. A refusal closes it for everybody, as long as the
server says, else for a wait that doubles; then one request tries, and with every answer more are
let through. Refusals of requests that were under way together are one refusal.
"""

from __future__ import annotations

import asyncio
import math
import random
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from rlfocal.errors import Failure, MemberError

__all__ = ["Gate", "Pulse", "duration"]

_FIRST_WAIT_S = 1.0
_MOST_WAIT_S = 60.0
"""Of waits that no server has told."""
_SLOWLY = 32
"""How much slower more are let through where there was a refusal the last time."""
_TICK_S = 0.001
"""Timers are no more exact than that."""


@dataclass
class Pulse:
    """When a server last answered, whichever of its models was asked."""

    answered_at: float = -math.inf
    """By the clock of its gates."""


class Gate:
    """Lets requests through.

    Args:
        most: requests let through at once while nobody is refused.
        patience_s: seconds without an answer of the server, from the first refusal to the next try;
            a longer wait is not waited for, and the gate lets nobody through any more.
        rng: draws waits, so that several processes do not come back together.
        clock: seconds that only grow; the event loop's, or one that runs like it.
        pulse: shared by the gates of one server: its limit may be one for all its models, and while
            others are answered it is worth waiting.
    """

    def __init__(
        self,
        most: int,
        *,
        patience_s: float,
        rng: random.Random,
        clock: Callable[[], float],
        pulse: Pulse | None = None,
    ) -> None:
        self._pulse = pulse or Pulse()
        self._most, self._patience_s, self._rng, self._clock = most, patience_s, rng, clock
        self._room = self._target = float(most)
        """Requests let through at once, and how many it comes back to quickly."""
        self._ceiling = math.inf
        """Where it was refused the last time; beyond it, forgotten."""
        self._inside = 0
        self._opens_at = -math.inf
        self._n_closed = 0
        self._since: float | None = None
        """When the first request was refused of those after the last answer."""
        self._n_refused = 0
        """Times it was closed since the last answer; parallel refusals count once."""
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._stopped_by: str | None = None
        self.given_up: str | None = None
        """Why it lets no more requests through; None while it does."""

    @property
    def opens_in_s(self) -> float:
        """Seconds until somebody is let through; 0 where it is open, or nobody is any more."""
        return 0.0 if self._stopped_by else max(0.0, self._opens_at - self._clock())

    @asynccontextmanager
    async def passage(self, *, first: bool = False) -> AsyncIterator[int]:
        """Wait to be let through, and count as under way inside.

        Args:
            first: it was let through before and not sent, and goes before all others. Who was
                refused does not: always refused, it would keep the gate closed for ever.

        Yields:
            How often the gate was closed before.

        Raises:
            MemberError: nobody is let through any more; `failure` is `Failure.CIRCUIT_OPEN`.
        """
        await self._enter(first)
        try:
            yield self._n_closed
        finally:
            self._inside -= 1
            self._let_in()

    def answered(self, n_closed: int) -> None:
        """A request was answered, let through when the gate had been closed so often: more may."""
        self._pulse.answered_at = self._clock()
        if n_closed < self._n_closed:
            return  # it was under way before anybody was refused
        self._since, self._n_refused = None, 0
        if self._room < self._target:
            self._room = min(2 * self._room, self._target)
            return
        near = self._ceiling - 1 <= self._room
        self._room = min(self._room + 1 / self._room / (_SLOWLY if near else 1), self._most)
        if self._room > self._ceiling:
            self._ceiling = math.inf

    def refused(self, n_closed: int, error: MemberError) -> None:
        """A request was turned away, let through when the gate had been closed so often.

        Raises:
            MemberError: the server is given up; of all requests under way the first learns why.
        """
        now = self._clock()
        wait = error.retry_after_s or 0.0
        if n_closed == self._n_closed:
            self._n_closed += 1
            self._n_refused += 1
            self._since = now if self._since is None else self._since
            self._ceiling = float(int(self._room))
            self._target, self._room = max(1.0, self._room / 2), 1.0
            # A server that says "at once" again and again is not believed.
            n_drawn = self._n_refused - (error.retry_after_s is not None)
            wait = max(wait, self._drawn(n_drawn))
        self._opens_at = max(self._opens_at, now + wait)
        if self._stopped_by:
            raise self._not_sent()
        since = max(now if self._since is None else self._since, self._pulse.answered_at)
        if self._opens_at - since > self._patience_s:
            self._give_up(error, wait, now - since)

    def stop(self, reason: str) -> None:
        """Let no more requests through; those that wait fail with the reason."""
        self._stopped_by = self._stopped_by or reason
        while self._waiting:
            future = self._waiting.popleft()
            if not future.done():
                future.set_exception(self._not_sent())

    def _drawn(self, n: int) -> float:
        if n < 1:
            return 0.0
        bound = min(_MOST_WAIT_S, _FIRST_WAIT_S * 2.0 ** min(n - 1, 63))
        return bound * self._rng.uniform(0.75, 1.0)

    def _give_up(self, error: MemberError, wait_s: float, silent_s: float) -> None:
        why = f"it would have to wait {duration(wait_s)} more"
        if silent_s >= 1:
            why += f" after {duration(silent_s)} without an answer"
        reason = f"{error}; not waited for: {why}, patience ends after {duration(self._patience_s)}"
        self.given_up = reason
        self.stop("its server is not waited for")
        raise error.with_message(reason)

    def _not_sent(self) -> MemberError:
        return MemberError(f"not sent: {self._stopped_by}", failure=Failure.CIRCUIT_OPEN)

    async def _enter(self, first: bool) -> None:
        if self._stopped_by:
            raise self._not_sent()
        if self._has_room and not self._waiting:
            self._inside += 1
            return
        future = asyncio.get_running_loop().create_future()
        (self._waiting.appendleft if first else self._waiting.append)(future)
        self._let_in()
        try:
            await future
        except asyncio.CancelledError:
            if future.done() and not future.cancelled() and future.exception() is None:
                self._inside -= 1  # let through, and gone
                self._let_in()
            elif future in self._waiting:
                self._waiting.remove(future)
            raise

    @property
    def _has_room(self) -> bool:
        return self._inside < int(self._room) and self._clock() >= self._opens_at

    def _let_in(self) -> None:
        """Let in who waits and may; come back when the gate opens."""
        while self._waiting and self._has_room:
            future = self._waiting.popleft()
            if not future.done():
                self._inside += 1
                future.set_result(None)
        wait = self._opens_at - self._clock()
        if self._waiting and wait > 0 and self._timer is None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(max(wait, _TICK_S), self._ring)

    def _ring(self) -> None:
        self._timer = None
        self._let_in()


def duration(seconds: float) -> str:
    """Seconds for people.

    >>> [duration(s) for s in (0.4, 17.4, 600, 5400, 86400)]
    ['0.4 s', '17 s', '10 min', '1.5 h', '24 h']
    """
    if seconds < 10:
        return f"{round(seconds, 1):g} s"
    if seconds < 180:
        return f"{seconds:.0f} s"
    if seconds < 3600:
        return f"{seconds / 60:.0f} min"
    return f"{round(seconds / 3600, 1):g} h"
