"""The one loop that hands jobs to workers, whatever the workers are.

A crew starts its workers and carries messages; the loop knows who is at which job, runs the job of
a worker that died again, and gives results in order of completion. So every executor does all of
that alike.
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple, Protocol, TypeVar

from rlfocal.errors import RlfocalError
from rlfocal.executor.makes import check_make
from rlfocal.executor.messages import opened
from rlfocal.executor.protocol import named

__all__ = ["MOST_DEATHS", "PATIENCE_S", "Crew", "Death", "hand_out"]

W = TypeVar("W")

MOST_DEATHS = 3
"""Workers that one job may cost, and that may die in turn before they are ready: with more it is
the job, or the place, that kills them."""
PATIENCE_S = 60.0
"""Seconds without any worker after which it is said that one is waited for."""
_log = logging.getLogger(__name__)


class Death(NamedTuple):
    """A worker has ended before its jobs did."""

    why: str
    """What is known of it, and the remedy, as a message."""
    guilty: bool = True
    """Whether the job that it was at may be the cause."""


class Crew(Protocol[W]):
    """Workers, whoever they are. Each says first that it is ready, then answers every job."""

    where: str
    """As a message names a worker."""

    def send(self, worker: W, job: memoryview) -> None:
        """Send a job to a worker that is ready and has none."""
        ...

    def received(self) -> Iterable[tuple[W, bytes | Death]]:
        """Wait for workers to say something; for some seconds at most where none may be there.

        Yields:
            A worker, and what it sent as `messages.outcome` writes it: at first, in place of a
            result, what it is made of (`makes.make`). Or that it died: the crew has then done what
            it can to find another.
        """
        ...


def hand_out(
    crew: Crew[W], jobs: Sequence[object], messages: Sequence[memoryview]
) -> Iterator[tuple[int, Any]]:
    """Have a crew do jobs.

    Args:
        crew: whose workers have been called.
        jobs: as notes on exceptions name them.
        messages: the jobs, as they are sent.

    Yields:
        The index of a job and its result, in order of completion.

    Raises:
        Exception: whatever a job raised.
        ConfigError: a worker is of another make.
        RlfocalError: the workers of one job died again and again, or none gets ready.
    """
    desk, patience = _Desk(crew, jobs, messages), _Patience(crew.where)
    while desk.n_open:
        for worker, message in crew.received():
            finished = desk.take(worker, message)
            desk.give()
            if finished is not None:
                yield finished
        patience.met(any_worker=desk.any_worker)


class _Desk:
    """Which jobs wait, who is at which, and who is idle."""

    def __init__(
        self, crew: Crew[Any], jobs: Sequence[object], messages: Sequence[memoryview]
    ) -> None:
        self.n_open = len(jobs)
        self._crew, self._jobs, self._messages = crew, jobs, messages
        self._waiting = deque(range(len(jobs)))
        self._deaths = Counter[int | None]()
        """How many workers died of each job; of none: before they were ready, since one was."""
        self._at: dict[Any, int] = {}
        self._idle: list[Any] = []

    @property
    def any_worker(self) -> bool:
        return bool(self._at or self._idle)

    def take(self, worker: Any, message: bytes | Death) -> tuple[int, Any] | None:
        """What a worker said: a result and whose, or None for nothing yet."""
        job = self._at.pop(worker, None)
        if isinstance(message, Death):
            self._bury(worker, job, message)
            return None
        self._idle.append(worker)
        if job is None:
            del self._deaths[None]
            check_make(opened(message), self._crew.where)
            return None
        with named(self._jobs[job]):
            result = opened(message)
        self.n_open -= 1
        return job, result

    def give(self) -> None:
        """Give those that are idle what waits."""
        while self._idle and self._waiting:
            worker, job = self._idle.pop(), self._waiting.popleft()
            self._at[worker] = job
            self._crew.send(worker, self._messages[job])

    def _bury(self, worker: Any, job: int | None, death: Death) -> None:
        """Put back the job of a worker that died.

        Raises:
            RlfocalError: too many died of it.
        """
        if worker in self._idle:
            self._idle.remove(worker)
            return
        self._deaths[job] += death.guilty
        with contextlib.nullcontext() if job is None else named(self._jobs[job]):
            if self._deaths[job] >= MOST_DEATHS:
                raise RlfocalError(f"{death.why} (tried {MOST_DEATHS} times)")
        if job is not None:
            self._waiting.appendleft(job)
        _log.warning("%s; what it was at is run again", death.why)


class _Patience:
    """Says once that no worker is there, when that lasts."""

    def __init__(self, where: str) -> None:
        self._where, self._since, self._told = where, time.monotonic(), False

    def met(self, *, any_worker: bool) -> None:
        if any_worker:
            self._since, self._told = time.monotonic(), False
        elif not self._told and time.monotonic() - self._since >= PATIENCE_S:
            self._told = True
            _log.warning("no worker is free for %.0f s (%s); waiting", PATIENCE_S, self._where)
