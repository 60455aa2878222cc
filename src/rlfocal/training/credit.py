"""Credit: returns of asking and of stopping, at every state of a path.

A path asks one member after another; at each of its states the policy has enough with some chance.
The recorded table knows what stopping would have earned at all of them, so both choices are judged
on the same query and what they have in common (how hard it is) cancels. This is generalised
advantage estimation (Schulman et al. 2016) in which the expectation over stopping is taken exactly,
as in tree backup (Precup et al. 2000), and only the choice of members is sampled.

Where enough does not stop but sends a round, another path goes on from there and says what that
earns.

Axes: R rounds, B paths.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rlfocal.records import FloatArray, IntArray

__all__ = ["Credit", "credit"]


class Credit(NamedTuple):
    """Returns float32[R, B] of the two choices at each state; their advantage is over `value`."""

    asking: FloatArray
    """Return of asking the path's next member; 0 where not alive."""
    enough: FloatArray
    """Return of stopping, or of sending a round."""


def credit(
    *,
    worth: FloatArray,
    charge: FloatArray,
    stop_share: FloatArray,
    value: FloatArray,
    alive: NDArray[np.bool_],
    gamma: float,
    gae_lambda: float,
    sent: IntArray | None = None,
) -> Credit:
    """Compute the returns of both choices at each state.

    Args:
        worth: float32[R, B], what stopping at the state earns; not used where a round is sent.
        charge: float32[R, B], what asking the path's next member costs.
        stop_share: float32[R, B] in [0, 1], how much of the path has enough at the state; where it
            is 1, what asking would be worth is not used.
        value: float32[R, B], the critic's of the state.
        alive: bool[R, B], True at the states of the path.
        gamma: discount per decision.
        gae_lambda: trust in the path's own outcome; 1 - gae_lambda goes to the critic.
        sent: int64[R, B], the column that goes on from the next row where enough sends a round;
            -1 where it stops; None where it always does.

    >>> column = lambda *numbers: np.array(numbers, dtype=np.float32)[:, None]
    >>> credit(
    ...     worth=column(0, 1), charge=column(0.25, 0), stop_share=column(0, 1),
    ...     value=column(0, 0), alive=np.ones((2, 1), bool), gamma=1.0, gae_lambda=1.0,
    ... ).asking[0].tolist()
    [0.75]
    """
    asking, enough = np.zeros_like(worth), worth.copy()
    later = np.zeros(worth.shape[1], dtype=np.float32)
    for r in range(len(worth) - 1, -1, -1):
        asking[r] = np.where(alive[r], -charge[r] + gamma * later, 0)
        if sent is not None:
            enough[r] = np.where(sent[r] < 0, worth[r], gamma * later[sent[r]])
        outcome = stop_share[r] * enough[r] + (1 - stop_share[r]) * asking[r]
        later = np.where(alive[r], (1 - gae_lambda) * value[r] + gae_lambda * outcome, 0)
    return Credit(asking, enough)
