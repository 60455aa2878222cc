"""A dollar budget: amounts are reserved before a call and released once its cost is known.

Handles amounts only; the caller says what a call may cost at most.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

__all__ = ["Budget"]


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
