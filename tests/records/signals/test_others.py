"""What a reader's answer tells beside what it has read."""

from __future__ import annotations

import math

import numpy as np
import pyarrow as pa
import pytest

from rlfocal.deliberation.recorded import reveal
from rlfocal.readers import ReaderInfo
from rlfocal.records import Dataset, build_table
from rlfocal.records.schema import DatasetInfo
from rlfocal.records.signals.others import OTHERS
from rlfocal.records.signals.reply import SeenReply

NAMES = OTHERS.names


def test_hand_values() -> None:
    reply = SeenReply(text="so 7", answer="7", read=("7", "8", None, "8"), own="8")
    assert OTHERS.read(reply) == pytest.approx([2 / 3, 0.0, 1 / 3, 2 / 3])


def test_unknown_where_nobody_reads_or_nothing_was_said() -> None:
    assert all(math.isnan(value) for value in OTHERS.read(SeenReply(text="7", answer="7")))
    found = OTHERS.read(SeenReply(text="hm", answer=None, read=(None,), own="8"))
    assert [math.isnan(value) for value in found] == [True, False, True, True]
    assert OTHERS.read(SeenReply(text="7", answer="7", read=("7",)))[2:] == [1.0, 1.0]


def made(answers: dict[str, str | None]) -> Dataset:
    queries = pa.Table.from_pylist([{"query_id": "q", "prompt": "How many?", "label": "7"}])
    responses = [
        {"query_id": "q", "member": name, "answer": answer, "text": f"{name} says {answer}"}
        for name, answer in answers.items()
    ]
    readers = {"r": ReaderInfo(reads=["a", "b"], first="own", reading="debate")}
    info = DatasetInfo(answers="number", readers=readers)
    return Dataset("d", queries, pa.Table.from_pylist(responses), info)


def test_recorded_replies_tell_it_too() -> None:
    table = build_table(made({"a": "7", "b": "8", "own": "8", "r": "7", "z": "9"}))
    assert table.replies is not None
    found = table.replies.signals(NAMES)[0]
    place = table.members.index("r")
    assert found[place].tolist() == [0.5, 0.0, 0.5, 0.5]
    assert np.isnan(np.delete(found, place, axis=0)).all()


def test_nothing_of_whom_nobody_has_asked() -> None:
    """Other answers of members that a reader does not read change nothing; it shows once asked."""
    rows, seen = np.array([0]), []
    for other in ("9", "7"):
        table = build_table(made({"a": "7", "b": "8", "own": "8", "r": "7", "z": other}))
        asked = np.array([[name != "z" for name in table.members]])
        replies = reveal(table, rows, asked).replies
        assert replies is not None
        seen.append(replies.signals(NAMES))
        before = reveal(table, rows, asked & [name != "r" for name in table.members]).replies
        assert before is not None
        assert np.isnan(before.signals(NAMES)).all()
    assert np.array_equal(seen[0], seen[1], equal_nan=True)
