"""The same jobs on real clusters: three nodes of Ray, three workers of Dask."""

from __future__ import annotations

import json
import operator
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import far_jobs
import numpy as np
import pytest

import rlfocal
from rlfocal.bench import EvalProtocol, run_bench
from rlfocal.errors import ConfigError, RlfocalError
from rlfocal.executor import ProcessExecutor, executor_at
from rlfocal.records import build_table
from rlfocal.records.built_in import localpool, read_data

if TYPE_CHECKING:
    from conftest import Grid

pytestmark = pytest.mark.slow


class Alone:
    """A scheduler of Dask in a process of its own, and workers as they are started."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._processes = folder, list[subprocess.Popen[bytes]]()
        file = folder / "scheduler.json"
        self.scheduler = self._start("scheduler", "--port", "0", "--no-dashboard",
                                     "--scheduler-file", str(file))  # fmt: skip
        limit = time.monotonic() + 60
        while not file.exists() or not file.read_text().strip():
            assert time.monotonic() < limit
            time.sleep(0.1)
        self.address = json.loads(file.read_text())["address"]
        self.on = f"dask:{self.address}"

    def start_worker(self, *more: str) -> subprocess.Popen[bytes]:
        return self._start("worker", self.address, "--nthreads", "1", "--no-dashboard",
                           "--no-nanny", *more)  # fmt: skip

    def _start(self, kind: str, *words: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "distributed.cli.dask_" + kind, *words]
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
        process = subprocess.Popen(
            command, cwd=self._folder, env=environment,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        self._processes.append(process)
        return process

    def end(self) -> None:
        for process in self._processes[::-1]:
            process.kill()
            process.wait()


@pytest.fixture
def dask_alone(dask_extra: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Alone]:
    found = Alone(tmp_path_factory.mktemp("dask"))
    yield found
    found.end()


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


@pytest.mark.usefixtures("interruptible")
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


def test_a_training_comes_to_the_same_anywhere(grid: Grid) -> None:
    here = rlfocal.train("localpool", "best-of").strategy.state()
    there = rlfocal.train("localpool", "best-of", executor=executor_at(grid.on)).strategy.state()
    assert here.keys() == there.keys()
    for name, array in here.items():
        np.testing.assert_array_equal(array, there[name])


def test_workers_that_join_are_given_jobs(dask_alone: Alone) -> None:
    dask_alone.start_worker()
    seen = set()
    jobs = executor_at(dask_alone.on).map(far_jobs.slow, range(60), shared=0.3)
    for n, (_, who) in enumerate(jobs):
        seen.add(who)
        if n == 3:
            dask_alone.start_worker()
    assert len(seen) == 2


def test_a_scheduler_that_goes_ends_the_run_in_a_sentence(dask_alone: Alone) -> None:
    dask_alone.start_worker()
    jobs = executor_at(dask_alone.on).map(far_jobs.slow, range(60), shared=0.3)
    next(jobs)
    dask_alone.scheduler.kill()
    with pytest.raises(RlfocalError, match="the Dask scheduler has gone"):
        list(jobs)


def test_a_worker_without_rlfocal_is_refused_and_lives(dask_alone: Alone, tmp_path: Path) -> None:
    (tmp_path / "none.py").write_text("import sys\nsys.modules['rlfocal'] = None\n")
    worker = dask_alone.start_worker("--preload", str(tmp_path / "none.py"))
    with pytest.raises(ConfigError, match=r"has no rlfocal .*install it there"):
        list(executor_at(dask_alone.on).map(operator.add, [1], shared=1))
    assert worker.poll() is None


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ("dask:tcp://127.0.0.1:9", "nobody listens there"),
        ("dask:127.0.0.1:9", "nobody listens there"),
        ("dask:nowhere at all", "no scheduler there"),
        ("dask:http://127.0.0.1:9", "write tcp://HOST:PORT"),
        ("dask:tls://127.0.0.1:9", "configuration has no distributed.comm.tls.client.cert"),
        ("ray:127.0.0.1:9", "nobody listens there"),
        ("ray:ray://127.0.0.1:9", "Ray's client is not used"),
    ],
)
def test_a_place_where_nobody_answers_is_told(place: str, message: str) -> None:
    pytest.importorskip("ray" if place.startswith("ray") else "distributed")
    with pytest.raises(ConfigError, match=message):
        list(executor_at(place).map(operator.add, [1], shared=1))
