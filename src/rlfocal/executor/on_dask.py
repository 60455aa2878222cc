"""Jobs run by the workers of a Dask cluster."""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import math
import queue
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

from threadpoolctl import threadpool_limits

from rlfocal.errors import ConfigError, RlfocalError
from rlfocal.executor.addresses import CONNECT_S, check_reachable
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
_CERTIFICATE = "distributed.comm.tls.client.cert"
_REMEDY = "put its class or function into a module that the workers can import"
_OURS = "rlfocal.executor.on_dask"


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
        ConfigError: nobody listens at the address; from `map`: it is no scheduler's, a worker has
            other versions of what figures depend on, or something cannot be sent or read there.
        RlfocalError: from `map`: the workers of one job died again and again, or the scheduler has
            gone.
    """

    def __init__(self, address: str) -> None:
        need("distributed", "--on dask")
        scheme, _, where = address.rpartition("://")
        if scheme not in ("", "tcp", "tls"):
            raise ConfigError(f"--on dask:{address}: write tcp://HOST:PORT, or tls://HOST:PORT")
        if scheme == "tls" and not need("dask", "--on dask").config.get(_CERTIFICATE, None):
            raise ConfigError(f"--on dask:{address}: Dask's configuration has no {_CERTIFICATE}")
        check_reachable(f"dask:{address}", where)
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
        self._function, self._shared = read(lambda: unpacked(setup), _REMEDY)
        self._thread: int | None = None
        self._is_over = False

    def work(self, job: bytes) -> bytes:
        self._thread = threading.get_ident()
        try:
            if self._is_over:  # it came before the news did
                raise _Stopped
            with threadpool_limits(limits=1):
                return bytes(outcome(self._function, self._shared, job))
        finally:
            self._thread = None

    def stop(self) -> None:
        """Have the job under way raise `_Stopped`; within compiled code, when that returns."""
        self._is_over = True
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
        """Worker → the future of its `_State`, which keeps that alive there; None until it is
        known that it has rlfocal."""
        self._asked: dict[str, Any] = {}
        """Worker → the future of what it is at."""
        self._done: queue.SimpleQueue[tuple[str, Any]] = queue.SimpleQueue()
        self._mark = uuid.uuid4().hex
        self._n_calls = 0
        self._looked = -math.inf

    def send(self, worker: str, job: memoryview) -> None:
        """See `Crew.send`."""
        with self._in_touch():
            self._ask(worker, _work, self._states[worker], bytes(job))

    def received(self) -> Iterator[tuple[str, bytes | Death]]:
        """See `Crew.received`."""
        with self._in_touch():
            found = self._look() if time.monotonic() - self._looked > _LOOK_S else []
            if not found:
                found = self._heard()
        yield from found

    def stop(self) -> None:
        """Stop what is under way, and let go what workers hold."""
        with contextlib.suppress(OSError, TimeoutError, RuntimeError):  # nobody may be there
            for worker in self._asked:
                if self._states[worker] is not None:
                    key = self._states[worker].key
                    self._client.run(_stop, key, workers=[worker], on_error="ignore")
            held = [*self._asked.values(), *self._states.values()]
            self._client.cancel([one for one in held if one is not None], force=True)
        self._asked.clear()
        self._states.clear()

    def _heard(self) -> list[tuple[str, bytes | Death]]:
        """What came back first, if anything does in time."""
        try:
            worker, future = self._done.get(timeout=_LOOK_S)
        except queue.Empty:
            return []
        if self._asked.get(worker) is not future:
            return []  # of one that has been given up
        if self._states[worker] is None:
            return self._begin(worker, future)
        message = self._message(worker, future)
        del self._asked[worker]
        if isinstance(message, Death):
            self._lose(worker)
        return [(worker, message)]

    def _look(self) -> list[tuple[str, bytes | Death]]:
        """See who has gone and who has come."""
        self._looked = time.monotonic()
        there = set(self._client.nthreads())
        gone = [worker for worker in self._states if worker not in there]
        for worker in gone:
            self._lose(worker)
        for worker in sorted(there - set(self._states))[: self._n_most - len(self._states)]:
            # One that cannot read what is ours would end: first something that is not.
            self._states[worker] = None
            self._ask(worker, importlib.import_module, _OURS)
        return [(worker, Death(f"{self.where} has gone ({worker})")) for worker in gone]

    def _begin(self, worker: str, probe: Any) -> list[tuple[str, bytes | Death]]:
        """Hand a worker what the jobs share; it gets that from another one that has it.

        Raises:
            ConfigError: it has no rlfocal.
        """
        del self._asked[worker]
        if probe.status == "error":
            raise ConfigError(
                f"{self.where} has no rlfocal ({worker}: {probe.exception()}); install it there, "
                "in the same version"
            ) from probe.exception()
        if probe.status != "finished":
            self._lose(worker)
            return [(worker, Death(f"{self.where} died ({worker})"))]
        if self._setup is None or self._setup.status != "finished":
            self._setup = self._client.scatter(self._bytes, workers=[worker], hash=False)
        self._states[worker] = self._submit(worker, _State, self._setup)
        self._ask(worker, _greet, self._states[worker])
        return []

    def _ask(self, worker: str, function: Callable[..., Any], *args: Any) -> None:
        future = self._submit(worker, function, *args)
        self._asked[worker] = future
        future.add_done_callback(lambda done: self._done.put((worker, done)))

    def _submit(self, worker: str, function: Callable[..., Any], *args: Any) -> Any:
        self._n_calls += 1
        key = f"rlfocal-{self._mark}-{self._n_calls}"
        return self._client.submit(function, *args, key=key, workers=[worker], retries=0)

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
    def _in_touch(self) -> Iterator[None]:
        """Say what it means when the scheduler does not answer.

        Raises:
            RlfocalError: it has gone.
        """
        try:
            yield
        except (OSError, TimeoutError, RuntimeError) as exc:
            raise RlfocalError(f"the Dask scheduler has gone: {exc}") from exc


@contextlib.contextmanager
def _connected(address: str) -> Iterator[Any]:
    """A client of the scheduler, for as long as this lasts.

    Raises:
        ConfigError: nobody answers.
    """
    distributed = need("distributed", "--on dask")
    try:
        client = distributed.Client(address, timeout=CONNECT_S, set_as_default=False)
    except (OSError, TimeoutError, ValueError) as exc:
        raise ConfigError(f"--on dask:{address}: no scheduler there: {exc}") from exc
    try:
        yield client
    finally:
        with contextlib.suppress(OSError, TimeoutError, RuntimeError):  # it may have gone
            client.close()
