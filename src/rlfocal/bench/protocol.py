"""Settings of a benchmark: folds, seeds and resamples.

Holds settings only; `folds` makes the partition and `statistics` the intervals.
"""

from __future__ import annotations

from dataclasses import dataclass

from rlfocal.errors import ConfigError

__all__ = ["EvalProtocol"]


@dataclass(frozen=True, kw_only=True)
class EvalProtocol:
    """Settings of a benchmark.

    Raises:
        ConfigError: a number is out of range; the message names the option.
    """

    n_folds: int = 5
    """Folds, at least 2; every query is tested once. Ignored when `use_split`."""
    use_split: bool = False
    """Train and test on the data set's own split instead of folds."""
    n_seeds: int = 1
    """Seeds 0 .. n_seeds - 1; strategies without randomness run once, for all seeds."""
    fold_seed: int = 0
    """Draws the folds; the same for every seed, so that seeds differ by training alone."""
    n_resamples: int = 2000
    """Bootstrap resamples behind every interval."""

    def __post_init__(self) -> None:
        for option, value, low in (
            ("folds", self.n_folds, 2),
            ("seeds", self.n_seeds, 1),
            ("fold seed", self.fold_seed, 0),
            ("resamples", self.n_resamples, 100),
        ):
            if value < low:
                raise ConfigError(f"{option} must be at least {low}, got {value}")

    @property
    def seeds(self) -> tuple[int, ...]:
        """The seeds."""
        return tuple(range(self.n_seeds))
