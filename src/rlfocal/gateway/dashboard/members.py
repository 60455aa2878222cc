"""Each member: how often it is asked, how it does, what fails, and whether it has drifted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from rlfocal.deliberation.trace import CallRecord
from rlfocal.gateway.dashboard.accuracy import mean_score
from rlfocal.gateway.dashboard.history import LoggedRequest
from rlfocal.gateway.dashboard.savings import MeanCost
from rlfocal.gateway.dashboard.timeline import latency_of
from rlfocal.gateway.store.rows import FeedbackRow
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
    seen: Sequence[LoggedRequest],
    *,
    ensemble: Sequence[str],
    lately: Sequence[FeedbackRow],
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
    calls: dict[str, list[CallRecord]] = {name: [] for name in names}
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


def _selection(name: str, together: Sequence[LoggedRequest]) -> dict[str, Any]:
    n, n_asked = len(together), sum(name in r.asked for r in together)
    n_first = sum(any(c.member == name for c in r.trace.rounds[0].asked) for r in together)
    return {
        "n_requests": n,
        "n_asked": n_asked,
        "n_first": n_first,
        "share_asked": n_asked / n if n else None,
        "share_first": n_first / n if n else None,
    }


def _health(calls: Sequence[CallRecord]) -> dict[str, Any]:
    waited = [call for call in calls if not call.was_cancelled]
    failures = Counter(call.failure for call in waited if call.failure is not None)
    replies = [call for call in waited if call.failure is None]
    latency = latency_of([call.latency_s for call in replies if call.latency_s is not None])
    return {
        "n_calls": len(waited),
        "n_not_waited_for": len(calls) - len(waited),
        "n_failed": failures.total(),
        "failure_rate": failures.total() / len(waited) if waited else None,
        "failures": dict(failures.most_common()),
        "n_without_answer": sum(call.answer is None for call in replies),
        "p50_s": latency.p50_s,
        "p95_s": latency.p95_s,
    }


def _drift(name: str, lately: Sequence[FeedbackRow], training: Training) -> dict[str, Any] | None:
    """Its accuracy of late against that on the same tasks in training."""
    if name not in training.members:
        return None
    known = [
        (judged.task, score)
        for judged in lately
        if (score := judged.member_scores.get(name)) is not None
    ]
    found = mean_score([score for _, score in known])
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
