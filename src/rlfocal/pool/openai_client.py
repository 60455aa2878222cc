"""A server that speaks OpenAI's API, asked over one pool of connections.

Every way in which that can go wrong is one `MemberError` that names the server, the model and the
remedy, and holds neither the key nor the prompt.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping
from typing import Any, Literal, Self
from urllib.parse import urlsplit

import aiohttp

from rlfocal.errors import Failure, MemberError
from rlfocal.pool.http_failures import connection_error, retry_after, status_error
from rlfocal.pool.redaction import Secret, redact, repeats
from rlfocal.pool.types import Finish, Request, Response

__all__ = ["OpenAIEndpoint"]

_MOST_BYTES = 8 << 20
"""Of a reply; a longer one is broken or hostile."""
_SHOWN = 200
"""Characters of a server's own message that an error repeats."""
_FINISHES: Mapping[str | None, Finish] = {"stop": "stop", "length": "length", None: "stop"}
"""Some servers leave it out; that is no reason to throw a reply away."""


class OpenAIEndpoint:
    """One server.

    Args:
        base_url: up to the part before /chat/completions.
        key: sent as a bearer token; None for none.
        api: chat turns, or one text that the model goes on with.
        max_connections: kept open at most.
    """

    def __init__(
        self,
        base_url: str,
        *,
        key: str | None = None,
        api: Literal["chat", "completions"] = "chat",
        max_connections: int = 100,
    ) -> None:
        self._base_url, self._api = base_url.rstrip("/"), api
        self._key = Secret(key or "")
        self._max_connections = max_connections
        self._session: aiohttp.ClientSession | None = None
        self._host = urlsplit(base_url).netloc.rpartition("@")[2]

    def __repr__(self) -> str:
        return f"OpenAIEndpoint({self._host!r}, api={self._api!r})"

    async def send(self, request: Request, *, timeout_s: float) -> Response:
        """Answer one request; as `Endpoint.send`."""
        where = f"{self._host}, model '{request.model}'" if request.model else self._host
        started = time.perf_counter()
        try:
            async with asyncio.timeout(timeout_s):
                status, headers, body = await self._post(self._body(request), where)
        except TimeoutError:
            raise MemberError(
                f"{where}: no reply within {timeout_s:.3g} s; raise timeout_s or ask less at once",
                failure=Failure.TIMEOUT,
            ) from None
        except (aiohttp.ClientError, OSError, UnicodeError) as exc:
            # Not "from exc": it holds the request, and that holds the key.
            raise connection_error(where, exc) from None
        if status >= 300:
            wait = retry_after(headers.get("Retry-After"))
            raise status_error(where, status, detail=self._told(body, request), retry_after_s=wait)
        found = _json(body, headers.get("Content-Type", ""), where)
        return self._read(found, request, where, time.perf_counter() - started)

    async def _post(self, body: dict[str, Any], where: str) -> tuple[int, Mapping[str, str], bytes]:
        path = "/chat/completions" if self._api == "chat" else "/completions"
        session = self._opened()
        async with session.post(self._base_url + path, json=body, allow_redirects=False) as reply:
            # One byte more than allowed tells a reply that ends there from one that goes on.
            parts, size = [], 0
            async for part in reply.content.iter_any():
                parts.append(part)
                size += len(part)
                if size > _MOST_BYTES:
                    raise MemberError(
                        f"{where}: a reply of more than {_MOST_BYTES >> 20} MiB; check base_url",
                        failure=Failure.MALFORMED,
                    )
            return reply.status, reply.headers, b"".join(parts)

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

    def _body(self, request: Request) -> dict[str, Any]:
        body: dict[str, Any] = {
            "max_tokens": request.max_tokens,
            "temperature": request.temperature,
        }
        if request.model:
            body["model"] = request.model
        if self._api == "chat":
            body["messages"] = [message.as_json() for message in request.messages]
        else:
            body["prompt"] = request.text
        for name in ("top_p", "seed"):
            if (value := getattr(request, name)) is not None:
                body[name] = value
        if request.stop:
            body["stop"] = list(request.stop)
        if request.n_logprobs and self._api == "chat":
            body |= {"logprobs": True, "top_logprobs": request.n_logprobs}
        elif request.n_logprobs:
            body["logprobs"] = request.n_logprobs
        return body

    def _told(self, body: bytes, request: Request) -> str:
        """The server's own message, where it is fit to be shown."""
        try:
            found = json.loads(body)
        except ValueError:
            return ""
        error = found.get("error", found) if isinstance(found, dict) else None
        text = error.get("message") if isinstance(error, dict) else error
        if not isinstance(text, str):
            return ""
        text = " ".join(redact(text, [self._key.reveal()]).split())
        if repeats(text, request.text):
            return "its message repeats the prompt and is left out"
        return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."

    def _read(
        self, found: dict[str, Any], request: Request, where: str, latency_s: float
    ) -> Response:
        try:
            choice = found["choices"][0]
            text = (choice["message"]["content"] if self._api == "chat" else choice["text"]) or ""
            finish, usage = choice.get("finish_reason"), found.get("usage") or {}
            if not isinstance(text, str) or not isinstance(usage, dict):
                raise TypeError
        except (KeyError, IndexError, TypeError, AttributeError):
            raise MemberError(
                f"{where}: the reply lacks what OpenAI's API promises (choices, text); check "
                "base_url and api",
                failure=Failure.MALFORMED,
            ) from None
        logprobs = _first_logprobs(choice.get("logprobs")) if request.n_logprobs else None
        if finish == "content_filter":
            raise MemberError(f"{where}: held back by its content filter", failure=Failure.FILTERED)
        if finish not in _FINISHES:
            raise MemberError(
                f"{where}: ended for an unknown reason {str(finish)[:40]!r}",
                failure=Failure.MALFORMED,
            )
        if not text.strip() and not logprobs:
            raise MemberError(
                f"{where}: an empty reply; check template, stop and max_tokens",
                failure=Failure.EMPTY,
            )
        return Response(
            text=text,
            finish=_FINISHES[finish],
            n_prompt_tokens=_count(usage.get("prompt_tokens")),
            n_completion_tokens=_count(usage.get("completion_tokens")),
            first_logprobs=logprobs,
            latency_s=latency_s,
        )

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


def _json(body: bytes, content_type: str, where: str) -> dict[str, Any]:
    kind = content_type.partition(";")[0].strip().lower()
    if kind and not (kind == "application/json" or kind.endswith("+json")):
        raise MemberError(
            f"{where}: the reply is {kind[:60]}, not JSON; check base_url",
            failure=Failure.MALFORMED,
        )
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise MemberError(
            f"{where}: the reply is not the JSON object it should be; see the server's log",
            failure=Failure.MALFORMED,
        )
    return found


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) and value >= 0 else None


def _first_logprobs(found: Any) -> dict[str, float] | None:
    """Token → log-probability of the first token, in the chat's or the completions' shape."""
    try:
        if "content" in found:
            top = found["content"][0]["top_logprobs"]
            pairs = [(item["token"], item["logprob"]) for item in top]
        else:
            pairs = list(found["top_logprobs"][0].items())
        return {str(token): float(value) for token, value in pairs} or None
    except (KeyError, IndexError, TypeError, ValueError, AttributeError):
        return None
