"""What comes next by the others' judgement: each model writes a span, and all say how likely it is.

The span that is likeliest in the mean, by byte, is written: as SpecFuse (arXiv:2412.07380) and
Cool-Fusion choose. Every model writes one and reads those of all others, so a piece takes as many
readings as there are models, of each.
"""

from __future__ import annotations

import asyncio
from typing import NamedTuple

import numpy as np

from rlfocal.pool.blends.mixing import drawn, mix
from rlfocal.pool.blends.reading_aloud import likelihood
from rlfocal.pool.blends.voices import END, is_whole
from rlfocal.pool.blends.writing import Emitted, Writing

__all__ = ["Spans", "span_of"]


class Span(NamedTuple):
    """What one model would write next."""

    pieces: list[Emitted]
    """`END` last where it ends the reply."""

    @property
    def text(self) -> bytes:
        """Its bytes."""
        return b"".join(emitted.piece for emitted in self.pieces)

    @property
    def ends(self) -> bool:
        """Whether the reply ends after it."""
        return bool(self.pieces) and self.pieces[-1].piece == END


class Spans:
    """Goes on with the span that surprises the models least.

    Args:
        span: pieces of a span.
    """

    def __init__(self, *, span: int = 8) -> None:
        self._span = span

    async def go_on(self, writing: Writing) -> list[Emitted]:
        """Write one span."""
        n_models = len(writing.tracks)
        spans = list(
            await asyncio.gather(
                *[span_of(writing.fork(), model, self._span) for model in range(n_models)]
            )
        )
        distinct = {(span.text, span.ends): span for span in spans}
        chosen = spans[0]
        if len(distinct) > 1:
            scores = await asyncio.gather(
                *[
                    self._judged(writing, model, list(distinct.values()), spans[model])
                    for model in range(n_models)
                ]
            )
            mean = np.mean(scores, axis=0)
            chosen = list(distinct.values())[int(np.argmax(mean))]
        for emitted in chosen.pieces:
            writing.append(emitted.piece)
        return chosen.pieces

    async def _judged(
        self, writing: Writing, model: int, spans: list[Span], own: Span
    ) -> list[float]:
        """Mean log-probability of a byte of each span, to a model that knows that of its own."""
        found = []
        for span in spans:
            if (span.text, span.ends) == (own.text, own.ends):
                found.append(sum(e.logprob for e in own.pieces) / (len(own.text) + own.ends))
                continue
            track = writing.tracks[model].fork()
            read = await likelihood(track, span.text, writing.counts, model, ends=span.ends)
            found.append(read.logprob / (read.n_bytes + span.ends))
        return found


async def span_of(writing: Writing, model: int, most: int) -> Span:
    """What one model would write, at the temperature of the request.

    It goes on to the end of a character, so that every model can read it.

    Args:
        writing: a fork, which is written on.
        model: its number.
        most: pieces, but for such an end.
    """
    request, found = writing.request, list[Emitted]()
    alone = np.eye(len(writing.tracks))[model]
    while len(found) < most or not is_whole(b"".join(emitted.piece for emitted in found)):
        mixed = mix(await writing.propose([model]), alone)
        number = drawn(mixed, temperature=request.temperature, top_p=request.top_p, rng=writing.rng)
        found.append(Emitted(mixed.pieces[number], mixed.logprob(number)))
        if found[-1].piece == END:
            break
        writing.append(found[-1].piece)
    return Span(found)
