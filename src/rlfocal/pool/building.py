"""From settings to members that can be asked: endpoints in their wrappers.

Members on one endpoint share its connections and limits; each has a meter of its own.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Self, assert_never

from rlfocal.pool.prices import Price
from rlfocal.pool.prompting import Question, request_for
from rlfocal.pool.settings import (
    EndpointSettings,
    LiteLlmSettings,
    LlamaCppSettings,
    MemberSettings,
    OpenAISettings,
    PoolSettings,
)
from rlfocal.pool.types import Api, Endpoint, Request, Response
from rlfocal.pool.wrappers.breaker import CircuitBreaker, Circuits
from rlfocal.pool.wrappers.limits import Limited
from rlfocal.pool.wrappers.meter import Metered
from rlfocal.pool.wrappers.on_demand import OnDemand
from rlfocal.pool.wrappers.retry import Retrying
from rlfocal.pool.wrappers.unsettled import Unsettled

__all__ = ["LiveMember", "LivePool", "unpriced"]


@dataclass(frozen=True)
class LiveMember:
    """One member, ready to be asked."""

    settings: MemberSettings
    endpoint: Metered
    price: Price | None
    timeout_s: float
    attempts: int
    """Times a call is sent at most."""
    unsettled: Unsettled
    """What failed attempts may cost, of all members on its endpoint."""
    api: Api
    identity: Mapping[str, object]
    """What its replies depend on."""
    circuit: CircuitBreaker | None = None
    """Where the pool has breakers."""

    @property
    def name(self) -> str:
        """As the pool calls it."""
        return self.settings.name

    @property
    def is_shut(self) -> bool:
        """True where it has failed so often just now that it would not be asked."""
        return self.circuit is not None and self.circuit.state == "open"

    def request(self, question: Question, *, sample: int = 0) -> Request:
        """What is sent for a question."""
        return request_for(self.settings, question, api=self.api, sample=sample)

    def most_usd(self, request: Request) -> float | None:
        """What a call may cost at most, with all its attempts on the bill; None without a price."""
        return None if self.price is None else self.attempts * self.price.most(request)

    async def ask(
        self, question: Question, *, sample: int = 0, timeout_s: float | None = None
    ) -> Response:
        """Ask a question.

        Args:
            question: what is asked.
            sample: which reply to the same question.
            timeout_s: seconds for all of it; None for the member's own.

        Raises:
            MemberError: there is no usable reply.
        """
        allowed = self.timeout_s if timeout_s is None else min(timeout_s, self.timeout_s)
        return await self.endpoint.send(self.request(question, sample=sample), timeout_s=allowed)


class LivePool:
    """The members of a pool, some or all; use it as an asynchronous context.

    Args:
        settings: the pool.
        members: which of them; None for all.
        seed: draws waiting times between repeated calls.
        on_demand: open an endpoint when it is first asked, not all at once beforehand.
        circuits: when a member that keeps failing is left alone for a while; None for never.
    """

    def __init__(
        self,
        settings: PoolSettings,
        members: Sequence[MemberSettings] | None = None,
        *,
        seed: int = 0,
        on_demand: bool = False,
        circuits: Circuits | None = None,
    ) -> None:
        self._circuits = circuits
        chosen = settings.members if members is None else tuple(members)
        used = {
            name: settings.endpoints[name] for name in dict.fromkeys(m.endpoint for m in chosen)
        }
        self._unsettled = {
            name: Unsettled(
                OnDemand(_bare(served)) if on_demand else _bare(served),
                _most_usd(settings, served),
            )
            for name, served in used.items()
        }
        self._endpoints = {
            name: _wrapped(self._unsettled[name], served, random.Random(f"{seed} {name}"))
            for name, served in used.items()
        }
        self.members = tuple(self._live(settings, member) for member in chosen)
        self._open = AsyncExitStack()

    def _live(self, pool: PoolSettings, member: MemberSettings) -> LiveMember:
        served = pool.endpoint_of(member)
        price = _price(pool, served, member.model)
        shared = self._endpoints[member.endpoint]
        circuit = None if self._circuits is None else CircuitBreaker(shared, self._circuits)
        return LiveMember(
            settings=member,
            endpoint=Metered(circuit or shared, price),
            circuit=circuit,
            price=price,
            timeout_s=member.timeout_s or served.timeout_s,
            attempts=served.attempts,
            unsettled=self._unsettled[member.endpoint],
            api="chat" if isinstance(served, LiteLlmSettings) else served.api,
            identity=member.identity(served),
        )

    async def __aenter__(self) -> Self:
        """Open every endpoint, or none."""
        async with AsyncExitStack() as opened:
            for endpoint in self._endpoints.values():
                await opened.enter_async_context(endpoint)
            self._open = opened.pop_all()
        return self

    async def __aexit__(self, *exc: object) -> None:
        """Close every endpoint."""
        await self._open.aclose()


def unpriced(members: Sequence[LiveMember]) -> tuple[str, ...]:
    """Names of the members whose price nobody has told."""
    return tuple(member.name for member in members if member.price is None)


def _price(pool: PoolSettings, served: EndpointSettings, model: str) -> Price | None:
    price = pool.prices.get(model)
    if price is not None:
        return Price(price.prompt, price.completion, price.as_of)
    # Of a file in this process nobody sends a bill.
    return Price(0.0, 0.0) if isinstance(served, LlamaCppSettings) else None


def _most_usd(pool: PoolSettings, served: EndpointSettings) -> Callable[[Request], float]:
    def most_usd(request: Request) -> float:
        price = _price(pool, served, request.model)
        return 0.0 if price is None else price.most(request)

    return most_usd


def _wrapped(endpoint: Endpoint, settings: EndpointSettings, rng: random.Random) -> Endpoint:
    retrying = Retrying(endpoint, attempts=settings.attempts, rng=rng)
    # Outside the repeats: a call that waits to be sent again keeps its place, so that a server
    # which is overloaded is not asked more in the meantime.
    return Limited(retrying, concurrency=settings.concurrency, per_minute=settings.per_minute)


def _bare(settings: EndpointSettings) -> Endpoint:
    if isinstance(settings, OpenAISettings):
        from rlfocal.pool.openai_client import OpenAIEndpoint

        return OpenAIEndpoint(
            settings.base_url,
            key=settings.key(),
            api=settings.api,
            max_connections=settings.concurrency,
        )
    if isinstance(settings, LlamaCppSettings):
        from rlfocal.pool.llama_cpp import LlamaCppEndpoint

        return LlamaCppEndpoint(settings)
    if isinstance(settings, LiteLlmSettings):
        from rlfocal.pool.litellm_client import LiteLlmEndpoint

        return LiteLlmEndpoint()
    assert_never(settings)
