"""What a status, a redirect or an exception of the network becomes."""

from __future__ import annotations

import socket
import ssl
from types import SimpleNamespace
from typing import Any, cast

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlfocal.errors import Failure
from rlfocal.pool.openai.http_failures import (
    connection_error,
    failure_of,
    status_error,
)


@pytest.mark.parametrize(
    ("status", "failure"),
    [
        (301, Failure.MALFORMED),
        (307, Failure.MALFORMED),
        (400, Failure.BAD_REQUEST),
        (401, Failure.UNAUTHORISED),
        (402, Failure.OUT_OF_CREDIT),
        (403, Failure.UNAUTHORISED),
        (404, Failure.UNKNOWN_MODEL),
        (408, Failure.SERVER_ERROR),
        (409, Failure.SERVER_ERROR),
        (413, Failure.BAD_REQUEST),
        (422, Failure.BAD_REQUEST),
        (424, Failure.SERVER_ERROR),
        (425, Failure.SERVER_ERROR),
        (498, Failure.SERVER_ERROR),
        (429, Failure.RATE_LIMITED),
        (500, Failure.SERVER_ERROR),
        (503, Failure.SERVER_ERROR),
        (529, Failure.SERVER_ERROR),
    ],
)
def test_statuses(status: int, failure: Failure) -> None:
    assert failure_of(status) is failure
    error = status_error("host:1, model 'm'", status, detail="its words", retry_after_s=3)
    assert (error.failure, error.status, error.retry_after_s) == (failure, status, 3)
    assert str(error).startswith(f"host:1, model 'm': HTTP status {status} (its words); it asks")


@given(st.integers(300, 999))
def test_every_status_has_a_failure_and_a_remedy(status: int) -> None:
    assert status_error("h", status).status == status


WHERE = cast(Any, SimpleNamespace(host="h", port=1, is_ssl=True, ssl=True))


def untrusted() -> ssl.SSLCertVerificationError:
    error = ssl.SSLCertVerificationError(1, "certificate verify failed")
    error.verify_message = "self-signed certificate"
    return error


@pytest.mark.parametrize(
    ("exc", "failure", "told"),
    [
        (
            aiohttp.ClientConnectorDNSError(WHERE, socket.gaierror(-2, "unknown")),
            Failure.UNREACHABLE,
            "no such host (DNS)",
        ),
        (
            aiohttp.ClientConnectorError(WHERE, ConnectionRefusedError(111, "refused")),
            Failure.UNREACHABLE,
            "connection refused",
        ),
        (
            aiohttp.ClientConnectorError(WHERE, OSError(113, "No route to host")),
            Failure.UNREACHABLE,
            "No route to host",
        ),
        (
            aiohttp.ClientConnectorCertificateError(WHERE, untrusted()),
            Failure.UNREACHABLE,
            "TLS: its certificate is not trusted (self-signed certificate)",
        ),
        (
            aiohttp.ClientConnectorSSLError(WHERE, ssl.SSLError(1, "wrong version")),
            Failure.UNREACHABLE,
            "TLS failed",
        ),
        (aiohttp.ServerDisconnectedError(), Failure.UNREACHABLE, "connection reset"),
        (aiohttp.ClientOSError(104, "reset"), Failure.UNREACHABLE, "connection reset"),
        (ConnectionResetError(), Failure.UNREACHABLE, "connection reset"),
        (aiohttp.ClientPayloadError("x"), Failure.UNREACHABLE, "in the middle of the reply"),
        (aiohttp.InvalidURL("http://["), Failure.UNREACHABLE, "no such host"),
        (OSError(5, "odd"), Failure.UNREACHABLE, "no connection (OSError)"),
        (aiohttp.ClientResponseError(WHERE, ()), Failure.MALFORMED, "not HTTP"),
    ],
)
def test_exceptions_of_the_network(exc: Exception, failure: Failure, told: str) -> None:
    error = connection_error("host:1", exc)
    assert error.failure is failure
    assert str(error).startswith("host:1: ")
    assert told in str(error)
