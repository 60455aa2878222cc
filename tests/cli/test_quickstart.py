"""From a table, a data folder, or a pool and questions, to advice."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from rlfocal.pool.stub import StubServer, StubThread, prompt_of
from rlfocal.records.folders import read_dataset

if TYPE_CHECKING:
    from conftest import Run

N = 40
QUICK = ("--strategies", "plurality,agreement", "--folds", "2")


@pytest.fixture
def answers(tmp_path: Path) -> Path:
    """Three models that are wrong on every fourth sum, each on other ones."""
    path = tmp_path / "answers.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["prompt", "label", "gpt-mini", "llama-8b", "qwen-7b"])
        for i in range(N):
            said = [f"The answer is {2 * i + (i % 4 == miss)}." for miss in range(3)]
            writer.writerow([f"What is {i} + {i}?", 2 * i, *said])
    return path


def test_a_misspelt_file_is_told_first(run: Run, answers: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert run("quickstart", answers, "-o", out, *QUICK).code == 0
    ran = run("quickstart", tmp_path / "answer.csv", "-o", out, *QUICK)
    assert ran.code == 2
    assert "answer.csv: no such file or folder" in ran.err


def test_a_table_of_replies_becomes_advice(run: Run, answers: Path, tmp_path: Path) -> None:
    ran = run("quickstart", answers, "-o", tmp_path / "out", *QUICK)
    assert ran.code == 0, ran.err
    said = " ".join(ran.out.split())
    assert "plurality 100.0 %" in said
    assert "Use agreement: 100.0 %" in said
    assert "--report DIR" not in said
    assert "To train and serve it: rlfocal train" in said
    assert f"rlfocal view {tmp_path / 'out' / 'report'}" in ran.err
    assert 'POOL.toml names the live models as these data do ("gpt-mini", "llama-8b"' in ran.err
    assert read_dataset(tmp_path / "out" / "data").members == ("gpt-mini", "llama-8b", "qwen-7b")
    assert (tmp_path / "out" / "report" / "index.html").exists()


def test_where_too_much_is_missing_it_says_so_and_the_remedy_is_an_option_of_it(
    run: Run, answers: Path, tmp_path: Path
) -> None:
    lines = answers.read_text().splitlines()
    for at in range(1, N + 1, 5):
        lines[at] = lines[at].rpartition(",")[0] + ","
    answers.write_text("\n".join(lines))
    ran = run("quickstart", answers, "-o", tmp_path / "out", *QUICK)
    assert ran.code == 0, ran.err
    assert "Use " not in ran.out
    assert "No advice: too many responses are missing" in " ".join(ran.out.split())
    assert "--complete compares on the 32 of 40" in " ".join((ran.out + ran.err).split())
    again = run("quickstart", answers, "-o", tmp_path / "out", *QUICK, "--complete", "--overwrite")
    assert again.code == 0, again.err
    assert "on these 32 labels" in " ".join(again.out.split())
    assert "--complete --strategy" in again.out


@pytest.mark.slow
def test_what_is_there_is_not_replaced_unless_told(run: Run, answers: Path, tmp_path: Path) -> None:
    assert run("quickstart", answers, "-o", tmp_path / "out", *QUICK).code == 0
    again = run("quickstart", answers, "-o", tmp_path / "out", *QUICK)
    assert again.code == 2
    assert "--overwrite" in again.err
    assert run("quickstart", answers, "-o", tmp_path / "out", "--overwrite", *QUICK).code == 0


def test_a_report_that_is_there_is_refused_before_any_work(
    run: Run, make_folder: Any, tmp_path: Path
) -> None:
    folder, report = make_folder(), tmp_path / "out" / "report"
    report.mkdir(parents=True)
    (report / "bench.json").write_text("{}")
    ran = run("quickstart", folder, "-o", tmp_path / "out", *QUICK)
    assert (ran.code, ran.out) == (2, "")
    assert "--overwrite" in ran.err
    assert [path.name for path in report.iterdir()] == ["bench.json"]


def test_a_data_folder_is_taken_where_it_is(run: Run, make_folder: Any, tmp_path: Path) -> None:
    folder = make_folder()
    ran = run("quickstart", folder, "-o", tmp_path / "out", "--strategies", "plurality",
              "--folds", "2")  # fmt: skip
    assert ran.code == 0, ran.err
    assert f"rlfocal train {folder}" in ran.out
    assert not (tmp_path / "out" / "data").exists()


def test_a_pool_and_questions_are_asked_once_and_become_advice(run: Run, tmp_path: Path) -> None:
    asked = []

    def counted(body: Mapping[str, Any]) -> str:
        asked.append(prompt_of(body))
        return f"It is {len(prompt_of(body))}."

    with StubThread(StubServer(counted)) as served:
        pool, questions = tmp_path / "pool.toml", tmp_path / "questions.jsonl"
        pool.write_text(
            f'[endpoints.stub]\nbase_url = "{served.base_url}"\n'
            '[[members]]\nname = "a"\nendpoint = "stub"\n'
            '[[members]]\nname = "b"\nendpoint = "stub"\n'
        )
        with questions.open("w") as file:
            for k in range(N):
                prompt = f"How long is {'x' * k}?"
                row = {"query_id": f"q{k}", "prompt": prompt, "label": len(prompt)}
                file.write(json.dumps(row) + "\n")
        command = ("quickstart", pool, questions, "-o", tmp_path / "out", *QUICK)
        ran = run(*command)
        assert ran.code == 0, ran.err
        assert "Use " in ran.out
        n_asked = len(asked)
        assert n_asked == 2 * N
        assert run(*command, "--overwrite").code == 0
        assert len(asked) == n_asked, "replies that are there are not paid for again"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["pool.toml"], "with a pool name the pool file and one file of questions"),
        (["missing.csv"], "missing.csv"),
        (["missing.csv", "--strategies", "agremeent"], "agreement"),
    ],
)
def test_mistakes_are_named_before_any_work(
    run: Run, tmp_path: Path, arguments: list[str], said: str
) -> None:
    first, *rest = arguments
    ran = run("quickstart", tmp_path / first, *rest, "-o", tmp_path / "out")
    assert ran.code == 2
    assert said in ran.err
    assert not (tmp_path / "out").exists()
