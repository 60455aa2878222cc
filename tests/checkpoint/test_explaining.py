"""What is said of an answer, by what is known of the query."""

from __future__ import annotations

import pytest

from rlfocal.checkpoint.explaining import Explanation
from rlfocal.deliberation.trace import Trace


@pytest.mark.parametrize(
    ("labelled", "score", "verdict"),
    [
        (True, 1.0, "that is right"),
        (True, 0.0, "that is wrong"),
        (True, 0.25, "that is score 0.25"),
        (True, None, "nothing is recorded of the members that it asked"),
        (False, None, "no label: nobody knows whether that is right"),
    ],
)
def test_the_verdict_says_what_is_known(labelled: bool, score: float | None, verdict: str) -> None:
    trace = Trace("agreement", answer="7")
    found = Explanation(
        query="q", task="sums", trained_on=False, labelled=labelled, score=score, trace=trace
    )
    assert found.verdict == verdict
    assert str(found).splitlines()[-1] == verdict
    assert found.to_json() == trace.as_json() | {
        "query": "q", "task": "sums", "trained_on": False, "labelled": labelled, "score": score,
    }  # fmt: skip
