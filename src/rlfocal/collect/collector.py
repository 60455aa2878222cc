"""Make the calls of a plan concurrently, and store each reply at once.

One task feeds calls that no other collector has claimed, workers ask, one task writes. A worker
makes its next call when the reply to its last one is in the database, so that a crash loses at most
the calls under way; replies that come while others are written are written together. The queue is
short and no state is kept of a finished call: memory does not grow with the number of calls. A
reply that cannot be stored ends the collecting; it is kept until the calls under way are back, and
retried (`writing`).
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass

from rlfocal.collect.budget import Account, Budget
from rlfocal.collect.claims import new_owner, release_dead
from rlfocal.collect.counting import counted
from rlfocal.collect.feed import Feed
from rlfocal.collect.giving_up import GivingUp
from rlfocal.collect.outcomes import stored_reply
from rlfocal.collect.plan import Call, Plan
from rlfocal.collect.sharing import SharedPurse, shared_rates
from rlfocal.collect.tally import Tally
from rlfocal.collect.writing import Outcome, Unmade, Writer
from rlfocal.errors import DatabaseError, Failure, MemberError
from rlfocal.grading import Grader, seen_reply
from rlfocal.pool.building import LivePool, unpriced
from rlfocal.pool.types import Response
from rlfocal.records.database import Database, StoredError, StoredResponse, shown_key_of

__all__ = ["Collector", "Limits", "Tally"]

_LEASE_S = 60.0
"""How long a claim on a call holds without being renewed."""
_ROOM_BYTES, _ROOM_A_CALL = 256 << 10, 16 << 10
"""Disk space reserved before the first call: a fixed part, and one for each concurrent call. Most
of it is for indexes, in which each row changes other pages."""
_MOST_MESSAGE = 1000
"""Most characters stored of a failure's message."""


@dataclass(frozen=True)
class Limits:
    """Limits on calls, cost and concurrency."""

    concurrency: int = 64
    """Concurrent calls over all members, counted until they are stored."""
    max_calls: int | None = None
    max_usd: float | None = None
    """Cap on the cost of this run and of those at work beside it: a call is made only if its
    highest price still fits."""
    budget: str | None = None
    """Whatever was ever spent under that name counts; None: what is spent by those at work."""


class Collector:
    """Runs a plan's calls and stores the replies; for one run.

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
        self._limits, self._on_progress = limits, on_progress or (lambda _: None)
        self._owner = new_owner()
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
        self._account = Account(plan.members)
        self._unpriced = frozenset(unpriced(plan.members))
        self._purse: SharedPurse | None = None
        if limits.max_usd is not None:
            self._purse = SharedPurse(database, self._owner, limits.max_usd, lease_s=lease_s)
        self._budget = Budget(
            limits.max_usd,
            self._account.unsettled_usd,
            purse=self._purse,
            lease_s=lease_s,
            n_ahead=limits.concurrency,
        )
        self._writer = Writer(
            database,
            self._owner,
            on_stored=self._stored,
            on_trouble=self._cannot_store,
            spent_usd=None if self._purse is None else lambda: self._budget.spent_usd,
        )
        self._giving_up = GivingUp()

    def stop(self, reason: str, *, now: bool = False) -> None:
        """Make no further calls, for a reason; those under way are waited for.

        `now`: rate limits are not, so that calls that wait for one are not made.
        """
        self.tally.stopped = self.tally.stopped or reason
        for member in self._plan.members if now else ():
            if member.patient is not None:
                member.patient.stop()

    def share_rates(self, live: LivePool) -> None:
        """Hold requests a minute over all collectors at the database, not over this one alone."""
        live.share_rates(shared_rates(self._database, self._met))

    async def run(self) -> Tally:
        """Collect until all is done or a limit is reached.

        Raises:
            ConfigError: the user's scorer failed.
            DatabaseError: replies cannot be stored, before the first call or in between; then no
                further call is made, and the message says which replies are lost.
        """
        await asyncio.to_thread(release_dead, self._database)
        room = _ROOM_BYTES + _ROOM_A_CALL * self._limits.concurrency
        await asyncio.to_thread(self._database.reserve_room, room)
        try:
            if self._purse is not None:
                await self._purse.begin(self._limits.budget)
            async with asyncio.TaskGroup() as tasks:
                beat = tasks.create_task(self._unless_in_trouble(self._feed.renew))
                keep = tasks.create_task(self._unless_in_trouble(self._budget.keep))
                writer = tasks.create_task(self._writer.run())
                tasks.create_task(self._offer())
                workers = [tasks.create_task(self._work()) for _ in range(self._limits.concurrency)]
                await asyncio.gather(*workers)
                beat.cancel()
                keep.cancel()
                writer.cancel()
            await self._writer.finish()
        except BaseExceptionGroup as group:
            self._writer.store_now()
            raise _first(group) from group
        except asyncio.CancelledError:  # calls under way are dropped; replies received are kept
            self._writer.store_now()
            raise
        finally:
            self.tally.uncertain_cost_usd = self._account.unsettled_usd()
            self._database.give_room_back()
            with contextlib.suppress(DatabaseError):  # claims of a process that ended do not count
                self._database.release(None, self._owner)
                if self._purse is not None:
                    self._purse.end(self._budget.spent_usd)
        if self._writer.trouble is not None:
            raise self._trouble(self._writer.trouble)
        if self._feed.n_passes > 1 or self._plan.depth:  # more came to be seen meanwhile
            await asyncio.to_thread(self._count_again)
        self._on_progress(self.tally)
        return self.tally

    # Tasks ----------------------------------------------------------------------------------

    async def _offer(self) -> None:
        """Queue every call that is still to be made, then one end marker for each worker."""
        await self._unless_in_trouble(self._put_all)
        for _ in range(self._limits.concurrency):
            await self._ready.put(None)

    async def _put_all(self) -> None:
        async with aclosing(self._feed.calls(self._given_up)) as calls:
            async for call in calls:
                if self.tally.stopped:
                    break
                await self._ready.put(call)

    async def _unless_in_trouble(self, step: Callable[[], Awaitable[None]]) -> None:
        """Run a step; where the database fails, stop without cancelling the calls under way."""
        try:
            await step()
        except DatabaseError as exc:
            self._met(exc)

    def _met(self, exc: DatabaseError) -> None:
        self._writer.trouble = self._writer.trouble or exc
        self._cannot_store(exc)

    async def _work(self) -> None:
        """Make calls, one after another, each when the one before is stored."""
        while (call := await self._ready.get()) is not None:
            if self.tally.stopped or self._given_up(call.member):
                await self._writer.keep(Unmade(call.key))
                continue
            most_usd = self._most_usd(call)
            if not await self._reserve(most_usd):
                continue
            if await self._still_holds(call) and self._may_start():
                outcome = await self._make(call, most_usd)
            else:
                outcome = Unmade(call.key)
                self._budget.settle(most_usd, 0.0)
            await self._writer.keep(outcome)

    async def _reserve(self, usd: float) -> bool:
        """Reserve an amount of the cap; where it does not fit, stop."""
        try:
            if await self._budget.reserve(usd):
                return True
        except DatabaseError as exc:
            self._met(exc)
            return False
        share = self._budget.share
        others = ""
        if share is not None and share.others_usd:
            others = f" beside ${share.others_usd:.4f} of others with the same cap"
        cap = f"--max-usd {self._limits.max_usd:g}"
        self.stop(f"{cap}: the next call might not fit any more{others}")
        return False

    async def _still_holds(self, call: Call) -> bool:
        try:
            return await self._feed.still_holds(call.key)
        except DatabaseError as exc:
            self._met(exc)
            return False

    async def _make(self, call: Call, most_usd: float) -> Outcome:
        """Make a call for which so much is reserved, and settle that."""
        member = self._plan.members[call.member]
        self.tally.n_attempted += 1
        begun = time.monotonic()
        try:
            reply = await member.ask(self._plan.question(call), sample=call.sample)
        except MemberError as exc:
            self._budget.settle(most_usd, 0.0)
            self._note(call.member, begun, exc)
            if exc.failure is Failure.CIRCUIT_OPEN:  # the call was not sent
                self.tally.n_attempted -= 1
                return Unmade(call.key)
            return self._error(call, exc, time.monotonic() - begun)
        self._giving_up.answered(call.member)
        # Before grading, which may fail: it is paid all the same.
        self._budget.settle(most_usd, self._account.paid(reply))
        return self._graded(call, reply)

    def _count_again(self) -> None:
        """Count what others have answered, and readers of what came in this run."""
        tally, found = self.tally, counted(self._plan, self._database)
        tally.n_stored = max(found.n_stored - tally.n_answered, 0)
        if self._plan.depth:
            tally.n_skipped = max(found.n_failed - tally.failures.total(), 0)
            if tally.stopped is None:
                tally.n_unread = found.n_unread

    # Parts ----------------------------------------------------------------------------------

    def _most_usd(self, call: Call) -> float:
        """Amount reserved for a call; zero without a limit."""
        return (self._plan.most_usd(call) or 0.0) if self._limits.max_usd is not None else 0.0

    def _may_start(self) -> bool:
        limits, tally = self._limits, self.tally
        if limits.max_calls is not None and tally.n_attempted >= limits.max_calls:
            self.stop(f"--max-calls {limits.max_calls} reached")
        return tally.stopped is None

    def _given_up(self, member: int) -> bool:
        return self._plan.members[member].name in self.tally.dropped

    def _note(self, member: int, begun: float, exc: MemberError) -> None:
        """Stop asking a member that keeps failing: the rest of its calls would fail, too."""
        asked = self._plan.members[member]
        reason = self._giving_up.reason(member, asked, begun, exc)
        if reason is not None:
            self.tally.dropped.setdefault(asked.name, reason)

    def _graded(self, call: Call, reply: Response) -> StoredResponse:
        query, member = self._plan.queries[call.query], self._plan.members[call.member]
        showing = self._plan.showing(call)
        grade = self._grader.grade(query, member.settings, reply, showing)
        self.tally.n_bounded += grade.n_bounds > 0
        seen = seen_reply(
            reply,
            query["prompt"],
            query["choices"] or (),
            grade.answer,
            kind=self._grader.kind_of(query),
            showings=() if showing is None else (showing,),
        )
        return stored_reply(
            reply,
            grade,
            query_key=call.query_key,
            query_id=query["query_id"],
            member=member.name,
            settings_key=self._plan.settings_keys[call.member],
            sample=call.sample,
            signals=member.own.read(seen),
            shown=None if showing is None else showing.names,
            shown_key=None if showing is None else shown_key_of(showing.contents),
            verdict=grade.verdict,
        )

    def _error(self, call: Call, exc: MemberError, elapsed_s: float) -> StoredError:
        return StoredError(
            key=call.key,
            member=self._plan.members[call.member].name,
            failure=exc.failure.value,
            status=exc.status,
            message=f"{_bounded(str(exc))} (after {elapsed_s:.1f} s)",
        )

    def _stored(self, batch: Sequence[Outcome]) -> None:
        self._feed.ended([item.key for item in batch])
        for item in batch:
            if isinstance(item, StoredResponse):
                self.tally.n_answered += 1
                self.tally.cost_usd += item.cost_usd or 0.0
                priced = item.member not in self._unpriced
                self.tally.n_unpriced += item.cost_usd is None and not priced
            elif isinstance(item, StoredError):
                self.tally.failed(item)
        self.tally.uncertain_cost_usd = self._account.unsettled_usd()
        self._on_progress(self.tally)

    def _cannot_store(self, exc: DatabaseError) -> None:
        self.stop(f"the database cannot be written to: {exc}", now=True)

    def _trouble(self, exc: DatabaseError) -> DatabaseError:
        """The error to raise where replies could not be stored; counts those that are lost."""
        lost = [item for item in self._writer.left if isinstance(item, StoredResponse)]
        self.tally.n_lost = len(lost)
        self.tally.lost_usd = sum(item.cost_usd or 0.0 for item in lost)
        if not lost:
            return DatabaseError(
                f"{exc}. No further call was made; every reply that came is stored"
            )
        n_unpriced = sum(item.cost_usd is None for item in lost)
        price = f"${self.tally.lost_usd:.4f}" + (f" and {n_unpriced} unpriced" * bool(n_unpriced))
        return DatabaseError(
            f"{exc}. No further call was made; {len(lost)} replies that came ({price}) could not "
            "be stored, and will be asked for again"
        )


def _bounded(message: str) -> str:
    """Truncate a server's message."""
    return message if len(message) <= _MOST_MESSAGE else f"{message[:_MOST_MESSAGE]} ..."


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The first single exception of a group."""
    first = group.exceptions[0]
    return _first(first) if isinstance(first, BaseExceptionGroup) else first
