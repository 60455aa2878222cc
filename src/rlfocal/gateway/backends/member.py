"""One member, asked by its name with the client's messages as they are."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from rlfocal.deliberation.trace import Round, Trace
from rlfocal.errors import MemberError, NobodyAnswered
from rlfocal.gateway.backends.backend import OnText, no_images
from rlfocal.gateway.errors import ApiError, from_member
from rlfocal.gateway.wire.body import SAMPLING
from rlfocal.gateway.wire.fields import is_within_price
from rlfocal.gateway.wire.request import ChatRequest
from rlfocal.live import FREE_WORDS, Answer
from rlfocal.live.calls import in_one_line
from rlfocal.live.replies import record_of
from rlfocal.pool.asking.passed_back import marked
from rlfocal.pool.asking.question import Said
from rlfocal.pool.building import LiveMember
from rlfocal.pool.fan_out import Slot
from rlfocal.pool.types import Request, Response
from rlfocal.pool.wrappers.text_relay import TextRelay
from rlfocal.pool.wrappers.unsettled import billed

__all__ = ["MemberBackend"]

_PLAIN_TIERS = ("auto", "default", "flex", "batch", "standard_only")
"""Of service, which cost what a model's price says or less."""


class MemberBackend:
    """One member, asked with the client's messages as they are.

    Args:
        member: who is asked.
        chat: the request.

    Raises:
        ApiError: there are images, and it takes none.
    """

    def __init__(self, member: LiveMember, chat: ChatRequest) -> None:
        if chat.question.has_images and not member.takes_images:
            raise no_images(f"member '{member.name}' takes no")
        unknown = frozenset() if member.takes_any_field else chat.unknown
        self._extra = {k: v for k, v in chat.question.extra.items() if k not in unknown}
        self.ignored = tuple(sorted(unknown)) + _shortened(member, chat)
        self._member, self._chat = member, chat
        if chat.extension.max_usd is not None:
            self._keep_to_the_bound()
        self.trace = Trace(
            strategy="member",
            members=(member.name,),
            kind="tools" if chat.question.has_tools else FREE_WORDS,
            stopped="it was asked by its name",
        )

    def _keep_to_the_bound(self) -> None:
        """Leave out fields that could make a call dearer than its bound says."""
        dear = {
            name
            for name in self._chat.unknown & self._extra.keys()
            if not is_within_price(name, self._extra[name])
        }
        self._extra = {k: v for k, v in self._extra.items() if k not in dear}
        self.ignored += tuple(sorted(dear))

    def most_usd(self, shown: Mapping[str, Said] | None = None) -> float | None:
        """Upper bound, retries included; asked where there is a budget.

        Fields that could make it cost more are left out from then on, and told.

        Args:
            shown: the longest replies that it may be shown, of a member that reads others.

        Raises:
            ApiError: it would cost more than its tokens do.
        """
        self._keep_to_the_bound()
        for name in ("web_search_options", "service_tier", "prediction"):
            value = self._extra.get(name)
            if value is not None and value not in _PLAIN_TIERS:
                raise ApiError(
                    400, "unpriced",
                    f"with '{name}' a call may cost more than its tokens do, and this request has "
                    "a budget; leave it out",
                    param=name,
                )  # fmt: skip
        most = [self._member.most_usd(request) for request in self.requests(shown)]
        return None if None in most else sum(usd for usd in most if usd is not None)

    def requests(self, shown: Mapping[str, Said] | None = None) -> list[Request]:
        """One for each reply that is wanted.

        Args:
            shown: replies of others that it reads.
        """
        member = self._member.bare
        question = self._chat.question
        if shown:
            question = replace(question, shown=shown)
        if len(self._extra) < len(question.extra):
            question = replace(question, extra=self._extra)
        body, sampling = self._chat.body, dict[str, Any]()
        for name in SAMPLING:
            if (value := getattr(body, name)) not in (None, "", []):
                sampling[name] = value
        if "stop" in sampling:
            stop = sampling["stop"]
            sampling["stop"] = (stop,) if isinstance(stop, str) else tuple(stop)
        made = []
        for k in range(body.n or 1):
            if body.seed is not None:  # equal seeds would draw equal replies
                sampling["seed"] = min(body.seed + k, _LAST_SEED)
            request = member.request(question, sample=k, logprobs=False)
            made.append(replace(request, **sampling) if sampling else request)
        return made

    async def run(self, deadline_s: float, max_usd: float, on_text: OnText | None) -> Answer:
        """Ask the member."""
        member, requests = self._member, self.requests()
        most = self.most_usd() if max_usd < math.inf else 0.0
        if most is None or most > max_usd:
            raise ApiError(
                400, "max_usd_too_low",
                f"asking '{member.name}' could cost more than {max_usd:g} dollars, or its price "
                "is not known; raise max_usd or lower max_tokens",
                param="rlfocal.max_usd",
            )  # fmt: skip
        # Of several replies told at once nobody could tell which is which.
        relay = TextRelay(on_text) if on_text is not None and len(requests) == 1 else None
        timeout_s = min(deadline_s, member.timeout_s)
        started = time.perf_counter()
        with billed() as bill:
            try:
                if relay is not None:
                    requests = [replace(request, on_text=relay) for request in requests]
                sent = [self._sent(request, timeout_s) for request in requests]
                # One alone needs no task of its own.
                found = [await sent[0]] if len(sent) == 1 else await asyncio.gather(*sent)
            finally:
                self.trace.settle(bill.paid_usd, bill.unsettled_usd)
                self.trace.members_s = time.perf_counter() - started
        calls, answers = [], []
        for reply in found:
            if isinstance(reply, MemberError):
                calls.append(record_of(member.name, [reply], cost=1.0))
                continue
            answer = in_one_line(reply)
            calls.append(record_of(member.name, [reply], cost=1.0, answer=answer, support=1.0))
            streamed = relay is not None and relay.started
            answers.append(self.answer_of(member.name, reply, streamed=streamed))
        self.trace.rounds.append(Round(tuple(calls), {}, 1.0))
        for reply in found:
            if isinstance(reply, MemberError):  # fewer than are wanted are no reply
                raise reply
        first, *others = answers
        return replace(first, others=tuple(others)) if others else first

    def answer_of(self, name: str, reply: Response, *, streamed: bool = False) -> Answer:
        """The answer that a member's reply is."""
        return Answer(
            in_one_line(reply), reply.text, math.nan, self.trace,
            streamed=streamed, finish=reply.finish,
            tool_calls=marked(reply.tool_calls, name), reasoning=reply.reasoning,
        )  # fmt: skip

    async def _sent(self, request: Request, timeout_s: float) -> Slot:
        try:
            return await self._member.endpoint.send(request, timeout_s=timeout_s)
        except MemberError as exc:
            return exc

    def refusal(self, error: NobodyAnswered | MemberError) -> ApiError:
        """What became of its call."""
        assert isinstance(error, MemberError)
        return from_member(self._member.name, error)

    def episode(self) -> dict[str, Any] | None:
        """Nothing was decided."""
        return None


_LAST_SEED = 2**63 - 1


def _shortened(member: LiveMember, chat: ChatRequest) -> tuple[str, ...]:
    """That the pool has replies shorter than the client wants them."""
    wanted, most = chat.question.most_tokens, member.settings.max_tokens
    return (f"max_tokens: shortened to {most}",) if wanted is not None and wanted > most else ()
