"""From values to pixels, with round ticks: linear scales, and logarithmic ones for wide ranges.

The steps between ticks are 1, 2 or 5 times a power of ten.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Scale", "round_ticks", "tick_labels"]

_STEPS = (1.0, 2.0, 5.0, 10.0)
_LOG_FROM_RATIO = 12.0
"""Beyond this factor a linear scale would show all but the greatest values on one spot."""
_SLACK = 1e-9
"""Share of a step by which a computed tick may miss a bound."""


@dataclass(frozen=True)
class Scale:
    """Maps [low, high] to pixels [start, end]; `end` may be the smaller one, as upwards in SVG."""

    low: float
    high: float
    start: float
    end: float
    is_log: bool = False

    def __post_init__(self) -> None:
        """Refuse a scale that maps nothing."""
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low < self.high):
            raise ValueError(f"a scale needs low < high, both finite, not {self.low}, {self.high}")
        if self.is_log and self.low <= 0:
            raise ValueError(f"a logarithmic scale needs low > 0, not {self.low}")

    def __call__(self, value: float) -> float:
        """The pixel of a value; values outside the range lie outside the pixels."""
        share = (self._along(value) - self._along(self.low)) / (
            self._along(self.high) - self._along(self.low)
        )
        return self.start + share * (self.end - self.start)

    def _along(self, value: float) -> float:
        if not self.is_log:
            return value
        return math.log(value) if value > 0 else -math.inf

    def holds(self, value: float) -> bool:
        """Whether a value lies within the range."""
        return self.low <= value <= self.high

    def ticks(self, most: int) -> list[float]:
        """Round values within the range, increasing; at least two wherever there are such.

        Args:
            most: about how many there is room for.
        """
        inside = [t for t in round_ticks(self.low, self.high, most) if self._nearly_holds(t)]
        if not self.is_log:
            return inside
        for digits in ((1, 2, 5), (1, 3), (1,)):
            found = [t for t in _log_ticks(self.low, self.high, digits) if self._nearly_holds(t)]
            if len(found) <= most:
                break
        # Within less than a decade or so there may be too few of these.
        return found if len(found) >= 3 else [t for t in inside if t > 0]

    def _nearly_holds(self, value: float) -> bool:
        slack = _SLACK * (self.high - self.low)
        return self.low - slack <= value <= self.high + slack

    @classmethod
    def covering(
        cls,
        values: Sequence[float],
        start: float,
        end: float,
        *,
        room: float = 0.05,
        may_be_log: bool = False,
    ) -> Scale:
        """A scale over all values with some room at both ends.

        Args:
            values: finite, at least one.
            start: pixel of the low end.
            end: pixel of the high end.
            room: share of the range left free at either end.
            may_be_log: whether it is logarithmic where values differ by a factor of 12 or more.
        """
        low, high = min(values), max(values)
        if may_be_log and low > 0 and high / low > _LOG_FROM_RATIO:
            factor = (high / low) ** room
            return cls(low / factor, high * factor, start, end, is_log=True)
        gap = room * (high - low) or abs(high) * 0.1 or 1.0
        return cls(low - gap, high + gap, start, end)


def round_ticks(low: float, high: float, most: int) -> list[float]:
    """Round values from just below `low` to just above `high`, at even steps of 1, 2 or 5.

    Args:
        low: the least value.
        high: the greatest, above it.
        most: about how many steps there is room for.

    >>> round_ticks(0.3, 7.2, 5)
    [0.0, 2.0, 4.0, 6.0, 8.0]
    """
    raw = (high - low) / max(most, 1)
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(s for s in _STEPS if s * power >= raw * (1 - _SLACK)) * power
    first, last = math.floor(low / step + _SLACK), math.ceil(high / step - _SLACK)
    digits = max(0, -math.floor(math.log10(step)))
    return [round(i * step, digits) for i in range(first, last + 1)]


def _log_ticks(low: float, high: float, digits: Sequence[int]) -> list[float]:
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    return [float(f"{d}e{power}") for power in range(first, last + 1) for d in digits]


def tick_labels(ticks: Sequence[float], *, alike: bool = True) -> list[str]:
    """Labels of ticks, without zeros that say nothing.

    Args:
        ticks: round values.
        alike: whether all get the decimals that the finest needs, as on an even scale.

    >>> tick_labels([0.0, 0.5, 1.0]), tick_labels([0.05, 0.2, 1000.0], alike=False)
    (['0.0', '0.5', '1.0'], ['0.05', '0.2', '1,000'])
    """
    plain = [f"{tick:,.10f}".rstrip("0").rstrip(".") for tick in ticks]
    if alike:
        decimals = max((len(label.partition(".")[2]) for label in plain), default=0)
        plain = [f"{tick:,.{decimals}f}" for tick in ticks]
    return [label.replace("-", "\N{MINUS SIGN}") for label in plain]
