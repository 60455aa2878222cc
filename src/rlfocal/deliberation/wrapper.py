"""A strategy around another one, for behaviour that is added to whatever strategy there is."""

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
    """Does and says what the strategy within does; a subclass changes some of that.

    What `at`, `follow` and `alone` make of the strategy within is wrapped again.

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
        """Of the strategy within."""
        return self.within.spec

    def fit(self, table: ResponseTable, *, rng: np.random.Generator) -> Self:
        """Fit the strategy within."""
        return self._around(self.within.fit(table, rng=rng))

    def decide(self, view: View) -> Decision:
        """As the strategy within decides."""
        return self.within.decide(view)

    def at(self, dial: float) -> Self:
        """The same around the strategy at another setting."""
        return self._around(self.within.at(dial))

    def follow(self, memory: Memory) -> Self:
        """The same around the strategy that follows recent labels."""
        return self._around(self.within.follow(memory))

    def alone(self) -> Self:
        """The same around what was learned alone."""
        return self._around(self.within.alone())

    def state(self) -> State:
        """Of the strategy within."""
        return self.within.state()

    def restore(self, state: Mapping[str, NDArray[Any]]) -> Self:
        """Undo `state`."""
        return self._around(self.within.restore(state))

    @property
    def dials(self) -> tuple[float, ...]:
        """Those of the strategy within."""
        return self.within.dials

    @property
    def ranking(self) -> IntArray | None:
        """That of the strategy within."""
        return self.within.ranking

    @property
    def acting(self) -> Acting | None:
        """Who decides within."""
        return self.within.acting

    @property
    def history(self) -> Sequence[Mapping[str, float]]:
        """What training of the strategy within logged."""
        return self.within.history

    def verdicts(self) -> list[dict[str, str | float]]:
        """Those of the strategy within."""
        return self.within.verdicts()
