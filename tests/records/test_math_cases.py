"""Mathematical answers as data sets label them and models write them, near misses among them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rlfocal.records.answers.maths import MathExtractor

CASES = [
    json.loads(line)
    for line in Path(__file__).with_name("cases").joinpath("math.jsonl").read_text().splitlines()
]
IDS = [f"{number}-{case['about']}" for number, case in enumerate(CASES)]


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_a_reply_is_right_or_wrong(case: dict[str, object]) -> None:
    tool = MathExtractor()
    gold, answer = tool.read(str(case["gold"])), tool.extract(str(case["reply"]))
    assert gold is not None
    if answer is None:
        assert not case["equal"]
        return
    assert tool.equal(gold, answer) is case["equal"]
    assert tool.equal(answer, gold) is case["equal"]
    assert tool.equal(str(case["gold"]), answer) is case["equal"]  # the label as it stands
    assert (tool.classes([answer], gold) == [0]) is case["equal"]


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_canonical_forms_stay_as_they_are(case: dict[str, object]) -> None:
    tool = MathExtractor()
    for text in (tool.read(str(case["gold"])), tool.extract(str(case["reply"]))):
        if text is not None:
            assert tool.extract(text) == text
            assert tool.read(text) == text


def test_a_fifth_of_the_cases_are_near_misses() -> None:
    wrong = sum(not case["equal"] for case in CASES)
    assert len(CASES) > 500
    assert wrong > len(CASES) / 5
