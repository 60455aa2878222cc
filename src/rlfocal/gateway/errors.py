"""What a client is told when something is wrong: an HTTP status and OpenAI's error object."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from rlfocal.errors import Failure, MemberError, NobodyAnswered, RlfocalError
from rlfocal.pool.openai.replies.errors.lengths import is_too_long as says_too_long

__all__ = [
    "TOO_LONG",
    "ApiError",
    "from_member",
    "from_nobody",
    "is_too_long",
    "shutting_down",
    "too_late",
    "unavailable",
]

_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "invalid_request_error",
    405: "invalid_request_error",
    413: "invalid_request_error",
    415: "invalid_request_error",
    422: "invalid_request_error",
    429: "rate_limit_error",
}


_FINAL = {
    "confidence_too_low", "deadline_exceeded", "insufficient_quota", "internal_error",
    "tool_arguments_unreadable",
}  # fmt: skip
"""Codes of what is not to be tried again: a deadline is one for all tries together, a budget is not
filled up by asking, a fault of ours comes again, and so do members' doubts, at the same price."""


class ApiError(RlfocalError):
    """One refusal.

    Attributes:
        final: whether clients are told not to try again by themselves: that would cost again what
            this has cost, or more time than the request was given.

    Args:
        status: of HTTP.
        code: for programs.
        message: for people: what was met and the remedy; neither keys nor prompts are in it.
        param: the field that is wrong, where one is.
        retry_after_s: seconds after which it is worth to try again, where that is known.
        extra: more for the error object.
        headers: beside those that follow from the rest.
    """

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        param: str | None = None,
        retry_after_s: float | None = None,
        extra: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.code, self.param = status, code, param
        self.retry_after_s, self.extra = retry_after_s, dict(extra or {})
        self.final = code in _FINAL
        self._more = dict(headers or {})

    def as_json(self) -> dict[str, Any]:
        """As OpenAI's clients read it."""
        error = {
            "message": str(self),
            "type": _TYPES.get(self.status, "api_error"),
            "param": self.param,
            "code": self.code,
        }
        return {"error": error | self.extra}

    @property
    def headers(self) -> dict[str, str]:
        """Beside the content type."""
        headers = dict(self._more)
        if self.status == 401:
            headers["WWW-Authenticate"] = "Bearer"
        if self.retry_after_s is not None:
            headers["Retry-After"] = str(max(1, -int(-self.retry_after_s // 1)))
        if self.final:
            # OpenAI's and Anthropic's clients repeat 408, 409, 429 and 5xx unless they are told.
            headers["x-should-retry"] = "false"
        return headers


_STATUS = {
    Failure.TIMEOUT: 504,
    Failure.RATE_LIMITED: 429,
    Failure.CIRCUIT_OPEN: 503,
    Failure.BAD_REQUEST: 400,
}
_HINT = {
    Failure.TIMEOUT: "no reply in time",
    Failure.RATE_LIMITED: "its server asks for fewer requests",
    Failure.CIRCUIT_OPEN: "it has failed too often just now and is left alone for a while",
    Failure.BAD_REQUEST: "its server refuses the request; check its length and settings",
    Failure.FILTERED: "its server's content filter held the reply back",
    Failure.EMPTY: "an empty reply",
}


TOO_LONG = "context_length_exceeded"
"""OpenAI's code, by which agents know that they should shorten a conversation."""
_OF_RATE = re.compile(r"rate[-_ ]?limit|\bper (?:second|minute|hour|day)\b", re.IGNORECASE)


def is_too_long(error: MemberError) -> bool:
    """Whether a member refuses a request for its length, by its server's words."""
    words = str(error)
    if error.failure is Failure.SERVER_ERROR:
        return says_too_long(words) and _OF_RATE.search(words) is None
    return error.failure is Failure.BAD_REQUEST and says_too_long(words)


def from_member(member: str, error: MemberError) -> ApiError:
    """Of a member that was asked by its name and gave no reply.

    A client learns what kind of failure it was; servers, addresses and their own words are for the
    log. What is wrong with our keys or addresses is nothing that it could mend: 502.
    """
    kind = error.failure
    if is_too_long(error):
        return ApiError(
            400, TOO_LONG,
            f"member '{member}': the prompt is too long for its maximum context length; shorten "
            "the conversation, or ask for fewer tokens",
            param="messages",
        )  # fmt: skip
    return ApiError(
        _STATUS.get(kind, 502),
        f"member_{kind.value.replace('-', '_')}",
        f"member '{member}': {_HINT.get(kind, kind.value)}",
        retry_after_s=error.retry_after_s,
    )


def from_nobody(error: NobodyAnswered) -> ApiError:
    """The error where no member answered; of the kind of their failures where all had the same."""
    failed = error.failures
    causes = {
        name: failed[name].failure.value if name in failed else "no-answer" for name in error.causes
    }
    kinds = set(causes.values())
    if kinds == {Failure.TIMEOUT.value}:
        status, code = 504, "deadline_exceeded"
    elif kinds == {Failure.RATE_LIMITED.value}:
        status, code = 429, "members_rate_limited"
    elif kinds == {Failure.CIRCUIT_OPEN.value}:
        status, code = 503, "no_member_available"
    elif failed and len(failed) == len(causes) and all(map(is_too_long, failed.values())):
        return ApiError(
            400, TOO_LONG,
            "the prompt is too long for the maximum context length of every member that was asked; "
            "shorten the conversation, or ask for fewer tokens",
            param="messages", extra={"members": causes},
        )  # fmt: skip
    elif "no-answer" in kinds:
        status, code = 502, "no_answer"
    else:
        status, code = 502, "no_member_answered"
    listed = "; ".join(f"{name}: {kind}" for name, kind in causes.items()) or "nobody was asked"
    waits = [f.retry_after_s for f in failed.values() if f.retry_after_s is not None]
    return ApiError(
        status,
        code,
        f"no member answered ({listed})",
        retry_after_s=min(waits, default=None),
        extra={"members": causes},
    )


def unavailable() -> ApiError:
    """The database is away."""
    return ApiError(
        503, "database_unavailable", "the gateway's database is away; try again", retry_after_s=2.0
    )


def shutting_down() -> ApiError:
    """Work was broken off because the gateway ends."""
    return ApiError(503, "shutting_down", "the gateway is being ended", retry_after_s=1.0)


def too_late(deadline_s: float) -> ApiError:
    """There is no answer within a request's deadline."""
    return ApiError(
        504,
        "deadline_exceeded",
        f"no answer within {1000 * deadline_s:.0f} ms; raise rlfocal.deadline_ms",
        param="rlfocal.deadline_ms",
    )
