"""Room on the disk of a SQLite database: a file beside it, of no worth, until room is needed."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import sys
from io import BufferedReader, FileIO
from pathlib import Path

__all__ = ["Reserve"]


class Reserve:
    """Room of one process that writes to a database; others have their own.

    The file is locked as long as its process lives. So what a killed one has left is told from what
    is in use, in other containers, too, where numbers of processes mean nothing.

    Args:
        database: the file of the database.
    """

    def __init__(self, database: Path) -> None:
        self._folder, self._name = database.parent, f"{database.name}-reserve"
        self._file: FileIO | None = None

    def keep(self, n_bytes: int) -> None:
        """Reserve so much, in the place of what was reserved before.

        Raises:
            OSError: there is no room for it, say; then nothing is reserved.
        """
        self.give_back()
        self._remove_left()
        path = self._folder / f"{self._name}-{os.getpid()}-{secrets.token_hex(4)}"
        try:
            # Without a buffer: what could not be written is not tried again when it is closed.
            self._file = path.open("xb", buffering=0)
            with contextlib.suppress(OSError):  # a file system without locks
                _lock(self._file)
            # Noise, since file systems that compress would give zeros no room.
            # Through the file that is open: whoever removes it now takes no room away.
            left = memoryview(os.urandom(n_bytes))
            while left:
                left = left[self._file.write(left) :]
        except OSError:
            self.give_back()
            raise

    def give_back(self) -> None:
        """Remove the file; there may be none."""
        file, self._file = self._file, None
        if file is not None:
            file.close()
            with contextlib.suppress(OSError):
                Path(file.name).unlink(missing_ok=True)

    def _remove_left(self) -> None:
        """Remove what killed processes have left, those of earlier versions included."""
        ours = re.compile(re.escape(self._name) + r"(-\d+-[0-9a-f]{8})?")
        with contextlib.suppress(OSError):
            for path in [p for p in self._folder.iterdir() if ours.fullmatch(p.name)]:
                with contextlib.suppress(OSError):
                    with path.open("rb") as file:
                        _lock(file)
                    path.unlink(missing_ok=True)


def _lock(file: BufferedReader | FileIO) -> None:
    """Lock a file until it is closed.

    Raises:
        OSError: it is in use.
    """
    if sys.platform != "win32":  # where nobody can remove a file that is open
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
