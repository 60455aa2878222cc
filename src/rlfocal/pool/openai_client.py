"""A server that speaks OpenAI's API, asked over one pool of connections.

Every way in which that can go wrong is one `MemberError` that names the server, the model and the
remedy, and holds neither the key nor the prompt.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Self
from urllib.parse import urlsplit

import aiohttp

from rlfocal.errors import ConfigError, Failure, MemberError
from rlfocal.pool.http_failures import connection_error, retry_after, timeout_error
from rlfocal.pool.openai_body import body_of
from rlfocal.pool.openai_reply import read_error, read_object, read_reply
from rlfocal.pool.openai_stream import StreamedReply
from rlfocal.pool.redaction import Secret, Withheld, excerpt
from rlfocal.pool.types import Api, Request, Response

__all__ = ["HOPS_HEADER", "OpenAIEndpoint", "hops"]

_MOST_BYTES = 8 << 20
"""Of a reply; a longer one is broken or hostile."""
_SHORTEST_SECRET = 12
"""Characters."""
HOPS_HEADER = "x-rlfocal-hops"
hops: ContextVar[int] = ContextVar("hops", default=0)
"""Gateways that what is sent has come through; 0 outside of one. A server that is a gateway itself
can then tell when it is asked in circles."""


@dataclass(frozen=True, slots=True)
class _Reply:
    status: int
    # Not in the repr: a server may echo the key, and tracebacks may show what variables hold.
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    cut: bool
    """There was more of it than is read."""
    streamed: StreamedReply | None = field(default=None, repr=False)
    """Where it came in pieces."""


class OpenAIEndpoint:
    """One server.

    Args:
        base_url: up to the part before /chat/completions.
        key: sent as a bearer token; None for none.
        api: chat turns, or one text that the model goes on with.
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
        max_connections: int = 100,
    ) -> None:
        self._host = urlsplit(base_url).netloc.rpartition("@")[2]
        if key and not key.isprintable():
            raise ConfigError(
                f"the key for {self._host} holds a line break or another character that cannot be "
                "sent; copy it again"
            )
        self._base_url, self._api = base_url.rstrip("/"), api
        self._key = Secret(key or "")
        self._max_connections = max_connections
        self._session: aiohttp.ClientSession | None = None

    def __repr__(self) -> str:
        return f"OpenAIEndpoint({self._host!r}, api={self._api!r})"

    async def send(self, request: Request, *, timeout_s: float) -> Response:
        """Answer one request; as `Endpoint.send`."""
        where = f"{self._host}, model '{request.model}'" if request.model else self._host
        held = None
        if request.on_text is not None and self._is_secret:
            held = Withheld(request.on_text, self._key.reveal())
            request = replace(request, on_text=held)
        started = time.perf_counter()
        reply = await self._exchange(request, where, timeout_s)
        if isinstance(reply, MemberError):
            # Raised here and not where it was met: there aiohttp's exception would become its
            # context, and that holds the request, and so the key.
            raise reply
        latency_s = time.perf_counter() - started
        show = partial(self._shown, prompt=request.text)
        if reply.status >= 300:
            wait = retry_after(reply.headers.get("Retry-After"))
            raise read_error(reply.body, reply.status, where=where, show=show, retry_after_s=wait)
        if reply.cut:
            raise MemberError(
                f"{where}: a reply of more than {_MOST_BYTES >> 20} MiB; check base_url",
                failure=Failure.MALFORMED,
            )
        found = self._read(reply, request, where, show)
        if held is not None:
            held.end()
        return replace(found, latency_s=latency_s)

    @property
    def _is_secret(self) -> bool:
        """Servers that want no key are given a word, which may well stand in a text."""
        return len(self._key.reveal()) >= _SHORTEST_SECRET

    def _without_key(self, found: Response, where: str) -> Response:
        """A reply that does not tell our key to whoever asked.

        Raises:
            MemberError: it holds the key.
        """
        key = self._key.reveal()
        told = found.text + "".join(map(str, found.tool_calls))
        if self._is_secret and key in told:
            raise MemberError(
                f"{where}: the reply holds the key that it was asked with; use another server, and "
                "another key",
                failure=Failure.MALFORMED,
            )
        return found

    def _read(
        self, reply: _Reply, request: Request, where: str, show: Callable[[str], str]
    ) -> Response:
        if reply.streamed is None:
            kind = reply.headers.get("Content-Type", "")
            found = read_reply(reply.body, kind, request, api=self._api, where=where, show=show)
            found = self._without_key(found, where)
            if request.on_text is not None:  # the server cannot send it in pieces
                request.on_text(found.text)
            return found
        whole = reply.streamed.reply()
        if whole is None:
            raise MemberError(
                f"{where}: the reply broke off; ask again", failure=Failure.UNREACHABLE
            )
        read = read_object(whole, request, api=self._api, where=where, show=show)
        return self._without_key(read, where)

    async def _exchange(
        self, request: Request, where: str, timeout_s: float
    ) -> _Reply | MemberError:
        try:
            async with asyncio.timeout(timeout_s):
                return await self._post(body_of(request, self._api), request.on_text)
        except TimeoutError:
            return timeout_error(where, timeout_s)
        except (aiohttp.ClientError, OSError, UnicodeError) as exc:
            return connection_error(where, exc)

    async def _post(self, body: dict[str, Any], on_text: Callable[[str], None] | None) -> _Reply:
        path = "/chat/completions" if self._api == "chat" else "/completions"
        session, url = self._opened(), self._base_url + path
        marks = {HOPS_HEADER: str(n)} if (n := hops.get()) else None
        async with session.post(url, json=body, headers=marks, allow_redirects=False) as reply:
            streamed = None
            if on_text is not None and reply.content_type == "text/event-stream":
                streamed = StreamedReply(self._api, on_text)
            parts, size = [], 0
            async for part in reply.content.iter_any():
                if streamed is None:
                    parts.append(part)
                else:
                    streamed.feed(part)
                size += len(part)
                if size > _MOST_BYTES:
                    break
            cut = size > _MOST_BYTES
            return _Reply(reply.status, reply.headers, b"".join(parts), cut, streamed)

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            key = self._key.reveal()
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=self._max_connections),
                headers={"Authorization": f"Bearer {key}"} if key else None,
                timeout=aiohttp.ClientTimeout(total=None),
                cookie_jar=aiohttp.DummyCookieJar(),
                trust_env=False,
            )
        return self._session

    def _shown(self, text: str, *, prompt: str) -> str:
        """A server's own words, as far as they are fit to be shown."""
        return excerpt(text, [self._key.reveal()], prompt=prompt)

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
