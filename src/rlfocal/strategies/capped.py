"""Agreement stopping that also gives up: threshold and cap on calls follow from a call's price.

Where more calls will not settle a query, plain agreement asks on to the last member. A cap ends
that, and choosing it together with the threshold for each price makes this the fairest simple rival
of a learned stop. The decisions are those of `Agreement`; only the choice of settings is here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import ClassVar, Self

import numpy as np

from rlfocal.deliberation.base import Base
from rlfocal.deliberation.dial import PRICES, checked_price
from rlfocal.deliberation.protocol import Need
from rlfocal.deliberation.state import Row
from rlfocal.deliberation.view import Decision, View
from rlfocal.records import ResponseTable
from rlfocal.strategies.agreement import Agreement, StoppingGrid
from rlfocal.strategies.sizes import pool_sizes

__all__ = ["CappedAgreement"]


class CappedAgreement(Base):
    """Agreement stopping with the threshold and the cap that earn most on training queries.

    For a price lambda, that is the pair with the highest mean of score - lambda · cost / mean cost
    of a call, over all thresholds of `Agreement` and caps from 1 to N. Ties go to the cheaper pair,
    then to the lower threshold, then to the lower cap.

    Args:
        price: lambda, the price of an average call as a share of a right answer's worth, in
            [0.001, 0.3], or 0; the same dial as that of `rl-focal`.

    Raises:
        ValueError: a price out of range.
    """

    name = "agreement-capped"
    needs: ClassVar[frozenset[Need]] = frozenset({Need.ANSWERS})
    dial: ClassVar[str] = "price"
    dials: ClassVar[tuple[float, ...]] = tuple(np.geomspace(*PRICES[::-1], 12).tolist())
    fitted: ClassVar[Mapping[str, Row]] = {
        "thresholds": Row("float64", "H", 0, 1),
        "caps": Row("int64", "K", 1, "=N"),
        "score": Row("float64", "HK", 0, 1),
        "cost": Row("float64", "HK", 0),
    }
    parts: ClassVar[Mapping[str, Callable[[], Base]]] = {"agreement": Agreement}

    def __init__(self, *, price: float = 0.002) -> None:
        self.price: float = checked_price(price, within=PRICES)

    def fit(self, table: ResponseTable, *, rng: np.random.Generator) -> Self:
        """Fix order and weights, and measure every pair of settings."""
        self.agreement_ = Agreement()
        self.thresholds_, self.caps_, self.score_, self.cost_ = self.agreement_.measure(
            table, pool_sizes(table.n_members)
        )
        return self

    def at(self, price: float) -> Self:
        """Return the same fitted strategy at another price.

        Raises:
            ValueError: a price out of range.
        """
        return self._with(price=checked_price(price, within=PRICES))

    @property
    def settings_(self) -> tuple[float, int]:
        """Threshold and cap at the price."""
        grid = StoppingGrid(self.thresholds_, self.caps_, self.score_, self.cost_)
        return grid.best(self.price)

    def decide(self, view: View) -> Decision:
        """As agreement stopping, up to the cap."""
        threshold, cap = self.settings_
        ask, answer, _ = self.agreement_.with_dial(threshold).decide(view)
        return Decision(ask & (view.asked.sum(axis=1, keepdims=True) < cap), answer)
