"""`rlfocal inspect` against figures worked out by hand, and its speed on real data."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import MakeFolder, Run


def test_figures_of_the_small_pool(run: Run, small: Path) -> None:
    found = json.loads(run("inspect", small, "--json").out)
    assert found["n_queries"] == 12
    assert found["tasks"] == {"even": 6, "odd": 6}
    assert found["kinds"] == {"options": 12}
    assert found["pools"] == {"all": 3, "pair": 2}
    assert found["n_labelled"] == 12
    assert found["cost_unit"] == "call"
    by_name = {row["member"]: row for row in found["members"]}
    assert by_name["ann"]["accuracy"] == pytest.approx(9 / 12)
    # ann fails q0, q4, q8: all of them even
    assert by_name["ann"]["accuracy_by_task"] == pytest.approx([3 / 6, 1])
    assert by_name["bob"]["accuracy"] == pytest.approx(8 / 12)
    assert (found["best_single"], found["best_single_accuracy"]) == ("ann", pytest.approx(0.75))
    # Wrong members agree on the next option. Two fail q0 (ann, bob), q3 and q9 (bob, cyd).
    assert found["plurality_accuracy"] == pytest.approx(9 / 12)
    assert found["oracle_accuracy"] == 1
    assert found["n_without_credit"] == 0


def test_members_are_restricted_to_the_pool(run: Run, small: Path) -> None:
    found = json.loads(run("inspect", small, "--pool", "pair", "--json").out)
    assert [row["member"] for row in found["members"]] == ["ann", "cyd"]
    assert found["oracle_accuracy"] == 1


def test_missing_and_unusable_answers_are_counted_apart(run: Run, small: Path) -> None:
    path = small / "responses.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    rows[0]["answer"] = None  # ann answers q0 unusably
    del rows[-2:]  # cyd has no response to q10 and q11
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = json.loads(run("inspect", small, "--json").out)
    counts = {row["member"]: (row["n_missing"], row["n_unusable"]) for row in found["members"]}
    assert counts == {"ann": (0, 1), "bob": (0, 0), "cyd": (2, 0)}
    said = "2 of 36 responses are missing (5.6 %); nothing is counted for them"
    assert said in found["notes"]
    cyd = next(row for row in found["members"] if row["member"] == "cyd")
    assert cyd["coverage"] == pytest.approx(10 / 12)
    shown = run("inspect", small).out
    assert "answered %" in shown
    assert "83.3" in shown


def test_repeated_prompts_are_counted(run: Run, small: Path) -> None:
    path = small / "queries.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    for q in (4, 8):
        rows[q]["prompt"] = rows[0]["prompt"]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert json.loads(run("inspect", small, "--json").out)["n_repeated"] == 2


def test_scores_alone_cannot_be_voted_on_and_it_says_why(run: Run, make_folder: MakeFolder) -> None:
    asked = [{"query_id": f"q{q}", "prompt": f"Sum {q}"} for q in range(4)]
    answered = [
        {"query_id": f"q{q}", "member": member, "score": float(score)}
        for member, scores in (("ann", [1, 1, 0, 0]), ("bob", [0, 1, 0.5, 0]))
        for q, score in enumerate(scores)
    ]
    folder = make_folder(asked, answered)
    found = json.loads(run("inspect", folder, "--json").out)
    assert found["plurality_accuracy"] is None
    assert "only scores are recorded" in found["plurality_reason"]
    assert found["oracle_accuracy"] == pytest.approx(2.5 / 4)
    assert found["n_without_credit"] == 1
    assert "not applicable: only scores are recorded" in run("inspect", folder).out


def test_the_built_in_pool_is_called_synthetic(run: Run) -> None:
    assert "SYNTHETIC" in run("inspect", "demo").out
    assert json.loads(run("inspect", "demo", "--json").out)["synthetic"] is True


def test_names_in_the_data_are_never_read_as_markup(run: Run, make_folder: MakeFolder) -> None:
    answered = [
        {"query_id": f"q{q}", "member": member, "answer": "A"}
        for member in ("[bold]ann", "[/red]")
        for q in range(12)
    ]
    out = run("inspect", make_folder(answered=answered)).out
    assert "[bold]ann" in out
    assert "[/red]" in out


def test_only_the_largest_tasks_are_shown(run: Run, small: Path) -> None:
    assert "even" in run("inspect", small).out.splitlines()[-6]
    ran = run("inspect", small, "--max-tasks", 1)
    assert "1 more tasks: --max-tasks 2" in ran.out


@pytest.mark.slow
@pytest.mark.shared
@pytest.mark.parametrize(
    ("name", "members", "best", "oracle"),
    [
        ("bbh", 5, 0.493, 0.824),
        ("mmlu_pro", 28, 0.703, 0.944),
        ("gsm8k", 43, 0.967, 0.996),
        ("routerbench", 11, 0.879, 0.976),
        ("date_samples", 24, 0.897, 0.935),
        ("tasks10", 7, 0.566, 0.821),
    ],
)
def test_recorded_data_show_their_known_figures(
    shared_data: Path, name: str, members: int, best: float, oracle: float
) -> None:
    command = [Path(sys.executable).with_name("rlfocal"), "inspect", shared_data / name, "--json"]
    ran = subprocess.run(command, capture_output=True, check=True, text=True)
    found = json.loads(ran.stdout)
    assert len(found["members"]) == members
    assert found["best_single_accuracy"] == pytest.approx(best, abs=6e-4)
    assert found["oracle_accuracy"] == pytest.approx(oracle, abs=6e-4)


def test_members_with_different_queries_are_said_not_to_compare(run: Run, small: Path) -> None:
    path = small / "responses.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    first = [r for r in rows if (r["member"] == "ann") == (int(r["query_id"][1:]) < 6)]
    path.write_text("".join(json.dumps(row) + "\n" for row in first))
    found = json.loads(run("inspect", small, "--members", "ann,bob", "--json").out)
    said = "two members have too few queries in common to be compared (ann and bob: 0)"
    assert said in found["notes"]
    assert {row["member"]: row["coverage"] for row in found["members"]} == {"ann": 0.5, "bob": 0.5}
    assert (found["n_complete"], found["n_compared"]) == (0, 12)
    shown = run("inspect", small, "--members", "ann,bob").out
    assert "of what it answered" in shown
    assert "on the 12 queries answered" in shown
    ran = run("diversity", small, "--members", "ann,bob")
    assert ran.code == 2
    assert "no query was answered by all 2 members" in ran.err
