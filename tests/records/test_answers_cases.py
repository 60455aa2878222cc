"""How models write answers, case by case, and what is right of each (`cases/extraction.jsonl`)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from rlfocal.records.answers import extractor

LINES = (Path(__file__).parent / "cases/extraction.jsonl").read_text("utf-8").splitlines()
CASES: list[dict[str, Any]] = [json.loads(line) for line in LINES]


@pytest.mark.parametrize("kind", ["choice", "number", "text", "date"])
def test_every_case_is_read_right(kind: str) -> None:
    wrong = []
    for case in CASES:
        if case["kind"] != kind:
            continue
        options = dict(case["options"])
        if "options" in options:
            options["options"] = tuple(options["options"])
        tool = extractor(kind, **options)
        found, wanted = tool.extract(case["reply"]), case["answer"]
        is_right = found is wanted if found is None or wanted is None else tool.equal(found, wanted)
        if not is_right:
            wrong.append((case["reply"], found, wanted))
        if found is not None:
            assert tool.read(found) == found
            assert tool.extract(found) == found
    assert wrong == []


def test_there_are_cases_of_every_kind() -> None:
    counts = [
        sum(case["kind"] == kind for case in CASES) for kind in ("choice", "number", "text", "date")
    ]
    assert min(counts) >= 60
