"""What a request sets going: an ensemble that deliberates, or one member asked by its name."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Protocol, TypeGuard

from rlfocal.errors import ConfigError, MemberError, NobodyAnswered
from rlfocal.gateway.errors import ApiError, from_member, from_nobody
from rlfocal.gateway.wire.replies import Completion
from rlfocal.gateway.wire.request import ChatRequest
from rlfocal.live import FREE_WORDS, Answer, Ensemble, Limits, Listener, Round, Said, Trace
from rlfocal.live.query import as_called
from rlfocal.pool.building import LiveMember
from rlfocal.pool.told import Told
from rlfocal.pool.types import Request
from rlfocal.pool.wrappers.unsettled import billed
from rlfocal.rl.online.exploring import Exploration, Exploring
from rlfocal.rl.strategy import RlFocal
from rlfocal.strategies.protocol import Memory

__all__ = ["EnsembleWork", "NamedWork", "Work"]

Tell = Callable[[str], None]


class Work(Protocol):
    """Something under way."""

    trace: Trace
    kind: str
    """How answers are compared; see `Ensemble.kind_of`."""

    def most_usd(self) -> float | None:
        """Dollars that it may cost at most; None where a price is not known."""
        ...

    async def run(self, deadline_s: float, max_usd: float, tell: Tell | None) -> Completion:
        """Do it.

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


class EnsembleWork:
    """All members together.

    Args:
        ensemble: at the price that is asked for.
        chat: the request.
        memory: recent labelled queries; None for none.
        synthesiser: a member that makes one reply out of several.
        exploration: what is left to chance, so that others can learn from it; None for nothing.
    """

    def __init__(
        self,
        ensemble: Ensemble,
        chat: ChatRequest,
        *,
        memory: Memory | None,
        synthesiser: str | None,
        exploration: Exploration | None,
    ) -> None:
        self._exploring: Exploring | None = None
        strategy = ensemble.strategy
        if exploration is not None and may_explore(strategy):
            self._exploring = Exploring(strategy, exploration)
            ensemble = ensemble.led_by(self._exploring)
        self._ensemble, self._chat = ensemble, chat
        self._memory, self._synthesiser = memory, synthesiser
        self.trace: Trace = ensemble.deliberation().trace
        self.kind = ensemble.kind_of(chat.query)

    def most_usd(self) -> float | None:
        """What it costs to ask everybody, with every repeat on the bill."""
        question, most = self._chat.query.question, 0.0
        for member in self._ensemble.members:
            for sample in range(member.settings.samples):
                usd = member.most_usd(member.request(question, sample=sample))
                if usd is None:
                    return None
                most += usd
        return most

    async def run(self, deadline_s: float, max_usd: float, tell: Tell | None) -> Completion:
        """Ask in rounds."""
        try:
            begun = self._ensemble.begin(
                self._chat.query,
                limits=Limits(max_usd=max_usd, early=True),
                listener=Listener(on_text=tell, is_final=True),
                synthesiser=self._synthesiser,
                memory=self._memory,
            )
        except ConfigError as exc:
            raise ApiError(400, "invalid_value", str(exc)) from None
        self.trace = begun.trace
        try:
            return _completion(await begun.run(deadline_s), self._chat)
        except NobodyAnswered as exc:
            if not self.trace.rounds and "deadline" in self.trace.stopped:
                raise TimeoutError from None  # over before anybody could be asked
            raise self._refusal(exc, max_usd) from None

    def episode(self) -> dict[str, Any] | None:
        """What off-policy learning needs; None where it learns nothing from it."""
        trace = self.trace
        if self._exploring is None or not trace.rounds or trace.shut:
            return None
        if any(said.failure is not None for said in trace.calls):
            return None  # other rules hold where a member fails
        return self._exploring.episode().as_json()

    def _refusal(self, error: NobodyAnswered, max_usd: float) -> ApiError:
        if not self.trace.rounds and len(self.trace.shut) < len(self._ensemble.members):
            return ApiError(
                400, "max_usd_too_low",
                f"no member could be asked for {max_usd:g} dollars for certain; raise max_usd or "
                "lower max_tokens",
                param="rlfocal.max_usd",
            )  # fmt: skip
        return from_nobody(error)


def may_explore(strategy: object) -> TypeGuard[RlFocal]:
    """Whether a policy's propensities can be told: it asks one member after another."""
    return isinstance(strategy, RlFocal) and strategy.config.rounds is None


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
        tool_calls=tuple(calls),
        answer=answer.answer,
        confidence=answer.confidence,
        streamed=answer.streamed,
    )


class NamedWork:
    """One member, asked with the client's messages as they are.

    Args:
        member: who is asked.
        chat: the request.
    """

    def __init__(self, member: LiveMember, chat: ChatRequest) -> None:
        self._member, self._chat = member, chat
        self.kind = "tools" if chat.query.has_tools else FREE_WORDS
        self.trace = Trace(
            strategy="member",
            price=None,
            acting=None,
            why=None,
            members=(member.name,),
            cost_unit="call",
            rounds=[],
            stopped="it was asked by its name",
        )

    def most_usd(self) -> float | None:
        """With every repeat on the bill."""
        return self._member.most_usd(self._request())

    def _request(self) -> Request:
        # In the client's words alone: what the pool says of this member is how it is asked as one
        # of an ensemble.
        bare = self._member.settings.model_copy(update={"system": "", "answers": "reply"})
        request = replace(self._member, settings=bare).request(self._chat.query.question)
        sampling = dict(self._chat.sampling)
        if "stop" in sampling:
            stop = sampling["stop"]
            sampling["stop"] = (stop,) if isinstance(stop, str) else tuple(stop)
        return replace(request, **sampling)

    async def run(self, deadline_s: float, max_usd: float, tell: Tell | None) -> Completion:
        """Ask it."""
        member, request = self._member, self._request()
        most = member.most_usd(request)
        if max_usd < float("inf") and (most is None or most > max_usd):
            raise ApiError(
                400, "max_usd_too_low",
                f"asking '{member.name}' could cost more than {max_usd:g} dollars, or its price "
                "is not known; raise max_usd or lower max_tokens",
                param="rlfocal.max_usd",
            )  # fmt: skip
        told = Told(tell) if tell is not None else None
        started = time.perf_counter()
        with billed() as bill:
            try:
                reply = await member.endpoint.send(
                    replace(request, on_text=told), timeout_s=min(deadline_s, member.timeout_s)
                )
            except MemberError as exc:
                detail, failure = str(exc), exc.failure.value
                said = Said(member.name, None, None, 1.0, failure=failure, detail=detail)
                self._note(said)
                raise from_member(member.name, exc) from None
            finally:
                self.trace.settle(bill)
                self.trace.waited_s = time.perf_counter() - started
        self._note(
            Said(
                member.name, as_called(reply), 1.0, 1.0, text=reply.text, latency_s=reply.latency_s,
                cost_usd=reply.cost_usd, unsettled_usd=reply.unsettled_usd or None,
                n_prompt_tokens=reply.n_prompt_tokens,
                n_completion_tokens=reply.n_completion_tokens,
            )
        )  # fmt: skip
        streamed = told is not None and told.something
        answer = as_called(reply)
        return Completion(
            reply.text, reply.finish, reply.tool_calls, answer=answer, streamed=streamed
        )

    def episode(self) -> dict[str, Any] | None:
        """Nothing was decided."""
        return None

    def _note(self, said: Said) -> None:
        self.trace.rounds.append(Round((said,), {}, 1.0))
