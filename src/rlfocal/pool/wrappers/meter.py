"""Count what calls cost, each the moment its reply is there.

A server that does not count, or counts nothing beside a text, is not cheap: such a reply costs what
it may cost at most, unsettled.
"""

from __future__ import annotations

import logging
from dataclasses import replace

from rlfocal.pool.prices import Price
from rlfocal.pool.types import Endpoint, Request, Response
from rlfocal.pool.wrappers.base import Wrapper
from rlfocal.pool.wrappers.unsettled import current_bill

__all__ = ["Metered"]

_log = logging.getLogger(__name__)


class Metered(Wrapper):
    """Puts a price on every response.

    Args:
        endpoint: what is wrapped.
        price: of the model; None where it is not known.
        name: the member's, for the log.
    """

    def __init__(self, endpoint: Endpoint, price: Price | None, *, name: str = "") -> None:
        super().__init__(endpoint)
        self._price, self._name = price, name
        self._has_warned = False

    async def send(self, request: Request, *, timeout_s: float) -> Response:
        """Answer one request; as `Endpoint.send`."""
        reply = await self._endpoint.send(request, timeout_s=timeout_s)
        price, cost, unsettled = self._price, reply.cost_usd, 0.0
        # Nothing for tokens that have a price is not believed, whoever says so.
        if price is not None and not cost:
            # No prompt is without tokens, and no reply that says something.
            n_prompt, n_completion = reply.n_prompt_tokens or None, reply.n_completion_tokens
            said = reply.text or reply.tool_calls or reply.reasoning or reply.refusal
            if not n_completion and said:
                n_completion = None
            cost, unsettled = price.charged(
                request, n_prompt, n_completion, n_cached=reply.n_cached_tokens
            )
            if unsettled and not self._has_warned:
                self._has_warned = True
                _log.warning(
                    "member '%s': its server does not count tokens; each reply counts as its most",
                    self._name,
                )
        unsettled += reply.unsettled_usd
        if (bill := current_bill.get()) is not None:
            bill.paid_usd += cost or 0.0
            bill.failed_usd += unsettled
        return replace(reply, cost_usd=cost, unsettled_usd=unsettled)
