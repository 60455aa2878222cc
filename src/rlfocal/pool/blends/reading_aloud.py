"""How likely a given text is to a model: read token by token, as its own spelling has it."""

from __future__ import annotations

import math
from typing import NamedTuple

from rlfocal.pool.blends.voices import END
from rlfocal.pool.blends.writing import Counts, Track

__all__ = ["Likelihood", "likelihood"]


class Likelihood(NamedTuple):
    """Of some bytes, after what stands before them."""

    logprob: float
    """Of all of them, at most: a token that the model did not name counts as the least it named."""
    n_bytes: int
    n_tokens: int
    n_bounded: int
    """Tokens that it did not name."""

    @property
    def per_byte(self) -> float:
        """Mean log-probability of a byte, at most 0; NaN of no text.

        By bytes, not by tokens: models cut text differently.
        """
        return self.logprob / self.n_bytes if self.n_bytes else math.nan


async def likelihood(
    track: Track, text: bytes, counts: Counts, number: int, *, ends: bool = False
) -> Likelihood:
    """Read a text.

    Args:
        track: a model and where the text begins; it is moved to the text's end.
        text: whole characters.
        counts: what the reading takes is added here.
        number: of the model, in `counts`.
        ends: whether the reply ends after it, and that counts, too.

    Raises:
        ContextFull: the text is longer than the model takes.
        MemberError: the model does not reply, or cannot spell the text.
        ValueError: the model has not spelled yet what stands before it.
    """
    if track.waiting:
        raise ValueError("ask the model what it would go on with first: it waits for its spelling")
    wanted: list[int | None] = [*(await track.voice.spell(track.blank + text) if text else [])]
    track.blank = b""
    wanted += [None] if ends else []
    total, n_bounded = 0.0, 0
    for token in wanted:
        if track.last is None:
            track.last = await track.voice.propose(track.ids)
            counts.evaluated[number] += track.last.n_evaluated
            counts.n_asked += 1
        said = track.last
        if token is None:
            p = said.pieces.get(END)
        else:
            p = next((said.pieces[piece] for piece, own in said.ids.items() if own == token), None)
            track.ids.append(token)
            track.last = None
        n_bounded += p is None
        total += math.log(max(said.most_unnamed if p is None else p, 1e-30))
    return Likelihood(total, len(text), len(wanted), n_bounded)
