"""The check of settings that are amounts: pseudo-counts, penalties, bonuses.

Comparisons with what is no number are false, so that a bound alone lets it through.
"""

from __future__ import annotations

import math

__all__ = ["checked_amount"]


def checked_amount(value: float, name: str, *, may_be_zero: bool = False) -> float:
    """A setting that is an amount of something.

    Args:
        value: what was given.
        name: of the setting, for the message.
        may_be_zero: whether there may be nothing of it.

    Raises:
        ValueError: it is negative or not finite, or 0 where it may not be.

    >>> checked_amount(20, "pseudo_counts")
    20.0
    """
    if not (math.isfinite(value) and (value > 0 or (may_be_zero and value == 0))):
        least = ">= 0" if may_be_zero else "> 0"
        raise ValueError(f"{name} must be finite and {least}, got {value}")
    return float(value)
