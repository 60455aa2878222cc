"""What every executor does."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol, TypeVar

__all__ = ["Executor", "named"]

S = TypeVar("S")
J = TypeVar("J")
R = TypeVar("R")


class Executor(Protocol):
    """Runs independent jobs; the caller may not depend on where or in which order."""

    def map(
        self, function: Callable[[S, J], R], jobs: Sequence[J], *, shared: S
    ) -> Iterator[tuple[int, R]]:
        """Run `function(shared, job)` for every job.

        A job whose worker dies is run again elsewhere, so it must be one that can be: it depends
        on its inputs alone and leaves nothing behind but its result. A generator of random numbers
        does not come back from a worker: what a job draws from has to be made from a seed in it.

        Args:
            function: importable by name (a module's function), with no state of its own.
            jobs: small inputs, one a job.
            shared: the big input, handed to each worker once; its arrays may be read-only there.

        Yields:
            The index of a job and its result, in order of completion.

        Raises:
            Exception: whatever a job raised, with a note that names the job; open jobs are dropped.
            ConfigError: something cannot be sent to a worker, or cannot be read there.
            RlfocalError: the workers of one job died again and again, or there is none any more.
        """
        ...


@contextlib.contextmanager
def named(job: object) -> Iterator[None]:
    """Notes on an exception which job it was."""
    try:
        yield
    except Exception as exc:
        exc.add_note(f"in job: {job}")
        raise
