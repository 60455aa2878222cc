"""Stop asking a member that keeps failing, and try again after a while.

What counts as a failure in a row:

- Calls that were under way together when the row began are one failure: what breaks them is one.
- A server that cannot be reached, that lets nobody in or wants money, and a fair time-out always
  count; so does a status by which what stands before a server says that it is away.
- All else may be the fault of the request (servers answer 500 or 404 to fields that they cannot
  read, and without end to others), and one client's requests must not open a member's circuit for
  all. It counts where the request is plain: text alone, turns in their order, no fields beyond the
  pool's own. A refusal (status 400) counts if moreover different requests are refused, none is too
  long by the server's words, and each has at most 4,000 characters where the member has answered
  before.
- Time-outs of callers in a hurry, failures of this machine, empty and filtered replies never count.

Where it is known who asks (`asker`), a row of failures of one asker opens the circuit for this one
alone: the next of another asker is let through, and opens it for all if it fails as well, or closes
it.

What others have found out (`doubt`) is no failure here, and takes a member from nobody: requests
pass until one of them has failed, which opens it at once, or one is answered.
"""

from __future__ import annotations

import logging
import math
import re
import time
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Literal

from rlfocal.errors import Failure, MemberError
from rlfocal.pool.openai.replies.errors.lengths import is_too_long
from rlfocal.pool.types import Endpoint, Request, Response
from rlfocal.pool.wrappers.base import Wrapper

__all__ = ["CircuitBreaker", "Circuits", "State", "asker"]

_log = logging.getLogger(__name__)

asker: ContextVar[str | None] = ContextVar("asker", default=None)
"""Whose requests are sent in this context; None where all are one's own."""
_OF_THE_MEMBER = {Failure.UNREACHABLE, Failure.UNAUTHORISED, Failure.OUT_OF_CREDIT}
"""Failures that no request brings about."""
_AWAY = {502, 503, 504}
"""Statuses of what stands before a server, or of a server that is not there yet."""
_OF_THE_REQUEST = {Failure.EMPTY, Failure.FILTERED, Failure.CANCELLED, Failure.OURS}
"""Failures that say nothing about the endpoint."""
_PLAIN_CHARS = 4000
"""A prompt that no model refuses for its length."""
_TOO_LONG = re.compile(r"too (?:long|large|many tokens)", re.IGNORECASE)
"""Of whatever: who refuses it is not at fault."""
_LATELY_S = 3600.0
"""For which somebody who has asked counts among those who ask."""


State = Literal["closed", "open", "half-open"]


@dataclass(frozen=True)
class Circuits:
    """When circuits open.

    Raises:
        ValueError: one would open before the first failure.
    """

    failures: int = 5
    """In a row, after which it opens."""
    cool_down_s: float = 30.0
    """Seconds until one request may try."""
    fair_s: float = 5.0
    """Time-outs shorter than this do not count as failures: a client in a hurry could otherwise
    open the circuit of a member for all clients."""

    def __post_init__(self) -> None:
        if self.failures < 1:
            raise ValueError(f"failures must be at least 1, got {self.failures}")


class CircuitBreaker(Wrapper):
    """Closed: requests pass. Open: they fail at once. Half-open: one of them tries.

    Half-open for what others have found out: they pass.

    Args:
        endpoint: what is wrapped.
        when: when it opens.
        name: how messages call the member.
        clock: seconds that only grow.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        when: Circuits = Circuits(),
        *,
        name: str = "",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(endpoint)
        self._when, self._clock = when, clock
        self.name = f"member '{name}'" if name else "a member"
        self.n_failures = 0
        """In a row, until now."""
        self._opened_at = 0.0
        self._trying = False
        self._in_doubt = False
        """Whether nothing has failed here: that it fails is what others have found out."""
        self._n_begun = self._n_together = 0
        self._refused: set[int] = set()
        self._askers: set[str | None] = set()
        """Of the failures in a row."""
        self._asked_at: dict[str | None, float] = {}
        """The last two who asked, whatever became of it, and when."""
        self._began_at = self._answered_at = -math.inf
        self.on_change: Callable[[], object] | None = None
        """Called when so many have failed in a row that it opens, when it has been tried in vain,
        and when it answers again."""

    @property
    def is_tripped(self) -> bool:
        """Whether so many failed in a row that it is left alone, by somebody at least."""
        return self.n_failures >= self._when.failures

    @property
    def failing_s(self) -> float:
        """Seconds since the first failure of the row."""
        return self._clock() - self._began_at

    @property
    def answered_s(self) -> float:
        """Seconds since the last reply; infinite where there was none."""
        return self._clock() - self._answered_at

    @property
    def only_asker(self) -> str | None:
        """Who alone asked what failed in a row; None for several, or where nobody knows."""
        return next(iter(self._askers)) if len(self._askers) == 1 else None

    def doubt(self, asker: str | None = None) -> None:
        """Have requests try, as others have found out what was not known here.

        One that was open lets one request try at once. One that was closed lets all pass, and opens
        by the first failure.

        Args:
            asker: for whom alone, where it was closed; None for all.
        """
        if not self.is_tripped:
            self.n_failures, self._askers = self._when.failures, {asker}
            self._began_at, self._n_together = self._clock(), self._n_begun
            self._in_doubt = True
        self._opened_at = self._clock() - self._when.cool_down_s

    def relieve(self) -> None:
        """Take in that others are answered: a doubt ends, and one that is open lets one try."""
        if self._in_doubt:
            self.n_failures, self._in_doubt = 0, False
            self._askers.clear()
        self._opened_at = self._clock() - self._when.cool_down_s

    @property
    def state(self) -> State:
        """What would become of a request now, from the asker of this context."""
        return "closed" if self._is_of_another_than(asker.get()) else self._state_of_row

    @property
    def state_for_all(self) -> State:
        """What would become of a request now, whoever looks at it.

        "closed" where all failures in a row are those of one asker, and others ask as well: they
        would be let through.
        """
        since = self._clock() - _LATELY_S
        lately = [who for who, at in self._asked_at.items() if at >= since]
        if any(map(self._is_of_another_than, lately)):
            return "closed"
        return self._state_of_row

    @property
    def _state_of_row(self) -> State:
        if not self.is_tripped:
            return "closed"
        if self._in_doubt:
            return "half-open"
        cooled = self._clock() - self._opened_at >= self._when.cool_down_s
        return "half-open" if cooled and not self._trying else "open"

    def _is_of_another_than(self, who: str | None) -> bool:
        """Whether all failures in a row are those of one asker, and this is somebody else."""
        return who is not None and len(self._askers) == 1 and not self._askers & {who, None}

    def _note_asker(self) -> None:
        """Of all who ask two are enough: one of them is not whoever's requests fail alone."""
        who = asker.get()
        self._asked_at.pop(who, None)
        self._asked_at[who] = self._clock()
        if len(self._asked_at) > 2:
            del self._asked_at[next(iter(self._asked_at))]

    @property
    def retry_after_s(self) -> float:
        """Seconds until an open circuit lets a request try; 0 for one that is not open."""
        if self.state != "open":
            return 0.0
        return max(0.0, self._when.cool_down_s - (self._clock() - self._opened_at))

    async def send(self, request: Request, *, timeout_s: float) -> Response:
        """Answer one request; as `Endpoint.send`."""
        self._note_asker()
        state = self.state if self.n_failures else "closed"
        if state == "open":
            raise MemberError(
                f"not sent: {self.n_failures} failures in a row; it is tried again "
                f"{self._when.cool_down_s:g} s after the last",
                failure=Failure.CIRCUIT_OPEN,
                retry_after_s=self.retry_after_s,
            )
        is_alone = state == "half-open" and not self._in_doubt
        if is_alone:
            self._trying = True
        self._n_begun += 1
        number = self._n_begun
        try:
            reply = await self._endpoint.send(request, timeout_s=timeout_s)
        except MemberError as exc:
            if self._counts(exc, request, timeout_s) and self._is_next(number):
                comes_true = self._comes_true()
                self._note(exc)
                if comes_true:
                    _log.warning(
                        "%s is left alone: it fails here, too, as it does elsewhere: %s",
                        self.name, exc,
                    )  # fmt: skip
                if is_alone or comes_true:
                    self._tell()
            raise
        finally:
            if is_alone:
                self._trying = False
        self._answered_at = self._clock()
        was_tripped, self.n_failures, self._in_doubt = self.is_tripped, 0, False
        self._refused.clear()
        self._askers.clear()
        if was_tripped:
            _log.info("%s answers again", self.name)
            self._tell()
        return reply

    def _tell(self) -> None:
        if self.on_change is not None:
            self.on_change()

    def _counts(self, error: MemberError, request: Request, timeout_s: float) -> bool:
        """Whether a failure says something about the member."""
        if error.failure is Failure.TIMEOUT:
            return timeout_s >= self._when.fair_s
        if error.failure in _OF_THE_REQUEST:
            return False
        if error.failure in _OF_THE_MEMBER or error.status in _AWAY:
            return True
        if not _is_plain(request):
            return False
        return error.failure is not Failure.BAD_REQUEST or self._is_refusal(error, request)

    def _is_refusal(self, error: MemberError, request: Request) -> bool:
        """Whether the member refuses what it should not, and has not refused before."""
        long = self._answered_at > -math.inf and len(request.text) > _PLAIN_CHARS
        words = str(error)
        if long or _TOO_LONG.search(words) or is_too_long(words):
            return False
        asked = hash(request.text)
        if asked in self._refused and self.state == "closed":
            return False
        if len(self._refused) < self._when.failures:
            self._refused.add(asked)
        return True

    def _is_next(self, number: int) -> bool:
        """Whether a failed call is one more in the row: those that ran when it began are one."""
        if self.n_failures == 0:
            self._n_together, self._began_at = self._n_begun, self._clock()
            return True
        return number > self._n_together

    def _comes_true(self) -> bool:
        """Whether a failure that counts is the one that ends a doubt: it opens the circuit."""
        if not self._in_doubt:
            return False
        # Those that were let through meanwhile are one failure with it.
        self._in_doubt, self._n_together = False, self._n_begun
        return True

    def _note(self, error: MemberError) -> None:
        self.n_failures += 1
        self._askers.add(asker.get())
        self._opened_at = self._clock()
        if self.n_failures == self._when.failures:
            _log.warning(
                "%s is left alone: %d failures in a row; it is tried again every %g s. The last: "
                "%s",
                self.name,
                self.n_failures,
                self._when.cool_down_s,
                error,
            )
            self._tell()


def _is_plain(request: Request) -> bool:
    """Whether nothing about a request is its asker's own risk."""
    own = request.extra.keys() - request.wording.kept
    roles = [turn.role for turn in request.messages]
    while roles[:1] == ["system"]:
        del roles[0]
    in_turns = all(role == ("user", "assistant")[k % 2] for k, role in enumerate(roles))
    return in_turns and not own and not any(turn.parts or turn.extra for turn in request.messages)
