"""The loop that hands out jobs, with workers who do what a script says."""

from __future__ import annotations

import logging
from collections import Counter, deque
from collections.abc import Iterator, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlfocal.errors import ConfigError, RlfocalError
from rlfocal.executor import crews
from rlfocal.executor.crews import Death, hand_out
from rlfocal.executor.makes import make
from rlfocal.executor.messages import outcome, packed


def _double(shared: int, job: int) -> int:
    return shared * job


def _ready(of: dict[str, str] | None = None) -> bytes:
    return bytes(packed((make() if of is None else of, None, "")))


class Scripted:
    """Workers are numbers; each death in the script meets the next job that is sent, or greeting.

    Args:
        n_workers: they greet at once.
        fates: for each message that is due, in order, whether its worker dies instead.
        innocent: whether the deaths are nobody's fault.
    """

    where = "a scripted worker"

    def __init__(self, n_workers: int, fates: Sequence[bool], *, innocent: bool = False) -> None:
        self.n_born = 0
        self.sent: Counter[int] = Counter()
        self._due: deque[tuple[int, bytes]] = deque()
        self._fates, self._innocent = deque(fates), innocent
        for _ in range(n_workers):
            self._bear()

    def _bear(self) -> None:
        self._due.append((self.n_born, _ready()))
        self.n_born += 1

    def send(self, worker: int, job: memoryview) -> None:
        self.sent[worker] += 1
        self._due.append((worker, bytes(outcome(_double, 2, bytes(job)))))

    def received(self) -> Iterator[tuple[int, bytes | Death]]:
        worker, message = self._due.popleft()
        if self._fates and self._fates.popleft():
            self._bear()
            yield worker, Death("it died", guilty=not self._innocent)
        else:
            yield worker, message


def _all(crew: Scripted, n_jobs: int) -> list[tuple[int, int]]:
    jobs = list(range(n_jobs))
    return list(hand_out(crew, jobs, [packed(job) for job in jobs]))


@given(
    st.integers(1, 4),
    st.integers(1, 8),
    st.lists(st.booleans(), max_size=30),
)
def test_whoever_dies_every_job_comes_once_or_it_is_said_that_too_many_died(
    n_workers: int, n_jobs: int, fates: list[bool]
) -> None:
    found, told = None, ""
    try:
        found = sorted(_all(Scripted(n_workers, fates), n_jobs))
    except RlfocalError as exc:
        told = str(exc)
    if found is None:
        assert told == "it died (tried 3 times)"
        assert sum(fates) >= crews.MOST_DEATHS
    else:
        assert found == [(job, 2 * job) for job in range(n_jobs)]


def test_a_job_that_kills_its_workers_is_named() -> None:
    with pytest.raises(RlfocalError, match="tried 3 times") as caught:
        _all(Scripted(1, [False, True, False, True, False, True]), 1)
    assert caught.value.__notes__ == ["in job: 0"]


def test_workers_that_never_get_ready_are_given_up() -> None:
    with pytest.raises(RlfocalError, match=r"it died \(tried 3 times\)"):
        _all(Scripted(1, [True, True, True]), 1)


def test_deaths_that_are_nobody_s_fault_do_not_count() -> None:
    crew = Scripted(1, [False, True] * 10, innocent=True)
    assert _all(crew, 1) == [(0, 0)]
    assert crew.n_born == 11


def test_a_worker_that_dies_idle_costs_nothing() -> None:
    """It greets, no job is left for it, and it dies while another is at work."""

    class Idle(Scripted):
        def received(self) -> Iterator[tuple[int, bytes | Death]]:
            if self.n_born == 2 and self.sent and not self._told:
                self._told = True
                yield 1, Death("it died")
            else:
                yield from super().received()

        _told = False

    assert _all(Idle(2, []), 1) == [(0, 0)]


def test_work_is_shared() -> None:
    crew = Scripted(3, [])
    assert len(_all(crew, 9)) == 9
    assert crew.sent == {0: 3, 1: 3, 2: 3}


@pytest.mark.parametrize("name", ["rlfocal", "numpy", "Python"])
def test_a_worker_of_another_make_is_refused_with_what_differs(name: str) -> None:
    class Older(Scripted):
        def _bear(self) -> None:
            self._due.append((0, _ready(make() | {name: "0.1"})))

    with pytest.raises(ConfigError, match=rf"a scripted worker has {name} 0\.1 \(here .*install"):
        _all(Older(1, []), 1)


def test_that_nobody_is_there_is_said_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    class Late(Scripted):
        n_looks = 0

        def received(self) -> Iterator[tuple[int, bytes | Death]]:
            self.n_looks += 1
            if self.n_looks > 5:
                yield from super().received()

    monkeypatch.setattr(crews, "PATIENCE_S", 0.0)
    with caplog.at_level(logging.WARNING):
        assert _all(Late(1, []), 1) == [(0, 0)]
    assert [record.getMessage() for record in caplog.records] == [
        "no worker is free for 0 s (a scripted worker); waiting"
    ]
