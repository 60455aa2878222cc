"""rlfocal in Python: from recorded answers to a checkpoint to answers of live members."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import numpy as np
import pytest
from demo_pool import demo_pool

import rlfocal
from rlfocal.deliberation.replay import replay
from rlfocal.pool.stub import StubServer

Asked = tuple[Path, StubServer]


@pytest.fixture(scope="module")
def checkpoint() -> rlfocal.Checkpoint:
    return rlfocal.train("demo", "agreement")


@pytest.fixture
def pool(tmp_path: Path) -> Iterator[Asked]:
    with demo_pool(tmp_path) as served:
        yield served


class First(rlfocal.OneRound):
    """Asks the first member alone."""

    name = "first"

    def fit(self, table: rlfocal.ResponseTable, *, rng: np.random.Generator) -> Self:
        return self

    def first(self, view: rlfocal.View) -> np.ndarray:
        return np.arange(view.asked.shape[1])[None] == np.zeros((len(view), 1))

    def fuse(self, view: rlfocal.View) -> np.ndarray:
        return view.support.sum(axis=1)


def test_a_folder_a_data_set_and_a_table_give_the_same_figures(tmp_path: Path) -> None:
    data = rlfocal.demo_dataset()
    rlfocal.write_dataset(data, tmp_path / "mine")
    found = [
        {row.strategy: row.accuracy for row in rlfocal.benchmark(one, "plurality", folds=2).rows}
        for one in (data, str(tmp_path / "mine"), tmp_path / "mine", rlfocal.read_table(data))
    ]
    assert found[0].keys() == {"oracle", "plurality", "best-single"}
    assert all(one == found[0] for one in found)


def test_tasks_are_hidden_as_on_the_command_line() -> None:
    both = rlfocal.benchmark("demo", "best-single-per-task", folds=2, tasks="both")
    hidden = rlfocal.benchmark("demo", "best-single-per-task", folds=2, tasks="hidden")
    assert both.hidden is not None
    assert both.hidden.per_query.equals(hidden.per_query)
    assert {row.strategy for row in both.rows if row.hidden is not None} == {
        "best-single", "best-single-per-task", "oracle",
    }  # fmt: skip
    made = rlfocal.train("demo", "best-single-per-task")
    found = rlfocal.evaluate(made, "demo", tasks="hidden")
    assert found.tasks == "hidden"
    assert found.accuracy == pytest.approx(found.best_single_accuracy)
    assert "tasks hidden" in str(found)
    with pytest.raises(rlfocal.ConfigError, match="given or hidden"):
        rlfocal.evaluate(made, "demo", tasks="both")  # type: ignore[arg-type]


def test_own_strategies_are_compared_beside_named_ones() -> None:
    result = rlfocal.benchmark("demo", [First(), "best-single"], folds=2)
    rows = {row.strategy: row for row in result.rows}
    assert rows["first"].mean_calls == 1
    assert rows["first"].accuracy <= rows["best-single"].accuracy


def test_members_and_costs_are_chosen_when_a_table_is_made() -> None:
    table = rlfocal.read_table("demo", members=["model-2", "model-5"], cost="call")
    assert table.members == ("model-2", "model-5")
    assert table.cost_unit == "call"
    with pytest.raises(rlfocal.ConfigError, match="chosen when it is built"):
        rlfocal.read_table(table, members=["model-2"])


def test_what_was_trained_is_written_and_read_again(tmp_path: Path) -> None:
    folder = tmp_path / "ensemble"
    made = rlfocal.train("demo", rlfocal.Agreement(threshold=0.9), output=folder, seed=3)
    read = rlfocal.load(str(folder))
    assert made.strategy.spec == read.strategy.spec
    assert read.strategy.spec.settings["threshold"] == 0.9
    assert read.description.seed == 3
    assert read.description.n_training_queries == 1920
    table = rlfocal.read_table("demo")
    assert int(read.was_trained_on(table).sum()) == 1920  # a fifth of 2,400 is held out
    whole = rlfocal.train("demo", "plurality", holdout=0)
    assert whole.was_trained_on(table).all()
    np.testing.assert_array_equal(
        rlfocal.replay(made.strategy, table).chosen, rlfocal.replay(read.strategy, table).chosen
    )


def test_a_checkpoint_is_measured_on_what_it_has_not_seen() -> None:
    table = rlfocal.read_table("demo")
    made = rlfocal.train(table.take(np.arange(0, table.n_queries, 2)), "agreement")
    again = made.table(rlfocal.demo_dataset())
    seen = made.was_trained_on(again)
    assert 0 < seen.sum() <= table.n_queries // 2
    found = rlfocal.evaluate(made, "demo")
    assert (found.n_queries, found.queries_left_out) == ((~seen).sum(), seen.sum())
    outcome = rlfocal.replay(made.strategy, again.take(~seen))
    assert found.accuracy == pytest.approx(float(outcome.score.mean()))
    assert found.mean_calls == pytest.approx(float(outcome.n_calls.mean()))
    assert rlfocal.evaluate(made, "demo", include_trained=True).n_queries == table.n_queries


def test_one_query_is_explained_as_it_is_replayed(checkpoint: rlfocal.Checkpoint) -> None:
    table = checkpoint.table(rlfocal.demo_dataset())
    outcome = rlfocal.replay(checkpoint.strategy, table)
    for row in range(3):
        found = rlfocal.explain(checkpoint, "demo", str(table.query_ids[row]))
        assert found.score == outcome.score[row]
        assert len(found.trace.rounds) == outcome.n_rounds[row]
        assert found.trace.confidence == pytest.approx(float(outcome.confidence[row]), abs=1e-6)
    with pytest.raises(rlfocal.ConfigError, match="no query 'nobody'"):
        rlfocal.explain(checkpoint, "demo", "nobody")


def test_members_are_described_as_on_the_command_line() -> None:
    found = rlfocal.inspect("localpool")
    table = rlfocal.read_table("localpool")
    assert [row.accuracy for row in found.members] == table.member_accuracy.tolist()
    some = rlfocal.independence("localpool", members=["qwen-1.5b-steps", "qwen-0.5b"])
    assert some.members == ("qwen-1.5b-steps", "qwen-0.5b")
    with pytest.raises(rlfocal.ConfigError, match=r"size must lie in 2\.\.7, got 8"):
        rlfocal.independence("localpool", size=8)


def test_a_file_with_one_table_is_data(tmp_path: Path) -> None:
    rows = [f"{i}+{i}=,{2 * i},{2 * i},{2 * i + i % 2}" for i in range(40)]
    path = tmp_path / "answers.csv"
    path.write_text("\n".join(["prompt,label,gpt,llama", *rows]), "utf-8")
    table = rlfocal.read_table(str(path))
    assert (table.name, table.members) == ("answers", ("gpt", "llama"))
    assert table.member_accuracy.tolist() == [1.0, 0.5]


def test_messages_name_arguments_where_the_command_line_has_options(tmp_path: Path) -> None:
    made = rlfocal.train("demo", "plurality", holdout=0)
    with pytest.raises(
        rlfocal.ConfigError, match=r"nothing honest.*include_trained= shows"
    ) as told:
        rlfocal.evaluate(made, "demo")
    assert "--" not in str(told.value)
    path = tmp_path / "answers.csv"
    path.write_text("a,b\n1,2\n", "utf-8")
    with pytest.raises(rlfocal.RecordError, match=r'answers\.csv: .*column=\{"prompt": "COLUMN"\}'):
        rlfocal.inspect(path)


def test_names_that_are_nearly_right_and_things_of_the_wrong_kind_are_named() -> None:
    with pytest.raises(rlfocal.RecordError, match="did you mean the built-in 'localpool'"):
        rlfocal.read_table("localpol")
    with pytest.raises(rlfocal.ConfigError, match="int is neither a name nor"):
        rlfocal.train("demo", 3)  # type: ignore[arg-type]
    table = rlfocal.read_table("demo")
    with pytest.raises(AttributeError, match=r"this Agreement is not fitted.*rlfocal\.train"):
        rlfocal.replay(rlfocal.Agreement(), table)
    with pytest.raises(AttributeError, match="'Agreement' object has no attribute 'treshold'"):
        rlfocal.Agreement().treshold  # type: ignore[attr-defined]  # noqa: B018
    result = rlfocal.benchmark(table, "plurality", folds=2)
    with pytest.raises(ValueError, match=r"by='dollars'.*calls, usd"):
        rlfocal.advise(result, by="dollars")  # type: ignore[arg-type]


def test_a_table_where_a_data_set_is_needed_and_the_reverse_are_named() -> None:
    data = rlfocal.demo_dataset()
    with pytest.raises(rlfocal.ConfigError, match="ResponseTable does not do here"):
        rlfocal.inspect(rlfocal.read_table(data))
    with pytest.raises(rlfocal.ConfigError, match=r"not a Dataset; rlfocal\.benchmark takes"):
        rlfocal.run_bench(data, "plurality")  # type: ignore[arg-type]


def test_settings_are_checked_before_anything_is_read() -> None:
    with pytest.raises(rlfocal.ConfigError, match="unknown setting 'treshold'; did you mean"):
        rlfocal.train("no such folder", "agreement", settings={"treshold": 0.9})
    with pytest.raises(rlfocal.ConfigError, match="did you mean 'agreement'"):
        rlfocal.train("no such folder", "agrement")


@pytest.mark.parametrize("seed", [-1, 1.5, None])
def test_a_seed_that_is_none_is_named_before_anything_is_read(seed: Any) -> None:
    with pytest.raises(rlfocal.ConfigError, match="seed must be a whole number"):
        rlfocal.train("no such folder", "topla", seed=seed)
    with pytest.raises(rlfocal.ConfigError, match="seed must be a whole number"):
        rlfocal.independence("no such folder", seed=seed)


def test_what_cannot_be_trained_on_these_data_is_said_as_documented() -> None:
    rows = [{"prompt": "The same?", "label": "7", "a": "7", "b": str(n % 2 + 6)} for n in range(60)]
    for name in ("rl-focal", "posterior-threshold", "rl-focal-paper", "best-of"):
        with pytest.raises(rlfocal.NotApplicable):
            rlfocal.train(rows, name, holdout=0)
    with pytest.raises(rlfocal.ConfigError, match="n_calls must lie in"):
        rlfocal.train(rows, "routed-vote", settings={"n_calls": 9}, holdout=0)


def test_one_question_opens_the_members_and_closes_them(
    checkpoint: rlfocal.Checkpoint, pool: Asked
) -> None:
    ensemble = rlfocal.Ensemble(checkpoint, pool[0])
    answer = ensemble.ask("Which is a fish?", ["a wren", "a trout", "an oak"])
    assert (answer.answer, answer.text) == ("B", "a trout")
    assert ensemble.ask("And now?", ["a wren", "a trout"]).answer == "B"


def test_inside_a_block_members_stay_open(checkpoint: rlfocal.Checkpoint, pool: Asked) -> None:
    with rlfocal.Ensemble(checkpoint, pool[0]) as ensemble:
        first, second = (ensemble.ask(f"{n} + 2 =", task="x").text for n in range(2))
    assert first == second == "The answer is (B)."


def test_questions_are_of_one_stream_within_a_block_and_without(pool: Asked) -> None:
    # It asks one that the place in the stream decides.
    checkpoint = rlfocal.train("demo", "random", holdout=0)
    ensemble = rlfocal.Ensemble(checkpoint, pool[0])
    choices = ["a wren", "a trout"]
    asked = [ensemble.ask("Which is a fish?", choices).trace.calls[0].member for _ in range(6)]
    with ensemble:
        asked += [ensemble.ask("Which?", choices).trace.calls[0].member for _ in range(6)]
    places = np.arange(12)
    table = checkpoint.table(rlfocal.demo_dataset()).take(places)
    expected = replay(checkpoint.strategy, table).asked.argmax(axis=1)
    assert asked == [checkpoint.description.members[n] for n in expected]
    assert len(set(asked)) > 1


def test_from_asynchronous_code_many_at_once(checkpoint: rlfocal.Checkpoint, pool: Asked) -> None:
    async def act() -> list[rlfocal.Answer]:
        async with rlfocal.Ensemble(checkpoint, rlfocal.Pool(pool[0])) as ensemble:
            choices = ["a wren", "a trout"]
            return await asyncio.gather(*(ensemble.aask(f"Q{n}?", choices) for n in range(8)))

    assert [answer.answer for answer in asyncio.run(act())] == ["B"] * 8


def test_questions_at_once_without_a_block_do_not_close_each_others_members(
    checkpoint: rlfocal.Checkpoint, pool: Asked
) -> None:
    async def act() -> list[rlfocal.Answer]:
        ensemble = rlfocal.Ensemble(checkpoint, pool[0])
        return await asyncio.gather(*(ensemble.aask(f"Q{n}?", ["a", "b"]) for n in range(4)))

    assert [answer.answer for answer in asyncio.run(act())] == ["B"] * 4


def test_plain_calls_work_where_an_event_loop_runs(
    checkpoint: rlfocal.Checkpoint, pool: Asked
) -> None:
    async def notebook() -> str:
        return rlfocal.Ensemble(checkpoint, pool[0]).ask("Which?", ["a", "b"]).answer

    assert asyncio.run(notebook()) == "B"


def test_the_two_ways_are_not_mixed(checkpoint: rlfocal.Checkpoint, pool: Asked) -> None:
    with (
        rlfocal.Ensemble(checkpoint, pool[0]) as ensemble,
        pytest.raises(RuntimeError, match="inside `with` use ask"),
    ):
        asyncio.run(ensemble.aask("Which?", ["a", "b"]))

    async def act() -> None:
        async with rlfocal.Ensemble(checkpoint, pool[0]) as ensemble:
            with pytest.raises(RuntimeError, match=r"await ensemble\.aask"):
                ensemble.ask("Which?", ["a", "b"])

    asyncio.run(act())


def test_members_that_the_pool_lacks_are_named_at_once(
    checkpoint: rlfocal.Checkpoint, pool: Asked
) -> None:
    text = pool[0].read_text("utf-8")
    pool[0].write_text(text.replace('"model-3"', '"modell-3"'), "utf-8")
    assert "modell-3" in rlfocal.Pool(pool[0]).members
    with pytest.raises(rlfocal.ConfigError, match=r"'model-3'.*did you mean 'modell-3'"):
        rlfocal.Ensemble(checkpoint, pool[0])


def test_nobody_answers_is_an_error_and_leaves_nothing_open(
    checkpoint: rlfocal.Checkpoint, tmp_path: Path
) -> None:
    with demo_pool(tmp_path, said="I do not know.") as (path, _):
        ensemble = rlfocal.Ensemble(checkpoint, path)
        with pytest.raises(rlfocal.NobodyAnswered):
            ensemble.ask("Which?", ["a", "b"])
