"""Targets and contexts of lm-evaluation-harness's logs, in the forms in which tasks write them."""

from __future__ import annotations

from typing import Any

import pytest

from rlfocal.records.importers.json_files import Fields
from rlfocal.records.importers.lm_eval.documents import context_text, last_turn
from rlfocal.records.importers.lm_eval.rows import Rows
from rlfocal.records.importers.lm_eval.samples import labels_of, parse_sample

ROWS = Rows([], "exact_match", False, ["none"], ["exact_match"])


def labels(target: Any, doc: Any = None) -> tuple[str, ...]:
    row = {"arguments": [["Q"]], "filtered_resps": ["4"], "resps": [["4"]], "target": target}
    return labels_of(parse_sample(Fields(row | {"doc": doc}, "f:1"), ROWS, "m", "t"))


@pytest.mark.parametrize(
    ("target", "accepted"),
    [
        ("  4 ", ("4",)),
        ("['a', \"it's\"]", ("a", "it's")),
        ("[1, 2]", ("[1, 2]",)),  # no list of texts
        ("2 + 2 makes\n#### 4", ("4",)),
        (r"So it is \boxed{\frac{1}{2}}.", (r"\frac{1}{2}",)),
        (r"So it is \boxed{4", (r"So it is \boxed{4",)),
        (["4", "four", "4", " "], ("4", "four")),
        (None, ()),
    ],
)
def test_a_target_gives_the_accepted_answers(target: Any, accepted: tuple[str, ...]) -> None:
    assert labels(target) == accepted


def test_beside_a_long_target_the_answer_of_the_document_counts() -> None:
    solution = "It is so because of this and that, " * 5
    assert labels(solution, {"answer": "4 "}) == ("4",)
    assert labels(solution, {"answer": ""}) == (solution.strip(),)


def test_a_chat_is_read_from_its_json_and_from_its_parts() -> None:
    parts = [{"type": "image"}, {"type": "text", "text": "What is it?"}]
    chat = [{"role": "system", "content": "Be short."}, {"role": "user", "content": parts}]
    assert last_turn(chat) == "What is it?"
    assert context_text(chat) == "Be short.\n\nWhat is it?"
    assert last_turn('[{"role": broken') == '[{"role": broken'
