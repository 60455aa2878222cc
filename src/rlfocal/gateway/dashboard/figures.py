"""Everything the front page shows, as plain values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rlfocal.checkpoint import Checkpoint
from rlfocal.gateway.dashboard.accuracy import accuracy, over_time
from rlfocal.gateway.dashboard.history import Judged, Known, Seen
from rlfocal.gateway.dashboard.members import Training, member_figures
from rlfocal.gateway.dashboard.savings import mean_costs, savings

__all__ = ["WINDOWS", "Now", "figures"]

WINDOWS: Mapping[str, float | None] = {"15m": 900, "1h": 3600, "24h": 86400, "all": None}
"""Seconds that are looked back; None for all that is kept."""
_LATEST = 50
_RATE_S = 60.0


@dataclass(frozen=True)
class Now:
    """How the gateway stands just now."""

    at: float
    """Seconds since 1970."""
    started_at: float
    in_flight: int
    members: tuple[str, ...]
    circuits: Mapping[str, str]
    unpriced: tuple[str, ...]
    """Members whose price the pool does not name."""
    policy: str
    checkpoint: Checkpoint
    remember: int
    """Judged answers by which drift is told."""
    keeps_prompts: bool


def figures(known: Known, now: Now, window: str, *, kept: int) -> dict[str, Any]:
    """Work the figures out.

    Args:
        known: what was read.
        now: how things stand.
        window: one of `WINDOWS`.
        kept: how many requests are kept here at most.
    """
    span = WINDOWS[window]
    since = now.at - span if span else _oldest(known, now.at)
    seen = [r for r in known.requests if r.created_at >= since]
    together = [r for r in seen if r.by_ensemble]
    about, strategy = now.checkpoint.description, now.checkpoint.strategy
    ensemble = tuple(about.members)
    mean = mean_costs(known.requests, now.members)
    best, acting = ensemble[now.checkpoint.best_member], strategy.acting
    lately = list(known.judged.values())[-now.remember :]
    return {
        "at": now.at,
        "window": {
            "name": window,
            "since": since,
            "n_requests": len(seen),
            "most": kept,
            # Older requests than those that are kept would belong to it.
            "is_cut": not known.is_all and _oldest(known, now.at) > since - 1e-9,
        },
        "live": {
            "in_flight": now.in_flight,
            "per_minute": sum(r.created_at > now.at - _RATE_S for r in known.requests),
            "n_failed": sum(r.status >= 400 for r in seen),
            "started_at": now.started_at,
        },
        "policy": {
            "id": now.policy,
            "strategy": strategy.name,
            "price": strategy.price,
            "acting": None if acting is None else acting.name,
            "cost_unit": about.cost_unit,
            "trained_on": about.n_training_queries,
            "synthetic": about.synthetic,
            "keeps_prompts": now.keeps_prompts,
        },
        "latest": [_line(r, known.judged) for r in reversed(known.requests[-_LATEST:])],
        "accuracy": accuracy(together, known.judged)
        | {"over_time": over_time(together, known.judged, since=since, now=now.at)},
        "savings": savings(together, known.judged, members=ensemble, best=best, mean=mean)
        | {"unpriced": list(now.unpriced)},
        "members": member_figures(
            now.members, seen,
            ensemble=ensemble, lately=lately, training=_training(now.checkpoint),
            mean=mean, circuits=now.circuits,
        ),
        "drift_over": len(lately),
    }  # fmt: skip


def _oldest(known: Known, otherwise: float) -> float:
    return min((r.created_at for r in known.requests), default=otherwise)


def _line(request: Seen, judged: Mapping[str, Judged]) -> dict[str, Any]:
    found = judged.get(request.id)
    return {
        "id": request.id,
        "at": request.created_at,
        "model": request.model,
        "task": request.task,
        "status": request.status,
        "error": request.error,
        "members": [
            {"name": call.member, "round": call.round, "failure": call.failure}
            for call in request.calls
        ],
        "n_calls": request.n_calls,
        "usd": request.usd,
        "n_unpriced": request.n_unpriced,
        "latency_s": request.latency_s,
        "overhead_s": request.overhead_s,
        "earned": None if found is None else found.earned,
    }


def _training(checkpoint: Checkpoint) -> Training:
    about = checkpoint.description
    return Training(tuple(about.members), tuple(about.tasks), checkpoint.accuracy)
