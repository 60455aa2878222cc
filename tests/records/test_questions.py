"""Files of questions that nobody has answered yet."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rlfocal.errors import RecordError
from rlfocal.records.folders import read_queries
from rlfocal.records.spool.queries import open_queries

Reader = Callable[[Path], Any]


def test_questions_need_no_ids_and_get_the_same_ones_wherever_they_stand(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("prompt,label\n1 + 1 =,2\n2 + 2 =,4\n1 + 1 =,2\n")
    (tmp_path / "b.csv").write_text("prompt,label\n2 + 2 =,4\n1 + 1 =,2\n")
    first, other = (
        dict(zip(q["query_id"].to_pylist(), q["prompt"].to_pylist(), strict=True))
        for q in (read_queries(tmp_path / name).queries for name in ("a.csv", "b.csv"))
    )
    assert len(first) == 3
    assert other.items() <= first.items()


@pytest.mark.parametrize("read", [read_queries, open_queries])
def test_without_prompts_it_says_what_to_call_the_columns(tmp_path: Path, read: Reader) -> None:
    path = tmp_path / "q.csv"
    path.write_text("question,answer\n1 + 1 =,2\n")
    with pytest.raises(RecordError) as caught:
        read(path)
    assert "column 'prompt' is missing; columns found: question, answer" in str(caught.value)
    assert "rename it to 'prompt', and 'answer' to 'label')" in str(caught.value)


def test_answers_beside_questions_may_be_meant_as_labels(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "q.csv"
    path.write_text("prompt,answer\n1 + 1 =,2\n")
    assert read_queries(path).queries["label"].null_count == 1
    assert "are ignored: answer; rename 'answer' to 'label'?" in caplog.text
    caplog.clear()
    path.write_text("prompt,label,answer\n1 + 1 =,2,3\n")
    assert read_queries(path).queries["label"].to_pylist() == ["2"]
    assert caplog.text.rstrip().endswith("are ignored: answer")
