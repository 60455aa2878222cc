"""What a request sets going: an ensemble that deliberates, or one member asked by its name."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Protocol

from rlfocal.deliberation.trace import CallRecord, Round, Trace
from rlfocal.errors import ConfigError, MemberError, NobodyAnswered
from rlfocal.gateway.errors import ApiError, from_member, from_nobody
from rlfocal.gateway.wire.fields import is_within_price
from rlfocal.gateway.wire.replies import Completion
from rlfocal.gateway.wire.request import ChatRequest
from rlfocal.live import FREE_WORDS, Answer, Ensemble, Limits, Listener
from rlfocal.live.query import as_called
from rlfocal.online.exploring import Exploration, Exploring, may_explore
from rlfocal.pool.asking.passed_back import marked
from rlfocal.pool.building import LiveMember
from rlfocal.pool.types import Request, Response
from rlfocal.pool.wrappers.text_relay import TextRelay
from rlfocal.pool.wrappers.unsettled import billed

__all__ = ["Backend", "EnsembleBackend", "MemberBackend"]

Tell = Callable[[str], None]


class Backend(Protocol):
    """Something under way."""

    trace: Trace
    ignored: tuple[str, ...]
    """Fields of the request that have no effect on who is asked, beside those of the request."""

    def most_usd(self) -> float | None:
        """Dollars that it may cost at most; None where a price is not known."""
        ...

    async def run(self, deadline_s: float, max_usd: float, tell: Tell | None) -> Completion:
        """Answer the request.

        Args:
            deadline_s: seconds.
            max_usd: dollars that must not be passed.
            tell: is told of the text piece by piece where that is the answer whatever comes.

        Raises:
            ApiError: there is no answer, and why.
        """
        ...

    def episode(self) -> dict[str, Any] | None:
        """What off-policy learning needs of it, once it has ended; None for nothing."""
        ...


class EnsembleBackend:
    """All members together.

    Args:
        ensemble: at the price that is asked for.
        chat: the request.
        synthesiser: a member that makes one reply out of several.
        exploration: what is left to chance, so that others can learn from it; None for nothing.

    Raises:
        ApiError: there are images, and no member takes any.
    """

    ignored: tuple[str, ...] = ()

    def __init__(
        self,
        ensemble: Ensemble,
        chat: ChatRequest,
        *,
        synthesiser: str | None,
        exploration: Exploration | None,
    ) -> None:
        if chat.query.has_images and not any(m.takes_images for m in ensemble.members):
            raise _no_images("no member takes")
        self._exploring: Exploring | None = None
        strategy = ensemble.strategy
        if exploration is not None and may_explore(ensemble.strategy):
            self._exploring = Exploring(strategy, exploration)
            ensemble = ensemble.led_by(self._exploring)
        self._ensemble, self._chat = ensemble, chat
        self._synthesiser = synthesiser
        self.trace: Trace = ensemble.deliberation(chat.query).trace

    def most_usd(self) -> float | None:
        """Upper bound of asking everybody, retries included."""
        question, most = self._chat.query, 0.0
        for member in self._ensemble.members:
            if self._chat.query.has_images and not member.takes_images:
                continue
            for sample in range(member.settings.samples):
                usd = member.most_usd(member.request(question, sample=sample))
                if usd is None:
                    return None
                most += usd
        return most

    async def run(self, deadline_s: float, max_usd: float, tell: Tell | None) -> Completion:
        """Ask in rounds."""
        clock = asyncio.get_running_loop().time
        ends = clock() + deadline_s
        features = await self._ensemble.features(self._chat.query)
        try:
            begun = self._ensemble.begin(
                self._chat.query,
                limits=Limits(max_usd=max_usd, early=True),
                listener=Listener(on_text=tell, is_final=True),
                synthesiser=self._synthesiser,
                features=features,
            )
        except ConfigError as exc:
            raise ApiError(400, "invalid_value", str(exc)) from None
        self.trace = begun.trace
        try:
            return _completion(await begun.run(ends - clock()), self._chat)
        except NobodyAnswered as exc:
            if not self.trace.rounds and "deadline" in self.trace.stopped:
                raise TimeoutError from None  # over before anybody could be asked
            raise self._refusal(exc, max_usd) from None

    def episode(self) -> dict[str, Any] | None:
        """What off-policy learning needs; None where it learns nothing from it."""
        trace = self.trace
        if self._exploring is None or not trace.rounds or trace.circuit_open:
            return None
        if any(call.failure is not None for call in trace.calls):
            return None  # other rules hold where a member fails
        return self._exploring.episode().as_json()

    def _refusal(self, error: NobodyAnswered, max_usd: float) -> ApiError:
        if not self.trace.rounds and len(self.trace.circuit_open) < len(self._ensemble.members):
            return ApiError(
                400, "max_usd_too_low",
                f"no member could be asked for {max_usd:g} dollars for certain; raise max_usd or "
                "lower max_tokens",
                param="rlfocal.max_usd",
            )  # fmt: skip
        return from_nobody(error)


def _completion(answer: Answer, chat: ChatRequest) -> Completion:
    reply = answer.reply
    calls: Sequence[Any] = () if reply is None else reply.tool_calls
    made = answer.trace.synthesis is not None and answer.trace.synthesis.failure is None
    verbatim = reply is not None and not chat.query.choices and not made
    text = answer.text
    if calls and reply is not None:
        text = reply.text
    return Completion(
        text=text,
        finish=reply.finish if verbatim and reply is not None else "stop",
        tool_calls=tuple(calls) if answer.member is None else marked(calls, answer.member),
        answer=answer.answer,
        confidence=answer.confidence,
        streamed=answer.streamed,
    )


_PLAIN_TIERS = ("auto", "default", "flex", "batch", "standard_only")
"""Of service, which cost what a model's price says or less."""


def _no_images(whose: str) -> ApiError:
    return ApiError(
        400, "unsupported_parameter",
        f"{whose} images; say images = true for a member of the pool file whose model reads them, "
        "or send texts only",
        param="messages",
    )  # fmt: skip


class MemberBackend:
    """One member, asked with the client's messages as they are.

    Args:
        member: who is asked.
        chat: the request.

    Raises:
        ApiError: there are images, and it takes none.
    """

    def __init__(self, member: LiveMember, chat: ChatRequest) -> None:
        if chat.query.has_images and not member.takes_images:
            raise _no_images(f"member '{member.name}' takes no")
        unknown = frozenset() if member.takes_any_field else chat.unknown
        self._extra = {k: v for k, v in chat.query.extra.items() if k not in unknown}
        self.ignored = tuple(sorted(unknown)) + _shortened(member, chat)
        self._member, self._chat = member, chat
        if chat.extension.max_usd is not None:
            self._keep_to_the_bound()
        self.trace = Trace(
            strategy="member",
            members=(member.name,),
            kind="tools" if chat.query.has_tools else FREE_WORDS,
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

    def most_usd(self) -> float | None:
        """Upper bound, retries included; asked where there is a budget.

        Fields that could make it cost more are left out from then on, and told.

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
        most = [self._member.most_usd(request) for request in self._requests()]
        return None if None in most else sum(usd for usd in most if usd is not None)

    def _requests(self) -> list[Request]:
        """One for each reply that is wanted."""
        # In the client's words alone: what the pool says of this member is how it is asked as one
        # of an ensemble.
        bare = self._member.settings.model_copy(update={"system": "", "answers": "reply"})
        member = replace(self._member, settings=bare)
        question = replace(self._chat.query, extra=self._extra)
        sampling = dict(self._chat.sampling)
        if "stop" in sampling:
            stop = sampling["stop"]
            sampling["stop"] = (stop,) if isinstance(stop, str) else tuple(stop)
        made = []
        for k in range(self._chat.n):
            if "seed" in sampling:  # equal seeds would draw equal replies
                sampling["seed"] = min(self._chat.sampling["seed"] + k, _LAST_SEED)
            made.append(replace(member.request(question, sample=k), **sampling))
        return made

    async def run(self, deadline_s: float, max_usd: float, tell: Tell | None) -> Completion:
        """Ask the member."""
        member, requests = self._member, self._requests()
        most = self.most_usd() if max_usd < float("inf") else None
        if max_usd < float("inf") and (most is None or most > max_usd):
            raise ApiError(
                400, "max_usd_too_low",
                f"asking '{member.name}' could cost more than {max_usd:g} dollars, or its price "
                "is not known; raise max_usd or lower max_tokens",
                param="rlfocal.max_usd",
            )  # fmt: skip
        # Of several replies told at once nobody could tell which is which.
        relay = TextRelay(tell) if tell is not None and len(requests) == 1 else None
        timeout_s = min(deadline_s, member.timeout_s)
        started = time.perf_counter()
        with billed() as bill:
            try:
                found = await asyncio.gather(
                    *(self._sent(replace(r, on_text=relay), timeout_s) for r in requests)
                )
            finally:
                self.trace.settle(bill.paid_usd, bill.unsettled_usd)
                self.trace.members_s = time.perf_counter() - started
        self.trace.rounds.append(Round(tuple(map(self._call, found)), {}, 1.0))
        for reply in found:
            if isinstance(reply, MemberError):  # fewer than are wanted are no reply
                raise from_member(member.name, reply) from None
        streamed = relay is not None and relay.started
        first, *others = [
            self._completion(reply, streamed=streamed)
            for reply in found
            if isinstance(reply, Response)
        ]
        return replace(first, others=tuple(others))

    async def _sent(self, request: Request, timeout_s: float) -> Response | MemberError:
        try:
            return await self._member.endpoint.send(request, timeout_s=timeout_s)
        except MemberError as exc:
            return exc

    def _call(self, reply: Response | MemberError) -> CallRecord:
        name = self._member.name
        if isinstance(reply, MemberError):
            failure = reply.failure.value
            return CallRecord(name, cost=1.0, failure=failure, detail=str(reply))
        return CallRecord(
            name, as_called(reply), 1.0, 1.0, text=reply.text, latency_s=reply.latency_s,
            cost_usd=reply.cost_usd, uncertain_cost_usd=reply.unsettled_usd or None,
            n_prompt_tokens=reply.n_prompt_tokens, n_completion_tokens=reply.n_completion_tokens,
        )  # fmt: skip

    def _completion(self, reply: Response, *, streamed: bool) -> Completion:
        calls = marked(reply.tool_calls, self._member.name)
        return Completion(
            reply.text, reply.finish, calls, answer=as_called(reply), streamed=streamed,
            reasoning=reply.reasoning,
        )  # fmt: skip

    def episode(self) -> dict[str, Any] | None:
        """Nothing was decided."""
        return None


_LAST_SEED = 2**63 - 1


def _shortened(member: LiveMember, chat: ChatRequest) -> tuple[str, ...]:
    """That the pool has replies shorter than the client wants them."""
    wanted, most = chat.query.most_tokens, member.settings.max_tokens
    return (f"max_tokens: shortened to {most}",) if wanted is not None and wanted > most else ()
