"""Jobs run here, one after another."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from threadpoolctl import threadpool_limits

from rlfocal.executor.protocol import named

__all__ = ["SerialExecutor"]

S = TypeVar("S")
J = TypeVar("J")
R = TypeVar("R")


class SerialExecutor:
    """Runs the jobs here, one after another."""

    def map(
        self, function: Callable[[S, J], R], jobs: Sequence[J], *, shared: S
    ) -> Iterator[tuple[int, R]]:
        """See `Executor.map`."""
        for index, job in enumerate(jobs):
            with threadpool_limits(limits=1), named(job):
                result = function(shared, job)
            yield index, result
