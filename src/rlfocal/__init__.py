"""rlfocal: make several LLMs answer better than any one of them, at a known cost.

The names below are the public surface. Each is imported when it is first used, so that importing
the package costs nothing, and reading data does not need what training needs.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rlfocal.bench import BenchResult, EvalProtocol, run_bench
    from rlfocal.deliberation.protocol import Outcome, Strategy
    from rlfocal.deliberation.view import View
    from rlfocal.diversity import FailureCounts, best_subsets
    from rlfocal.errors import (
        CheckpointError,
        ConfigError,
        NotApplicable,
        RecordError,
        RlfocalError,
    )
    from rlfocal.features import HashingEncoder
    from rlfocal.records import Dataset, ResponseTable, build_table, demo_dataset
    from rlfocal.records.built_in import localpool
    from rlfocal.records.folders import read_dataset, write_dataset
    from rlfocal.report import write_report

__version__ = "0.1.0"

__all__ = [
    "BenchResult",
    "CheckpointError",
    "ConfigError",
    "Dataset",
    "EvalProtocol",
    "FailureCounts",
    "HashingEncoder",
    "NotApplicable",
    "Outcome",
    "RecordError",
    "ResponseTable",
    "RlfocalError",
    "Strategy",
    "View",
    "__version__",
    "best_subsets",
    "build_table",
    "demo_dataset",
    "localpool",
    "read_dataset",
    "run_bench",
    "write_dataset",
    "write_report",
]

_NAMES_OF = {
    "rlfocal.bench": "BenchResult EvalProtocol run_bench",
    "rlfocal.diversity": "FailureCounts best_subsets",
    "rlfocal.errors": "CheckpointError ConfigError NotApplicable RecordError RlfocalError",
    "rlfocal.features": "HashingEncoder",
    "rlfocal.records": "Dataset ResponseTable build_table demo_dataset",
    "rlfocal.records.built_in": "localpool",
    "rlfocal.records.folders": "read_dataset write_dataset",
    "rlfocal.report": "write_report",
    "rlfocal.deliberation.protocol": "Outcome Strategy View",
}
_HOME = {name: module for module, names in _NAMES_OF.items() for name in names.split()}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'rlfocal' has no attribute '{name}'")
    value = globals()[name] = getattr(import_module(_HOME[name]), name)
    return value


def __dir__() -> list[str]:
    return __all__
