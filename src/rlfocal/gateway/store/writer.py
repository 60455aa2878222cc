"""Writing without blocking: one thread puts what is waiting into one transaction (group commit).

A transaction costs the same whether it writes one row or a hundred, so the more is asked of the
database, the less each write costs. SQLite runs with `synchronous = NORMAL` in WAL mode: killing
the process (kill -9) loses nothing that was committed; only the machine's losing power can.

What nobody waits for and the database does not take, because it is locked, full or away, is kept
and tried again. Some of it may be gathered: it waits a little for more of its kind, or for what
cannot wait, and then takes as few statements as one of it alone.

Knows nothing of what is written.
"""

from __future__ import annotations

import asyncio
import logging
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from itertools import groupby
from operator import attrgetter
from typing import Any, NamedTuple, TypeVar

import sqlalchemy as sa

from rlfocal.database.failures import may_pass, translated
from rlfocal.errors import DatabaseError
from rlfocal.gateway.store.store import Store

__all__ = ["Counts", "Group", "Operation", "Writer", "WriterBusy"]

T = TypeVar("T")
Operation = Callable[[sa.Connection], T]
"""What is to be done in a transaction. It may run a second time, after the first was undone, when
another operation of its batch fails: so it changes nothing outside the database."""

Group = Callable[[sa.Connection, Sequence[Any]], object]
"""The same for several items at once; each of them may also come alone."""

_log = logging.getLogger(__name__)
_MOST_KEPT = 2000
"""Operations that are kept for later: more than there are requests under way."""
_AGAIN_S = 1.0
"""After which they are tried again."""
_STUCK_S = 20.0
"""A transaction that takes longer is not one that is only slow."""


class WriterBusy(DatabaseError):
    """More writes are waiting than the database takes, or the writer is closed."""


class Counts(NamedTuple):
    """Counts of a writer; all but `n_waiting` since it was made."""

    n_waiting: int
    n_done: int
    n_failed: int
    """Operations that were not done, with or without a caller that waited."""
    n_lost: int
    """Those of them whose caller did not wait for the outcome."""
    n_commits: int


class _Queued(NamedTuple):
    operation: Operation[Any]
    waiter: asyncio.Future[Any] | None
    is_owed: bool = False
    """True where it failed before and was kept."""
    group: Group | None = None
    """What it may be done with others by, in place of `operation`."""
    item: Any = None


class _Failed(NamedTuple):
    error: Exception
    may_pass: bool


class _OneFailed(Exception):
    """An operation raised, and the database is still there."""


class Writer:
    """Writes from an event loop, or from several.

    Args:
        store: where to.
        max_waiting: operations that may wait; beyond it, new ones are refused.
        max_batch: operations in one transaction. They wait for each other, and what is told while
            the next ones are written overlaps with them: 50 did more than 15 or 200.
        gather_s: seconds that what is gathered waits for more.
    """

    def __init__(
        self,
        store: Store,
        *,
        max_waiting: int = 10_000,
        max_batch: int = 50,
        gather_s: float = 0.2,
    ) -> None:
        self._connections = store.connections
        self._max_waiting, self._max_batch = max_waiting, max_batch
        self._gather_s, self._due_at = gather_s, math.inf
        self._jobs: deque[_Queued] = deque()
        self._kept: deque[_Queued] = deque()
        """To be tried again after a while."""
        self._again_at = 0.0
        self._n_owed = 0
        """Writes kept for another try, and those of them that are being tried."""
        self._began_at: float | None = None
        self._changed = threading.Condition()  # guards everything below and the jobs
        self._closed = False
        self._done = self._failed = self._lost = self._commits = 0
        self._thread = threading.Thread(target=self._run, name="rlfocal-writer", daemon=True)
        self._thread.start()

    @property
    def counts(self) -> Counts:
        """Counts of writes and transactions."""
        with self._changed:
            return Counts(len(self._jobs), self._done, self._failed, self._lost, self._commits)

    @property
    def stuck_s(self) -> float:
        """Seconds for which a transaction has been under way; 0 where there is none."""
        began = self._began_at
        return 0.0 if began is None else time.monotonic() - began

    @property
    def trouble(self) -> str | None:
        """Why what is put now may not be written soon; None where all is well."""
        with self._changed:
            if self._n_owed:
                return f"{self._n_owed} writes could not be made yet; they are tried again"
            if len(self._jobs) >= self._max_waiting:
                return f"{len(self._jobs)} writes are waiting, the most that may"
        if (stuck_s := self.stuck_s) > _STUCK_S:
            return f"the database has not answered for {stuck_s:.0f} s"
        return None

    async def do(self, operation: Operation[T]) -> T:
        """Run an operation in a transaction; what it returns is there when that is committed.

        Where the caller is cancelled, the operation may still be done.

        Raises:
            WriterBusy: too much is waiting, or the writer is closed: nothing was done.
            DatabaseError: the database refused, or is away: nothing was done, unless the connection
                broke at the very moment of the commit.
            Exception: what the operation raised; it alone is undone.
        """
        waiter: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        if problem := self._enqueue(_Queued(operation, waiter)):
            raise WriterBusy(problem)
        return await waiter

    def put(self, operation: Operation[Any]) -> None:
        """Have an operation run soon; one that fails is logged and counted.

        Where it fails because the database is locked, full or away, it is tried again until it
        succeeds: it may have been done the first time, when the connection broke at the very
        moment of the commit, so twice must be as good as once.
        """
        self._put(_Queued(operation, None), 0.0)

    def gather(self, group: Group, item: Any) -> None:
        """As `put`, of something that can wait until there is more of it, or until anything else.

        Args:
            group: writes several such items, in the order in which they came; the same object for
                all of them.
            item: what is written.
        """
        alone = partial(_alone, group, item)
        self._put(_Queued(alone, None, group=group, item=item), self._gather_s)

    def _put(self, job: _Queued, wait_s: float) -> None:
        if problem := self._enqueue(job, wait_s):
            with self._changed:
                self._failed += 1
                self._lost += 1
            _log.error("a write was lost: %s", problem)

    def close(self) -> None:
        """Write what is waiting, and end; blocks until then. With the database away it is lost."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join()

    def _enqueue(self, job: _Queued, wait_s: float = 0.0) -> str | None:
        """Take a job that is to be done after so long at the latest; else say why not."""
        with self._changed:
            if self._closed:
                return "the gateway is ending; send the request again to one that runs"
            if len(self._jobs) >= self._max_waiting:
                return (
                    f"{len(self._jobs)} writes are waiting for the database, the most that may; "
                    "try again later, or move the database to a faster disk or server"
                )
            self._jobs.append(job)
            is_full = len(self._jobs) >= self._max_batch
            due_at = 0.0 if is_full else time.monotonic() + wait_s
            if due_at < self._due_at:
                self._due_at = due_at
                self._changed.notify()
        return None

    def _run(self) -> None:
        while batch := self._next_batch():
            self._began_at = time.monotonic()
            try:
                outcomes = self._write(batch)
            except Exception as exc:  # of whatever kind: the thread must survive it
                batch += self._rest()
                outcomes = [_Failed(exc, isinstance(exc, DatabaseError))] * len(batch)
            self._began_at = None
            self._report(batch, outcomes)

    def _next_batch(self) -> list[_Queued]:
        """What is waiting, at least one job; empty at the end."""
        with self._changed:
            while True:
                left_s = self._again_at - time.monotonic()
                if self._kept and (self._closed or left_s <= 0):
                    self._jobs.extendleft(reversed(self._kept))
                    self._kept.clear()
                    self._due_at = 0.0
                due_s = self._due_at - time.monotonic()
                if due_s <= 0 or self._closed:
                    break
                wait_s = min(due_s, left_s) if self._kept else due_s
                self._changed.wait(None if wait_s == math.inf else wait_s)
            batch: list[_Queued] = []
            while self._jobs and len(batch) < self._max_batch:
                batch.append(self._jobs.popleft())
            self._due_at = 0.0 if self._jobs else math.inf
            return batch

    def _rest(self) -> list[_Queued]:
        """All that is waiting at the end: it would wait for the database in vain, in turn."""
        with self._changed:
            rest = list(self._jobs) if self._closed else []
            if rest:
                self._jobs.clear()
            return rest

    def _write(self, batch: Sequence[_Queued]) -> list[Any]:
        """Write a batch; the outcome of each job is what it returned, or `_Failed`."""
        try:
            with self._connections.write() as connection:
                try:
                    return _run_together(connection, batch)
                except Exception as exc:
                    if _is_away(exc):
                        raise
                    raise _OneFailed from exc
        except _OneFailed:
            pass  # and so all were undone
        with self._connections.write() as connection:
            return [self._run_apart(connection, job) for job in batch]

    def _run_apart(self, connection: sa.Connection, job: _Queued) -> Any:
        """Run an operation so that it can be undone alone."""
        savepoint = connection.begin_nested()
        try:
            outcome = job.operation(connection)
        except Exception as exc:
            if _is_away(exc):
                raise
            try:
                savepoint.rollback()
            except sa.exc.DBAPIError as gone:  # the whole transaction is: the disk may be full
                raise (exc if isinstance(exc, sa.exc.DBAPIError) else gone) from None
            return _Failed(self._translated(exc), may_pass(exc))
        savepoint.commit()
        return outcome

    def _translated(self, error: Exception) -> Exception:
        try:
            with translated(self._connections.place):
                raise error
        except Exception as said:
            return said

    def _report(self, batch: Sequence[_Queued], outcomes: Sequence[Any]) -> None:
        """Tell those who wait, each event loop once, and count."""
        waiting: dict[asyncio.AbstractEventLoop, list[tuple[asyncio.Future[Any], Any]]] = {}
        unheard: list[tuple[_Queued, _Failed]] = []
        n_failed = n_owed = 0
        for job, outcome in zip(batch, outcomes, strict=True):
            n_owed += job.is_owed
            has_failed = isinstance(outcome, _Failed)
            n_failed += has_failed
            if job.waiter is not None:
                waiting.setdefault(job.waiter.get_loop(), []).append((job.waiter, outcome))
            elif has_failed:
                unheard.append((job, outcome))
        with self._changed:
            lost = [failed.error for job, failed in unheard if not self._keep(job, failed)]
            n_kept = len(unheard) - len(lost)
            self._done += len(batch) - n_failed
            self._failed += n_failed - n_kept
            self._lost += len(lost)
            self._commits += n_failed < len(batch)
            self._n_owed += n_kept - n_owed
            if n_failed < len(batch):
                self._again_at = 0.0  # others were written: the database is back
            elif n_kept:
                self._again_at = time.monotonic() + _AGAIN_S
        if lost:
            _log.error("%d writes were lost, the first because of: %s", len(lost), _said(lost[0]))
        if n_kept and (fresh := [failed.error for job, failed in unheard if not job.is_owed]):
            _log.error("writes wait to be made, the first because of: %s", _said(fresh[0]))
        for loop, settled in waiting.items():
            try:
                loop.call_soon_threadsafe(_settle, settled)
            except RuntimeError:  # the loop is closed: nobody waits any more
                _log.warning("%d writes ended after those who waited for them", len(settled))

    def _keep(self, job: _Queued, failed: _Failed) -> bool:
        """Keep a write without a waiting caller for another try; False where that is in vain."""
        if self._closed or not failed.may_pass or len(self._kept) >= _MOST_KEPT:
            return False
        self._kept.append(job._replace(is_owed=True))
        return True


def _alone(group: Group, item: Any, connection: sa.Connection) -> None:
    group(connection, [item])


def _run_together(connection: sa.Connection, batch: Sequence[_Queued]) -> list[Any]:
    """Run a batch in its order, what stands together of one group at once."""
    outcomes: list[Any] = []
    for group, jobs in groupby(batch, attrgetter("group")):
        if group is None:
            outcomes += [job.operation(connection) for job in jobs]
        else:
            items = [job.item for job in jobs]
            group(connection, items)
            outcomes += [None] * len(items)
    return outcomes


def _settle(settled: Sequence[tuple[asyncio.Future[Any], Any]]) -> None:
    for waiter, outcome in settled:
        if waiter.done():  # cancelled
            continue
        if isinstance(outcome, _Failed):
            waiter.set_exception(_own(outcome.error))
        else:
            waiter.set_result(outcome)


def _own(error: Exception) -> Exception:
    """An error to raise at one of several places: a shared one would collect their tracebacks."""
    if isinstance(error, DatabaseError):
        copy = DatabaseError(str(error))
        copy.__cause__ = error.__cause__
        return copy
    if isinstance(error, StopIteration):  # which a future cannot hold
        return RuntimeError("an operation raised StopIteration")
    return error


def _is_away(exc: Exception) -> bool:
    return isinstance(exc, sa.exc.DBAPIError) and exc.connection_invalidated


def _said(exc: Exception) -> str:
    """An error for the log: of one that is not ours only the kind, for it may quote a prompt."""
    return str(exc) if isinstance(exc, DatabaseError) else type(exc).__name__
