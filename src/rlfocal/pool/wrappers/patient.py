"""Limits and repeats for who has time: it waits as long as servers ask, and pays no more for it.

For collections. `Limited` and `Retrying` are for who has a deadline.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from rlfocal.errors import Failure, MemberError
from rlfocal.pool.types import Endpoint, Request, Response
from rlfocal.pool.wrappers.base import Wrapper
from rlfocal.pool.wrappers.gate import Gate, Pulse, duration
from rlfocal.pool.wrappers.limits import Lease, Turns
from rlfocal.pool.wrappers.retry import drawn_wait
from rlfocal.pool.wrappers.text_relay import TextRelay

__all__ = ["Patient"]

_FIRST_WAIT_S, _MOST_WAIT_S = 0.5, 30.0
"""Between attempts, as those of `Retrying`."""
_OFTEN = 100
"""Refusals of one request after which it may be the request that is refused, not the server that is
busy: too long for what a minute allows, for one."""


@dataclass
class _Progress:
    """What has become of a request so far."""

    left_s: float
    """Time that attempts may still take; waiting for turns and for servers is left out."""
    n_sent: int = 0
    n_failed: int = 0
    """Attempts, those turned away for a rate limit or for want of room left out."""
    n_refused: int = 0
    refused_at: float = 0.0
    """When it was first refused."""


class Patient(Wrapper):
    """Sends requests when there is a turn and their server may be asked, and again where it helps.

    A server that refuses for a rate limit (of each model, as most count), or because it is busy or
    loads its model, is left alone by all requests until it may be asked again: see `Gate`. Such a
    refusal is no attempt, and not on the bill. A server that fails otherwise and says when to come
    back is left alone as well, but that is an attempt: it may be on the bill. Whatever else may
    pass is repeated as by `Retrying`. The time allowed is for requests under way: neither waiting
    for a turn nor for a server counts.

    Args:
        endpoint: what is wrapped.
        concurrency: requests under way at once.
        per_minute: requests started in a minute, repeats included; None for no limit.
        attempts: times a request is sent at most, those turned away left out.
        patience_s: seconds that a server may go without an answer for its rate limit or for want
            of room; where it asks for more, it is not waited for, and nobody asks it again.
        rng: draws waits.
        clock: seconds that only grow; the event loop's, or one that runs like it.

    Raises:
        ValueError: no request could ever pass.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        concurrency: int,
        per_minute: float | None = None,
        attempts: int = 4,
        patience_s: float = 600.0,
        rng: random.Random,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(endpoint)
        if attempts < 1 or patience_s < 0:
            raise ValueError(
                "attempts must be at least 1 and patience_s at least 0, got "
                f"{attempts} and {patience_s}"
            )
        self._turns = Turns(concurrency, per_minute, clock)
        self._concurrency, self._attempts, self._patience_s = concurrency, attempts, patience_s
        self._rng, self._clock = rng, clock
        self._gates: dict[str, Gate] = {}
        self._pulse = Pulse()
        self._stopped = asyncio.Event()

    def opens_in_s(self, model: str) -> float:
        """Seconds until a model is asked again, where its server asked to wait."""
        gate = self._gates.get(model)
        return 0.0 if gate is None else gate.opens_in_s

    def given_up(self, model: str) -> str | None:
        """Why a model is not asked any more; None while it is."""
        gate = self._gates.get(model)
        return None if gate is None else gate.given_up

    def share_rate(self, lease: Lease) -> None:
        """Have moments from somebody who gives them to others, too; nothing without a rate."""
        self._turns.lease = lease

    def stop(self) -> None:
        """Send nothing more. What is under way comes back; what waits fails as not sent."""
        self._stopped.set()
        self._turns.stop()
        for gate in self._gates.values():
            gate.stop("stopped")

    async def send(self, request: Request, *, timeout_s: float) -> Response:
        """Answer one request; as `Endpoint.send`, but for the time: see the class."""
        gate, call = self._gate(request.model), _Progress(timeout_s)
        relay = TextRelay(request.on_text)
        if request.on_text is not None:
            request = replace(request, on_text=relay)
        turned_back = False
        while True:
            async with gate.passage(first=turned_back) as n_closed, self._turns:
                if self._turns.has_pace:
                    await self._turns.moment()
                # It may have been closed while this one waited for its turn.
                turned_back = gate.opens_in_s > 0 or self._stopped.is_set()
                if turned_back:
                    continue
                reply = await self._try(request, gate, call, n_closed)
            if isinstance(reply, Response):
                return reply
            if relay.started:  # what has been told cannot be taken back
                raise reply
            if not reply.turned_away:
                await self._before_repeat(reply, call)

    async def _try(
        self, request: Request, gate: Gate, call: _Progress, n_closed: int
    ) -> Response | MemberError:
        """Send it once."""
        begun = self._clock()
        call.n_sent += 1
        try:
            reply = await self._endpoint.send(request, timeout_s=call.left_s)
        except MemberError as exc:
            error = exc
        else:
            gate.answered(n_closed)
            return replace(reply, n_attempts=reply.n_attempts + call.n_sent - 1)
        if error.turned_away:
            gate.refused(n_closed, error)
            self._count_refusal(call, error)
            return error
        if error.failure is Failure.SERVER_ERROR and error.retry_after_s is not None:
            gate.refused(n_closed, error)
        call.left_s -= self._clock() - begun
        return error

    def _count_refusal(self, call: _Progress, error: MemberError) -> None:
        """Raise where it is always this one that is refused while others are answered."""
        now = self._clock()
        call.refused_at = call.refused_at if call.n_refused else now
        call.n_refused += 1
        waited_s = now - call.refused_at
        if call.n_refused >= _OFTEN and waited_s > self._patience_s:
            raise error.with_message(
                f"{error}; refused {call.n_refused} times in {duration(waited_s)}"
            )

    async def _before_repeat(self, error: MemberError, call: _Progress) -> None:
        """Wait before the next attempt; raise where there is none."""
        call.n_failed += 1
        wait = drawn_wait(call.n_failed, _FIRST_WAIT_S, _MOST_WAIT_S, self._rng)
        over = not error.failure.passes or call.n_failed == self._attempts
        if over or wait >= call.left_s:
            raise error
        call.left_s -= wait
        try:
            async with asyncio.timeout(wait):
                await self._stopped.wait()
        except TimeoutError:
            pass

    def _gate(self, model: str) -> Gate:
        gate = self._gates.get(model)
        if gate is None:
            gate = self._gates[model] = Gate(
                self._concurrency,
                patience_s=self._patience_s,
                rng=self._rng,
                clock=self._clock,
                pulse=self._pulse,
            )
            if self._stopped.is_set():
                gate.stop("stopped")
        return gate
