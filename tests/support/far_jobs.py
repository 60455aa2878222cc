"""Jobs for executors whose workers are processes or machines of their own."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import numpy as np


def dies_once(shared: str, job: int) -> int:
    """Kills its worker the first time that job 2 is run."""
    mark = Path(shared) / "died"
    if job == 2 and not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(0.2)
    return job * 10


def dies(shared: int, job: int) -> int:
    """Kills its worker every time that the job is the one which is shared."""
    if job == shared:
        os.kill(os.getpid(), signal.SIGKILL)
    return job


def long(shared: str, job: int) -> int:
    """Marks its begin, and its end too if it gets there, which takes a while unless it is 0."""
    if job:
        mark = Path(shared) / f"{os.getpid()}"
        mark.with_suffix(".begun").touch()
        for _ in range(100):
            time.sleep(0.1)
        mark.with_suffix(".ended").touch()
    return job


def own_kib(shared: np.ndarray, job: int) -> tuple[float, int]:
    """Memory of no file, a worker's own, after it has read everything; in KiB."""
    total = float(shared.sum())
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    own = {line.split()[0]: int(line.split()[1]) for line in lines[1:]}
    return total, own["Anonymous:"]


def slow(shared: float, job: int) -> int:
    """Takes its time, and says who did it."""
    time.sleep(shared)
    return os.getpid()
