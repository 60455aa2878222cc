"""Results of jobs that are kept: read back equal, found by all that they depend on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from rlfocal.bench import EvalProtocol, run_bench
from rlfocal.bench.kept.codec import from_file, to_bytes
from rlfocal.bench.scenarios import StreamSettings, run_scenarios
from rlfocal.deliberation.registry import create
from rlfocal.errors import ConfigError, NotApplicable
from rlfocal.executor import SerialExecutor
from rlfocal.records import ResponseTable, build_table
from rlfocal.records.built_in import localpool


class Named(NamedTuple):
    a: Any
    b: Any


@dataclass
class Data:
    c: Any


CLASSES = {"Named": Named, "Data": Data}
ARRAYS = st.sampled_from(["float32", "float64", "int64", "int16", "bool", "uint8"]).flatmap(
    lambda dtype: arrays.arrays(dtype, arrays.array_shapes(min_dims=0, min_side=0, max_dims=3))
)
PLAIN = st.none() | st.booleans() | st.integers(-(2**40), 2**40) | st.floats() | st.text()
VALUES = st.recursive(
    PLAIN | ARRAYS,
    lambda inner: (
        st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(st.text(), inner, max_size=3)
        | st.builds(Named, inner, inner)
        | st.builds(Data, inner)
    ),
    max_leaves=8,
)


def same(one: Any, other: Any) -> bool:
    if type(one) is not type(other):
        return False
    if isinstance(one, np.ndarray):
        alike = (one.dtype, one.shape) == (other.dtype, other.shape)
        return alike and one.tobytes() == other.tobytes()
    if isinstance(one, float):
        return one == other or (one != one and other != other)
    if isinstance(one, Data):
        return same(one.c, other.c)
    if isinstance(one, dict):
        return list(one) == list(other) and all(same(one[key], other[key]) for key in one)
    if isinstance(one, tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)


@given(VALUES)
def test_what_is_read_back_is_what_was_kept(
    tmp_path_factory: pytest.TempPathFactory, value: Any
) -> None:
    path = tmp_path_factory.getbasetemp() / "kept"
    path.write_bytes(to_bytes(value, CLASSES))
    assert same(from_file(str(path), CLASSES), value)


def test_a_reason_is_kept_as_one(tmp_path: Path) -> None:
    path = tmp_path / "kept"
    path.write_bytes(to_bytes(NotApplicable("too few"), {}))
    found = from_file(str(path), {})
    assert isinstance(found, NotApplicable)
    assert str(found) == "too few"


def test_what_cannot_be_read_back_is_not_kept() -> None:
    with pytest.raises(TypeError, match="a Named cannot be kept"):
        to_bytes(object.__new__(type("Named", (), {})), CLASSES)


def test_no_other_class_is_made_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "kept"
    path.write_bytes(to_bytes(Data(1), CLASSES))
    with pytest.raises(ValueError, match="no result of a job"):
        from_file(str(path), {"Named": Named})


class Counting:
    """Runs jobs here and counts them; breaks off before one, as Ctrl-C would."""

    def __init__(self, most: int = 1000) -> None:
        self.n, self._most = 0, most

    def map(
        self, function: Callable[[Any, Any], Any], jobs: Sequence[Any], *, shared: Any
    ) -> Iterator[tuple[int, Any]]:
        for found in SerialExecutor().map(function, jobs, shared=shared):
            self.n += 1
            yield found
            if self.n >= self._most:
                raise KeyboardInterrupt


@pytest.fixture(scope="module")
def table() -> ResponseTable:
    return build_table(localpool())


NAMES = ["random", "plurality", "agreement"]
PROTOCOL = EvalProtocol(n_folds=2, n_seeds=2, n_resamples=100)


def test_a_run_that_was_broken_off_goes_on_where_it_stopped(
    table: ResponseTable, tmp_path: Path
) -> None:
    whole = run_bench(table, NAMES, PROTOCOL)
    with pytest.raises(KeyboardInterrupt):
        run_bench(table, NAMES, PROTOCOL, executor=Counting(4), keep=tmp_path)
    rest, progress = Counting(), list[int]()
    again = run_bench(
        table, NAMES, PROTOCOL, executor=rest, keep=tmp_path,
        on_progress=lambda done, total, _: progress.append(done),
    )  # fmt: skip
    assert again.per_query.equals(whole.per_query)
    assert progress[0] == 4
    assert progress[-1] == 4 + rest.n


def test_a_folder_serves_other_runs_with_what_they_have_in_common(
    table: ResponseTable, tmp_path: Path
) -> None:
    first, second, third = Counting(), Counting(), Counting()
    run_bench(table, ["plurality"], PROTOCOL, executor=first, keep=tmp_path)
    run_bench(table, NAMES, PROTOCOL, executor=second, keep=tmp_path)
    assert second.n == 2 * (2 + 1)  # two folds; two seeds of random, one of agreement
    run_bench(table, NAMES, PROTOCOL, executor=third, keep=tmp_path)
    assert third.n == 0


@pytest.mark.parametrize(
    "what", ["folds", "members", "settings", "price", "cost unit", "tasks", "kind of run"]
)
def test_what_depends_on_something_else_is_run(
    table: ResponseTable, tmp_path: Path, what: str
) -> None:
    strategy: Any = create("weighted-vote-per-task")
    protocol, run = PROTOCOL, Counting()
    if what == "price":
        strategy = create("agreement")
    run_bench(table, [strategy], protocol, keep=tmp_path)
    n_before = len(list(tmp_path.iterdir()))
    if what == "folds":
        protocol = EvalProtocol(n_folds=3, n_seeds=2, n_resamples=100)
    elif what == "members":
        table = build_table(localpool(), members=table.members[:4])
    elif what == "settings":
        strategy = type(strategy)(pseudo_counts=3.5)
    elif what == "price":
        strategy.price = 0.2  # as `at` leaves it: no setting of its spec
    elif what == "cost unit":
        table = replace(table, cost_unit="usd")
    elif what == "tasks":
        protocol = EvalProtocol(n_folds=2, n_seeds=2, n_resamples=100, tasks="both")
    if what == "kind of run":
        run_scenarios(
            table, ["degrading"], protocol, strategies=[strategy], executor=run, keep=tmp_path,
            settings=StreamSettings(),
        )  # fmt: skip
    else:
        run_bench(table, [strategy], protocol, executor=run, keep=tmp_path)
    assert run.n > 0
    assert len(list(tmp_path.iterdir())) == n_before + run.n


def test_scenarios_go_on_too(table: ResponseTable, tmp_path: Path) -> None:
    names = ["best-single", "plurality"]

    def run(executor: Counting) -> Any:
        return run_scenarios(
            table, ["degrading"], PROTOCOL, strategies=names, executor=executor, keep=tmp_path
        )

    with pytest.raises(KeyboardInterrupt):
        run(Counting(1))
    rest = Counting()
    found = run(rest)
    assert rest.n == 1
    whole = run_scenarios(table, ["degrading"], PROTOCOL, strategies=names)
    assert found.rows == whole.rows


def test_a_damaged_file_is_written_anew(table: ResponseTable, tmp_path: Path) -> None:
    run_bench(table, ["plurality"], PROTOCOL, keep=tmp_path)
    damaged = next(tmp_path.glob("plurality-*"))
    whole = damaged.read_bytes()
    damaged.write_bytes(whole[: len(whole) // 2])
    run = Counting()
    run_bench(table, ["plurality"], PROTOCOL, executor=run, keep=tmp_path)
    assert run.n == 1
    assert len(damaged.read_bytes()) > 0.9 * len(whole)


def test_a_folder_that_is_a_file_is_refused_before_any_job(
    table: ResponseTable, tmp_path: Path
) -> None:
    path = tmp_path / "file"
    path.touch()
    run = Counting()
    with pytest.raises(ConfigError, match="file"):
        run_bench(table, ["plurality"], PROTOCOL, executor=run, keep=path)
    assert run.n == 0


class Setting:
    """Made once for all, and not the same as another."""


class Odd(type(create("plurality"))):  # type: ignore[misc]
    """A vote with a name that no file can have, and attributes of many kinds."""

    name = "../my/" + "vote" * 100

    def __init__(self, what: Any = None) -> None:
        super().__init__()
        self.what = what


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (Path("a"), Path("b")),
        ({1, 2}, {1, 3}),
        (np.arange(3), np.arange(3.0)),
        ({"a": (1, 2)}, {"a": [1, 3]}),
        (create("agreement"), create("plurality")),
    ],
    ids=["path", "set", "array", "mapping", "strategy"],
)
def test_a_strategy_of_your_own_is_known_by_what_it_holds(
    table: ResponseTable, tmp_path: Path, one: Any, other: Any
) -> None:
    counts = []
    for what in (one, one, other):
        run = Counting()
        run_bench(table, [Odd(what)], PROTOCOL, executor=run, keep=tmp_path / "kept")
        counts.append(run.n)
    assert counts[0] > counts[2] > counts[1] == 0
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]


def test_one_that_holds_what_nobody_can_compare_is_run_each_time(
    table: ResponseTable, tmp_path: Path
) -> None:
    for _ in range(2):
        run = Counting()
        run_bench(table, [Odd(Setting())], PROTOCOL, executor=run, keep=tmp_path)
        assert run.n > 0


def test_workers_end_though_the_error_is_held(table: ResponseTable) -> None:
    ended = []

    class Watched(Counting):
        def map(self, *args: Any, **kwargs: Any) -> Iterator[tuple[int, Any]]:
            try:
                yield from super().map(*args, **kwargs)
            finally:
                ended.append(True)

    def refuse(done: int, total: int, _: str) -> None:
        if done:
            raise OSError("full")

    with pytest.raises(OSError, match="full") as held:
        run_bench(table, ["plurality"], PROTOCOL, executor=Watched(), on_progress=refuse)
    assert held.value is not None
    assert ended == [True]
