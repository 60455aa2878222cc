"""Settings of a benchmark: folds, seeds, resamples, and whether tasks are shown.

Holds settings only; `folds` makes the partition and `statistics` the intervals.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from rlfocal.errors import ConfigError

__all__ = ["WAYS", "EvalProtocol", "Tasks", "TasksShown", "check_tasks"]

Tasks = Literal["given", "hidden"]
"""Whether strategies are shown the task of a tested query, or an unknown one, as a gateway shows
them where its client names none."""
TasksShown = Literal["given", "hidden", "both"]
"""The same; "both" tests what was fitted once either way."""
WAYS: tuple[Tasks, ...] = get_args(Tasks)
"""All of `Tasks`, in the order in which they are tested."""


def check_tasks(tasks: str, known: Sequence[str] = get_args(TasksShown)) -> None:
    """Refuse an unknown way of showing tasks.

    Raises:
        ConfigError: naming those that are known.
    """
    if tasks not in known:
        raise ConfigError(
            f"tasks must be {', '.join(known[:-1])} or {known[-1]}, got {tasks!r}: whether "
            "strategies are shown the tasks of tested queries"
        )


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
    tasks: TasksShown = "given"
    """Whether strategies are shown the tasks of tested queries; training queries keep theirs."""

    def __post_init__(self) -> None:
        for option, value, low, high in (
            ("folds", self.n_folds, 2, None),
            ("seeds", self.n_seeds, 1, 10_000),
            ("fold seed", self.fold_seed, 0, None),
            ("resamples", self.n_resamples, 100, 1_000_000),
        ):
            if value < low:
                raise ConfigError(f"{option} must be at least {low}, got {value}")
            if high is not None and value > high:
                raise ConfigError(f"{option} must be at most {high:,}, got {value:,}")
        check_tasks(self.tasks)

    @property
    def seeds(self) -> tuple[int, ...]:
        """The seeds."""
        return tuple(range(self.n_seeds))
