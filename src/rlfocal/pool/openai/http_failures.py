"""What went wrong on the way to a server and back, put into one `MemberError`.

Knows HTTP's status codes and aiohttp's exceptions; knows nothing of what a good reply looks like.
"""

from __future__ import annotations

import errno
import os
import socket
import ssl
from collections.abc import Iterator
from urllib.parse import urljoin, urlsplit

import aiohttp
from aiohttp.http_exceptions import ContentEncodingError

from rlfocal.errors import Failure, MemberError

__all__ = [
    "connection_error",
    "failure_of",
    "filtered_error",
    "in_place_error",
    "redirect_error",
    "status_error",
    "timeout_error",
    "with_remedy",
]

_REMEDY = {
    Failure.UNAUTHORISED: "check the key, and what it may do",
    Failure.OUT_OF_CREDIT: "pay up the account behind the key, or raise its limit of spending",
    Failure.UNKNOWN_MODEL: "check the model's name and base_url",
    Failure.BAD_REQUEST: "check the prompt's length, sampling settings and the schemas of tools",
    Failure.RATE_LIMITED: "lower concurrency or per_minute, or wait",
    Failure.SERVER_ERROR: "try again later",
    Failure.MALFORMED: "set base_url to the address it leads to, up to the part before "
    "/chat/completions; redirects are not followed",
}
_NO_DESCRIPTORS = frozenset({errno.EMFILE, errno.ENFILE})
_NO_ROOM = _NO_DESCRIPTORS | {errno.ENOMEM, errno.ENOBUFS, errno.EADDRNOTAVAIL}
"""What this machine, and no server, has run out of."""
_OUR_REMEDY = (
    "raise the limit of open files (ulimit -n) or lower concurrency; it is no fault of the server"
)
_LATER = frozenset({408, 409, 424, 425, 498, 499})
"""Statuses below 500 that may pass: time-outs, conflicts, too early, and no room for the moment."""


def failure_of(status: int) -> Failure:
    """The kind of failure that an HTTP status of 300 or more stands for."""
    if status < 400:
        return Failure.MALFORMED
    if status in (401, 403):
        return Failure.UNAUTHORISED
    if status == 402:
        return Failure.OUT_OF_CREDIT
    if status == 404:
        return Failure.UNKNOWN_MODEL
    if status == 429:
        return Failure.RATE_LIMITED
    if status in _LATER or status >= 500:
        return Failure.SERVER_ERROR
    return Failure.BAD_REQUEST


def timeout_error(where: str, timeout_s: float) -> MemberError:
    """The error for a reply that did not come in time."""
    return MemberError(
        f"{where}: no reply within {timeout_s:.3g} s; raise timeout_s or ask less at once",
        failure=Failure.TIMEOUT,
    )


def filtered_error(where: str, status: int | None, *, detail: str = "") -> MemberError:
    """The error for a reply that the server's content filter held back."""
    told = f" ({detail})" if detail else ""
    return MemberError(
        f"{where}: held back by its content filter{told}; put the question otherwise, or ask "
        "another member",
        failure=Failure.FILTERED,
        status=status,
    )


def status_error(
    where: str,
    status: int,
    *,
    failure: Failure | None = None,
    detail: str = "",
    retry_after_s: float | None = None,
) -> MemberError:
    """The error for an HTTP status of 300 or more.

    Args:
        where: the server and the model.
        status: what it said.
        failure: of which kind it is; None for what the status alone says.
        detail: its own words, already fit to be shown.
        retry_after_s: seconds that it asked to wait.
    """
    failure = failure_of(status) if failure is None else failure
    told = f" ({detail})" if detail else ""
    return MemberError(
        f"{where}: HTTP status {status}{told}{_asked(retry_after_s)}; {_REMEDY[failure]}",
        failure=failure,
        status=status,
        retry_after_s=retry_after_s,
    )


def in_place_error(
    where: str,
    failure: Failure,
    *,
    detail: str = "",
    number: int | None = None,
    retry_after_s: float | None = None,
) -> MemberError:
    """The error for one that came with a good status, in place of a reply or amid its pieces.

    Args:
        where: the server and the model.
        failure: of which kind it is.
        detail: the server's own words, already fit to be shown.
        number: the status that it names itself.
        retry_after_s: seconds that it asked to wait.
    """
    told = f" ({detail})" if detail else ""
    named = "" if number is None else f" {number}"
    return MemberError(
        f"{where}: error{named} in place of a reply{told}{_asked(retry_after_s)}; "
        f"{_REMEDY[failure]}",
        failure=failure,
        status=number,
        retry_after_s=retry_after_s,
    )


def with_remedy(error: MemberError, remedy: str) -> MemberError:
    """The same error with another remedy, which is what follows its last semicolon."""
    return error.with_message(f"{str(error).rpartition('; ')[0]}; {remedy}")


def _asked(seconds: float | None) -> str:
    return "" if seconds is None else f"; it asks to wait {seconds:g} s"


def redirect_error(where: str, status: int, url: str, location: str) -> MemberError:
    """The error for a server that has moved.

    Args:
        where: the server and the model.
        status: from 300 to 399.
        url: what was asked.
        location: where it points to; only host and path are told, queries may hold keys.
    """
    address = _address(url, location)
    told = f" (it leads to {address})" if address else ""
    return MemberError(
        f"{where}: HTTP status {status}{told}; {_REMEDY[Failure.MALFORMED]}",
        failure=Failure.MALFORMED,
        status=status,
    )


def _address(url: str, location: str) -> str:
    try:
        parts = urlsplit(urljoin(url, location.strip()))
    except ValueError:
        return ""
    host = parts.netloc.rpartition("@")[2]
    address = f"{parts.scheme}://{host}{parts.path}"[:200]
    return address if location.strip() and host and address.isprintable() else ""


def connection_error(where: str, exc: Exception) -> MemberError:
    """The error for an exception of aiohttp or of the system below it.

    Only kinds and the system's own words are told: aiohttp's exceptions hold requests, and those
    hold keys.
    """
    what, remedy, failure = _described(exc)
    return MemberError(f"{where}: {what}; {remedy}", failure=failure)


def _described(exc: Exception) -> tuple[str, str, Failure]:
    if ours := _ours(exc):
        return ours, _OUR_REMEDY, Failure.OURS
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


def _ours(exc: Exception) -> str:
    """What this machine has run out of; empty where it is not at fault."""
    for cause in _causes(exc):
        if isinstance(cause, OSError) and cause.errno in _NO_ROOM:
            return f"not sent: {os.strerror(cause.errno or 0).lower()} on this machine"
        # A name cannot be looked up without a descriptor, and the resolver does not say why.
        if isinstance(cause, socket.gaierror) and not _has_descriptors():
            return "not sent: this machine has no file descriptor left"
    return ""


def _causes(exc: BaseException | None) -> Iterator[BaseException]:
    for _ in range(8):
        if exc is None:
            return
        yield exc
        if isinstance(exc, BaseExceptionGroup):
            yield from exc.exceptions
        if isinstance(inner := getattr(exc, "os_error", None), OSError):
            yield inner
        exc = exc.__cause__ or exc.__context__


def _has_descriptors() -> bool:
    try:
        os.close(os.open(os.devnull, os.O_RDONLY))
    except OSError as exc:
        return exc.errno not in _NO_DESCRIPTORS
    return True


def _is_no_http(exc: Exception) -> bool:
    if isinstance(exc, aiohttp.ClientPayloadError):
        return isinstance(exc.__cause__, ContentEncodingError)
    return isinstance(exc, aiohttp.ClientResponseError)
