"""What judges and raters have said, as conversations read it."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlfocal.conversations.judging import chosen, json_verdict, ratings, without_ratings
from rlfocal.conversations.registry import CONVERSATIONS, conversations
from rlfocal.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('{"best": [2, 1], "end": true}', ((1, 0), True)),
        ('Sure: {"why": "{x}", "best": [3, 1]} ...', ((2, 0), False)),
        ('{"best": [2, 2]}', None),
        ('{"best": [2, 9]}', None),
        ('{"best": [1]}', None),
        ('{"best": "1, 2"}', None),
        ("[1, 2]", None),
        ("{broken}", None),
        ("1 and 2", None),
    ],
)
def test_json_of_a_judge(text: str, found: object) -> None:
    verdict = json_verdict(text, 2, 3)
    assert (None if verdict is None else tuple(verdict)) == found


@given(st.text(), st.integers(1, 4), st.integers(1, 6))
def test_whatever_is_said_names_replies_that_were_shown_or_nobody(
    text: str, n_best: int, n_shown: int
) -> None:
    found = chosen(text, n_best, n_shown)
    if found is not None:
        assert len(set(found)) == n_best
        assert set(found) <= set(range(n_shown))


@given(st.text() | st.none(), st.integers(1, 6))
def test_ratings_add_up_to_one(text: str | None, n_shown: int) -> None:
    weights = ratings(text, n_shown)
    assert len(weights) == n_shown
    assert sum(weights) == pytest.approx(1)


@given(st.lists(st.integers(1, 5), min_size=1, max_size=5), st.sampled_from(["12", "So B."]))
def test_a_reply_is_what_is_left_without_its_ratings(marks: list[int], reply: str) -> None:
    lines = [f"- **Rating of reply {n}**: {mark}" for n, mark in enumerate(marks, start=1)]
    text = "\n".join([*lines, reply])
    assert without_ratings(text) == reply
    assert ratings(text, len(marks)) == pytest.approx([mark / sum(marks) for mark in marks])


def test_conversations_by_name() -> None:
    assert [each.name for each in conversations(None)] == list(CONVERSATIONS)
    assert [each.name for each in conversations(["dylan", "moa", "dylan"])] == ["dylan", "moa"]
    assert all(each.paper for each in conversations(None))
    with pytest.raises(ConfigError, match="unknown conversation 'debate'"):
        conversations(["debate"])


def test_a_reply_that_has_run_wild_selects_nobody() -> None:
    many = "1" * 5000
    assert chosen(f"Replies {many}", 1, 4) is None
    assert chosen(f"Replies 2 and {many}", 2, 4) is None
    assert ratings(f"Rating of reply {many}: 3", 2) == (0.5, 0.5)
    for best in ("[" * 5000 + "]" * 5000, "[" * 200_000 + "]" * 200_000, f"[{many}, 2]"):
        assert json_verdict(f'{{"best": {best}, "end": false}}', 2, 3) is None
    assert json_verdict('{"best": [true, 2], "end": false}', 2, 3) is None


@pytest.mark.parametrize(
    "text",
    [
        "Rating of reply 1" + ":" * 200_000,
        "{" * 200_000,
        "1" * 200_000,
        "Rating of reply 1\n" * 9999,
    ],
)
def test_reading_what_has_run_wild_takes_no_time(text: str) -> None:
    started = time.process_time()
    chosen(text, 1, 4)
    ratings(text, 4)
    without_ratings(text)
    json_verdict(text, 1, 4)
    assert time.process_time() - started < 2
