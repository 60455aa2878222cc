from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import pytest

from rlfocal.bench import EvalProtocol, run_bench
from rlfocal.bench.scenarios import (
    SCENARIOS,
    ScenarioResult,
    StreamSettings,
    resolve_scenarios,
    run_scenarios,
)
from rlfocal.bench.scenarios.edits import (
    answer_at_random,
    collude,
    fail,
    give,
    improve,
    joined,
    mislabel,
    stand_in,
)
from rlfocal.bench.scenarios.jobs import StreamTrace
from rlfocal.bench.scenarios.result import scenario_row
from rlfocal.bench.scenarios.stream import (
    LabelledStream,
    walk_refit,
    walk_windowed,
    walk_with_memory,
)
from rlfocal.cli.main import main
from rlfocal.deliberation.base import Base, OneRound
from rlfocal.deliberation.protocol import Outcome, Strategy
from rlfocal.deliberation.replay import replay
from rlfocal.deliberation.view import Memory, View
from rlfocal.errors import ConfigError, NotApplicable, RecordError
from rlfocal.executor import ProcessExecutor
from rlfocal.records import BoolArray, CandidateKind, FloatArray, ResponseTable
from rlfocal.strategies.single import BestSingle, RandomMember
from rlfocal.strategies.voting import WeightedVote

FAST = EvalProtocol(n_folds=2, n_resamples=100)
SMALL = StreamSettings(block=5, window=20, refit_every=10)
RIGHT, WRONG, OTHER, NONE = 0, 1, 2, -1


def table_of(answer: object, *, kind: CandidateKind = CandidateKind.OPTIONS) -> ResponseTable:
    """Three slots a query; candidate 0 is right. An open query has the answers given alone."""
    answers = np.array(answer, dtype=np.int16)
    n_queries, n_members = answers.shape
    support = (answers[:, :, None] == np.arange(3)).astype(np.float32)
    exists = np.ones((n_queries, 3), dtype=bool)
    if kind == CandidateKind.ANSWERS:
        exists = support.any(axis=1)
    names = np.empty(n_queries, dtype=object)
    names[:] = [("a", "b", "c")] * n_queries
    return ResponseTable(
        name="toy",
        members=tuple(f"m{n}" for n in range(n_members)),
        tasks=("one", "two"),
        query_ids=np.array([f"q{q}" for q in range(n_queries)]),
        task=np.arange(n_queries) % 2,
        group=np.arange(n_queries),
        split=np.full(n_queries, ""),
        features=np.zeros((n_queries, 0), dtype=np.float32),
        candidates=names,
        kind=np.full(n_queries, kind, dtype=np.int8),
        exists=exists,
        candidate_score=(np.tile([1.0, 0, 0], (n_queries, 1)) * exists).astype(np.float32),
        answer=answers,
        support=support,
        cost=np.ones((n_queries, n_members), dtype=np.float32),
        cost_unit="call",
    )


def random_table(
    n_queries: int = 80, *, seed: int = 0, kind: CandidateKind = CandidateKind.OPTIONS
) -> ResponseTable:
    """Members of accuracy .9, .75, .6 and .45; two tasks take turns."""
    rng = np.random.default_rng(seed)
    hit = rng.random((n_queries, 4)) < np.array([0.9, 0.75, 0.6, 0.45])
    return table_of(np.where(hit, RIGHT, rng.integers(1, 3, size=hit.shape)), kind=kind)


def generator() -> np.random.Generator:
    return np.random.default_rng(7)


# Edits --------------------------------------------------------------------------------------------

EDITS: dict[str, tuple[Callable[[ResponseTable], ResponseTable], set[int], int]] = {
    "fail": (lambda t: fail(t, [0, 2], start=30), {0, 2}, 30),
    "random": (lambda t: answer_at_random(t, 1, start=30, rng=generator()), {1}, 30),
    "collude": (lambda t: collude(t, [0, 1], start=30, share=0.5, rng=generator()), {0, 1}, 30),
    "improve": (lambda t: improve(t, 3, start=30, share=0.9, rng=generator()), {3}, 30),
    "stand in": (lambda t: stand_in(t, 0, 3, start=30), {0}, 30),
}


@pytest.mark.parametrize("kind", [CandidateKind.OPTIONS, CandidateKind.ANSWERS])
@pytest.mark.parametrize("name", EDITS)
def test_an_edit_changes_only_the_members_and_queries_it_names(
    name: str, kind: CandidateKind
) -> None:
    edit, members, start = EDITS[name]
    before = random_table(kind=kind)
    copy = before.answer.copy(), before.support.copy()
    after = edit(before)  # building it checks that the arrays do not contradict one another
    others = [n for n in range(4) if n not in members]
    for array in ("answer", "support"):
        old, new = getattr(before, array), getattr(after, array)
        np.testing.assert_array_equal(new[:, others], old[:, others])
        np.testing.assert_array_equal(new[:start], old[:start])
        assert all((new[start:, n] != old[start:, n]).any() for n in members)
    for array in ("cost", "exists", "candidate_score", "task", "query_ids"):
        assert getattr(after, array) is getattr(before, array) or np.array_equal(
            getattr(after, array), getattr(before, array)
        )
    np.testing.assert_array_equal(before.answer, copy[0])
    np.testing.assert_array_equal(before.support, copy[1])
    np.testing.assert_array_equal(edit(before).answer, after.answer)


def test_failed_members_answer_nothing_and_are_paid() -> None:
    after = fail(table_of([[RIGHT, RIGHT], [WRONG, RIGHT]]), [0])
    assert after.answer[:, 0].tolist() == [NONE, NONE]
    assert after.support[:, 0].sum() == 0
    assert (after.cost == 1).all()


def test_a_random_member_spreads_over_all_options() -> None:
    after = answer_at_random(table_of([[RIGHT, RIGHT]] * 300), 0, rng=generator())
    count = np.bincount(after.answer[:, 0], minlength=3)
    assert (np.abs(count - 100) < 30).all()


def test_a_random_answer_to_an_open_query_is_one_that_exists_or_none() -> None:
    table = table_of([[RIGHT, WRONG]] * 300, kind=CandidateKind.ANSWERS)
    after = answer_at_random(table, 0, rng=generator())
    values, count = np.unique(after.answer[:, 0], return_counts=True)
    assert values.tolist() == [NONE, RIGHT, WRONG]
    assert (np.abs(count - 100) < 30).all()


def test_colluding_members_agree_on_a_wrong_answer() -> None:
    table = random_table()
    after = collude(table, [0, 1], start=40, share=1, rng=generator())
    pair = after.answer[40:, :2]
    assert (pair[:, 0] == pair[:, 1]).all()
    assert after.member_score[40:, :2].sum() == 0
    assert (pair >= 0).all()
    half = collude(table_of([[RIGHT, RIGHT]] * 200), [0, 1], share=0.5, rng=generator())
    assert abs(half.failed[:, 0].mean() - 0.5) < 0.1


def test_colluding_over_an_open_query_that_all_got_right_leaves_no_answer() -> None:
    table = table_of([[RIGHT, RIGHT], [RIGHT, WRONG]], kind=CandidateKind.ANSWERS)
    after = collude(table, [0, 1], share=1, rng=generator())
    assert after.answer.tolist() == [[NONE, NONE], [WRONG, WRONG]]


def test_an_improving_member_gets_right_what_can_be_got_right() -> None:
    table = table_of([[WRONG, RIGHT], [NONE, RIGHT], [WRONG, OTHER]], kind=CandidateKind.ANSWERS)
    after = improve(table, 0, share=1, rng=generator())
    assert after.answer[:, 0].tolist() == [RIGHT, RIGHT, WRONG]


def test_a_stand_in_answers_in_the_name_of_another() -> None:
    after = stand_in(table_of([[RIGHT, WRONG], [RIGHT, OTHER]]), 0, 1, start=1)
    assert after.answer.tolist() == [[RIGHT, WRONG], [OTHER, OTHER]]


def test_a_new_answer_is_backed_as_strongly_as_the_old_one_was() -> None:
    table = table_of([[RIGHT, RIGHT], [NONE, RIGHT], [WRONG, RIGHT]])
    support = table.support.copy()
    support[0, 0] = [0.7, 0.2, 0.1]
    support[2, 0] = [0.2, 0.8, 0]
    samples = np.array([[[0, 1, -2]] * 2, [[-1, -1, -2]] * 2, [[1, 1, 0]] * 2], dtype=np.int16)
    scores = np.log(np.maximum(support, 0.01)).astype(np.float32)
    table = dataclasses.replace(table, support=support, samples=samples, option_scores=scores)
    after = give(table, 0, np.arange(3), np.array([WRONG, OTHER, NONE]))
    assert after.support[:, 0] == pytest.approx(np.array([[0.2, 0.7, 0.1], [0, 0, 1], [0, 0, 0]]))
    assert after.samples is not None
    assert after.samples[:, 0].tolist() == [[1, 0, -2], [2, 2, -2], [-1, -1, -1]]
    assert after.option_scores is not None
    np.testing.assert_array_equal(after.option_scores[0, 0], scores[0, 0][[1, 0, 2]])
    assert np.isnan(after.option_scores[1:, 0]).all()
    np.testing.assert_array_equal(after.option_scores[:, 1], scores[:, 1])


def test_mislabelling_moves_the_right_label_to_another_candidate() -> None:
    table = random_table(200)
    after = mislabel(table, 0.2, rng=generator())
    changed = (after.candidate_score != table.candidate_score).any(axis=1)
    assert changed.sum() == 40
    assert (after.candidate_score.sum(axis=1) == 1).all()
    assert (after.candidate_score[changed, RIGHT] == 0).all()
    np.testing.assert_array_equal(after.answer, table.answer)
    np.testing.assert_array_equal(
        mislabel(table, 0.2, rng=generator()).candidate_score, after.candidate_score
    )


def test_mislabelling_an_open_query_takes_the_answers_that_exist() -> None:
    answers = [[RIGHT, RIGHT], [RIGHT, OTHER], [WRONG, WRONG]]
    after = mislabel(table_of(answers, kind=CandidateKind.ANSWERS), 1, rng=generator())
    # All agree: labelled wrong. Two answers: the other one. Nobody right: nothing to move.
    assert after.candidate_score.tolist() == [[0, 0, 0], [0, 0, 1], [0, 0, 0]]


def test_joined_tables_keep_every_query() -> None:
    first, second = random_table(6), random_table(4, seed=1)
    whole = joined(first, second)
    np.testing.assert_array_equal(whole.take(np.arange(6)).answer, first.answer)
    np.testing.assert_array_equal(whole.take(np.arange(6, 10)).answer, second.answer)


# Scenarios ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_scenario_leaves_what_comes_before_its_change_alone(name: str) -> None:
    train, stream = random_table(100), random_table(60, seed=1)
    case = SCENARIOS[name].build(train, stream, generator())
    np.testing.assert_array_equal(np.sort(case.calm.query_ids), np.sort(stream.query_ids))
    np.testing.assert_array_equal(case.stream.query_ids, case.calm.query_ids)
    np.testing.assert_array_equal(case.stream.candidate_score, case.calm.candidate_score)
    before = slice(0, case.change_at)
    np.testing.assert_array_equal(case.stream.answer[before], case.calm.answer[before])
    again = SCENARIOS[name].build(train, stream, generator())
    np.testing.assert_array_equal(again.stream.answer, case.stream.answer)
    np.testing.assert_array_equal(again.train.candidate_score, case.train.candidate_score)
    at_once = name.startswith(("failed", "random", "label", "member"))
    assert case.change_at == (0 if at_once else 30)
    assert SCENARIOS[name].description.endswith(".")


@pytest.mark.parametrize(
    ("name", "touched"),
    [
        ("steady", []),
        ("failed-1", [1]),
        ("failed-2", [1, 0]),
        ("failed-3", [1, 0, 3]),
        ("random-member", [1]),
        ("colluding", [1, 0]),
        ("colluding-always", [1, 0]),
        ("copied", [0, 3]),
        ("degrading", [1]),
        ("improving", [2]),
        ("replaced", [1]),
        ("task-shift", []),
        ("member-added-25", []),
        ("label-noise-10", []),
    ],
)
def test_the_best_and_the_weakest_are_those_of_training(name: str, touched: list[int]) -> None:
    order = np.array([1, 0, 3, 2])  # so that member 1 is best, then 0, 3, 2
    train = table_of(random_table(400).answer[:, order])
    stream = table_of(random_table(200, seed=1).answer[:, order])
    case = SCENARIOS[name].build(train, stream, generator())
    differs = (case.stream.answer != case.calm.answer).any(axis=0)
    assert np.flatnonzero(differs).tolist() == sorted(touched)


def test_task_shift_keeps_the_later_tasks_from_training() -> None:
    case = SCENARIOS["task-shift"].build(random_table(100), random_table(60), generator())
    early = set(case.stream.task[: case.change_at])
    assert early == set(case.train.task)
    assert not early & set(case.stream.task[case.change_at :])
    one = random_table(40)
    one = one.take(one.task == 0)
    with pytest.raises(NotApplicable, match="single task"):
        SCENARIOS["task-shift"].build(one, one, generator())


def test_more_failures_than_members_are_not_played() -> None:
    table = table_of([[RIGHT, WRONG]] * 20)
    with pytest.raises(NotApplicable, match="leave none of 2"):
        SCENARIOS["failed-2"].build(table, table, generator())


def test_unknown_scenarios_are_refused_with_the_nearest_name() -> None:
    with pytest.raises(ConfigError, match=r"'degrade'; did you mean 'degrading'\?"):
        resolve_scenarios(["degrade"])
    with pytest.raises(ConfigError, match="no scenario named"):
        resolve_scenarios([])
    assert [s.name for s in resolve_scenarios(["all", "steady"])] == list(SCENARIOS)


# The stream ---------------------------------------------------------------------------------------


class Follower(OneRound):
    """Asks the member that was most accurate in the memory it follows, the first without one."""

    name = "follower"
    follows_memory: ClassVar[bool] = True
    slow_to_fit: ClassVar[bool] = True

    def __init__(self) -> None:
        self.seen: list[Memory] = []
        self.best = 0

    def fit(self, table: ResponseTable, *, rng: np.random.Generator) -> Self:
        return self

    def follow(self, memory: Memory) -> Self:
        self.seen.append(memory)
        return self._with(best=int(memory.accuracy().argmax()))

    def first(self, view: View) -> BoolArray:
        return np.broadcast_to(np.arange(4) == self.best, view.asked.shape)

    def fuse(self, view: View) -> FloatArray:
        return np.asarray(view.support.sum(axis=1))


def fit_vote(table: ResponseTable, position: int) -> Base:
    return WeightedVote().fit(table, rng=generator())


def fit_single(table: ResponseTable, position: int) -> Base:
    return BestSingle().fit(table, rng=generator())


def test_memory_is_the_latest_labelled_queries_of_training_and_stream() -> None:
    train, stream = random_table(30), random_table(50, seed=1)
    policy = Follower()
    walk_with_memory(policy, stream, LabelledStream(train, stream), SMALL)
    assert len(policy.seen) == 10
    whole = np.vstack([train.member_score, stream.member_score])
    for i, memory in enumerate(policy.seen):
        end = 30 + 5 * i
        np.testing.assert_array_equal(memory.member_score, whole[end - 20 : end])


WALKS: dict[str, Callable[[ResponseTable, ResponseTable], Outcome]] = {
    "memory": lambda t, s: walk_with_memory(Follower(), s, LabelledStream(t, s), SMALL),
    "windowed": lambda t, s: walk_windowed(fit_vote, s, LabelledStream(t, s), SMALL),
    "windowed single": lambda t, s: walk_windowed(fit_single, s, LabelledStream(t, s), SMALL),
    "refit": lambda t, s: walk_refit(
        fit_single(t, 0), fit_single, s, LabelledStream(t, s), SMALL, [10, 20, 30, 40]
    ),
}


@pytest.mark.parametrize("name", WALKS)
def test_no_decision_depends_on_its_own_or_a_later_label(name: str) -> None:
    train, stream = random_table(30), random_table(50, seed=1)
    whole = WALKS[name](train, stream)
    at = 20  # the start of a block: its queries are answered before their labels come
    score = stream.candidate_score.copy()
    score[at:] = np.roll(score[at:], 1, axis=1)
    relabelled = WALKS[name](train, dataclasses.replace(stream, candidate_score=score))
    np.testing.assert_array_equal(relabelled.chosen[: at + 5], whole.chosen[: at + 5])
    np.testing.assert_array_equal(relabelled.asked[: at + 5], whole.asked[: at + 5])
    earlier = stream.candidate_score.copy()
    earlier[:at] = np.roll(earlier[:at], 1, axis=1)
    taught = WALKS[name](train, dataclasses.replace(stream, candidate_score=earlier))
    assert (taught.chosen[at:] != whole.chosen[at:]).any()  # earlier labels do count


def test_refits_keep_as_many_queries_as_training_had() -> None:
    sizes: list[tuple[int, int]] = []

    def fit(table: ResponseTable, position: int) -> Strategy:
        sizes.append((position, table.n_queries))
        return fit_single(table, position)

    train, stream = random_table(30), random_table(50, seed=1)
    policy, history = fit_single(train, 0), LabelledStream(train, stream)
    walk_refit(policy, fit, stream, history, SMALL, [10, 22, 23, 200])
    assert sizes == [(10, 30), (25, 30)]  # as soon as a block begins; what is overdue once


def test_a_windowed_vote_notices_that_the_best_member_degrades() -> None:
    # Alone right at first, member 0 outweighs the two others; later it is the only one wrong.
    train = table_of([[RIGHT, WRONG, OTHER], [RIGHT, RIGHT, RIGHT]] * 30)
    later = [[WRONG, RIGHT, OTHER], [WRONG, OTHER, RIGHT]] * 30
    stream = table_of([[RIGHT, WRONG, OTHER], [RIGHT, RIGHT, RIGHT]] * 10 + later)
    frozen = replay(fit_vote(train, 0), stream)
    windowed = walk_windowed(fit_vote, stream, LabelledStream(train, stream), SMALL)
    assert frozen.score[20:].sum() == 0
    assert windowed.score[:20].all()
    assert windowed.score[20:25].sum() == 0  # nothing is known of the change yet
    assert windowed.score[50:].mean() > 0.45


def test_blocks_hide_no_place_in_the_stream() -> None:
    train, stream = random_table(30), random_table(50, seed=1)
    policy = RandomMember().fit(train, rng=generator())
    walked = walk_with_memory(policy, stream, LabelledStream(train, stream), SMALL)
    np.testing.assert_array_equal(walked.asked, replay(policy, stream).asked)


@pytest.mark.parametrize("name", ["block", "window", "refit_every", "orders"])
def test_stream_settings_are_checked(name: str) -> None:
    wrong: dict[str, Any] = {name: 0}
    with pytest.raises(ValueError, match=f"{name} must be at least 1, got 0"):
        StreamSettings(**wrong)


# Figures ------------------------------------------------------------------------------------------


def trace(score: dict[str, list[float]], change_at: int) -> StreamTrace:
    values = {name: np.array(row, dtype=np.float32) for name, row in score.items()}
    size = len(next(iter(values.values())))
    calls = {name: np.full(size, 2 if name == "memory" else 1) for name in values}
    return StreamTrace("degrading", 0, change_at, np.arange(size), values, calls)


def test_figures_are_those_worked_by_hand() -> None:
    calm = [1.0] * 24
    frozen = [1.0] * 4 + [0.0] * 20
    memory = [1.0, 1, 1, 0] + [0.0, 1] * 5 + [1.0] * 10
    found = scenario_row(
        "rl-x",
        [[trace({"unchanged": calm, "frozen": frozen, "memory": memory}, 4)]],
        window=10,
        n_resamples=200,
    )
    assert (found.n_before, found.n_after) == (4, 20)
    assert found.before is not None
    assert found.before.value == 1
    assert (found.unchanged.value, found.frozen.value, found.lost.value) == (1, 0, 1)
    (way,) = found.adapted
    assert way.before is not None
    assert way.before.value == 0.75
    assert (way.after.value, way.gain.value, way.verdict) == (0.75, 0.75, "better")
    assert way.won_back is not None
    assert way.won_back_later is not None
    assert (way.won_back.value, way.won_back_later.value) == (0.5, 1)
    assert way.won_back.ci[0] < 0.5 < way.won_back.ci[1]
    assert (found.mean_calls, way.mean_calls) == (1, 2)


def test_no_share_is_given_of_a_loss_that_may_be_none() -> None:
    calm, frozen = [1.0, 0, 1, 0], [0.0, 1, 1, 0]
    score = {"unchanged": calm, "frozen": frozen, "refit": calm}
    found = scenario_row("x", [[trace(score, 0)]], window=10, n_resamples=200)
    assert found.before is None
    assert found.adapted[0].before is None
    assert found.adapted[0].won_back is None
    assert found.adapted[0].won_back_later is None


def test_seeds_are_averaged_and_folds_pooled() -> None:
    one = trace({"unchanged": [1, 1], "frozen": [1, 0]}, 1)
    two = trace({"unchanged": [1, 1], "frozen": [1, 1]}, 1)
    other = two._replace(group=np.array([7, 8]))
    found = scenario_row("x", [[one, two], [other, other]], window=10, n_resamples=100)
    assert found.frozen.value == 0.75
    assert (found.n_before, found.n_after) == (2, 2)


# All together -------------------------------------------------------------------------------------


def play(*scenarios: str, **options: Any) -> ScenarioResult:
    return run_scenarios(random_table(160), scenarios, FAST, settings=SMALL, **options)


@pytest.mark.slow
def test_every_scenario_gives_a_row_for_every_strategy() -> None:
    names = ["best-single", "plurality", "weighted-vote", "agreement"]
    result = run_scenarios(random_table(240), ["all"], FAST, settings=SMALL, strategies=names)
    assert list(result.descriptions) == list(SCENARIOS)
    assert len(result.rows) == 4 * len(SCENARIOS)
    assert not result.not_applicable
    steady = result.of("steady")
    assert all(row.lost.value == 0 for row in steady)
    (single,) = [row for row in result.of("failed-1") if row.strategy == "best-single"]
    assert single.frozen.value == 0
    ways = {way.way: way for way in single.adapted}
    assert set(ways) == {"windowed", "refit"}
    assert ways["windowed"].verdict == "better"
    found = json.loads(json.dumps(result.to_json(), allow_nan=False))
    assert found["n_queries"] == 120
    assert found["settings"] == {
        "block": 5, "window": 20, "refit_every": 10, "orders": 1, "retrain": False,
    }  # fmt: skip
    assert set(found["rows"][0]) >= {"before", "before_ci", "lost", "lost_ci", "adapted"}
    assert "the first of 2 folds" in result.describe()


def test_a_frozen_policy_scores_what_the_benchmark_says() -> None:
    names = ["best-single", "random"]
    rows = {row.strategy: row for row in run_bench(random_table(160), names, FAST).rows}
    result = play("steady", every_fold=True, strategies=names)
    assert len(result.rows) == 2
    for row in result.rows:
        assert row.before is not None
        assert row.n_before == row.n_after == 80
        mean = (row.before.value + row.unchanged.value) / 2
        if row.strategy == "best-single":
            assert mean == pytest.approx(rows[row.strategy].accuracy)


@pytest.mark.slow
def test_the_same_figures_whatever_the_executor_and_the_company() -> None:
    names, pair = ("degrading", "label-noise-20"), ["random", "weighted-vote"]
    rows = play(*names, every_fold=True, strategies=pair).rows
    elsewhere = play(*names, every_fold=True, strategies=pair, executor=ProcessExecutor(2)).rows
    assert elsewhere == rows
    alone = play("label-noise-20", every_fold=True, strategies=["random"]).rows
    wanted = ("label-noise-20", "random")
    assert alone == tuple(row for row in rows if (row.scenario, row.strategy) == wanted)


def test_what_cannot_be_played_is_listed_with_its_reason() -> None:
    table = random_table(60)
    table = table.take(table.task == 0)
    result = run_scenarios(
        table, ["task-shift", "steady"], FAST, strategies=["oracle", "plurality"], settings=SMALL
    )
    assert "single task" in result.not_applicable["task-shift"]
    assert "no policy" in result.not_applicable["oracle"]
    assert [(row.scenario, row.strategy) for row in result.rows] == [("steady", "plurality")]


class Broken(Follower):
    """Cannot be fitted."""

    name = "broken"

    def fit(self, table: ResponseTable, *, rng: np.random.Generator) -> Self:
        raise RecordError("no luck")


def test_a_policy_that_follows_a_memory_is_given_it() -> None:
    done: list[str] = []
    result = play(
        "failed-1",
        strategies=[Follower()],
        on_progress=lambda n, of, what: done.append(f"{n} of {of} {what}"),
    )
    (row,) = result.rows
    (way,) = row.adapted
    assert (way.way, way.verdict) == ("memory", "better")
    assert done == ["0 of 1 ", "1 of 1 follower, fold 0, seed 0"]


def test_a_failure_names_its_job() -> None:
    with pytest.raises(RecordError, match="broken, fold 0, seed 0: no luck"):
        play("steady", strategies=[Broken()])


def test_the_data_sets_own_split_is_one_stream() -> None:
    table = random_table(60)
    table = dataclasses.replace(table, split=np.repeat(["train", "test"], [40, 20]))
    split = EvalProtocol(use_split=True, n_resamples=100)
    result = run_scenarios(table, ["steady"], split, strategies=["plurality"], every_fold=True)
    assert (result.n_queries, result.n_streams) == (20, 1)
    assert "own split" in result.describe()


def test_scores_alone_leave_votes_out() -> None:
    table = random_table(40)
    table = dataclasses.replace(table, kind=np.full(40, CandidateKind.RESPONSES, dtype=np.int8))
    result = run_scenarios(
        table, ["failed-1"], FAST, strategies=["plurality", "best-single"], settings=SMALL
    )
    assert "only scores are recorded" in result.not_applicable["plurality"]
    assert [row.strategy for row in result.rows] == ["best-single"]


def test_too_small_a_stream_is_refused() -> None:
    with pytest.raises(ConfigError, match="at least 4 test queries, a fold has 3"):
        run_scenarios(random_table(6), ["steady"], FAST, strategies=["plurality"])


# The command --------------------------------------------------------------------------------------

COMMAND = ("bench", "demo", "--no-features", "--strategies", "best-single,weighted-vote,plurality")


def command(*words: str) -> object:
    with pytest.raises(SystemExit) as left:
        main([*COMMAND, *words])
    return left.value.code


@pytest.mark.slow
def test_the_command_shows_a_table_and_writes_the_same_figures(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "figures.json"
    assert not command("--scenario", "replaced,steady", "--json", str(file))
    shown = capsys.readouterr().out
    found = json.loads(file.read_text())
    assert [row["scenario"] for row in found["rows"]] == ["replaced"] * 3 + ["steady"] * 3
    assert "SYNTHETIC DATA" in shown
    assert "answers in the name of the most accurate" in shown
    assert "the first of 5 folds" in shown
    vote = found["rows"][1]
    assert f"{100 * vote['frozen']:.1f}" in shown
    assert f"{100 * vote['adapted'][0]['after']:.1f}*" in shown


@pytest.mark.slow
def test_the_command_streams_every_fold_that_is_asked_for(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert not command("--scenario", "failed-1", "--folds", "2", "--json", "-")
    found = json.loads(capsys.readouterr().out)
    assert found["n_streams"] == 2
    assert found["folds"] == "each of 2 folds, fitted on the others"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--scenario", "replace"), "did you mean 'replaced'?"),
        (("--scenario", ","), "no name given"),
        (("--scenario", "steady", "--budgets", "2"), "neither --report nor --budgets"),
        (("--scenario", "steady", "--report", "page"), "neither --report nor --budgets"),
    ],
)
def test_the_command_refuses_what_it_cannot_do(
    words: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(*words)
    assert message in capsys.readouterr().err
