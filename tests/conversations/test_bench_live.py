"""`rlfocal bench --live`: benched beside what was collected, and benched again for nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from rlfocal.cli.main import main
from rlfocal.pool.stub import StubServer, StubThread

N_QUERIES = 40
MEMBERS = ("ann", "bob", "cid")
PROMPTS = [f"What is {k} plus {k}?" for k in range(N_QUERIES)]
ALL = ("moa", "smoa", "smoa-released", "dylan", "dylan-released", "topla-summary", "self-refine",
       "best-of-n-judge")  # fmt: skip
FAST = ["--strategies", "plurality", "--folds", "2", "--no-features"]


def says(body: Mapping[str, Any]) -> str:
    """Alone ann is always right, bob and cid half of the time; whoever reads says 1000."""
    text = body["messages"][-1]["content"]
    if text not in PROMPTS:
        return "It is 1000."
    k = PROMPTS.index(text)
    wrong = {"ann": False, "bob": k % 2 == 0, "cid": k % 3 == 0}[body["model"]]
    return f"It is {2 * k + wrong}."


@pytest.fixture
def stub() -> Iterator[StubServer]:
    with StubThread(StubServer(says, models=MEMBERS)) as served:
        yield served


@pytest.fixture
def folder(tmp_path: Path, stub: StubServer) -> Path:
    """A pool file, queries, and what was collected and exported."""
    members = "".join(
        f'[[members]]\nname = "{name}"\nmodel = "{name}"\nendpoint = "stub"\n'
        f"max_tokens = 20\n[prices.{name}]\nprompt = 1.0\ncompletion = 2.0\n"
        for name in MEMBERS
    )
    file = tmp_path / "pool.toml"
    file.write_text(f'[endpoints.stub]\nbase_url = "{stub.base_url}"\nattempts = 1\n{members}')
    with (tmp_path / "queries.jsonl").open("w") as lines:
        for k, prompt in enumerate(PROMPTS):
            # Every fourth label is what only a reader says.
            label = "1000" if k % 4 == 0 else str(2 * k)
            row = {"query_id": f"q{k}", "prompt": prompt, "label": label}
            lines.write(json.dumps(row) + "\n")
    db = str(tmp_path / "answers.db")
    assert run(["collect", str(file), str(tmp_path / "queries.jsonl"), "--db", db, "--json"]) == 0
    assert run(["export", db, "-o", str(tmp_path / "data")]) == 0
    return tmp_path


def run(args: Sequence[str]) -> int | str | None:
    with pytest.raises(SystemExit) as left:
        main(args)
    return left.value.code


def bench(folder: Path, *more: str, code: int = 0) -> dict[str, Any]:
    """The JSON of a bench of the folder with conversations."""
    out = folder / "bench.json"
    args = ["bench", str(folder / "data"), "--live", str(folder / "pool.toml"), "--json", str(out)]
    assert run([*args, "--db", str(folder / "answers.db"), *FAST, *more]) == code
    found: dict[str, Any] = json.loads(out.read_text())
    return found


def without_seconds(found: dict[str, Any]) -> dict[str, Any]:
    for row in found["rows"]:
        del row["fit_s"], row["replay_s"]
    return found


def test_conversations_stand_beside_strategies_and_a_second_bench_makes_no_call(
    folder: Path, stub: StubServer, capsys: pytest.CaptureFixture[str]
) -> None:
    n_collected = len(stub.bodies)
    found = bench(folder, "--max-usd", "1")
    rows = {row["strategy"]: row for row in found["rows"]}
    assert set(ALL) < rows.keys()
    assert found["not_applicable"] == {}
    moa = rows["moa"]
    # 1000 is no recorded candidate: it is graded by the label all the same.
    assert moa["accuracy"] == pytest.approx(0.25)
    assert moa["accuracy_ci"][0] < 0.25 < moa["accuracy_ci"][1]
    assert (moa["mean_calls"], moa["mean_rounds"]) == (4.0, 2.0)
    assert moa["command"] is None
    live = {each["strategy"]: each for each in found["live"]}
    assert list(live) == [row["strategy"] for row in found["rows"]]
    assert live["moa"]["live"]
    assert not live["plurality"]["live"]
    for name in ("moa", "plurality"):
        low, high = live[name]["tokens_ci"]
        assert low <= live[name]["mean_tokens"] <= high
        assert live[name]["mean_s"] > 0
    assert live["moa"]["mean_usd"] == pytest.approx(moa["mean_cost_usd"], rel=1e-5)
    assert live["moa"]["mean_usd"] > 2 * live["plurality"]["mean_usd"]
    n_first = len(stub.bodies)
    proposals = [b for b in stub.bodies[n_collected:] if len(b["messages"]) == 1
                 and b["messages"][0]["content"] in PROMPTS and not b["temperature"]]  # fmt: skip
    assert proposals == []  # collected before, and not paid again
    capsys.readouterr()
    again = bench(folder, "--max-usd", "1")
    assert len(stub.bodies) == n_first
    assert without_seconds(again) == without_seconds(found)
    assert "conversations: 0 calls made" in capsys.readouterr().err


def test_a_table_shows_tokens_seconds_and_dollars(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    args = ["bench", str(folder / "data"), "--live", str(folder / "pool.toml"), *FAST]
    db = ["--db", str(folder / "answers.db")]
    assert run([*args, *db, "--max-usd", "1", "--conversations", "moa"]) == 0
    out = capsys.readouterr().out
    beside = out[out.index("What a query takes beside calls") :]
    assert "moa (live)" in beside
    assert "tokens" in beside
    assert "seconds" in beside


def test_a_report_shows_conversations_and_holds_transcripts(folder: Path) -> None:
    bench(folder, "--max-usd", "1", "--conversations", "moa,self-refine", "--report",
          str(folder / "report"))  # fmt: skip
    page = (folder / "report" / "index.html").read_text()
    assert "<h3>Beside calls</h3>" in page
    assert "self-refine (live)" in page
    assert "| moa (live) |" in (folder / "report" / "leaderboard.md").read_text()
    lines = (folder / "report" / "talks.jsonl").read_text().splitlines()
    talks = [json.loads(line) for line in lines]
    assert len(talks) == 2 * N_QUERIES
    assert {talk["query_id"] for talk in talks} == {f"q{k}" for k in range(N_QUERIES)}
    first = talks[0]
    assert sorted(turn["speaker"] for turn in first["turns"]) == ["aggregator", *MEMBERS]
    assert (first["turns"][0]["member"], first["turns"][-1]["member"]) == ("ann", "ann")
    assert first["turns"][-1]["messages"][-1]["role"] == "user"
    from rlfocal.bench import BenchResult

    result = BenchResult.read(folder / "report")
    own = result.per_query.filter(
        [name == "moa" for name in result.per_query["strategy"].to_pylist()]
    )
    assert set(own["answer"].to_pylist()) == {"1000"}
    assert result.live[0].strategy == result.rows[0].strategy


@pytest.mark.slow
def test_a_dry_run_says_what_it_may_cost_and_asks_nobody(
    folder: Path, stub: StubServer, capsys: pytest.CaptureFixture[str]
) -> None:
    n_before = len(stub.bodies)
    estimate = bench(folder, "--dry-run")
    assert len(stub.bodies) == n_before
    assert estimate["n_calls"] > 0
    assert 0 < estimate["cost_usd"] < estimate["most_usd"]
    bench(folder, "--max-usd", "1")
    assert len(stub.bodies) - n_before <= estimate["n_calls"]
    assert bench(folder, "--dry-run")["n_calls"] == 0


def test_a_dry_run_names_members_whose_prices_nobody_knows(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pool = folder / "pool.toml"
    pool.write_text(pool.read_text().replace("[prices.", "[prices.no-"))
    args = ["bench", str(folder / "data"), "--live", str(pool), "--cost", "call", *FAST]
    args += ["--db", str(folder / "answers.db"), "--conversations", "moa", "--dry-run"]
    assert run(args) == 0
    out = capsys.readouterr().out
    [line] = [line for line in out.splitlines() if line.startswith("unpriced members")]
    assert line.split()[2:] == ["ann"]  # who aggregates: what the others said is stored
    assert run([*args, "--json", "-"]) == 0
    assert json.loads(capsys.readouterr().out)["unpriced"] == ["ann"]


def test_members_that_cost_money_need_a_limit(
    folder: Path, stub: StubServer, capsys: pytest.CaptureFixture[str]
) -> None:
    n_before = len(stub.bodies)
    args = ["bench", str(folder / "data"), "--live", str(folder / "pool.toml"), *FAST]
    assert run([*args, "--db", str(folder / "answers.db")]) == 2
    said = capsys.readouterr().err
    assert "--max-usd is missing: ann, bob, cid cost money" in said
    assert len(stub.bodies) == n_before


def test_a_limit_is_kept_and_ends_whole_conversations(
    folder: Path, stub: StubServer, capsys: pytest.CaptureFixture[str]
) -> None:
    found = bench(folder, "--max-usd", "0.003", "--conversations", "topla-summary,moa", code=3)
    assert "topla-summary" in found["not_applicable"] or "moa" in found["not_applicable"]
    assert "--max-usd 0.003" in str(found["not_applicable"])
    said = capsys.readouterr().err
    cost = float(said.split("failed, $")[1].split(")")[0].split(",")[0])
    assert 0 < cost <= 0.003
    whole = bench(folder, "--max-usd", "1", "--conversations", "topla-summary,moa")
    assert whole["not_applicable"] == {}


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--conversations", "mao"], "unknown conversation 'mao'; did you mean 'moa'"),
        (["--scenario", "all"], "leave --live out"),
    ],
)
def test_what_does_not_go_together(
    folder: Path, more: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    args = ["bench", str(folder / "data"), "--live", str(folder / "pool.toml"), *more]
    assert run([*args, "--max-usd", "1"]) == 2
    assert said in capsys.readouterr().err


def test_options_of_live_go_with_it_alone(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["bench", "demo", "--max-usd", "1", "--dry-run"]) == 2
    assert "--max-usd, --dry-run goes with --live POOL.toml alone" in capsys.readouterr().err


def test_the_advice_names_nothing_that_cannot_be_served(
    folder: Path, stub: StubServer, capsys: pytest.CaptureFixture[str]
) -> None:
    def right(body: Mapping[str, Any]) -> str:
        k = next(k for k, prompt in enumerate(PROMPTS) if prompt in body["messages"][-1]["content"])
        return f"It is {1000 if k % 4 == 0 else 2 * k}."

    stub._answer = right
    args = ["bench", str(folder / "data"), "--live", str(folder / "pool.toml"), *FAST]
    db = ["--db", str(folder / "answers.db"), "--max-usd", "1", "--conversations", "moa"]
    assert run([*args, *db]) == 0
    out = capsys.readouterr().out
    assert "moa          100.0" in out
    assert "Use your best single model, ann" in out


def test_hidden_tasks_and_costs_in_seconds(folder: Path) -> None:
    found = bench(
        folder, "--max-usd", "1", "--conversations", "moa", "--tasks", "both", "--cost", "second"
    )
    rows = {row["strategy"]: row for row in found["rows"]}
    hidden = {row["strategy"]: row for row in found["hidden"]["rows"]}
    assert rows["moa"]["accuracy"] == hidden["moa"]["accuracy"]
    assert rows["moa"]["hidden"]["lost"] == 0
    assert rows["moa"]["mean_cost_usd"] is None
    live = next(each for each in found["live"] if each["strategy"] == "moa")
    assert live["mean_usd"] > 0
    assert len(found["hidden"]["live"]) == len(found["live"])


def test_data_in_dollars_need_prices_of_those_who_talk(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = folder / "pool.toml"
    file.write_text(file.read_text().replace("[prices.bob]\nprompt = 1.0\ncompletion = 2.0\n", ""))
    args = ["bench", str(folder / "data"), "--live", str(file), *FAST]
    assert run([*args, "--db", str(folder / "answers.db")]) == 2
    assert "nobody knows what these members cost: bob" in capsys.readouterr().err
    assert run([*args, "--db", str(folder / "answers.db"), "--max-usd", "1"]) == 2
    assert "--max-usd: nobody knows what these members cost: bob" in capsys.readouterr().err


def test_members_that_read_others_take_no_part(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = folder / "pool.toml"
    reader = 'reads = ["ann", "bob"]\nreading = "judge"\n'
    file.write_text(
        file.read_text()
        + f'[[members]]\nname = "judge"\nmodel = "ann"\nendpoint = "stub"\n{reader}'
    )
    args = ["bench", str(folder / "data"), "--live", str(file), *FAST, "--conversations", "moa"]
    assert run([*args, "--db", str(folder / "answers.db"), "--max-usd", "1"]) == 0
    told = capsys.readouterr()
    assert "judge read others, and take no part in conversations" in told.err
    assert "held live, with ann, bob, cid, once" in told.out


def test_what_was_not_measured_took_nothing(folder: Path) -> None:
    """Its dollars and seconds beside calls are those of the leaderboard's queries."""
    file = folder / "data" / "responses.parquet"
    rows = pq.read_table(file)
    lost = pc.and_(
        pc.equal(rows["member"], "ann"), pc.is_in(rows["query_id"], pa.array(["q1", "q2", "q3"]))
    )
    pq.write_table(rows.filter(pc.invert(lost)), file)
    found = bench(folder, "--max-usd", "1", "--conversations", "moa")
    rows_of = {row["strategy"]: row for row in found["rows"]}
    live = {row["strategy"]: row for row in found["live"]}
    assert rows_of["best-single"]["n_measured"] == N_QUERIES - 3
    for name in ("best-single", "plurality"):
        spent = rows_of[name]["mean_cost_usd"]
        assert live[name]["mean_usd"] == pytest.approx(spent, rel=1e-3)
