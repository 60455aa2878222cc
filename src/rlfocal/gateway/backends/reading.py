"""A member asked by its name that reads others: those are asked first, in the client's words, too.

All of that is one request: its calls are counted, paid and told, under one deadline. What a judge
is asked for is the reply that it names.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace

from rlfocal.deliberation.trace import CallRecord, Round, named_by
from rlfocal.errors import Failure, MemberError, NobodyAnswered
from rlfocal.gateway.backends.backend import OnText
from rlfocal.gateway.backends.member import MemberBackend, given_on
from rlfocal.gateway.errors import ApiError, from_member
from rlfocal.gateway.wire.request import ChatRequest
from rlfocal.live import Answer
from rlfocal.live.calls import in_one_line
from rlfocal.live.reading import speaks
from rlfocal.live.replies import record_of
from rlfocal.live.turns import longest_shown
from rlfocal.pool.asking.question import Said
from rlfocal.pool.building import LiveMember
from rlfocal.pool.fan_out import Slot, ask_all
from rlfocal.pool.reading.checks import readers_of
from rlfocal.pool.reading.showing import Showing, showing_of
from rlfocal.pool.reading.verdicts import verdict_of
from rlfocal.pool.types import Endpoint, Request, Response
from rlfocal.pool.wrappers.as_own import AsOwn
from rlfocal.pool.wrappers.text_relay import TextRelay
from rlfocal.pool.wrappers.unsettled import billed
from rlfocal.readers import JUDGING, Reads
from rlfocal.records.answers.replies.cleaning import without_thinking

__all__ = ["ReadingBackend", "stages_before"]

Stages = Sequence[Sequence[LiveMember]]


def stages_before(members: Sequence[LiveMember]) -> dict[str, Stages]:
    """Member that reads others → whom to ask before it, those of a stage at once.

    Args:
        members: of a whole pool.
    """
    by_name = {member.name: member for member in members}
    reads = Reads.of(list(by_name), readers_of([member.settings for member in members]))
    found: dict[str, Stages] = {}
    for n, name in enumerate(by_name) if reads is not None else ():
        assert reads is not None
        behind = reads.closure[n]
        depths = sorted(set(reads.stage[behind].tolist()))
        stages = [
            [members[m] for m in behind.nonzero()[0].tolist() if reads.stage[m] == depth]
            for depth in depths
        ]
        if stages:
            found[name] = stages
    return found


class ReadingBackend(MemberBackend):
    """One member that reads others.

    Args:
        member: who is asked.
        chat: the request.
        before: whom to ask first, see `stages_before`.

    Raises:
        ApiError: there are images, and it takes none.
    """

    def __init__(self, member: LiveMember, chat: ChatRequest, before: Stages) -> None:
        super().__init__(member, chat)
        self._before = before
        everybody = [*(one for stage in before for one in stage), member]
        self.trace.members = tuple(one.name for one in everybody)
        self.trace.readers = readers_of([one.settings for one in everybody])
        alone = replace(chat, body=chat.body.model_copy(update={"n": None}))
        self._others = dict[str, MemberBackend]()
        for one in everybody[:-1]:
            if not chat.question.has_images or one.takes_images:
                self._others[one.name] = MemberBackend(one, alone)
        for backend in self._others.values():
            self.ignored = tuple(dict.fromkeys([*self.ignored, *backend.ignored]))
        self._replies = dict[str, Response]()
        self._failures = dict[str, MemberError]()

    def most_usd(self, shown: Mapping[str, Said] | None = None) -> float | None:
        """Upper bound of asking it, and all whom it waits for; as `MemberBackend.most_usd`."""
        most = [super().most_usd(longest_shown(self._member))]
        for stage in self._before:
            for one in stage:
                if one.name in self._others:
                    most.append(self._others[one.name].most_usd(longest_shown(one)))
        return None if None in most else sum(usd for usd in most if usd is not None)

    async def run(
        self,
        deadline_s: float,
        max_usd: float,
        on_text: OnText | None,
        on_thought: OnText | None = None,
    ) -> Answer:
        """Ask in stages; nobody, where the member itself would not be asked."""
        if self._member.circuit_is_open:
            return await super().run(deadline_s, max_usd, on_text, on_thought)
        clock = asyncio.get_running_loop().time
        ends = clock() + deadline_s
        most = self.most_usd() if max_usd < math.inf else 0.0
        if most is None or most > max_usd:
            raise ApiError(
                400, "max_usd_too_low",
                f"asking '{self._member.name}' and whom it reads could cost more than {max_usd:g} "
                "dollars, or a price is not known; raise max_usd or lower max_tokens",
                param="rlfocal.max_usd",
            )  # fmt: skip
        with billed() as bill:
            try:
                for k, stage in enumerate(self._before):
                    # Those who read what comes now are left as much time.
                    await self._ask(stage, (ends - clock()) / (len(self._before) + 1 - k))
                return await self._finish(ends - clock(), on_text, on_thought)
            finally:
                self.trace.settle(bill.paid_usd, bill.unsettled_usd)

    async def _ask(self, stage: Sequence[LiveMember], left_s: float) -> None:
        """Ask some of those whom it waits for."""
        requests = dict[str, list[Request]]()
        for one in stage:
            if one.name not in self._others:
                self.trace.circuit_open.append(one.name)
            elif one.settings.reads and self._showing(one, 0).is_empty:
                self.trace.nothing_to_read.append(one.name)
            else:
                requests[one.name] = self._others[one.name].requests(self._said(one))
        asked = [one for one in stage if one.name in requests]
        slots = await self._sent_to(asked, requests, left_s)
        records = []
        for one in asked:
            slot = slots[one.name][0]
            records.append(self._record(one, slot, 0))
            if isinstance(slot, Response):
                self._replies[one.name] = slot
            else:
                self._failures.setdefault(one.name, slot)
        self._note(records)

    async def _finish(
        self, left_s: float, on_text: OnText | None, on_thought: OnText | None
    ) -> Answer:
        """Ask the member itself."""
        member = self._member
        if self._showing(member, 0).is_empty:
            self.trace.nothing_to_read.append(member.name)
            raise next(iter(self._failures.values()), _nothing(member))
        requests = self.requests(self._said(member))
        # Of several replies told at once nobody could tell which is which, and a judge's is not
        # the one that is given.
        relay = None
        if on_text is not None and len(requests) == 1 and speaks(member):
            relay = TextRelay(on_text)
        requests = given_on(requests, relay, on_thought)
        # What others' servers did not take was left out of their calls, not of this one.
        with self._telling_what_is_left_out():
            slots = (await self._sent_to([member], {member.name: requests}, left_s))[member.name]
        self._note([self._record(member, slot, k) for k, slot in enumerate(slots)])
        answers = []
        for k, slot in enumerate(slots):
            if isinstance(slot, MemberError):  # fewer than are wanted are no reply
                raise slot
            streamed = relay is not None and relay.started
            answers.append(self.answer_of(*self._given(member, slot, k), streamed=streamed))
        first, *others = answers
        return replace(first, others=tuple(others)) if others else first

    async def _sent_to(
        self,
        members: Sequence[LiveMember],
        requests: Mapping[str, Sequence[Request]],
        left_s: float,
    ) -> dict[str, list[Slot]]:
        """Member → what became of its calls."""
        calls, allowed = dict[str, tuple[Endpoint, Request]](), dict[str, float]()
        for one in members:
            for k, request in enumerate(requests[one.name]):
                calls[f"{k} {one.name}"] = AsOwn(one.endpoint, one.thoughts), request
                allowed[f"{k} {one.name}"] = one.timeout_s
        if not calls:
            return {}
        started = time.perf_counter()
        slots = await ask_all(calls, deadline_s=max(left_s, 0.0), member_timeout_s=allowed)
        self.trace.members_s += time.perf_counter() - started
        return {
            one.name: [slots[f"{k} {one.name}"] for k in range(len(requests[one.name]))]
            for one in members
        }

    def _note(self, records: Sequence[CallRecord]) -> None:
        if records:
            spent = sum([call.cost for call in (*self.trace.calls, *records)])
            self.trace.rounds.append(Round(tuple(records), {}, spent))

    # Who reads whom ----------------------------------------------------------------------------

    def _said(self, one: LiveMember) -> dict[str, Said]:
        found = {}
        for name in [name for name in one.settings.inputs if name in self._replies]:
            reply = self._replies[name]
            found[name] = Said(reply.written, None)
        return found

    def _showing(self, one: LiveMember, sample: int) -> Showing:
        question = replace(self._chat.question, shown=self._said(one))
        return showing_of(one.bare.settings, question, sample)

    def _verdict(self, one: LiveMember, reply: Response, sample: int) -> str | None:
        names = self._showing(one, sample).names
        text = without_thinking(reply.text) or ""
        return named_by(names, verdict_of(one.settings.reading, text, len(names)))

    def _given(self, one: LiveMember, reply: Response, sample: int = 0) -> tuple[str, Response]:
        """The reply that counts for a member's, and whose it is: a judge's is the one it names."""
        if not one.settings.reads or one.settings.reading not in JUDGING:
            return one.name, reply
        name = self._verdict(one, reply, sample)
        if not name:
            return one.name, reply
        others = [other for stage in self._before for other in stage if other.name == name]
        return self._given(others[0], self._replies[name])

    def _record(self, one: LiveMember, slot: Slot, sample: int) -> CallRecord:
        if isinstance(slot, MemberError):
            call = record_of(one.name, [slot], cost=1.0)
        else:
            _, reply = self._given(one, slot, sample)
            call = record_of(one.name, [slot], cost=1.0, answer=in_one_line(reply), support=1.0)
        if not one.settings.reads:
            return call
        showing, own = self._showing(one, sample), one.settings.own
        read = (*showing.names, *([own] if own and showing.own is not None else []))
        if one.settings.reading in JUDGING and isinstance(slot, Response):
            call = replace(call, verdict=(self._verdict(one, slot, sample),))
        return replace(call, read=(read,))

    def refusal(self, error: NobodyAnswered | MemberError) -> ApiError:
        """What became of its call, or of those of the members that it reads."""
        failed = [name for name, one in self._failures.items() if one is error]
        if failed:
            assert isinstance(error, MemberError)
            return from_member(failed[0], error)
        return super().refusal(error)


def _nothing(member: LiveMember) -> MemberError:
    return MemberError(
        f"{member.name}: not asked: nobody whom it reads has replied", failure=Failure.BAD_REQUEST
    )
