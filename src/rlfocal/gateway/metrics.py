"""Metrics for Prometheus: requests, time, calls, money, members' health, the writer's queue."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from typing import NamedTuple

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric

from rlfocal.deliberation.trace import Trace
from rlfocal.gateway.wire.models import ENSEMBLE
from rlfocal.gateway.wire.request import ChatRequest

__all__ = ["Gauges", "Metrics"]

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_OVERHEAD_SECONDS = (0.0005, 0.001, 0.002, 0.003, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5)


class Gauges(NamedTuple):
    """The state of a gateway's process at one moment."""

    in_flight: int
    """Requests under way."""
    writes_waiting: int
    writes_lost: int
    remembered: int
    """Judged answers in memory."""
    circuits: Mapping[str, str]
    """Member → "closed", "half-open" or "open"."""


class Metrics:
    """Metrics of one gateway process.

    Args:
        read: the gauges; called at each scrape.
    """

    def __init__(self, read: Callable[[], Gauges]) -> None:
        registry = self._registry = CollectorRegistry()
        self._requests = Counter(
            "rlfocal_requests", "Chat completions that were read.",
            ["model", "status", "error"], registry=registry,
        )  # fmt: skip
        self._seconds = Histogram(
            "rlfocal_request_seconds", "From the first byte of a request to the end of its work.",
            ["model"], registry=registry, buckets=_SECONDS,
        )  # fmt: skip
        self._overhead = Histogram(
            "rlfocal_overhead_seconds", "The part of it in which no member was waited for.",
            ["model"], registry=registry, buckets=_OVERHEAD_SECONDS,
        )  # fmt: skip
        self._calls = Counter(
            "rlfocal_calls", "Members asked, by what came of it.", ["member", "outcome"],
            registry=registry,
        )  # fmt: skip
        self._usd = Counter(
            "rlfocal_usd", "Dollars spent on replies that have a price.", ["member"],
            registry=registry,
        )  # fmt: skip
        self._uncertain = Counter(
            "rlfocal_uncertain_cost_usd",
            "Dollars that failed and abandoned calls may cost, at most.", registry=registry,
        )  # fmt: skip
        self.refused = Counter(
            "rlfocal_refused", "Requests turned away at the door.", ["code"], registry=registry
        )
        self.feedback = Counter("rlfocal_feedback", "Judged answers.", registry=registry)
        registry.register(_Reader(read))
        # To find a counter by its labels takes as long as to count; there are few of them.
        self._of_request = cache(self._requests.labels)
        self._of_model = cache(self._times)
        self._of_call, self._of_member = cache(self._calls.labels), cache(self._usd.labels)

    def _times(self, model: str) -> tuple[Histogram, Histogram]:
        """Of all the time, and of the overhead."""
        return self._seconds.labels(model), self._overhead.labels(model)

    def ended(
        self, chat: ChatRequest, trace: Trace, status: int, error: str | None, total_s: float
    ) -> None:
        """Count a request that has ended."""
        model = chat.member or ENSEMBLE  # never the client's own text: that has no bounds
        self._of_request(model, str(status), error or "").inc()
        seconds, overhead = self._of_model(model)
        seconds.observe(total_s)
        overhead.observe(max(0.0, total_s - trace.members_s))
        for call in trace.calls:
            self._of_call(call.member, call.failure or "reply").inc()
            if call.cost_usd:
                self._of_member(call.member).inc(call.cost_usd)
        if trace.uncertain_cost_usd:
            self._uncertain.inc(trace.uncertain_cost_usd)

    def text(self) -> bytes:
        """All metrics in the text format of Prometheus."""
        return generate_latest(self._registry)


_CIRCUIT = {"closed": 0, "half-open": 1, "open": 2}


class _Reader:
    """Gauges read at scrape time."""

    def __init__(self, read: Callable[[], Gauges]) -> None:
        self._read = read

    def collect(self) -> Iterable[Metric]:
        """Read them."""
        now = self._read()
        for name, text, value in (
            ("rlfocal_in_flight", "Requests under way.", now.in_flight),
            ("rlfocal_tasks", "Tasks of the event loop.", len(asyncio.all_tasks())),
            ("rlfocal_writes_waiting", "Writes that wait.", now.writes_waiting),
            ("rlfocal_writes_lost", "Writes that were lost.", now.writes_lost),
            ("rlfocal_remembered", "Judged answers in memory.", now.remembered),
        ):
            yield GaugeMetricFamily(name, text, value=value)
        circuit = GaugeMetricFamily(
            "rlfocal_circuit", "0 closed, 1 half-open, 2 open.", labels=["member"]
        )
        for member, state in now.circuits.items():
            circuit.add_metric([member], _CIRCUIT[state])
        yield circuit

    def describe(self) -> Sequence[Metric]:
        """Nothing beforehand."""
        return ()
