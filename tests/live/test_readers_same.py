"""Asked live, members that read one another say what they say in replay, and cost the same."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from reading_pool import pool_file, recorded, says, trained

from rlfocal.checkpoint import Checkpoint, load_checkpoint
from rlfocal.deliberation.replay import replay
from rlfocal.live import Answer, Limits, LiveEnsemble, Question, members_for
from rlfocal.pool.building import LivePool
from rlfocal.pool.settings import read_pool
from rlfocal.pool.stub import StubServer
from rlfocal.records import Dataset


def questions(dataset: Dataset) -> list[Question]:
    rows = [row for row in dataset.queries.to_pylist() if row["split"] == "test"]
    return [Question(row["prompt"], tuple(row["choices"] or ()), row["task"]) for row in rows]


def answers(
    folder: Path,
    checkpoint: Checkpoint,
    asked: list[Question],
    *,
    stub: Any = says,
    limits: Limits = Limits(),  # noqa: B008 (frozen)
) -> list[Answer]:
    async def inside() -> list[Answer]:
        async with StubServer(stub) as server:
            settings = read_pool(pool_file(folder, server.base_url))
            async with LivePool(settings, members_for(checkpoint, settings)) as pool:
                ensemble = LiveEnsemble(checkpoint, pool.members)
                return [await ensemble.answer(query, limits=limits) for query in asked]

    return asyncio.run(inside())


@pytest.mark.parametrize(
    "name",
    [
        "plurality", "agreement", "rl-focal-prior",
        *(
            pytest.param(name, marks=pytest.mark.slow)
            for name in (
                "weighted-vote", "best-single", "best-single-per-task", "posterior-threshold",
                "knn-router", "evidence-cascade", "rl-focal",
            )
        ),
    ],
)  # fmt: skip
def test_ask_equals_evaluate(
    name: str, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    dataset = recorded(tmp_path_factory)
    checkpoint = load_checkpoint(trained(tmp_path_factory, name))
    table = checkpoint.table(dataset)
    table = table.take(table.split == "test")
    assert table.reads is not None
    outcome = replay(checkpoint.strategy, table)
    found = answers(tmp_path, checkpoint, questions(dataset))
    assert len(found) == 100
    for row, answer in enumerate(found):
        trace, chosen = answer.trace, outcome.chosen[row]
        who = {call.member for call in trace.calls}
        expected = {table.members[n] for n in np.flatnonzero(outcome.asked[row])}
        if chosen < 0:  # then one of those answers that were asked since others read them
            assert who >= expected, row
            continue
        assert who == expected, row
        assert answer.answer == table.candidates[row][chosen], row
        assert answer.confidence == pytest.approx(float(outcome.confidence[row]), abs=1e-5), row
        assert len(trace.rounds) == outcome.n_rounds[row], row
        assert trace.rounds[-1].spent == outcome.cost[row], row
        for number, part in enumerate(trace.rounds, start=1):
            for call in part.asked:
                n = table.members.index(call.member)
                assert outcome.asked_in is not None
                assert outcome.asked_in[row, n] == number, row
    assert np.nanmean(outcome.score) > 0.25
    assert outcome.n_rounds.max() > 1  # readers were asked
