"""Whatever the litellm library reaches, asked through its `acompletion`.

litellm finds keys by its own environment variables, and puts the providers' replies and errors into
OpenAI's words; the reading of both is shared with `openai_client`. It is imported when an endpoint
is opened, and told to keep to itself: no telemetry, no callbacks, no price map from the network, no
repeats of its own. Written after the API of litellm 1.80. Some of its providers are asked in a
thread: such a call cannot be cancelled on the way, only its reply is not waited for.
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, Self

from rlfocal.errors import Failure, MemberError
from rlfocal.extras import need
from rlfocal.pool.openai.asked import words_asked
from rlfocal.pool.openai.http_failures import filtered_error, timeout_error
from rlfocal.pool.openai.left_out import note_left_out
from rlfocal.pool.openai.redaction import excerpt
from rlfocal.pool.openai.replies.errors.reading import Complaint, Upstream, error_for
from rlfocal.pool.openai.replies.whole import read_object
from rlfocal.pool.types import Request, Response

__all__ = ["LiteLlmEndpoint"]

_log = logging.getLogger(__name__)

_HOLDS_KEY = re.compile(r"KEY|TOKEN|SECRET|PASSWORD|CREDENTIAL")
"""In the names of environment variables: litellm has a hundred of them, for as many providers."""
_SHORTEST_KEY = 8
"""Fewer characters are a flag or a number, and would be met by chance."""


class LiteLlmEndpoint:
    """All providers that litellm knows; a request's model names one, as "anthropic/claude-..."."""

    def __init__(self) -> None:
        self._litellm: Any = None
        self._without_logprobs: set[str] = set()
        """Models that have refused to tell log-probabilities of tokens, which nobody needs."""

    async def send(self, request: Request, *, timeout_s: float) -> Response:
        """Answer one request; as `Endpoint.send`."""
        if self._litellm is None:
            raise RuntimeError("open the endpoint first: async with endpoint: ...")
        if request.logprobs and request.model in self._without_logprobs:
            request = replace(request, logprobs=False)
        where = f"litellm, model '{request.model}'"
        started = time.perf_counter()
        found = await self._exchange(request, where, timeout_s)
        if isinstance(found, MemberError):
            raise found  # here, so that litellm's exception, which holds the request, is no context
        latency_s = time.perf_counter() - started
        upstream = Upstream(where, partial(_shown, request=request))
        reply = read_object(found, request, upstream, latency_s=latency_s)
        note_left_out(request.wording.drop)
        return reply

    async def _exchange(
        self, request: Request, where: str, timeout_s: float
    ) -> dict[str, Any] | MemberError:
        try:
            async with asyncio.timeout(timeout_s):
                reply = await self._litellm.acompletion(**self._arguments(request, timeout_s))
            found: dict[str, Any] = reply.model_dump()
            return found
        except TimeoutError:
            return timeout_error(where, timeout_s)
        except Exception as exc:  # of a hundred providers' libraries; a failed call is no crash
            if request.logprobs and not request.n_logprobs and "logprob" in str(exc).lower():
                return await self._exchange_without(request, where, timeout_s)
            return self._error(exc, request, where, timeout_s)

    async def _exchange_without(
        self, request: Request, where: str, timeout_s: float
    ) -> dict[str, Any] | MemberError:
        """The same without log-probabilities, and so from then on, if that goes through."""
        found = await self._exchange(replace(request, logprobs=False), where, timeout_s)
        if not isinstance(found, MemberError):
            self._without_logprobs.add(request.model)
            _log.warning(
                "%s: tells no log-probabilities, which are not asked for from now on; to have it "
                "so at once: logprobs = false in the pool file",
                where,
            )
        return found

    def _arguments(self, request: Request, timeout_s: float) -> dict[str, Any]:
        arguments: dict[str, Any] = {
            **request.extra,
            "model": request.model,
            "messages": [message.as_json() for message in request.messages],
            request.wording.max_tokens_field: request.max_tokens,
            "temperature": request.temperature,
            "timeout": timeout_s,
            # Of both, since providers' own clients have the second; `Retrying` repeats.
            "num_retries": 0,
            "max_retries": 0,
            # What is left out silently would be recorded as if it had been asked for.
            "drop_params": False,
        }
        if request.top_p is not None:
            arguments["top_p"] = request.top_p
        if request.stop:
            arguments["stop"] = list(request.stop)
        if request.n_logprobs:
            arguments |= {"logprobs": True, "top_logprobs": request.n_logprobs}
        elif request.logprobs and self._takes("logprobs", request.model):
            arguments["logprobs"] = True
        # Every request has a seed, and who does not draw by seeds is to ignore it.
        if request.seed is not None and self._takes("seed", request.model):
            arguments["seed"] = request.seed
        return {k: v for k, v in arguments.items() if k not in request.wording.drop}

    def _takes(self, name: str, model: str) -> bool:
        return name in (self._litellm.get_supported_openai_params(model=model) or ())

    def _error(self, exc: Exception, request: Request, where: str, timeout_s: float) -> MemberError:
        """The error for an exception of litellm, by its HTTP status where it has one."""
        named = partial(_is_a, exc, self._litellm)
        if named("Timeout"):
            return timeout_error(where, timeout_s)
        words = str(exc)
        show = partial(_shown, request=request)
        if named("ContentPolicyViolationError"):
            return filtered_error(where, 400, detail=show(words))
        if named("APIConnectionError"):
            return MemberError(
                f"{where}: no connection ({show(words)}); check the model's name, its environment "
                "variables and the network",
                failure=Failure.UNREACHABLE,
            )
        status = getattr(exc, "status_code", None)
        if isinstance(status, int) and 300 <= status < 600:
            headers = getattr(getattr(exc, "response", None), "headers", None) or {}
            complaint = Complaint(words, body=getattr(exc, "body", None))
            return error_for(complaint, status, Upstream(where, show, headers))
        return MemberError(
            f"{where}: litellm failed with {type(exc).__name__} ({show(words)}); see its "
            "documentation for this provider",
            failure=Failure.MALFORMED,
        )

    async def close(self) -> None:
        """Give the connections back: those of all litellm endpoints, who share them."""
        if self._litellm is not None:
            litellm, self._litellm = self._litellm, None
            await litellm.close_litellm_async_clients()

    async def __aenter__(self) -> Self:
        """Import litellm, which takes seconds.

        Raises:
            ConfigError: it is not installed.
        """
        self._litellm = await asyncio.to_thread(_import_litellm)
        return self

    async def __aexit__(self, *exc: object) -> None:
        """Close it."""
        await self.close()


def _import_litellm() -> Any:
    # Otherwise it fetches a price map from the network while it is imported.
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    litellm = need("litellm", "an endpoint of kind 'litellm'")
    litellm.telemetry = False
    litellm.suppress_debug_info = True
    for name in ("callbacks", "input_callback", "success_callback", "failure_callback"):
        setattr(litellm, name, [])
        # The same, for calls that are awaited.
        if name in ("success_callback", "failure_callback"):
            setattr(litellm, f"_async_{name}", [])
    return litellm


def _is_a(exc: Exception, litellm: Any, name: str) -> bool:
    kind = getattr(litellm, name, None)
    return isinstance(kind, type) and isinstance(exc, kind)


def _shown(text: str, *, request: Request) -> str:
    """A provider's own words, as far as they are fit to be shown."""
    return excerpt(text, _keys(os.environ), prompts=words_asked(request))


def _keys(environ: Mapping[str, str]) -> Iterator[str]:
    """What litellm may have sent as a key."""
    for name, value in environ.items():
        if _HOLDS_KEY.search(name.upper()) and len(value) >= _SHORTEST_KEY:
            yield value
