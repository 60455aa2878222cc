"""Files that appear whole or not at all, and bad places refused before any work.

Knows nothing of what the files hold.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

from rlfocal.errors import ConfigError, RecordError

__all__ = ["check_own", "check_writable", "read_json", "replace_file"]


def check_writable(folder: Path) -> None:
    """Make the folder and try it, so that an unwritable one is refused before any work.

    Raises:
        ConfigError: it cannot be written to; the message says why.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as exc:
        reason = exc.strerror or str(exc)
        raise ConfigError(f"{folder}: cannot be written: {reason}; name another folder") from exc


def check_own(folder: Path, names: Collection[str], what: str, *, overwrite: bool) -> None:
    """Refuse a folder with files of somebody else, or with files that shall stay.

    Args:
        folder: may be missing or empty.
        names: of the files that are `what`.
        what: they are, for the message.
        overwrite: whether they may be replaced.

    Raises:
        ConfigError: something is in the way.
    """
    found = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
    foreign = [name for name in found if name not in names]
    if foreign:
        raise ConfigError(
            f"{folder}: holds other files ({', '.join(foreign[:3])}); name a new folder"
        )
    if found and not overwrite:
        raise ConfigError(
            f"{folder}: already holds {what}; name a new folder, or overwrite it (--overwrite)"
        )


def replace_file(path: Path, write: Callable[[Path], object]) -> None:
    """Write beside a file, then put it in that file's place.

    Args:
        path: the file; what it held stays until the new one is whole.
        write: writes the new content to the path it is given.

    Raises:
        ConfigError: it cannot be written.
    """
    try:
        handle, name = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
        os.close(handle)
        fresh = Path(name)
        try:
            write(fresh)
            fresh.chmod(0o644)
            fresh.replace(path)
        finally:
            fresh.unlink(missing_ok=True)
    except OSError as exc:
        raise ConfigError(f"{path}: cannot be written: {exc.strerror or exc}") from exc


def read_json(path: Path) -> Any:
    """Read a JSON file that `replace_file` wrote.

    Raises:
        RecordError: it is missing or not JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as exc:
        raise RecordError(f"{path}: cannot be read: {exc}; make it again") from exc
