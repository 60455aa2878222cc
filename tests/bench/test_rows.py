"""Rows of outcomes: made as results come, and read as matrices in parts."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from rlfocal.bench import EvalProtocol
from rlfocal.bench.entrants import Entrants
from rlfocal.bench.figures import scores as scores_module
from rlfocal.bench.figures.scores import scores
from rlfocal.bench.folds import partition
from rlfocal.bench.jobs import RESULTS, BenchInput, run_job, run_jobs
from rlfocal.bench.kept import Kept
from rlfocal.bench.rows import RowLayout
from rlfocal.records import PoolModel, build_table, simulate


@pytest.fixture(name="table")
def _table():
    model = PoolModel(accuracy=[[0.8, 0.6, 0.5], [0.3, 0.7, 0.6]], cost_usd=[0.01, 0.02, 0.03])
    return build_table(simulate(model, 60, rng=np.random.default_rng(3)))


def test_a_result_is_finished_before_the_next_job_begins(table, tmp_path):
    """So the outcomes of one job are in memory at a time, of kept ones too."""
    protocol, events = EvalProtocol(n_folds=2), []
    part, entrants = partition(table, protocol), Entrants.of(["plurality", "best-single"])
    layout = RowLayout(table, part.folds)
    kept = Kept(tmp_path, table, entrants, part.folds, about={}, classes=RESULTS)

    def work(shared, job):
        events.append(("begins", job))
        return run_job(shared, job)

    def finish(result):
        events.append(("finished", result.job))
        return layout.of(result)

    for _ in range(2):
        found, _ = run_jobs(
            work, BenchInput(table, part.folds, entrants), protocol, None, None, kept, finish=finish
        )
        assert layout.joined(found).num_rows == 2 * table.n_queries
    first = [(what, str(job)) for what, job in events[:8]]
    assert [what for what, _ in first] == ["begins", "finished"] * 4
    assert [job for _, job in first[::2]] == [job for _, job in first[1::2]]
    assert [what for what, _ in events[8:]] == ["finished"] * 4


def naive(per_query: pa.Table) -> dict[tuple[str, str, float | None], list[float]]:
    """Score and calls of each query at each point: means over what was measured."""
    found: dict[tuple[str, str, float | None], list[tuple[float, float]]] = {}
    for row in per_query.to_pylist():
        own = found.setdefault((row["query_id"], row["strategy"], row["dial"]), [])
        if row["score"] is not None:
            own.append((row["score"], row["n_calls"]))
    return {key: np.mean(own or [(0.0, 0.0)], axis=0).tolist() for key, own in found.items()}


@pytest.mark.parametrize("block", [1, 7, 1 << 16])
def test_matrices_agree_with_a_loop_however_rows_are_parted(table, block, monkeypatch):
    protocol = EvalProtocol(n_folds=3, n_seeds=2)
    part, entrants = (
        partition(table, protocol),
        Entrants.of(["agreement", "random", "best-single"]),
    )
    layout = RowLayout(table, part.folds)
    shared = BenchInput(table, part.folds, entrants)
    found, _ = run_jobs(run_job, shared, protocol, None, None, finish=layout.of)
    per_query = layout.joined(found)
    lost = np.random.default_rng(0).random(per_query.num_rows) < 0.4
    column = pa.array(np.where(lost, np.nan, per_query["score"].to_numpy()), from_pandas=True)
    index = per_query.schema.get_field_index("score")
    per_query = per_query.set_column(index, per_query.schema.field(index), column.cast("float32"))
    monkeypatch.setattr(scores_module, "_BLOCK", block)
    matrices, expected = scores(per_query), naive(per_query)
    queries = list(dict.fromkeys(per_query["query_id"].to_pylist()))
    assert len(expected) == len(queries) * len(matrices.points)
    for p, (strategy, dial) in enumerate(matrices.points):
        for q, query in enumerate(queries):
            score, n_calls = expected[query, strategy, dial]
            assert matrices.score[q, p] == pytest.approx(score)
            assert matrices.n_calls[q, p] == pytest.approx(n_calls)
    assert not matrices.measured.all()
