"""A strategy that wraps another one, to add behaviour to any strategy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from rlfocal.deliberation.base import Acting, Base
from rlfocal.deliberation.protocol import Spec, State
from rlfocal.deliberation.view import Decision, Memory, View
from rlfocal.records import IntArray, ResponseTable

__all__ = ["Wrapper"]


class Wrapper(Base):
    """Forwards everything to the strategy within; a subclass changes some of it.

    The results of `at`, `with_dial`, `follow` and `alone` are wrapped again.

    Args:
        strategy: the one within.
    """

    def __init__(self, strategy: Base) -> None:
        self.within = strategy
        self.name, self.price = strategy.name, strategy.price
        self.dial = strategy.dial  # type: ignore[misc]  # that of the strategy within

    def _around(self, strategy: Base) -> Self:
        return self._with(within=strategy, price=strategy.price)

    @property
    def spec(self) -> Spec:
        """As of the strategy within."""
        return self.within.spec

    def fit(self, table: ResponseTable, *, rng: np.random.Generator) -> Self:
        """Fit the strategy within."""
        return self._around(self.within.fit(table, rng=rng))

    def decide(self, view: View) -> Decision:
        """Decide as the strategy within."""
        return self.within.decide(view)

    def at(self, price: float) -> Self:
        """A wrapper of the strategy at another price."""
        return self._around(self.within.at(price))

    def with_dial(self, value: float) -> Self:
        """A wrapper of the strategy at another setting."""
        return self._around(self.within.with_dial(value))

    def follow(self, memory: Memory) -> Self:
        """A wrapper of the strategy that follows recent labels."""
        return self._around(self.within.follow(memory))

    def alone(self) -> Self:
        """A wrapper of the strategy without rivals."""
        return self._around(self.within.alone())

    def state(self) -> State:
        """As of the strategy within."""
        return self.within.state()

    def restore(self, state: Mapping[str, NDArray[Any]]) -> Self:
        """Undo `state`."""
        return self._around(self.within.restore(state))

    @property
    def setting(self) -> float | None:
        """As of the strategy within."""
        return self.within.setting

    @property
    def dials(self) -> tuple[float, ...]:
        """As of the strategy within."""
        return self.within.dials

    @property
    def reads_replies(self) -> bool:
        """As of the strategy within."""
        return self.within.reads_replies

    @property
    def votes_only_help(self) -> bool:
        """As of the strategy within; a subclass that decides otherwise says so itself."""
        return self.within.votes_only_help

    @property
    def ranking(self) -> IntArray | None:
        """As of the strategy within."""
        return self.within.ranking

    @property
    def acting(self) -> Acting | None:
        """The policy that acts within."""
        return self.within.acting

    @property
    def history(self) -> Sequence[Mapping[str, float]]:
        """Training log of the strategy within."""
        return self.within.history

    def verdicts(self) -> list[dict[str, str | float]]:
        """As of the strategy within."""
        return self.within.verdicts()
