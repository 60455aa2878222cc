"""From a reply and its grade to what is stored of a call."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rlfocal.grading import Grade
from rlfocal.pool.types import Response
from rlfocal.records.database import StoredResponse

__all__ = ["stored_reply"]


def stored_reply(
    reply: Response,
    grade: Grade,
    *,
    query_key: str,
    query_id: str,
    member: str,
    settings_key: str,
    sample: int,
    signals: Mapping[str, float] | None,
    **reading: Any,
) -> StoredResponse:
    """What is stored of an answered call.

    Args:
        reply: what came.
        grade: what was found in it.
        query_key: as all below a field of `StoredResponse`.
        query_id: as there.
        member: as there.
        settings_key: as there.
        sample: as there.
        signals: as there.
        reading: the fields `shown`, `shown_key` and `verdict` of a member that reads others.
    """
    return StoredResponse(
        query_key=query_key,
        query_id=query_id,
        member=member,
        settings_key=settings_key,
        sample=sample,
        text=reply.written,
        answer=grade.answer,
        score=grade.score,
        choice_scores=grade.choice_scores,
        finish=reply.finish,
        n_prompt_tokens=reply.n_prompt_tokens,
        n_completion_tokens=reply.n_completion_tokens,
        # A partial cost would be taken for the full one.
        cost_usd=None if reply.unsettled_usd else reply.cost_usd,
        latency_s=reply.latency_s,
        tokens=reply.tokens,
        signals=signals,
        **reading,
    )
