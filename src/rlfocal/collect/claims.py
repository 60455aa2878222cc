"""Whose claims on calls are, and which of them hold nobody back: those of processes that ended."""

from __future__ import annotations

import os
import socket
import time
import uuid
from functools import cache, partial
from pathlib import Path

from rlfocal.records.database import Database
from rlfocal.records.database.sharing import end_lease, spenders

__all__ = ["awake_s", "new_owner", "release_dead"]

awake_s = (
    partial(time.clock_gettime, time.CLOCK_BOOTTIME)
    if hasattr(time, "CLOCK_BOOTTIME")
    else time.monotonic
)
"""Seconds that only grow, while this machine sleeps, too: leases run out meanwhile."""


def new_owner(pid: int | None = None) -> str:
    """A name for the claims of one run; no other has it, and it says which process it is of.

    Args:
        pid: of the process; None for this one.
    """
    return f"{_machine()}:{pid or os.getpid()}:{time.time_ns()}"


def release_dead(database: Database) -> None:
    """Release what processes of this machine hold that have ended."""
    lent = set(spenders(database.connections))
    for owner in sorted(lent.union(database.owners())):
        name, _, rest = owner.partition(":")
        pid = rest.partition(":")[0]
        if name == _machine() and pid.isdigit() and not _alive(int(pid)):
            database.release(None, owner)
            if owner in lent:
                end_lease(database.connections, owner)


@cache
def _machine() -> str:
    """Where numbers of processes mean the same: containers may have one name and others."""
    parts = [socket.gethostname().replace(":", "-")]
    try:
        parts += [Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()[:8]]
        parts += [str(os.stat("/proc/self/ns/pid").st_ino)]
    except OSError:  # not Linux: no containers, but several machines may have one name
        parts += [f"{uuid.getnode():x}"]
    return "/".join(parts)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
