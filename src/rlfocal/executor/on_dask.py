"""Jobs run by the workers of a Dask cluster."""

from __future__ import annotations

import contextlib
import ctypes
import queue
import threading
import uuid
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

from threadpoolctl import threadpool_limits

from rlfocal.errors import ConfigError
from rlfocal.executor.crews import Death, hand_out
from rlfocal.executor.makes import make
from rlfocal.executor.messages import outcome, packed, read, unpacked
from rlfocal.extras import need

__all__ = ["DaskExecutor"]

S = TypeVar("S")
J = TypeVar("J")
R = TypeVar("R")

_LOOK_S = 2.0
"""Seconds after which it is looked which workers have gone and come."""
_CONNECT_S = 20.0


class DaskExecutor:
    """Runs the jobs on a Dask cluster, one job at a time on every worker.

    Who does what is decided here, not by Dask's scheduler, and a result leaves its worker as soon
    as it is there: a worker that dies takes with it the one job that it was at. Workers that join,
    or come back, are given jobs too. Where this process is interrupted, jobs under way are stopped;
    where it is killed, they run to their end and are forgotten.

    Args:
        address: of the scheduler, as in "tcp://10.0.0.1:8786".

    Raises:
        NotInstalled: dask.distributed is missing.
        ConfigError: from `map`: nobody answers at the address, a worker has other versions of what
            figures depend on, or something cannot be sent or read there.
        RlfocalError: from `map`: the workers of one job died again and again.
    """

    def __init__(self, address: str) -> None:
        need("distributed", "--on dask")
        self.address = address

    def map(
        self, function: Callable[[S, J], R], jobs: Sequence[J], *, shared: S
    ) -> Iterator[tuple[int, R]]:
        """See `Executor.map`."""
        if not jobs:
            return
        setup = bytes(packed((function, shared)))
        messages = [packed(job) for job in jobs]
        with _connected(self.address) as client:
            crew = _Crew(client, setup, n_most=len(jobs))
            try:
                yield from hand_out(crew, jobs, messages)
            finally:
                crew.stop()


class _State:
    """What one worker holds: the function, what its jobs share, and who is at a job."""

    def __init__(self, setup: bytes) -> None:
        self._function, self._shared = read(lambda: unpacked(setup))
        self._thread: int | None = None

    def work(self, job: bytes) -> bytes:
        self._thread = threading.get_ident()
        try:
            with threadpool_limits(limits=1):
                return bytes(outcome(self._function, self._shared, job))
        finally:
            self._thread = None

    def stop(self) -> None:
        """Have the job under way raise `_Stopped`; within compiled code, when that returns."""
        if self._thread is not None:
            thread = ctypes.c_ulong(self._thread)
            ctypes.pythonapi.PyThreadState_SetAsyncExc(thread, ctypes.py_object(_Stopped))


class _Stopped(BaseException):
    """Nobody waits for the job any more."""


def _greet(state: _State) -> bytes:
    return bytes(packed((make(), None, "")))


def _work(state: _State, job: bytes) -> bytes:
    return state.work(job)


def _stop(key: str, dask_worker: Any) -> None:
    state = dask_worker.data.get(key)
    if state is not None:
        state.stop()


class _Crew:
    """The workers of a cluster, by their addresses."""

    where = "a worker of the Dask cluster"

    def __init__(self, client: Any, setup: bytes, *, n_most: int) -> None:
        self._client, self._n_most = client, n_most
        self._bytes = setup
        self._setup: Any = None
        self._states: dict[str, Any] = {}
        """Worker → the future of its `_State`, which keeps that alive there."""
        self._asked: dict[str, Any] = {}
        """Worker → the future of what it is at."""
        self._done: queue.SimpleQueue[tuple[str, Any]] = queue.SimpleQueue()
        self._mark = uuid.uuid4().hex
        self._n_calls = 0

    def send(self, worker: str, job: memoryview) -> None:
        """See `Crew.send`."""
        self._ask(worker, _work, bytes(job))

    def received(self) -> Iterator[tuple[str, bytes | Death]]:
        """See `Crew.received`."""
        try:
            worker, future = self._done.get(timeout=_LOOK_S if self._states else 0)
        except queue.Empty:
            yield from self._look()
            return
        if self._asked.get(worker) is not future:
            return  # of one that has been given up
        message = self._message(worker, future)
        del self._asked[worker]
        if isinstance(message, Death):
            self._lose(worker)
        yield worker, message

    def stop(self) -> None:
        """Stop what is under way, and let go what workers hold."""
        for worker in self._asked:
            with contextlib.suppress(OSError, TimeoutError):  # it may have gone
                self._client.run(
                    _stop, self._states[worker].key, workers=[worker], on_error="ignore"
                )
        self._client.cancel([*self._asked.values(), *self._states.values()], force=True)
        self._asked.clear()
        self._states.clear()

    def _look(self) -> Iterator[tuple[str, Death]]:
        """See who has gone and who has come."""
        there = set(self._client.nthreads())
        for worker in [worker for worker in self._states if worker not in there]:
            self._lose(worker)
            yield worker, Death(f"{self.where} has gone ({worker})")
        for worker in sorted(there - set(self._states)):
            if len(self._states) < self._n_most:
                self._set_up(worker)
        if not there:
            threading.Event().wait(_LOOK_S)

    def _set_up(self, worker: str) -> None:
        """Hand a worker what the jobs share; it gets that from another one that has it."""
        if self._setup is None or self._setup.status != "finished":
            self._setup = self._client.scatter(self._bytes, workers=[worker], hash=False)
        self._n_calls += 1
        self._states[worker] = self._client.submit(
            _State, self._setup, key=f"rlfocal-{self._mark}-{self._n_calls}",
            workers=[worker], retries=0,
        )  # fmt: skip
        self._ask(worker, _greet)

    def _ask(self, worker: str, function: Callable[..., bytes], *args: Any) -> None:
        self._n_calls += 1
        future = self._client.submit(
            function, self._states[worker], *args, key=f"rlfocal-{self._mark}-{self._n_calls}",
            workers=[worker], retries=0,
        )  # fmt: skip
        self._asked[worker] = future
        future.add_done_callback(lambda done: self._done.put((worker, done)))

    def _lose(self, worker: str) -> None:
        gone = [self._states.pop(worker, None), self._asked.pop(worker, None)]
        self._client.cancel([future for future in gone if future is not None], force=True)

    def _message(self, worker: str, future: Any) -> bytes | Death:
        """What a worker has sent; it may die while that is on its way."""
        distributed = need("distributed", "--on dask")
        while True:
            try:
                found: bytes = future.result(timeout=_LOOK_S)
            except TimeoutError:
                if worker in self._client.nthreads():
                    continue
                return Death(f"{self.where} has gone ({worker})")
            except (distributed.KilledWorker, distributed.CancelledError) as exc:
                # One that is there has lost what it was sent, with the worker that it came from.
                return Death(
                    f"{self.where} died ({type(exc).__name__}, {worker})",
                    guilty=worker not in self._client.nthreads(),
                )
            return found


@contextlib.contextmanager
def _connected(address: str) -> Iterator[Any]:
    """A client of the scheduler, for as long as this lasts.

    Raises:
        ConfigError: nobody answers.
    """
    distributed = need("distributed", "--on dask")
    try:
        client = distributed.Client(address, timeout=_CONNECT_S, set_as_default=False)
    except (OSError, TimeoutError, ValueError) as exc:
        raise ConfigError(f"--on dask:{address}: no scheduler there: {exc}") from exc
    with client:
        yield client
