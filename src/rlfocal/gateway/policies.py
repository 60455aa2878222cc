"""Which checkpoint decides: the one that was given, or a descendant of it that was promoted.

Promotion and rollback are rows that somebody else writes; every process looks for them.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import sqlalchemy as sa

from rlfocal.checkpoint import Checkpoint, Description, load_checkpoint, read_description
from rlfocal.checkpoint.unlabelled import start_without_labels
from rlfocal.errors import CheckpointError, ConfigError, DatabaseError, RlfocalError
from rlfocal.gateway.store.rows import PolicyRow
from rlfocal.gateway.store.store import Store
from rlfocal.gateway.store.writer import Writer
from rlfocal.pool.settings import read_pool

__all__ = ["Policies", "id_of", "policy_id"]

_log = logging.getLogger(__name__)
_LONGEST_S = 300.0
"""Between two tries to read a policy."""


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


class _Unread(NamedTuple):
    """A policy that could not be read yet."""

    id: str
    wait_s: float
    """From the last try to the next."""
    again_at: float


class Policies:
    """Follows the table of policies.

    Args:
        store: where the table is.
        writer: of the same store.
        folder: of the checkpoint that was given; None where it is in memory alone.
        given: that checkpoint.
        poll_s: seconds between two looks at the table.
        adopt: lets another checkpoint decide; may raise an RlfocalError where it cannot.
        clock: seconds that only grow.
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
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store, self._writer, self.folder = store, writer, folder
        self._poll_s, self._adopt, self._clock = poll_s, adopt, clock
        self._given, self._given_id = given, policy_id(given.description)
        self.id = self._given_id
        self._refused: str | None = None
        """The id of one that does not fit, and will not at any later look."""
        self._unread: _Unread | None = None

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
        await self.look()

    async def follow(self) -> None:
        """Poll for promotions and rollbacks until cancelled."""
        while True:
            await asyncio.sleep(self._poll_s)
            try:
                await self.look()
            except DatabaseError as exc:
                _log.warning("policies cannot be read: %s", exc)

    async def look(self) -> None:
        """Look once which policy is live, and adopt another one.

        Whatever keeps one from being adopted, the old one serves on.

        Raises:
            DatabaseError: the table cannot be read.
        """
        live = await asyncio.to_thread(self._live)
        if live is None:
            return
        if live.id == self.id:
            # One that was taken back may have been mended when it is promoted again.
            self._refused = self._unread = None
            return
        unread = self._unread if self._unread and self._unread.id == live.id else None
        if live.id == self._refused or (unread and self._clock() < unread.again_at):
            return
        try:
            await self._adopt(await asyncio.to_thread(self._checkpoint_of, live))
        except (CheckpointError, DatabaseError, OSError) as exc:
            # It may pass: a folder that is not mounted yet, a copy that is under way.
            wait_s = self._poll_s if unread is None else min(2 * unread.wait_s, _LONGEST_S)
            self._unread = _Unread(live.id, wait_s, self._clock() + wait_s)
            _log.error(
                "policy %s cannot be read: %s; it is tried again in %g s", live.id, exc, wait_s
            )
            return
        except RlfocalError as exc:
            _log.error("policy %s cannot be served: %s", live.id, exc)
            self._refused = live.id
            return
        self.id, self._refused, self._unread = live.id, None, None
        _log.info("policy %s decides from now on", live.id)

    def _checkpoint_of(self, live: PolicyRow) -> Checkpoint:
        if live.id == self._given_id:
            return self._given
        if not live.path:
            raise ConfigError("another gateway has started it without labels, from its pool file")
        found = load_checkpoint(Path(live.path))
        if (there := policy_id(found.description)) != live.id:
            # As before a copy has come so far, or where another one was written over it.
            raise CheckpointError(f"{live.path}: holds policy {there}; copy {live.id} there again")
        return found

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
