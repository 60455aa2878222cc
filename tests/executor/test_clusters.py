"""The same jobs on real clusters: three nodes of Ray, three workers of Dask."""

from __future__ import annotations

import operator
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import far_jobs
import pytest

from rlfocal.bench import EvalProtocol, run_bench
from rlfocal.errors import ConfigError, RlfocalError
from rlfocal.executor import ProcessExecutor, executor_at
from rlfocal.records import build_table
from rlfocal.records.built_in import localpool, read_data

if TYPE_CHECKING:
    from conftest import Grid

pytestmark = pytest.mark.slow


@pytest.fixture(params=["ray", "dask"])
def grid(request: pytest.FixtureRequest) -> Grid:
    found: Grid = request.getfixturevalue(f"{request.param}_cluster")
    return found


def test_every_job_gives_its_result(grid: Grid) -> None:
    found = dict(executor_at(grid.on).map(operator.add, list(range(20)), shared=100))
    assert found == {i: 100 + i for i in range(20)}
    assert list(executor_at(grid.on).map(operator.add, [], shared=1)) == []


def test_signals_are_handled_as_before(grid: Grid) -> None:
    before = signal.getsignal(signal.SIGTERM)
    assert len(list(executor_at(grid.on).map(operator.add, [1], shared=1))) == 1
    assert signal.getsignal(signal.SIGTERM) is before


def test_an_exception_keeps_its_type_and_names_its_job(grid: Grid) -> None:
    with pytest.raises(ZeroDivisionError) as caught:
        list(executor_at(grid.on).map(operator.floordiv, [5, 0, 2], shared=1))
    assert caught.value.__notes__ == ["in job: 0"]


def test_a_job_whose_worker_dies_is_run_again(grid: Grid, tmp_path: Path) -> None:
    found = dict(executor_at(grid.on).map(far_jobs.dies_once, range(6), shared=str(tmp_path)))
    assert found == {job: 10 * job for job in range(6)}


def test_a_job_that_kills_every_worker_is_named(grid: Grid) -> None:
    with pytest.raises(RlfocalError, match="tried 3 times") as caught:
        list(executor_at(grid.on).map(far_jobs.dies, range(6), shared=3))
    assert caught.value.__notes__ == ["in job: 3"]


def test_left_in_the_middle_it_leaves_nobody_at_work(grid: Grid, tmp_path: Path) -> None:
    results = executor_at(grid.on).map(far_jobs.long, [0, 1, 1, 1, 1], shared=str(tmp_path))
    assert next(results) == (0, 0)
    limit = time.monotonic() + 60
    while not list(tmp_path.glob("*.begun")):
        assert time.monotonic() < limit
        time.sleep(0.1)
    results.close()  # type: ignore[attr-defined]
    time.sleep(12)  # each would have been done after ten seconds
    assert not list(tmp_path.glob("*.ended"))


PROGRAM = """
import sys
import far_jobs
from rlfocal.executor import executor_at

if __name__ == "__main__":
    list(executor_at(sys.argv[1]).map(far_jobs.long, [1, 1, 1], shared=sys.argv[2]))
"""


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_however_it_ends_it_leaves_nobody_at_work(
    grid: Grid, tmp_path: Path, how: signal.Signals
) -> None:
    script = tmp_path / "program.py"
    script.write_text(PROGRAM)
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    process = subprocess.Popen(
        [sys.executable, str(script), grid.on, str(tmp_path)], env=environment,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    limit = time.monotonic() + 90
    while not list(tmp_path.glob("*.begun")):
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < limit
        time.sleep(0.1)
    process.send_signal(how)
    process.communicate(timeout=60)
    assert process.returncode != 0
    if how is signal.SIGINT or grid.on.startswith("ray"):  # a worker of Dask ends what it is at
        time.sleep(12)
        assert not list(tmp_path.glob("*.ended"))


@pytest.mark.parametrize("pool", ["localpool", "small8"])
def test_a_benchmark_gives_the_same_rows_though_a_worker_is_lost(
    grid: Grid, pool: str, request: pytest.FixtureRequest
) -> None:
    if pool == "localpool":
        table = build_table(localpool())
    else:
        data = read_data(request.getfixturevalue("shared_data") / "mmlu_pro")
        table = build_table(data, members=data.select_members(pool, None))
    names = ["best-single", "plurality", "weighted-vote", "stacking", "knn-router", "agreement"]
    protocol = EvalProtocol(n_folds=3)
    here = run_bench(table, names, protocol, executor=ProcessExecutor(2))
    lost: list[int] = []

    def lose(done: int, total: int, _: str) -> None:
        if done >= total // 3 and not lost:
            lost.append(done)
            grid.lose_one()

    there = run_bench(table, names, protocol, executor=executor_at(grid.on), on_progress=lose)
    assert lost
    assert there.per_query.equals(here.per_query)


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ("dask:tcp://127.0.0.1:9", "no scheduler there"),
        ("dask:nowhere at all", "no scheduler there"),
        ("ray:127.0.0.1:9", "no cluster there"),
    ],
)
def test_a_place_where_nobody_answers_is_told(place: str, message: str) -> None:
    pytest.importorskip("ray" if place.startswith("ray") else "distributed")
    with pytest.raises(ConfigError, match=message):
        list(executor_at(place).map(operator.add, [1], shared=1))
