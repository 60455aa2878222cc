"""`rlfocal diversity --readers`, and the report of a pool whose members read one another."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from readers import MEMBERS, Skill, dataset_with_readers

from rlfocal.records.folders import write_dataset

if TYPE_CHECKING:
    from conftest import Run


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("readers") / "data"
    write_dataset(dataset_with_readers(120, skill=Skill(takes_first=0.3)), path)
    return path


def test_everything_is_printed(run: Run, folder: Path) -> None:
    found = run("diversity", folder, "--readers", "--family", "judge=a")
    assert found.code == 0, found.err
    for said in (
        "Who reads whom", "b, c, a (own)", "Do they follow who is right?", "Second thoughts",
        "Biases of judge: 240 verdicts", "its own family", "rewards conformity", "generator",
    ):  # fmt: skip
        assert said in found.out, said


def test_the_same_as_json(run: Run, folder: Path) -> None:
    found = json.loads(run("diversity", folder, "--readers", "--json").out)
    assert [row["member"] for row in found["members"]] == [*MEMBERS]
    assert found["judges"][0]["family"] is None
    assert found["judges"][0]["n_verdicts"] == 240


def test_the_usual_figures_say_that_there_is_more(run: Run, folder: Path) -> None:
    assert "--readers shows what they made of it" in run("diversity", folder).err


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--readers", "--family", "judge"], "--family takes a judge and members"),
        (["--readers", "--family", "second=a"], "'second' judges nothing; judges: judge"),
        (["--readers", "--family", "judge=z"], "unknown member 'z'"),
        (["--readers", "--family", "judge=a", "--family", "judge=b"], "names 'judge' twice"),
        (["--family", "judge=a"], "--family goes with --readers"),
        (["--readers", "--size", "2"], "neither --top nor --size"),
    ],
)
def test_bad_options_are_refused(run: Run, folder: Path, options: list[str], said: str) -> None:
    found = run("diversity", folder, *options)
    assert found.code != 0
    assert said in found.err


def test_where_nobody_reads_that_is_said(run: Run) -> None:
    found = run("diversity", "demo", "--readers")
    assert found.code != 0
    assert "no member reads another" in found.err


def test_the_report_has_verdicts_without_any_prompt(run: Run, folder: Path, tmp_path: Path) -> None:
    found = run(
        "bench", folder, "--strategies", "plurality", "--report", tmp_path / "r", "--no-questions"
    )
    assert found.code == 0, found.err
    page = (tmp_path / "r/index.html").read_text()
    assert "Who reads whom" in page
    assert "Biases of judge" in page
    assert "Question 3 of topic" not in page
