"""A pool that is asked nothing twice: each call is looked up, and made only if it is not there.

So a second run makes no call and has the same results. A call that is made is stored the moment its
reply is there, a failed one as a failure, which is not tried again unless somebody wants it to be.
Knows calls and money, and nothing of conversations.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Self

from rlfocal.collect.budget import Account, Budget
from rlfocal.collect.claims import new_owner, release_dead
from rlfocal.collect.giving_up import GivingUp
from rlfocal.collect.outcomes import stored_reply
from rlfocal.collect.writing import Outcome, Unmade, Writer
from rlfocal.conversations.calls import Call, Heard, Put, Query
from rlfocal.errors import ConfigError, DatabaseError, Failure, MemberError, RlfocalError, nearest
from rlfocal.grading import Grade, Grader, seen_reply
from rlfocal.pool.building import LiveMember
from rlfocal.pool.types import Response
from rlfocal.records.database import Database, StoredError, StoredResponse, settings_key_of

__all__ = ["Ended", "RecordingPool", "Spending"]

_CHARS_PER_TOKEN = 4
_LEASE_S = 660.0
"""Beyond a call's own time, waits for rate limits included: so long nobody else makes a call that
is being made. Claims of processes of this machine end with them."""
_POLL_S = 0.5
_MOST_MESSAGE = 1000


class Ended(RlfocalError):
    """A call was to be made, and no more may be; what came before is stored."""


@dataclass
class Spending:
    """What calls came to, or would come to, so far."""

    n_stored: int = 0
    """Calls whose outcome was there."""
    n_made: int = 0
    """Calls that were made; of an estimate, those that would be."""
    n_failed: int = 0
    cost_usd: float = 0.0
    """Of those made, by what was counted; of an estimate at four characters a token and with
    replies as long as they may be."""
    most_usd: float = 0.0
    """Of an estimate: every byte a token, every attempt billed. Else what may be billed beyond
    `cost_usd`, at most."""
    n_tokens: int = 0
    """Of an estimate: of prompts and replies."""
    unpriced: set[str] = field(default_factory=set)
    """Of an estimate: members that would be asked at a price that nobody knows."""
    given_up: dict[str, str] = field(default_factory=dict)
    """Members that are not asked any more, and why."""
    ended: str | None = None
    """Why no more calls were made; None where none was refused."""


class RecordingPool:
    """Members whose replies are looked up before they are asked for; an asynchronous context.

    Args:
        members: those that may be asked; the pool that they are of is open.
        database: where replies are looked up and stored; None for an estimate of what is not there.
        grader: finds answers in replies.
        concurrency: calls under way at once.
        max_usd: hard cap on what this run's calls may cost; None for none.
        max_calls: the same for their number.
        retry_failed: make calls again that failed in an earlier run.
        estimating: ask nobody: suppose a reply as long as may be for each call that is not there.
        on_call: called after each call that was made.
    """

    def __init__(
        self,
        members: Sequence[LiveMember],
        database: Database | None,
        grader: Grader,
        *,
        concurrency: int = 32,
        max_usd: float | None = None,
        max_calls: int | None = None,
        retry_failed: bool = False,
        estimating: bool = False,
        on_call: Callable[[Spending], None] | None = None,
    ) -> None:
        if database is None and not estimating:
            raise ValueError("replies need a database to be stored in")
        self.members = {member.name: member for member in members}
        self.spending = Spending()
        self._keys = {member.name: settings_key_of(member.identity) for member in members}
        self._database, self._grader, self._on_call = database, grader, on_call
        self._max_usd, self._max_calls, self._retry_failed = max_usd, max_calls, retry_failed
        self._estimating = estimating
        self._owner = new_owner()
        self._slots = asyncio.Semaphore(concurrency)
        self._under_way: dict[str, asyncio.Task[Heard]] = {}
        self._account = Account(members)
        self._budget = Budget(max_usd, self._account.unsettled_usd)
        self._giving_up, self._failed_since = GivingUp(), 0
        self._writer: Writer | None = None
        self._writing: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        """Begin to store what comes."""
        if self._database is not None and not self._estimating:
            if self._retry_failed:
                self._failed_since = self._database.last_failure()
            release_dead(self._database)
            for member in self.members.values():
                self._database.add_member(member.name, member.identity)
            self._writer = Writer(
                self._database, self._owner, on_stored=lambda _: None, on_trouble=self._in_trouble
            )
            self._writing = asyncio.create_task(self._writer.run())
        return self

    async def __aexit__(self, *exc: object) -> None:
        """End what is under way, and store all that came.

        Raises:
            DatabaseError: something could not be stored.
        """
        for task in self._under_way.values():
            task.cancel()
        await asyncio.gather(*self._under_way.values(), return_exceptions=True)
        self.spending.most_usd += 0.0 if self._estimating else self._account.unsettled_usd()
        if self._writer is None or self._writing is None or self._database is None:
            return
        self._writing.cancel()
        await asyncio.gather(self._writing, return_exceptions=True)
        self._writer.store_now()
        with contextlib.suppress(DatabaseError):
            self._database.release(None, self._owner)
        if self._writer.left and self._writer.trouble is not None:
            raise self._writer.trouble

    async def ask(self, call: Call, query: Query) -> Heard:
        """The outcome of a call: what is stored, or what comes now.

        Calls that are alike are made once, whoever asks.

        Raises:
            ConfigError: there is no such member.
            Ended: it is not there, and no more calls may be made.
        """
        put = self.put(call)
        found = self._under_way.get(put.key)
        if found is None:
            found = asyncio.create_task(self._looked_up(put, query))
            self._under_way[put.key] = found
        return await asyncio.shield(found)

    def put(self, call: Call) -> Put:
        """A call as its member gets it."""
        if call.member not in self.members:
            raise ConfigError(
                f"no member '{call.member}' is there; {nearest(call.member, self.members)}"
            )
        return Put.of(call, self.members[call.member], self._keys[call.member])

    def grade(self, query: Query, call: Call, text: str, finish: str | None) -> Grade:
        """The answer of a reply, and its score where the query has a label."""
        settings = self.put(call).settings.model_copy(update={"answers": "reply"})
        cut = finish == "length"
        return self._grader.grade(query.row, settings, Response(text, "length" if cut else "stop"))

    # One call ---------------------------------------------------------------------------------

    async def _looked_up(self, put: Put, query: Query) -> Heard:
        while True:
            if (stored := await self._stored(put)) is not None:
                self.spending.n_stored += 1
                return stored
            if self._estimating:
                return self._supposed(put)
            async with self._slots:
                if await self._is_ours(put):
                    return await self._made(put, query)
            await asyncio.sleep(_POLL_S)  # another process is making it

    async def _stored(self, put: Put) -> Heard | None:
        if self._database is None:
            return None
        found = await asyncio.to_thread(self._database.replies, [put.key])
        if put.key in found:
            return _heard(found[put.key], put)
        since = self._failed_since
        if self._estimating and self._retry_failed:
            return None
        failed = await asyncio.to_thread(self._database.failed_among, [put.key], since)
        return Heard(None) if put.key in failed else None

    async def _is_ours(self, put: Put) -> bool:
        assert self._database is not None
        lease_s = put.live.timeout_s + _LEASE_S
        return bool(
            await asyncio.to_thread(self._database.claim, [put.key], self._owner, lease_s)
        )  # fmt: skip

    async def _made(self, put: Put, query: Query) -> Heard:
        """Make a call, within the limits, and store what becomes of it."""
        assert self._writer is not None
        if put.live.name in self.spending.given_up:
            await self._writer.keep(Unmade(put.key))
            return Heard(None)
        most_usd = 0.0 if self._max_usd is None else put.most_usd
        if not await self._may_start(most_usd):
            await self._writer.keep(Unmade(put.key))
            raise Ended(str(self.spending.ended))
        outcome: Outcome = Unmade(put.key)
        heard, paid_usd = Heard(None), 0.0
        self.spending.n_made += 1
        try:
            outcome, heard, paid_usd = await self._sent(put, query)
        finally:
            self._budget.settle(most_usd, paid_usd)
        await self._writer.keep(outcome)
        if self._on_call is not None:
            self._on_call(self.spending)
        return heard

    async def _may_start(self, most_usd: float) -> bool:
        """Reserve what a call may cost; False, with the reason kept, where it may not be made."""
        if self._has_ended():
            return False
        if not await self._budget.reserve(most_usd):
            self._end(f"--max-usd {self._max_usd:g}: the next call might not fit any more")
            return False
        if self._max_calls is not None and self.spending.n_made >= self._max_calls:
            self._end(f"--max-calls {self._max_calls} reached")
        if self._has_ended():
            self._budget.settle(most_usd, 0.0)
        return not self._has_ended()

    def _has_ended(self) -> bool:
        return self.spending.ended is not None

    async def _sent(self, put: Put, query: Query) -> tuple[Outcome, Heard, float]:
        """What becomes of a request: what to store, what was heard, and what is paid."""
        number, begun = list(self.members).index(put.live.name), time.monotonic()
        try:
            reply = await put.live.endpoint.send(put.request, timeout_s=put.live.timeout_s)
        except MemberError as exc:
            self._note(number, put, begun, exc)
            if exc.failure is Failure.CIRCUIT_OPEN:
                self.spending.n_made -= 1
                return Unmade(put.key), Heard(None), 0.0
            self.spending.n_failed += 1
            return self._error(put, exc), Heard(None), 0.0
        self._giving_up.answered(number)
        paid_usd = self._account.paid(reply)
        self.spending.cost_usd += paid_usd
        grade = self._grader.grade(
            query.row, put.settings.model_copy(update={"answers": "reply"}), reply
        )
        stored = stored_reply(
            reply,
            grade,
            query_key=put.query_key,
            query_id=str(query.row["query_id"]),
            member=put.live.name,
            settings_key=put.settings_key,
            sample=put.sample,
            signals=self._signals(put, query, reply, grade) if put.alone else None,
        )
        return stored, _heard(stored, put), paid_usd

    def _supposed(self, put: Put) -> Heard:
        """A reply as long as it may be, and what it would cost."""
        spending, request = self.spending, put.request
        n_prompt = len(request.text) // _CHARS_PER_TOKEN + 1
        n_tokens = n_prompt + request.max_tokens
        price = put.live.price
        cost_usd = None if price is None else price.of(n_prompt, request.max_tokens)
        if price is None:
            spending.unpriced.add(put.live.name)
        spending.n_made += 1
        spending.n_tokens += n_tokens
        spending.cost_usd += cost_usd or 0.0
        spending.most_usd += put.most_usd
        text = f"{spending.n_made} ".ljust(_CHARS_PER_TOKEN * request.max_tokens, "x")
        return Heard(text, "stop", n_tokens, cost_usd, supposed=True)

    # Parts ------------------------------------------------------------------------------------

    def _note(self, number: int, put: Put, begun: float, exc: MemberError) -> None:
        """Stop asking a member that keeps failing: the rest of its calls would fail, too."""
        reason = self._giving_up.reason(number, put.live, begun, exc)
        if reason is not None:
            self.spending.given_up.setdefault(put.live.name, reason)

    def _signals(
        self, put: Put, query: Query, reply: Response, grade: Grade
    ) -> Mapping[str, float]:
        row = query.row
        kind = self._grader.kind_of(row)
        seen = seen_reply(reply, row["prompt"], row["choices"] or (), grade.answer, kind=kind)
        return put.live.own.read(seen)

    def _error(self, put: Put, exc: MemberError) -> StoredError:
        return StoredError(
            key=put.key,
            member=put.live.name,
            failure=exc.failure.value,
            status=exc.status,
            message=str(exc)[:_MOST_MESSAGE],
        )

    def _end(self, reason: str) -> None:
        self.spending.ended = self.spending.ended or reason

    def _in_trouble(self, exc: DatabaseError) -> None:
        self._end(f"the database cannot be written to: {exc}")


def _heard(stored: StoredResponse, put: Put) -> Heard:
    """A stored reply; where nobody knows its cost, what it may have been at most."""
    counts = stored.n_prompt_tokens, stored.n_completion_tokens
    n_tokens = None if None in counts else sum(count or 0 for count in counts)
    cost_usd = stored.cost_usd
    if cost_usd is None and put.live.price is not None:
        cost_usd = put.live.price.most(put.request)
    text = stored.text or None
    return Heard(text, stored.finish, n_tokens, cost_usd, stored.latency_s or 0.0)
