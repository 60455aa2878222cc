"""A reply written by several models together."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from rlfocal.pool.blends.mixing import Mixed
from rlfocal.pool.blends.outgoing import Outgoing
from rlfocal.pool.blends.voices import END, ContextFull, Voice
from rlfocal.pool.blends.writing import Counts, Method, Writing
from rlfocal.pool.types import Finish, Request, Response
from rlfocal.tokens import TokenLogprobs

__all__ = ["Reply", "write"]


class Reply(NamedTuple):
    """What came out, and what it took."""

    response: Response
    counts: Counts


async def write(request: Request, voices: Sequence[Voice], method: Method) -> Reply:
    """Write a reply.

    Args:
        request: what is asked; its temperature, top_p, seed, stop and max_tokens are those of the
            blend. A token is a piece of text that was chosen at once.
        voices: the models.
        method: what decides what comes next.

    Raises:
        ContextFull: the prompt alone is more than a model takes. A reply that becomes so just ends.
        MemberError: a model cannot be asked.
    """
    began = time.perf_counter()
    writing = await Writing.begin(
        request, voices, np.random.default_rng((request.seed or 0) % 2**64)
    )
    n_prompt = sum(len(track.ids) for track in writing.tracks)
    out = Outgoing(request.stop, request.on_text)
    chars, logprobs = list[int](), list[float]()
    finish: Finish = "length"
    while finish == "length" and len(chars) < request.max_tokens:
        try:
            emitted = await method.go_on(writing)
        except ContextFull:
            if not chars:
                raise
            break  # as a model alone ends that has no room left
        for piece, logprob in emitted:
            if piece == END:
                finish = "stop"
                break
            chars.append(out.take(piece))
            logprobs.append(logprob)
            if out.is_over:
                finish = "stop"
                break
            if len(chars) == request.max_tokens:
                break
    if chars:
        chars[-1] += out.end()
    response = Response(
        text=out.text,
        finish=finish,
        n_prompt_tokens=n_prompt,
        n_completion_tokens=len(chars),
        first_logprobs=_first(writing.first, request.n_logprobs) if request.n_logprobs else None,
        tokens=_tokens(chars, logprobs, len(out.text)) if request.logprobs else None,
        latency_s=time.perf_counter() - began,
    )
    return Reply(response, writing.counts)


def _tokens(chars: Sequence[int], logprobs: Sequence[float], n_chars: int) -> TokenLogprobs:
    """Of the pieces that are still in the text, the last one cut where a stop text began in it."""
    ends = np.minimum(np.cumsum(chars, dtype=np.int64), n_chars)
    sizes = np.diff(ends, prepend=0)
    n_kept = int(np.searchsorted(np.cumsum(sizes), n_chars)) + 1 if n_chars else 0
    return TokenLogprobs(
        sizes[:n_kept].astype(np.int32), np.array(logprobs[:n_kept], dtype=np.float32)
    )


def _first(mixed: Mixed | None, most: int) -> dict[str, float] | None:
    """Token → log-probability of what the first piece was chosen from, the likeliest first."""
    if mixed is None:
        return None
    order = np.argsort(-mixed.p, kind="stable")[:most].tolist()
    return {mixed.pieces[n].decode("utf-8", "replace"): mixed.logprob(n) for n in order}
