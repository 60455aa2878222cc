"""Count what calls cost."""

from __future__ import annotations

from dataclasses import dataclass, replace

from rlfocal.errors import MemberError
from rlfocal.pool.prices import Price
from rlfocal.pool.types import Endpoint, Request, Response
from rlfocal.pool.wrappers.base import Wrapper

__all__ = ["Metered", "Totals"]


@dataclass
class Totals:
    """What went through so far."""

    n_calls: int = 0
    """Answered ones."""
    n_failed: int = 0
    n_prompt_tokens: int = 0
    n_completion_tokens: int = 0
    cost_usd: float = 0.0
    """Of the calls that have a price."""
    n_unpriced: int = 0
    """Calls whose price nobody knows."""


class Metered(Wrapper):
    """Puts a price on every response.

    Args:
        endpoint: what is wrapped.
        price: of the model; None where nobody has told.
    """

    def __init__(self, endpoint: Endpoint, price: Price | None) -> None:
        super().__init__(endpoint)
        self._price = price
        self.totals = Totals()

    async def send(self, request: Request, *, timeout_s: float) -> Response:
        """Answer one request; as `Endpoint.send`."""
        try:
            reply = await self._endpoint.send(request, timeout_s=timeout_s)
        except MemberError:
            self.totals.n_failed += 1
            raise
        cost = reply.cost_usd
        if cost is None and self._price is not None:
            cost = self._price.of(reply.n_prompt_tokens, reply.n_completion_tokens)
        totals = self.totals
        totals.n_calls += 1
        totals.n_prompt_tokens += reply.n_prompt_tokens or 0
        totals.n_completion_tokens += reply.n_completion_tokens or 0
        totals.cost_usd += cost or 0.0
        totals.n_unpriced += cost is None
        return replace(reply, cost_usd=cost)
