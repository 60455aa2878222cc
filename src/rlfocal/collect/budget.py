"""Dollars under a cap: set aside before a call is made, given back when its price is known.

Knows amounts only; what a call may cost at most is for who asks to say.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

__all__ = ["Budget"]


class Budget:
    """What was paid, what may have to be, and what is under way never come to more than the cap.

    Args:
        most_usd: the cap; None for none.
        unsettled_usd: what attempts may cost, by now, that failed and of which nobody knows whether
            they are on the bill, and replies whose server has not counted.
    """

    def __init__(self, most_usd: float | None, unsettled_usd: Callable[[], float]) -> None:
        self._most_usd, self._unsettled_usd = most_usd, unsettled_usd
        self._paid_usd = self._reserved_usd = 0.0
        self._n_under_way = 0
        self._settled = asyncio.Event()

    async def reserve(self, usd: float) -> bool:
        """Set an amount aside, as soon as it fits.

        Calls under way have more set aside than most of them will cost: what they give back may
        make room, so they are waited for.

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
        """Give back what was set aside for a call and is not to be paid."""
        self._paid_usd += paid_usd
        self._n_under_way -= 1
        # Exactly nothing, where sums of floats would leave a little.
        self._reserved_usd = self._reserved_usd - reserved_usd if self._n_under_way else 0.0
        self._settled.set()

    def _fits(self, usd: float) -> bool:
        if self._most_usd is None:
            return True
        # A failed attempt of a call under way counts twice for a while: too much, never too little.
        known = self._paid_usd + self._unsettled_usd() + self._reserved_usd
        return known + usd <= self._most_usd
