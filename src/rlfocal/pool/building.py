"""From settings to members that can be asked: endpoints in their wrappers.

Members on one endpoint share its connections and limits; each has a meter of its own.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache, partial
from pathlib import Path
from typing import Self, assert_never

from rlfocal.errors import ConfigError
from rlfocal.pool.asking.own_thoughts import OwnThoughts
from rlfocal.pool.asking.prompting import Question, request_for
from rlfocal.pool.endpoints import (
    BlendSettings,
    EndpointSettings,
    LiteLlmSettings,
    LlamaCppSettings,
)
from rlfocal.pool.member import MemberSettings
from rlfocal.pool.own_signals import OwnSignals
from rlfocal.pool.prices import Price
from rlfocal.pool.servers import OpenAISettings
from rlfocal.pool.settings import PoolSettings
from rlfocal.pool.types import Api, Endpoint, Request, Response
from rlfocal.pool.wrappers.breaker import CircuitBreaker, Circuits
from rlfocal.pool.wrappers.limits import Lease, Limited
from rlfocal.pool.wrappers.meter import Metered
from rlfocal.pool.wrappers.on_demand import OnDemand, WhenOpened
from rlfocal.pool.wrappers.patient import Patient
from rlfocal.pool.wrappers.retry import Retrying
from rlfocal.pool.wrappers.scored import Scored
from rlfocal.pool.wrappers.unsettled import Unsettled

__all__ = ["LiveMember", "LivePool", "unpriced"]


@dataclass(frozen=True)
class LiveMember:
    """One member, ready to be asked."""

    name: str
    """As the pool calls it."""
    settings: MemberSettings
    endpoint: Endpoint
    """That counts what calls cost."""
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
    takes_any_field: bool = False
    """Whether its server may be sent fields that nobody here knows: as JSON, which it reads or
    refuses. Libraries take some of them for addresses and keys."""
    patient: Patient | None = None
    """Where the pool waits for rate limits; of all members on its endpoint."""
    own: OwnSignals = field(default_factory=lambda: OwnSignals({}))
    """The user's own signals, of all members."""
    thoughts: OwnThoughts = field(default_factory=OwnThoughts, compare=False)
    """How its server wants its thoughts back, as far as it has shown."""

    @cached_property
    def bare(self) -> LiveMember:
        """The same, asked in its asker's words alone.

        What the pool says of a member is how it is asked as one of an ensemble.
        """
        settings = self.settings.model_copy(update={"system": "", "answers": "reply"})
        return replace(self, settings=settings)

    @property
    def circuit_is_open(self) -> bool:
        """True where it has failed so often just now that it would not be asked."""
        circuit = self.circuit
        return circuit is not None and circuit.n_failures > 0 and circuit.state == "open"

    @property
    def opens_in_s(self) -> float:
        """Seconds until it is asked again, where its server asked to wait."""
        return 0.0 if self.patient is None else self.patient.opens_in_s(self.settings.model)

    @property
    def given_up(self) -> str | None:
        """Why a patient pool does not ask it any more; None while it does."""
        return None if self.patient is None else self.patient.given_up(self.settings.model)

    @property
    def takes_images(self) -> bool:
        """Whether it can be shown images."""
        return bool(self.settings.images) and self.api == "chat"

    def request(self, question: Question, *, sample: int = 0, logprobs: bool = True) -> Request:
        """What is sent for a question.

        Args:
            question: what is asked.
            sample: which reply to the same question.
            logprobs: as of `request_for`.
        """
        return request_for(self.settings, question, api=self.api, sample=sample, logprobs=logprobs)

    def requests(self, question: Question, *, logprobs: bool = True) -> list[Request]:
        """What is sent for a question: as many requests as the member is asked for samples."""
        return [
            self.request(question, sample=sample, logprobs=logprobs)
            for sample in range(self.settings.samples)
        ]

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
        patience_s: seconds to wait for a server's rate limit, for who has no deadline; such waits
            are no attempts and take nothing of a call's time. None for who has one.

    Making one needs no keys: they are read when it is opened, all of them before the first call.
    """

    def __init__(
        self,
        settings: PoolSettings,
        members: Sequence[MemberSettings] | None = None,
        *,
        seed: int = 0,
        on_demand: bool = False,
        circuits: Circuits | None = None,
        patience_s: float | None = None,
    ) -> None:
        self._circuits = circuits
        chosen = settings.members if members is None else tuple(members)
        used = {
            name: settings.endpoints[name] for name in dict.fromkeys(m.endpoint for m in chosen)
        }
        scored = {m.endpoint for m in chosen if m.answers == "option-scores"}
        self._unsettled = {
            name: Unsettled(
                _bare(
                    served,
                    on_demand=on_demand,
                    scored=name in scored,
                    folder=settings.signals_folder,
                ),
                _most_usd(settings, name, served),
            )
            for name, served in used.items()
        }
        self._endpoints = {
            name: _wrapped(
                self._unsettled[name], served, random.Random(f"{seed} {name}"), patience_s
            )
            for name, served in used.items()
        }
        self._used = used
        self._own = OwnSignals.load(settings.signals, folder=settings.signals_folder)
        self.members = tuple(self._live(settings, member) for member in chosen)
        self._open = AsyncExitStack()

    def _live(self, pool: PoolSettings, member: MemberSettings) -> LiveMember:
        served = pool.endpoint_of(member)
        member = member.served_by(served)
        price = _price(pool, member.endpoint, served, member.model)
        shared = self._endpoints[member.endpoint]
        circuit = None
        if self._circuits is not None:
            circuit = CircuitBreaker(shared, self._circuits, name=member.name)
        return LiveMember(
            name=member.name,
            settings=member,
            endpoint=Metered(circuit or shared, price, name=member.name),
            circuit=circuit,
            price=price,
            timeout_s=member.timeout_s or served.timeout_s,
            attempts=served.attempts,
            unsettled=self._unsettled[member.endpoint],
            api="chat" if isinstance(served, LiteLlmSettings | BlendSettings) else served.api,
            identity=member.identity(served),
            takes_any_field=isinstance(served, OpenAISettings),
            patient=shared if isinstance(shared, Patient) else None,
            own=self._own,
        )

    def share_rates(self, lease_of: Callable[[str], Lease]) -> None:
        """Hold requests a minute over all processes that have moments from one place.

        Args:
            lease_of: an endpoint's name and address → who gives the moments of its rate.
        """
        for name, served in self._used.items():
            patient = self._endpoints[name]
            # What runs in this process is nobody else's.
            apart = isinstance(served, LlamaCppSettings | BlendSettings)
            if isinstance(patient, Patient) and served.per_minute is not None and not apart:
                address = getattr(served, "base_url", "")
                patient.share_rate(lease_of(f"{name} {address}"))

    def missing_keys(self) -> tuple[str, ...]:
        """Which keys cannot be read, and why; one sentence for each endpoint."""
        found = []
        for name, served in self._used.items():
            if isinstance(served, OpenAISettings):
                try:
                    served.key()
                    served.secrets()
                except ConfigError as exc:
                    found.append(f"endpoint '{name}': {exc}")
        return tuple(found)

    def check_keys(self) -> None:
        """Read every key, before any work.

        Raises:
            ConfigError: one cannot be read.
        """
        if missing := self.missing_keys():
            raise ConfigError("; ".join(missing))

    async def __aenter__(self) -> Self:
        """Open every endpoint, or none.

        Raises:
            ConfigError: a key is missing, or an endpoint cannot be opened.
        """
        self.check_keys()
        async with AsyncExitStack() as opened:
            for endpoint in self._endpoints.values():
                await opened.enter_async_context(endpoint)
            self._open = opened.pop_all()
        return self

    async def __aexit__(self, *exc: object) -> None:
        """Close every endpoint."""
        await self._open.aclose()


def unpriced(members: Sequence[LiveMember]) -> tuple[str, ...]:
    """Names of the members without a known price."""
    return tuple(member.name for member in members if member.price is None)


def _price(pool: PoolSettings, name: str, served: EndpointSettings, model: str) -> Price | None:
    price = pool.price_of(name, model)
    if price is not None:
        return Price(price.prompt, price.completion, price.as_of, price.cached)
    # Of files in this process nobody sends a bill.
    return Price(0.0, 0.0) if isinstance(served, LlamaCppSettings | BlendSettings) else None


def _most_usd(
    pool: PoolSettings, name: str, served: EndpointSettings
) -> Callable[[Request], float]:
    price_of = lru_cache(partial(_price, pool, name, served))
    return lambda request: 0.0 if (p := price_of(request.model)) is None else p.most(request)


def _wrapped(
    endpoint: Endpoint,
    settings: EndpointSettings,
    rng: random.Random,
    patience_s: float | None,
) -> Endpoint:
    most, per_minute = settings.concurrency, settings.per_minute
    if patience_s is not None:
        return Patient(
            endpoint,
            concurrency=most,
            per_minute=per_minute,
            attempts=settings.attempts,
            patience_s=patience_s,
            rng=rng,
        )
    retrying = Retrying(endpoint, attempts=settings.attempts, rng=rng)
    # Outside the repeats: a call that waits to be sent again keeps its place, so that a server
    # which is overloaded is not asked more in the meantime.
    return Limited(retrying, concurrency=most, per_minute=per_minute)


def _bare(
    settings: EndpointSettings, *, on_demand: bool, scored: bool, folder: Path | None
) -> Endpoint:
    made: Endpoint = WhenOpened(partial(_made, settings, folder))
    if on_demand:
        made = OnDemand(made)
    return Scored(made) if scored else made


def _made(settings: EndpointSettings, folder: Path | None) -> Endpoint:
    if isinstance(settings, OpenAISettings):
        from rlfocal.pool.openai.client import OpenAIEndpoint

        return OpenAIEndpoint(
            settings.base_url,
            key=settings.key(),
            api=settings.api,
            headers=settings.filled(settings.headers),
            query=settings.filled(settings.query),
            secrets=settings.secrets(),
            max_connections=settings.concurrency,
        )
    if isinstance(settings, LlamaCppSettings):
        from rlfocal.pool.llama_cpp import LlamaCppEndpoint

        return LlamaCppEndpoint(settings)
    if isinstance(settings, BlendSettings):
        from rlfocal.pool.blends.endpoint import BlendEndpoint

        return BlendEndpoint(settings, folder=folder)
    if isinstance(settings, LiteLlmSettings):
        from rlfocal.pool.litellm_client import LiteLlmEndpoint

        return LiteLlmEndpoint()
    assert_never(settings)
