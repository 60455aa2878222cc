"""`rlfocal import`: logs in and a data folder out; a data folder into a database."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import pytest

from rlfocal import plugins
from rlfocal.records import demo_dataset
from rlfocal.records.folders import read_dataset
from rlfocal.records.importers import (
    Logged,
    Record,
    find_importer,
    importer,
    importer_names,
)

if TYPE_CHECKING:
    from conftest import Run

RIGHT = [1, 0, 2]


def sample(doc_id: int, likelihoods: list[float]) -> dict[str, Any]:
    """A multiple choice sample as version 0.4 logs it."""
    options = ["iron", "lead", "zinc"]
    question = f"Which one is number {doc_id}?"
    best = likelihoods.index(max(likelihoods))
    return {
        "doc_id": doc_id,
        "doc": {"question": question, "choices": options, "answer": RIGHT[doc_id]},
        "target": str(RIGHT[doc_id]),
        "arguments": {
            f"gen_args_{i}": {"arg_0": f"{question}\n", "arg_1": f" {option}"}
            for i, option in enumerate(options)
        },
        "resps": [[[str(x), "False"]] for x in likelihoods],
        "filtered_resps": [[str(x), "False"] for x in likelihoods],
        "filter": "none",
        "metrics": ["acc"],
        "acc": float(best == RIGHT[doc_id]),
    }


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    """Model-a is right on all three questions, model-b always says iron and is right on one."""
    root = tmp_path / "results"
    for model, chosen in (("model-a", RIGHT), ("model-b", [0, 0, 0])):
        folder = root / model
        folder.mkdir(parents=True)
        rows = [
            sample(doc_id, [-1.0 if i == best else -3.0 for i in range(3)])
            for doc_id, best in enumerate(chosen)
        ]
        text = "".join(json.dumps(row) + "\n" for row in rows)
        (folder / "samples_metals_2026-01-02T03-04-05.000001.jsonl").write_text(text)
    return root


def test_logs_become_a_folder_that_can_be_inspected(run: Run, logs: Path, tmp_path: Path) -> None:
    out = tmp_path / "metals"
    ran = run("import", "lm-eval", logs, "-o", out)
    assert (ran.code, ran.out) == (0, "")
    assert "3 queries, 2 members (model-a, model-b)" in ran.err
    found = json.loads(run("inspect", out, "--json").out)
    assert found["data"] == "metals"
    assert {row["member"]: row["accuracy"] for row in found["members"]} == pytest.approx(
        {"model-a": 1.0, "model-b": 1 / 3}
    )
    assert found["tasks"] == {"metals": 3}


def test_one_member_alone_is_imported_with_a_warning(run: Run, tmp_path: Path) -> None:
    (tmp_path / "one.csv").write_text("prompt,label,m\n1 + 1?,2,2\n2 + 1?,3,3\n")
    ran = run("import", "table", tmp_path / "one.csv", "-o", tmp_path / "one")
    assert ran.code == 0
    assert "2 queries, 1 member (m)\nnote: one member alone is no pool" in ran.err
    assert "next:" not in ran.err


def test_a_data_set_is_replaced_only_on_request(run: Run, logs: Path, tmp_path: Path) -> None:
    out = tmp_path / "metals"
    assert run("import", "lm-eval", logs, "-o", out, "--name", "first").code == 0
    ran = run("import", "lm-eval", logs, "-o", out, "--name", "second")
    assert ran.code == 2
    assert "already holds a data set" in ran.err
    assert json.loads(run("inspect", out, "--json").out)["data"] == "first"
    assert run("import", "lm-eval", logs, "-o", out, "--name", "second", "--overwrite").code == 0
    assert json.loads(run("inspect", out, "--json").out)["data"] == "second"


def test_a_broken_log_is_left_out_with_its_line_and_the_rest_is_read(
    run: Run, logs: Path, tmp_path: Path
) -> None:
    file = next((logs / "model-b").iterdir())
    file.write_text(file.read_text() + '{"doc_id": 3,\n')
    ran = run("import", "lm-eval", logs, "-o", tmp_path / "out")
    assert ran.code == 0
    assert f"{file}:4:" in ran.err.replace("\n", " ")


def test_nothing_is_written_where_nothing_can_be_read(run: Run, logs: Path, tmp_path: Path) -> None:
    for file in logs.rglob("*.jsonl"):
        file.write_text('{"doc_id": 3,\n')
    ran = run("import", "lm-eval", logs, "-o", tmp_path / "out")
    assert ran.code == 2
    assert ".jsonl:1:" in ran.err
    assert not (tmp_path / "out").exists()


def test_verbs_and_their_options_come_from_the_registry(run: Run) -> None:
    shown = run("import", "--help").out
    assert all(name in shown for name in ("lm-eval", "inspect", "helm", "table", "data"))
    shown = run("import", "inspect", "--help").out
    assert "--scorer" in shown
    assert "--answers" in shown
    assert run("import", "nothing", "x", "-o", "y").code == 2


def test_every_built_in_importer_is_there_and_says_what_it_reads() -> None:
    for name in importer_names():
        found = find_importer(name)
        assert (found.name, found.paths[-1]) == (name, ".")
        assert found.summary.endswith(".")
        assert all(option.help for option in found.options)


def test_another_packages_importer_is_a_verb(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    @importer("mine", "Any file.")
    def read_mine(
        paths: Sequence[Path], *, label: Annotated[str, "The right answer."] = "1"
    ) -> Logged:
        """Read what is mine."""
        rows = [
            Record(
                member=m, task="t", document="d", prompt="?", labels=(label,), text=f"It is {i}."
            )
            for i, m in enumerate("ab")
        ]
        return Logged(records=rows, source="mine")

    class Point:
        name, value = "mine", "package:read_mine"

        def load(self) -> object:
            return read_mine

    monkeypatch.setattr(plugins, "entry_points", lambda group: [Point()])
    ran = run("import", "mine", tmp_path, "-o", tmp_path / "out", "--label", "0")
    assert ran.code == 0, ran.err
    assert read_dataset(tmp_path / "out").responses["answer"].to_pylist() == ["0", "1"]
    assert "Read what is mine." in run("import", "--help").out


def test_no_logs_at_all_are_refused(run: Run, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    ran = run("import", "lm-eval", empty, "-o", tmp_path / "out")
    assert ran.code == 2
    assert str(empty) in ran.err


def test_a_place_that_cannot_be_written_is_refused_before_logs_are_read(
    run: Run, tmp_path: Path
) -> None:
    taken = tmp_path / "taken"
    taken.write_text("kept")
    ran = run("import", "lm-eval", tmp_path / "nothing", "-o", taken)
    assert ran.code == 2
    assert "is a file" in ran.err
    assert taken.read_text() == "kept"


@pytest.mark.slow
def test_a_data_set_goes_into_a_database_once_and_comes_out_again(run: Run, tmp_path: Path) -> None:
    database = tmp_path / "answers.db"
    for n_new in ("19,200", "0"):
        said = run("import", "data", "demo", "--db", database).err
        assert f"{n_new} of 19,200 responses are new" in said
    assert run("export", database, "-o", tmp_path / "out").code == 0
    before, after = demo_dataset(), read_dataset(tmp_path / "out")
    assert after.members == before.members
    assert after.responses["answer"].to_pylist() == before.responses["answer"].to_pylist()
    assert after.info.synthetic
