"""A reply that is asked for log-probabilities and brings none is no reply.

Graded all the same, every question would have no answer and count as wrong, on a server that
never could give one.
"""

from __future__ import annotations

from rlfocal.errors import Failure, MemberError
from rlfocal.pool.types import Request, Response
from rlfocal.pool.wrappers.base import Wrapper

__all__ = ["Scored"]


class Scored(Wrapper):
    """Refuses replies without the log-probabilities that they were asked for."""

    async def send(self, request: Request, *, timeout_s: float) -> Response:
        """Answer one request; as `Endpoint.send`."""
        reply = await self._endpoint.send(request, timeout_s=timeout_s)
        if request.n_logprobs and not reply.first_logprobs:
            asked = f"model '{request.model}'" if request.model else "its model"
            raise MemberError(
                f'a reply of {asked} without log-probabilities, which answers = "option-scores" '
                'needs; where the server cannot give any, set answers = "reply"',
                failure=Failure.MALFORMED if reply.text.strip() else Failure.EMPTY,
            )
        return reply
