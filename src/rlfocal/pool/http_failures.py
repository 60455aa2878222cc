"""What went wrong on the way to a server and back, put into one `MemberError`.

Knows HTTP's status codes and aiohttp's exceptions; knows nothing of what a good reply looks like.
"""

from __future__ import annotations

import math
import re
import ssl
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import aiohttp
from aiohttp.http_exceptions import ContentEncodingError

from rlfocal.errors import Failure, MemberError

__all__ = [
    "connection_error",
    "failure_of",
    "filtered_error",
    "retry_after",
    "status_error",
    "timeout_error",
]

_REMEDY = {
    Failure.UNAUTHORISED: "check the key, and what it may do",
    Failure.UNKNOWN_MODEL: "check the model's name and base_url",
    Failure.BAD_REQUEST: "check the prompt's length and the sampling settings",
    Failure.RATE_LIMITED: "lower concurrency or per_minute, or wait",
    Failure.SERVER_ERROR: "try again later",
    Failure.MALFORMED: "set base_url to the address it leads to; redirects are not followed",
}


def failure_of(status: int) -> Failure:
    """The kind of failure that an HTTP status of 300 or more stands for."""
    if status < 400:
        return Failure.MALFORMED
    if status in (401, 403):
        return Failure.UNAUTHORISED
    if status == 404:
        return Failure.UNKNOWN_MODEL
    if status == 429:
        return Failure.RATE_LIMITED
    if status in (408, 409) or status >= 500:
        return Failure.SERVER_ERROR
    return Failure.BAD_REQUEST


def timeout_error(where: str, timeout_s: float) -> MemberError:
    """The error for a reply that did not come in time."""
    return MemberError(
        f"{where}: no reply within {timeout_s:.3g} s; raise timeout_s or ask less at once",
        failure=Failure.TIMEOUT,
    )


def filtered_error(where: str, status: int | None) -> MemberError:
    """The error for a reply that the server's content filter held back."""
    return MemberError(
        f"{where}: held back by its content filter; put the question otherwise, or ask another "
        "member",
        failure=Failure.FILTERED,
        status=status,
    )


def status_error(
    where: str, status: int, *, detail: str = "", retry_after_s: float | None = None
) -> MemberError:
    """The error for an HTTP status of 300 or more.

    Args:
        where: the server and the model.
        status: what it said.
        detail: its own words, already fit to be shown.
        retry_after_s: seconds that it asked to wait.
    """
    failure = failure_of(status)
    told = f" ({detail})" if detail else ""
    wait = "" if retry_after_s is None else f"; it asks to wait {retry_after_s:g} s"
    return MemberError(
        f"{where}: HTTP status {status}{told}{wait}; {_REMEDY[failure]}",
        failure=failure,
        status=status,
        retry_after_s=retry_after_s,
    )


def connection_error(where: str, exc: Exception) -> MemberError:
    """The error for an exception of aiohttp or of the system below it.

    Only kinds and the system's own words are told: aiohttp's exceptions hold requests, and those
    hold keys.
    """
    what, remedy, failure = _told(exc)
    return MemberError(f"{where}: {what}; {remedy}", failure=failure)


def _told(exc: Exception) -> tuple[str, str, Failure]:
    if _is_no_http(exc):
        what = "the reply is not HTTP, or its compression is broken"
        return what, "check base_url, port and https", Failure.MALFORMED
    if isinstance(exc, aiohttp.ClientConnectorDNSError | aiohttp.InvalidURL | UnicodeError):
        return "no such host (DNS)", "check base_url and the network", Failure.UNREACHABLE
    if isinstance(exc, aiohttp.ClientConnectorCertificateError):
        why = getattr(exc.certificate_error, "verify_message", "")
        what = f"TLS: its certificate is not trusted{f' ({why})' if why else ''}"
        return what, "check base_url and the system's certificates", Failure.UNREACHABLE
    if isinstance(exc, aiohttp.ClientSSLError | aiohttp.ServerFingerprintMismatch | ssl.SSLError):
        why = getattr(exc, "reason", None) or "no handshake"
        return f"TLS failed ({why})", "check base_url: http or https?", Failure.UNREACHABLE
    cause = exc.os_error if isinstance(exc, aiohttp.ClientConnectorError) else exc
    if isinstance(cause, ConnectionRefusedError):
        return "connection refused", "is the server running, on that port?", Failure.UNREACHABLE
    if isinstance(exc, aiohttp.ClientConnectorError):
        why = cause.strerror if isinstance(cause, OSError) and cause.strerror else "no reason given"
        return f"cannot connect ({why})", "check base_url and the network", Failure.UNREACHABLE
    if isinstance(exc, aiohttp.ClientPayloadError):
        what = "connection broken off in the middle of the reply"
        return what, "try again; see the server's log", Failure.UNREACHABLE
    if isinstance(exc, aiohttp.ServerDisconnectedError | aiohttp.ClientOSError | ConnectionError):
        return "connection reset", "try again; see the server's log", Failure.UNREACHABLE
    return f"no connection ({type(exc).__name__})", "check base_url", Failure.UNREACHABLE


def _is_no_http(exc: Exception) -> bool:
    if isinstance(exc, aiohttp.ClientPayloadError):
        return isinstance(exc.__cause__, ContentEncodingError)
    return isinstance(exc, aiohttp.ClientResponseError)


def _now() -> datetime:
    return datetime.now(UTC)


def retry_after(value: str | None, *, now: Callable[[], datetime] = _now) -> float | None:
    """Read a Retry-After header.

    Args:
        value: seconds or an HTTP date.
        now: the present, with its time zone.

    Returns:
        Seconds from now, finite and never negative; None where it says nothing readable.

    >>> retry_after("2.5")
    2.5
    >>> retry_after("soon") is None
    True
    """
    if value is None:
        return None
    value = value.strip()
    if re.fullmatch(r"[0-9]+(\.[0-9]+)?", value):
        seconds = float(value)
        return seconds if math.isfinite(seconds) else None
    try:
        when = parsedate_to_datetime(value)
        if when.tzinfo is None:
            when = when.replace(tzinfo=UTC)
        return max(0.0, (when - now()).total_seconds())
    except (ValueError, OverflowError):
        return None
