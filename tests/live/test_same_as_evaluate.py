"""Asked live, a checkpoint decides as it does in replay: query by query, member by member."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from rlfocal.deliberation.replay import replay
from rlfocal.live import Ensemble, LiveQuery
from rlfocal.live.answering import Answer
from rlfocal.records import Dataset
from rlfocal.rl.checkpoint import Checkpoint

Live = Callable[..., Any]


def queries(dataset: Dataset) -> list[LiveQuery]:
    """The test queries, in order."""
    rows = [row for row in dataset.queries.to_pylist() if row["split"] == "test"]
    return [LiveQuery(row["prompt"], tuple(row["choices"] or ()), row["task"]) for row in rows]


async def answer_all(ensemble: Ensemble, asked: list[LiveQuery]) -> list[Answer]:
    return [await ensemble.answer(query) for query in asked]


@pytest.mark.parametrize("price", [None, 0.02, 0.2])
def test_a_hundred_of_a_hundred(
    checkpoint: Checkpoint, recorded: Dataset, live: Live, price: float | None
) -> None:
    asked = queries(recorded)
    assert len(asked) == 100
    table = checkpoint.table(recorded)
    table = table.take(table.split == "test")
    strategy: Any = checkpoint.strategy
    outcome = replay(strategy if price is None else strategy.at(price), table)
    answers = live(checkpoint, lambda ensemble: answer_all(ensemble, asked), price=price)

    for row, answer in enumerate(answers):
        who = {said.member for part in answer.trace.rounds for said in part.asked}
        expected = {table.members[n] for n in np.flatnonzero(outcome.asked[row])}
        assert who == expected, row
        assert answer.answer == table.candidates[row][outcome.chosen[row]], row
        assert answer.confidence == pytest.approx(float(outcome.confidence[row]), abs=1e-5), row
        assert len(answer.trace.rounds) == outcome.n_rounds[row], row
    # The comparison means something: not everybody is asked, and not always the same.
    assert 1 <= outcome.n_calls.mean() < 4
    assert outcome.score.mean() > 0.5
