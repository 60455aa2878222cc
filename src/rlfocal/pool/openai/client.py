"""A server that speaks OpenAI's API, asked over one pool of connections.

Every way in which that can go wrong is one `MemberError` that names the server, the model and the
remedy, and holds neither the key nor the prompt. A reply that has come whole counts, though the
connection then hangs or breaks; what is in it, `replies` reads.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from functools import partial
from inspect import signature
from typing import Any, Self
from urllib.parse import urlsplit

import aiohttp

from rlfocal.errors import ConfigError, Failure, MemberError
from rlfocal.pool.openai.asked import words_asked
from rlfocal.pool.openai.body import body_bytes
from rlfocal.pool.openai.dialect import Attempt, Dialect
from rlfocal.pool.openai.http_failures import (
    connection_error,
    redirect_error,
    timeout_error,
    with_remedy,
)
from rlfocal.pool.openai.left_out import note_left_out
from rlfocal.pool.openai.redaction import Secret, Withheld, excerpt, redact
from rlfocal.pool.openai.replies.errors.reading import Upstream, read_error
from rlfocal.pool.openai.replies.incoming import Incoming
from rlfocal.pool.types import Api, Request, Response

__all__ = ["HOPS_HEADER", "OpenAIEndpoint", "hops", "passed_on"]

_MOST_ERROR_BYTES = 256 << 10
"""Of the body of an error; no more is read."""
_ERROR_PATIENCE_S = 5.0
"""For more of the body of an error, where its end does not come."""
_MOST_HEADER_BYTES = 64 << 10
"""Of one header: some servers send long policies and cookies."""
_BOUNDS: dict[str, Any] = {}
"""Of what aiohttp reads, as far as its version knows them."""
if "max_headers" in signature(aiohttp.ClientSession).parameters:
    _BOUNDS["max_headers"] = 1 << 10  # gateways in a row add up to more than the usual 128
_SHORTEST_SECRET = 12
"""Characters."""
_ENCODINGS = "gzip, deflate"
HOPS_HEADER = "x-rlfocal-hops"
hops: ContextVar[int] = ContextVar("hops", default=0)
"""Gateways that what is sent has come through; 0 outside of one. A server that is a gateway itself
can then tell when it is asked in circles."""
passed_on: ContextVar[Mapping[str, str] | None] = ContextVar("passed_on", default=None)
"""Headers that go with what is sent in this context; None for none."""


@dataclass(slots=True)
class _Exchange:
    """What came back so far."""

    incoming: Incoming = field(repr=False)
    status: int = 0
    """0 before there is one."""
    is_good: bool = False
    """A reply may be expected."""
    # Not in the repr: a server may echo the key, and tracebacks may show what variables hold.
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    error_body: bytearray = field(default_factory=bytearray, repr=False)
    """Where the status is no good one."""
    broken: MemberError | None = None
    """How it ended, where not as it should."""
    ended_at: float = 0.0
    """Of the last byte that counts, by `time.perf_counter`."""

    def take(self, part: bytes) -> bool:
        """Take what has come; False where no more is to be read."""
        self.ended_at = time.perf_counter()
        if self.is_good:
            self.incoming.feed(part)
            return not self.incoming.is_overlong
        self.error_body += part
        return len(self.error_body) <= _MOST_ERROR_BYTES

    @property
    def refusal(self) -> bytes:
        """A server's words in place of a reply."""
        return self.incoming.refusal if self.is_good else bytes(self.error_body)


class OpenAIEndpoint:
    """One server.

    Args:
        base_url: up to the part before /chat/completions.
        key: sent as a bearer token; None for none.
        api: chat turns, or one text that the model goes on with.
        headers: sent with every call.
        query: what follows the question mark of the address.
        secrets: what no error may show, beside the key.
        max_connections: kept open at most.

    Raises:
        ConfigError: the key holds what cannot be sent.
    """

    def __init__(
        self,
        base_url: str,
        *,
        key: str | None = None,
        api: Api = "chat",
        headers: Mapping[str, str] | None = None,
        query: Mapping[str, str] | None = None,
        secrets: Iterable[str] = (),
        max_connections: int = 100,
    ) -> None:
        self._host = urlsplit(base_url).netloc.rpartition("@")[2]
        if key and not key.isprintable():
            raise ConfigError(
                f"the key for {self._host} holds a line break or another character that cannot be "
                "sent; copy it again"
            )
        self._api = api
        self._key = Secret(key or "")
        self._secrets = tuple(Secret(secret) for secret in (key, *secrets) if secret)
        self._headers = {name: Secret(value) for name, value in (headers or {}).items()}
        self._query = {name: Secret(value) for name, value in (query or {}).items()}
        self._max_connections = max_connections
        self._dialect = Dialect(self._host, api)
        self._session: aiohttp.ClientSession | None = None
        self._url = base_url.rstrip("/") + (
            "/chat/completions" if api == "chat" else "/completions"
        )
        # Servers that want no key are given a word, which may well stand in a text.
        self._withheld = [s for s in self._secrets if len(s.reveal()) >= _SHORTEST_SECRET]

    def __repr__(self) -> str:
        return f"OpenAIEndpoint({self._host!r}, api={self._api!r})"

    async def send(self, request: Request, *, timeout_s: float) -> Response:
        """Answer one request; as `Endpoint.send`."""
        where = f"{self._host}, model '{request.model}'" if request.model else self._host
        held: list[Withheld] = []
        if request.on_text is not None:
            request, held = self._withholding(request, request.on_text)
        if request.on_thought is not None:
            request, more = self._withholding(request, request.on_thought, "on_thought")
            held += more
        attempt, ends = Attempt(self._dialect, request), time.perf_counter() + timeout_s
        while True:
            started = time.perf_counter()
            done = await self._exchange(attempt.request, where, timeout_s, ends - started)
            if done.status == 0 and done.broken is not None:
                # Raised here and not where it was met: there aiohttp's exception would become its
                # context, and that holds the request, and so the key.
                raise done.broken
            found = self._read(done, where, request, max(0.0, done.ended_at - started))
            if isinstance(found, Response):
                break
            if not attempt.refused(found.status or 400, done.refusal):
                at_fault = found.failure is Failure.BAD_REQUEST and attempt.remedy is not None
                raise with_remedy(found, attempt.remedy or "") if at_fault else found
        if self._withheld:
            self._check_secrets(found, where)
        found = attempt.accepted(found, n_alternatives=done.incoming.n_alternatives)
        note_left_out(attempt.left_out)
        for pieces in held:
            pieces.end()
        return found

    def _read(
        self, done: _Exchange, where: str, request: Request, latency_s: float
    ) -> Response | MemberError:
        """The response, or why there is none; what may be put otherwise is not raised."""
        if 300 <= done.status < 400:
            location = redact(done.headers.get("Location", ""), map(Secret.reveal, self._secrets))
            raise redirect_error(where, done.status, self._url, location)
        upstream = Upstream(where, partial(self._shown, request=request), done.headers)
        if not done.is_good:
            return read_error(bytes(done.error_body), done.status, upstream)
        try:
            return done.incoming.read(upstream, broken=done.broken, latency_s=latency_s)
        except MemberError as exc:
            exc.has_begun = done.incoming.has_begun
            if exc.failure is not Failure.BAD_REQUEST or exc.has_begun:
                raise
            return exc

    def _withholding(
        self, request: Request, tell: Callable[[str], None], listener: str = "on_text"
    ) -> tuple[Request, list[Withheld]]:
        """The request with a listener that never receives a secret."""
        held: list[Withheld] = []
        for secret in self._withheld:
            tell = Withheld(tell, secret.reveal())
            held.insert(0, tell)
        told: dict[str, Any] = {listener: tell}
        return replace(request, **told), held

    def _check_secrets(self, found: Response, where: str) -> None:
        """Refuse a reply that holds the key: clients must never see it.

        Raises:
            MemberError: it holds the key.
        """
        beside = (*found.tool_calls, found.beside)
        told = "\n".join([found.text, found.reasoning, found.refusal, *map(str, beside)])
        for secret in self._withheld:
            if secret.reveal() in told:
                raise MemberError(
                    f"{where}: the reply holds the key that it was asked with; use another server, "
                    "and another key",
                    failure=Failure.MALFORMED,
                )

    async def _exchange(
        self, request: Request, where: str, timeout_s: float, left_s: float
    ) -> _Exchange:
        done = _Exchange(Incoming(request, self._api))
        session = self._session or self._opened()
        post = session.post(
            self._url,
            data=aiohttp.BytesPayload(
                body_bytes(request, self._api), content_type="application/json"
            ),
            headers=_headers_of_context(),
            params=_revealed(self._query) if self._query else None,
            allow_redirects=False,
        )
        try:
            async with asyncio.timeout(left_s), post as reply:
                done.status, done.headers = reply.status, reply.headers
                done.is_good = 200 <= reply.status < 300
                done.ended_at = time.perf_counter()
                try:
                    await _read(reply.content, done)
                except aiohttp.ClientError:
                    done.take(_kept_back(reply.content))
                    raise
        except TimeoutError:
            if not (done.is_good and done.incoming.is_complete):
                done.broken, done.status = timeout_error(where, timeout_s), 0
                done.is_good = False
        except (aiohttp.ClientError, OSError, UnicodeError) as exc:
            done.broken = connection_error(where, exc)
        return done

    def _opened(self) -> aiohttp.ClientSession:
        headers = {"Accept-Encoding": _ENCODINGS, **_revealed(self._headers)}
        if key := self._key.reveal():
            headers["Authorization"] = f"Bearer {key}"
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=self._max_connections),
            headers=headers,
            timeout=aiohttp.ClientTimeout(total=None),
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
            max_line_size=_MOST_HEADER_BYTES,
            max_field_size=_MOST_HEADER_BYTES,
            **_BOUNDS,
        )
        return self._session

    def _shown(self, text: str, *, request: Request) -> str:
        """A server's own words, as far as they are fit to be shown."""
        return excerpt(text, map(Secret.reveal, self._secrets), prompts=words_asked(request))

    async def close(self) -> None:
        """Give the connections back."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def __aenter__(self) -> Self:
        """Itself."""
        return self

    async def __aexit__(self, *exc: object) -> None:
        """Close it."""
        await self.close()


def _headers_of_context() -> Mapping[str, str] | None:
    more, n = passed_on.get(), hops.get()
    return more if not n else {**(more or {}), HOPS_HEADER: str(n)}


def _revealed(secrets: Mapping[str, Secret]) -> dict[str, str]:
    return {name: secret.reveal() for name, secret in secrets.items()}


async def _read(content: aiohttp.StreamReader, done: _Exchange) -> None:
    """Read to the end of the body, or until nothing more has to be waited for."""
    patience_s = None if done.is_good else _ERROR_PATIENCE_S
    while True:
        try:
            if patience_s is None:
                part = await content.readany()
            else:
                async with asyncio.timeout(patience_s):
                    part = await content.readany()
        except TimeoutError:
            if not done.is_good or done.incoming.is_whole_after_silence():
                return
        else:
            if not part or not done.take(part):
                return
            if content.at_eof() and content.exception() is None:
                return
        if done.is_good:
            patience_s = done.incoming.patience_s


def _kept_back(content: aiohttp.StreamReader) -> bytes:
    """What came before a connection broke, which aiohttp's readers keep back then."""
    take = getattr(content, "_read_nowait", None)
    return bytes(take(-1)) if callable(take) else b""
