"""One member, asked by its name with the client's messages as they are."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
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
from rlfocal.pool.asking.passed_back import details_of, marked
from rlfocal.pool.asking.question import Said
from rlfocal.pool.building import LiveMember
from rlfocal.pool.fan_out import Slot
from rlfocal.pool.openai.left_out import noting_left_out
from rlfocal.pool.types import PASSED_ON, Request, Response
from rlfocal.pool.wrappers.as_own import AsOwn
from rlfocal.pool.wrappers.text_relay import TextRelay
from rlfocal.pool.wrappers.unsettled import billed

__all__ = ["MemberBackend", "given_on"]

_IN_TURNS = "messages[]."
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
        self.ignored = tuple(sorted({*unknown, *_without_effect(member, self._extra)}))
        self.ignored += _shortened(member, chat)
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
        most = [self._member.most_usd(self._as_sent(one)) for one in self.requests(shown)]
        return None if None in most else sum(usd for usd in most if usd is not None)

    def _as_sent(self, request: Request) -> Request:
        turns, _ = self._member.thoughts.put(request.messages)
        return replace(request, messages=turns)

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
            made.append(replace(request, **sampling))
        return made

    async def run(
        self,
        deadline_s: float,
        max_usd: float,
        on_text: OnText | None,
        on_thought: OnText | None = None,
    ) -> Answer:
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
        with billed() as bill, self._telling_what_is_left_out():
            try:
                requests = given_on(requests, relay, on_thought)
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

    @contextmanager
    def _telling_what_is_left_out(self) -> Iterator[None]:
        """Have clients read which of their fields a server, or the pool, did not take."""
        body, extra = self._chat.body, self._chat.question.extra
        own = {name for name in SAMPLING if getattr(body, name) is not None} | extra.keys()
        with noting_left_out() as names:
            try:
                yield
            finally:
                told = [name for name in sorted(names) if name in own or name.startswith(_IN_TURNS)]
                self.ignored = tuple(dict.fromkeys([*self.ignored, *told]))

    def answer_of(self, name: str, reply: Response, *, streamed: bool = False) -> Answer:
        """The answer that a member's reply is."""
        details = details_of(reply, name)
        # Whoever else was read was not asked by its name: its mark would be dropped the next turn.
        own = details if name == self._member.name else {}
        beside = {k: v for k, v in reply.beside.items() if k not in details} | own
        return Answer(
            in_one_line(reply), reply.text, math.nan, self.trace,
            streamed=streamed, finish=reply.finish,
            tool_calls=marked(reply.tool_calls, name), reasoning=reply.reasoning,
            refusal=reply.refusal, beside=beside,
        )  # fmt: skip

    async def _sent(self, request: Request, timeout_s: float) -> Slot:
        """What becomes of a call."""
        endpoint = AsOwn(self._member.endpoint, self._member.thoughts)
        try:
            return await endpoint.send(request, timeout_s=timeout_s)
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


def given_on(
    requests: Sequence[Request], relay: TextRelay | None, on_thought: OnText | None
) -> list[Request]:
    """Requests whose replies are given on as they are.

    Thoughts may be told anew: unlike a text, those of a call that broke off and was repeated do no
    harm before others.

    Args:
        requests: to one member.
        relay: is told of the text; None where nobody is told of anything as it comes.
        on_thought: is told of the thoughts; None for nobody.
    """
    think = None if relay is None else on_thought
    return [
        replace(request, on_text=relay, on_thought=think, verbatim=True) for request in requests
    ]


def _without_effect(member: LiveMember, extra: Mapping[str, Any]) -> set[str]:
    """Fields of a client that the pool's own counts before, or a text to go on with has none for.

    What the pool drops, who sends the request tells.
    """
    own = member.settings.extra_body or {}
    found = {name for name in own.keys() & extra.keys() if own[name] != extra[name]}
    return found | (PASSED_ON & extra.keys() if member.api == "completions" else set())


def _shortened(member: LiveMember, chat: ChatRequest) -> tuple[str, ...]:
    """That the pool has replies shorter than the client wants them."""
    wanted, most = chat.question.most_tokens, member.settings.max_tokens
    return (f"max_tokens: shortened to {most}",) if wanted is not None and wanted > most else ()
