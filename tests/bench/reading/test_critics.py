"""A generator, a critic without an answer and a refiner, through the benchmark and its report."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from rlfocal.bench import EvalProtocol, run_bench
from rlfocal.bench.summaries.reading import readings_of
from rlfocal.readers import ReaderInfo
from rlfocal.records import Dataset, DatasetInfo, build_table
from rlfocal.report import render


def chains(n_queries: int = 90, seed: int = 0) -> Dataset:
    """Two generators g and h; a critic of each, a refiner of each, and a verifier of g."""
    rng = np.random.default_rng(seed)
    queries = [
        {"query_id": f"q{q:03d}", "prompt": f"{q}?", "choices": [*"wxyz"], "label": "A"}
        for q in range(n_queries)
    ]
    rows: list[dict[str, Any]] = []
    for query in queries:

        def add(member: str, answer: str | None, query_id: str = query["query_id"], **more: Any):
            rows.append(
                {"query_id": query_id, "member": member, "answer": answer, "samples": [answer]}
                | {"text": f"I say {answer}", "cost_usd": 0.001}
                | more
            )

        for name, skill, mended in (("g", 0.7, 0.5), ("h", 0.5, 0.1)):
            answer = "A" if rng.random() < skill else "BCD"[int(rng.integers(3))]
            final = "A" if answer == "A" or rng.random() < mended else answer
            add(name, answer)
            add(f"{name}-critic", None, shown=[[name]])
            add(f"{name}-fixed", final, shown=[[f"{name}-critic"]])
            if name == "g":
                says = answer == "A" or rng.random() < 0.3
                verdict = [0 if says else -1]
                add("verifier", answer if says else None, shown=[["g"]], verdicts=verdict)
    readers = {
        f"{name}-{what}": info
        for name in "gh"
        for what, info in (
            ("critic", ReaderInfo(reads=[name], reading="criticise")),
            ("fixed", ReaderInfo(reads=[f"{name}-critic"], first=name, reading="refine")),
        )
    }
    readers["verifier"] = ReaderInfo(reads=["g"], reading="verify")
    return Dataset("chains", queries, rows, DatasetInfo(answers="choice", readers=readers))


def test_all_of_it_is_described() -> None:
    data = chains(400)
    table = build_table(data)
    found = readings_of(table, data)
    assert found is not None
    members = {one.member: one for one in found.members}
    assert members["g-critic"].accuracy is None
    assert found.importance is not None
    assert found.importance.accuracy["g-critic"] is None
    assert found.importance.agreement["g-critic"] is None
    assert found.importance.accuracy["g"] == pytest.approx(table.member_accuracy[_at(table, "g")])
    assert members["g-fixed"].stage == 2
    following = {one.reader: one for one in found.following}
    assert "g-critic" not in following  # it gives no answer
    verifier = following["verifier"]
    assert verifier.keeps.value == 1
    assert verifier.repeats_wrong is not None
    assert verifier.repeats_wrong.interval[0] < 0.3 < verifier.repeats_wrong.interval[1]
    assert found.judges == ()  # one reply alone is no choice
    roles = {one.member: one for one in found.roles}
    assert (roles["g"].role, roles["g-critic"].role) == ("generator", "critic")
    assert (roles["g-fixed"].role, roles["verifier"].role) == ("refiner", "critic")
    assert roles["g-critic"].value == pytest.approx(table.member_accuracy[_at(table, "g-fixed")])
    assert roles["g-critic"].value > roles["h-critic"].value + 0.1
    assert roles["g-critic"].where_right is None
    # The refiner of h keeps what is right, and mends one in ten; nobody else reads h.
    assert roles["h"].where_right == 1
    assert roles["h"].where_wrong == pytest.approx(0.1, abs=0.06)
    second = following["h-fixed"].second_thoughts
    assert second is not None
    assert second.spoilt.hits == 0
    assert second.mended.value == pytest.approx(roles["h"].where_wrong)


def test_all_of_it_is_compared_and_drawn() -> None:
    data = chains()
    table = build_table(data)
    names = ["plurality", "static-subset", "stacking", "agreement", "routed-vote", "topla"]
    result = run_bench(table, names, EvalProtocol(n_folds=2, n_resamples=100))
    rows = {row.strategy: row for row in result.rows}
    assert set(rows) >= {*names, "best-alone", "best-single", "oracle"}
    assert rows["best-alone"].mean_calls == 1
    page = render(result, table, dataset=data)
    assert "g-fixed (refine) reads g-critic, its own first reply (g)" in page


def _at(table, name: str) -> int:
    return table.members.index(name)
