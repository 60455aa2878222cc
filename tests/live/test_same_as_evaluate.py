"""Asked live, a checkpoint decides as it does in replay: query by query, member by member."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from every_strategy import LONG
from stub_pool import trained

from rlfocal.checkpoint import Checkpoint, load_checkpoint
from rlfocal.deliberation.protocol import Strategy
from rlfocal.deliberation.registry import BUILT_IN, create
from rlfocal.deliberation.replay import replay
from rlfocal.live import Answer, Limits, LiveEnsemble, Question
from rlfocal.records import Dataset

Live = Callable[..., Any]
STRATEGIES = [name for name in BUILT_IN if isinstance(create(name), Strategy)]


def queries(dataset: Dataset) -> list[Question]:
    """The test queries, in order."""
    rows = [row for row in dataset.queries.to_pylist() if row["split"] == "test"]
    return [Question(row["prompt"], tuple(row["choices"] or ()), row["task"]) for row in rows]


def check(
    checkpoint: Checkpoint,
    recorded: Dataset,
    live: Live,
    *,
    price: float | None = None,
    limits: Limits = Limits(),  # noqa: B008 (frozen)
) -> None:
    """Ask the test queries live and compare with their replay."""
    asked = queries(recorded)
    assert len(asked) == 100
    table = checkpoint.table(recorded)
    table = table.take(table.split == "test")
    strategy = checkpoint.strategy if price is None else checkpoint.strategy.at(price)
    outcome = replay(strategy, table, budget=limits.budget)

    async def act(ensemble: LiveEnsemble) -> list[Answer]:
        return [await ensemble.answer(query, limits=limits) for query in asked]

    for row, answer in enumerate(live(checkpoint, act, price=price)):
        trace, chosen = answer.trace, outcome.chosen[row]
        who = {call.member for call in trace.calls}
        expected = {table.members[n] for n in np.flatnonzero(outcome.asked[row])}
        if chosen < 0:  # then a live ensemble goes on, to whoever is the best of the others
            assert who > expected, row
            continue
        assert who == expected, row
        assert answer.answer == table.candidates[row][chosen], row
        assert answer.confidence == pytest.approx(float(outcome.confidence[row]), abs=1e-5), row
        assert len(trace.rounds) == outcome.n_rounds[row], row
        assert trace.rounds[-1].spent == outcome.cost[row], row
    # The comparison means something: some answers are right.
    assert np.nanmean(outcome.score) > 0.25


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=pytest.mark.slow) if n in LONG else n for n in STRATEGIES]
)
def test_ask_equals_evaluate(
    name: str, recorded: Dataset, live: Live, tmp_path_factory: pytest.TempPathFactory
) -> None:
    check(load_checkpoint(trained(tmp_path_factory, name)), recorded, live)


@pytest.mark.slow
@pytest.mark.parametrize("price", [0.02, 0.2])
def test_at_every_price(
    checkpoint: Checkpoint, recorded: Dataset, live: Live, price: float
) -> None:
    check(checkpoint, recorded, live, price=price)


@pytest.mark.slow
def test_within_a_budget(checkpoint: Checkpoint, recorded: Dataset, live: Live) -> None:
    check(checkpoint, recorded, live, price=0.001, limits=Limits(budget=2.0))
