"""One member asked again only while its samples leave doubt: adaptive-consistency and ESC.

Self-consistency draws as many samples for an easy query as for a hard one. These two look at what
was drawn so far and stop early, without a label and without a second model.

A strategy asks a member once a query at most, and its reply may stand for several samples drawn
together. So both are points of comparison, computed from recorded samples in their order; each
sample drawn counts as a call.

Papers: Aggarwal et al., Let's Sample Step by Step, arXiv:2305.11860; Li et al., Escape Sky-high
Cost: Early-stopping Self-Consistency, arXiv:2401.10480.
"""

from __future__ import annotations

from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from rlfocal.records import BoolArray
from rlfocal.strategies.sampled.consistency import Sampled
from rlfocal.strategies.sizes import checked_count

__all__ = ["AdaptiveConsistency", "EarlyStoppingConsistency", "leads"]

_THRESHOLDS = (0.7, 0.8, 0.9, 0.95, 0.99, 0.999)
"""Without a dissenting sample these stop after 1, 2, 3, 4, 6 and 9."""
_WINDOWS = (1, 2, 3, 4, 5, 8, 10)


def leads(most: int) -> NDArray[np.float64]:
    """Chance that the more frequent of two answers is so beyond these samples.

    Args:
        most: samples at most.

    Returns:
        float64[most + 1, most + 1]: at [n, a] the mass of Beta(a + 1, n - a + 1) above one half, a
        of n samples being the first answer; 0 where a > n. By the recursion of a fair coin's walk:
        P(n, a) = (P(n - 1, a - 1) + P(n - 1, a)) / 2.

    >>> leads(4)[[1, 2, 3, 4, 2], [1, 2, 3, 4, 1]].tolist()
    [0.75, 0.875, 0.9375, 0.96875, 0.5]
    """
    chance = np.zeros((most + 1, most + 1))
    chance[0, 0] = 0.5
    for n in range(1, most + 1):
        chance[n, 1:n] = (chance[n - 1, : n - 1] + chance[n - 1, 1:n]) / 2
        chance[n, 0] = 0.5 ** (n + 1)
        chance[n, n] = 1 - 0.5 ** (n + 1)
    return chance


class AdaptiveConsistency(Sampled):
    """Stops sampling once the leading answer is likely to stay ahead of the second.

    Likely: the mass of Beta(a + 1, b + 1) above one half reaches the threshold, a and b being how
    often the two most frequent answers were drawn. Unusable samples are paid for and count for
    neither.

    Args:
        threshold: in [0.5, 1]; at 1 all samples are drawn.

    Raises:
        ValueError: a threshold outside.
    """

    name = "adaptive-consistency"
    dial: ClassVar[str] = "threshold"

    def __init__(self, *, threshold: float = 0.95) -> None:
        self.threshold = _checked(threshold)

    @property
    def dials(self) -> tuple[float, ...]:
        """Thresholds worth showing, cheapest first."""
        return _THRESHOLDS

    def with_dial(self, value: float) -> Self:
        """Return the same fitted reference with another threshold.

        Raises:
            ValueError: it lies outside [0.5, 1].
        """
        return super().with_dial(_checked(value))

    def drawn(self, samples: NDArray[np.int16], n_candidates: int) -> BoolArray:
        """bool[Q, S]: all up to the one that settles it."""
        n_rows, most = samples.shape
        chance, rows = leads(most), np.arange(n_rows)
        count = np.zeros((n_rows, n_candidates + 2), dtype=np.int64)  # the last slots: -2 and -1
        drawn, going = np.zeros(samples.shape, dtype=bool), np.ones(n_rows, dtype=bool)
        for place in range(most):
            drawn[:, place] = going
            count[rows[going], samples[going, place]] += 1
            first = count[:, :n_candidates].max(axis=1)
            place_of = count[:, :n_candidates].argmax(axis=1)
            others = count[:, :n_candidates].copy()
            others[rows, place_of] = 0
            second = others.max(axis=1)
            going = going & (chance[first + second, first] < self.threshold)
        return drawn


class EarlyStoppingConsistency(Sampled):
    """Draws samples a window at a time, and stops after one whose samples all agree.

    A window with an unusable sample does not agree. The answer is the majority of all that was
    drawn, which need not be the last window's.

    Args:
        window: samples in a window, at least 1.

    Raises:
        ValueError: fewer than one.
    """

    name = "early-consistency"
    dial: ClassVar[str] = "window"

    def __init__(self, *, window: int = 5) -> None:
        self.window = checked_count(window, "window")

    @property
    def dials(self) -> tuple[float, ...]:
        """Windows worth showing, cheapest first; none longer than what was recorded."""
        return tuple(float(w) for w in _WINDOWS if w <= self.n_recorded_)

    def with_dial(self, value: float) -> Self:
        """Return the same fitted reference with another window.

        Raises:
            ValueError: fewer than one sample.
        """
        return super().with_dial(checked_count(value, "window"))

    def drawn(self, samples: NDArray[np.int16], n_candidates: int) -> BoolArray:
        """bool[Q, S]: whole windows up to the first that agrees."""
        drawn, going = np.zeros(samples.shape, dtype=bool), np.ones(len(samples), dtype=bool)
        for start in range(0, samples.shape[1], self.window):
            own = samples[:, start : start + self.window]
            drawn[going, start : start + self.window] = True
            agrees = (own == own[:, :1]).all(axis=1) & (own[:, 0] >= 0)
            going = going & ~agrees
        return drawn


def _checked(threshold: float) -> float:
    if not 0.5 <= threshold <= 1:
        raise ValueError(f"threshold must lie in [0.5, 1], got {threshold}")
    return float(threshold)
