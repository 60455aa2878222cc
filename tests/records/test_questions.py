"""Files of questions that nobody has answered yet."""

from __future__ import annotations

from pathlib import Path

from rlfocal.records.folders import read_queries


def test_questions_need_no_ids_and_get_the_same_ones_wherever_they_stand(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("prompt,label\n1 + 1 =,2\n2 + 2 =,4\n1 + 1 =,2\n")
    (tmp_path / "b.csv").write_text("prompt,label\n2 + 2 =,4\n1 + 1 =,2\n")
    first, other = (
        dict(zip(q["query_id"].to_pylist(), q["prompt"].to_pylist(), strict=True))
        for q in (read_queries(tmp_path / name).queries for name in ("a.csv", "b.csv"))
    )
    assert len(first) == 3
    assert other.items() <= first.items()
