"""What comes next by the others' judgement: each model writes a span, and all say how likely it is.

The span that is likeliest in the mean, by byte, is written: as SpecFuse (arXiv:2412.07380) and
Cool-Fusion choose. Every model writes one and reads those of all others, so a piece takes as many
readings as there are models, of each.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from rlfocal.pool.blends.mixing import drawn, mix
from rlfocal.pool.blends.reading_aloud import likelihood
from rlfocal.pool.blends.voices import END, ContextFull, is_whole, open_end
from rlfocal.pool.blends.writing import Emitted, Track, Writing, together

__all__ = ["Spans", "span_of"]


_MOST_ENDS = 3
"""Pieces that are written on at most for the end of a character."""


class Span(NamedTuple):
    """What one model would write next."""

    pieces: list[Emitted]
    """`END` last where it ends the reply."""
    track: Track
    """Of that model, after it."""

    @property
    def text(self) -> bytes:
        """Its bytes."""
        return b"".join(emitted.piece for emitted in self.pieces)

    @property
    def ends(self) -> bool:
        """Whether the reply ends after it."""
        return bool(self.pieces) and self.pieces[-1].piece == END

    @property
    def n_pieces(self) -> int:
        """Pieces that are written."""
        return len(self.pieces) - self.ends

    @property
    def per_byte(self) -> float:
        """Its mean log-probability of a byte, to the model itself; an end counts as one."""
        return sum(emitted.logprob for emitted in self.pieces) / (len(self.text) + self.ends)


class Spans:
    """Goes on with the span that surprises the models least.

    Args:
        span: pieces of a span.
    """

    def __init__(self, *, span: int = 8) -> None:
        self._span = span

    async def go_on(self, writing: Writing) -> list[Emitted]:
        """Write one span."""
        # So every model has spelled what stands before; the forks need not ask again.
        proposals = await writing.propose()
        able = [n for n, proposal in enumerate(proposals) if proposal is not None]
        draws = writing.rng.spawn(len(able))
        spans = await together(
            [
                span_of(writing.fork(rng), model, self._span)
                for model, rng in zip(able, draws, strict=True)
            ]
        )
        distinct = list({(span.text, span.ends): n for n, span in enumerate(spans)}.values())
        best = 0
        # One that ends within a character can be read by nobody else.
        if len(distinct) > 1 and all(is_whole(spans[n].text) for n in distinct):
            scores = await together(
                [
                    self._judged(writing, model, [spans[n] for n in distinct], own)
                    for model, own in zip(able, spans, strict=True)
                ]
            )
            best = distinct[int(np.argmax(np.mean(scores, axis=0)))]
        chosen = spans[best]
        writing.adopt(chosen.text, chosen.n_pieces, able[best], chosen.track)
        return chosen.pieces

    async def _judged(
        self, writing: Writing, model: int, spans: list[Span], own: Span
    ) -> list[float]:
        """Mean log-probability of a byte of each span, to a model that knows that of its own."""
        found = []
        for span in spans:
            if (span.text, span.ends) == (own.text, own.ends):
                found.append(own.per_byte)
                continue
            track = writing.tracks[model].fork()
            try:
                read = await likelihood(track, span.text, writing.counts, model, ends=span.ends)
            except ContextFull:  # it cannot go on so
                found.append(-np.inf)
                continue
            found.append(read.logprob / (read.n_bytes + span.ends))
        return found


async def span_of(writing: Writing, model: int, most: int) -> Span:
    """What one model would write, at the temperature of the request.

    It goes on to the end of a character, so that every model can read it, and no further than the
    model has room.

    Args:
        writing: a fork, which is written on.
        model: its number.
        most: pieces, but for such an end; no more than the request has left, and one at least.
    """
    request, found = writing.request, list[Emitted]()
    alone = np.eye(len(writing.tracks))[model]
    most = max(1, min(most, writing.n_left))
    while len(found) < most + _MOST_ENDS:
        if len(found) >= most and not open_end(writing.text):
            break
        try:
            proposals = await writing.propose([model])
        except ContextFull:
            break
        mixed = mix(proposals, alone)
        number = drawn(mixed, temperature=request.temperature, top_p=request.top_p, rng=writing.rng)
        found.append(Emitted(mixed.pieces[number], mixed.logprob(number)))
        if found[-1].piece == END:
            break
        writing.append(found[-1].piece)
    return Span(found, writing.tracks[model])
