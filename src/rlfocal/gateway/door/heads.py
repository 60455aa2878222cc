"""What a request's head may say: two ways to read it are one too many.

Whoever stands before a gateway may read a head that says something twice in the other way, and then
guard another host, or see other requests in the same bytes (RFC 9112, sections 3.2, 6.1 and 6.3).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from http import HTTPStatus

from rlfocal.gateway.errors import ApiError
from rlfocal.gateway.wire.replies import encode

__all__ = ["Fault", "fault_of", "without_upgrade"]

Headers = Sequence[tuple[bytes, bytes]]
"""Names in lower case, and what they say."""

_HOST = re.compile(rb"[A-Za-z0-9._~!$&'()*+;=%:\[\]-]*")
_ONCE = (b"content-type", b"content-encoding", b"idempotency-key", b"x-api-key")
"""Headers of which the first counts with some and the last with others."""
_OF_AN_UPGRADE = {b"upgrade", b"http2-settings"}


@dataclass(frozen=True)
class Fault:
    """Why a connection is ended without asking anybody whose request it is."""

    status: int
    message: str

    def as_http(self) -> bytes:
        """The whole reply."""
        status = HTTPStatus(self.status)
        code = status.phrase.lower().replace(" ", "_")
        body = encode(ApiError(self.status, code, self.message).as_json())
        return (
            f"HTTP/1.1 {self.status} {status.phrase}\r\nconnection: close\r\n"
            f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
        ).encode("ascii") + body


def fault_of(method: bytes, version: str, headers: Headers) -> Fault | None:
    """What is wrong with a head; None for nothing.

    Args:
        method: in capitals.
        version: of HTTP, as "1.1".
        headers: of the request.

    >>> fault_of(b"GET", "1.1", []).status
    400
    >>> fault_of(b"GET", "1.1", [(b"host", b"x")]) is None
    True
    """
    if method == b"CONNECT":
        return Fault(405, "this is no proxy; ask for a path")
    said: dict[bytes, list[bytes]] = {}
    for name, value in headers:
        said.setdefault(name, []).append(value)
    hosts = said.get(b"host", ())
    if len(hosts) > 1 or (not hosts and version == "1.1"):
        return Fault(400, f"{len(hosts)} Host headers; send one")
    if hosts and not _HOST.fullmatch(hosts[0].strip()):
        return Fault(400, "the Host header is no name of a host")
    for name in _ONCE:
        if (n := len(said.get(name, ()))) > 1:
            return Fault(400, f"{n} {name.decode('ascii').title()} headers; send one")
    codings = [
        coding.strip().lower()
        for value in said.get(b"transfer-encoding", ())
        for coding in value.split(b",")
        if coding.strip()
    ]
    if codings and version != "1.1":
        return Fault(400, "Transfer-Encoding is of HTTP/1.1; send Content-Length")
    if set(codings) - {b"chunked"}:
        return Fault(501, "no Transfer-Encoding but chunked is known; send the body as it is")
    if len(codings) > 1:
        return Fault(400, "chunked twice in Transfer-Encoding; send it once")
    return None


def without_upgrade(method: bytes, url: bytes, version: str, headers: Headers) -> bytes:
    r"""A head once more, without the wish to go on in another protocol.

    >>> without_upgrade(b"GET", b"/", "1.1", [(b"host", b"x"), (b"upgrade", b"h2c")])
    b'GET / HTTP/1.1\r\nhost: x\r\n\r\n'
    """
    lines = [b"%s %s HTTP/%s" % (method, url, version.encode("ascii"))]
    for name, value in headers:
        if name in _OF_AN_UPGRADE:
            continue
        said = value if name != b"connection" else b", ".join(_kept(value.split(b",")))
        if said or name != b"connection":
            lines.append(name + b": " + said)
    return b"\r\n".join(lines) + b"\r\n\r\n"


def _kept(tokens: Iterable[bytes]) -> list[bytes]:
    found = [token.strip() for token in tokens]
    return [token for token in found if token and token.lower() not in _OF_AN_UPGRADE]
