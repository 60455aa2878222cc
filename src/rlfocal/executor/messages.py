"""What goes to a worker and comes back from it, as bytes: the same wherever the worker is.

An exception of a job comes back as a value, so that it is the same one whatever carries it, and no
engine takes it for a failure of its own and runs the job again.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.reduction import ForkingPickler
from pickle import PicklingError
from typing import Any, NoReturn

from rlfocal.errors import ConfigError, RlfocalError

__all__ = ["REMEDY", "opened", "outcome", "packed", "read", "sending", "unpacked"]

REMEDY = (
    "define its class or function at the top of a module (not inside a function, no lambda, no "
    "open file or lock), or use one job"
)


@contextmanager
def sending() -> Iterator[None]:
    """Around whatever makes something ready for another process.

    Raises:
        ConfigError: it cannot be sent.
    """
    try:
        yield
    except (PicklingError, AttributeError, TypeError) as exc:
        raise ConfigError(f"cannot be sent to another process: {exc}; {REMEDY}") from exc


def packed(value: object) -> memoryview:
    """What is sent for a value.

    Raises:
        ConfigError: it cannot be sent.
    """
    with sending():
        return ForkingPickler.dumps(value)


def unpacked(message: bytes) -> Any:
    """Undo `packed`."""
    return ForkingPickler.loads(message)


def read(load: Callable[[], Any], remedy: str = REMEDY) -> Any:
    """The function of the jobs and their shared input; or what says why they cannot be read."""
    try:
        return load()
    except Exception as exc:  # importing a user's module may raise anything
        return _refuse, f"cannot be read in another process: {exc}; {remedy}"


def _refuse(message: str, job: object) -> NoReturn:
    raise ConfigError(message)


def outcome(function: Callable[[Any, Any], Any], shared: object, job: bytes) -> memoryview:
    """What goes back for a job: its result, or else the exception and the traceback."""
    try:
        return ForkingPickler.dumps((function(shared, ForkingPickler.loads(job)), None, ""))
    except Exception as exc:
        where = traceback.format_exc()
        try:
            failed = ForkingPickler.dumps((None, exc, where))
            ForkingPickler.loads(failed)
        except Exception:  # of a class that cannot be sent, or not be made again from what is sent
            instead = RlfocalError(f"{type(exc).__name__}: {exc}")
            failed = ForkingPickler.dumps((None, instead, where))
        return failed


def opened(message: bytes) -> Any:
    """The result in what came back, or raise what the job raised."""
    result, error, where = ForkingPickler.loads(message)
    if error is not None:
        raise error from RlfocalError(f"in a worker process:\n{where}")
    return result
