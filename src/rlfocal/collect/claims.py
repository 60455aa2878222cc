"""Whose claims on calls are, and which of them hold nobody back: those of processes that ended."""

from __future__ import annotations

import os
import socket
import time

from rlfocal.records.database import Database

__all__ = ["new_owner", "release_dead"]


def new_owner() -> str:
    """A name for the claims of one run; no other has it, and it says which process it is of."""
    return f"{socket.gethostname()}:{os.getpid()}:{time.time_ns()}"


def release_dead(database: Database) -> None:
    """Release the claims of processes of this machine that have ended."""
    host = socket.gethostname()
    for owner in database.owners():
        name, _, rest = owner.partition(":")
        pid = rest.partition(":")[0]
        if name == host and pid.isdigit() and not _alive(int(pid)):
            database.release(None, owner)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
