"""A part of the disk kept for when there is none left, so that what was paid for is stored.

A file beside a SQLite file, as large as what may come back at once; it holds nothing of worth.
"""

from __future__ import annotations

import contextlib
import errno
import os
from pathlib import Path

from rlfocal.errors import DatabaseError

__all__ = ["Reserve"]

_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


class Reserve:
    """Takes room on a disk, and gives it back.

    Args:
        database: path of the database's file.
    """

    def __init__(self, database: Path) -> None:
        self._database = database
        self._path = database.with_name(f"{database.name}-reserve")

    def take(self, n_bytes: int) -> None:
        """Take so much; where a file cannot be made for another reason, nothing.

        Raises:
            DatabaseError: there is no room for it.
        """
        try:
            # Noise, since file systems that compress would give zeros no room.
            self._path.write_bytes(os.urandom(n_bytes))
        except OSError as exc:
            self.give_back()
            if exc.errno in _NO_ROOM:
                raise DatabaseError(
                    f"{self._database}: the disk is full: it has no room for {n_bytes >> 10} KiB, "
                    "which what is paid for may need; free some space and start again"
                ) from exc

    def give_back(self) -> None:
        """Give all of it back; there may be none."""
        with contextlib.suppress(OSError):
            self._path.unlink(missing_ok=True)
