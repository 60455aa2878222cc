"""Any strategy is trained to disk by one function; what trains long can be stopped and go on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from rlfocal.checkpoint import load_checkpoint, training
from rlfocal.checkpoint.training import train
from rlfocal.deliberation import registry
from rlfocal.deliberation.base import OneRound
from rlfocal.deliberation.progress import Progress
from rlfocal.deliberation.protocol import RunState, Spec, State
from rlfocal.deliberation.view import View
from rlfocal.errors import CheckpointError, ConfigError, NotApplicable, RlfocalError
from rlfocal.records import (
    BoolArray,
    Calibration,
    FloatArray,
    PoolModel,
    ResponseTable,
    build_table,
    calibrate,
    simulate,
)

STEPS = 25


class Best(OneRound):
    """Asks the member that was right most often on noisy looks at the labels; nothing resumable."""

    name = "best-of-looks"

    def __init__(self, looks: int = STEPS) -> None:
        self.looks = looks

    def fit(self, table: ResponseTable, *, rng: np.random.Generator) -> Best:
        self.right_ = np.zeros(table.n_members)
        for step in range(self.looks):
            self.look(table, rng, step)
        self.n_tasks_ = len(table.tasks)
        return self

    def look(self, table: ResponseTable, rng: np.random.Generator, step: int) -> None:
        self.right_ = self.right_ + table.member_score[rng.integers(table.n_queries)]
        if self.on_progress is not None:
            self.on_progress(Progress("looking", step + 1, self.looks))

    def first(self, view: View) -> BoolArray:
        return np.broadcast_to(
            np.arange(view.asked.shape[1]) == self.right_.argmax(), view.asked.shape
        )

    def fuse(self, view: View) -> FloatArray:
        return view.support.max(axis=1)


class Patient(Best):
    """The same, resumable."""

    name = "patient-looks"

    def training_table(self, table: ResponseTable) -> ResponseTable:
        return table

    def begin(
        self,
        table: ResponseTable,
        *,
        seed: int,
        state: RunState | None = None,
        on_progress: Callable[[Progress], None] | None = None,
    ) -> PatientRun:
        return PatientRun(self, table, seed, state)


class PatientRun:
    def __init__(
        self, strategy: Patient, table: ResponseTable, seed: int, state: RunState | None
    ) -> None:
        self.own, self.table, self.seed, self.step = strategy, table, seed, 0
        strategy.right_ = np.zeros(table.n_members)
        if state is not None:
            strategy.right_, self.step = state.arrays["right"], state.rest["step"]

    @property
    def done(self) -> bool:
        return self.step >= self.own.looks

    def advance(self, n_steps: int) -> None:
        for _ in range(min(n_steps, self.own.looks - self.step)):
            self.own.look(self.table, np.random.default_rng([self.seed, self.step]), self.step)
            self.step += 1

    def state(self) -> RunState:
        return RunState({"right": self.own.right_}, {"step": self.step})

    def strategy(self) -> Patient:
        return self.own


class Shy(Best):
    """Wants no labelled query at all."""

    name = "shy"

    def training_table(self, table: ResponseTable) -> ResponseTable:
        return table.take(np.zeros(0, dtype=np.int64))

    def fit(self, table: ResponseTable, *, rng: np.random.Generator) -> Shy:
        self.right_ = np.full(table.n_members, float(table.n_queries))
        return self

    @property
    def ranking(self) -> NDArray[np.int64]:
        return np.arange(len(self.right_))


@pytest.fixture(autouse=True)
def known(monkeypatch: pytest.MonkeyPatch) -> None:
    for kind in (Best, Patient, Shy):
        monkeypatch.setitem(registry.BUILT_IN, kind.name, f"{__name__}:{kind.__name__}")


@pytest.fixture(scope="module")
def table() -> ResponseTable:
    rng = np.random.default_rng(0)
    model = PoolModel(accuracy=[[0.8, 0.6, 0.5], [0.5, 0.7, 0.6]], correlation=0.2)
    made = build_table(simulate(model, 160, rng=rng, name="pool"))
    scores = 3 * made.support + rng.normal(size=made.support.shape)
    return replace(made, option_scores=scores.astype(np.float32))


def state_of(folder: Path) -> State:
    return load_checkpoint(folder).strategy.state()


def same(one: Mapping[str, Any], two: Mapping[str, Any]) -> bool:
    return one.keys() == two.keys() and all(np.array_equal(one[name], two[name]) for name in one)


def test_any_strategy_is_fitted_on_calibrated_queries_and_an_unknown_task(
    tmp_path: Path, table: ResponseTable
) -> None:
    said: list[Progress] = []
    path = train(tmp_path, Spec(Best.name, {"looks": 4}), table, seed=3, on_progress=said.append)
    assert path == tmp_path / "checkpoint.json"
    assert [message.step for message in said] == [1, 2, 3, 4]
    calibration, calibrated = calibrate(table)
    expected = Best(4).fit(calibrated.with_tasks(calibrated.tasks), rng=np.random.default_rng(3))
    loaded = load_checkpoint(tmp_path)
    assert same(loaded.strategy.state(), expected.state())
    assert loaded.strategy.state()["n_tasks"] == len(table.tasks) + 1
    assert np.array_equal(loaded.calibration.beta, calibration.beta)
    assert loaded.description.tasks == list(table.tasks)
    assert loaded.description.seed == 3
    assert loaded.description.finished


def test_without_labels_nothing_is_calibrated_on_them_either(
    tmp_path: Path, table: ResponseTable
) -> None:
    train(tmp_path, Spec(Shy.name, {}), table)
    loaded = load_checkpoint(tmp_path)
    nothing = Calibration.fit(table.take(np.zeros(0, dtype=np.int64)))
    assert np.array_equal(loaded.calibration.beta, nothing.beta)
    assert loaded.description.n_training_queries == 0
    assert not loaded.was_trained_on(table).any()


def test_an_unknown_setting_is_refused_before_anything_is_written(
    tmp_path: Path, table: ResponseTable
) -> None:
    with pytest.raises(ConfigError, match="unknown setting 'look'"):
        train(tmp_path / "new", Spec(Best.name, {"look": 4}), table)
    assert not (tmp_path / "new").exists()


def interrupt_at(step: int) -> Callable[[Progress], None]:
    def tell(message: Progress) -> None:
        if message.step == step:
            raise KeyboardInterrupt

    return tell


def test_interrupted_in_one_go_it_leaves_nothing(tmp_path: Path, table: ResponseTable) -> None:
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path, Spec(Best.name, {}), table, on_progress=interrupt_at(12))
    assert not list(tmp_path.iterdir())


def test_an_interrupted_run_is_kept_and_goes_on_to_the_same_end(
    tmp_path: Path, table: ResponseTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, part, spec = tmp_path / "whole", tmp_path / "part", Spec(Patient.name, {})
    train(whole, spec, table, seed=3)
    look, made = Best.look, 0

    def interrupted(self: Best, *args: Any) -> None:
        nonlocal made
        made += 1
        if made == 13:
            raise KeyboardInterrupt
        look(self, *args)

    with monkeypatch.context() as patch:
        patch.setattr(Best, "look", interrupted)
        with pytest.raises(KeyboardInterrupt):
            train(part, spec, table, seed=3)
    kept = load_checkpoint(part)
    assert not kept.description.finished
    assert (part / "training.safetensors").exists()
    assert not same(kept.strategy.state(), state_of(whole))
    others = [
        (spec, table, 4),
        (Spec(Patient.name, {"looks": 9}), table, 3),
        (spec, replace(table, cost=table.cost + 1), 3),
        (spec, table.take(np.arange(1, table.n_queries)), 3),  # another part held out
    ]
    for other, data, seed in others:
        with pytest.raises(CheckpointError, match="other data, settings or seed"):
            train(part, other, data, seed=seed)
    train(part, spec, table, seed=3)
    assert same(state_of(part), state_of(whole))
    ends = [load_checkpoint(folder).description for folder in (whole, part)]
    assert ends[0].weights_sha256 == ends[1].weights_sha256
    assert all(end.finished for end in ends)
    assert not (part / "training.safetensors").exists()


@pytest.mark.parametrize("error", [KeyboardInterrupt, RlfocalError])
def test_what_ends_after_the_last_step_loses_none(
    tmp_path: Path, table: ResponseTable, monkeypatch: pytest.MonkeyPatch,
    error: type[BaseException],
) -> None:  # fmt: skip
    """As where a cluster goes while simple strategies are fitted beside it."""
    look, spec, steps = Best.look, Spec(Patient.name, {}), list[int]()

    def counted(self: Best, table: ResponseTable, rng: np.random.Generator, step: int) -> None:
        steps.append(step)
        look(self, table, rng, step)

    def ends(*args: Any, **more: Any) -> None:
        raise error("the cluster is gone")

    monkeypatch.setattr(Best, "look", counted)
    with monkeypatch.context() as patch:
        patch.setattr(training, "save_checkpoint", ends)
        with pytest.raises(error):
            train(tmp_path, spec, table)
    train(tmp_path, spec, table)
    assert steps == list(range(STEPS))


def test_a_place_where_nothing_runs_is_found_before_the_training(
    tmp_path: Path, table: ResponseTable
) -> None:
    class Gone:
        def map(self, *args: Any, **more: Any) -> Any:
            raise ConfigError("no scheduler answers")

    with pytest.raises(ConfigError, match="no scheduler"):
        train(tmp_path / "new", Spec(Patient.name, {}), table, executor=Gone())
    assert not list(tmp_path.iterdir())


def test_a_killed_run_goes_on_from_its_last_save(
    tmp_path: Path, table: ResponseTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    look, steps = Best.look, list[int]()

    def killed(self: Best, table: ResponseTable, rng: np.random.Generator, step: int) -> None:
        steps.append(step)
        if len(steps) == 13:
            raise SystemExit
        look(self, table, rng, step)

    monkeypatch.setattr(Best, "look", killed)
    with pytest.raises(SystemExit):
        train(tmp_path, Spec(Patient.name, {}), table)
    train(tmp_path, Spec(Patient.name, {}), table)
    assert steps == [*range(13), *range(10, STEPS)]


def test_a_damaged_unfinished_run_says_what_to_delete(tmp_path: Path, table: ResponseTable) -> None:
    (tmp_path / "training.safetensors").write_bytes(b"nothing")
    with pytest.raises(CheckpointError, match="delete this file"):
        train(tmp_path, Spec(Patient.name, {}), table)


def test_what_the_data_lack_is_said_before_anything_is_written(tmp_path: Path) -> None:
    model = PoolModel(accuracy=[[0.8, 0.6]])
    table = build_table(simulate(model, 20, rng=np.random.default_rng(0)), encode=None)
    with pytest.raises(NotApplicable, match="knn-router cannot be trained"):
        train(tmp_path / "new", Spec("knn-router", {}), table)
    assert not (tmp_path / "new").exists()
