"""What is kept of a request: who gave which answer and what it cost, and no prompt or reply.

Short answers (an option's letter, a number) are kept as they are, so that feedback can say which
was right; of longer ones, which are whole replies, a digest is.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from rlfocal.deliberation.trace import Trace
from rlfocal.gateway.store.keys import Key
from rlfocal.gateway.store.rows import RequestRow
from rlfocal.gateway.wire.replies import calls_in, counts_of, known_confidence
from rlfocal.gateway.wire.request import ChatRequest
from rlfocal.live import Answer

__all__ = ["DIGEST", "kept_answer", "row_of"]

_LONGEST = 64
DIGEST = "sha256:"
"""How the digest of a long answer begins."""


def kept_answer(answer: str) -> str:
    """An answer as it is kept.

    >>> kept_answer("42"), kept_answer("word " * 20)[:12]
    ('42', 'sha256:f4acd')
    """
    if len(answer) <= _LONGEST and not answer.startswith(DIGEST):
        return answer
    return DIGEST + hashlib.sha256(answer.encode("utf-8", "replace")).hexdigest()


def row_of(
    request_id: str,
    key: Key,
    chat: ChatRequest,
    trace: Trace,
    done: Answer | None,
    *,
    created: float,
    status: int,
    error: str | None,
    total_s: float,
    policy: str,
    keep_prompt: bool,
    episode: Mapping[str, Any] | None,
) -> RequestRow:
    """The row of a request that has ended.

    Args:
        request_id: of it.
        key: whose it was.
        chat: what was asked.
        trace: of what it set going.
        done: what came of it; None for an error.
        created: seconds since 1970.
        status: of HTTP.
        error: its code; None for a reply.
        total_s: seconds that it took.
        policy: which checkpoint decided.
        keep_prompt: whether the prompt is kept, and its options.
        episode: what off-policy learning needs of it.
    """
    kept = lru_cache(maxsize=None)(kept_answer)  # each stands in many places
    calls = trace.calls
    place_of: dict[str, int] = {}
    given: dict[str, int | None] = {}
    for part in trace.rounds:
        for call in part.asked:
            text = call.answer
            given[call.member] = None if text is None else place_of.setdefault(text, len(place_of))
    answer = None if done is None else done.answer
    return RequestRow(
        id=request_id,
        key_id=key.id or None,
        created_at=created,
        model=chat.body.model[:256],
        task=chat.question.task,
        policy=policy,
        status=status,
        error=error,
        streamed=bool(chat.body.stream),
        latency_s=total_s,
        own_s=max(0.0, total_s - trace.members_s),
        n_calls=len(calls),
        n_rounds=len(trace.rounds),
        usd=trace.usd,
        unsettled_usd=trace.uncertain_cost_usd,
        **counts_of(calls)._asdict(),
        confidence=None if done is None else known_confidence(done),
        given=given,
        candidates=list(map(kept, place_of)),
        chosen=None if answer is None else place_of.get(answer),
        trace=_kept_trace(trace, kept),
        episode=episode,
        prompt=chat.question.prompt if keep_prompt else None,
        choices=list(chat.question.choices) or None if keep_prompt else None,
    )


def _kept_trace(trace: Trace, kept: Callable[[str], str]) -> dict[str, Any]:
    """A trace as it is written, without texts of replies and with answers as they are kept."""
    found = trace.as_json()
    for call in calls_in(found):
        call.pop("text", None)
        if call["answer"] is not None:
            call["answer"] = kept(call["answer"])
    for part in found["rounds"]:
        part["probabilities"] = {kept(a): p for a, p in part["probabilities"].items()}
    if trace.answer is not None:
        found["answer"] = kept(trace.answer)
    return found
