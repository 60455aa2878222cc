from __future__ import annotations

import operator
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
import threadpoolctl

from rlfocal.errors import ConfigError, RlfocalError
from rlfocal.executor import Executor, ProcessExecutor, SerialExecutor


def _threads(shared: object, job: object) -> list[int]:
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


def test_a_worker_that_dies_is_reported_with_a_remedy() -> None:
    with pytest.raises(RlfocalError, match="use fewer jobs at once"):
        list(ProcessExecutor(1).map(operator.call, [9], shared=os._exit))


def test_fewer_than_one_worker_is_refused() -> None:
    with pytest.raises(ConfigError, match="at least 1, got 0"):
        ProcessExecutor(0)


@pytest.mark.usefixtures("interruptible")
@pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks for left processes in /proc")
def test_ctrl_c_ends_the_workers_quickly_and_quietly(tmp_path: Path) -> None:
    script = tmp_path / "long_jobs.py"
    script.write_text(
        textwrap.dedent("""
            import pathlib, os, time
            from rlfocal.executor import ProcessExecutor

            def wait(shared, job):
                (pathlib.Path(shared) / f"{os.getpid()}.pid").touch()
                time.sleep(60)

            if __name__ == "__main__":
                for _ in ProcessExecutor(2).map(wait, [1, 2, 3], shared=os.path.dirname(__file__)):
                    pass
        """)
    )
    process = subprocess.Popen(
        [sys.executable, str(script)], stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    limit = time.monotonic() + 240
    while len(workers := list(tmp_path.glob("*.pid"))) < 2:
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < limit
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to every process of the group
    _, errors = process.communicate(timeout=50)  # they would have waited for a minute
    assert process.returncode != 0
    assert errors.count("Traceback") == 1, errors
    assert errors.rstrip().endswith("KeyboardInterrupt")
    assert not [w for w in workers if Path("/proc", w.stem).exists()]
