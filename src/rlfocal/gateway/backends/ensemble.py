"""All members of a pool together, which deliberate."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

from rlfocal.deliberation.base import Base
from rlfocal.errors import MemberError, NobodyAnswered
from rlfocal.gateway.backends.backend import OnText, no_images
from rlfocal.gateway.errors import ApiError, from_nobody, too_late
from rlfocal.gateway.sessions import Session
from rlfocal.gateway.wire.request import ChatRequest
from rlfocal.live import Answer, Limits, Listener, LiveEnsemble
from rlfocal.live.turns import longest_shown
from rlfocal.online.exploring import Exploration, Exploring, may_explore
from rlfocal.pool.building import LiveMember

__all__ = ["EnsembleBackend"]


class EnsembleBackend:
    """All members together.

    Args:
        ensemble: the members.
        strategy: that decides, at the price that is asked for.
        chat: the request.
        synthesiser: a member that makes one reply out of several; None for none.
        exploration: what is left to chance, so that others can learn from it; None for nothing.
        session: of the client, which says whom to ask first; None for none.

    Raises:
        ApiError: there are images, and no member takes any.
    """

    ignored: tuple[str, ...] = ()

    def __init__(
        self,
        ensemble: LiveEnsemble,
        strategy: Base,
        chat: ChatRequest,
        *,
        synthesiser: LiveMember | None,
        exploration: Exploration | None,
        session: Session | None = None,
    ) -> None:
        self._with_images = chat.question.has_images
        if self._with_images and not any(m.takes_images for m in ensemble.members):
            raise no_images("no member takes")
        self._exploring: Exploring | None = None
        decides, first = strategy, () if session is None else session.first
        # Of what a session decides no policy could learn: it was none of its decisions.
        if exploration is not None and not first and may_explore(strategy):
            decides = self._exploring = Exploring(decides, exploration)
        self._members, self._chat, self._session = ensemble.members, chat, session
        self._reads = ensemble.reads
        self._answering = ensemble.led_by(decides).begin(
            chat.question, synthesiser=synthesiser, first=first,
            as_decided=self._exploring is not None,
        )  # fmt: skip
        self._max_usd = math.inf
        self.trace = self._answering.trace
        if chat.question.task and not ensemble.reader.knows_task(chat.question):
            # Nobody decides by it, whatever later training may make of it.
            self.ignored = ("rlfocal.task",)

    def most_usd(self) -> float | None:
        """Upper bound of asking everybody, retries included."""
        question, most = self._chat.question, 0.0
        for member in self._members:
            if self._with_images and not member.takes_images:
                continue
            if member.settings.reads:
                asked = replace(question, shown=longest_shown(member))
                requests = member.requests(asked)
            else:
                requests = member.requests(question)
            for request in requests:
                usd = member.most_usd(request)
                if usd is None:
                    return None
                most += usd
        return most

    async def run(
        self,
        deadline_s: float,
        max_usd: float,
        on_text: OnText | None,
        on_thought: OnText | None = None,
    ) -> Answer:
        """Ask in rounds; nobody's thoughts are told."""
        self._max_usd = max_usd
        # Whoever is silent could still lower a confidence that decides, or read where another
        # writes.
        early = not self._chat.rules.have_bars
        try:
            return await self._answering.run(
                deadline_s,
                limits=Limits(max_usd=max_usd, early=early),
                listener=Listener(on_text=on_text, is_final=True),
            )
        finally:
            # Of a request that was given up, too: members have read its prompt.
            if self._session is not None and self.trace.rounds:
                self._session.note(self.trace)

    def refusal(self, error: NobodyAnswered | MemberError) -> ApiError:
        """Why no member was asked, or what became of those who were."""
        assert isinstance(error, NobodyAnswered)
        n_left_out = len(self.trace.circuit_open) + len(self.trace.nothing_to_read)
        if self.trace.rounds or n_left_out >= len(self._members):
            return from_nobody(error)
        if "deadline" in self.trace.stopped:  # over before anybody could be asked
            return too_late(self._chat.deadline_s)
        return ApiError(
            400, "max_usd_too_low",
            f"no member could be asked for {self._max_usd:g} dollars for certain; raise max_usd "
            "or lower max_tokens",
            param="rlfocal.max_usd",
        )  # fmt: skip

    def episode(self) -> dict[str, Any] | None:
        """What off-policy learning needs; None where it learns nothing from it."""
        trace = self.trace
        if self._exploring is None or not trace.rounds or trace.circuit_open:
            return None
        if any(call.failure is not None for call in trace.calls):
            return None  # other rules hold where a member fails
        found = self._exploring.episode()
        if trace.readers and found.states.asked[-1].sum() > len(trace.calls):
            return None  # some were not needed, and count as asked: likewise
        return found.as_json() if found.is_carried_out(self._reads) else None
