"""A conversation's thoughts, sent as a member's server wants them back.

By which name, and whether at all, its replies and refusals show; see `OwnThoughts`.
"""

from __future__ import annotations

import time
from dataclasses import replace

from rlfocal.errors import Failure, MemberError
from rlfocal.pool.asking.own_thoughts import OwnThoughts
from rlfocal.pool.openai.left_out import note_left_out
from rlfocal.pool.types import Endpoint, Request, Response
from rlfocal.pool.wrappers.base import Wrapper

__all__ = ["AsOwn"]


class AsOwn(Wrapper):
    """Repeats a call without those thoughts that a server does not take, and learns of them.

    Args:
        endpoint: a member's.
        thoughts: what is known of that member; of all its calls.
    """

    def __init__(self, endpoint: Endpoint, thoughts: OwnThoughts) -> None:
        super().__init__(endpoint)
        self._thoughts = thoughts

    async def send(self, request: Request, *, timeout_s: float) -> Response:
        """Answer one request; as `Endpoint.send`."""
        own, refused = self._thoughts, set[str]()
        ends = time.perf_counter() + timeout_s
        while True:
            turns, taken = own.put(request.messages, refused)
            sent = replace(request, messages=turns)
            try:
                reply = await self._endpoint.send(sent, timeout_s=ends - time.perf_counter())
            except MemberError as exc:
                may_be_repeated = exc.failure is Failure.BAD_REQUEST and not exc.has_begun
                more = own.refused_in(str(exc), turns) if may_be_repeated else set()
                if not more:
                    raise
                # Such a call has cost nothing, and the next one has fewer of them.
                refused |= more
                continue
            # Only now it is known: words may be misread, and what one request learns is for all.
            own.refused |= refused
            own.name = reply.thoughts_as or own.name
            note_left_out(f"messages[].{name}" for name in taken)
            return reply
