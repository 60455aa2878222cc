"""`rlfocal bench` end to end on data small enough to know the answer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import MakeFolder, Run

QUICK = ("--no-features", "--folds", "3")


def test_json_on_standard_output_is_all_there_is(run: Run, small: Path) -> None:
    ran = run("bench", small, *QUICK, "--strategies", "plurality,oracle", "--json", "-")
    found = json.loads(ran.out)
    assert ran.code == 0
    assert found["data"] == "small"
    assert found["members"] == ["ann", "bob", "cyd"]
    rows = {row["strategy"]: row for row in found["rows"]}
    assert rows["oracle"]["accuracy"] == 1
    assert rows["plurality"]["mean_calls"] == 3
    assert rows["plurality"]["accuracy"] == pytest.approx(9 / 12)


def test_nothing_that_was_named_can_be_compared(run: Run, small: Path) -> None:
    ran = run("bench", small, *QUICK, "--strategies", "knn-router")
    assert ran.code == 2
    assert "nothing of what was named can be compared: knn-router: the queries" in ran.err
    assert run("bench", small, *QUICK, "--strategies", "knn-router,plurality").code == 0


def test_a_page_of_somebody_else_is_told_first(run: Run, small: Path, tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("<title>mine</title>")
    ran = run("bench", small, *QUICK, "--strategies", "plurality", "--report", tmp_path)
    assert ran.code == 2
    assert "is no report of rlfocal; name another folder" in ran.err


def test_table_json_file_and_report_agree(run: Run, small: Path, tmp_path: Path) -> None:
    figures, report = tmp_path / "out" / "figures.json", tmp_path / "report"
    ran = run(
        "bench", small, *QUICK, "--strategies", "plurality", "--json", figures, "--report", report
    )
    assert ran.code == 0
    found = json.loads(figures.read_text())
    assert json.loads((report / "bench.json").read_text()) == found
    assert {"rows.parquet", "leaderboard.md", "index.html"} <= {p.name for p in report.iterdir()}
    assert str(report / "index.html") in ran.err
    assert "prompts and recorded replies are in this file" in ran.err
    assert ran.err.rstrip().endswith(f"rlfocal view {report}")
    plurality = next(row for row in found["rows"] if row["strategy"] == "plurality")
    assert f"{100 * plurality['accuracy']:.1f} [" in ran.out
    assert not list(tmp_path.rglob(".*"))  # nothing half-written is left


REPORT = (*QUICK, "--strategies", "plurality", "--report")


def test_a_report_is_replaced_only_when_told_and_before_any_work(
    run: Run, small: Path, tmp_path: Path
) -> None:
    report = tmp_path / "report"
    assert run("bench", small, *REPORT, report).code == 0
    before = {path.name: path.read_bytes() for path in report.iterdir()}
    again = run("bench", "no-such-data", *REPORT, report)
    assert again.code == 2
    assert again.err == (
        f"error: {report}: already holds a report; name a new folder, or overwrite it "
        "(--overwrite)\n"
    )
    assert {path.name: path.read_bytes() for path in report.iterdir()} == before
    told = run("bench", small, *REPORT, report, "--overwrite", "--no-questions")
    assert told.code == 0
    assert "prompts" not in told.err
    page = (report / "index.html").read_text("utf-8")
    assert "Question 3?" not in page
    assert 'id="viewer"' not in page
    assert sorted(before) == sorted(path.name for path in report.iterdir())


@pytest.mark.parametrize("name", ["thesis.tex", "index.html"])
def test_what_is_no_report_is_never_mixed_with_one(
    run: Run, small: Path, tmp_path: Path, name: str
) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / name).write_text("<title>my home page</title>", "utf-8")
    ran = run("bench", small, *REPORT, tmp_path / "mine", "--overwrite")
    assert ran.code == 2
    assert name in ran.err
    assert [path.name for path in (tmp_path / "mine").iterdir()] == [name]


def test_options_of_a_report_need_one(run: Run, small: Path) -> None:
    for option in ("--overwrite", "--no-questions"):
        ran = run("bench", small, *QUICK, option)
        assert (ran.code, "--report DIR" in ran.err) == (2, True)


@pytest.mark.slow
def test_the_same_command_prints_the_same_figures_whatever_the_jobs(run: Run, small: Path) -> None:
    def figures(*more: object) -> list[dict[str, object]]:
        found = json.loads(
            run(
                "bench", small, *QUICK, "--strategies", "random,plurality", "--seeds", 2,
                "--json", "-", *more,
            ).out
        )  # fmt: skip
        return [
            {k: v for k, v in row.items() if k not in ("fit_s", "replay_s")}
            for row in found["rows"]
        ]

    assert figures() == figures("--jobs", 2)


def test_scores_alone_select_and_list_votes_as_not_applicable(
    run: Run, make_folder: MakeFolder
) -> None:
    asked = [{"query_id": f"q{q}", "prompt": f"Sum {q}"} for q in range(12)]
    answered = [
        {"query_id": f"q{q}", "member": member, "score": float(q % 3 != shift)}
        for shift, member in enumerate(("ann", "bob"))
        for q in range(12)
    ]
    folder = make_folder(asked, answered)
    ran = run("bench", folder, *QUICK, "--strategies", "plurality,weighted-vote,random")
    assert ran.code == 0
    for name in ("plurality", "weighted-vote"):
        assert f"not applicable: {name}: only scores are recorded" in ran.out
    assert "\nrandom " in ran.out


def test_members_that_are_all_equal_gain_nothing(run: Run, make_folder: MakeFolder) -> None:
    answered = [
        {"query_id": f"q{q}", "member": member, "answer": "ABCD"[q % 2]}
        for member in ("ann", "bob", "cyd")
        for q in range(12)
    ]
    folder = make_folder(answered=answered)
    ran = run("bench", folder, *QUICK, "--strategies", "plurality,weighted-vote", "--json", "-")
    rows = {row["strategy"]: row for row in json.loads(ran.out)["rows"]}
    for row in rows.values():
        assert row["accuracy"] == pytest.approx(0.5)
        assert row["gain_over_best_single"] == 0
        assert row["oracle_gap_closed"] is None
    assert "no difference" in run("bench", folder, *QUICK, "--strategies", "plurality").out
    assert run("diversity", folder).code == 0


def test_a_member_that_never_answers_is_carried_along(run: Run, small: Path) -> None:
    path = small / "responses.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    for row in rows:
        if row["member"] == "cyd":
            row["answer"] = None
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    ran = run("bench", small, *QUICK, "--strategies", "plurality,weighted-vote", "--json", "-")
    assert ran.code == 0
    rows = {row["strategy"]: row for row in json.loads(ran.out)["rows"]}
    # ann and bob alone, right on 9 and 8; where they differ, the better in training decides.
    assert rows["plurality"]["accuracy"] >= 8 / 12
    found = json.loads(run("inspect", small, "--json").out)
    assert found["members"][2]["n_unusable"] == 12
    assert run("diversity", small).code == 0


def test_synthetic_data_are_called_so(run: Run) -> None:
    ran = run("bench", "demo", *QUICK, "--strategies", "plurality")
    assert ran.out.startswith("SYNTHETIC DATA")


@pytest.mark.slow
def test_learned_strategies_are_shown_at_equal_cost(run: Run, small: Path) -> None:
    # The learned strategy that trains nothing: what is looked at is how it is compared and shown.
    command = ("bench", small, *QUICK, "--strategies", "plurality,rl-focal-prior")
    found = json.loads(run(*command, "--budgets", "2, 1.5", "--json", "-").out)["budgets"]
    assert [(c["strategy"], c["budget"]) for c in found] == [
        ("rl-focal-prior", 1.5), ("rl-focal-prior", 2), ("rl-focal-prior", None),
    ]  # fmt: skip
    default = json.loads(run(*command, "--json", "-").out)["budgets"]
    assert [cell["budget"] for cell in default] == [1.5, 2, 3, 4, None]
    said = run(*command, "--budgets", "1.5").out
    assert "At equal cost: mean calls a query" in said
    (line, end) = [text.split() for text in said.splitlines() if text.startswith("rl-focal")][-2:]
    assert line[1:4] == ["1.5", f"{100 * found[0]['accuracy']:.1f}", found[0]["rival"]]
    assert end[1] == "all"
    assert "with hindsight" in said
    assert "At equal cost" not in run("bench", small, *QUICK, "--strategies", "plurality").out


@pytest.mark.parametrize(
    ("budgets", "said"),
    [
        ("2,many", "--budgets: 'many' is not a number of calls"),
        ("0.5", "--budgets: a budget must be a finite number of mean calls of at least 1, got 0.5"),
        ("nan", "got nan"),
        (",", "--budgets: no name given"),
    ],
)
def test_bad_budgets_are_refused_before_the_data_are_read(
    run: Run, tmp_path: Path, budgets: str, said: str
) -> None:
    ran = run("bench", tmp_path / "nowhere", "--budgets", budgets)
    assert ran.code != 0
    assert said in ran.err
    assert "nowhere" not in ran.err


def _with_holes(small: Path) -> None:
    """Only bob answers the last six queries."""
    path = small / "responses.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    kept = [r for r in rows if r["member"] == "bob" or int(r["query_id"][1:]) < 6]
    path.write_text("".join(json.dumps(row) + "\n" for row in kept))


def test_complete_uses_what_every_member_answered(run: Run, small: Path) -> None:
    _with_holes(small)
    ran = run("bench", small, *QUICK, "--strategies", "plurality")
    assert ran.code == 0
    assert "withheld" in ran.out
    assert "measured" in ran.out
    said = " ".join(ran.out.split())  # wherever its lines break
    assert "--complete compares on the 6 of 12 queries that all 3 members answered" in said
    ran = run("bench", small, *QUICK, "--strategies", "plurality", "--complete", "--json", "-")
    found = json.loads(ran.out)
    assert found["missing"] is None
    assert found["protocol"]["n_queries"] == 6
    assert "only the 6 of 12 queries that all 3 members answered are used" in found["notes"]


def test_no_complete_query_is_refused_before_any_work(run: Run, small: Path) -> None:
    path = small / "responses.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    kept = [r for r in rows if (r["member"] == "bob") == (int(r["query_id"][1:]) % 2 == 0)]
    path.write_text("".join(json.dumps(row) + "\n" for row in kept))
    ran = run("bench", small, *QUICK, "--complete")
    assert ran.code != 0
    assert "no query was answered by all 3 members" in ran.err


def test_unlabelled_queries_are_left_out_and_counted(run: Run, small: Path) -> None:
    path = small / "queries.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    for row in rows[6:]:
        row["label"] = None
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    answers = small / "responses.jsonl"
    found = [json.loads(line) | {"score": None} for line in answers.read_text().splitlines()]
    answers.write_text("".join(json.dumps(row) + "\n" for row in found))
    ran = run("bench", small, *QUICK, "--strategies", "plurality", "--json", "-")
    result = json.loads(ran.out)
    assert result["protocol"]["n_queries"] == 6
    assert "6 of 12 queries have no label and no score; they are left out" in result["notes"]
    assert result["missing"] is None
    shown = run("inspect", small).out
    assert "6 of 12 queries" in shown


def test_tasks_are_given_hidden_or_both(run: Run, small: Path) -> None:
    names = (*QUICK, "--strategies", "best-single-per-task")
    given, hidden, both = (
        json.loads(run("bench", small, *names, "--tasks", tasks, "--json", "-").out)
        for tasks in ("given", "hidden", "both")
    )
    unsaid = json.loads(run("bench", small, *names, "--json", "-").out)
    assert unsaid["protocol"]["tasks"] == "given"
    assert [found["protocol"]["tasks"] for found in (hidden, both)] == ["hidden", "both"]
    for row, one, other in zip(both["rows"], given["rows"], hidden["rows"], strict=True):
        alone = next(each for each in hidden["rows"] if each["strategy"] == row["strategy"])
        assert row["accuracy"] == one["accuracy"]
        assert row["hidden"]["accuracy"] == alone["accuracy"]
        assert one["hidden"] is other["hidden"] is None
    shown = run("bench", small, *names, "--tasks", "both").out
    assert "task hidden %" in shown
    assert "(tasks given and hidden)" in shown
    assert "a gateway knows that only where its client names the task" in run(
        "bench", small, *names
    ).out.replace("\n", " ")


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--tasks", "some"), "'some' is not one of 'given', 'hidden', 'both'"),
        (("--tasks", "hidden", "--scenario", "steady"), "nor --tasks"),
    ],
)
def test_tasks_are_shown_in_no_other_way(
    run: Run, small: Path, options: tuple[str, ...], told: str
) -> None:
    ran = run("bench", small, *options)
    assert (ran.code, told in ran.err.replace("\n", " ")) == (2, True), ran.err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--resume", "here", "--report", "here"], "--resume and --report name one folder"),
        (["--report", ".", "--json", "own.json"], "lies in the report's folder"),
    ],
)
def test_places_that_would_be_in_each_others_way_are_refused(
    words: list[str], message: str, run: Run, small: Path, monkeypatch: pytest.MonkeyPatch,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:  # fmt: skip
    here = tmp_path_factory.mktemp("empty")
    monkeypatch.chdir(here)
    ran = run("bench", small, *words)
    assert ran.code == 2
    assert message in ran.err
    assert not list(here.iterdir())
