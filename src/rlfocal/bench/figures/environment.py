"""The environment of a result: versions and processor, but no name of a machine or user."""

from __future__ import annotations

import os
import platform
from importlib import metadata
from pathlib import Path

import rlfocal

__all__ = ["environment"]

_LIBRARIES = ("numpy", "scikit-learn", "pyarrow", "torch")


def environment() -> dict[str, str | int]:
    """Versions, platform, processor and its cores, as far as they are known."""
    found: dict[str, str | int] = {
        "rlfocal": rlfocal.__version__,
        "python": platform.python_version(),
    }
    for name in _LIBRARIES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    found["platform"] = f"{platform.system()} {platform.machine()}"
    found["cpu"] = _processor()
    found["cores"] = _cores()
    return found


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or "unknown"
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
