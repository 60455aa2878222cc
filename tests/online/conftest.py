"""A live policy whose best member has become bad, logs of it, and the truth by replay."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from rlfocal.agents.config import RlFocalConfig
from rlfocal.deliberation.replay import replay
from rlfocal.focal.rl_focal import RlFocal
from rlfocal.records import PoolModel, ResponseTable, build_table, simulate

BEFORE = (0.9, 0.7, 0.65, 0.6)
AFTER = (0.3, 0.7, 0.65, 0.6)
PRICE = 0.1
"""At which one call is best, before and after."""

MakePool = Callable[..., ResponseTable]
Utility = Callable[[RlFocal], float]


def _pool(accuracy: Sequence[float], n_queries: int, seed: int) -> ResponseTable:
    model = PoolModel(accuracy=[list(accuracy)])
    data = simulate(model, n_queries, rng=np.random.default_rng([7, seed]))
    return build_table(data, encode=None)


@pytest.fixture(scope="session")
def pool() -> MakePool:
    """pool(AFTER, 1000, seed=1) → queries of four members with these accuracies."""
    return _pool


@pytest.fixture(scope="session")
def live() -> RlFocal:
    """A policy that knows how the members were."""
    config = RlFocalConfig(learn_from=10**6, default_price=PRICE)
    return RlFocal(config).fit(_pool(BEFORE, 800, 0), rng=np.random.default_rng(0))


@pytest.fixture(scope="session")
def utility() -> Utility:
    """What a policy truly earns after the change: a replay of many fresh queries."""
    table = _pool(AFTER, 10_000, 1)

    def of(strategy: RlFocal) -> float:
        outcome = replay(strategy, table)
        return float((outcome.score - strategy.price * outcome.n_calls).mean())

    return of


@pytest.fixture(scope="session")
def better() -> RlFocal:
    """A policy that knows how the members are now; it differs from the live one everywhere."""
    config = RlFocalConfig(learn_from=10**6, default_price=PRICE)
    return RlFocal(config).fit(_pool(AFTER, 800, 2), rng=np.random.default_rng(0))
