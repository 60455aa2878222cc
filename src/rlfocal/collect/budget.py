"""A dollar budget: amounts are reserved before a call and released once its cost is known.

Handles amounts only; the caller says what a call may cost at most. What a run's calls may cost
beyond what was counted is kept by its `Account`.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import Callable, Sequence
from typing import Protocol

from rlfocal.collect.claims import awake_s
from rlfocal.pool.building import LiveMember
from rlfocal.pool.types import Response
from rlfocal.records.database.sharing import Share

__all__ = ["Account", "Budget", "Purse"]

_POLL_S = 0.5
"""Between two looks at what others have given back."""


class Account:
    """What a run's calls are known to cost, and what they may cost beyond.

    Args:
        members: those that are asked; failed attempts before this run do not count.
    """

    def __init__(self, members: Sequence[LiveMember]) -> None:
        ledgers = {id(member.unsettled): member.unsettled for member in members}
        self._ledgers = tuple(ledgers.values())
        self._before_usd = sum(ledger.usd for ledger in self._ledgers)
        self._uncounted_usd = 0.0
        """Upper bound of the cost of replies whose servers have not counted their tokens."""

    def paid(self, reply: Response) -> float:
        """Dollars that a reply is known to cost; one without a token count has its upper bound."""
        paid_usd = reply.cost_usd or 0.0
        if reply.unsettled_usd:
            self._uncounted_usd += paid_usd + reply.unsettled_usd
            return 0.0
        return paid_usd

    def unsettled_usd(self) -> float:
        """Uncertain cost: attempts that failed in this run, and replies without a token count."""
        failed_usd = sum(ledger.usd for ledger in self._ledgers) - self._before_usd
        return failed_usd + self._uncounted_usd


class Purse(Protocol):
    """Where collectors that share a cap have their dollars from."""

    async def allow(self, spent_usd: float, least_usd: float, wanted_usd: float) -> Share:
        """What may be spent in all: as `rlfocal.records.database.sharing.allow`."""


class Budget:
    """Keeps the sum of paid, uncertain and reserved amounts below a cap.

    Args:
        most_usd: the cap; None for none.
        unsettled_usd: gives the uncertain cost so far: failed attempts that may be billed, and
            replies whose server has not counted their tokens.
        purse: where others have a part of the cap, too; None where nobody has.
        lease_s: how long it lends.
        n_ahead: calls for which is asked at once.
    """

    def __init__(
        self,
        most_usd: float | None,
        unsettled_usd: Callable[[], float],
        *,
        purse: Purse | None = None,
        lease_s: float = math.inf,
        n_ahead: int = 1,
    ) -> None:
        self._most_usd, self._unsettled_usd = most_usd, unsettled_usd
        self._purse, self._lease_s, self._n_ahead = purse, lease_s, n_ahead
        self._allowed_usd = 0.0 if purse is not None else most_usd
        self._lent_until_s = math.inf
        self.share: Share | None = None
        """What the purse said last."""
        self._asked_s = -math.inf
        self._asking = asyncio.Lock()
        self._paid_usd = self._reserved_usd = 0.0
        self._n_under_way = 0
        self._settled = asyncio.Event()

    @property
    def spent_usd(self) -> float:
        """Paid, and what may have to be."""
        return self._paid_usd + self._unsettled_usd()

    async def reserve(self, usd: float) -> bool:
        """Reserve an amount, as soon as it fits.

        Calls under way have more reserved than most of them will cost: what they release may make
        room, so they are waited for, and so are those of others.

        Returns:
            False where it does not fit even with nothing under way.
        """
        while not self._fits(usd):
            if self._purse is not None and await self._ask(usd):
                continue
            if not (self._n_under_way or self._may_come(usd)):
                return False
            self._settled.clear()
            if self._purse is None:
                await self._settled.wait()
                continue
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_POLL_S):
                    await self._settled.wait()
        self._reserved_usd += usd
        self._n_under_way += 1
        return True

    def settle(self, reserved_usd: float, paid_usd: float) -> None:
        """Release a call's reservation and count what it cost."""
        self._paid_usd += paid_usd
        self._n_under_way -= 1
        # Exactly zero, where sums of floats would leave a rounding error.
        self._reserved_usd = self._reserved_usd - reserved_usd if self._n_under_way else 0.0
        self._settled.set()

    async def keep(self) -> None:
        """Keep what the purse has lent, and give back what is not needed, until cancelled."""
        while self._purse is not None:
            await asyncio.sleep(_POLL_S)
            async with self._asking:
                idle = not self._n_under_way and self.spent_usd < (self._allowed_usd or 0.0)
                if idle or awake_s() > self._lent_until_s - self._lease_s * 2 / 3:
                    await self._portion(0.0 if idle else None)

    async def _ask(self, usd: float) -> bool:
        """Ask the purse for more, not too often; whether there may be enough now."""
        async with self._asking:
            if self._fits(usd):
                return True
            if self._n_under_way and awake_s() - self._asked_s < _POLL_S:
                return False
            await self._portion(usd * self._n_ahead)
            fits = self._fits(usd)
            self._asked_s = -math.inf if fits else awake_s()
            return fits

    async def _portion(self, ahead_usd: float | None) -> None:
        """Be allowed so much beyond what is spent and reserved; None for what there is."""
        assert self._purse is not None
        begun_s, least = awake_s(), self.spent_usd + self._reserved_usd
        allowed = self._allowed_usd or 0.0
        wanted = allowed if ahead_usd is None else least + ahead_usd
        # Calls that begin meanwhile must not use what is given back.
        self._allowed_usd = min(allowed, max(wanted, least))
        self.share = await self._purse.allow(self.spent_usd, least, wanted)
        self._allowed_usd = self.share.allowed_usd
        self._lent_until_s = begun_s + self._lease_s

    def _may_come(self, usd: float) -> bool:
        """Whether others may give back what is lacking."""
        if self.share is None or self._most_usd is None or not self.share.may_grow:
            return False
        return self.spent_usd + self.share.others_usd + usd <= self._most_usd

    def _fits(self, usd: float) -> bool:
        if self._allowed_usd is None:
            return True
        if awake_s() > self._lent_until_s:  # others take it for dead, and may count without it
            return False
        # A failed attempt of a call under way counts twice for a while: too much, never too little.
        return self.spent_usd + self._reserved_usd + usd <= self._allowed_usd
