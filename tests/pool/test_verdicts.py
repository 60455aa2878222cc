"""What judges say, in their own ways: which reply is named is read, and nothing else is made up."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlfocal.pool.reading.settings import Form
from rlfocal.pool.reading.verdicts import verdict_of

SAID = {
    "2": 2,
    " 2.\n": 2,
    "**2**": 2,
    "#2": 2,
    "[2]": 2,
    "[[2]]": 2,
    "(2)": 2,
    "\\boxed{2}": 2,
    "Reply 2": 2,
    "Reply 2.": 2,
    "**Reply 2**": 2,
    "Reply #2": 2,
    "reply two": 2,
    "The second reply.": 2,
    "I prefer the second one": 2,
    "No. 2": 2,
    "Number: 2": 2,
    "number two": 2,
    "Reply 2 is best": 2,
    "Reply 2 is the best one.": 2,
    "2 is the best": 2,
    "I choose #2 because reply 1 adds wrongly.": 2,
    "I choose 2 because reply 1 says 8 + 9 = 16.": 2,
    "2, because reply 1 and reply 3 are wrong": 2,
    "1": 1,
    "The best reply is Reply 3.": 3,
    "The best reply is number 3, since 8 + 9 = 17.": 3,
    "The best is reply 3, better than reply 1.": 3,
    "Reply 3 is better than reply 1 and reply 2.": 3,
    "Best: 3": 3,
    "Answer: 2": 2,
    "**Answer:** 2": 2,
    "Final answer: Reply 2": 2,
    "My verdict: **2**": 2,
    "My final verdict is: [[2]]": 2,
    "I would go with reply 1.": 1,
    '{"best": 2}': 2,
    '{"best": "Reply 2", "why": "it adds rightly"}': 2,
    '```json\n{"best": 2}\n```': 2,
    '{"best": 2, "score": 9}': 2,
    '{"score_1": 1, "score_2": 2}': None,
    "Ranking: 2 > 1 > 3": 2,
    "2 > 3 > 1": 2,
    "Reply 1 says 17. Reply 2 says 16. Reply 3 says 17, without steps.\n\nReply 1": 1,
    "Reply 1 says 17.\nReply 2 says 16.\nReply 3 is empty.\nSo the best is Reply 1.": 1,
    "1. Reply 1 is right.\n2. Reply 2 is wrong.\n3. Reply 3 is wrong.\n\n**1**": 1,
    "2\n\nReply 1 has an error in its second step.": 2,
    "Reply 2\n\nIt shows its steps, as reply 3 does not.": 2,
    "Reply 1: The LCM of 22 and 8 is 44. Answer: 44": 1,
    "Reply 1 is wrong. Reply 2 is wrong, too. Reply 3 it is.": 3,
    "None of the replies is perfect, but reply 2 is the best.": 2,
    "Reply 3 is the best.\n\nI hope that this helps!": 3,
    "neither": 0,
    "None of them.": 0,
    "None of the replies is right.": 0,
    "Neither reply 1 nor reply 2": 0,
    "": None,
    "I cannot decide.": None,
    "Both are fine.": None,
    "1 or 2": None,
    "Reply 1 and reply 2 are the best.": None,
    "Replies 1 and 2": None,
    "4": None,
    "0": None,
    "Reply 7": None,
    "[[7]]": None,
    '{"best": 7}': None,
    '{"best": true}': None,
    "-1": None,
    "1.5": None,
    "16575.099": None,
    "18 days = 18 days = 18 days = 1": None,
    "8 + 9 = 17": None,
    "2 * 1 = 2": None,
    "A": None,
    "Reply 2 is wrong.": None,
    "Not reply 1.": None,
    "Reply 1 is not better than reply 2.": None,
    "The worst is reply 2.": None,
    "27 * 27 = 729. Answer: 729": None,
}  # fmt: skip


@pytest.mark.parametrize("text", SAID, ids=range(len(SAID)))
def test_a_way_of_saying_it(text: str) -> None:
    number = SAID[text]
    assert verdict_of("judge", text, 3) == (None if number is None else number - 1), text


WAYS = [
    "{}", "**{}**", "Reply {}", "Reply {}.", "The best reply is Reply {}.", "[[{}]]", "Answer: {}",
    "I choose #{}", '{{"best": {}}}', "Reply {} is best", "Number {}", "({})", " {}\n\n",
    "Let me see. All of them add.\n\nThe best is {}", "{}\n\nIt shows its steps.",
]  # fmt: skip


@given(way=st.sampled_from(WAYS), n=st.integers(1, 12), data=st.data())
def test_every_number_that_was_shown_can_be_named(way: str, n: int, data: st.DataObject) -> None:
    number = data.draw(st.integers(1, n))
    assert verdict_of("judge", way.format(number), n) == number - 1


@given(way=st.sampled_from(WAYS), n=st.integers(0, 12), beyond=st.integers(1, 10**30))
def test_no_number_that_was_not_shown_is_taken(way: str, n: int, beyond: int) -> None:
    assert verdict_of("judge", way.format(n + beyond), n) is None


PIECES = st.sampled_from([
    "Reply", "reply", "1", "2", "3", "17", "#", "is", "best", "better", "than", "not", "neither",
    "wrong", "right", "correct", "no", "yes", "\n", ".", ",", ":", "=", "+", "{", "}", '"', "[[",
    "]]", "answer", "because", ">", "*", "second", "one", "none", "٣", "²", "mistakes", "-",
])  # fmt: skip


@settings(max_examples=300)
@given(
    form=st.sampled_from(["judge", "pairwise", "verify"]),
    text=st.one_of(st.text(), st.lists(PIECES).map(" ".join), st.lists(PIECES).map("".join)),
    n=st.integers(0, 5),
)
def test_whatever_is_said_names_one_shown_or_none(form: Form, text: str, n: int) -> None:
    found = verdict_of(form, text, n)
    assert found is None or -1 <= found < n
    assert verdict_of(form, text, n) == found


@given(text=st.text(), n=st.integers(1, 5), data=st.data())
def test_the_last_line_counts_where_it_says_nothing_but_a_number(
    text: str, n: int, data: st.DataObject
) -> None:
    number = data.draw(st.integers(1, n))
    if "{" not in text and "[[" not in text:
        assert verdict_of("judge", f"{text}\nReply {number}", n) == number - 1


RIGHT = {
    "right": True,
    "Right.": True,
    "**Correct**": True,
    "Yes": True,
    "Yes, the reply is right.": True,
    "The reply is correct.": True,
    "This is the right answer.": True,
    "It is not wrong.": True,
    "There are no mistakes.": True,
    "Verdict: right": True,
    '{"correct": true}': True,
    '{"verdict": "right"}': True,
    "The reply says 17.\nIt adds 8 and 9.\nRight": True,
    "At first I thought it was wrong.\nBut 8 + 9 = 17.\nThe reply is right.": True,
    "wrong": False,
    "Wrong!": False,
    "**Incorrect.**": False,
    "No": False,
    "No.": False,
    "No, 8 + 9 = 17.": False,
    "not right": False,
    "It is not right.": False,
    "It isn't correct.": False,
    "It isn\u2019t entirely correct.": False,
    "The reply is incorrect because it does not compare the numbers correctly.": False,
    "Wrong. The correct answer is 17.": False,
    "The correct answer is 17, so the reply is wrong.": False,
    "Wrong\n\nIt should be 17, which is correct.": False,
    "It contains an error.": False,
    '{"correct": false}': False,
    '{"is_wrong": true}': False,
    "Right or wrong: wrong": False,
    "It looks right at first.\nThe last step is not correct.": False,
    "": None,
    "17": None,
    "The correct answer is 17.": None,
    "right or wrong": None,
    "Partly right.": None,
    "I am not sure whether it is right.": None,
    "Answer: B": None,
}  # fmt: skip


@pytest.mark.parametrize("text", RIGHT, ids=range(len(RIGHT)))
def test_right_or_wrong(text: str) -> None:
    expected = {True: 0, False: -1, None: None}[RIGHT[text]]
    assert verdict_of("verify", text, 1) == expected, text


@given(text=st.text(), said=st.sampled_from(["right", "wrong", "Yes", "No", "not right"]))
def test_the_last_line_counts_of_a_verifier(text: str, said: str) -> None:
    if "{" not in text:
        right = said in ("right", "Yes")
        assert verdict_of("verify", f"{text}\n{said}", 1) == (0 if right else -1)


@pytest.mark.parametrize("form", ["judge", "verify"])
@pytest.mark.parametrize(
    "piece", ["1", "the ", "-", "#", "{", '{"', "reply 1 ", "not ", "right ", "1 > ", "\n1", "a'"]
)
def test_a_long_reply_takes_no_long_time(form: Form, piece: str) -> None:
    before = time.process_time()
    verdict_of(form, piece * 20_000, 3)
    assert time.process_time() - before < 5
