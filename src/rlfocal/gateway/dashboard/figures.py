"""Figures of the front page, as plain values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rlfocal.deliberation.trace import CallRecord
from rlfocal.gateway.dashboard.accuracy import accuracy, over_time
from rlfocal.gateway.dashboard.history import Known, LoggedRequest
from rlfocal.gateway.dashboard.intervals import edges
from rlfocal.gateway.dashboard.members import Training, member_figures
from rlfocal.gateway.dashboard.savings import mean_costs, savings
from rlfocal.gateway.dashboard.timeline import N_INTERVALS, latency_of
from rlfocal.gateway.gateway import Gateway
from rlfocal.gateway.judged.labels import JudgedLabels
from rlfocal.gateway.store.rows import FeedbackRow
from rlfocal.pool.building import unpriced

__all__ = ["WINDOWS", "figures"]

WINDOWS: Mapping[str, float | None] = {
    "15m": 900, "1h": 3600, "24h": 86400, "7d": 604800, "all": None,
}  # fmt: skip
"""Seconds that are looked back; None for all that is kept."""
_LATEST = 50
_RATE_S = 60.0


def figures(known: Known, gateway: Gateway, at: float, window: str, *, kept: int) -> dict[str, Any]:
    """Compute the figures of the front page.

    Args:
        known: what was read.
        gateway: as it stands just now.
        at: seconds since 1970.
        window: one of `WINDOWS`.
        kept: how many requests are kept here at most.
    """
    span, checkpoint = WINDOWS[window], gateway.checkpoint
    # From a round moment on, so that all that is counted begins with the charts over time.
    since = edges(at - span, at, N_INTERVALS)[0] if span else _oldest(known, at)
    seen = [r for r in known.requests if r.row.created_at >= since]
    together = [r for r in seen if r.by_ensemble]
    about, strategy = checkpoint.description, checkpoint.strategy
    ensemble = tuple(about.members)
    mean = mean_costs(known.requests, gateway.member_names)
    best, acting = ensemble[checkpoint.best_member], strategy.acting
    training = Training(ensemble, tuple(about.tasks), checkpoint.accuracy)
    lately = list(known.judged.values())[-gateway.settings.remember :]
    return {
        "at": at,
        "window": {
            "name": window,
            "since": since,
            "n_requests": len(seen),
            "most": kept,
            # Older requests than those that are kept would belong to it.
            "is_cut": not known.is_all and _oldest(known, at) > since - 1e-9,
        },
        "live": {
            "in_flight": gateway.places.n,
            "per_minute": sum(r.row.created_at > at - _RATE_S for r in known.requests),
            "n_failed": sum(r.row.status >= 400 for r in seen),
            "started_at": gateway.started_at,
            "latency": latency_of([r.row.latency_s for r in seen if r.row.status == 200])._asdict(),
        },
        "policy": {
            "id": gateway.policies.id,
            "strategy": strategy.name,
            "price": strategy.price,
            "acting": None if acting is None else acting.name,
            "cost_unit": about.cost_unit,
            "trained_on": about.n_training_queries,
            "synthetic": about.synthetic,
            "keeps_prompts": gateway.settings.keep_prompts,
        },
        "labels": None if gateway.labels is None else _labels(gateway.labels),
        "latest": [_line(r, known.judged) for r in reversed(known.requests[-_LATEST:])],
        "accuracy": accuracy(together, known.judged)
        | {"over_time": over_time(together, known.judged, since=since, now=at)},
        "savings": savings(together, known.judged, members=ensemble, best=best, mean=mean)
        | {"unpriced": list(unpriced(gateway.members))},
        "members": member_figures(
            gateway.member_names, seen,
            ensemble=ensemble, lately=lately, training=training, mean=mean,
            circuits=gateway.circuits,
        ),
        "drift_over": len(lately),
    }  # fmt: skip


def _labels(found: JudgedLabels) -> dict[str, Any]:
    """What was judged where nothing was to train on, without the name of the database."""
    numbers = {k: v for k, v in found._asdict().items() if k != "database"}
    return numbers | {"is_enough": found.n_with_prompt >= found.enough, "next": found.next}


def _oldest(known: Known, otherwise: float) -> float:
    return min((r.row.created_at for r in known.requests), default=otherwise)


def _line(request: LoggedRequest, judged: Mapping[str, FeedbackRow]) -> dict[str, Any]:
    row, trace = request.row, request.trace
    found = judged.get(row.id)
    calls: list[tuple[int | None, CallRecord]] = [
        (number, call) for number, part in enumerate(trace.rounds) for call in part.asked
    ]
    if trace.synthesis is not None:
        calls.append((None, trace.synthesis))
    return {
        "id": row.id,
        "at": row.created_at,
        "model": row.model,
        "task": row.task,
        "status": row.status,
        "error": row.error,
        "members": [
            {"name": call.member, "round": number, "failure": call.failure}
            for number, call in calls
        ],
        "n_calls": row.n_calls,
        "usd": row.usd,
        "n_unpriced": row.n_unpriced,
        "latency_s": row.latency_s,
        "overhead_s": row.own_s,
        "earned": None if found is None else found.earned,
    }
