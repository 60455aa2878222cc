"""Make the calls of a plan: so many at once, each reply stored the moment it is there.

One task feeds calls that nobody else has claimed, workers ask, one task writes. A reply that came
back is in the database before anything else is done with it, so whatever ends the process loses at
most the calls under way.
"""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from rlfocal.collect.plan import Call, Plan, blocks
from rlfocal.errors import Failure, MemberError
from rlfocal.grading import Grader
from rlfocal.pool.types import Response
from rlfocal.records.database import Database, StoredError, StoredResponse

__all__ = ["Collector", "Limits", "Tally"]

_LEASE_S = 60.0
"""How long a claim on a call holds without being renewed."""
_POLL_S = 0.5
"""Between two looks at calls that another collector has claimed."""
_HOPELESS = {Failure.UNAUTHORISED: 3, Failure.UNKNOWN_MODEL: 3}
"""After so many failures of a kind in a row a member is given up for this run."""
_MOST_IN_A_ROW = 10
"""The same for failures of any kind."""


@dataclass(frozen=True)
class Limits:
    """When to stop, and how fast to go."""

    concurrency: int = 64
    """Calls under way at once, over all members."""
    max_calls: int | None = None
    max_usd: float | None = None
    """Never passed: a call is made only if its highest price still fits."""


@dataclass
class Tally:
    """How a collection stands."""

    n_calls: int
    """Calls of the plan."""
    n_stored: int = 0
    """Of those, replies that were there before, or came from another collector."""
    n_skipped: int = 0
    """Failed in an earlier run and not asked for again."""
    n_answered: int = 0
    failures: Counter[str] = field(default_factory=Counter)
    """By kind."""
    dropped: dict[str, str] = field(default_factory=dict)
    """Members given up, and why."""
    n_attempted: int = 0
    cost_usd: float = 0.0
    n_unpriced: int = 0
    stopped: str | None = None
    """Why it ended before all was done; None where it did not."""

    @property
    def complete(self) -> bool:
        """True when every reply of the plan is stored."""
        return self.n_stored + self.n_answered == self.n_calls

    @property
    def n_settled(self) -> int:
        """Calls that need no further work in this run."""
        return self.n_stored + self.n_skipped + self.n_answered + self.failures.total()


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
        self._limits, self._retry_failed, self._lease_s = limits, retry_failed, lease_s
        self._tell = on_progress or (lambda _: None)
        self._owner = f"{socket.gethostname()}:{os.getpid()}:{time.time_ns()}"
        self._ready: asyncio.Queue[Call | None] = asyncio.Queue(2 * limits.concurrency)
        self._done: asyncio.Queue[StoredResponse | StoredError | None] = asyncio.Queue()
        self._held: set[str] = set()
        self._paid_usd = self._reserved_usd = 0.0
        self._in_a_row: dict[int, list[Failure]] = {}
        self.tally = Tally(plan.n_calls)

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
                beat = tasks.create_task(self._renew())
                writer = tasks.create_task(self._write())
                tasks.create_task(self._feed())
                workers = [tasks.create_task(self._work()) for _ in range(self._limits.concurrency)]
                await asyncio.gather(*workers)
                await self._done.put(None)
                await writer
                beat.cancel()
        except BaseExceptionGroup as group:
            raise _first(group) from group
        finally:
            self._database.release(list(self._held), self._owner)
        return self.tally

    # Who does what --------------------------------------------------------------------------

    async def _feed(self) -> None:
        """Put every call that is still to be made where workers find it, then one end for each."""
        failed = frozenset[str]()
        if not self._retry_failed:
            failed = frozenset(await asyncio.to_thread(self._database.failed_keys))
        elsewhere: list[Call] = []
        for block in blocks(self._plan.calls()):
            if self.tally.stopped:
                break
            open_calls = [call for call in block if call.key not in failed]
            self.tally.n_skipped += len(block) - len(open_calls)
            elsewhere += await self._offer(open_calls)
        while elsewhere and not self.tally.stopped:
            await asyncio.sleep(_POLL_S)
            waiting, elsewhere = elsewhere, []
            for block in blocks(iter(waiting)):
                elsewhere += await self._offer(block)
        for _ in range(self._limits.concurrency):
            await self._ready.put(None)

    async def _offer(self, calls: list[Call]) -> list[Call]:
        """Claim calls and hand them to the workers; returns those that another collector makes."""
        keys = [call.key for call in calls]
        stored = await asyncio.to_thread(self._database.answered, keys)
        self.tally.n_stored += len(stored)
        wanted = [key for key in keys if key not in stored]
        won = await asyncio.to_thread(self._database.claim, wanted, self._owner, self._lease_s)
        self._held |= won
        elsewhere = []
        for call in calls:
            if call.key in won:
                await self._ready.put(call)
            elif call.key not in stored:
                elsewhere.append(call)
        return elsewhere

    async def _work(self) -> None:
        """Make calls, one after another."""
        while (call := await self._ready.get()) is not None:
            member = self._plan.members[call.member]
            if self.tally.stopped or member.name in self.tally.dropped:
                continue
            price = self._most_usd(call)
            if not self._within_limits(price):
                continue
            self.tally.n_attempted += 1
            self._reserved_usd += price
            started = time.monotonic()
            try:
                reply = await member.ask(self._plan.question(call), sample=call.sample)
                self._paid_usd += reply.cost_usd or 0.0
                self._in_a_row.pop(call.member, None)
                await self._done.put(self._graded(call, reply))
            except MemberError as exc:
                self._note(call.member, exc)
                await self._done.put(self._error(call, exc, time.monotonic() - started))
            finally:
                self._reserved_usd -= price

    async def _write(self) -> None:
        """Store what came back: all that is there, at once."""
        ended = False
        while not ended:
            batch = [await self._done.get()]
            while not self._done.empty():
                batch.append(self._done.get_nowait())
            ended = None in batch
            replies = [item for item in batch if isinstance(item, StoredResponse)]
            errors = [item for item in batch if isinstance(item, StoredError)]
            if replies or errors:
                await asyncio.to_thread(self._store, replies, errors)
                self._count(replies, errors)

    def _store(self, replies: list[StoredResponse], errors: list[StoredError]) -> None:
        if replies:
            self._database.add_responses(replies)
        if errors:
            self._database.add_errors(errors)
            self._database.release([error.key for error in errors], self._owner)

    async def _renew(self) -> None:
        """Keep what is claimed claimed."""
        while True:
            await asyncio.sleep(self._lease_s / 3)
            held = list(self._held)
            await asyncio.to_thread(self._database.claim, held, self._owner, self._lease_s)

    # Parts ----------------------------------------------------------------------------------

    def _most_usd(self, call: Call) -> float:
        """What is set aside for a call; nothing where nobody has set a limit."""
        return (self._plan.most_usd(call) or 0.0) if self._limits.max_usd is not None else 0.0

    def _within_limits(self, price: float) -> bool:
        limits, tally = self._limits, self.tally
        if limits.max_calls is not None and tally.n_attempted >= limits.max_calls:
            self.stop(f"--max-calls {limits.max_calls} reached")
        most = self._paid_usd + self._reserved_usd + price
        if limits.max_usd is not None and most > limits.max_usd + 1e-12:
            self.stop(f"--max-usd {limits.max_usd:g}: the next call might not fit any more")
        return tally.stopped is None

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
            cost_usd=reply.cost_usd,
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

    def _count(self, replies: Iterable[StoredResponse], errors: Iterable[StoredError]) -> None:
        for reply in replies:
            self.tally.n_answered += 1
            self.tally.cost_usd += reply.cost_usd or 0.0
            self.tally.n_unpriced += reply.cost_usd is None
            self._held.discard(reply.key)
        for error in errors:
            self.tally.failures[error.failure] += 1
            self._held.discard(error.key)
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
