"""A GGUF file answered by llama.cpp in this process, through `xllamacpp`.

The engine runs on threads of its own and is spoken to over the loopback interface, behind a key
that only this process knows: so a call that is given up is cancelled there, too. What llama.cpp
would do by default and no other server does is turned off, so that temperature means what it means
elsewhere, and a score does not depend on what was asked before.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import secrets
from dataclasses import replace
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

from rlfocal.errors import ConfigError
from rlfocal.extras import need
from rlfocal.pool.asking.tools_in_words import in_words
from rlfocal.pool.endpoints import LlamaCppSettings
from rlfocal.pool.openai.client import OpenAIEndpoint
from rlfocal.pool.types import Request, Response

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["LlamaCppEndpoint", "LlamaServer", "plain"]

_log = logging.getLogger(__name__)
_BLOCK = 1 << 20
_CACHE_MIB = 512
_PATIENCE_S = 60.0


class LlamaServer:
    """One model in memory, and the server inside this process that answers for it.

    Args:
        settings: which file, and how it is run.
    """

    def __init__(self, settings: LlamaCppSettings) -> None:
        self._settings = settings
        self._server: Any = None
        self.key = secrets.token_urlsafe(32)
        """Without it nobody is answered."""

    @property
    def address(self) -> str:
        """Where it listens; on the loopback interface alone."""
        return str(self._server.listening_address)

    def load(self) -> None:
        """Load the model; takes seconds.

        Raises:
            ConfigError: the file is missing, not what it should be, or cannot be loaded.
        """
        settings, path = self._settings, self._settings.path
        xllamacpp = need("xllamacpp", "a llama-cpp endpoint")
        _log.info("loading %s", path.name)
        _check(path, settings.sha256)
        params = xllamacpp.CommonParams()
        params.model.path = str(path)
        params.n_parallel = settings.concurrency
        params.n_ctx = settings.n_context * settings.concurrency  # shared out among them
        params.cpuparams.n_threads = settings.n_threads
        params.cpuparams_batch.n_threads = settings.n_threads
        params.port, params.api_keys = 0, [self.key]
        params.offline, params.ui, params.endpoint_slots = True, False, False
        params.cache_ram_mib = _CACHE_MIB  # prompts seen before; left alone it takes 8 GiB
        # Models that look back a little way only (gemma) would otherwise evaluate the whole prompt
        # each time, however much of it was the same: no prompt could be cut back to what is kept.
        params.swa_full = True
        params.warmup, params.verbosity = False, -1
        try:
            self._server = xllamacpp.Server(params)
        except (RuntimeError, ValueError) as exc:
            raise ConfigError(f"{path}: llama.cpp cannot load it: {exc}") from exc

    def knows_tools(self) -> bool:
        """Whether the model's chat template has words for tools; llama.cpp itself says so.

        Where it has none, llama.cpp leaves out the tools of a request and says nothing.
        """
        place = urlsplit(self.address)
        asked = HTTPConnection(str(place.hostname), place.port, timeout=_PATIENCE_S)
        why = "it tells nothing of its chat template"
        try:
            asked.request("GET", "/props", headers={"Authorization": f"Bearer {self.key}"})
            reply = asked.getresponse()
            told = json.loads(reply.read())
            if reply.status != HTTPStatus.OK:
                told, why = None, f"HTTP {reply.status}"
        except (OSError, HTTPException, ValueError) as exc:
            told, why = None, str(exc) or type(exc).__name__
        finally:
            asked.close()
        caps = told.get("chat_template_caps") if isinstance(told, dict) else None
        knows = caps.get("supports_tools") if isinstance(caps, dict) else None
        if not isinstance(knows, bool):
            name = self._settings.path.name
            _log.warning("%s: may have no words for tools, which are then left out: %s", name, why)
        return knows is not False

    def close(self) -> None:
        """Give the memory back."""
        self._server = None


class LlamaCppEndpoint:
    """One model in memory; loaded when the endpoint is opened, so that a bad file is known early.

    Args:
        settings: which file, and how it is run.
    """

    def __init__(self, settings: LlamaCppSettings) -> None:
        self._settings = settings
        self._server = LlamaServer(settings)
        self._client: OpenAIEndpoint | None = None
        self._tells_tools = False
        """Whether tools are told in words, since the chat template has none for them."""

    async def send(self, request: Request, *, timeout_s: float) -> Response:
        """Answer one request; as `Endpoint.send`."""
        if self._client is None:
            raise RuntimeError("open the endpoint first: async with endpoint: ...")
        if self._tells_tools:
            request = in_words(request)
        return await self._client.send(plain(request), timeout_s=timeout_s)

    async def close(self) -> None:
        """Give the memory back."""
        if self._client is not None:
            await self._client.close()
        self._client = None
        self._server.close()

    async def __aenter__(self) -> Self:
        """Load the model.

        Raises:
            ConfigError: the file is missing, not what it should be, or cannot be loaded.
        """
        await asyncio.to_thread(self._server.load)
        if self._settings.api == "chat":
            self._tells_tools = not await asyncio.to_thread(self._server.knows_tools)
        if self._tells_tools:
            name = self._settings.path.name
            _log.info("%s: its chat template has no words for tools; they are told in ours", name)
        self._client = OpenAIEndpoint(
            f"{self._server.address}/v1",
            key=self._server.key,
            api=self._settings.api,
            max_connections=self._settings.concurrency,
        )
        return self

    async def __aexit__(self, *exc: object) -> None:
        """Close it."""
        await self.close()


def plain(request: Request) -> Request:
    """The request without what llama.cpp adds to OpenAI's API unasked; what it says itself counts.

    A draw is from all tokens unless the request says otherwise (llama.cpp: from those of the first
    40 that are among the likeliest 95 % and at least .05 as likely as the likeliest). Where
    log-probabilities are asked for the prompt is evaluated whole: from llama.cpp's prompt cache
    they differ by up to .08.

    Of the likely tokens beside each one, of which it would tell 20, it tells one.

    >>> plain(Request((), temperature=1)).extra
    {'top_k': 0, 'min_p': 0.0}
    """
    if request.logprobs:
        request = replace(request, wording=replace(request.wording, one_alternative=True))
    own: dict[str, Any] = {}
    if request.temperature > 0:
        own |= {"top_k": 0, "min_p": 0.0}
        request = request if request.top_p is not None else replace(request, top_p=1.0)
    if request.n_logprobs:
        own["cache_prompt"] = False
    return replace(request, extra={**own, **request.extra}) if own else request


def _check(path: Path, sha256: str | None) -> None:
    """Refuse what llama.cpp would crash on, or what is not the file that was meant."""
    try:
        with path.open("rb") as file:
            if file.read(4) != b"GGUF":
                raise ConfigError(f"{path}: is no GGUF file")
            if sha256 is None:
                return
            file.seek(0)
            found = hashlib.sha256()
            while block := file.read(_BLOCK):
                found.update(block)
    except OSError as exc:
        raise ConfigError(f"{path}: cannot be read: {exc.strerror or exc}") from exc
    if found.hexdigest() != sha256:
        raise ConfigError(f"{path}: has sha256 {found.hexdigest()}, not {sha256}; get it again")
