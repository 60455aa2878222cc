"""A share of counted cases, with the interval that so few cases allow."""

from __future__ import annotations

from typing import NamedTuple, Self

import numpy as np

from rlfocal.numbers import wilson
from rlfocal.records import BoolArray

__all__ = ["Share"]


class Share(NamedTuple):
    """How many of n cases."""

    hits: int
    n: int
    by_chance: float | None = None
    """What the share would be of somebody who looks at nothing, in [0, 1]."""

    @classmethod
    def of(cls, hits: BoolArray, among: BoolArray, *, by_chance: float | None = None) -> Self:
        """Cases among which something holds."""
        return cls(int((hits & among).sum()), int(among.sum()), by_chance)

    @property
    def value(self) -> float:
        """In [0, 1]; NaN where there is no case."""
        return self.hits / self.n if self.n else float("nan")

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % Wilson interval; (0, 1) where there is no case.

        >>> [round(bound, 2) for bound in Share(9, 10).interval]
        [0.6, 0.98]
        """
        if not self.n:
            return 0.0, 1.0
        low, high = wilson(self.value, self.n)
        return float(low), float(high)

    @property
    def differs(self) -> bool:
        """Whether the interval excludes what chance would give."""
        low, high = self.interval
        return self.by_chance is not None and not low <= self.by_chance <= high

    def as_json(self) -> dict[str, float | int | list[float] | None]:
        """Plain values; no share where there is no case."""
        return {
            "share": None if np.isnan(self.value) else self.value,
            "ci": [*self.interval],
            "hits": self.hits,
            "n": self.n,
            "by_chance": self.by_chance,
        }
