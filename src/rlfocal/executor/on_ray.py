"""Jobs run by actors of a Ray cluster."""

from __future__ import annotations

import contextlib
import math
import os
import re
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NoReturn, TypeVar

from threadpoolctl import threadpool_limits

from rlfocal.errors import ConfigError
from rlfocal.executor.addresses import check_reachable
from rlfocal.executor.crews import Death, hand_out
from rlfocal.executor.makes import make
from rlfocal.executor.messages import REMEDY, outcome, packed, sending
from rlfocal.extras import need

__all__ = ["RayExecutor"]

S = TypeVar("S")
J = TypeVar("J")
R = TypeVar("R")

_LOOK_S = 5.0
"""Seconds for which a worker is waited for at a time."""
_ANSI = re.compile(r"\x1b\[[0-9;]*m")


class RayExecutor:
    """Runs the jobs on a Ray cluster, one worker a CPU.

    What the jobs share goes into the object store: it is held once on every node, and all workers
    there read the same memory. A worker is an actor, which ends with this process, however that
    ends. A job whose worker or node dies is run by another; a node that joins, or comes back, takes
    the place of one that died.

    Args:
        address: what `ray.init` takes: "auto" for the cluster that this machine belongs to,
            "HOST:6379" for one that it can join, or "local" for one that is started here and ends
            with the jobs. A connection to Ray that this process has already is used as it is.

    Raises:
        NotInstalled: Ray is missing.
        ConfigError: nobody listens at the address; from `map`: the cluster cannot be joined, a node
            has other versions of what figures depend on, or something cannot be sent or read there.
        RlfocalError: from `map`: the workers of one job died again and again.
    """

    def __init__(self, address: str) -> None:
        need("ray", "--on ray")
        if address.startswith("ray://"):
            raise ConfigError(
                f"--on ray:{address}: Ray's client is not used; run this on a machine of the "
                "cluster, with --on ray:auto"
            )
        check_reachable(f"ray:{address}", address)
        self.address = address

    def map(
        self, function: Callable[[S, J], R], jobs: Sequence[J], *, shared: S
    ) -> Iterator[tuple[int, R]]:
        """See `Executor.map`."""
        if not jobs:
            return
        messages = [packed(job) for job in jobs]
        with _connected(self.address) as ray, contextlib.closing(_Crew(ray, len(jobs))) as crew:
            crew.set_up(function, shared)
            crew.complete()
            yield from hand_out(crew, jobs, messages)


class _Worker:
    """An actor: it holds what the jobs share, and does one job at a time."""

    _setup: tuple[Callable[[Any, Any], Any], object]

    def set_up(self, setup: tuple[Callable[[Any, Any], Any], object]) -> bytes:
        """Take what the jobs share, and say of what make this worker is."""
        threadpool_limits(limits=1)
        self._setup = setup
        return bytes(packed((make(), None, "")))

    def work(self, job: bytes) -> bytes:
        """Do a job."""
        return bytes(outcome(*self._setup, job))


class _Crew:
    """Actors, and what each was asked last."""

    where = "a worker of the Ray cluster"

    def __init__(self, ray: Any, n_most: int) -> None:
        self._ray, self._n_most = ray, n_most
        self._asked: dict[Any, Any] = {}
        """What is to come → the actor that it comes from."""
        self._actors: set[Any] = set()
        self._looked = -math.inf

    def set_up(self, function: Callable[[Any, Any], Any], shared: object) -> None:
        """Store what the jobs share.

        Raises:
            ConfigError: it cannot be sent.
        """
        with sending():
            self._setup = self._ray.put((function, shared))

    def complete(self) -> None:
        """Call for as many actors as there are CPUs and jobs; each starts when a CPU is free."""
        self._looked = time.monotonic()
        n_cpus = int(self._ray.cluster_resources().get("CPU", 0))
        kind = self._ray.remote(_Worker).options(num_cpus=1, scheduling_strategy="SPREAD")
        for _ in range(min(max(1, n_cpus), self._n_most) - len(self._actors)):
            actor = kind.remote()
            self._actors.add(actor)
            self._asked[actor.set_up.remote(self._setup)] = actor

    def send(self, worker: Any, job: memoryview) -> None:
        """See `Crew.send`."""
        self._asked[worker.work.remote(bytes(job))] = worker

    def received(self) -> Iterator[tuple[Any, bytes | Death]]:
        """See `Crew.received`."""
        ready, _ = self._ray.wait(list(self._asked), num_returns=1, timeout=_LOOK_S)
        for reference in ready:
            worker = self._asked.pop(reference)
            message = self._message(reference)
            if isinstance(message, Death):
                self._ray.kill(worker)  # one that is out of reach, too
                self._actors.discard(worker)
                self.complete()
            yield worker, message
        if time.monotonic() - self._looked > _LOOK_S:  # nodes may have joined
            self.complete()

    def _message(self, reference: Any) -> bytes | Death:
        errors = self._ray.exceptions
        try:
            found: bytes = self._ray.get(reference)
        except errors.RayTaskError as exc:  # jobs raise none: what they share cannot be read
            raise ConfigError(f"cannot be read in another process: {exc.cause}; {REMEDY}") from exc
        except errors.RayError as exc:
            said = _ANSI.sub("", str(exc)).strip().splitlines()
            if "creation task" in said[0]:
                raise ConfigError(
                    f"{self.where} cannot start: {said[-1].strip()}; install rlfocal there, in "
                    "the same version"
                ) from exc
            return Death(f"{self.where} or its node died ({type(exc).__name__}: {said[0]})")
        return found

    def close(self) -> None:
        """End all actors."""
        for actor in self._actors:
            self._ray.kill(actor)


@contextlib.contextmanager
def _connected(address: str) -> Iterator[Any]:
    """Ray, connected for as long as this lasts.

    Raises:
        ConfigError: nobody answers.
    """
    ray = need("ray", "--on ray")
    if ray.is_initialized():
        yield ray
        return
    # Unless told otherwise, a cluster that is started here sends reports on its use.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    options = {"include_dashboard": False} if address == "local" else {}
    before = signal.getsignal(signal.SIGTERM)
    try:
        ray.init(address, configure_logging=False, log_to_driver=False, **options)
        # Ray takes the handler away when it starts, and again when it ends.
        _handle_sigterm(_leave if before is signal.SIG_DFL else before)
    except (ConnectionError, ValueError, RuntimeError) as exc:
        _handle_sigterm(before)
        said = " ".join(_ANSI.sub("", str(exc)).split())
        raise ConfigError(f"--on ray:{address}: cannot join the cluster: {said}") from exc
    try:
        yield ray
    finally:
        ray.shutdown()
        _handle_sigterm(before)


def _handle_sigterm(how: Any) -> None:
    """Set the handler, where this may be done; None stands for one that Python does not know."""
    if threading.current_thread() is threading.main_thread() and how is not None:
        signal.signal(signal.SIGTERM, how)


def _leave(number: int, frame: object) -> NoReturn:
    """End in good order: what was started for the jobs would stay behind."""
    raise SystemExit(128 + number)
