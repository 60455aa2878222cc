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
from multiprocessing.reduction import DupFd, ForkingPickler
from typing import Any, NamedTuple

from rlfocal.errors import ConfigError
from rlfocal.executor.messages import sending

__all__ = ["Handle", "Mapped", "mapped"]

_ALIGN = 64
"""Bytes at whose multiples arrays begin, as numpy and Arrow like them."""


class Handle:
    """A file's handle; as an argument of a process that is started it is a handle there, an int."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __reduce__(self) -> tuple[Any, ...]:
        return _detached, (DupFd(self.number),)


def _detached(there: Any) -> int:
    return int(there.detach())


class Mapped(NamedTuple):
    """How a value lies in a file that a process has inherited."""

    places: tuple[tuple[int, int], ...]
    """Begin and end of each array in the file."""
    rest: bytes

    def value(self, handle: int) -> Any:
        """The value; its arrays are the file's."""
        whole = mmap.mmap(handle, 0, access=mmap.ACCESS_READ)
        arrays = [memoryview(whole)[begin:end] for begin, end in self.places]
        return ForkingPickler.loads(self.rest, buffers=arrays)


class _Apart(ForkingPickler):
    """Leaves arrays out, and hands them over."""

    def __init__(self, file: io.BytesIO, arrays: list[memoryview]) -> None:
        super(ForkingPickler, self).__init__(
            file, protocol=5, buffer_callback=lambda array: arrays.append(array.raw())
        )
        self.dispatch_table = ForkingPickler(io.BytesIO()).dispatch_table


@contextmanager
def mapped(value: object) -> Iterator[tuple[Mapped, Handle]]:
    """Lay a value out for other processes, for as long as this lasts.

    Raises:
        ConfigError: it cannot be sent to another process, or there is no room for it.
    """
    arrays: list[memoryview] = []
    rest = io.BytesIO()
    with sending():
        _Apart(rest, arrays).dump(value)
    handle = _file()
    try:
        try:
            places = _written(handle, arrays)
        except OSError as exc:
            raise ConfigError(
                f"no room for what processes share: {exc.strerror or exc}; use one job"
            ) from exc
        yield Mapped(places, rest.getvalue()), Handle(handle)
    finally:
        os.close(handle)


def _written(handle: int, arrays: list[memoryview]) -> tuple[tuple[int, int], ...]:
    places, at = [], 0
    with os.fdopen(handle, "wb", closefd=False) as file:
        for array in arrays:
            file.write(bytes(-at % _ALIGN))
            at += -at % _ALIGN
            file.write(array)
            places.append((at, at + array.nbytes))
            at += array.nbytes
        file.write(b"\0")  # nothing can be mapped of an empty file
    return tuple(places)


def _file() -> int:
    """The handle of a file without a name, in memory where the system has such."""
    if hasattr(os, "memfd_create"):
        return os.memfd_create("rlfocal")
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())
