"""One distribution out of those of several models, over the bytes of their next tokens.

As in GaC (Yu et al. 2024), over the union of what is named. A model that does not have some bytes
as one token gives them nothing; a shorter token of it, with which it would begin to write them, is
a candidate of its own.

Axes: M models, K pieces.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rlfocal.pool.blends.voices import Proposal

__all__ = ["Mixed", "drawn", "mix"]

_Floats = NDArray[np.float64]


class Mixed(NamedTuple):
    """The weighted mean of several proposals."""

    pieces: tuple[bytes, ...]
    """K pieces, `END` perhaps among them: those of the first model first, its likeliest first."""
    p: _Floats
    """float64[K]: at least so likely."""
    slack: _Floats
    """float64[K]: by how much they may be likelier, for models that did not name them."""
    unnamed: float
    """The most that a piece can have that nobody named."""
    rest: float
    """Probability of all that is not named."""

    @property
    def best(self) -> int:
        """The likeliest piece, as far as is known; of several the first."""
        return int(np.argmax(self.p))

    @property
    def is_certain(self) -> bool:
        """True where no other piece can be likelier than the best, whatever was not named."""
        best = self.best
        others = np.delete(self.p + self.slack, best)
        return bool(self.p[best] >= max(self.unnamed, others.max(initial=0.0)))

    def logprob(self, number: int) -> float:
        """Log-probability of a piece, as far as is known; at most 0."""
        return float(np.log(min(1.0, max(float(self.p[number]), np.finfo(np.float64).tiny))))


def mix(proposals: Sequence[Proposal | None], weights: _Floats) -> Mixed:
    """The mean of proposals.

    Args:
        proposals: of M models; None for one that is not asked at this point.
        weights: float64[M], 0 or more. They count relative to those of the models that are asked;
            where all of these are 0, alike.

    Raises:
        ValueError: nobody is asked, or a weight is negative or no number.
    """
    there = np.array([proposal is not None for proposal in proposals])
    weights = np.asarray(weights, dtype=np.float64)
    if not there.any() or not np.isfinite(weights).all() or (weights < 0).any():
        raise ValueError(f"weights {weights.tolist()} of {there.sum()} proposals")
    share = np.where(there, weights, 0.0)
    share = share / share.sum() if share.sum() > 0 else there / there.sum()
    named: dict[bytes, float] = {}
    unnamed = rest = 0.0
    for proposal, part in zip(proposals, share, strict=True):
        if proposal is None or part == 0:
            continue
        for piece, p in proposal.pieces.items():
            named[piece] = named.get(piece, 0.0) + part * p
        unnamed += part * proposal.most_unnamed
        rest += part * proposal.rest
    slack = [
        sum(
            part * proposal.most_unnamed
            for proposal, part in zip(proposals, share, strict=True)
            if proposal is not None and part > 0 and piece not in proposal.pieces
        )
        for piece in named
    ]
    total = np.array(list(named.values()))
    return Mixed(tuple(named), total, np.array(slack), float(unnamed), float(rest))


def drawn(
    mixed: Mixed, *, temperature: float, top_p: float | None, rng: np.random.Generator
) -> int:
    """The number of a piece: the likeliest at temperature 0, else drawn.

    Args:
        mixed: what may come next; what nobody named is never drawn.
        temperature: probabilities are raised to its inverse.
        top_p: draw among the likeliest that have so much together; None for all.
        rng: for the draw; not used at temperature 0.
    """
    if temperature == 0:
        return mixed.best
    logit = np.log(np.maximum(mixed.p, np.finfo(np.float64).tiny)) / temperature
    p = np.exp(logit - logit.max())
    p /= p.sum()
    if top_p is not None and top_p < 1:
        order = np.argsort(-p, kind="stable")
        kept = order[: int(np.searchsorted(np.cumsum(p[order]), top_p)) + 1]
        p = np.where(np.isin(np.arange(len(p)), kept), p, 0.0)
        p /= p.sum()
    return int(rng.choice(len(p), p=p))
