"""Begins the spans of requests, follows members' calls, and sends what is sampled.

A client's W3C `traceparent` is its request's parent, and says whether it is sampled; without one a
share is. `tracestate` and baggage are not passed on: members' servers are other people's.
"""

from __future__ import annotations

import asyncio
import logging
import re
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from uuid import uuid4

from rlfocal.deliberation.trace import Trace
from rlfocal.extras import need
from rlfocal.gateway.tracing.request_span import RequestSpan, current
from rlfocal.gateway.tracing.settings import TracingSettings
from rlfocal.gateway.wire.models import ENSEMBLE
from rlfocal.gateway.wire.request import ChatRequest
from rlfocal.pool.building import LiveMember
from rlfocal.pool.openai.client import passed_on
from rlfocal.pool.servers import OpenAISettings
from rlfocal.pool.settings import PoolSettings
from rlfocal.pool.types import Endpoint, Request, Response
from rlfocal.pool.wrappers.base import Wrapper

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import SpanProcessor

__all__ = ["Tracing"]

_log = logging.getLogger(__name__)
_PARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_SEND_S = 5.0
"""For the receiver to take what is sent; the gateway's end waits no longer for it."""


class Tracing:
    """Traces of one gateway.

    Args:
        settings: what is traced.
        processor: takes spans that have ended; None for one that sends them to the endpoint.

    Raises:
        NotInstalled: the extra `otel` is missing.
    """

    def __init__(
        self,
        settings: TracingSettings,
        *,
        processor: SpanProcessor | None = None,
    ) -> None:
        sdk = need("opentelemetry.sdk.trace", "tracing")
        sampling = need("opentelemetry.sdk.trace.sampling", "tracing")
        resources = need("opentelemetry.sdk.resources", "tracing")
        from rlfocal import __version__

        about = {
            "service.name": settings.service,
            "service.version": __version__,
            "service.instance.id": str(uuid4()),
        }
        self._settings = settings
        self._provider = sdk.TracerProvider(
            resource=resources.Resource.create(about),
            sampler=sampling.ParentBased(sampling.TraceIdRatioBased(settings.ratio)),
            shutdown_on_exit=False,
        )
        self._provider.add_span_processor(processor or _sender(settings))
        self._tracer = self._provider.get_tracer("rlfocal", __version__)

    @classmethod
    def of(cls, settings: TracingSettings) -> Tracing | None:
        """That of settings; None where tracing is off.

        Raises:
            NotInstalled: as above.
        """
        return cls(settings) if settings.ratio > 0 else None

    def followed(self, pool: PoolSettings, members: Sequence[LiveMember]) -> tuple[LiveMember, ...]:
        """The same members, whose calls are traced."""
        return tuple(
            replace(m, endpoint=_Followed(m.endpoint, _about(pool, m), self._settings.to_members))
            for m in members
        )

    def request(
        self, chat: ChatRequest, request_id: str, trace: Trace, headers: Mapping[str, str]
    ) -> RequestSpan:
        """Begin the span of a request.

        Args:
            chat: what is asked.
            request_id: of it.
            trace: of what it will set going.
            headers: of HTTP, their names in small letters.
        """
        from opentelemetry.trace import SpanKind

        asked = chat.member or ENSEMBLE  # in names never the client's own text: that has no bounds
        about = {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": "rlfocal",
            "gen_ai.request.model": chat.body.model[:256],
            "gen_ai.response.id": request_id,
            "rlfocal.streamed": bool(chat.body.stream),
            "http.request.method": "POST",
        }
        parent = _parent_of(headers.get("traceparent", ""))
        span = self._tracer.start_span(f"chat {asked}", parent, SpanKind.SERVER, attributes=about)
        return RequestSpan(self._tracer, span, trace, with_texts=self._settings.prompts)

    async def close(self) -> None:
        """Send what is left, as far as the receiver takes it in time."""
        loop, sent = asyncio.get_running_loop(), asyncio.Event()

        def send() -> None:
            try:
                self._provider.shutdown()
            finally:
                with suppress(RuntimeError):  # the loop has ended: nobody waits any more
                    loop.call_soon_threadsafe(sent.set)

        # Of its own and not the loop's: the end of a process waits for all of those.
        threading.Thread(target=send, name="last-spans", daemon=True).start()
        try:
            async with asyncio.timeout(_SEND_S):
                await sent.wait()
        except TimeoutError:
            _log.warning("the receiver of traces has not taken the last of them in %g s", _SEND_S)


class _Followed(Wrapper):
    """A member's endpoint whose calls are traced."""

    def __init__(self, endpoint: Endpoint, about: Mapping[str, Any], tells: bool) -> None:
        super().__init__(endpoint)
        self._about, self._tells = about, tells
        self._name = f"chat {about['gen_ai.request.model']}"

    async def send(self, request: Request, *, timeout_s: float) -> Response:
        """Answer one request; as `Endpoint.send`."""
        asking = current.get()
        if asking is None:
            return await self._endpoint.send(request, timeout_s=timeout_s)
        with asking.call(request, self._about, self._name) as (span, traceparent):
            token = passed_on.set({"traceparent": traceparent} if self._tells else None)
            try:
                reply = await self._endpoint.send(request, timeout_s=timeout_s)
            finally:
                passed_on.reset(token)
            asking.replied(span, reply)
            return reply


def _about(pool: PoolSettings, member: LiveMember) -> dict[str, Any]:
    served = pool.endpoints[member.settings.endpoint]
    found: dict[str, Any] = {
        "gen_ai.operation.name": "chat" if member.api == "chat" else "text_completion",
        "gen_ai.provider.name": served.kind,
        "gen_ai.request.model": member.settings.model,
        "rlfocal.member": member.name,
    }
    if isinstance(served, OpenAISettings):
        place = urlsplit(served.base_url)  # of which a part may be a secret
        found["server.address"] = place.hostname or ""
        found["server.port"] = place.port or (443 if place.scheme == "https" else 80)
    return found


def _parent_of(traceparent: str) -> Context:
    """The context that a client is in; an empty one where it names none that can be read."""
    from opentelemetry.context import Context
    from opentelemetry.trace import (
        NonRecordingSpan,
        SpanContext,
        TraceFlags,
        set_span_in_context,
    )

    found, nobody = _PARENT.fullmatch(traceparent), Context()
    if found is None or found[1] == "ff" or (found[1] == "00" and found[5]):
        return nobody
    flags = TraceFlags(int(found[4], 16) & TraceFlags.SAMPLED)
    place = SpanContext(int(found[2], 16), int(found[3], 16), is_remote=True, trace_flags=flags)
    return set_span_in_context(NonRecordingSpan(place), nobody) if place.is_valid else nobody


def _sender(settings: TracingSettings) -> SpanProcessor:
    otlp = need("opentelemetry.exporter.otlp.proto.http.trace_exporter", "tracing")
    export = need("opentelemetry.sdk.trace.export", "tracing")
    exporter = otlp.OTLPSpanExporter(endpoint=settings.endpoint, timeout=_SEND_S)
    processor: SpanProcessor = export.BatchSpanProcessor(exporter)
    return processor
