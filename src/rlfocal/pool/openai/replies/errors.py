"""What a server complains about: of which kind it is, whatever shape and status it comes with.

Many servers put errors into replies of status 200, routers those of the servers behind them, and
each has codes and words of its own. Who asks what kind it is wants to know three things: may the
same request succeed later, is the key or the account at fault, or the request itself.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from rlfocal.errors import Failure, MemberError
from rlfocal.pool.openai.http_failures import (
    failure_of,
    filtered_error,
    in_place_error,
    status_error,
)
from rlfocal.pool.openai.replies.busy import is_busy
from rlfocal.pool.openai.replies.waits import wait_of
from rlfocal.pool.openai.replies.words import said_in, words_of

__all__ = ["Complaint", "complaint_in", "error_for", "read_error"]

Show = Callable[[str], str]
"""A server's words → what of them an error may repeat."""

_DEPTH = 5
_CODES: Mapping[Failure, tuple[str, ...]] = {
    Failure.FILTERED: (
        "content_filter", "content_policy_violation", "contentfilter", "responsibleaipolicy",
        "responsible_ai_policy", "data_inspection_failed", "datainspectionfailed",
        "prohibited_content", "moderation_blocked", "guardrail_intervened", "safety",
        "content_filtered",
    ),
    Failure.OUT_OF_CREDIT: (
        "insufficient_quota", "insufficient_balance", "insufficient_credit", "insufficient_funds",
        "billing", "payment_required", "arrearage", "credits_exhausted", "no_credits",
        "exceeded_current_quota", "out_of_credit", "insufficient_user_quota",
    ),
    Failure.BAD_REQUEST: (
        "context_length_exceeded", "exceed_context_size", "context_window", "string_above_max",
    ),
    Failure.RATE_LIMITED: (
        "rate_limit", "ratelimit", "rate limit", "too_many_requests", "toomanyrequests",
        "resource_exhausted", "throttl", "limit_burst_rate", "limit_requests", "rate_exceeded",
    ),
    Failure.UNAUTHORISED: (
        "invalid_api_key", "invalidapikey", "api_key_invalid", "authentication", "unauthorized",
        "unauthenticated", "permission_denied", "permission_error", "permissiondenied",
        "invalid_token", "accessdenied", "access_denied", "forbidden", "invalid_key",
    ),
    Failure.UNKNOWN_MODEL: (
        "model_not_found", "modelnotfound", "not_found", "notfounderror", "invalid_model",
        "unknown_model", "deploymentnotfound", "model_not_exist", "model_not_supported",
    ),
    Failure.SERVER_ERROR: (
        "overloaded", "server_error", "internal", "unavailable", "capacity", "timeout", "aborted",
        "deadline_exceeded", "engine_", "loading", "try_again", "provider_error", "bad_gateway",
    ),
}  # fmt: skip
"""Parts of codes, in small letters; the kinds that say most come first."""
_OF_REQUEST = (
    "invalid_request", "badrequest", "bad_request", "invalid_argument", "validation", "unsupported",
    "invalid_parameter", "invalidparameter", "unprocessable", "invalid_value",
)  # fmt: skip
"""What some servers say of every error of a client, a wrong key among them: it counts last."""
_FILTERED = re.compile(
    r"content (management|filter\w*|safety) policy|content[- ]filter|flagged (by|for|as)|"
    r"was flagged|moderation|safety system|inappropriate content",
    re.IGNORECASE,
)
_NO_CREDIT = re.compile(
    r"insufficient (account )?(balance|credits?|funds|quota)|credit balance is too low|"
    r"out of credits?|not enough credits?|no (remaining )?credits|requires more credits|"
    r"(used|exhausted) all (of )?(its |your |the )?(available |included |monthly )*credits|"
    r"exceeded your (current quota|monthly included credits)|spending limit|billing hard limit|"
    r"payment required|balance is (insufficient|not enough)|in arrears|overdue (payment|balance)|"
    r"please (recharge|top[- ]?up)|add (more )?credits|check your plan and billing",
    re.IGNORECASE,
)
_TOO_LONG = re.compile(
    r"context[- _](length|window|size)|(prompt|input|request) (is |was )?too (long|large)|"
    r"reduce (the|your) (length|prompt|input|message)|request too large for|"
    r"max(imum)? (context|model|sequence) len|must be reduced",
    re.IGNORECASE,
)
_LIMITED = re.compile(
    r"rate[- _]?limit|too many (requests|tokens)|throttl|resource has been exhausted|"
    r"quota exceeded|requests per (second|minute|hour|day)|slow down",
    re.IGNORECASE,
)
_NO_KEY = re.compile(
    r"(invalid|incorrect|missing|no|wrong|bad) (auth\w* )?(api[- _]?key|token|credentials)|"
    r"api[- _]?key (is )?(not valid|invalid|missing|required)|unauthori[sz]ed|authenticat|"
    r"permission denied|not authori[sz]ed",
    re.IGNORECASE,
)
_NO_MODEL = re.compile(
    r"model\b.{0,80}?\b(not found|does not exist|doesn't exist|not a valid model|is not available|"
    r"not loaded|unknown)|unknown model|no such model|not a valid model|no endpoints found",
    re.IGNORECASE | re.DOTALL,
)
_IN_REQUEST = re.compile(
    r"unsupported|not supported|not permitted|not allowed|invalid (value|param|argument|request)|"
    r"unrecognized|unknown (parameter|field|argument)|missing required|extra inputs",
    re.IGNORECASE,
)
_BY_WORDS: tuple[tuple[re.Pattern[str], Failure], ...] = (
    (_NO_CREDIT, Failure.OUT_OF_CREDIT),
    (_LIMITED, Failure.RATE_LIMITED),
    (_TOO_LONG, Failure.BAD_REQUEST),
    (_FILTERED, Failure.FILTERED),
    (_NO_KEY, Failure.UNAUTHORISED),
    (_NO_MODEL, Failure.UNKNOWN_MODEL),
    (_IN_REQUEST, Failure.BAD_REQUEST),
)
_CODE_KEYS = ("code", "type", "status", "error_type", "reason", "errorCode", "__type", "error_code")
_FINE = frozenset({"", "0", "200", "none", "null", "ok", "success", "succeeded"})
_NUMBERS = {402: Failure.OUT_OF_CREDIT, 429: Failure.RATE_LIMITED}


@dataclass(frozen=True, slots=True)
class Complaint:
    """What a server said in place of a reply."""

    words: str
    """Its own, not yet fit to be shown; empty where it had none."""
    codes: tuple[str, ...] = ()
    """Codes, types and the like, in small letters."""
    number: int | None = None
    """An HTTP status within the body, of 400 or more."""
    body: Any = None
    """All of it, parsed."""


def complaint_in(found: Any, *, event: str = "") -> Complaint | None:
    """The complaint that parsed JSON is; None where it is none.

    Args:
        found: of a whole reply, or of one event of a stream.
        event: the event's name.

    >>> complaint_in({"choices": [], "error": None}) is None
    True
    >>> complaint_in({"error": "model is loading"}).words
    'model is loading'
    """
    if isinstance(found, list):
        return next((c for item in found[:4] if (c := complaint_in(item, event=event))), None)
    if isinstance(found, str) and found.strip():
        return Complaint(found)
    if not isinstance(found, Mapping):
        return None
    if event == "error" or found.get("object") == "error" or found.get("type") == "error":
        return _complaint(found)
    error = found.get("error") or found.get("errors")
    if error and not _is_fine(error):
        return _complaint(found)
    if found.get("choices"):
        return _of_choice(found["choices"])
    told = found.get("base_resp")
    if isinstance(told, Mapping) and not _is_fine({"code": told.get("status_code")}):
        return _complaint(found)
    if found.get("success") is False or "detail" in found or _speaks(found):
        return _complaint(found)
    return None


def _speaks(found: Mapping[str, Any]) -> bool:
    """An object that has a message, and nothing of a reply."""
    has_words = any(isinstance(found.get(name), str) for name in ("message", "msg", "Message"))
    return has_words and not {"choices", "usage", "id", "delta"} & found.keys()


def _of_choice(choices: Any) -> Complaint | None:
    first = choices[0] if isinstance(choices, list) else None
    error = first.get("error") if isinstance(first, Mapping) else None
    return _complaint(error) if error and not _is_fine(error) else None


def _is_fine(error: Any) -> bool:
    """Some gateways send an empty error with every reply."""
    if isinstance(error, Mapping):
        words = words_of({name: error.get(name) for name in ("message", "detail", "msg")})
        code = error.get("code", error.get("status_code"))
        return (words.lower() in _FINE) and str(code).lower() in _FINE
    return isinstance(error, str) and error.lower() in _FINE


def _complaint(found: Any) -> Complaint:
    codes, numbers = _codes(found, _DEPTH)
    return Complaint(words_of(found), tuple(codes), next(iter(numbers), None), found)


def _codes(found: Any, depth: int) -> tuple[list[str], list[int]]:
    codes: list[str] = []
    numbers: list[int] = []
    nodes = [found]
    for _ in range(depth):
        below: list[Any] = []
        for node in nodes[:32]:
            if isinstance(node, Mapping):
                _take_codes(node, codes, numbers)
                below += [v for v in node.values() if isinstance(v, Mapping | list)]
            elif isinstance(node, list):
                below += node[:8]
        nodes = below
    return codes, numbers


def _take_codes(node: Mapping[str, Any], codes: list[str], numbers: list[int]) -> None:
    for name in (*_CODE_KEYS, "statusCode", "status_code"):
        value = node.get(name)
        if isinstance(value, bool):
            continue
        if isinstance(value, int) or (isinstance(value, str) and re.fullmatch(r"\d{3}", value)):
            if 400 <= int(value) < 600:
                numbers.append(int(value))
        elif isinstance(value, str) and value.lower() not in ("error", ""):
            codes.append(value[:100].lower().replace("-", "_"))


def _by_codes(codes: tuple[str, ...]) -> Failure | None:
    for failure, parts in _CODES.items():
        if any(part in code for code in codes for part in parts):
            return failure
    return None


def _kind(status: int | None, complaint: Complaint, wait_s: float | None) -> Failure:
    """The kind of failure; the HTTP status is believed as far as nothing says it more exactly."""
    by_code, words = _by_codes(complaint.codes), complaint.words
    if by_code in (Failure.FILTERED, Failure.OUT_OF_CREDIT) or status == 402:
        return by_code if by_code is Failure.FILTERED else Failure.OUT_OF_CREDIT
    if by_code is Failure.BAD_REQUEST or (_TOO_LONG.search(words) and status != 404):
        return Failure.BAD_REQUEST
    # Who says when to come again does not mean that the account is empty: so Gemini words its
    # limit of requests a minute.
    if wait_s is None and by_code is not Failure.RATE_LIMITED and _NO_CREDIT.search(words):
        return Failure.OUT_OF_CREDIT
    if status is None or status >= 500:
        return _of_server(status, complaint, by_code)
    if status in (400, 403, 422):
        if _FILTERED.search(words):
            return Failure.FILTERED
        if by_code in (Failure.RATE_LIMITED, Failure.UNAUTHORISED, Failure.UNKNOWN_MODEL):
            return by_code
        if status == 400:
            return _of_refusal(words)
    return failure_of(status)


def _of_refusal(words: str) -> Failure:
    for pattern, failure in ((_NO_MODEL, Failure.UNKNOWN_MODEL), (_NO_KEY, Failure.UNAUTHORISED)):
        if pattern.search(words):
            return failure
    return Failure.BAD_REQUEST


def _of_server(status: int | None, complaint: Complaint, by_code: Failure | None) -> Failure:
    """For errors that no status of HTTP tells, or one that only says that something failed."""
    number = complaint.number
    if number in _NUMBERS:
        return _NUMBERS[number]
    if by_code is not None and by_code is not Failure.SERVER_ERROR:
        return by_code
    if status is not None:
        return failure_of(status)
    if number is not None:
        return failure_of(number)
    if by_code is not None:
        return by_code
    for pattern, failure in _BY_WORDS:
        if pattern.search(complaint.words):
            return failure
    of_request = any(part in code for code in complaint.codes for part in _OF_REQUEST)
    return Failure.BAD_REQUEST if of_request else Failure.SERVER_ERROR


def error_for(
    complaint: Complaint,
    status: int | None,
    *,
    where: str,
    show: Show,
    headers: Mapping[str, str] | None = None,
) -> MemberError:
    """The error for what a server complains about.

    Args:
        complaint: what it said.
        status: of HTTP; None where that was fine.
        where: the server and the model.
        show: what of its words may be told.
        headers: of its reply.
    """
    told = show(complaint.words) if complaint.words else ""
    wait_s = wait_of(headers or {}, complaint.body, complaint.words, limited=False)
    failure = _kind(status, complaint, wait_s)
    if failure is Failure.FILTERED:
        return filtered_error(where, status, detail=told)
    if failure is Failure.RATE_LIMITED:
        wait_s = wait_of(headers or {}, complaint.body, complaint.words, limited=True)
    if not failure.passes:
        wait_s = None
    if status is None:
        error = in_place_error(
            where, failure, detail=told, number=complaint.number, retry_after_s=wait_s
        )
    else:
        error = status_error(where, status, failure=failure, detail=told, retry_after_s=wait_s)
    number = complaint.number if status is None else status
    error.busy = error.failure is Failure.SERVER_ERROR and is_busy(
        number, complaint.words, complaint.codes
    )
    return error


def read_error(
    body: bytes,
    status: int,
    *,
    where: str,
    show: Show,
    headers: Mapping[str, str] | None = None,
) -> MemberError:
    """The error for a reply of status 300 or more, whatever its body holds."""
    text = body.decode("utf-8-sig", "replace")
    try:
        found = json.loads(text, strict=False)
    except (ValueError, RecursionError):
        found = None
    complaint = Complaint(said_in(text)) if found is None else _complaint(found)
    return error_for(complaint, status, where=where, show=show, headers=headers)
