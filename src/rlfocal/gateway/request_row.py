"""What is kept of a request: who gave which answer and what it cost, and no prompt or reply.

Short answers (an option's letter, a number) are kept as they are, so that feedback can say which
was right; of longer ones, which are whole replies, a digest is.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Any

from rlfocal.deliberation.trace import CallRecord, Trace
from rlfocal.gateway.store.keys import Key
from rlfocal.gateway.store.rows import RequestRow
from rlfocal.gateway.wire.replies import Completion, n_tokens, n_unpriced
from rlfocal.gateway.wire.request import ChatRequest

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
    done: Completion | None,
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
        keep_prompt: whether the prompt is kept.
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
    n_prompt_tokens, n_completion_tokens = n_tokens(calls)
    return RequestRow(
        id=request_id,
        key_id=key.id or None,
        created_at=created,
        model=chat.model[:256],
        task=chat.query.task,
        policy=policy,
        status=status,
        error=error,
        streamed=chat.stream,
        latency_s=total_s,
        own_s=max(0.0, total_s - trace.members_s),
        n_calls=len(calls),
        n_rounds=len(trace.rounds),
        usd=trace.usd,
        unsettled_usd=trace.uncertain_cost_usd,
        n_unpriced=n_unpriced(calls),
        n_prompt_tokens=n_prompt_tokens,
        n_completion_tokens=n_completion_tokens,
        confidence=None if done is None else done.confidence,
        given=given,
        candidates=list(map(kept, place_of)),
        chosen=None if answer is None else place_of.get(answer),
        trace=_kept_trace(trace, kept).as_json(),
        episode=episode,
        prompt=chat.query.prompt if keep_prompt else None,
    )


def _kept_trace(trace: Trace, kept: Callable[[str], str]) -> Trace:
    """A trace without texts of replies, and with answers as they are kept."""

    def without_text(call: CallRecord) -> CallRecord:
        return replace(call, text=None, answer=None if call.answer is None else kept(call.answer))

    found = trace.with_calls(without_text)
    found.rounds = [
        replace(part, probabilities={kept(a): p for a, p in part.probabilities.items()})
        for part in found.rounds
    ]
    found.answer = None if trace.answer is None else kept(trace.answer)
    return found
