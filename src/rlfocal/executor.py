"""Where independent jobs run: here, or in processes of this machine; the results are the same.

Nothing else in rlfocal knows how many machines or processes there are. An executor hands one big
shared input to every worker once, and runs every job on a single thread, so that neither the
number of workers nor the order of completion can change a result.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import multiprocessing.connection
import os
import pickle
import signal
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any, NoReturn, Protocol, TypeVar

from threadpoolctl import threadpool_limits

from rlfocal.errors import ConfigError, RlfocalError

__all__ = ["Executor", "ProcessExecutor", "SerialExecutor"]

S = TypeVar("S")
J = TypeVar("J")
R = TypeVar("R")

_ONE_THREAD = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMEXPR_NUM_THREADS",
)
"""Read by numerical libraries while they load, so a worker must be born with them."""


_GRACE_S = 1.0
"""How long a worker that is told to end may go on writing what it has."""


class Executor(Protocol):
    """Runs independent jobs; the caller may not depend on where or in which order."""

    def map(
        self, function: Callable[[S, J], R], jobs: Sequence[J], *, shared: S
    ) -> Iterator[tuple[int, R]]:
        """Run `function(shared, job)` for every job.

        Args:
            function: importable by name (a module's function), with no state of its own.
            jobs: small inputs, one a job.
            shared: the big input, handed to each worker once.

        Yields:
            The index of a job and its result, in order of completion.

        Raises:
            Exception: whatever a job raised, with a note that names the job; open jobs are dropped.
        """
        ...


class SerialExecutor:
    """Runs the jobs here, one after another."""

    def map(
        self, function: Callable[[S, J], R], jobs: Sequence[J], *, shared: S
    ) -> Iterator[tuple[int, R]]:
        """See `Executor.map`."""
        for index, job in enumerate(jobs):
            with threadpool_limits(limits=1), _named(job):
                result = function(shared, job)
            yield index, result


class ProcessExecutor:
    """Runs the jobs in processes of this machine.

    Workers are started afresh (spawn), so they share no state with this process, and a script that
    uses them needs the usual `if __name__ == "__main__":`. Ctrl-C reaches this process alone, which
    then ends the workers; so it does where it is told to end (SIGTERM: `SystemExit` with status
    143, unless the program has a handler of its own). However it ends, a worker that has lost it
    leaves. What a worker prints goes to the standard error. Function, jobs and shared input are
    pickled: their classes have to be importable by name.

    Args:
        n_workers: processes, at least 1; no more are started than there are jobs.

    Raises:
        ConfigError: fewer than one worker; from `map`, before any job runs: something that cannot
            be pickled.
    """

    def __init__(self, n_workers: int) -> None:
        if n_workers < 1:
            raise ConfigError(f"jobs must be at least 1, got {n_workers}")
        self.n_workers = n_workers

    def map(
        self, function: Callable[[S, J], R], jobs: Sequence[J], *, shared: S
    ) -> Iterator[tuple[int, R]]:
        """See `Executor.map`."""
        if not jobs:
            return
        with _ended_in_order(), tempfile.TemporaryDirectory(prefix="rlfocal-") as folder:
            given = Path(folder) / "shared.pickle"
            with _sendable(), given.open("wb") as file:
                pickle.dump(shared, file, pickle.HIGHEST_PROTOCOL)
                pickle.dumps((function, *jobs))
            yield from self._results(function, jobs, given)

    def _results(
        self, function: Callable[[S, J], R], jobs: Sequence[J], given: Path
    ) -> Iterator[tuple[int, R]]:
        before = set(multiprocessing.active_children())
        pool = ProcessPoolExecutor(
            min(self.n_workers, len(jobs)),
            mp_context=multiprocessing.get_context("spawn"),
            initializer=_start_worker,
            # Not the input itself: it would go through a pipe, and a worker that dies before it has
            # read all of that leaves this process writing for ever.
            initargs=(given,),
        )
        try:
            with _later_interrupt(), _birth_of_workers():
                index_of = {pool.submit(_work, function, job): i for i, job in enumerate(jobs)}
            for future in as_completed(index_of):
                index = index_of.pop(future)
                with _named(jobs[index]):
                    result = future.result()
                yield index, result
        except BrokenProcessPool as exc:
            raise RlfocalError(
                f"a worker process ended unexpectedly ({len(jobs)} jobs on {self.n_workers} "
                "workers); most likely memory ran out: use fewer jobs at once"
            ) from exc
        except BaseException:
            for worker in set(multiprocessing.active_children()) - before:
                worker.terminate()
            raise
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


@contextlib.contextmanager
def _sendable() -> Iterator[None]:
    try:
        yield
    except (pickle.PicklingError, AttributeError, TypeError) as exc:
        raise ConfigError(
            f"cannot be sent to another process: {exc}; define its class or function at the top of "
            "a module (not inside a function, no lambda, no open file or lock), or use one job"
        ) from exc


@contextlib.contextmanager
def _named(job: object) -> Iterator[None]:
    try:
        yield
    except Exception as exc:
        exc.add_note(f"in job: {job}")
        raise


@contextlib.contextmanager
def _birth_of_workers() -> Iterator[None]:
    """What workers inherit: one thread each, and a mask that keeps Ctrl-C from them."""
    before = {name: os.environ.get(name) for name in _ONE_THREAD}
    os.environ.update(dict.fromkeys(_ONE_THREAD, "1"))
    hold = hasattr(signal, "pthread_sigmask")
    if hold:
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
        if hold:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def _terminated(*_: object) -> NoReturn:
    """What ends a program in order, as Ctrl-C does: everybody on the way out cleans up."""
    raise SystemExit(128 + signal.SIGTERM)


@contextlib.contextmanager
def _ended_in_order() -> Iterator[None]:
    """Let SIGTERM end this process by an exception, where it would end it on the spot."""
    in_main = threading.current_thread() is threading.main_thread()
    if not in_main or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield  # handlers run in the main thread alone; whoever has one knows what to do
        return
    signal.signal(signal.SIGTERM, _terminated)
    try:
        yield
    finally:
        # A generator that nobody ends is ended by whoever collects it, in any thread.
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, signal.SIG_DFL)


@contextlib.contextmanager
def _later_interrupt() -> Iterator[None]:
    """Hold Ctrl-C and SIGTERM back until the workers are known: one born half-way has no end.

    The mask of `_birth_of_workers` is not enough, since any other thread may take the signal.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # handlers run in the main thread alone
        return
    handlers = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: _terminated}
    held: list[int] = []
    before = {  # whoever handles or ignores a signal otherwise goes on so
        number: signal.signal(number, lambda received, _: held.append(received))
        for number, handler in handlers.items()
        if signal.getsignal(number) is handler
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for received in held:  # it may be what ended the workers: it comes before their errors
            handlers[signal.Signals(received)](received, None)


_given: dict[str, Any] = {}
"""What this process was given when it was started as a worker."""


def _start_worker(given: Path) -> None:
    threading.Thread(target=_leave_with_parent, daemon=True).start()
    # Whoever reads this program's output waits until nobody can write to it any more.
    os.dup2(2, 1)
    threadpool_limits(limits=1)
    with given.open("rb") as file:
        _given["shared"] = pickle.load(file)
    signal.signal(signal.SIGTERM, _leave)


def _leave_with_parent() -> None:
    """End this worker when nobody is left to take its results, whatever it is at."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        multiprocessing.connection.wait([parent.sentinel])
        os._exit(1)


def _work(function: Callable[[Any, J], R], job: J) -> R:
    _given["working"] = True
    try:
        return function(_given["shared"], job)
    finally:
        _given["working"] = False


def _leave(*_: object) -> None:
    """End this worker: its job at once, the process when its last result is surely written.

    A worker killed in the middle of writing a result leaves the parent reading for ever.
    """
    timer = threading.Timer(_GRACE_S, os._exit, args=(1,))
    timer.daemon = True
    timer.start()
    if _given.get("working"):
        raise SystemExit(1)
