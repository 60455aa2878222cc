"""Jobs run in processes of this machine."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from typing import TypeVar

from threadpoolctl import threadpool_limits

from rlfocal.errors import ConfigError
from rlfocal.executor.crews import Death, hand_out
from rlfocal.executor.makes import make
from rlfocal.executor.mapped import Handle, mapped
from rlfocal.executor.messages import outcome, packed, read, unpacked

__all__ = ["ProcessExecutor"]

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

_GUARD = 'does its work under `if __name__ == "__main__":`, since each of them reads it again'


class ProcessExecutor:
    """Runs the jobs in processes of this machine.

    Workers are started afresh (spawn), so they share no state with this process, and a script that
    uses them needs the usual `if __name__ == "__main__":`. Jobs and results go through a
    pipe of its own to each worker, and so does the shared input but for its arrays, which all read
    in one place: classes have to be importable by name. Ctrl-C reaches this
    process alone, which then ends the workers; however it ends itself, they end with it. What a
    worker prints goes to the standard error. A job cannot use `multiprocessing` itself.

    A job whose worker dies is run again by another. A worker that was killed is not replaced while
    others are there: most likely memory ran out, and fewer jobs at once need less.

    Args:
        n_workers: processes, at least 1; no more are started than there are jobs.

    Raises:
        ConfigError: fewer than one worker; from `map`: something that cannot be sent to another
            process, before any job runs, or cannot be read there.
        RlfocalError: from `map`: the workers of one job died again and again.
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
        if getattr(multiprocessing.current_process(), "_inheriting", False):
            # This process is one of another's workers, and reads its script.
            raise ConfigError(f"A script that uses processes {_GUARD}")
        messages = [packed(job) for job in jobs]
        with (
            mapped((function, shared)) as (setup, file),
            _started(min(self.n_workers, len(jobs)), packed(setup), file) as crew,
        ):
            yield from hand_out(crew, jobs, messages)


class _Worker:
    """A process, and the pipe to it; its end of the pipe closes when it ends, however it does."""

    is_ready = False
    """Whether it has said so."""

    def __init__(self, file: Handle) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        # A daemon, so that Python ends it if this program is at its end before `map` is.
        self.process = context.Process(target=_work, args=(theirs, file), daemon=True)
        self.process.start()
        theirs.close()

    @property
    def killed(self) -> bool:
        """Whether somebody ended it, as the system does when memory runs out."""
        return self.process.exitcode == -signal.SIGKILL

    def send(self, message: memoryview) -> None:
        """Send something; that it is dead is found where its reply is read."""
        with contextlib.suppress(OSError):
            self.pipe.send_bytes(message)

    def received(self) -> bytes | Death:
        """What it has sent, or that it has ended."""
        try:
            return self.pipe.recv_bytes()
        except (EOFError, OSError):
            self.process.join(1)
        status = self.process.exitcode
        if status == 1 and not self.is_ready:  # Python met an error, and will meet it again
            raise ConfigError(
                "a worker process could not start; what it printed says why. A script that uses "
                f"processes {_GUARD}"
            )
        return Death(
            "a worker process was killed; most likely memory ran out: use fewer jobs at once"
            if self.killed
            else f"a worker process ended unexpectedly, with status {status}; what it printed may "
            "say why"
        )


class _Crew:
    """The processes that are there."""

    where = "a worker process"

    def __init__(self, setup: memoryview, file: Handle) -> None:
        self._setup, self._file, self.workers = setup, file, list[_Worker]()

    def add(self, n_workers: int) -> None:
        """Start workers, and send them what all jobs share."""
        before = len(self.workers)
        # Another thread, since no signal interrupts it: a worker born half-way has no end.
        with ThreadPoolExecutor(1) as thread:
            thread.submit(_start, self.workers, n_workers, self._file).result()
        for worker in self.workers[before:]:
            worker.send(self._setup)

    def send(self, worker: _Worker, job: memoryview) -> None:
        """See `Crew.send`."""
        worker.send(job)

    def received(self) -> Iterator[tuple[_Worker, bytes | Death]]:
        """See `Crew.received`."""
        of_pipe = {worker.pipe: worker for worker in self.workers}
        for worker in [of_pipe[pipe] for pipe in wait(list(of_pipe))]:  # type: ignore[index]
            message = worker.received()
            if isinstance(message, Death):
                self.workers.remove(worker)
                worker.pipe.close()
                # Fewer need less memory, and no job is to blame where none had begun.
                spared = worker.killed and bool(self.workers)
                message = message._replace(guilty=worker.is_ready or not spared)
                if not spared:
                    self.add(1)
            worker.is_ready = True
            yield worker, message


@contextlib.contextmanager
def _started(n_workers: int, setup: memoryview, file: Handle) -> Iterator[_Crew]:
    """Workers, which end when this does: of themselves if all went well, else at once."""
    crew = _Crew(setup, file)
    try:
        crew.add(n_workers)
        yield crew
    except BaseException:
        for worker in crew.workers:
            worker.process.kill()
        raise
    finally:
        for worker in crew.workers:
            worker.pipe.close()
            worker.process.join()


def _start(workers: list[_Worker], n_workers: int, file: Handle) -> None:
    """Start workers, which inherit one thread each and a mask that keeps Ctrl-C from them."""
    before = {name: os.environ[name] for name in _ONE_THREAD if name in os.environ}
    os.environ.update(dict.fromkeys(_ONE_THREAD, "1"))
    if hasattr(signal, "pthread_sigmask"):
        resource_tracker.ensure_running()  # starting it would take the mask away
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # of this thread alone
    try:
        for _ in range(n_workers):
            workers.append(_Worker(file))
    finally:
        for name in _ONE_THREAD:
            del os.environ[name]
        os.environ.update(before)


def _work(pipe: Connection, file: int) -> None:
    """Receive the shared input, then do jobs until there are no more."""
    threading.Thread(target=_leave_with_parent, daemon=True).start()
    # Whoever reads this program's output waits until no process can write to it any more.
    os.dup2(2, 1)
    threadpool_limits(limits=1)
    with contextlib.suppress(EOFError, ConnectionError):  # the other end is closed
        setup = pipe.recv_bytes()
        function, shared = read(lambda: unpacked(setup).value(file))
        pipe.send_bytes(packed((make(), None, "")))
        while True:
            pipe.send_bytes(outcome(function, shared, pipe.recv_bytes()))


def _leave_with_parent() -> None:
    """End this worker, in the middle of a job too, when no process is left to take its results."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)
