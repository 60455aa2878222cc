"""One request: everything that is written down about it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rlfocal.deliberation.trace import Trace
from rlfocal.gateway.store.rows import FeedbackRow, RequestRow

__all__ = ["request_figures"]


def request_figures(request: RequestRow, judged: FeedbackRow | None) -> dict[str, Any]:
    """Plain values; texts are there only as far as they are kept.

    Args:
        request: its row.
        judged: its judgement; None where there is none.
    """
    return {
        "id": request.id,
        "key_id": request.key_id,
        "at": request.created_at,
        "model": request.model,
        "task": request.task,
        "policy": request.policy,
        "status": request.status,
        "error": request.error,
        "streamed": request.streamed,
        "latency_s": request.latency_s,
        "overhead_s": request.own_s,
        "n_calls": request.n_calls,
        "n_rounds": request.n_rounds,
        "usd": request.usd,
        "uncertain_cost_usd": request.unsettled_usd,
        "n_unpriced": request.n_unpriced,
        "n_prompt_tokens": request.n_prompt_tokens,
        "n_completion_tokens": request.n_completion_tokens,
        "confidence": request.confidence,
        "prompt": request.prompt,
        "trace": None if request.trace is None else _trace(request.trace),
        "feedback": None if judged is None else _judgement(judged),
    }


def _trace(found: Mapping[str, Any]) -> dict[str, Any]:
    """By today's names; a request that was settled by hand has a note in its place."""
    return Trace.of_json(found).as_json() if "rounds" in found else dict(found)


def _judgement(row: FeedbackRow) -> dict[str, Any]:
    return {
        "at": row.created_at,
        "score": row.score,
        "answer": row.answer,
        "earned": row.earned,
        "member_scores": dict(row.member_scores),
    }
