"""Make the calls of a plan: so many at once, each reply stored the moment it is there.

One task feeds calls that nobody else has claimed, workers ask, one task writes. A worker makes its
next call when the reply to its last one is in the database, so whatever ends the process loses at
most the calls under way; replies that come while others are written are written together. The queue
is short and nothing is remembered of a call that is over: memory does not grow with the number of
calls.
"""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass

from rlfocal.collect.budget import Budget
from rlfocal.collect.feed import Feed
from rlfocal.collect.plan import Call, Plan
from rlfocal.collect.tally import Tally
from rlfocal.errors import Failure, MemberError
from rlfocal.grading import Grader
from rlfocal.pool.building import unpriced
from rlfocal.pool.types import Response
from rlfocal.records.database import Database, StoredError, StoredResponse

__all__ = ["Collector", "Limits", "Tally"]

_LEASE_S = 60.0
"""How long a claim on a call holds without being renewed."""
_HOPELESS = {Failure.UNAUTHORISED: 3, Failure.UNKNOWN_MODEL: 3}
"""After so many failures of a kind in a row a member is given up for this run."""
_MOST_IN_A_ROW = 10
"""The same for failures of any kind."""


@dataclass(frozen=True)
class Limits:
    """When to stop, and how fast to go."""

    concurrency: int = 64
    """Calls under way at once, over all members: asked for and not yet stored."""
    max_calls: int | None = None
    max_usd: float | None = None
    """Never passed in this run: a call is made only if its highest price still fits."""


@dataclass(frozen=True)
class _Unmade:
    """A call that was claimed and is not made after all."""

    key: str


_Outcome = StoredResponse | StoredError | _Unmade


class Collector:
    """Collects once.

    Args:
        plan: the calls.
        database: where replies go; it may be shared with other collectors.
        grader: finds answers in replies.
        limits: when to stop.
        retry_failed: make calls again whose last attempt failed.
        on_progress: called after every write.
        lease_s: how long claims hold if this process dies.
    """

    def __init__(
        self,
        plan: Plan,
        database: Database,
        grader: Grader,
        *,
        limits: Limits,
        retry_failed: bool = False,
        on_progress: Callable[[Tally], None] | None = None,
        lease_s: float = _LEASE_S,
    ) -> None:
        self._plan, self._database, self._grader = plan, database, grader
        self._limits, self._tell = limits, on_progress or (lambda _: None)
        self._owner = f"{socket.gethostname()}:{os.getpid()}:{time.time_ns()}"
        self.tally = Tally(plan.n_calls)
        self._feed = Feed(
            plan,
            database,
            self.tally,
            owner=self._owner,
            lease_s=lease_s,
            portion=2 * limits.concurrency,
            retry_failed=retry_failed,
        )
        self._ready: asyncio.Queue[Call | None] = asyncio.Queue(limits.concurrency)
        self._done: list[_Outcome] = []
        """What came back and is not yet known to be written."""
        self._has_come = asyncio.Event()
        self._is_stored: list[asyncio.Event] = []
        """One for each of them."""
        ledgers = {id(member.unsettled): member.unsettled for member in plan.members}
        self._ledgers = tuple(ledgers.values())
        self._unsettled_before = sum(ledger.usd for ledger in self._ledgers)
        self._uncounted_usd = 0.0
        """What replies may cost at most whose servers have not counted their tokens."""
        self._unpriced = frozenset(unpriced(plan.members))
        self._budget = Budget(limits.max_usd, self._unsettled_usd)
        self._in_a_row: dict[int, list[Failure]] = {}

    def stop(self, reason: str) -> None:
        """Make no further calls; those under way are waited for."""
        self.tally.stopped = self.tally.stopped or reason

    async def run(self) -> Tally:
        """Collect until all is done or a limit is reached.

        Raises:
            ConfigError: the user's scorer failed.
            DatabaseError: a reply cannot be stored.
        """
        await asyncio.to_thread(_free_the_dead, self._database)
        try:
            async with asyncio.TaskGroup() as tasks:
                beat = tasks.create_task(self._feed.renew())
                writer = tasks.create_task(self._write())
                tasks.create_task(self._offer())
                workers = [tasks.create_task(self._work()) for _ in range(self._limits.concurrency)]
                await asyncio.gather(*workers)
                beat.cancel()
                writer.cancel()
        except BaseExceptionGroup as group:
            raise _first(group) from group
        except asyncio.CancelledError:  # calls under way are given up; what has come is kept
            self._store(self._done)
            self._count(self._done)
            raise
        finally:
            self._database.release(None, self._owner)
        if self._feed.n_passes > 1:  # others had claimed some; who answered them stands nowhere
            n_answered = await asyncio.to_thread(self._plan.n_answered, self._database)
            self.tally.n_stored = n_answered - self.tally.n_answered
        self.tally.unsettled_usd = self._unsettled_usd()
        self._tell(self.tally)
        return self.tally

    # Who does what --------------------------------------------------------------------------

    async def _offer(self) -> None:
        """Put every call that is still to be made where workers find it, then one end for each."""
        async with aclosing(self._feed.calls(self._given_up)) as calls:
            async for call in calls:
                if self.tally.stopped:
                    break
                await self._ready.put(call)
        for _ in range(self._limits.concurrency):
            await self._ready.put(None)

    async def _work(self) -> None:
        """Make calls, one after another, each when the one before is stored."""
        while (call := await self._ready.get()) is not None:
            if self.tally.stopped or self._given_up(call.member):
                await self._keep(_Unmade(call.key))
                continue
            most_usd = self._most_usd(call)
            if not await self._budget.reserve(most_usd):
                self.stop(
                    f"--max-usd {self._limits.max_usd:g}: the next call might not fit any more"
                )
                continue
            outcome: _Outcome = _Unmade(call.key)
            paid_usd = 0.0
            if self._may_start():
                outcome, paid_usd = await self._make(call, most_usd)
            self._budget.settle(most_usd, paid_usd)
            await self._keep(outcome)

    async def _make(self, call: Call, most_usd: float) -> tuple[_Outcome, float]:
        """Make a call; what came of it, and what it cost."""
        member = self._plan.members[call.member]
        self.tally.n_attempted += 1
        started = time.monotonic()
        try:
            reply = await member.ask(self._plan.question(call), sample=call.sample)
        except MemberError as exc:
            self._note(call.member, exc)
            return self._error(call, exc, time.monotonic() - started), 0.0
        self._in_a_row.pop(call.member, None)
        paid_usd = reply.cost_usd or 0.0
        if reply.unsettled_usd:  # a reply that does not say how long it is costs what it may cost
            self._uncounted_usd += paid_usd + reply.unsettled_usd
            paid_usd = 0.0
        return self._graded(call, reply), paid_usd

    async def _keep(self, outcome: _Outcome) -> None:
        """Return when the outcome of a call is stored."""
        stored = asyncio.Event()
        self._done.append(outcome)
        self._is_stored.append(stored)
        self._has_come.set()
        await stored.wait()

    async def _write(self) -> None:
        """Store what came back, all that is there at once, until cancelled."""
        while True:
            await self._has_come.wait()
            self._has_come.clear()
            batch, n = self._done.copy(), len(self._done)
            await asyncio.to_thread(self._store, batch)
            stored = self._is_stored[:n]
            # Not before: interrupted, it is to be written all the same.
            del self._done[:n], self._is_stored[:n]
            self._count(batch)
            self._feed.ended([item.key for item in batch])
            for each in stored:
                each.set()

    def _store(self, batch: Sequence[_Outcome]) -> None:
        replies = [item for item in batch if isinstance(item, StoredResponse)]
        errors = [item for item in batch if isinstance(item, StoredError)]
        if replies:
            self._database.add_responses(replies)
        if errors:
            self._database.add_errors(errors)
        if unanswered := [item.key for item in batch if not isinstance(item, StoredResponse)]:
            self._database.release(unanswered, self._owner)

    # Parts ----------------------------------------------------------------------------------

    def _most_usd(self, call: Call) -> float:
        """What is set aside for a call; nothing where nobody has set a limit."""
        return (self._plan.most_usd(call) or 0.0) if self._limits.max_usd is not None else 0.0

    def _unsettled_usd(self) -> float:
        """What attempts may cost that failed in this run, and replies that nobody has counted."""
        failed_usd = sum(ledger.usd for ledger in self._ledgers) - self._unsettled_before
        return failed_usd + self._uncounted_usd

    def _may_start(self) -> bool:
        limits, tally = self._limits, self.tally
        if limits.max_calls is not None and tally.n_attempted >= limits.max_calls:
            self.stop(f"--max-calls {limits.max_calls} reached")
        return tally.stopped is None

    def _given_up(self, member: int) -> bool:
        return self._plan.members[member].name in self.tally.dropped

    def _note(self, member: int, exc: MemberError) -> None:
        """Give a member up that keeps failing: the rest of its calls would fail, too."""
        row = self._in_a_row.setdefault(member, [])
        row.append(exc.failure)
        same = row.count(exc.failure)
        if same >= _HOPELESS.get(exc.failure, _MOST_IN_A_ROW) or len(row) >= _MOST_IN_A_ROW:
            name = self._plan.members[member].name
            self.tally.dropped.setdefault(name, f"{len(row)} failures in a row, the last: {exc}")

    def _graded(self, call: Call, reply: Response) -> StoredResponse:
        query, member = self._plan.queries[call.query], self._plan.members[call.member]
        grade = self._grader.grade(query, member.settings, reply)
        return StoredResponse(
            query_key=call.query_key,
            query_id=query["query_id"],
            member=member.name,
            settings_key=self._plan.settings_keys[call.member],
            sample=call.sample,
            text=reply.text,
            answer=grade.answer,
            score=grade.score,
            choice_scores=grade.choice_scores,
            finish=reply.finish,
            n_prompt_tokens=reply.n_prompt_tokens,
            n_completion_tokens=reply.n_completion_tokens,
            # A part of it would look like the whole.
            cost_usd=None if reply.unsettled_usd else reply.cost_usd,
            latency_s=reply.latency_s,
        )

    def _error(self, call: Call, exc: MemberError, elapsed_s: float) -> StoredError:
        return StoredError(
            key=call.key,
            member=self._plan.members[call.member].name,
            failure=exc.failure.value,
            status=exc.status,
            message=f"{exc} (after {elapsed_s:.1f} s)",
        )

    def _count(self, batch: Sequence[_Outcome]) -> None:
        for item in batch:
            if isinstance(item, StoredResponse):
                self.tally.n_answered += 1
                self.tally.cost_usd += item.cost_usd or 0.0
                priced = item.member not in self._unpriced
                self.tally.n_unpriced += item.cost_usd is None and not priced
            elif isinstance(item, StoredError):
                self.tally.failures[item.failure] += 1
        self.tally.unsettled_usd = self._unsettled_usd()
        self._tell(self.tally)


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The first single exception of a group."""
    first = group.exceptions[0]
    return _first(first) if isinstance(first, BaseExceptionGroup) else first


def _free_the_dead(database: Database) -> None:
    """Give back what processes of this machine had claimed that have ended since."""
    host = socket.gethostname()
    for owner in database.owners():
        name, _, rest = owner.partition(":")
        pid = rest.partition(":")[0]
        if name == host and pid.isdigit() and not _alive(int(pid)):
            database.release(None, owner)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
