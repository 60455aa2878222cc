"""What comes next by what it may lead to: each model's likeliest tokens, and the value of each.

As in Collab (arXiv:2503.21720): a token is worth the reward of a text that its model goes on to
from it, less a multiple of how much likelier it is to that model than to a reference. The paper's
value is implicit; here it is measured by short rollouts, which cost what they take.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from rlfocal.pool.blends.reading_aloud import likelihood
from rlfocal.pool.blends.spans import span_of
from rlfocal.pool.blends.voices import END, ContextFull, Proposal, open_end
from rlfocal.pool.blends.writing import Emitted, Track, Writing

__all__ = ["Reward", "Switching", "Worth"]


class Worth(NamedTuple):
    """Of a prompt and a reply."""

    value: float
    """The more the better."""
    n_evaluated: int = 0
    """Tokens that a model read to say so."""


Reward = Callable[[str, str], Awaitable[Worth]]
"""What a prompt and a reply, whole, begun or empty, are worth."""
_LEAST = 1e-30
"""Probability of what cannot be."""


class _Candidate(NamedTuple):
    pieces: list[Emitted]
    value: float
    model: int
    track: Track


class Switching:
    """Goes on with the token, or span, of whichever model leads to most.

    Args:
        reward: of the text that a rollout ends with.
        n_candidates: tokens of each model that are tried.
        span: pieces that are written at once: the token and what its model writes after it.
        horizon: pieces that a rollout goes on for at most.
        kl: what a nat costs by which a piece is likelier to its model than to the reference.
        reference: the number of that model.
    """

    def __init__(
        self,
        reward: Reward,
        *,
        n_candidates: int = 1,
        span: int = 1,
        horizon: int = 16,
        kl: float = 0.0,
        reference: int = 0,
    ) -> None:
        self._reward = reward
        self._n_candidates, self._span, self._horizon = n_candidates, span, horizon
        self._kl, self._reference = kl, reference

    async def go_on(self, writing: Writing) -> list[Emitted]:
        """Write one piece, or span."""
        proposals = await writing.propose()
        reference = proposals[self._reference]
        best: _Candidate | None = None
        for model, proposal in enumerate(proposals):
            if proposal is None:
                continue
            likeliest = sorted(proposal.pieces.items(), key=lambda named: -named[1])
            for piece, p in likeliest[: self._n_candidates]:
                first = Emitted(piece, math.log(max(p, _LEAST)))
                found = await self._tried(writing.fork(), model, first)
                if self._kl and reference is not None and model != self._reference:
                    drift = await self._drift(writing, found.pieces, reference)
                    found = found._replace(value=found.value - self._kl * drift)
                if best is None or found.value > best.value:
                    best = found
        assert best is not None  # somebody can always be asked
        text = b"".join(emitted.piece for emitted in best.pieces)
        n_pieces = sum(emitted.piece != END for emitted in best.pieces)
        writing.adopt(text, n_pieces, best.model, best.track)
        return best.pieces

    async def _drift(self, writing: Writing, pieces: list[Emitted], reference: Proposal) -> float:
        """Nats by which pieces are likelier to the model that wrote them than to the reference.

        Of pieces that begin or end within a character, which cannot be spelled, the first counts.
        """
        text = b"".join(emitted.piece for emitted in pieces)
        if open_end(writing.text) or open_end(text):
            first = pieces[0]
            to_it = reference.pieces.get(first.piece, reference.most_unnamed)
            return first.logprob - math.log(max(to_it, _LEAST))
        track, ends = writing.tracks[self._reference].fork(), pieces[-1].piece == END
        try:
            read = await likelihood(track, text, writing.counts, self._reference, ends=ends)
        except ContextFull:  # the reference would not have written so much
            return math.inf
        return sum(emitted.logprob for emitted in pieces) - read.logprob

    async def _tried(self, writing: Writing, model: int, first: Emitted) -> _Candidate:
        """A candidate, and what the text is worth that it leads to."""
        pieces = [first]
        writing.append(first.piece)
        if first.piece != END and self._span > 1 and writing.n_left:
            pieces += (await span_of(writing, model, self._span - 1)).pieces
        track = writing.tracks[model].fork()
        if pieces[-1].piece != END and self._horizon and writing.n_left:
            await span_of(writing, model, self._horizon)
        text = writing.text.decode("utf-8", "replace")
        worth = await self._reward(writing.request.text, text)
        writing.counts.judged += worth.n_evaluated
        return _Candidate(pieces, worth.value, model, track)
