"""What scenarios compare with: being retrained, other orders, and a pool without its new member."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar, Self

import numpy as np
import pytest

from rlfocal.bench import EvalProtocol
from rlfocal.bench.scenarios import SCENARIOS, ScenarioResult, StreamSettings, run_scenarios
from rlfocal.bench.scenarios.jobs import StreamTrace
from rlfocal.bench.scenarios.result import scenario_row
from rlfocal.bench.scenarios.stream import LabelledStream
from rlfocal.cli.main import main
from rlfocal.deliberation.base import OneRound
from rlfocal.deliberation.view import View
from rlfocal.errors import NotApplicable
from rlfocal.records import BoolArray, CandidateKind, FloatArray, ResponseTable

pytestmark = pytest.mark.slow

FAST = EvalProtocol(n_folds=2, n_resamples=100)
SMALL = StreamSettings(block=5, window=20, refit_every=10)
ACCURACY = (0.9, 0.75, 0.6, 0.45)


def random_table(n_queries: int = 240, seed: int = 0) -> ResponseTable:
    """Four members, the most accurate first; options, of which the first one is right."""
    rng = np.random.default_rng(seed)
    hit = rng.random((n_queries, 4)) < np.array(ACCURACY)
    answer = np.where(hit, 0, rng.integers(1, 3, size=hit.shape)).astype(np.int16)
    names = np.empty(n_queries, dtype=object)
    names[:] = [("a", "b", "c")] * n_queries
    return ResponseTable(
        name="toy",
        members=("m0", "m1", "m2", "m3"),
        tasks=("one", "two"),
        query_ids=np.array([f"q{q}" for q in range(n_queries)]),
        task=np.arange(n_queries) % 2,
        group=np.arange(n_queries),
        split=np.full(n_queries, ""),
        features=np.zeros((n_queries, 0), dtype=np.float32),
        candidates=names,
        kind=np.full(n_queries, CandidateKind.OPTIONS, dtype=np.int8),
        exists=np.ones((n_queries, 3), dtype=bool),
        candidate_score=np.tile(np.array([1, 0, 0], dtype=np.float32), (n_queries, 1)),
        answer=answer,
        support=(answer[:, :, None] == np.arange(3)).astype(np.float32),
        cost=np.ones((n_queries, 4), dtype=np.float32),
        cost_unit="call",
    )


def generator() -> np.random.Generator:
    return np.random.default_rng(7)


def play(*scenarios: str, **options: Any) -> ScenarioResult:
    settings = options.pop("settings", SMALL)
    return run_scenarios(random_table(), scenarios, FAST, settings=settings, **options)


class Counting(OneRound):
    """Asks the member that was most accurate where it was fitted; remembers its fits."""

    name = "counting"
    follows_memory: ClassVar[bool] = True
    slow_to_fit: ClassVar[bool] = True
    fits: list[ResponseTable] = []  # noqa: RUF012

    def fit(self, table: ResponseTable, *, rng: np.random.Generator) -> Self:
        self.best = int(table.member_score.mean(axis=0).argmax())
        self.fits.append(table)
        return self

    def first(self, view: View) -> BoolArray:
        return np.broadcast_to(np.arange(view.asked.shape[1]) == self.best, view.asked.shape)

    def fuse(self, view: View) -> FloatArray:
        return np.asarray(view.support.sum(axis=1))


# Being retrained ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    ["failed-1", "failed-3", "random-member", "colluding", "copied", "improving", "replaced"],
)
def test_in_hindsight_the_change_is_in_every_training_query(name: str) -> None:
    train, stream = random_table(), random_table(60, seed=1)
    case = SCENARIOS[name].build(train, stream, generator())
    assert case.train is train
    assert case.hindsight is not None
    late = case.stream.take(np.arange(case.change_at, 60)).member_score.mean(axis=0)
    np.testing.assert_allclose(case.hindsight.member_score.mean(axis=0), late, atol=0.2)
    np.testing.assert_array_equal(case.hindsight.candidate_score, train.candidate_score)
    touched = (case.stream.answer != stream.answer).any(axis=0)
    differs = (case.hindsight.answer != train.answer).any(axis=0)
    np.testing.assert_array_equal(differs, touched)


@pytest.mark.parametrize("name", ["steady", "task-shift", "member-added-25", "label-noise-20"])
def test_no_hindsight_where_the_unchanged_policy_has_it_or_nothing_changes(name: str) -> None:
    case = SCENARIOS[name].build(random_table(), random_table(60, seed=1), generator())
    assert case.hindsight is None


def test_what_being_retrained_wins_is_the_measure_of_what_can_be_won() -> None:
    result = play("failed-1", "steady", strategies=["best-single"])
    failed, steady = result.rows
    assert failed.retrained is not None
    assert abs(failed.retrained.value - ACCURACY[1]) < 0.1  # the second best member is the best now
    assert failed.frozen.value == 0
    windowed = next(way for way in failed.adapted if way.way == "windowed")
    assert windowed.attained_later is not None
    assert windowed.won_back_later is not None
    assert windowed.attained_later.value > windowed.won_back_later.value
    assert windowed.attained_later.value > 0.85
    assert steady.retrained is None
    assert all(way.attained is None for way in steady.adapted)


def test_shares_of_what_being_retrained_wins_are_those_worked_by_hand() -> None:
    memory = [0.0, 1] * 5 + [1.0] * 5 + [0.0] * 5
    score = {
        "unchanged": [1.0] * 20,
        "frozen": [0.0] * 20,
        "retrained": [1.0, 1, 1, 1, 0] * 4,
        "memory": memory,
    }
    values = {name: np.array(row, dtype=np.float32) for name, row in score.items()}
    calls = {name: np.ones(20, dtype=np.int64) for name in score}
    trace = StreamTrace("degrading", 0, 0, np.arange(20), values, calls)
    row = scenario_row("rl-x", [[trace]], window=10, n_resamples=200)
    (way,) = row.adapted
    assert row.retrained is not None
    assert row.retrained.value == pytest.approx(0.8)
    assert way.attained is not None
    assert way.attained_later is not None
    assert way.attained.value == pytest.approx(0.5 / 0.8)
    assert way.attained_later.value == pytest.approx(0.5 / 0.8)


def test_what_trains_for_long_is_retrained_when_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Counting, "fits", [])
    (row,) = play("failed-1", strategies=[Counting()]).rows
    assert len(Counting.fits) == 1
    assert row.retrained is None
    assert [way.way for way in row.adapted] == ["memory"]
    monkeypatch.setattr(Counting, "fits", [])
    retrain = dataclasses.replace(SMALL, retrain=True)
    (row,) = play("failed-1", strategies=[Counting()], settings=retrain).rows
    # On what there was, in hindsight, and once when ten changed queries are labelled.
    failed = [table.failed[:, 0].mean() for table in Counting.fits]
    assert failed == pytest.approx([0.1, 1, 0.2], abs=0.1)
    assert row.retrained is not None
    assert [way.way for way in row.adapted] == ["memory", "refit"]


# Orders -------------------------------------------------------------------------------------------


def test_orders_are_streams_of_the_same_queries() -> None:
    once = play("degrading", strategies=["weighted-vote"])
    thrice = play(
        "degrading", strategies=["weighted-vote"], settings=dataclasses.replace(SMALL, orders=3)
    )
    assert (once.n_streams, once.n_queries) == (1, 120)
    assert (thrice.n_streams, thrice.n_queries) == (3, 360)
    assert "in 3 random orders" in thrice.describe()
    (one,), (three,) = once.rows, thrice.rows
    assert (one.n_after, three.n_after) == (60, 180)
    assert one.before is not None
    assert three.before is not None
    assert one.before.value != three.before.value


# A member that is added ---------------------------------------------------------------------------


def test_an_added_member_never_answered_in_training() -> None:
    train, stream = random_table(), random_table(60, seed=1)
    case = SCENARIOS["member-added-25"].build(train, stream, generator())
    assert case.added is not None
    assert case.added.member == 0
    assert case.train.failed[:, 0].all()
    np.testing.assert_array_equal(case.train.answer[:, 1:], train.answer[:, 1:])
    assert case.stream is stream
    assert case.added.without.failed[:, 0].all()
    assert len(np.unique(case.added.labelled)) == 25
    with pytest.raises(NotApplicable, match="fewer than the 100"):
        SCENARIOS["member-added-100"].build(random_table(60), stream, generator())


def test_queries_from_before_a_member_was_added_say_nothing_of_it() -> None:
    train, stream = random_table(30), random_table(20, seed=1)
    history = LabelledStream(train, stream, absent=2, since=25)
    memory = history.memory(10, 20)  # five training queries it was not put to, five it was
    assert np.isnan(memory.member_score[:5, 2]).all()
    assert not np.isnan(memory.member_score[5:]).any()
    assert not np.isnan(memory.member_score[:, [0, 1, 3]]).any()
    everybody = history.latest(10, 20)
    np.testing.assert_array_equal(
        everybody.member_score, np.vstack([train.member_score[25:], stream.member_score[:10]])
    )


def test_an_added_member_is_asked_once_its_labels_speak_for_it() -> None:
    result = play("member-added-25", strategies=["best-single", "weighted-vote"])
    single, vote = result.rows
    assert abs(single.frozen.value - ACCURACY[1]) < 0.12  # nothing is known of the new member
    assert single.unchanged.value > single.frozen.value
    ways = {way.way: way for way in single.adapted}
    assert ways["windowed"].after.value == pytest.approx(single.unchanged.value)
    assert vote.lost.value > 0
    assert all(way.gain.value > 0 for way in vote.adapted)


# The command --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--orders", "2"), "go with --scenario alone"),
        (("--retrain",), "go with --scenario alone"),
        (("--scenario", "steady", "--orders", "0"), "--orders must be at least 1, got 0"),
    ],
)
def test_the_command_refuses_what_it_cannot_do(
    words: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as left:
        main(["bench", "demo", "--no-features", "--strategies", "plurality", *words])
    assert left.value.code
    assert message in capsys.readouterr().err


@pytest.mark.slow
def test_the_command_shows_what_being_retrained_wins(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["bench", "demo", "--no-features", "--strategies", "weighted-vote,rl-focal-prior"]
    with pytest.raises(SystemExit) as left:
        main([*words, "--scenario", "colluding-always", "--orders", "2", "--retrain"])
    assert not left.value.code
    shown = capsys.readouterr().out
    assert "retrained" in shown
    assert "attained" in shown
