"""Data that are valid and unusual: what a benchmark says of them is true, and no traceback."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from rlfocal.bench import EvalProtocol, run_bench
from rlfocal.bench.budgets import USD_SHARES, equal_cost
from rlfocal.bench.figures.scores import scores
from rlfocal.bench.scenarios import run_scenarios
from rlfocal.errors import ConfigError, RecordError
from rlfocal.records import Dataset, PoolModel, ResponseTable, build_table, simulate

FAST = EvalProtocol(n_folds=2, n_resamples=100)


def table_of(n_queries: int = 60, **changes: Any) -> ResponseTable:
    model = PoolModel(accuracy=[[0.8, 0.6, 0.5], [0.3, 0.7, 0.6]], cost_usd=[0.01, 0.02, 0.03])
    table = build_table(simulate(model, n_queries, rng=np.random.default_rng(3)))
    return dataclasses.replace(table, **changes)


def scored(table: ResponseTable) -> ResponseTable:
    """Where each member says how much it thinks of each option: they are surer together."""
    rng = np.random.default_rng(0)
    said = rng.normal(0, 1, (table.n_queries, table.n_members, table.n_candidates))
    said += 1.2 * table.candidate_score[:, None, :]
    best = said.argmax(axis=2)
    return dataclasses.replace(
        table,
        option_scores=said.astype(np.float32),
        answer=best.astype(np.int16),
        support=np.eye(table.n_candidates, dtype=np.float32)[best],
    )


def test_where_options_have_scores_the_oracle_bounds_nothing() -> None:
    found = run_bench(scored(table_of(200)), ["mean-probability"], FAST)
    assert any("oracle, which picks among answers, is no bound" in note for note in found.notes)
    plain = run_bench(table_of(), ["plurality"], FAST)
    assert not any("is no bound" in note for note in plain.notes)
    assert plain.rows[0].oracle_gap_closed == 1


def test_dollar_budgets_are_those_multiples_where_responses_are_missing() -> None:
    table = table_of(200)
    hole = np.zeros(table.recorded.shape, dtype=bool)
    hole[:3, 0] = hole[5:8, 1] = True
    recorded = table.recorded & ~hole
    table = dataclasses.replace(
        table, recorded=recorded, cost=table.cost * recorded,
        answer=np.where(recorded, table.answer, np.int16(-1)),
        support=table.support * recorded[:, :, None],
    )  # fmt: skip
    found = scores(run_bench(table, ["agreement", "plurality"], FAST).per_query)
    cells = equal_cost(found, ["agreement"], [], priced=True, n_resamples=100)
    labels = [cell.label for cell in cells if cell.axis == "usd"]
    assert labels
    assert set(labels) <= {f"{share:g}" for share in USD_SHARES} | {"all"}


def test_a_fold_with_too_few_training_queries_is_named() -> None:
    split = np.array(["train"] + ["test"] * 59)
    found = run_bench(
        table_of(split=split), ["rl-focal-prior", "rl-focal", "plurality"],
        EvalProtocol(use_split=True, n_resamples=100),
    )  # fmt: skip
    assert found.not_applicable["rl-focal"].startswith("training queries of fold 0: fewer than 30")
    assert "plurality" in {row.strategy for row in found.rows}


def test_what_cannot_be_played_is_told_before_any_fit() -> None:
    table = table_of()
    one = dataclasses.replace(table, task=np.zeros_like(table.task), tasks=("all",))
    calls: list[object] = []
    with pytest.raises(ConfigError, match=r"no scenario can be played: task-shift: .* single task"):
        run_scenarios(one, ["task-shift"], FAST, on_progress=lambda *said: calls.append(said))
    assert calls == []
    with pytest.raises(ConfigError, match="nothing can be played: oracle: a point of comparison"):
        run_scenarios(table, ["steady"], FAST, strategies=["oracle"])


def test_a_stream_of_one_task_is_not_called_data_of_one_task() -> None:
    table = table_of()
    task = np.zeros_like(table.task)
    task[7] = 1
    rare = dataclasses.replace(table, task=task, tasks=("t", "rare"))
    with pytest.raises(ConfigError, match="on one fold at least the stream has a single task"):
        run_scenarios(rare, ["task-shift"], EvalProtocol(n_folds=5), every_fold=True)


@pytest.mark.parametrize(
    ("option", "value"), [("n_seeds", 99_999_999_999), ("n_resamples", 99_999_999_999)]
)
def test_absurd_numbers_are_refused(option: str, value: int) -> None:
    with pytest.raises(ConfigError, match="must be at most"):
        EvalProtocol(**{option: value})  # type: ignore[arg-type]


def dataset(**columns: list[Any]) -> Dataset:
    """Two members' answers to two queries, with other columns."""
    base = {
        "query_id": ["a", "a", "b", "b"], "member": ["x", "y"] * 2, "answer": ["1", "2"] * 2,
    }  # fmt: skip
    queries = pa.table({"query_id": ["a", "b"], "prompt": ["p", "q"], "label": ["1", "2"]})
    return Dataset("odd", queries, pa.table(base | columns))


def test_a_latency_of_nothing_is_named() -> None:
    table = build_table(dataset(latency_s=[1.0, 2.0, 0.0, 1.0]))
    with pytest.raises(RecordError, match="0 or not known of query 'b', member 'x'"):
        table.priced_in("second")


def test_a_price_too_small_to_hold_is_not_known() -> None:
    table = build_table(dataset(cost_usd=[1e-300, 1.0, 1.0, 1.0]))
    assert table.cost_unit == "usd"
    assert table.cost.min() > 0
    assert any("1 responses have no price" in note for note in table.notes)


@pytest.mark.parametrize("name", ["a\nb", "a\tb", "a\u2028b", "\x7f"])
def test_a_name_of_two_lines_is_refused(name: str) -> None:
    with pytest.raises(RecordError, match=r"line break or another control character: .*row 1"):
        dataset(member=[name, "y"] * 2)
    dataset(member=["a b, ü: [/red]", "y"] * 2)
