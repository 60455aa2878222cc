"""The one-coin model fitted by expectation and maximisation.

Dawid and Skene's model (1979) with one number a member in place of a table of confusions; the
number of a member is the share of its answers that the posterior, given everybody's numbers, calls
right.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rlfocal.numbers import Float64Array
from rlfocal.records import BoolArray
from rlfocal.strategies.label_free.vote import LabelFreeVote, coin_posterior

__all__ = ["OneCoin"]

_ROUNDS = 200
_TOLERANCE = 1e-6


class OneCoin(LabelFreeVote):
    """Votes weighted by chances that make the members' answers likeliest; no label is looked at.

    Starts from the plain vote. To each member's answers one right and one wrong one are added, so
    that no chance is 0 or 1.
    """

    name = "one-coin"

    def chances(self, answer: NDArray[np.int16], options: BoolArray) -> Float64Array:
        """float64[N], the fixed point."""
        answered = answer >= 0
        place = np.maximum(answer, 0).astype(np.int64)
        # Equal chances above those of guessing: the posterior leans to the plain vote.
        chance = np.full(answer.shape[1], 0.7)
        for _ in range(_ROUNDS):
            posterior = coin_posterior(answer, options, chance)
            right = np.where(answered, np.take_along_axis(posterior, place, axis=1), 0.0)
            found = (right.sum(axis=0) + 1) / (answered.sum(axis=0) + 2)
            moved = float(np.abs(found - chance).max())
            chance = found
            if moved < _TOLERANCE:
                break
        return chance
