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
from rlfocal.deliberation.protocol import Need
from rlfocal.deliberation.state import Row
from rlfocal.deliberation.view import Decision, View
from rlfocal.records import ResponseTable
from rlfocal.strategies.agreement import Agreement
from rlfocal.strategies.sizes import pool_sizes
from rlfocal.strategies.stopping import StopsByPrice

__all__ = ["CappedAgreement"]


class CappedAgreement(StopsByPrice):
    """Agreement stopping with the threshold and the cap that earn most on training queries.

    For a price lambda, that is the pair with the highest mean of score - lambda · cost / mean cost
    of a call, over all thresholds of `Agreement` and caps from 1 to N. Ties go to the cheaper pair,
    then to the lower threshold, then to the lower cap.

    Args:
        price: see `StopsByPrice`.
    """

    name = "agreement-capped"
    needs: ClassVar[frozenset[Need]] = frozenset({Need.ANSWERS})
    fitted: ClassVar[Mapping[str, Row]] = {
        **StopsByPrice.fitted, "thresholds": Row("float64", "H", 0, 1),
    }  # fmt: skip
    parts: ClassVar[Mapping[str, Callable[[], Base]]] = {"agreement": Agreement}

    def fit(self, table: ResponseTable, *, rng: np.random.Generator) -> Self:
        """Fix order and weights, and measure every pair of settings."""
        self.agreement_ = Agreement()
        self.thresholds_, self.caps_, self.score_, self.cost_ = self.agreement_.measure(
            table, pool_sizes(table.n_members)
        )
        return self

    def decide(self, view: View) -> Decision:
        """As agreement stopping, up to the cap."""
        threshold, cap = self.settings_
        ask, answer, _ = self.agreement_.with_dial(threshold).decide(view)
        return Decision(ask & (view.asked.sum(axis=1, keepdims=True) < cap), answer)
