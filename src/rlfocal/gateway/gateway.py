"""What a server's process holds: members, the policy that asks them, keys, the ledger."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import time
from collections.abc import Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Self

from rlfocal.checkpoint import Checkpoint
from rlfocal.deliberation.base import Base
from rlfocal.errors import ConfigError, DatabaseError
from rlfocal.gateway.backends import (
    Backend,
    EnsembleBackend,
    MemberBackend,
    ReadingBackend,
    stages_before,
)
from rlfocal.gateway.background import background
from rlfocal.gateway.circuits.shared import SharedCircuits, of_servers
from rlfocal.gateway.completion import Completion
from rlfocal.gateway.door.access import Access
from rlfocal.gateway.door.connections import Connections
from rlfocal.gateway.door.entering import Door
from rlfocal.gateway.door.places import Places
from rlfocal.gateway.errors import ApiError
from rlfocal.gateway.fitting import check_fit
from rlfocal.gateway.judged.feedback_memory import FeedbackMemory
from rlfocal.gateway.judged.labels import JudgedLabels, LabelCounter
from rlfocal.gateway.metrics import Gauges, Metrics
from rlfocal.gateway.policies import Policies
from rlfocal.gateway.repeats.records import Records
from rlfocal.gateway.sessions import Sessions
from rlfocal.gateway.settings import GatewaySettings
from rlfocal.gateway.store.keys import Key
from rlfocal.gateway.store.processes import BEAT_S
from rlfocal.gateway.store.store import Store
from rlfocal.gateway.store.writer import Writer
from rlfocal.gateway.tracing.tracing import Tracing
from rlfocal.gateway.under_way import UnderWay
from rlfocal.gateway.wire.models import ENSEMBLE
from rlfocal.gateway.wire.request import ChatRequest
from rlfocal.live import FREE_WORDS, LiveEnsemble, Question
from rlfocal.live.similarity import text_encoder
from rlfocal.online.exploring import Exploration
from rlfocal.pool.building import LivePool
from rlfocal.pool.settings import PoolSettings
from rlfocal.pool.types import Response
from rlfocal.pool.wrappers.breaker import Circuits

__all__ = ["Gateway"]

_log = logging.getLogger(__name__)
_HOUSEKEEPING_S = 30.0
_READY_S = 1.0
"""For the database to be read: who asks whether a gateway is ready does not wait for long."""


class Gateway:
    """One process of a gateway; use it as an asynchronous context.

    Args:
        folder: of the checkpoint; None where it was made in memory.
        checkpoint: as it was read, or made.
        pool: with the checkpoint's members, and perhaps more, who can be asked by name.
        settings: limits.
        store: the database, shared with other processes.
        open_door: whether everybody may pass without a key.
        answers: kind of answer that open questions have where a request says none; None for that
            of the training data.

    Raises:
        ConfigError: the pool does not fit the checkpoint, a member's name cannot be asked for, the
            synthesiser is no member, or the kind of answer is unknown.
    """

    def __init__(
        self,
        folder: Path | None,
        checkpoint: Checkpoint,
        pool: PoolSettings,
        settings: GatewaySettings,
        store: Store,
        *,
        open_door: bool = False,
        answers: str | None = None,
    ) -> None:
        self._answers = answers
        self.settings, self.store, self.pool_settings = settings, store, pool
        check_fit(pool, checkpoint, settings)
        circuits = Circuits(
            failures=settings.circuit_failures,
            cool_down_s=settings.circuit_cool_down_s,
            fair_s=settings.circuit_fair_s,
        )
        self._pool = LivePool(pool, circuits=circuits)
        self._pool.check_keys()
        self.members = self._pool.members
        self.tracing = Tracing.of(settings.tracing)
        if self.tracing is not None:
            self.members = self.tracing.followed(pool, self.members)
        self._by_name = {member.name: member for member in self.members}
        self.member_names = tuple(self._by_name)
        """By which they can be asked."""
        self._before = stages_before(self.members)
        """Members that read others → whom to ask before them."""
        self._synthesiser = self._by_name.get(settings.synthesiser or "")
        self.checkpoint = checkpoint
        self._ensemble = self._ensemble_of(checkpoint)
        self.writer = Writer(store)
        self.access = Access(store, self.writer, open_door=open_door)
        self.recent = FeedbackMemory(
            store,
            checkpoint,
            window=settings.remember,
            least=settings.least_remembered,
            poll_s=settings.poll_s,
            on_judged=self._count_labels,
        )
        self._labels = LabelCounter(store, keeps_prompts=settings.keep_prompts)
        self.policies = Policies(
            store,
            self.writer,
            folder,
            checkpoint,
            poll_s=settings.poll_s,
            adopt=self.adopt,
        )
        self._shared = SharedCircuits(
            store,
            self.writer,
            self.access.heart,
            of_servers(pool, self.members),
            cool_down_s=settings.circuit_cool_down_s,
            poll_s=settings.poll_s,
        )
        self.metrics = Metrics(self._gauges)
        self.door, self.connections = Door(self.access, settings), Connections(settings)
        self.records, self._sessions = Records(), Sessions(settings)
        self.places = Places(settings)
        self.started_at = time.time()
        self.is_leaving = False
        """Whether it will end soon: requests are still answered, and others should be asked."""
        self.under_way = UnderWay()
        self._open = AsyncExitStack()

    # Members -----------------------------------------------------------------------------------

    def _strategy_at(self, price: float | None) -> Base:
        """The strategy as recent feedback has it, at a price.

        Args:
            price: of a call; one beyond those that the strategy was trained for is taken for the
                nearest of them. None for the checkpoint's own.

        Raises:
            ApiError: the strategy has no price.
        """
        strategy = self.recent.strategy
        if price is None:
            return strategy
        if not strategy.dial:
            raise ApiError(
                400,
                "invalid_value",
                f"'{strategy.name}' has no price of a call; ask '{ENSEMBLE}'",
                param="model",
            )
        if price not in strategy.prices and (known := [p for p in strategy.prices if p > 0]):
            price = min(max(price, min(known)), max(known))
        try:
            return self.recent.at_price(price)
        except ConfigError as exc:
            raise ApiError(400, "invalid_value", str(exc), param="model") from None

    def _ensemble_of(self, checkpoint: Checkpoint) -> LiveEnsemble:
        members = [self._by_name[name] for name in checkpoint.description.members]
        return LiveEnsemble(checkpoint, members, answers=self._answers)

    async def adopt(self, checkpoint: Checkpoint) -> None:
        """Let another checkpoint of the same members decide from now on.

        Raises:
            ConfigError: it does not fit the pool.
        """
        check_fit(self.pool_settings, checkpoint, self.settings)
        ensemble = self._ensemble_of(checkpoint)
        await self.recent.adopt(checkpoint)
        self.checkpoint, self._ensemble = checkpoint, ensemble

    async def _count_labels(self) -> None:
        if self._is_unlabelled:
            await self._labels.count()

    @property
    def _is_unlabelled(self) -> bool:
        """Whether all that the policy knows of its members is what was judged here."""
        return self.checkpoint.description.n_training_queries == 0

    @property
    def labels(self) -> JudgedLabels | None:
        """What was judged so far; None where the policy that decides was trained on labels."""
        return self._labels.now if self._is_unlabelled else None

    # Requests ----------------------------------------------------------------------------------

    def completion(
        self,
        key: Key,
        chat: ChatRequest,
        started: float,
        *,
        id_prefix: str,
        headers: Mapping[str, str],
    ) -> Completion:
        """A request that has been read, not yet begun.

        Args:
            key: whose request it is.
            chat: the request.
            started: when its first byte came, by the event loop's clock.
            id_prefix: of its id.
            headers: of HTTP.

        Raises:
            ApiError: it cannot be asked.
        """
        id_ = f"{id_prefix}{secrets.token_hex(12)}"
        settings = self.settings
        backend: Backend
        if chat.member is not None and chat.member in self._before:
            member = self._by_name[chat.member]
            backend = ReadingBackend(member, chat, self._before[chat.member])
        elif chat.member is not None:
            backend = MemberBackend(self._by_name[chat.member], chat)
        else:
            exploration = None
            if settings.explore or settings.keep_decisions:
                exploration = Exploration(epsilon=settings.explore).of_request(id_)
            backend = EnsembleBackend(
                self._ensemble,
                self._strategy_at(chat.price),
                chat,
                synthesiser=self._synthesiser,
                exploration=exploration,
                session=self._sessions.of(key, chat),
            )
        traced = self.tracing
        span = None if traced is None else traced.request(chat, id_, backend.trace, headers)
        return Completion(
            backend, id_, key, chat, started, span=span,
            access=self.access, metrics=self.metrics, policy=self.policies.id,
            keep_prompt=settings.keep_prompts, under_way=self.under_way,
        )  # fmt: skip

    def reading_of(self, name: str) -> dict[str, Any] | None:
        """Whom a member reads that is asked by its name, and what for; None for nobody."""
        if name not in self._before:
            return None
        settings = self._by_name[name].settings
        n_before = sum(map(len, self._before[name]))
        return {
            "reads": list(settings.inputs), "reading": settings.reading, "n_calls": n_before + 1,
        }  # fmt: skip

    @property
    def circuits(self) -> dict[str, str]:
        """State of each member's circuit breaker in this process, as far as it has one.

        One that one key alone has opened is closed where other keys ask as well.
        """
        return {m.name: m.circuit.state_for_all for m in self.members if m.circuit is not None}

    def _gauges(self) -> Gauges:
        return Gauges(
            in_flight=self.places.n,
            writes_waiting=self.writer.counts.n_waiting,
            writes_lost=self.writer.counts.n_lost,
            remembered=len(self.recent.rows),
            circuits=dict.fromkeys(self.member_names, "closed") | self.circuits,
        )

    async def is_ready(self) -> bool:
        """Whether it stays, the database answers and takes writes, and somebody could be asked."""
        if self.is_leaving:
            return False
        heart = self.access.heart
        try:
            async with asyncio.timeout(_READY_S):
                if not heart.is_fresh:
                    await asyncio.to_thread(self._look)
        except (DatabaseError, TimeoutError):
            return False
        if not await heart.can_write():
            return False
        circuits = self.circuits
        return any(circuits.get(n) != "open" for n in self.checkpoint.description.members)

    def _look(self) -> None:
        with self.store.connections.read() as connection:
            self.store.log.live_policy(connection)

    # Life --------------------------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        """Open members and begin to look after things."""
        async with AsyncExitStack() as opened:
            if self.tracing is not None:
                opened.push_async_callback(self.tracing.close)
            opened.callback(self.writer.close)
            opened.push_async_callback(self._leave)
            await opened.enter_async_context(self._pool)
            await self.access.heart.beat()
            await self.policies.begin()
            await self.recent.load()
            await asyncio.to_thread(self._warm_up)
            await opened.enter_async_context(
                background(
                    self.recent.follow(),
                    self.policies.follow(),
                    self._keep_house(),
                    self._live(),
                    self._shared.follow(),
                    self.connections.watch(),
                )
            )
            opened.push_async_callback(self.under_way.end)
            self._open = opened.pop_all()
        return self

    async def __aexit__(self, *exc: object) -> None:
        """End what is under way, write down what is left, close members."""
        await self._open.aclose()

    def _warm_up(self) -> None:
        """Do once what is slow the first time, so that no request waits for it."""
        if self._answers == FREE_WORDS:
            text_encoder()
        reply = Response("two")
        for choices in ((), ("one", "two")):
            question = Question("one or two?", choices)
            self._ensemble.route(question)
            state, reader = self._ensemble.new_state(question), self._ensemble.reader
            kind, member = reader.kind_of(question), self._ensemble.members[0]
            state.put(0, reader.graded(member, question, kind, [reply]))
            state.n_rounds = 1
            self._ensemble.strategy.decide(state.view())

    def break_off(self) -> None:
        """End all that is under way; who waits for it is told so."""
        self.under_way.break_off()

    async def _live(self) -> None:
        """Show that this process lives, as long as it does."""
        was_well = True
        while True:
            await asyncio.sleep(BEAT_S)
            try:
                await self.access.heart.beat()
            except DatabaseError as exc:
                if was_well:
                    _log.warning("the database takes no writes: %s", exc)
                was_well = False
            else:
                was_well = True

    async def _leave(self) -> None:
        """Nothing of this process is under way any more."""
        with contextlib.suppress(DatabaseError):
            await self.access.heart.leave()

    async def _keep_house(self) -> None:
        """Settle what killed processes left behind, and keep the log of requests bounded."""
        keep = self.settings.keep_requests
        while True:
            try:
                await self.access.sweep()
                await self.writer.do(lambda c: self.store.log.prune(c, keep=keep))
            except DatabaseError as exc:
                _log.warning("the database cannot be looked after: %s", exc)
            await asyncio.sleep(_HOUSEKEEPING_S)
