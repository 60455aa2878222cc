"""One chat completion from the door to the ledger: admitted, done in time, written down.

Whatever becomes of it (a reply, an error, a client that hangs up) it ends once, and its money is
counted once.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from functools import partial

from rlfocal.errors import DatabaseError, Failure, MemberError, NobodyAnswered
from rlfocal.gateway.backends import Backend, OnText
from rlfocal.gateway.door.access import Access
from rlfocal.gateway.effects.holding import held_back
from rlfocal.gateway.errors import ApiError, shutting_down, too_late, unavailable
from rlfocal.gateway.metrics import Metrics
from rlfocal.gateway.request_row import row_of
from rlfocal.gateway.store.keys import Key
from rlfocal.gateway.tracing.request_span import RequestSpan, current
from rlfocal.gateway.under_way import UnderWay
from rlfocal.gateway.wire.replies import Shape
from rlfocal.gateway.wire.request import ChatRequest
from rlfocal.live import Answer
from rlfocal.live.aside import aside

__all__ = ["GONE", "Completion"]

_log = logging.getLogger(__name__)
GONE = 499
"""Status, in the log alone, of a request whose client hung up."""
_MARGIN_S, _MARGIN = 0.25, 0.15
"""Kept back from a deadline for what is left to do once members are no longer waited for: that many
seconds, or that share of it where that is less."""
_LAST_S = 0.02
"""Of the margin, for writing the refusal."""
_STUCK_S = 0.2
"""A transaction that takes longer than that is why a request could not be admitted in time."""
_LEASE_S = 60.0
"""After its deadline, until a reservation counts as lost."""


class Completion:
    """One chat completion under way.

    Args:
        backend: what answers it.
        id: of the request.
        key: whose request it is.
        chat: the request.
        started: when its first byte came, by the event loop's clock.
        access: admits it, and settles what it has cost.
        metrics: count it.
        policy: which checkpoint decides.
        keep_prompt: whether its prompt is stored.
        under_way: holds on to its task, and knows whether the gateway's end broke it off.
        span: of its trace; None where it is not traced.
    """

    def __init__(
        self,
        backend: Backend,
        id: str,
        key: Key,
        chat: ChatRequest,
        started: float,
        *,
        access: Access,
        metrics: Metrics,
        policy: str,
        keep_prompt: bool,
        under_way: UnderWay,
        span: RequestSpan | None = None,
    ) -> None:
        self._backend, self.id, self._key, self.chat = backend, id, key, chat
        self._started, self._created = started, time.time()
        # uvloop's clock tells whole milliseconds only.
        self._began = time.perf_counter()
        self._access, self._metrics, self._policy = access, metrics, policy
        self._keep_prompt, self._under_way, self._span = keep_prompt, under_way, span
        self._admitted = False

    def start(
        self, on_text: OnText | None = None, on_thought: OnText | None = None
    ) -> asyncio.Task[Answer]:
        """Set it going; it is written down when the task ends, however that is.

        Args:
            on_text: called with pieces of the text where it can be streamed.
            on_thought: likewise with pieces of what is thought.
        """
        task = asyncio.create_task(self._run(on_text, on_thought), name=self.id)
        self._under_way.keep(task)
        task.add_done_callback(self._end)
        return task

    async def _run(self, on_text: OnText | None, on_thought: OnText | None) -> Answer:
        current.set(self._span)  # of this task
        ends = self._started + self.chat.deadline_s
        margin = min(_MARGIN_S, _MARGIN * self.chat.deadline_s)
        try:
            async with asyncio.timeout_at(ends - min(_LAST_S, margin / 2)):
                max_usd = await self._admit()
                left = ends - margin - asyncio.get_running_loop().time()
                if left <= 0:
                    raise too_late(self.chat.deadline_s)
                answer = await self._backend.run(left, max_usd, on_text, on_thought)
                return held_back(answer, self.chat.rules, on_text)
        except (NobodyAnswered, MemberError) as exc:
            error = self._backend.refusal(exc)
        except ApiError as exc:
            error = exc
        except TimeoutError:
            stuck_s = self._access.stuck_s
            if not self._admitted and stuck_s > _STUCK_S:
                _log.error("request %s: the database has not answered for %.1f s", self.id, stuck_s)
                raise unavailable() from None
            raise too_late(self.chat.deadline_s) from None
        except DatabaseError as exc:
            _log.error("request %s: %s", self.id, exc)
            raise unavailable() from None
        error.final = error.final or self._would_cost_again(error)
        raise error

    def _would_cost_again(self, error: ApiError) -> bool:
        """Whether to try again would ask members again who have been asked.

        Those who only said how long to wait may be asked again after that.
        """
        trace = self._backend.trace
        free = {Failure.CIRCUIT_OPEN.value, Failure.OURS.value}
        if error.retry_after_s is not None:
            free.add(Failure.RATE_LIMITED.value)
        return trace.uncertain_cost_usd > 0 or any(c.failure not in free for c in trace.calls)

    async def _admit(self) -> float:
        """Reserve what it may cost; dollars that it may cost."""
        asked = self.chat.extension.max_usd
        max_usd = math.inf if asked is None else asked
        limits = self._key.limits
        most: float | None = None
        if limits.usd is not None:
            # Every member's prompt is written for that.
            most = await aside(len(self.chat.question.prompt), self._backend.most_usd)
            if most is not None:
                most = max_usd = min(most, max_usd)
        lease_s = self.chat.deadline_s + _LEASE_S
        await self._access.admit(self._key, self.id, most, lease_s, n_replies=self.chat.body.n or 1)
        self._admitted = True
        return max_usd

    def _end(self, task: asyncio.Task[Answer]) -> None:
        status, error, done = 200, None, None
        if task.cancelled() and self._under_way.was_broken_off(task):
            told = shutting_down()
            status, error = told.status, told.code
        elif task.cancelled():
            status, error = GONE, "client_gone"
        elif (exc := task.exception()) is None:
            done = task.result()
        elif isinstance(exc, ApiError):
            status, error = exc.status, exc.code
        else:
            status, error = 500, "internal_error"
        total_s = time.perf_counter() - self._began
        self._metrics.ended(self.chat, self._backend.trace, status, error, total_s)
        if self._span is not None:
            self._span.end(status, error, done)
        if not self._admitted:
            return
        trace = self._backend.trace
        # Nothing is learned of decisions whose outcome was not given.
        learns = done is not None and trace.held_back is None
        row = partial(
            row_of, self.id, self._key, self.chat, trace, done,
            created=self._created, status=status, error=error, total_s=total_s,
            policy=self._policy, keep_prompt=self._keep_prompt,
            episode=self._backend.episode() if learns else None,
        )  # fmt: skip
        try:
            # Made by who writes it: this here stands between the answer and the client.
            self._access.finish(row, reserved=self._key.limits.exist)
        except DatabaseError as exc:
            _log.error("request %s is not written down: %s", self.id, exc)

    @property
    def shape(self) -> Shape:
        """How its reply is written, as far as it has come."""
        trace = self._backend.trace
        return Shape(
            id=self.id,
            created=int(self._created),
            model=self.chat.body.model,
            trace=trace,
            explain=self.chat.extension.explain,
            ignored=tuple(
                dict.fromkeys([*self.chat.ignored, *map(self.chat.as_sent, self._backend.ignored)])
            ),
            overhead_s=max(0.0, time.perf_counter() - self._began - trace.members_s),
        )
