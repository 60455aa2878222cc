"""A reply that is asked for log-probabilities and brings none of the options' letters is no reply.

Graded all the same, the question would have no answer and count as wrong, on a server that never
could give one, or by a first token that only comes before the answer.
"""

from __future__ import annotations

import re

from rlfocal.errors import Failure, MemberError
from rlfocal.pool.asking.letters import letters_given
from rlfocal.pool.types import Request, Response
from rlfocal.pool.wrappers.base import Wrapper

__all__ = ["Scored"]

_MOST_LETTERS = 26
_THINKS = re.compile(
    r"\s*[<\[\u25c1]\|?(?:\w+[:_])*(?:think|thought|reason|channel|analysis)", re.IGNORECASE
)
_SHOWN = 20
"""Characters of a token that a message shows."""


class Scored(Wrapper):
    """Refuses replies without the log-probabilities that they were asked for."""

    async def send(self, request: Request, *, timeout_s: float) -> Response:
        """Answer one request; as `Endpoint.send`."""
        reply = await self._endpoint.send(request, timeout_s=timeout_s)
        if not request.n_logprobs:
            return reply
        asked = f"model '{request.model}'" if request.model else "its model"
        if not reply.first_logprobs:
            raise MemberError(
                f'a reply of {asked} without log-probabilities, which answers = "option-scores" '
                'needs; where the server cannot give any, set answers = "reply"',
                failure=Failure.MALFORMED if reply.text.strip() else Failure.EMPTY,
            )
        first = max(reply.first_logprobs, key=reply.first_logprobs.__getitem__)
        if _THINKS.match(first):
            raise MemberError(
                f"a reply of {asked} that thinks first ({_shown(first)} is the likeliest first "
                'token): its options have no scores; turn thinking off, or set answers = "reply"',
                failure=Failure.MALFORMED,
            )
        if not any(letters_given(reply.first_logprobs, request.n_options or _MOST_LETTERS)):
            raise MemberError(
                f"a reply of {asked} whose first token is none of the options' letters: "
                f"{_shown(first)} comes first, and of the {len(reply.first_logprobs)} that its "
                "server tells none is a letter; let choice_template end where the letter has to "
                'follow, ask for more tokens with score_tokens, or set answers = "reply"',
                failure=Failure.MALFORMED,
            )
        return reply


def _shown(token: str) -> str:
    """A token, as a message shows it."""
    return ascii(token if len(token) <= _SHOWN else f"{token[:_SHOWN]}...")
