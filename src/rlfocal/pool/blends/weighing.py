"""What comes next by weights: the mean of what all models propose, each weighted.

Weights hold for a span of some pieces and are chosen anew after it, as in RLAE (arXiv:2506.00439).

Axes: M models.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from rlfocal.pool.blends.mixing import drawn, mix
from rlfocal.pool.blends.voices import END, ContextFull, Proposal
from rlfocal.pool.blends.writing import Emitted, Writing

__all__ = ["ByConfidence", "Fixed", "Situation", "Weighed", "Weigher", "entropy"]

_Floats = NDArray[np.float64]


class Situation(NamedTuple):
    """Where a span begins."""

    prompt: str
    text: bytes
    """Of the reply, so far."""
    span: int
    """Spans before this one."""
    proposals: Sequence[Proposal | None]
    """What the M models would go on with."""


class Weigher(Protocol):
    """Chooses weights."""

    def weigh(self, situation: Situation) -> _Floats:
        """float64[M], 0 or more; only ratios count."""
        ...


@dataclass(frozen=True)
class Fixed:
    """The same weights everywhere."""

    weights: tuple[float, ...]

    def weigh(self, situation: Situation) -> _Floats:
        """Those weights."""
        return np.array(self.weights)


@dataclass(frozen=True)
class ByConfidence:
    """Each model by how sure it is: the inverse of the number of tokens that it hesitates between.

    That is exp(-H), H the entropy of what it would go on with, to the power of `sharpness`.
    """

    sharpness: float = 1.0

    def weigh(self, situation: Situation) -> _Floats:
        """By the proposals at hand; one that is not there weighs nothing."""
        unsure = np.array([np.inf if p is None else entropy(p) for p in situation.proposals])
        # Relative to the surest: however sharp, it is heard.
        return np.asarray(np.exp(-self.sharpness * (unsure - unsure.min())))


def entropy(proposal: Proposal) -> float:
    """Of what a model would go on with, in nats, at least: all that is not named counts as one.

    >>> round(entropy(Proposal({b"a": 0.5, b"b": 0.5}, {}, rest=0.0, least=0.0)), 3)
    0.693
    """
    p = np.array([*proposal.pieces.values(), proposal.rest])
    p = p[p > 0]
    return float(-(p * np.log(p)).sum())


class Weighed:
    """Goes on with the likeliest, or with a draw, of the weighted mean.

    Args:
        weigher: who chooses weights.
        span: pieces for which they hold.
    """

    def __init__(self, weigher: Weigher, *, span: int = 1) -> None:
        self._weigher, self._span = weigher, span

    async def go_on(self, writing: Writing) -> list[Emitted]:
        """Write one span."""
        request, found = writing.request, list[Emitted]()
        span = writing.n_pieces // self._span
        proposals = await writing.propose()
        weights = self._weigher.weigh(Situation(request.text, writing.text, span, proposals))
        # Who weighs nothing need not follow: it reads the whole span when it is asked again.
        heard = np.flatnonzero(weights > 0).tolist() or None
        while True:
            mixed = mix(proposals, weights)
            writing.first = writing.first or mixed
            number = drawn(
                mixed, temperature=request.temperature, top_p=request.top_p, rng=writing.rng
            )
            writing.counts.n_uncertain += request.temperature == 0 and not mixed.is_certain
            writing.counts.rest += mixed.rest
            found.append(Emitted(mixed.pieces[number], mixed.logprob(number)))
            writing.append(mixed.pieces[number])
            if len(found) == self._span or mixed.pieces[number] == END:
                return found
            try:
                proposals = await writing.propose(heard)
            except ContextFull:  # what was chosen is written; the next span ends the reply
                return found
            if all(proposal is None for proposal in proposals):
                return found
