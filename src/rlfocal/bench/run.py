"""Run every (fold, seed, strategy) job and gather what came out."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rlfocal.bench.protocol import EvalProtocol
from rlfocal.bench.result import BenchResult
from rlfocal.executor import Executor, SerialExecutor
from rlfocal.records import ResponseTable

__all__ = ["run_bench"]


def run_bench(
    table: ResponseTable,
    strategies: Sequence[str],
    protocol: EvalProtocol,
    *,
    executor: Executor | None = None,
    on_progress: Callable[[int, int, str], None] | None = None,
) -> BenchResult:
    raise NotImplementedError((executor, SerialExecutor))
