"""Run long work in a few threads beside the event loop, and short work on it.

Work counts as long by the size of its input. The threads are apart from those of the database, so
that large requests do not delay the check of other requests' keys.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import ParamSpec, TypeVar

__all__ = ["LONG", "aside"]

LONG = 16 << 10
"""Characters or bytes from which on a piece of work counts as long."""
_THREADS = ThreadPoolExecutor(2, thread_name_prefix="rlfocal-aside")
"""They share the interpreter: more of them would only take more of it from the event loop."""
_P = ParamSpec("_P")
_T = TypeVar("_T")


async def aside(size: int, work: Callable[_P, _T], *args: _P.args, **named: _P.kwargs) -> _T:
    """Call a function, in a thread where what it works on is long.

    Args:
        size: characters or bytes of what it works on.
        work: the function; it may not touch what belongs to the event loop.
        args: given to it.
        named: given to it.

    >>> asyncio.run(aside(3, len, "abc"))
    3
    """
    if size < LONG:
        return work(*args, **named)
    call = partial(contextvars.copy_context().run, work, *args, **named)
    return await asyncio.get_running_loop().run_in_executor(_THREADS, call)
