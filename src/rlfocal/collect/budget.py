"""A dollar budget: amounts are reserved before a call and released once its cost is known.

Handles amounts only; the caller says what a call may cost at most. What a run's calls may cost
beyond what was counted is kept by its `Account`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from rlfocal.pool.building import LiveMember
from rlfocal.pool.types import Response

__all__ = ["Account", "Budget"]


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


class Budget:
    """Keeps the sum of paid, uncertain and reserved amounts below a cap.

    Args:
        most_usd: the cap; None for none.
        unsettled_usd: gives the uncertain cost so far: failed attempts that may be billed, and
            replies whose server has not counted their tokens.
    """

    def __init__(self, most_usd: float | None, unsettled_usd: Callable[[], float]) -> None:
        self._most_usd, self._unsettled_usd = most_usd, unsettled_usd
        self._paid_usd = self._reserved_usd = 0.0
        self._n_under_way = 0
        self._settled = asyncio.Event()

    async def reserve(self, usd: float) -> bool:
        """Reserve an amount, as soon as it fits.

        Calls under way have more reserved than most of them will cost: what they release may make
        room, so they are waited for.

        Returns:
            False where it does not fit even with nothing under way.
        """
        while not self._fits(usd):
            if not self._n_under_way:
                return False
            self._settled.clear()
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

    def _fits(self, usd: float) -> bool:
        if self._most_usd is None:
            return True
        # A failed attempt of a call under way counts twice for a while: too much, never too little.
        known = self._paid_usd + self._unsettled_usd() + self._reserved_usd
        return known + usd <= self._most_usd
