"""Which files are a report's, and when they are replaced."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from rlfocal.bench import BenchResult
from rlfocal.errors import ConfigError
from rlfocal.records import ResponseTable
from rlfocal.report import write_report
from rlfocal.report.place import FILES, TALKS, check_folder, is_report


def test_a_report_and_its_results_are_all_that_is_named(
    result: BenchResult, table: ResponseTable, tmp_path: Path
) -> None:
    both = replace(result, hidden=result)
    both.write(tmp_path / "run")
    page = write_report(both, table, str(tmp_path / "run"))
    assert {path.name for path in page.parent.iterdir()} == {*FILES} - {TALKS}
    assert is_report(page)
    assert not is_report(page.parent / "leaderboard.md")
    assert not is_report(page.parent / "nothing.html")


def test_python_replaces_a_report_unless_told_and_never_another_page(
    result: BenchResult, table: ResponseTable, tmp_path: Path
) -> None:
    page = write_report(result, table, tmp_path)
    assert write_report(result, table, tmp_path) == page  # a notebook's cell is run again
    with pytest.raises(ConfigError, match="holds a report"):
        write_report(result, table, tmp_path, overwrite=False)
    page.write_text("<title>my home page</title>")
    with pytest.raises(ConfigError, match=r"index\.html: is no report"):
        write_report(result, table, tmp_path)
    assert page.read_text() == "<title>my home page</title>"


def test_results_alone_are_not_replaced_either(result: BenchResult, tmp_path: Path) -> None:
    result.write(tmp_path)
    with pytest.raises(ConfigError, match="--overwrite"):
        check_folder(tmp_path, overwrite=False)
    check_folder(tmp_path, overwrite=True)
    check_folder(tmp_path / "new", overwrite=False)


def test_every_file_of_a_report_can_be_served() -> None:
    from rlfocal.report.serving import _TYPES

    assert {Path(name).suffix for name in FILES} <= _TYPES.keys()
