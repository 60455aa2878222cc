"""Many members asked at once, until all have answered, time is up, or the outcome is settled.

Knows nothing of what is asked or of what makes an outcome settled.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Collection, Mapping

from rlfocal.errors import Failure, MemberError
from rlfocal.pool.types import Endpoint, Request, Response

__all__ = ["Slot", "ask_all"]

Slot = Response | MemberError
"""What became of one call."""
_Task = asyncio.Task[Response]

_GRACE_S = 0.05
"""How long a cancelled call may take to leave; a sound one leaves at once."""
_PATIENCE_S = 0.01
"""Wait for the other calls before asking whether they matter: `enough` need not run for replies
that come at about the same time."""
_leaving: set[_Task] = set()
"""Cancelled calls that would not go: the event loop itself keeps no hold on its tasks."""


async def ask_all(
    calls: Mapping[str, tuple[Endpoint, Request]],
    *,
    deadline_s: float,
    member_timeout_s: Mapping[str, float] | None = None,
    enough: Callable[[dict[str, Slot]], bool] | None = None,
) -> dict[str, Slot]:
    """Ask all members at once.

    Args:
        calls: by member, who is asked and what.
        deadline_s: seconds for all of them; whoever is not done by then is cancelled.
        member_timeout_s: seconds for some of them, where that is less.
        enough: told what came so far, where others keep one waiting; True ends the wait for them.

    Returns:
        By member, in the order of `calls`: a response, or the error in its place (TIMEOUT for who
        missed the deadline, CANCELLED for who was not waited for).

    Raises:
        Exception: whatever an endpoint raised beside `MemberError`, which is a bug in it, or what
            `enough` raised; the other calls are cancelled.
    """
    clock = asyncio.get_running_loop().time
    ends = clock() + deadline_s
    allowed = member_timeout_s or {}
    member_of: dict[_Task, str] = {}
    slots: dict[str, Slot] = {}
    waiting: set[_Task] = set()
    failure = Failure.TIMEOUT
    try:
        for member, (endpoint, request) in calls.items():
            timeout_s = min(deadline_s, allowed.get(member, math.inf))
            task = asyncio.create_task(endpoint.send(request, timeout_s=timeout_s), name=member)
            member_of[task] = member
            waiting.add(task)
        while waiting:
            done, waiting = await asyncio.wait(
                waiting, timeout=max(0.0, ends - clock()), return_when=asyncio.FIRST_COMPLETED
            )
            if not done:
                break
            if waiting and enough is not None:
                left_s = max(0.0, ends - clock())
                more, waiting = await asyncio.wait(waiting, timeout=min(_PATIENCE_S, left_s))
                done |= more
            for task, member in member_of.items():
                if task in done:
                    failed = task.cancelled() or task.exception() is not None
                    slots[member] = _failure(task) if failed else task.result()
            if waiting and enough is not None and enough(dict(slots)):
                failure = Failure.CANCELLED
                break
    finally:
        if len(slots) < len(member_of):
            await _cancel([task for task, member in member_of.items() if member not in slots])
    for task in waiting:
        slots[member_of[task]] = _unanswered(member_of[task], failure, deadline_s)
    return dict(zip(calls, map(slots.__getitem__, calls), strict=True))


def _failure(task: _Task) -> MemberError:
    if task.cancelled():  # not by us: who is cancelled here is not looked at again
        return MemberError("its call was cancelled from elsewhere", failure=Failure.CANCELLED)
    error = task.exception()
    if isinstance(error, MemberError):
        return error
    assert error is not None
    error.add_note(f"in the call of member '{task.get_name()}'")
    raise error


def _unanswered(member: str, failure: Failure, deadline_s: float) -> MemberError:
    if failure is Failure.CANCELLED:
        what = "not waited for: the outcome was settled without it"
    else:
        what = f"no reply within {deadline_s:.3g} s; raise the deadline, or leave the member out"
    return MemberError(f"member '{member}': {what}", failure=failure)


async def _cancel(tasks: Collection[_Task]) -> None:
    """Cancel calls, and wait a bounded time until they have ended."""
    for task in tasks:
        _leaving.add(task)
        task.add_done_callback(_left)
        task.cancel()
    await asyncio.wait(tasks, timeout=_GRACE_S)


def _left(task: _Task) -> None:
    _leaving.discard(task)
    if not task.cancelled():
        task.exception()  # looked at, so that asyncio does not complain that nobody did
