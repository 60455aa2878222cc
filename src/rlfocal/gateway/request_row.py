"""What is kept of a request: who gave which answer and what it cost, and no prompt or reply.

Short answers (an option's letter, a number) are kept as they are, so that feedback can say which
was right; of longer ones, which are whole replies, a digest is.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from rlfocal.gateway.backends import Backend
from rlfocal.gateway.store.keys import Key
from rlfocal.gateway.store.rows import RequestRow
from rlfocal.gateway.wire.replies import Completion, n_unpriced
from rlfocal.gateway.wire.request import ChatRequest
from rlfocal.live import Trace

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
    backend: Backend,
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
        backend: what it set going.
        done: what came of it; None for an error.
        created: seconds since 1970.
        status: of HTTP.
        error: its code; None for a reply.
        total_s: seconds that it took.
        policy: which checkpoint decided.
        keep_prompt: whether the prompt is kept.
        episode: what off-policy learning needs of it.
    """
    trace = backend.trace
    calls = [said for part in trace.rounds for said in part.asked]
    candidates = list(dict.fromkeys(said.answer for said in calls if said.answer is not None))
    given = {
        said.member: None if said.answer is None else candidates.index(said.answer)
        for said in calls
    }
    answer = None if done is None else done.answer
    chosen = candidates.index(answer) if answer in candidates else None
    everything = trace.calls
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
        own_s=max(0.0, total_s - trace.waited_s),
        n_calls=len(everything),
        n_rounds=len(trace.rounds),
        usd=trace.usd,
        unsettled_usd=trace.unsettled_usd,
        n_unpriced=n_unpriced(trace),
        n_prompt_tokens=sum(said.n_prompt_tokens or 0 for said in everything),
        n_completion_tokens=sum(said.n_completion_tokens or 0 for said in everything),
        confidence=None if done is None else done.confidence,
        given=given,
        candidates=[kept_answer(text) for text in candidates],
        chosen=chosen,
        trace=_kept_trace(trace) | {"kind": backend.kind},
        episode=episode,
        prompt=chat.query.prompt if keep_prompt else None,
    )


def _kept_trace(trace: Trace) -> dict[str, Any]:
    kept = trace.as_json()
    for part in kept["rounds"]:
        part["probabilities"] = {
            kept_answer(answer): value for answer, value in part["probabilities"].items()
        }
        for said in part["asked"]:
            said.pop("text", None)
            if said["answer"] is not None:
                said["answer"] = kept_answer(said["answer"])
    if kept["answer"] is not None:
        kept["answer"] = kept_answer(kept["answer"])
    kept.get("synthesis", {}).pop("text", None)
    return kept
