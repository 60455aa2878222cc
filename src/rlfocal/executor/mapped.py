"""What processes of one machine share: its arrays are in memory once, and read-only.

The arrays lie in a file in memory that every process maps; the rest, which is small where tables
are large, goes to each in a message.
"""

from __future__ import annotations

import io
import mmap
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.reduction import ForkingPickler
from pickle import PickleBuffer, PicklingError
from typing import Any, NamedTuple

from rlfocal.errors import ConfigError
from rlfocal.executor.messages import REMEDY

__all__ = ["Mapped", "mapped"]

_ALIGN = 64
"""Bytes at whose multiples arrays begin, as numpy and Arrow like them."""


class Mapped(NamedTuple):
    """Where a value lies; sent to a process of this machine, it is the value there."""

    path: str
    places: tuple[tuple[int, int], ...]
    """Begin and end of each array in the file."""
    rest: bytes

    def value(self) -> Any:
        """The value; its arrays are the file's."""
        with open(self.path, "rb") as file:
            whole = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        arrays = [memoryview(whole)[begin:end] for begin, end in self.places]
        return ForkingPickler.loads(self.rest, buffers=arrays)


class _Apart(ForkingPickler):
    """Leaves arrays out, and hands them over."""

    def __init__(self, file: io.BytesIO, arrays: list[PickleBuffer]) -> None:
        super(ForkingPickler, self).__init__(file, protocol=5, buffer_callback=arrays.append)
        self.dispatch_table = ForkingPickler(io.BytesIO()).dispatch_table


@contextmanager
def mapped(value: object) -> Iterator[Mapped]:
    """Lay a value out for other processes, for as long as this lasts.

    Raises:
        ConfigError: it cannot be sent to another process.
    """
    arrays: list[PickleBuffer] = []
    rest = io.BytesIO()
    try:
        _Apart(rest, arrays).dump(value)
    except (PicklingError, AttributeError, TypeError) as exc:
        raise ConfigError(f"cannot be sent to another process: {exc}; {REMEDY}") from exc
    with _file() as (path, handle):
        places, at = [], 0
        with os.fdopen(handle, "wb", closefd=False) as file:
            for array in arrays:
                file.write(bytes(-at % _ALIGN))
                at += -at % _ALIGN
                with array.raw() as raw:
                    file.write(raw)
                    places.append((at, at + raw.nbytes))
                    at += raw.nbytes
            file.write(b"\0")  # nothing can be mapped of an empty file
        yield Mapped(path, tuple(places), rest.getvalue())


@contextmanager
def _file() -> Iterator[tuple[str, int]]:
    """A file for others: its path, and its handle here.

    It ends with this process, however that ends, where the system has such files.
    """
    in_memory = hasattr(os, "memfd_create")
    if in_memory:
        handle = os.memfd_create("rlfocal")
        path = f"/proc/{os.getpid()}/fd/{handle}"
    else:
        handle, path = tempfile.mkstemp(prefix="rlfocal-")
    try:
        yield path, handle
    finally:
        os.close(handle)
        if not in_memory:
            os.unlink(path)
