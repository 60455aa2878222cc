"""The reply that surprises the other models least: by hand, and where nothing is known."""

from __future__ import annotations

import numpy as np
import pytest

from rlfocal.deliberation.protocol import Need, Outcome, Reference, unmet
from rlfocal.deliberation.registry import create
from rlfocal.records import Dataset, DatasetInfo, ResponseTable, build_table

MEMBERS = ("a", "b.1", "c")
EXAMINERS = ("a", "b_1")
LIKELY = {
    # query → member → what a and b.1 say of it; None where they have not read it.
    "q0": {"a": (-0.1, -2.0), "b.1": (-1.0, -0.1), "c": (-1.5, -1.5)},
    "q1": {"a": (-0.1, -0.5), "b.1": (-1.0, -0.1), "c": (-0.2, -0.4)},
    "q2": {"a": (None, None), "b.1": (None, None), "c": (-0.9, None)},
    "q3": {"a": (None, None), "b.1": (None, None), "c": (None, None)},
}  # fmt: skip
ANSWERS = {
    "q0": ("1", "2", "3"), "q1": ("1", "2", "3"), "q2": ("1", "1", "3"), "q3": ("1", "2", "2"),
}  # fmt: skip


def table_of(*, examined: bool = True) -> ResponseTable:
    queries = [{"query_id": q, "prompt": f"{q}?", "label": "1"} for q in LIKELY]
    rows = []
    for query, said in LIKELY.items():
        for member, answer in zip(MEMBERS, ANSWERS[query], strict=True):
            row = {"query_id": query, "member": member, "answer": answer, "text": f"it is {answer}"}
            for examiner, value in zip(EXAMINERS, said[member], strict=True):
                if examined:
                    row[f"signal_likely_{examiner}"] = value  # type: ignore[assignment]
                    row[f"signal_cross_{examiner}"] = value  # type: ignore[assignment]
            rows.append(row)
    return build_table(Dataset("m", queries, rows, DatasetInfo(answers="number")))


def outcome(table: ResponseTable, *, on: ResponseTable | None = None) -> Outcome:
    """What it does on a table, fitted on it or on another."""
    strategy = create("mince")
    assert isinstance(strategy, Reference)
    return strategy.fit(table if on is None else on, rng=np.random.default_rng(0)).outcome(table)


def chosen(table: ResponseTable) -> list[str]:
    found = outcome(table)
    assert (found.n_calls == 3).all()
    return [str(texts[slot]) for texts, slot in zip(table.candidates, found.chosen, strict=True)]


def test_the_likeliest_to_others_is_the_answer() -> None:
    # q0: a's own word does not count: -2 for a, -1 for b.1, -1.5 for c.
    # q1: -.5 for a, -1 for b.1, -.3 for c. q2: c alone was read. q3: a vote.
    assert chosen(table_of()) == ["2", "3", "3", "2"]


def test_whatever_a_model_says_of_itself_does_not_count() -> None:
    first = chosen(table_of())
    before = LIKELY["q0"]["a"]
    try:
        LIKELY["q0"]["a"] = (0.0, -2.0)
        assert chosen(table_of()) == first
    finally:
        LIKELY["q0"]["a"] = before


def test_where_nobody_has_read_anything_it_says_so() -> None:
    reason = unmet(create("mince"), table_of(examined=False))
    assert reason == Need.EXAMINED.value
    assert "rlfocal examine" in reason
    assert unmet(create("mince"), table_of()) is None


def test_who_examines_may_change_after_fitting() -> None:
    found, wanted = outcome(table_of(), on=table_of(examined=False)), outcome(table_of())
    assert found.chosen.tolist() == wanted.chosen.tolist()


def test_a_vote_is_as_sure_as_a_vote() -> None:
    assert outcome(table_of()).confidence[3] == pytest.approx(2 / 3, abs=0.01)


def test_it_is_said_that_served_replies_are_not_examined() -> None:
    (note,) = [note for note in table_of().notes if "local models" in note]
    assert note.startswith("local models have read the replies (likely_a, likely_b_1): nobody")
    assert not [note for note in table_of(examined=False).notes if "local models" in note]


def test_a_signal_of_ones_own_is_no_examiner() -> None:
    queries = [{"query_id": "q", "prompt": "?", "label": "1"}]
    rows = [
        {"query_id": "q", "member": m, "answer": "1", "text": "1", "signal_likely_right": 0.9}
        for m in "ab"
    ]
    table = build_table(Dataset("m", queries, rows, DatasetInfo(answers="number")))
    assert unmet(create("mince"), table) == Need.EXAMINED.value
