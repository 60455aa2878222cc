"""Which checkpoint decides: the one that was given, or a descendant of it that was promoted.

Promotion and rollback are rows that somebody else writes; every process looks for them.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

import sqlalchemy as sa

from rlfocal.checkpoint import Checkpoint, Description, load_checkpoint, read_description
from rlfocal.checkpoint.unlabelled import start_without_labels
from rlfocal.errors import ConfigError, DatabaseError, RlfocalError
from rlfocal.gateway.store.rows import PolicyRow
from rlfocal.gateway.store.store import Store
from rlfocal.gateway.store.writer import Writer
from rlfocal.pool.settings import read_pool

__all__ = ["Policies", "id_of", "policy_id"]

_log = logging.getLogger(__name__)


def policy_id(about: Description) -> str:
    """By which a checkpoint is known: the beginning of its weights' digest."""
    return about.weights_sha256[:16]


def id_of(source: Path) -> str:
    """The id of what a gateway was started with.

    Args:
        source: the folder of a checkpoint, whose weights are not read; or a pool file, where it
            was started without labels.

    Raises:
        CheckpointError: there is no checkpoint, or it cannot be read.
        ConfigError: the pool file cannot be read.
    """
    if source.suffix == ".toml":
        return policy_id(start_without_labels(read_pool(source)).description)
    return policy_id(read_description(source))


class Policies:
    """Follows the table of policies.

    Args:
        store: where the table is.
        writer: of the same store.
        folder: of the checkpoint that was given; None where it is in memory alone.
        given: that checkpoint.
        poll_s: seconds between two looks at the table.
        adopt: lets another checkpoint decide; may raise an RlfocalError where it cannot.
    """

    def __init__(
        self,
        store: Store,
        writer: Writer,
        folder: Path | None,
        given: Checkpoint,
        *,
        poll_s: float,
        adopt: Callable[[Checkpoint], Awaitable[None]],
    ) -> None:
        self._store, self._writer, self.folder = store, writer, folder
        self._poll_s, self._adopt = poll_s, adopt
        self._given, self._given_id = given, policy_id(given.description)
        self.id = self._given_id
        self._refused: str | None = None

    async def begin(self) -> None:
        """Write the given checkpoint down as live, unless a descendant of it is.

        Raises:
            DatabaseError: the table cannot be read or written.
        """
        log, given = self._store.log, self._given_id
        path = "" if self.folder is None else str(self.folder.resolve())
        row = PolicyRow(id=given, created_at=time.time(), state="live", path=path)

        def settle(connection: sa.Connection) -> None:
            live = log.live_policy(connection)
            known = {p.id: p.parent for p in log.policies(connection)}
            if live is not None and _descends(live.id, given, known):
                return
            if given in known:
                log.set_policy(connection, given, state="live")
            else:
                log.add_policy(connection, row)

        await self._writer.do(settle)
        await self._look()

    async def follow(self) -> None:
        """Poll for promotions and rollbacks until cancelled."""
        while True:
            await asyncio.sleep(self._poll_s)
            try:
                await self._look()
            except DatabaseError as exc:
                _log.warning("policies cannot be read: %s", exc)

    async def _look(self) -> None:
        live = await asyncio.to_thread(self._live)
        if live is None or live.id in (self.id, self._refused):
            return
        try:
            await self._adopt(await asyncio.to_thread(self._checkpoint_of, live))
        except (RlfocalError, OSError) as exc:
            # Serve on with the old one: a broken file is no reason to stop.
            _log.error("policy %s cannot be served: %s", live.id, exc)
            self._refused = live.id
            return
        self.id, self._refused = live.id, None
        _log.info("policy %s decides from now on", live.id)

    def _checkpoint_of(self, live: PolicyRow) -> Checkpoint:
        if live.id == self._given_id:
            return self._given
        if not live.path:
            raise ConfigError("another gateway has started it without labels, from its pool file")
        return load_checkpoint(Path(live.path))

    def _live(self) -> PolicyRow | None:
        with self._store.connections.read() as connection:
            return self._store.log.live_policy(connection)


def _descends(policy: str, ancestor: str, parent_of: Mapping[str, str | None]) -> bool:
    seen: set[str] = set()
    current: str | None = policy
    while current is not None and current not in seen:
        if current == ancestor:
            return True
        seen.add(current)
        current = parent_of.get(current)
    return False
