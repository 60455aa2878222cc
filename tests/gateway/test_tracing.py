"""Traces in OpenTelemetry's form: what is in them, what never is, and where they go."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx2
import pytest
from serving import Served, until
from spy_upstream import SpyUpstream, aimed_at

from rlfocal.errors import ConfigError
from rlfocal.gateway.settings import GatewaySettings, read_settings
from rlfocal.gateway.tracing.settings import TracingSettings
from rlfocal.gateway.tracing.tracing import Tracing
from rlfocal.pool.stub import Fault

pytest.importorskip("opentelemetry.sdk.trace")
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

Serve = Callable[..., Any]
Ask = Callable[..., httpx2.Response]
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = f"00-{TRACE}-00f067aa0ba902b7-01"
SECRET = "3 + 4 ="


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> Callable[[], Sequence[ReadableSpan]]:
    """All that have ended; the ends of requests come a moment after their replies."""
    memory = InMemorySpanExporter()
    monkeypatch.setattr(
        "rlfocal.gateway.tracing.tracing._sender", lambda _: SimpleSpanProcessor(memory)
    )

    def ended() -> Sequence[ReadableSpan]:
        until(lambda: any(span.kind is SpanKind.SERVER for span in memory.get_finished_spans()))
        return memory.get_finished_spans()

    return ended


Spans = Callable[[], Sequence[ReadableSpan]]


def tree(spans: Sequence[ReadableSpan]) -> dict[str, str | None]:
    """Name → name of the parent, None of one that is elsewhere."""
    names = {span.context.span_id: span.name for span in spans if span.context}
    return {span.name: names.get(span.parent.span_id) if span.parent else None for span in spans}


def of_kind(spans: Sequence[ReadableSpan], kind: SpanKind) -> list[Mapping[str, Any]]:
    return [dict(span.attributes or {}) for span in spans if span.kind is kind]


def test_a_request_its_rounds_and_its_calls(serve: Serve, ask: Ask, spans: Spans) -> None:
    with serve(tracing=TracingSettings(ratio=1.0)) as (served, _):
        reply = ask(served, model="rlfocal:0").json()
        found = spans()
    names = tree(found)
    assert names["chat rlfocal"] is None
    assert {name for name, parent in names.items() if parent == "chat rlfocal"} == {"round 1"}
    called = {name for name, parent in names.items() if parent == "round 1"}
    assert called == {f"chat {name}" for name in ("plain", "letters", "sampled", "hasty")}
    assert len({span.context.trace_id for span in found if span.context}) == 1
    (whole,) = of_kind(found, SpanKind.SERVER)
    assert whole["gen_ai.operation.name"] == "chat"
    assert whole["gen_ai.request.model"] == "rlfocal:0"
    assert whole["gen_ai.response.id"] == reply["id"]
    assert whole["gen_ai.usage.output_tokens"] == reply["usage"]["completion_tokens"]
    assert whole["http.response.status_code"] == 200
    assert whole["rlfocal.rounds"] == 1
    assert whole["rlfocal.calls"] == reply["rlfocal"]["n_calls"] == 4
    assert whole["rlfocal.cost_usd"] == pytest.approx(reply["rlfocal"]["cost_usd"])
    assert whole["rlfocal.confidence"] == pytest.approx(reply["rlfocal"]["confidence"])
    calls = of_kind(found, SpanKind.CLIENT)
    assert len(calls) == 6  # one of them is asked for three samples
    for call in calls:
        assert call["server.address"] == "127.0.0.1"
        assert call["gen_ai.provider.name"] == "openai"
        assert call["gen_ai.response.finish_reasons"] == ("stop",)
        assert call["rlfocal.member"] == call["gen_ai.request.model"]
    tokens = sum(call["gen_ai.usage.input_tokens"] for call in calls)
    assert tokens == whole["gen_ai.usage.input_tokens"] == reply["usage"]["prompt_tokens"]
    resource = found[0].resource.attributes
    assert resource["service.name"] == "rlfocal"
    assert resource["service.instance.id"]


def test_times_of_a_call_lie_within_its_round_and_that_within_its_request(
    serve: Serve, ask: Ask, spans: Spans
) -> None:
    with serve(tracing=TracingSettings(ratio=1.0), stub={"latency_s": 0.1}) as (served, _):
        ask(served, model="plain")
        found = {span.name: span for span in spans() if span.kind is not SpanKind.CLIENT}
        (call,) = [span for span in spans() if span.kind is SpanKind.CLIENT]
    whole, part = (found[name] for name in ("chat plain", "round 1"))
    moments = [
        whole.start_time, part.start_time, call.start_time,
        call.end_time, part.end_time, whole.end_time,
    ]  # fmt: skip
    assert moments == sorted(moments, key=int)  # type: ignore[arg-type]
    assert 0.1e9 <= call.end_time - call.start_time < 5e9  # type: ignore[operator]


@pytest.mark.parametrize("model", ["rlfocal", "plain"])
@pytest.mark.parametrize("stream", [False, True])
def test_no_prompt_and_no_reply(
    serve: Serve, ask: Ask, spans: Spans, model: str, stream: bool
) -> None:
    with serve(tracing=TracingSettings(ratio=1.0)) as (served, _):
        ask(served, SECRET, model=model, stream=stream)
        told = "".join(span.to_json() for span in spans())
    assert SECRET not in told
    assert "That is" not in told
    assert served.key not in told


def test_prompts_and_replies_where_the_house_wants_them(
    serve: Serve, ask: Ask, spans: Spans
) -> None:
    with serve(tracing=TracingSettings(ratio=1.0, prompts=True)) as (served, _):
        ask(served, SECRET, model="plain")
        (call,) = of_kind(spans(), SpanKind.CLIENT)
        (whole,) = of_kind(spans(), SpanKind.SERVER)
    (turn,) = json.loads(call["gen_ai.input.messages"])
    assert turn == {"role": "user", "parts": [{"type": "text", "content": SECRET}]}
    (given,) = json.loads(call["gen_ai.output.messages"])
    assert given["parts"][0]["content"].startswith("That is")
    assert whole["gen_ai.output.messages"] == call["gen_ai.output.messages"]


def test_a_client_s_trace_goes_on_and_members_take_part(
    serve: Serve, ask: Ask, spans: Spans
) -> None:
    with (
        SpyUpstream(lambda _: "seven") as spy,
        serve(tracing=TracingSettings(ratio=1e-9), edit=aimed_at(spy.base_url)) as (served, _),
    ):
        posted(served, traceparent=PARENT, tracestate="house=secret", baggage="user=me")
        found = spans()
        (received,) = spy.received
    (whole,) = [span for span in found if span.kind is SpanKind.SERVER]
    (call,) = [span for span in found if span.kind is SpanKind.CLIENT]
    assert whole.parent is not None
    assert call.context is not None
    assert f"{whole.parent.trace_id:032x}-{whole.parent.span_id:016x}" == PARENT[3:-3]
    headers = {name.lower(): value for name, value in received.headers.items()}
    assert headers["traceparent"] == f"00-{TRACE}-{call.context.span_id:016x}-01"
    assert not {"tracestate", "baggage"} & headers.keys()


@pytest.mark.parametrize(
    ("sent", "goes_on"),
    [
        (PARENT, True),
        (f"{PARENT[:-2]}00", True),
        (f"cc{PARENT[2:]}-later", True),
        (f"{PARENT}-later", False),
        (f"ff{PARENT[2:]}", False),
        (PARENT.upper(), False),
        (PARENT.replace(TRACE, "0" * 32), False),
        (PARENT.replace("00f067aa0ba902b7", "0" * 16), False),
        ("nonsense", False),
        ("", False),
    ],
)
def test_a_parent_is_read_as_the_standard_has_it(serve: Serve, sent: str, goes_on: bool) -> None:
    with (
        SpyUpstream(lambda _: "seven") as spy,
        serve(tracing=TracingSettings(ratio=1e-9), edit=aimed_at(spy.base_url)) as (served, _),
    ):
        posted(served, traceparent=sent)
        headers = {name.lower(): value for name, value in spy.received[0].headers.items()}
    _, trace_id, _, flags = headers["traceparent"].split("-")
    assert (trace_id == TRACE) == goes_on
    # Who is not sampled says so to those who take part.
    assert int(flags, 16) % 2 == (goes_on and sent[53:55] == "01")


def test_members_are_told_nothing_where_the_house_says_so(
    serve: Serve, ask: Ask, spans: Spans
) -> None:
    quiet = TracingSettings(ratio=1.0, to_members=False)
    for settings in (quiet, TracingSettings()):
        with (
            SpyUpstream(lambda _: "seven") as spy,
            serve(tracing=settings, edit=aimed_at(spy.base_url)) as (served, _),
        ):
            posted(served, traceparent=PARENT)
            assert "traceparent" not in {name.lower() for name in spy.received[0].headers}
            assert (served.gateway.tracing is None) == (settings.ratio == 0)


def test_failures_are_told_by_their_kind(serve: Serve, ask: Ask, spans: Spans) -> None:
    failing = [Fault("500", message="the prompt was: secret words")]
    with serve(tracing=TracingSettings(ratio=1.0), faults=failing) as (served, _):
        assert ask(served, model="plain").status_code == 502
        found = spans()
    (call,) = [span for span in found if span.kind is SpanKind.CLIENT]
    (whole,) = [span for span in found if span.kind is SpanKind.SERVER]
    assert call.status.status_code is whole.status.status_code is StatusCode.ERROR
    assert (call.attributes or {})["error.type"] == "server-error"
    assert (whole.attributes or {})["error.type"] == "member_server_error"
    assert (whole.attributes or {})["http.response.status_code"] == 502
    assert "secret words" not in "".join(span.to_json() for span in found)


def test_a_call_that_nobody_waits_for_is_no_failure(serve: Serve, spans: Spans) -> None:
    with serve(tracing=TracingSettings(ratio=1.0), stub={"latency_s": 30.0}) as (served, _):
        with pytest.raises(httpx2.TimeoutException):
            posted(served, timeout=1.0)
        found = spans()
    (call,) = [span for span in found if span.kind is SpanKind.CLIENT]
    (whole,) = [span for span in found if span.kind is SpanKind.SERVER]
    assert (call.attributes or {})["rlfocal.cancelled"] is True
    assert call.status.status_code is whole.status.status_code is StatusCode.UNSET
    assert (whole.attributes or {})["error.type"] == "client_gone"


def test_a_share_is_sampled(serve: Serve, ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    memory = InMemorySpanExporter()
    monkeypatch.setattr(
        "rlfocal.gateway.tracing.tracing._sender", lambda _: SimpleSpanProcessor(memory)
    )
    with serve(tracing=TracingSettings(ratio=0.5)) as (served, _):
        for _ in range(60):
            ask(served, model="plain")
    n = sum(span.kind is SpanKind.SERVER for span in memory.get_finished_spans())
    assert 10 <= n <= 50  # of 60 at a half: beyond in fewer than one of a million runs


def test_readers_and_synthesis_are_rounds_of_their_own(
    serve: Serve, ask: Ask, spans: Spans
) -> None:
    with serve(tracing=TracingSettings(ratio=1.0), synthesiser="plain") as (served, _):
        reply = ask(served, model="rlfocal:0", extension={"answers": "open", "explain": True})
        found = spans()
    assert reply.status_code == 200
    names = [span.name for span in found if span.kind is SpanKind.INTERNAL]
    wrote = reply.json()["rlfocal"]["trace"].get("synthesis") is not None
    assert names == (["round 1", "synthesis"] if wrote else ["round 1"])


# Where they go ---------------------------------------------------------------------------------


class Receiver:
    """Takes OTLP over HTTP."""

    def __init__(self) -> None:
        self.bodies: list[tuple[str, Mapping[str, str], bytes]] = []


@contextmanager
def receiving() -> Iterator[tuple[str, Receiver]]:
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            receiver.bodies.append((self.path, dict(self.headers), body))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1/traces", receiver
    finally:
        server.shutdown()
        server.server_close()
        thread.join(30)


def test_they_are_sent_by_otlp_and_the_last_at_the_end(
    serve: Serve, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-house=key")
    with receiving() as (url, receiver):
        traced = TracingSettings(ratio=1.0, endpoint=url, service="house")
        with serve(tracing=traced) as (served, _):
            ask(served, model="plain")
        ((path, headers, body),) = receiver.bodies
    assert path == "/v1/traces"
    assert {k.lower(): v for k, v in headers.items()}["x-house"] == "key"
    if headers.get("Content-Encoding") == "gzip":
        import gzip

        body = gzip.decompress(body)
    (resource,) = ExportTraceServiceRequest.FromString(body).resource_spans
    named = {a.key: a.value.string_value for a in resource.resource.attributes}
    assert named["service.name"] == "house"
    names = {span.name for scope in resource.scope_spans for span in scope.spans}
    assert names == {"chat plain", "round 1"}
    assert sum(len(scope.spans) for scope in resource.scope_spans) == 3


def test_a_receiver_that_is_away_harms_nobody(serve: Serve, ask: Ask) -> None:
    traced = TracingSettings(ratio=1.0, endpoint="http://127.0.0.1:9/v1/traces")
    with serve(tracing=traced) as (served, _):
        assert all(ask(served, model="plain").status_code == 200 for _ in range(3))


def test_a_receiver_that_hangs_holds_up_no_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor does the thread that waits for it: what a process waits for ends at its exit."""
    before, seconds = set(threading.enumerate()), "rlfocal.gateway.tracing.tracing._SEND_S"
    monkeypatch.setattr(seconds, 1.0)  # of each of the four batches
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/v1/traces"
        traced = Tracing(TracingSettings(ratio=1.0, endpoint=url))
        for _ in range(2000):
            traced._tracer.start_span("x").end()
        monkeypatch.setattr(seconds, 0.3)
        began = time.monotonic()
        asyncio.run(traced.close())
        assert time.monotonic() - began < 2
        left = [one for one in threading.enumerate() if one not in before]
        assert all(one.daemon for one in left)
        assert any(one.name == "last-spans" for one in left)
        # No later test should find them.
        silent.close()
        for one in left:
            one.join(30)


# Settings --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ("ratios = 0.1", "unknown key 'tracing.ratios'; did you mean 'ratio'"),
        ("ratio = 2", "ratio"),
        ('endpoint = "collector:4317"', "endpoint"),
        ('service = ""', "service"),
    ],
)
def test_mistakes_are_named(tmp_path: Path, lines: str, said: str) -> None:
    path = tmp_path / "limits.toml"
    path.write_text(f"[tracing]\n{lines}\n", encoding="utf-8")
    with pytest.raises(ConfigError) as refused:
        read_settings(path)
    assert said.split("'")[0] in str(refused.value)
    assert str(path) in str(refused.value)


def test_off_by_default_and_without_the_extra_it_says_what_is_missing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert Tracing.of(GatewaySettings().tracing) is None
    monkeypatch.setitem(__import__("sys").modules, "opentelemetry.sdk.trace", None)
    with pytest.raises(ConfigError, match=r"tracing needs .*pip install 'rlfocal\[otel\]'"):
        Tracing.of(TracingSettings(ratio=0.1))


def posted(served: Served, timeout: float = 60, **headers: str) -> httpx2.Response:
    body = {"model": "plain", "messages": [{"role": "user", "content": SECRET}]}
    url = f"{served.url}/v1/chat/completions"
    return httpx2.post(url, json=body, headers={**served.headers, **headers}, timeout=timeout)
