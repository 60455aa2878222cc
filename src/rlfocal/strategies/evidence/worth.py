"""What a score is worth to a vote: how far its shifts make the right candidate likelier.

Axes: Q queries, N members, C candidates, H factors, S scales.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rlfocal.numbers import softmax
from rlfocal.records import ResponseTable
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
    """The mean, over what the votes say of it, of the factor on shifts.

    Each query votes twice, with everybody and with a part of the members, as where some are not
    asked; both together count as one.

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
    offset = fit_vote_scale(table, chance).offset
    weight = chance_log_odds(chance) + offset
    likelihood = (
        _likelihood(table, np.where(some, table.answer, np.int16(-1)), weight, shift)
        + _likelihood(table, table.answer, weight, shift)
    ) / 2
    prior = np.full(len(FACTORS), (1 - _NOTHING) / (len(FACTORS) - 1))
    prior[0] = _NOTHING
    belief = prior[:, None] * np.exp(likelihood - likelihood.max())
    return float((FACTORS[:, None] * belief).sum() / belief.sum())


def _likelihood(
    table: ResponseTable, answer: NDArray[np.int16], weight: Float64Array, shift: Float64Array
) -> Float64Array:
    """float64[H, S]: log-likelihood of the right candidates among those given."""
    plain = tally(answer, weight, table.n_candidates)
    moved = tally(answer, shift, table.n_candidates)
    given = tally(answer, np.ones(table.n_members), table.n_candidates) > 0
    allowed = np.where(table.is_open[:, None], given, table.exists)
    right = np.where(allowed, table.candidate_score, 0).astype(np.float64)
    use = given.any(axis=1) & (right > 0).any(axis=1) & table.judged
    plain, moved, allowed, right = plain[use], moved[use], allowed[use], right[use]
    found = np.zeros((len(FACTORS), len(_SCALES)))
    for h, factor in enumerate(FACTORS):
        for s, scale in enumerate(_SCALES):
            chance = (softmax(scale * (plain + factor * moved), allowed) * right).sum(axis=1)
            found[h, s] = np.log(np.maximum(chance, 1e-9)).sum()
    return found
