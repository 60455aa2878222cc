"""What asking only some members has saved, against asking everybody and against one alone.

Of a member that was asked in a request, its cost there is known. Of one that was not, the mean of
its priced replies stands in: what it costs on the questions on which it was asked. Where it was
never asked, or nobody knows its price, the sum is not known, and never 0.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from rlfocal.gateway.dashboard.accuracy import mean_score
from rlfocal.gateway.dashboard.history import LoggedRequest
from rlfocal.gateway.store.rows import FeedbackRow

__all__ = ["MeanCost", "mean_costs", "savings"]


class MeanCost(NamedTuple):
    """What a member's reply costs."""

    usd: float | None
    """None: not known."""
    n: int
    """Priced replies."""
    why: str
    """"known", "unpriced" (nobody knows some reply's price) or "not asked"."""


def mean_costs(seen: Iterable[LoggedRequest], members: Sequence[str]) -> dict[str, MeanCost]:
    """Mean cost of each member's replies."""
    prices: dict[str, list[float | None]] = {name: [] for name in members}
    for request in seen:
        for name, call in request.asked.items():
            if call.failure is None and name in prices:
                prices[name].append(call.cost_usd)
    return {name: _mean(found) for name, found in prices.items()}


def _mean(found: Sequence[float | None]) -> MeanCost:
    known = [usd for usd in found if usd is not None]
    if not found:
        return MeanCost(None, 0, "not asked")
    if len(known) < len(found):
        return MeanCost(None, len(known), "unpriced")
    return MeanCost(sum(known) / len(known), len(known), "known")


def savings(
    seen: Sequence[LoggedRequest],
    judged: Mapping[str, FeedbackRow],
    *,
    members: Sequence[str],
    best: str | None,
    mean: Mapping[str, MeanCost],
) -> dict[str, Any]:
    """Compare what requests to the ensemble cost with all its members, and with the best alone."""
    answered = [r for r in seen if r.row.status == 200 and r.asked]
    n_calls = sum(len(r.trace.calls) for r in answered)
    found: dict[str, Any] = {
        "n": len(answered),
        "n_calls": n_calls,
        "usd": sum(r.row.usd for r in answered),
        "n_unpriced": sum(r.row.n_unpriced for r in answered),
        "uncertain_cost_usd": sum(r.row.unsettled_usd for r in answered),
    }
    found["everybody"] = _against_everybody(answered, members, mean, found)
    found["single"] = None if best is None else _against_single(answered, judged, best, mean, found)
    return found


def _against_everybody(
    seen: Sequence[LoggedRequest],
    members: Sequence[str],
    mean: Mapping[str, MeanCost],
    spent: Mapping[str, Any],
) -> dict[str, Any]:
    # A member that kept failing would not have been asked either.
    left = [m for r in seen for m in members if m not in r.asked and m not in r.trace.circuit_open]
    why = _unknown(left, mean)
    saved = None if why else sum(mean[m].usd or 0.0 for m in left)
    return {
        "calls_saved": len(left),
        "n_calls": spent["n_calls"] + len(left),
        "usd_saved": saved,
        "usd": None if saved is None or spent["n_unpriced"] else spent["usd"] + saved,
        "unknown": why,
    }


def _against_single(
    seen: Sequence[LoggedRequest],
    judged: Mapping[str, FeedbackRow],
    best: str,
    mean: Mapping[str, MeanCost],
    spent: Mapping[str, Any],
) -> dict[str, Any]:
    others = [call for r in seen for call in r.trace.calls if call is not r.asked.get(best)]
    missing = [best for r in seen if best not in r.asked]
    why = _unknown(missing, mean)
    unpriced = {
        call.member: "unpriced" for call in others if call.failure is None and call.cost_usd is None
    }
    why = why | unpriced
    saved = None
    if not why:
        saved = sum(mean[m].usd or 0.0 for m in missing) - sum(
            call.cost_usd or 0.0 for call in others
        )
    both = [
        (judged[r.row.id].earned, score)
        for r in seen
        if r.row.id in judged and (score := judged[r.row.id].member_scores.get(best)) is not None
    ]
    return {
        "member": best,
        "calls_saved": len(missing) - len(others),
        "n_calls": len(seen),
        "usd_saved": saved,
        "usd": None if saved is None or spent["n_unpriced"] else spent["usd"] + saved,
        "unknown": why,
        "accuracy": mean_score([score for _, score in both]),
        "ensemble_accuracy": mean_score([earned for earned, _ in both]),
    }


def _unknown(members: Iterable[str], mean: Mapping[str, MeanCost]) -> dict[str, str]:
    """Member → why its cost is not known."""
    return {m: mean[m].why for m in dict.fromkeys(members) if mean[m].usd is None}
