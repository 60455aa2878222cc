"""What a call costs, from its tokens and the price that the user gave.

There is no table of vendors' prices here: they change, and a wrong one is worse than none. Who has
no price for a model gets "unpriced", never free.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import date

__all__ = ["Price"]


@dataclass(frozen=True, slots=True)
class Price:
    """Dollars per million tokens.

    Raises:
        ValueError: a price is negative or not a number.
    """

    prompt_usd_per_million: float
    completion_usd_per_million: float
    as_of: date | None = None
    """When that was the price; None where nobody says."""

    def __post_init__(self) -> None:
        for value in (self.prompt_usd_per_million, self.completion_usd_per_million):
            if not (math.isfinite(value) and value >= 0):
                raise ValueError(f"a price is at least 0 dollars per million tokens, got {value}")

    def of(self, n_prompt: int | None, n_completion: int | None) -> float | None:
        """What one call costs in dollars; None where a count of tokens is not known.

        >>> Price(2.0, 6.0).of(1000, 500)
        0.005
        >>> Price(2.0, 6.0).of(1000, None) is None
        True
        """
        if n_prompt is None or n_completion is None:
            return None
        prompt = n_prompt * self.prompt_usd_per_million
        return (prompt + n_completion * self.completion_usd_per_million) / 1e6
