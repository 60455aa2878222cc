from __future__ import annotations

import multiprocessing
import operator
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import bad_jobs
import far_jobs
import numpy as np
import pytest
import threadpoolctl

from rlfocal.errors import ConfigError, RlfocalError
from rlfocal.executor import Executor, ProcessExecutor, SerialExecutor


def _threads(shared: object, job: object) -> list[int]:
    assert np.ones(2).sum() == 2  # loaded, and with it a pool of threads
    return [pool["num_threads"] for pool in threadpoolctl.threadpool_info()]


def test_serial_runs_jobs_in_order_on_one_thread() -> None:
    assert list(SerialExecutor().map(operator.add, [10, 20, 30], shared=1)) == [
        (0, 11),
        (1, 21),
        (2, 31),
    ]
    ((_, threads),) = SerialExecutor().map(_threads, [0], shared=0)
    assert threads
    assert set(threads) == {1}


def test_processes_return_every_job_with_its_index() -> None:
    found = dict(ProcessExecutor(2).map(operator.add, list(range(20)), shared=100))
    assert found == {i: 100 + i for i in range(20)}


def test_workers_are_born_with_one_thread_and_leave_this_process_as_it_was(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.delenv("MKL_NUM_THREADS", raising=False)
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, [])
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        assert list(ProcessExecutor(1).map(os.getenv, ["unset"], shared=name)) == [(0, "1")]
    assert os.environ["OMP_NUM_THREADS"] == "7"
    assert "MKL_NUM_THREADS" not in os.environ
    assert signal.pthread_sigmask(signal.SIG_BLOCK, []) == mask


@pytest.mark.parametrize("executor", [SerialExecutor(), ProcessExecutor(2)])
def test_an_exception_keeps_its_type_and_names_its_job(executor: Executor) -> None:
    with pytest.raises(ZeroDivisionError) as caught:
        list(executor.map(operator.floordiv, [5, 0, 2], shared=1))
    assert caught.value.__notes__ == ["in job: 0"]


def test_no_jobs_need_no_worker() -> None:
    assert list(ProcessExecutor(2).map(operator.add, [], shared=1)) == []


@pytest.mark.parametrize(
    ("death", "message"),
    [(os._exit, "with status 9; what it printed"), (signal.raise_signal, "use fewer jobs at once")],
)
def test_a_worker_that_dies_is_reported_with_a_remedy(death: Any, message: str) -> None:
    with pytest.raises(RlfocalError, match=message) as caught:
        list(ProcessExecutor(2).map(operator.call, [9, 9], shared=death))
    assert caught.value.__notes__ == ["in job: 9"]


def test_a_worker_that_dies_while_it_writes_is_reported() -> None:
    before = signal.signal(signal.SIGUSR1, lambda *_: time.sleep(1))
    try:
        with pytest.raises(RlfocalError, match="ended unexpectedly"):
            list(ProcessExecutor(1).map(bad_jobs.dies_while_it_writes, [1], shared=0))
    finally:
        signal.signal(signal.SIGUSR1, before)


@pytest.mark.parametrize(
    ("what", "message"), [("error", "Unsendable: one and two"), ("result", "pickle")]
)
def test_what_a_worker_cannot_send_is_said(what: str, message: str) -> None:
    with pytest.raises(Exception, match=message) as caught:
        list(ProcessExecutor(1).map(bad_jobs.cannot_be_sent, [1], shared=what))
    assert "in outcome" in str(caught.value.__cause__)


def test_fewer_than_one_worker_is_refused() -> None:
    with pytest.raises(ConfigError, match="at least 1, got 0"):
        ProcessExecutor(0)


def test_a_job_whose_worker_was_killed_is_run_again_with_fewer_workers(tmp_path: Path) -> None:
    found = dict(ProcessExecutor(2).map(far_jobs.dies_once, [0, 1, 2, 3], shared=str(tmp_path)))
    assert found == {0: 0, 1: 10, 2: 20, 3: 30}


STILLBORN = """
import operator, os
from rlfocal.executor import ProcessExecutor

if __name__ == "__mp_main__":
    os._exit(9)
if __name__ == "__main__":
    list(ProcessExecutor(2).map(operator.add, [1, 2], shared=b"x" * 2_000_000))
"""


def test_a_worker_that_dies_before_it_has_read_its_input_is_reported(tmp_path: Path) -> None:
    """A pipe that it would have read from must not keep this process for ever."""
    script = tmp_path / "stillborn.py"
    script.write_text(STILLBORN)
    done = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 1
    assert "a worker process ended unexpectedly" in done.stderr


def test_a_class_that_a_worker_cannot_import_is_named() -> None:
    program = """
import operator
from rlfocal.executor import ProcessExecutor
class Own: pass
list(ProcessExecutor(1).map(operator.add, [1], shared=Own()))
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 1
    assert "cannot be read in another process: Can't get attribute 'Own'" in done.stderr


def _begun(shared: Path, job: object) -> None:
    shared.touch()


@pytest.mark.parametrize("where", ["shared", "jobs", "function"])
def test_what_cannot_be_sent_is_refused_in_a_sentence_before_any_job_runs(
    where: str, tmp_path: Path
) -> None:
    class Own:
        pass

    shared: Any = Own() if where == "shared" else tmp_path / "begun"
    jobs = [1, Own()] if where == "jobs" else [1, 2]
    function = (lambda *_: None) if where == "function" else _begun
    with pytest.raises(ConfigError, match=r"cannot be sent to another process.*top of a module"):
        list(ProcessExecutor(2).map(function, jobs, shared=shared))
    assert not list(tmp_path.iterdir())


PROGRAM = """
import pathlib, os, sys, time
from rlfocal.executor import ProcessExecutor

def wait(shared, job):
    (pathlib.Path(shared) / f"{os.getpid()}.pid").touch()
    if job == 3:
        while True:  # never lets a handler of Python wait
            pass
    time.sleep(60)

if __name__ == "__main__":
    jobs = [int(job) for job in sys.argv[1:]]
    for _ in ProcessExecutor(2).map(wait, jobs, shared=os.path.dirname(__file__)):
        pass
"""
"""Two workers that would be at it for a minute."""


@pytest.fixture
def begun(tmp_path: Path) -> Iterator[Callable[..., tuple[subprocess.Popen[str], list[int]]]]:
    """Starts the program; returns it, and its workers when they are at work."""
    script = tmp_path / "long_jobs.py"
    script.write_text(PROGRAM)
    started: list[subprocess.Popen[str]] = []

    def begin(*jobs: int) -> tuple[subprocess.Popen[str], list[int]]:
        process = subprocess.Popen(
            [sys.executable, str(script), *map(str, jobs)],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
        )  # fmt: skip
        started.append(process)
        limit = time.monotonic() + 240
        while len(workers := list(tmp_path.glob("*.pid"))) < 2:
            assert process.poll() is None, process.communicate()[1]
            assert time.monotonic() < limit
            time.sleep(0.05)
        return process, [int(worker.stem) for worker in workers]

    yield begin
    for process in started:
        with suppress(ProcessLookupError):  # as it should be
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def alive(workers: Sequence[int]) -> list[int]:
    """Those that still run; a dead one that nobody has asked for its status does not."""
    states = {}
    for worker in workers:
        with suppress(OSError):
            states[worker] = Path(f"/proc/{worker}/stat").read_text().rpartition(")")[2].split()[0]
    return [worker for worker, state in states.items() if state != "Z"]


def gone(workers: Sequence[int]) -> bool:
    """Whether all of them leave, long before their jobs are done."""
    limit = time.monotonic() + 40
    while alive(workers) and time.monotonic() < limit:
        time.sleep(0.05)
    return not alive(workers)


in_proc = pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks for processes in /proc")


@pytest.mark.usefixtures("interruptible")
@in_proc
def test_ctrl_c_ends_the_workers_quickly_and_quietly(begun: Any) -> None:
    process, workers = begun(1, 2, 4)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to every process of the group
    _, errors = process.communicate(timeout=50)  # they would have waited for a minute
    assert process.returncode != 0
    assert errors.count("Traceback") == 1, errors
    assert errors.rstrip().endswith("KeyboardInterrupt")
    assert not alive(workers)


@pytest.mark.slow
@in_proc
@pytest.mark.parametrize("everybody", [False, True], ids=["the parent alone", "the whole group"])
def test_told_to_end_it_ends_its_workers_first(begun: Any, everybody: bool) -> None:
    process, workers = begun(1, 2, 4)
    if everybody:
        os.killpg(process.pid, signal.SIGTERM)
    else:
        process.terminate()
    _, errors = process.communicate(timeout=50)
    assert process.returncode == -signal.SIGTERM
    assert errors == ""
    assert gone(workers)


@pytest.mark.slow
@in_proc
def test_killed_it_leaves_nobody_behind_and_its_output_ends(begun: Any) -> None:
    """Not even a worker that never gets to a handler."""
    process, workers = begun(1, 3, 4)
    process.kill()
    process.communicate(timeout=50)  # returns when nobody can write to its pipes any more
    assert gone(workers)


def test_one_that_is_left_in_the_middle_ends_its_workers() -> None:
    results: Any = ProcessExecutor(2).map(operator.add, [1, 2, 3, 4], shared=1)
    next(results)
    workers = [worker.pid or 0 for worker in multiprocessing.active_children()]
    assert workers
    results.close()
    assert not alive(workers)


def test_a_script_without_its_guard_is_told_so_once(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "import operator\nfrom rlfocal.executor import ProcessExecutor\n"
        "print(list(ProcessExecutor(2).map(operator.add, [1, 2], shared=1)))\n"
    )
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=120)
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert "a worker process could not start" in last
    assert "if __name__ == " in last
    # Each of the two workers says it as well, and none is started again.
    assert done.stderr.count("ConfigError: A script that uses processes") <= 2
