"""What a server complains about: of which kind it is, whatever shape and status it comes with.

Many servers put errors into replies of status 200, routers those of the servers behind them, and
each has codes and words of its own. Who asks what kind it is wants to know three things: may the
same request succeed later, is the key or the account at fault, or the request itself.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from rlfocal.errors import Failure, MemberError
from rlfocal.pool.openai.http_failures import (
    filtered_error,
    in_place_error,
    status_error,
)
from rlfocal.pool.openai.replies.errors.busy import is_busy
from rlfocal.pool.openai.replies.errors.kinds import kind_of
from rlfocal.pool.openai.replies.errors.waits import wait_of
from rlfocal.pool.openai.replies.errors.words import objects_in, pattern, said_in, words_of

__all__ = ["Complaint", "Upstream", "complaint_in", "error_for", "own_complaint", "read_error"]

_DEPTH = 5
_CODE_KEYS = (
    "code", "type", "status", "error_type", "reason", "errorCode", "__type", "error_code",
    "statusCode", "status_code", "errorcode", "errCode", "errcode", "err_code", "Code",
)  # fmt: skip
_FINE = frozenset({"", "0", "200", "none", "null", "ok", "success", "succeeded"})
_SAYS = frozenset({"message", "msg", "errormsg", "errmsg", "errormessage", "faultstring", "fault"})
"""Keys of words, in small letters and without underscores."""
_OF_REPLIES = frozenset({"choices", "usage", "delta"})
_NOTICES = frozenset({
    "status", "info", "progress", "ping", "pong", "heartbeat", "keepalive", "keep-alive",
    "keep_alive", "log", "queue", "queued", "in_queue", "loading", "processing", "debug",
    "metadata",
})  # fmt: skip
_ALIVE = pattern(r"\W*(keep[- _]?alive|heart ?beat|ping|pong|processing)\W*")
_CHARSET = pattern(r"charset\s*=\s*[\"']?([\w.-]+)")
_CHARSETS = frozenset({
    "iso8859-1", "latin-1", "cp1252", "iso8859-15", "cp1251", "gbk", "gb2312", "gb18030", "big5",
    "shift_jis", "euc_jp", "euc_kr", "utf-16", "utf-8",
})  # fmt: skip
"""What else is called a charset may be any codec, those that unpack among them."""
_BINARY = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f]")


@dataclass(frozen=True, slots=True)
class Upstream:
    """Who answers, as errors are to name it."""

    where: str
    """The server and the model."""
    show: Callable[[str], str] = str
    """Its own words → what of them an error may repeat."""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Of its reply."""

    def error(self, what: str, failure: Failure) -> MemberError:
        """The error for a reply of which so much is known."""
        return MemberError(f"{self.where}: {what}", failure=failure)


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
        first = found["choices"][0] if isinstance(found["choices"], list) else None
        is_clean = first is None or (isinstance(first, dict) and "error" not in first)
        return None if is_clean else own_complaint(first)
    told = found.get("base_resp")
    if isinstance(told, Mapping) and not _is_fine({"code": told.get("status_code")}):
        return _complaint(found)
    if found.get("success") is False or "detail" in found or _speaks(found):
        return _complaint(found)
    return None


def _speaks(found: Mapping[str, Any]) -> bool:
    """An object that has a message, and nothing of a reply; not one that keeps a line alive."""
    if not _OF_REPLIES.isdisjoint(found):
        return False
    told = [v for name, v in found.items() if name.lower().replace("_", "") in _SAYS]
    words = next((v for v in told if not _is_of_reply(v) and words_of(v).lower() not in _FINE), "")
    if not words:
        return False
    codes, numbers = _codes(found, 1)
    if numbers or any("=" in code for code in codes):
        return True
    is_notice = not _NOTICES.isdisjoint(codes) or _ALIVE.fullmatch(words_of(words)) is not None
    return "id" not in found and not is_notice


def _is_of_reply(found: Any) -> bool:
    is_turn = isinstance(found, Mapping) and not {"role", "content"}.isdisjoint(found)
    return is_turn or not isinstance(found, str | Mapping)


def own_complaint(*parts: Any) -> Complaint | None:
    """The first complaint within a choice or its message; None where there is none."""
    for part in parts:
        error = part.get("error") if isinstance(part, Mapping) else None
        if error and not _is_fine(error):
            return _complaint(error)
    return None


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
    objects = objects_in(found, depth=depth)
    named = [(name, node[name]) for node in objects for name in _CODE_KEYS if name in node]
    for name, value in named:
        if isinstance(value, str) and re.fullmatch(r"\d{1,6}", value, re.ASCII):
            value = int(value)
        if isinstance(value, int) and not isinstance(value, bool):
            if 400 <= value < 600:
                numbers.append(value)
            elif 0 < value < 1_000_000 and value != 200:
                codes.append(f"{name}={value}")
        elif isinstance(value, str) and value.lower() not in ("error", ""):
            codes.append(value[:100].lower().replace("-", "_"))
    return codes, numbers


def error_for(complaint: Complaint, status: int | None, upstream: Upstream) -> MemberError:
    """The error for what a server complains about.

    Args:
        complaint: what it said.
        status: of HTTP; None where that was fine.
        upstream: who said it.
    """
    where, words = upstream.where, complaint.words
    detail = upstream.show(words) if words else ""
    wait_s = wait_of(upstream.headers, complaint.body, words, limited=False)
    failure = kind_of(status, complaint.codes, words, number=complaint.number, wait_s=wait_s)
    if failure is Failure.FILTERED:
        return filtered_error(where, status, detail=detail)
    if failure is Failure.RATE_LIMITED:
        wait_s = wait_of(upstream.headers, complaint.body, words, limited=True)
    if not failure.passes:
        wait_s = None
    number = complaint.number if status is None else status
    if status is None:
        error = in_place_error(where, failure, detail=detail, number=number, retry_after_s=wait_s)
    else:
        error = status_error(where, status, failure=failure, detail=detail, retry_after_s=wait_s)
    error.busy = failure is Failure.SERVER_ERROR and is_busy(number, words, complaint.codes)
    return error


def read_error(body: bytes, status: int, upstream: Upstream) -> MemberError:
    """The error for a reply of status 300 or more, whatever its body holds."""
    text = _decoded(body, upstream.headers)
    try:
        found = json.loads(text, strict=False)
    except (ValueError, RecursionError):
        found = None
    complaint = Complaint(said_in(text)) if found is None else _complaint(found)
    return error_for(complaint, status, upstream)


def _decoded(body: bytes, headers: Mapping[str, str]) -> str:
    """As UTF-8; where it is not, in the charset that the headers name, or in Windows-1252."""
    try:
        return body.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        if exc.reason == "unexpected end of data":
            return body.decode("utf-8-sig", "replace")  # it is cut
    kind = next((v for name, v in headers.items() if name.lower() == "content-type"), "")
    told = _CHARSET.search(kind)
    try:
        charset = codecs.lookup(told[1] if told else "cp1252").name
    except LookupError:
        charset = "cp1252"
    if charset == "utf-8":  # it is not
        charset = "cp1252"
    if charset not in _CHARSETS or (charset != "utf-16" and _BINARY.search(body)):
        charset = "utf-8"
    return body.decode(charset, "replace")
