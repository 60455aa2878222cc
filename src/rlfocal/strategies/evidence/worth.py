"""What a score is worth to a vote: how far its shifts make the right candidate likelier.

Axes: Q queries, N members, C candidates, H factors, S scales.
"""

from __future__ import annotations

from statistics import NormalDist
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from rlfocal.numbers import softmax
from rlfocal.records import BoolArray, ResponseTable
from rlfocal.strategies.voting import chance_log_odds, fit_vote_scale, tally, vote_accuracy

__all__ = ["FACTORS", "factor_of"]

Float64Array = NDArray[np.float64]

FACTORS = np.linspace(0, 1, 11)
"""H factors that are weighed."""
_SCALES = np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.7, 1.0])
"""S factors on all votes alike: errors that go together make a vote surer than it should be."""
_NOTHING = 0.5
"""Chance, before anything is seen, that a score is worth nothing."""


def factor_of(table: ResponseTable, shift: Float64Array, *, rng: np.random.Generator) -> float:
    """How far shifts are to be believed, by what votes say of it.

    The mean, over what the likelihood of votes leaves of the prior, of a factor on shifts; less
    where votes so moved are right less often, and nothing where that is no chance. A likelihood
    alone is not enough: it also rises where shifts tell which queries are hard, and on tasks where
    they tell nothing else the vote was led astray by it.

    Each query votes twice, with everybody and with a part of the members, as where some are not
    asked; for the likelihood both together count as one.

    Args:
        table: labelled queries.
        shift: float64[Q, N], found without the query's label; 0 where there is none.
        rng: who is asked.

    Returns:
        In [0, 1].
    """
    chance = np.broadcast_to(vote_accuracy(table), table.answer.shape)
    size = rng.integers(1, table.n_members + 1, size=(table.n_queries, 1))
    some = rng.random(table.answer.shape).argsort(axis=1).argsort(axis=1) < size
    weight = chance_log_odds(chance) + fit_vote_scale(table, chance).offset
    votes = [
        _Votes.of(table, answer, weight, shift)
        for answer in (np.where(some, table.answer, np.int16(-1)), table.answer)
    ]
    likelihood = sum((vote.likelihood() for vote in votes), np.zeros(())) / len(votes)
    prior = np.full(len(FACTORS), (1 - _NOTHING) / (len(FACTORS) - 1))
    prior[0] = _NOTHING
    belief = prior[:, None] * np.exp(likelihood - likelihood.max())
    factor = float((FACTORS[:, None] * belief).sum() / belief.sum())
    return factor * min(_not_worse(vote.gain(factor)) for vote in votes)


def _not_worse(gain: Float64Array) -> float:
    """How likely, in [0, 1], so bad a mean gain float64[Q] is by chance; 1 for a good one.

    A query more, of which nobody knows, sees to it that few that were moved prove little.
    """
    lead = float(gain.sum() / np.sqrt((gain**2).sum() + 1))
    return min(1.0, 2 * NormalDist().cdf(lead))


class _Votes(NamedTuple):
    """Votes on Q queries."""

    plain: Float64Array
    """float64[Q, C]: without shifts."""
    moved: Float64Array
    """float64[Q, C]: what shifts add."""
    allowed: BoolArray
    """bool[Q, C]: candidates that were given, or exist."""
    right: Float64Array
    """float64[Q, C]: what they are worth; zeros where nobody knows."""

    @classmethod
    def of(
        cls,
        table: ResponseTable,
        answer: NDArray[np.int16],
        weight: Float64Array,
        shift: Float64Array,
    ) -> Self:
        """Count what int16[Q, N] answers."""
        given = tally(answer, np.ones(table.n_members), table.n_candidates) > 0
        voted = given.any(axis=1, keepdims=True)
        allowed = voted & np.where(table.is_open[:, None], given, table.exists)
        return cls(
            tally(answer, weight, table.n_candidates),
            tally(answer, shift, table.n_candidates),
            allowed,
            np.where(allowed & table.judged[:, None], table.candidate_score, 0.0),
        )

    def likelihood(self) -> Float64Array:
        """float64[H, S]: log-likelihood of the right candidates, where there are any."""
        use = (self.right > 0).any(axis=1)
        plain, moved, right, allowed = (
            self.plain[use],
            self.moved[use],
            self.right[use],
            self.allowed[use],
        )
        found = np.zeros((len(FACTORS), len(_SCALES)))
        for h, factor in enumerate(FACTORS):
            for s, scale in enumerate(_SCALES):
                chance = (softmax(scale * (plain + factor * moved), allowed) * right).sum(axis=1)
                found[h, s] = np.log(np.maximum(chance, 1e-9)).sum()
        return found

    def gain(self, factor: float) -> Float64Array:
        """float64[Q]: by how much the vote is worth more with shifts than without."""
        return self._worth(self.plain + factor * self.moved) - self._worth(self.plain)

    def _worth(self, votes: Float64Array) -> Float64Array:
        chosen = np.where(self.allowed, votes, -np.inf).argmax(axis=1)
        return np.asarray(self.right[np.arange(len(chosen)), chosen])
