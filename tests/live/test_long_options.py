"""Long options of a question are read beside the event loop, and named by their letters."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from rlfocal.live import Question
from rlfocal.live.aside import LONG
from rlfocal.live.reading import Reader
from rlfocal.live.replies import Replies
from rlfocal.pool.member import MemberSettings
from rlfocal.pool.types import Response
from rlfocal.records.answers.choice import MAX_OPTION, ChoiceExtractor


@pytest.mark.parametrize(("length", "quick"), [(10, True), (LONG, False)])
def test_whether_a_reply_is_quick_to_read_counts_the_options(length: int, quick: bool) -> None:
    member: Any = SimpleNamespace(name="m", settings=MemberSettings(name="m", endpoint="e"))
    about: Any = SimpleNamespace(cost_unit="call", answers="choice", tasks=["t"])
    query = Question("Which?", ("x" * (length // 2), "y" * (length // 2)))
    replies = Replies([member], Reader(about, None), query, "choice", least=0.0)
    blank: Any = SimpleNamespace(put=lambda *_, **__: None)
    assert replies.try_out(0, [Response("A")], blank) is quick


def test_options_too_long_to_be_said_are_named_by_their_letters() -> None:
    long = "word " * MAX_OPTION
    extractor = ChoiceExtractor(3, options=(long, "Paris", long + "more"))
    assert extractor.extract("The answer is Paris.") == "B"
    assert extractor.extract("The answer is (C).") == "C"
    assert extractor.read("A") == "A"
