from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

import click
import numpy as np
import pyarrow as pa
import pytest
from typer.main import get_command

from rlfocal.bench import BenchResult, EvalProtocol, run_bench
from rlfocal.bench.figures.scores import scores
from rlfocal.bench.jobs import Job, JobResult
from rlfocal.bench.rows import SCHEMA
from rlfocal.bench.run import _stand_ins
from rlfocal.cli.main import app
from rlfocal.deliberation.base import Acting, Base, OneRound
from rlfocal.deliberation.protocol import Need
from rlfocal.deliberation.registry import create, resolve
from rlfocal.deliberation.view import View
from rlfocal.errors import ConfigError, NotApplicable, RecordError
from rlfocal.executor import ProcessExecutor, SerialExecutor
from rlfocal.records import (
    BoolArray,
    CandidateKind,
    FloatArray,
    PoolModel,
    ResponseTable,
    build_table,
    simulate,
)

SINGLE = ("random", "best-single-per-task")
FAST = EvalProtocol(n_folds=3, n_resamples=200)


def make_table(n_queries: int = 90, accuracy: float = 0.9) -> ResponseTable:
    model = PoolModel(
        accuracy=[[accuracy, 0.55, 0.5], [0.2, accuracy, 0.5]], cost_usd=[0.01, 0.02, 0.03]
    )
    return build_table(simulate(model, n_queries, rng=np.random.default_rng(3)))


def without_seconds(result: BenchResult) -> dict[str, Any]:
    found = result.to_json()
    for row in found["rows"]:
        del row["fit_s"], row["replay_s"]
    return found


class ShuffledExecutor(SerialExecutor):
    """Runs the jobs in another order."""

    def map(
        self, function: Callable[[Any, Any], Any], jobs: Sequence[Any], *, shared: Any
    ) -> Iterator[tuple[int, Any]]:
        for index in np.random.default_rng(0).permutation(len(jobs)).tolist():
            yield index, function(shared, jobs[index])


class FirstK(OneRound):
    """Asks the first members, as many as the dial says."""

    name = "first-k"
    stochastic: ClassVar[bool] = True
    dials = (1.0, 3.0)
    n_asked = 2

    def fit(self, table: ResponseTable, *, rng: np.random.Generator) -> Self:
        return self

    @property
    def history(self) -> Sequence[Mapping[str, float]]:
        return [{"accuracy": 0.25}, {"accuracy": np.float32(0.5)}]

    def with_dial(self, value: float) -> Self:
        return self._with(n_asked=int(value))

    def first(self, view: View) -> BoolArray:
        return np.broadcast_to(np.arange(view.asked.shape[1]) < self.n_asked, view.asked.shape)

    def fuse(self, view: View) -> FloatArray:
        return view.support.mean(axis=1)


@pytest.mark.slow
def test_results_do_not_depend_on_the_order_or_on_the_process_of_the_jobs() -> None:
    table, protocol = make_table(), dataclasses.replace(FAST, n_seeds=2)
    strategies = (*SINGLE, "plurality", "weighted-vote", "agreement")
    serial = run_bench(table, strategies, protocol)
    for executor in (ShuffledExecutor(), ProcessExecutor(2)):
        other = run_bench(table, strategies, protocol, executor=executor)
        assert other.per_query.equals(serial.per_query)
        assert without_seconds(other) == without_seconds(serial)


def test_adding_a_strategy_changes_no_other_figure() -> None:
    alone = run_bench(make_table(), ["random"], FAST)
    beside = run_bench(make_table(), ["best-single-per-task", "random"], FAST)
    rows = {row.strategy: row for row in beside.rows}
    for row in alone.rows:
        assert row.accuracy_ci == rows[row.strategy].accuracy_ci
        assert row.gain_ci == rows[row.strategy].gain_ci


def test_leaderboard_by_hand() -> None:
    table = make_table(300)
    result = run_bench(table, SINGLE, FAST)
    rows = {row.strategy: row for row in result.rows}
    assert result.rows[0].strategy == "oracle"
    assert sorted(rows) == ["best-single", "best-single-per-task", "oracle", "random"]
    others = [row.accuracy for row in result.rows[1:]]
    assert others == sorted(others, reverse=True)

    oracle = table.member_score.max(axis=1).mean()
    best = table.member_score[:, 1].mean()  # leads by 18 points, so in every fold
    per_task = table.member_score[np.arange(300), table.task].mean()
    assert rows["oracle"].accuracy == pytest.approx(oracle)
    assert rows["best-single"].accuracy == pytest.approx(best)
    assert rows["best-single"].gain_ci == (0, 0)
    assert rows["best-single"].mean_cost_usd == pytest.approx(0.02)
    assert rows["best-single-per-task"].accuracy == pytest.approx(per_task)
    assert rows["best-single-per-task"].gain_over_best_single == pytest.approx(per_task - best)
    assert rows["best-single-per-task"].oracle_gap_closed == pytest.approx(
        (per_task - best) / (oracle - best)
    )
    assert [rows[s].verdict for s in sorted(rows)] == ["reference", "better", "bound", "worse"]
    assert result.synthetic
    assert result.tested == {"n_queries": 300, "n_groups": 300}


def test_per_query_rows_say_what_was_asked_answered_and_paid() -> None:
    table = make_table()
    rows = run_bench(table, ["best-single-per-task"], FAST).per_query
    assert rows.schema.equals(SCHEMA)
    assert rows.schema.metadata[b"cost_unit"] == b"usd"
    assert len(rows) == 3 * 90
    place = {q: i for i, q in enumerate(table.query_ids.tolist())}
    for row in rows.to_pylist():
        if row["strategy"] != "best-single-per-task":
            continue
        q = place[row["query_id"]]
        (member,) = row["asked"]
        assert member == table.task[q]
        assert row["task"] == table.tasks[table.task[q]]
        assert row["answer"] == table.candidates[q][table.answer[q, member]]
        assert row["score"] == table.member_score[q, member]
        assert row["cost"] == table.cost[q, member]
        assert (row["n_calls"], row["n_rounds"], row["confidence"]) == (1, 1, 1.0)
        assert row["latency_s"] is None
        assert row["dial"] is None


def test_per_query_rows_list_the_members_asked_by_round() -> None:
    table = make_table()
    result = run_bench(table, ["agreement", "plurality"], FAST)
    rows = [row for row in result.per_query.to_pylist() if row["dial"] is None]
    for row in rows:
        assert len(row["asked"]) == len(set(row["asked"])) == row["n_calls"]
        assert row["asked_in"] == sorted(row["asked_in"])
        assert sorted(set(row["asked_in"])) == [*range(1, row["n_rounds"] + 1)]
        if row["strategy"] == "plurality":
            assert row["asked"] == [*range(table.n_members)]
            assert set(row["asked_in"]) == {1}
    by_accuracy = [row["asked"] for row in rows if row["strategy"] == "agreement"]
    assert any(asked != sorted(asked) for asked in by_accuracy), "some start with the best member"


def test_scores_average_seeds_and_agree_with_a_naive_loop() -> None:
    rows = run_bench(make_table(), ["random"], dataclasses.replace(FAST, n_seeds=3)).per_query
    found = scores(rows)
    queries = list(dict.fromkeys(rows["query_id"].to_pylist()))
    cells: dict[tuple[str, str], list[float]] = {}
    for row in rows.to_pylist():
        cells.setdefault((row["query_id"], row["strategy"]), []).append(row["score"])
    assert {len(v) for (_, s), v in cells.items() if s == "random"} == {3}
    assert {len(v) for (_, s), v in cells.items() if s == "best-single"} == {1}
    for (name, dial), column in zip(found.points, found.score.T, strict=True):
        assert dial is None
        assert column.tolist() == pytest.approx([np.mean(cells[q, name]) for q in queries])


def test_a_point_that_lacks_queries_is_refused() -> None:
    rows = run_bench(make_table(), ["random"], FAST).per_query
    with pytest.raises(ValueError, match="random at dial None covers 89 of 90 queries"):
        scores(rows.slice(0, len(rows)).filter(pa.array(_all_but_one(rows))))


def _all_but_one(rows: pa.Table) -> list[bool]:
    keep = [True] * len(rows)
    keep[rows["strategy"].to_pylist().index("random")] = False
    return keep


def test_dials_make_a_frontier_and_histories_are_kept() -> None:
    table = make_table()
    result = run_bench(table, [FirstK()], dataclasses.replace(FAST, n_seeds=2))
    (points,) = result.frontiers.values()
    assert [(p.dial, p.mean_calls) for p in points] == [(1, 1), (3, 3)]
    assert points[0].accuracy == pytest.approx(table.member_score[:, 0].mean())
    assert points[1].mean_cost_usd == pytest.approx(0.06)
    (row,) = (row for row in result.rows if row.strategy == "first-k")
    assert row.mean_calls == 2
    assert [(h.fold, h.seed) for h in result.histories] == [
        (f, s) for f in range(3) for s in range(2)
    ]
    assert result.histories[0].iterations == ({"accuracy": 0.25}, {"accuracy": 0.5})


def test_dials_of_some_folds_only_are_left_out_with_a_note() -> None:
    class Fitful(FirstK):
        name = "fitful"

        def fit(self, table: ResponseTable, *, rng: np.random.Generator) -> Self:
            first = str(table.query_ids[0]) == "synthetic-00000"
            self.dials = (1.0, 2.5) if first else (1.0, 3.0)
            return super().fit(table, rng=rng)

    result = run_bench(make_table(), [Fitful()], FAST)
    assert [point.dial for point in result.frontiers["fitful"]] == [1.0]
    assert set(result.per_query["dial"].to_pylist()) == {None, 1.0}
    note = "fitful: dials offered in some folds only are left out: 2.5, 3"
    assert note in result.notes


def test_unmet_needs_and_refusals_are_listed_with_their_reason() -> None:
    class Sampled(FirstK):
        name = "sampled"
        needs: ClassVar[frozenset[Need]] = frozenset({Need.SAMPLES})

    class Picky(FirstK):
        name = "picky"

        def fit(self, table: ResponseTable, *, rng: np.random.Generator) -> Self:
            raise NotApplicable("needs 1000 training queries")

    result = run_bench(make_table(), [Picky(), Sampled()], FAST)
    assert result.not_applicable == {
        "picky": "needs 1000 training queries",
        "sampled": Need.SAMPLES.value,
    }
    assert [row.strategy for row in result.rows] == ["oracle", "best-single"]


@pytest.mark.parametrize("error", [RecordError, ZeroDivisionError])
def test_a_failing_job_is_named(error: type[Exception]) -> None:
    class Broken(FirstK):
        name = "broken"

        def fit(self, table: ResponseTable, *, rng: np.random.Generator) -> Self:
            raise error("no luck")

    with pytest.raises(error) as caught:
        run_bench(make_table(), [Broken()], FAST)
    said = f"{caught.value} {caught.value.__notes__}"
    assert "broken, fold 0, seed 0" in said
    assert "no luck" in said
    if error is RecordError:
        assert str(caught.value) == "broken, fold 0, seed 0: no luck"


def test_nothing_of_the_test_fold_reaches_fit() -> None:
    seen: list[set[str]] = []

    class Spy(FirstK):
        name = "spy"

        def fit(self, table: ResponseTable, *, rng: np.random.Generator) -> Self:
            seen.append(set(table.query_ids.tolist()))
            return super().fit(table, rng=rng)

    result = run_bench(make_table(), [Spy()], FAST)
    for row in result.per_query.to_pylist():
        if row["strategy"] == "spy":
            assert row["query_id"] not in seen[row["fold"]]


def test_progress_is_told_before_the_first_and_after_every_job() -> None:
    told: list[tuple[int, int, str]] = []
    run_bench(make_table(), ["random"], FAST, on_progress=lambda *args: told.append(args))
    assert told[0] == (0, 9, "")
    assert [done for done, _, _ in told] == list(range(10))
    assert told[1][2] == "random, fold 0, seed 0"


def test_names_and_folds_are_checked_before_any_job() -> None:
    told: list[object] = []
    for strategies, protocol in ((["rndom"], FAST), (["random"], EvalProtocol(n_folds=99))):
        with pytest.raises(ConfigError):
            run_bench(
                make_table(), strategies, protocol, on_progress=lambda *args: told.append(args)
            )
    assert told == []


def test_source_split_tests_its_test_side_alone() -> None:
    split = np.where(np.arange(90) < 60, "train", "test")
    table = dataclasses.replace(make_table(), split=split)
    result = run_bench(table, ["random"], EvalProtocol(use_split=True))
    assert result.tested == {"n_queries": 30, "n_groups": 30}
    assert set(result.per_query["query_id"].to_pylist()) == set(table.query_ids[60:].tolist())


def changed(table: ResponseTable, answer: np.ndarray) -> ResponseTable:
    support = (answer[:, :, None] == np.arange(table.n_candidates)).astype(np.float32)
    return dataclasses.replace(table, answer=answer.astype(np.int16), support=support)


def test_equal_members_leave_no_gap_to_close() -> None:
    table = make_table(40)
    result = run_bench(changed(table, np.repeat(table.answer[:, :1], 3, axis=1)), SINGLE, FAST)
    for row in result.rows:
        assert row.oracle_gap_closed is None
        assert row.gain_ci == (0, 0)
        assert row.verdict in ("bound", "reference", "no difference")


def test_a_member_that_never_answers_scores_nothing() -> None:
    table = make_table(40)
    answer = table.answer.copy()
    answer[:, 2] = -1
    result = run_bench(changed(table, answer), SINGLE, dataclasses.replace(FAST, n_seeds=4))
    silent = [row for row in result.per_query.to_pylist() if row["asked"] == [2]]
    assert silent
    assert {(row["score"], row["answer"], row["confidence"]) for row in silent} == {(0, None, 0)}


def test_two_queries_in_two_folds_end_with_a_warning() -> None:
    result = run_bench(make_table(2), SINGLE, dataclasses.replace(FAST, n_folds=2))
    assert len(result.rows) == 4
    assert any("only 2 distinct prompts" in note for note in result.notes)


def test_fractional_scores_are_averaged() -> None:
    table = make_table(40)
    table = dataclasses.replace(table, candidate_score=table.candidate_score * np.float32(0.3))
    result = run_bench(table, SINGLE, FAST)
    assert result.rows[0].accuracy == pytest.approx(
        table.member_score.max(axis=1).mean(dtype=float), abs=1e-6
    )


def degenerate(what: str) -> ResponseTable:
    table = make_table(24)
    answer = table.answer.copy()
    if what == "all members equal":
        return changed(table, np.repeat(answer[:, :1], 3, axis=1))
    if what == "nobody ever answers":
        return changed(table, np.full_like(answer, -1))
    assert what == "only scores"
    return dataclasses.replace(table, kind=np.full(24, CandidateKind.RESPONSES, np.int8))


@pytest.mark.parametrize("what", ["all members equal", "nobody ever answers", "only scores"])
def test_every_baseline_ends_on_degenerate_data(what: str) -> None:
    protocol = EvalProtocol(n_folds=2, n_resamples=100)
    result = run_bench(degenerate(what), ["baselines"], protocol)
    shown = {row.strategy for row in result.rows}
    assert shown | set(result.not_applicable) == set(resolve(["baselines"]))
    if what == "only scores":
        assert "plurality" in result.not_applicable
        assert "best-single" in shown


def test_stand_ins_are_noted() -> None:
    def fitted(fold: int, acting: Acting | None) -> JobResult:
        return JobResult(Job("rl-focal", fold, 0), (), 0.0, 0.0, (), acting=acting)

    learned = Acting("learned", "it did best", stands_in=False)
    other = Acting("best-single", "it did better", stands_in=True)
    assert _stand_ins([fitted(0, learned), fitted(1, None)]) == []
    (note,) = _stand_ins([fitted(0, learned), fitted(1, other), fitted(2, other)])
    assert note.startswith("rl-focal: at its default dial 2 of 3 fits let best-single act")


# Strategies of one's own --------------------------------------------------------------------------


def test_an_own_strategy_stands_beside_those_with_a_name() -> None:
    own = FirstK()
    result = run_bench(make_table(), ["plurality", own], FAST)
    assert {row.strategy for row in result.rows} == {
        "oracle", "best-single", "plurality", "first-k",
    }  # fmt: skip
    (row,) = (row for row in result.rows if row.strategy == "first-k")
    assert row.mean_calls == 2
    assert not row.learned


def test_a_strategy_given_as_object_does_what_it_does_by_name() -> None:
    named = run_bench(make_table(), ["weighted-vote", "random"], FAST)
    given = run_bench(make_table(), [create("weighted-vote"), create("random")], FAST)
    assert given.per_query.equals(named.per_query)


def test_every_job_fits_a_copy_of_its_own() -> None:
    fits: list[FirstK] = []

    class Spy(FirstK):
        name = "spy"

        def fit(self, table: ResponseTable, *, rng: np.random.Generator) -> Self:
            fits.append(self)
            self.table_ = table
            return self

    own = Spy()
    run_bench(make_table(), [own], FAST)
    assert len({id(one) for one in fits}) == 3
    assert not hasattr(own, "table_")


@pytest.mark.slow
def test_an_own_strategy_goes_to_other_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2]))  # where they find its class
    here = run_bench(make_table(), [FirstK()], FAST)
    there = run_bench(make_table(), [FirstK()], FAST, executor=ProcessExecutor(2))
    assert there.per_query.equals(here.per_query)


class Nameless(OneRound):
    first = fuse = fit = lambda self, *_, **__: self


class NoDecide(Base):
    name = "no-decide"

    def fit(self, table: ResponseTable, *, rng: np.random.Generator) -> Self:
        return self


class NoBase:
    name = "no-base"


@pytest.mark.parametrize(
    ("strategies", "message"),
    [
        ([NoBase()], "NoBase is no strategy; derive its class from rlfocal.deliberation.base.Base"),
        ([FirstK], r"FirstK is a class; give an object of it: FirstK\(\)"),
        ([Nameless()], "Nameless has no name"),
        ([NoDecide()], r"strategy 'no-decide' \(NoDecide\) lacks decide"),
        ([FirstK(), FirstK()], "two strategies are named 'first-k'"),
        (["weighted-vote", create("weighted-vote")], "two strategies are named 'weighted-vote'"),
        ([create("weighted-vote"), "all"], "two strategies are named 'weighted-vote'"),
        ([create("best-single")], "'best-single' is run by itself"),
    ],
)
def test_what_is_no_strategy_is_refused_before_any_job(strategies: Any, message: str) -> None:
    told: list[object] = []
    with pytest.raises(ConfigError, match=message):
        run_bench(make_table(), strategies, FAST, on_progress=lambda *args: told.append(args))
    assert told == []


def test_a_fit_that_returns_nothing_is_named() -> None:
    class Forgetful(FirstK):
        name = "forgetful"

        def fit(self, table: ResponseTable, *, rng: np.random.Generator) -> Self:
            return None  # type: ignore[return-value]

    with pytest.raises(ConfigError, match="forgetful, fold 0, seed 0: fit returned None"):
        run_bench(make_table(), [Forgetful()], FAST)


# What serves a row --------------------------------------------------------------------------------


def test_each_row_says_what_trains_and_serves_it() -> None:
    result = run_bench(make_table(), ["plurality", FirstK()], FAST, data="my data --members a,b")
    command = {row["strategy"]: row["command"] for row in result.to_json()["rows"]}
    assert command["oracle"] is None
    assert command["first-k"] is None
    assert command["plurality"] == (
        "rlfocal train my data --members a,b --strategy plurality -o CHECKPOINT "
        "&& rlfocal serve CHECKPOINT POOL.toml"
    )
    unknown = run_bench(make_table(), ["plurality"], FAST).to_json()["rows"]
    assert all(
        r["command"] is None or r["command"].startswith("rlfocal train DATA ") for r in unknown
    )


def test_the_command_line_takes_what_a_row_says() -> None:
    result = run_bench(make_table(), ["random"], FAST, data="demo --pool all --complete")
    (command,) = (row.command for row in result.rows if row.strategy == "random")
    assert command is not None
    verbs = get_command(app)
    for part in command.split(" && "):
        _, verb, *words = shlex.split(part)
        context = click.Context(verbs)
        found = verbs.get_command(context, verb)  # type: ignore[attr-defined]
        assert found.make_context(verb, words, parent=context).params
