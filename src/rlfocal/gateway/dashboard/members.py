"""Each member: how often it is asked, how it does, what fails, and whether it has drifted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from rlfocal.gateway.dashboard.history import Call, Judged, Seen
from rlfocal.gateway.dashboard.intervals import estimate
from rlfocal.gateway.dashboard.savings import MeanCost
from rlfocal.records import FloatArray

__all__ = ["Training", "member_figures"]


class Training(NamedTuple):
    """What training knew of the ensemble's members."""

    members: tuple[str, ...]
    tasks: tuple[str, ...]
    accuracy: FloatArray
    """float32[T + 1, N]; the last row is that on all tasks."""

    def expected(self, member: str, tasks: Sequence[str]) -> float:
        """A member's accuracy on questions of these tasks; on all where there are none."""
        number = {name: t for t, name in enumerate(self.tasks)}
        rows = [number.get(task, len(self.tasks)) for task in tasks] or [len(self.tasks)]
        return float(self.accuracy[rows, self.members.index(member)].mean())


def member_figures(
    names: Sequence[str],
    seen: Sequence[Seen],
    *,
    ensemble: Sequence[str],
    lately: Sequence[Judged],
    training: Training,
    mean: Mapping[str, MeanCost],
    circuits: Mapping[str, str],
) -> list[dict[str, Any]]:
    """Figures of each member.

    Args:
        names: of all members of the pool.
        seen: requests, those to one member by its name among them.
        ensemble: the members that are asked together.
        lately: judgements by which drift is told.
        training: what they are compared with.
        mean: costs of their replies.
        circuits: member → state of its circuit breaker in this process.
    """
    calls: dict[str, list[Call]] = {name: [] for name in names}
    for request in seen:
        for name, call in request.asked.items():
            if name in calls:
                calls[name].append(call)
    together = [r for r in seen if r.by_ensemble and r.asked]
    return [
        {
            "name": name,
            "in_ensemble": name in ensemble,
            "circuit": circuits.get(name, "closed"),
            **_selection(name, together),
            **_health(calls[name]),
            "mean_usd": mean[name]._asdict(),
            "drift": _drift(name, lately, training),
        }
        for name in names
    ]


def _selection(name: str, together: Sequence[Seen]) -> dict[str, Any]:
    at = [r.asked[name].round for r in together if name in r.asked]
    n = len(together)
    return {
        "n_requests": n,
        "n_asked": len(at),
        "n_first": at.count(0),
        "share_asked": len(at) / n if n else None,
        "share_first": at.count(0) / n if n else None,
    }


def _health(calls: Sequence[Call]) -> dict[str, Any]:
    waited = [call for call in calls if not call.was_left]
    failures = Counter(call.failure for call in waited if call.failure is not None)
    latency = [call.latency_s for call in calls if call.replied and call.latency_s is not None]
    n_silent = sum(call.replied and not call.answered for call in waited)
    p50, p95 = np.quantile(latency, [0.5, 0.95]).tolist() if latency else (None, None)
    return {
        "n_calls": len(waited),
        "n_not_waited_for": len(calls) - len(waited),
        "n_failed": failures.total(),
        "failure_rate": failures.total() / len(waited) if waited else None,
        "failures": dict(failures.most_common()),
        "n_without_answer": n_silent,
        "p50_s": p50,
        "p95_s": p95,
    }


def _drift(name: str, lately: Sequence[Judged], training: Training) -> dict[str, Any] | None:
    """Its accuracy of late against that on the same tasks in training."""
    if name not in training.members:
        return None
    known = [
        (judged.task, score)
        for judged in lately
        if (score := judged.member_scores.get(name)) is not None
    ]
    found = estimate([score for _, score in known])
    overall = training.expected(name, ())
    expected = training.expected(name, [task for task, _ in known])
    verdict = "unknown"
    if known:
        verdict = "as in training"
        if found["high"] < expected:
            verdict = "worse"
        elif found["low"] > expected:
            verdict = "better"
    return {"lately": found, "training": overall, "expected": expected, "verdict": verdict}
