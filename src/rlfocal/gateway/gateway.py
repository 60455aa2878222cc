"""What a server's process holds: members, the policy that asks them, keys, the ledger."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Self

from rlfocal.deliberation.protocol import Dialled
from rlfocal.errors import ConfigError, DatabaseError, nearest
from rlfocal.gateway.door.access import Access
from rlfocal.gateway.door.bodies import Bodies
from rlfocal.gateway.door.connections import Connections
from rlfocal.gateway.door.places import Places
from rlfocal.gateway.errors import ApiError
from rlfocal.gateway.feedback_memory import FeedbackMemory
from rlfocal.gateway.metrics import Metrics
from rlfocal.gateway.policies import Policies
from rlfocal.gateway.repeats.records import Records
from rlfocal.gateway.settings import GatewaySettings
from rlfocal.gateway.store.processes import BEAT_S
from rlfocal.gateway.store.store import Store
from rlfocal.gateway.store.writer import Writer
from rlfocal.gateway.wire.request import ENSEMBLE
from rlfocal.live import Ensemble, LiveQuery, members_for
from rlfocal.live.likeness import alike, text_encoder
from rlfocal.pool.building import LiveMember, LivePool
from rlfocal.pool.settings import PoolSettings
from rlfocal.pool.types import Response
from rlfocal.pool.wrappers.breaker import Circuits
from rlfocal.rl.checkpoint import Checkpoint

__all__ = ["Gateway"]

_log = logging.getLogger(__name__)
_PRICES = 64
"""Prices whose ensembles are kept: clients may name any."""
_HOUSEKEEPING_S = 30.0
_READY_S = 1.0
"""For the database to be read: who asks whether a gateway is ready does not wait for long."""


class Gateway:
    """One process of a gateway; use it as an asynchronous context.

    Args:
        folder: of the checkpoint.
        checkpoint: as it was read.
        pool: with the checkpoint's members, and perhaps more, who can be asked by name.
        settings: limits.
        store: the database, shared with other processes.
        open_door: whether everybody may pass without a key.

    Raises:
        ConfigError: the pool does not fit the checkpoint, a member's name cannot be asked for, or
            the synthesiser is no member.
    """

    def __init__(
        self,
        folder: Path,
        checkpoint: Checkpoint,
        pool: PoolSettings,
        settings: GatewaySettings,
        store: Store,
        *,
        open_door: bool = False,
    ) -> None:
        self.settings, self.store, self.pool_settings = settings, store, pool
        _check_names(pool, checkpoint, settings)
        circuits = Circuits(
            failures=settings.circuit_failures,
            cool_down_s=settings.circuit_cool_down_s,
            fair_s=settings.circuit_fair_s,
        )
        self._pool = LivePool(pool, circuits=circuits)
        self._pool.check_keys()
        self._by_name = {member.name: member for member in self._pool.members}
        self.checkpoint = checkpoint
        self._ensemble = self._ensemble_of(checkpoint)
        self._at_price: OrderedDict[float, Ensemble] = OrderedDict()
        self.writer = Writer(store)
        self.access = Access(store, self.writer, open_door=open_door)
        self.recent = FeedbackMemory(
            store,
            checkpoint,
            window=settings.remember,
            least=settings.least_remembered,
            poll_s=settings.poll_s,
        )
        self.policies = Policies(self, folder)
        self.metrics = Metrics(self)
        self.bodies, self.connections = Bodies(settings), Connections(settings)
        self.records = Records()
        self.places = Places(settings)
        self.started_at = time.time()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._open = AsyncExitStack()

    # Members -----------------------------------------------------------------------------------

    @property
    def members(self) -> tuple[LiveMember, ...]:
        """All of the pool."""
        return self._pool.members

    @property
    def member_names(self) -> tuple[str, ...]:
        """By which they can be asked."""
        return tuple(self._by_name)

    @property
    def policy(self) -> str:
        """Which checkpoint decides."""
        return self.policies.id

    def member(self, name: str) -> LiveMember:
        """One of them, by a name that there is."""
        return self._by_name[name]

    def ensemble(self, price: float | None) -> Ensemble:
        """All members together, at a price of a call.

        A price beyond those that it was trained for is taken for the nearest of them.

        Raises:
            ApiError: the strategy has no price.
        """
        if price is None:
            return self._ensemble
        found = self._at_price.get(price)
        if found is None:
            found = self._at_price[price] = self._nearest(price)
            if len(self._at_price) > _PRICES:
                self._at_price.popitem(last=False)
        self._at_price.move_to_end(price)
        return found

    def _nearest(self, price: float) -> Ensemble:
        strategy = self._ensemble.strategy
        if isinstance(strategy, Dialled) and price not in strategy.dials:
            known = [dial for dial in strategy.dials if dial > 0]
            price = min(max(price, min(known)), max(known))
        try:
            return self._ensemble.at(price)
        except ConfigError as exc:
            raise ApiError(400, "invalid_value", str(exc), param="model") from None

    def _ensemble_of(self, checkpoint: Checkpoint) -> Ensemble:
        return Ensemble(
            checkpoint, [self._by_name[name] for name in checkpoint.description.members]
        )

    async def adopt(self, checkpoint: Checkpoint) -> None:
        """Let another checkpoint of the same members decide from now on.

        Raises:
            ConfigError: it does not fit the pool.
        """
        _check_names(self.pool_settings, checkpoint, self.settings)
        ensemble = self._ensemble_of(checkpoint)
        await self.recent.adopt(checkpoint)
        self.checkpoint, self._ensemble = checkpoint, ensemble
        self._at_price.clear()

    # Requests ----------------------------------------------------------------------------------

    @property
    def n_in_flight(self) -> int:
        """Requests under way."""
        return self.places.n

    def keep(self, task: asyncio.Task[Any]) -> None:
        """Hold on to a task until it is done: the event loop itself does not."""
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def is_ready(self) -> bool:
        """Whether the database answers and takes writes, and somebody could be asked."""
        try:
            async with asyncio.timeout(_READY_S):
                await asyncio.to_thread(self._look)
        except (DatabaseError, TimeoutError):
            return False
        if not await self.access.heart.can_write():
            return False
        return not all(self._by_name[n].is_shut for n in self.checkpoint.description.members)

    def _look(self) -> None:
        with self.store.connections.read() as connection:
            self.store.log.live_policy(connection)

    # Life --------------------------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        """Open members and begin to look after things."""
        async with AsyncExitStack() as opened:
            opened.callback(self.writer.close)
            opened.push_async_callback(self._leave)
            await opened.enter_async_context(self._pool)
            await self.access.heart.beat()
            await self.policies.begin()
            await self.recent.load()
            await asyncio.to_thread(self._warm_up)
            await opened.enter_async_context(
                _background(
                    self.recent.follow(),
                    self.policies.follow(),
                    self._keep_house(),
                    self._live(),
                    self.connections.watch(),
                )
            )
            opened.push_async_callback(self._end_requests)
            self._open = opened.pop_all()
        return self

    async def __aexit__(self, *exc: object) -> None:
        """End what is under way, write down what is left, close members."""
        await self._open.aclose()

    def _warm_up(self) -> None:
        """Do once what is slow the first time, so that no request waits for it."""
        alike(["one", "two"], text_encoder())
        reply = Response("two")
        for choices in ((), ("one", "two")):
            query = LiveQuery("one or two?", choices)
            self._ensemble.route(query)
            board = self._ensemble.board(query)
            board.put(0, self._ensemble.graded(self._ensemble.members[0], query, [reply]))
            view = board.view(n_rounds=1)
            self._ensemble.strategy.next_members(view)
            self._ensemble.strategy.fuse(view)

    async def _end_requests(self) -> None:
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

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


@asynccontextmanager
async def _background(*works: Any) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(work) for work in works]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _check_names(pool: PoolSettings, checkpoint: Checkpoint, settings: GatewaySettings) -> None:
    members = members_for(checkpoint, pool)
    for member in pool.members:
        if member.name == ENSEMBLE or member.name.startswith(f"{ENSEMBLE}:"):
            raise ConfigError(
                f"a member is called '{member.name}', by which clients ask for all of them; "
                "rename it"
            )
    names = [member.name for member in pool.members]
    if settings.synthesiser is not None and settings.synthesiser not in names:
        raise ConfigError(
            f"synthesiser = '{settings.synthesiser}': {nearest(settings.synthesiser, names)}"
        )
    n_calls = sum(member.samples for member in members) + (settings.synthesiser is not None)
    if n_calls > settings.most_calls:
        raise ConfigError(
            f"a request could lead to {n_calls} calls, and most_calls is {settings.most_calls}; "
            "raise it, or take fewer members or samples"
        )
