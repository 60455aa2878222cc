"""The spans of one request: itself, its rounds, its calls.

Names and attributes are those of OpenTelemetry's conventions for generative models, where they have
one; what is ours begins with `rlfocal.`. Errors are told by their kinds: servers' words may hold a
prompt.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from rlfocal.deliberation.trace import Trace
from rlfocal.errors import MemberError
from rlfocal.live import Answer
from rlfocal.pool.types import Request, Response

if TYPE_CHECKING:
    from opentelemetry.trace import Span, Tracer

__all__ = ["RequestSpan", "current"]

current: ContextVar[RequestSpan | None] = ContextVar("request_span", default=None)
"""Whose members are asked in this context."""
_LONGEST = 16_384
"""Characters of a prompt or a reply."""


class RequestSpan:
    """One request under way.

    Args:
        tracer: makes spans.
        span: of the request, begun.
        trace: of what it sets going, as far as that has come.
        with_texts: whether prompts and replies are told.
    """

    def __init__(self, tracer: Tracer, span: Span, trace: Trace, *, with_texts: bool) -> None:
        from opentelemetry.trace import set_span_in_context

        self._tracer, self._span, self._trace = tracer, span, trace
        self._within = set_span_in_context(span)
        self._with_texts = with_texts and span.is_recording()
        self._round: Span | None = None
        self._number = self._last_at = 0

    @contextmanager
    def call(
        self, request: Request, about: Mapping[str, Any], name: str
    ) -> Iterator[tuple[Span, str]]:
        """The span of a call of a member.

        Args:
            request: what is sent.
            about: attributes of the member.
            name: of the span.

        Yields:
            It, and the `traceparent` by which its server may take part in the trace.
        """
        from opentelemetry.trace import SpanKind, set_span_in_context

        within = set_span_in_context(self._round_now())
        span = self._tracer.start_span(name, within, SpanKind.CLIENT, attributes=about)
        if self._with_texts:
            _put(span, "gen_ai.input.messages", [(t.role, t.content) for t in request.messages])
        place = span.get_span_context()
        told = f"00-{place.trace_id:032x}-{place.span_id:016x}-{place.trace_flags:02x}"
        try:
            yield span, told
        except MemberError as exc:
            failed(span, exc.failure.value)
            raise
        except BaseException:
            # Not waited for any more: that is no fault of its server.
            span.set_attribute("rlfocal.cancelled", True)
            raise
        finally:
            span.end()
            self._last_at = time.time_ns()

    def replied(self, span: Span, reply: Response) -> None:
        """Say what came back."""
        span.set_attributes(
            _known(
                {
                    "gen_ai.response.finish_reasons": (reply.finish,),
                    "gen_ai.usage.input_tokens": reply.n_prompt_tokens,
                    "gen_ai.usage.output_tokens": reply.n_completion_tokens,
                    "gen_ai.usage.cache_read.input_tokens": reply.n_cached_tokens,
                    "rlfocal.cost_usd": reply.cost_usd,
                    "rlfocal.attempts": reply.n_attempts,
                }
            )
        )
        if self._with_texts:
            _put(span, "gen_ai.output.messages", [("assistant", reply.written)])

    def _round_now(self) -> Span:
        number = len(self._trace.rounds) + 1
        if self._round is None or number != self._number:
            self._end_round()
            about = {"rlfocal.round": number}
            self._round = self._tracer.start_span(f"round {number}", self._within, attributes=about)
            self._number = number
        return self._round

    def _end_round(self) -> None:
        if self._round is not None:
            if self._number > len(self._trace.rounds) and self._trace.synthesis is not None:
                self._round.update_name("synthesis")
            self._round.end(self._last_at or None)
            self._round = None

    def end(self, status: int, error: str | None, answer: Answer | None) -> None:
        """Say what became of the request.

        Args:
            status: of HTTP.
            error: its code; None for a reply.
            answer: what is given; None where there is none.
        """
        self._end_round()
        span, trace = self._span, self._trace
        calls = trace.calls
        confidence = None if answer is None or trace.strategy == "member" else trace.confidence
        span.set_attributes(
            _known(
                {
                    "http.response.status_code": status,
                    "gen_ai.usage.input_tokens": sum(c.n_prompt_tokens or 0 for c in calls),
                    "gen_ai.usage.output_tokens": sum(c.n_completion_tokens or 0 for c in calls),
                    "rlfocal.calls": len(calls),
                    "rlfocal.rounds": len(trace.rounds),
                    "rlfocal.cost_usd": trace.usd,
                    "rlfocal.uncertain_cost_usd": trace.uncertain_cost_usd or None,
                    "rlfocal.confidence": confidence,
                    "rlfocal.circuit_open": tuple(trace.circuit_open) or None,
                }
            )
        )
        if answer is not None and self._with_texts:
            _put(span, "gen_ai.output.messages", [("assistant", answer.text)])
        if error is not None:
            # What a client has done wrong, or broken off, is no failure of the server.
            failed(span, error, is_ours=status >= 500)
        span.end()


def failed(span: Span, kind: str, *, is_ours: bool = True) -> None:
    """Mark a span as one that has failed."""
    from opentelemetry.trace import StatusCode

    span.set_attribute("error.type", kind)
    if is_ours:
        span.set_status(StatusCode.ERROR)


def _known(found: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in found.items() if value is not None}


def _put(span: Span, name: str, turns: list[tuple[str, str]]) -> None:
    told = [
        {"role": role, "parts": [{"type": "text", "content": text[:_LONGEST]}]}
        for role, text in turns
    ]
    span.set_attribute(name, json.dumps(told, ensure_ascii=False))
