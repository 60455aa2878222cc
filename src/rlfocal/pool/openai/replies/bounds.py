"""How much of a reply is read: as far as its `max_tokens` can reach, and no further."""

from __future__ import annotations

from dataclasses import dataclass

from rlfocal.errors import Failure, MemberError
from rlfocal.pool.types import Request

__all__ = ["LEAST_TEXT", "Bounds"]

LEAST_TEXT = 64 << 10
"""Characters that every reply may have."""
_TOKEN = 64
_ENVELOPE = 1 << 10
"""Bytes that a server may put around each token: the event of a stream."""
_LEAST_LINE = 1 << 20
_ESCAPED = 6
"""Bytes of one character, as JSON may write it."""
_LOGPROB = 160
"""Bytes of one token's log-probability."""
_MOST_UNASKED = 21
"""Of them for each token, of a server that tells 20 likely ones unasked (llama.cpp)."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """Of one reply.

    >>> Bounds.of(Request((), max_tokens=16)).text
    65536
    """

    n_tokens: int
    """That were asked for at most."""
    text: int
    """Characters of text and of tools' arguments."""
    line: int
    """Bytes of one object of JSON."""
    whole: int
    """Bytes of everything."""

    @classmethod
    def of(cls, request: Request) -> Bounds:
        """Those of the reply to a request."""
        n = request.max_tokens
        text = max(LEAST_TEXT, _TOKEN * n)
        n_logprobs = request.n_logprobs or _MOST_UNASKED * request.logprobs
        line = _LEAST_LINE + _ESCAPED * text + _LOGPROB * n * n_logprobs
        return cls(n, text, line, line + _ENVELOPE * n)

    def error(self, where: str) -> MemberError:
        """The error for a reply that does not end where it must."""
        return MemberError(
            f"{where}: a reply longer than max_tokens = {self.n_tokens} can be (more than "
            f"{self.text >> 10} KiB of text or {self.whole >> 20} MiB in all), cut off there; "
            "check base_url, or use another server",
            failure=Failure.MALFORMED,
        )
