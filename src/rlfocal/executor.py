"""Where independent jobs run: here, or in processes of this machine; the results are the same.

Nothing else in rlfocal knows how many machines or processes there are. An executor hands one big
shared input to every worker once, and runs every job on a single thread, so that neither the
number of workers nor the order of completion can change a result.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.reduction import ForkingPickler
from pickle import PicklingError
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
_REMEDY = (
    "define its class or function at the top of a module (not inside a function, no lambda, no "
    "open file or lock), or use one job"
)


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
    uses them needs the usual `if __name__ == "__main__":`. Input, jobs and results go through a
    pipe of its own to each worker: their classes have to be importable by name. Ctrl-C reaches this
    process alone, which then ends the workers; however it ends itself, they end with it. What a
    worker prints goes to the standard error. A job cannot use `multiprocessing` itself.

    Args:
        n_workers: processes, at least 1; no more are started than there are jobs.

    Raises:
        ConfigError: fewer than one worker; from `map`: something that cannot be sent to another
            process, before any job runs, or cannot be read there.
        RlfocalError: from `map`: a worker ended before its jobs did.
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
        setup, *messages = map(_packed, [(function, shared), *jobs])
        open_jobs = iter(enumerate(messages))
        with _started(min(self.n_workers, len(jobs))) as workers:
            for worker in workers:
                worker.send(setup)
                worker.begin(open_jobs)
            del setup
            while at_work := [worker for worker in workers if worker.job >= 0]:
                ready = wait([worker.pipe for worker in at_work])
                for worker in (worker for worker in at_work if worker.pipe in ready):
                    index = worker.job
                    with _named(jobs[index]):
                        result = worker.result()
                    worker.begin(open_jobs)
                    yield index, result


class _Worker:
    """A process, and the pipe to it; its end of the pipe closes when it ends, however it does."""

    job = -1
    """Index of the job that it is at; -1 for none."""

    def __init__(self) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        # A daemon, so that Python ends it if this program is at its end before `map` is.
        self.process = context.Process(target=_work, args=(theirs,), daemon=True)
        self.process.start()
        theirs.close()

    def send(self, message: memoryview) -> None:
        with self._alive():
            self.pipe.send_bytes(message)

    def begin(self, open_jobs: Iterator[tuple[int, memoryview]]) -> None:
        """Send the next job, if there is one."""
        self.job, message = next(open_jobs, (-1, None))
        if message is not None:
            self.send(message)

    def result(self) -> Any:
        """Of its job, or raise what that raised."""
        with self._alive():
            message = self.pipe.recv_bytes()
        result, error, where = ForkingPickler.loads(message)
        if error is not None:
            raise error from RlfocalError(f"in a worker process:\n{where}")
        return result

    @contextlib.contextmanager
    def _alive(self) -> Iterator[None]:
        try:
            yield
        except (EOFError, OSError) as exc:
            self.process.join(1)
            raise RlfocalError(
                "a worker process was killed; most likely memory ran out: use fewer jobs at once"
                if self.process.exitcode == -9
                else f"a worker process ended unexpectedly, with status {self.process.exitcode}; "
                "what it printed may say why"
            ) from exc


@contextlib.contextmanager
def _started(n_workers: int) -> Iterator[list[_Worker]]:
    """Workers, which end when this does: of themselves if all went well, else at once."""
    workers: list[_Worker] = []
    try:
        # Another thread, since no signal interrupts it: a worker born half-way has no end.
        with ThreadPoolExecutor(1) as thread:
            thread.submit(_start, workers, n_workers).result()
        yield workers
    except BaseException:
        for worker in workers:
            worker.process.kill()
        raise
    finally:
        for worker in workers:
            worker.pipe.close()
            worker.process.join()


def _start(workers: list[_Worker], n_workers: int) -> None:
    """Start workers, which inherit one thread each and a mask that keeps Ctrl-C from them."""
    before = {name: os.environ[name] for name in _ONE_THREAD if name in os.environ}
    os.environ.update(dict.fromkeys(_ONE_THREAD, "1"))
    if hasattr(signal, "pthread_sigmask"):
        resource_tracker.ensure_running()  # starting it would take the mask away
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # of this thread alone
    try:
        for _ in range(n_workers):
            workers.append(_Worker())
    finally:
        for name in _ONE_THREAD:
            del os.environ[name]
        os.environ.update(before)


def _packed(value: object) -> memoryview:
    """What goes through a pipe for a value.

    Raises:
        ConfigError: it cannot be sent.
    """
    try:
        return ForkingPickler.dumps(value)
    except (PicklingError, AttributeError, TypeError) as exc:
        raise ConfigError(f"cannot be sent to another process: {exc}; {_REMEDY}") from exc


@contextlib.contextmanager
def _named(job: object) -> Iterator[None]:
    try:
        yield
    except Exception as exc:
        exc.add_note(f"in job: {job}")
        raise


def _work(pipe: Connection) -> None:
    """Receive the shared input, then do jobs until there are no more."""
    threading.Thread(target=_leave_with_parent, daemon=True).start()
    # Whoever reads this program's output waits until no process can write to it any more.
    os.dup2(2, 1)
    threadpool_limits(limits=1)
    with contextlib.suppress(EOFError, ConnectionError):  # the other end is closed
        function, shared = _read(pipe.recv_bytes())
        while True:
            pipe.send_bytes(_outcome(function, shared, pipe.recv_bytes()))


def _leave_with_parent() -> None:
    """End this worker, in the middle of a job too, when no process is left to take its results."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


def _read(setup: bytes) -> Any:
    """The function of the jobs and their shared input; or what says why they cannot be read."""
    try:
        return ForkingPickler.loads(setup)
    except Exception as exc:  # importing a user's module may raise anything
        return _refuse, f"cannot be read in another process: {exc}; {_REMEDY}"


def _refuse(message: str, job: object) -> NoReturn:
    raise ConfigError(message)


def _outcome(function: Callable[[Any, Any], Any], shared: object, job: bytes) -> memoryview:
    """What goes back for a job: its result, or else the exception and the traceback."""
    try:
        return ForkingPickler.dumps((function(shared, ForkingPickler.loads(job)), None, ""))
    except Exception as exc:
        where = traceback.format_exc()
        try:
            failed = ForkingPickler.dumps((None, exc, where))
            ForkingPickler.loads(failed)
        except Exception:  # of a class that cannot be sent, or not be made again from what is sent
            instead = RlfocalError(f"{type(exc).__name__}: {exc}")
            failed = ForkingPickler.dumps((None, instead, where))
        return failed
