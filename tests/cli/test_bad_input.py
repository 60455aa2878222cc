"""Bad input through the command line: one clear line, exit 2, no traceback, nothing lost."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

if TYPE_CHECKING:
    from conftest import MakeFolder, Ran, Run


def refused(ran: Ran, *said: str) -> None:
    """Assert one line of error that says all of this, and nothing on standard output."""
    assert ran.code == 2
    assert ran.out == ""
    assert ran.err.startswith("error: ")
    assert ran.err.count("\n") == 1
    assert "Traceback" not in ran.err
    for text in said:
        assert text in ran.err


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def rewrite(path: Path, rows: list[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


@pytest.mark.parametrize("verb", ["inspect", "diversity", "bench"])
def test_an_unknown_pool_is_answered_with_the_nearest(run: Run, small: Path, verb: str) -> None:
    refused(run(verb, small, "--pool", "pairs"), "unknown pool 'pairs'", "did you mean 'pair'?")


@pytest.mark.parametrize("verb", ["inspect", "diversity", "bench"])
def test_an_unknown_member_is_answered_with_the_nearest(run: Run, small: Path, verb: str) -> None:
    refused(run(verb, small, "--members", "ann,bop"), "'bop'", "did you mean 'bob'?")


def test_a_pool_and_a_list_of_members_exclude_each_other(run: Run, small: Path) -> None:
    refused(run("inspect", small, "--pool", "pair", "--members", "ann,bob"), "not both")


@pytest.mark.parametrize("given", ["", " , ,"])
def test_a_list_without_a_name_is_refused(run: Run, small: Path, given: str) -> None:
    refused(run("inspect", small, "--members", given), "--members", "no name")


def test_one_member_is_no_pool(run: Run, small: Path) -> None:
    refused(run("bench", small, "--members", "ann"), "1 member", "at least 2")


def test_data_of_one_member_is_refused(run: Run, small: Path) -> None:
    path = small / "responses.jsonl"
    rewrite(path, [row for row in lines(path) if row["member"] == "ann"])
    (small / "dataset.json").unlink()
    refused(run("bench", small), "1 member", "add responses of another member")


def test_a_folder_that_does_not_exist(run: Run, tmp_path: Path) -> None:
    refused(run("inspect", tmp_path / "nothing"), "nothing", "does not exist")


def test_a_folder_without_tables_lists_what_it_holds(run: Run, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").touch()
    refused(run("inspect", tmp_path), "queries.parquet", "notes.txt")


def test_a_missing_column_is_named_with_its_file(run: Run, small: Path) -> None:
    path = small / "queries.jsonl"
    rewrite(path, [{k: v for k, v in row.items() if k != "prompt"} for row in lines(path)])
    refused(run("inspect", small), "queries.jsonl", "'prompt'")


def test_a_broken_parquet_file_is_named(run: Run, small: Path) -> None:
    whole = small / "queries.parquet"
    pq.write_table(pa.Table.from_pylist(lines(small / "queries.jsonl")), whole)
    whole.write_bytes(whole.read_bytes()[:-100])
    (small / "queries.jsonl").unlink()
    refused(run("bench", small), "queries.parquet", "not a readable Parquet file")


def test_a_line_that_does_not_parse_is_named_by_file_and_number(run: Run, small: Path) -> None:
    path = small / "responses.jsonl"
    text = path.read_text().splitlines(keepends=True)
    text[4] = '{"query_id": "q4", "member"\n'
    path.write_text("".join(text))
    refused(run("inspect", small), "responses.jsonl:5:", "not JSON")


def test_a_label_outside_the_options_is_named(run: Run, small: Path) -> None:
    path = small / "queries.jsonl"
    rows = lines(path)
    rows[2]["label"] = "E"
    rewrite(path, rows)
    refused(run("inspect", small), "'q2'", "'E'", "not one of the options")


@pytest.mark.parametrize("value", [float("nan"), -0.5, 1.5])
def test_a_score_that_is_not_in_range_is_named(run: Run, small: Path, value: float) -> None:
    path = small / "responses.jsonl"
    rows = lines(path)
    rows[1]["score"] = value  # Python writes and reads NaN as JSON never should
    rewrite(path, rows)
    refused(run("bench", small), "'q1'", "'ann'", "score is not a number in [0, 1]")


def test_two_rows_for_one_answer_are_named(run: Run, small: Path) -> None:
    path = small / "responses.jsonl"
    rewrite(path, [*lines(path), lines(path)[0]])
    refused(run("inspect", small), "more than one row", "'q0'", "'ann'")


def test_an_answer_to_no_query_is_named(run: Run, small: Path) -> None:
    path = small / "responses.jsonl"
    rewrite(path, [*lines(path), {"query_id": "q99", "member": "ann", "answer": "A"}])
    refused(run("inspect", small), "not in queries", "'q99'")


def test_nothing_to_measure_by_is_refused(run: Run, small: Path) -> None:
    path = small / "queries.jsonl"
    rewrite(path, [{**row, "label": None} for row in lines(path)])
    refused(run("inspect", small), "no query has a label and no response has a score")


def test_one_query_can_be_inspected_and_not_benched(run: Run, make_folder: MakeFolder) -> None:
    asked = [{"query_id": "q0", "prompt": "1 + 1", "label": "2"}]
    answered = [
        {"query_id": "q0", "member": member, "answer": answer}
        for member, answer in (("ann", "2"), ("bob", "3"))
    ]
    folder = make_folder(asked, answered)
    assert run("inspect", folder).code == 0
    assert run("diversity", folder).code == 0
    refused(run("bench", folder, "--no-features"), "1 query", "at least 2")


def test_more_folds_than_queries_are_refused(run: Run, small: Path) -> None:
    refused(run("bench", small, "--folds", 13, "--no-features"), "13", "fold")


@pytest.mark.parametrize("option", ["--folds", "--seeds", "--jobs"])
def test_a_count_below_its_least_is_refused_before_the_data_are_read(
    run: Run, tmp_path: Path, option: str
) -> None:
    refused(run("bench", tmp_path / "nothing", option, 0), option[2:], "at least", "got 0")


def test_an_unknown_strategy_is_answered_with_the_nearest_before_the_data_are_read(
    run: Run, tmp_path: Path
) -> None:
    ran = run("bench", tmp_path / "nothing", "--strategies", "plurality,weigthed-vote")
    refused(ran, "unknown strategy 'weigthed-vote'", "did you mean 'weighted-vote'?")


def test_a_split_that_the_data_do_not_have_is_refused(run: Run, small: Path) -> None:
    refused(run("bench", small, "--split", "--no-features"), "split")


@pytest.mark.parametrize("option", ["--report", "--json"])
def test_an_output_below_a_file_is_refused_before_the_data_are_read(
    run: Run, tmp_path: Path, option: str
) -> None:
    taken = tmp_path / "taken"
    taken.write_text("kept")
    ran = run("bench", tmp_path / "nothing", option, taken / "below")
    refused(ran, str(taken), "cannot be written")
    assert taken.read_text() == "kept"


def test_a_report_in_the_place_of_a_file_is_refused(run: Run, small: Path, tmp_path: Path) -> None:
    taken = tmp_path / "taken"
    taken.write_text("kept")
    refused(run("bench", small, "--report", taken), str(taken), "cannot be written")
    assert taken.read_text() == "kept"


def test_json_in_the_place_of_a_folder_is_refused(run: Run, small: Path, tmp_path: Path) -> None:
    refused(run("bench", small, "--json", tmp_path), str(tmp_path), "is a folder")


@pytest.mark.parametrize("size", [1, 4])
def test_a_subset_size_that_the_pool_does_not_have_is_refused(
    run: Run, small: Path, size: int
) -> None:
    refused(run("diversity", small, "--size", size), "--size", "2..3", f"got {size}")


def test_debug_shows_the_traceback(small: Path) -> None:
    from rlfocal.cli.main import main
    from rlfocal.errors import ConfigError

    with pytest.raises(ConfigError, match="unknown pool"):
        main(["--debug", "inspect", str(small), "--pool", "pairs"])


def test_a_table_of_other_columns_is_shown_the_way_in(run: Run, small: Path) -> None:
    path = small / "responses.jsonl"
    rewrite(path, [{"query_id": f"q{i}", "gpt": "A", "llama": "B"} for i in range(12)])
    refused(
        run("inspect", small), "responses.jsonl", "one column per model", "rlfocal import table"
    )


def test_a_score_in_words_is_quoted_with_its_line(run: Run, small: Path) -> None:
    path = small / "responses.jsonl"
    rows = lines(path)
    rows[3]["score"], rows[5]["score"] = "yes", "no"
    rewrite(path, rows)
    refused(run("inspect", small), "responses.jsonl:4: column 'score'", "'yes'", "write 1 and 0")


@pytest.mark.slow
@pytest.mark.parametrize("file", ["queries", "responses"])
def test_every_message_is_one_short_line(run: Run, small: Path, file: str) -> None:
    path = small / f"{file}.jsonl"
    good = lines(path)
    for name in good[0]:
        for value in ("x" * 2000, ["x"] * 2000, 2000, None):
            rewrite(path, [{**good[0], name: value}, *good[1:]])
            ran = run("inspect", small)
            assert ran.code in (0, 2)
            assert len(ran.err.strip().splitlines()) <= 3
            # However long the path of the folder is: it is the user's, not the message's.
            assert all(len(line.replace(str(small), "")) < 400 for line in ran.err.splitlines())


def test_a_table_is_imported_and_a_table_of_comparisons_is_refused(
    run: Run, tmp_path: Path
) -> None:
    table, out = tmp_path / "mine.csv", tmp_path / "out"
    table.write_text("Frage;answer;gpt;llama\n1+1?;2;2;It is 3\n2+2?;4;4.0;four\n")
    ran = run("import", "table", table, "-o", out, "--column", "prompt=Frage")
    assert ran.code == 0, ran.err
    assert run("inspect", out).code == 0
    table.write_text("question,model_a,model_b,winner\nq?,gpt,llama,gpt\n")
    refused(run("import", "table", table, "-o", tmp_path / "new"), "mine.csv", "pairwise tables")
    assert not (tmp_path / "new").exists()
