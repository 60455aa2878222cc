"""Short texts: what falls away around an answer, and what never does."""

# ruff: noqa: RUF001  look-alikes are what is tested

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlfocal.records.answers import extractor
from rlfocal.records.answers.text import TextExtractor

REPLIES = [
    ("Paris", "paris"),
    ("The Eiffel  Tower!", "eiffel tower"),
    ("an apple a day", "apple a day"),  # only what introduces a word falls away
    ("Thinking.\nSo the answer is True.\nDone", "true"),
    ("the answer is x. No, the answer is y.", "y"),
    ("The answer is: (B)", "(b)"),
    ("the\nanswer is\n42", "42"),
    ("the", "the"),
    ("A", "a"),
    ("...", None),
    ("", None),
    ("word " * 300, None),
]
DIFFERENT = [
    ("C++", "C"), ("C#", "C"), ("-50", "50"), ("3.5", "35"), ("(A)", "(B)"), ("A", "B"), ("50%",
    "50"),
    ("$5", "5"), ("10:30", "1030"), ("1/2", "12"), (".NET", "net"), ("hepatitis A", "hepatitis"),
    ("vitamin a deficiency", "vitamin deficiency"), ("A and B", "B"), ("yes", "no"), ("x+1", "x-1"),
    ("no one", "no"), ("[]", "()"), ("A+", "A"), ("f(x)", "f x"), ("St. Louis", "St"),
    ("He left because he was tired", "He left because he was hungry"), ("1,2", "12"),
    ("Washington, D.C.", "Washington"), ("true north", "true"), ("no 5", "no"),
]  # fmt: skip
EQUAL = [
    ("Paris", " paris."), ("Paris", "**Paris**"), ("Paris", '"Paris"'), ("Paris", "\\text{Paris}"),
    ("Paris", "\\boxed{Paris}"), ("Café", "Cafe\N{COMBINING ACUTE ACCENT}"), ("the Nile", "Nile"),
    ("1,000", "1000"), ("Yes", "Yes, it does."), ("no", "No."), ("O'Brien", "O’Brien"),
    ("cat and a dog", "Cat and the dog"), ("-5", "\N{MINUS SIGN}5"), ("Paris, France",
    "Paris France"),
    ("Ｐａｒｉｓ", "Paris"), ("H₂O", "H2O"),
]  # fmt: skip


@pytest.mark.parametrize(("reply", "text"), REPLIES)
def test_a_reply_settles_on(reply: str, text: str | None) -> None:
    assert TextExtractor().extract(reply) == text


@pytest.mark.parametrize(("first", "second"), DIFFERENT)
def test_what_tells_apart_is_kept(first: str, second: str) -> None:
    tool = TextExtractor()
    assert not tool.equal(first, second)
    assert not tool.equal(second, first)
    assert tool.equal(first, first)


@pytest.mark.parametrize(("first", "second"), EQUAL)
def test_what_only_dresses_falls_away(first: str, second: str) -> None:
    assert TextExtractor().equal(first, second)
    assert TextExtractor().equal(second, first)


@settings(deadline=None, max_examples=100)
@given(
    words=st.lists(st.text("bcdfgh", min_size=2, max_size=6), min_size=1, max_size=4),
    frame=st.sampled_from(("{}", " {} ", "{}.", "**{}**", '"{}"', "The {}", "\\text{{{}}}", "_{}_",
                           "The answer is {}.", "Answer: **{}**\n\nBecause.", "<answer>{}</answer>",
                           "<think>no</think>{}", "\\boxed{{{}}}")),
)  # fmt: skip
def test_an_answer_in_every_dress(words: list[str], frame: str) -> None:
    answer = " ".join(words)
    assert TextExtractor().extract(frame.format(answer.title())) == answer


def test_a_whole_answer_is_no_reply() -> None:
    tool = TextExtractor()
    assert tool.read("Paris, France") == "paris france"
    assert tool.read("The answer is Paris") is None
    assert tool.read("<think>Rome</think>Paris") is None
    assert tool.read("Paris\n\nIt is the capital of France and lies on the river Seine.") is None
    assert tool.read("x" * 1001) is None


def test_text_can_keep_case_and_punctuation() -> None:
    plain = extractor("text", normalise=False)
    assert plain.extract("the answer is ) ] }.") == ") ] }"
    assert plain.extract("<think>[</think>The answer is } ]") == "} ]"
    assert plain.extract("Paris") == "Paris"
    assert not plain.equal("Paris", "paris")


@pytest.mark.parametrize(
    ("reply", "answer"),
    [
        ("The answer is Dr. Watson. He tells it.", "dr. watson"),
        ("The answer is J. K. Rowling.", "j. k. rowling"),
        ("The answer is A. It comes first.", "a"),
        ("The answer is Paris (the capital).", "paris"),
        ("The answer is Paris, which is large.", "paris"),
        ("The answer is Tokyo; it is large.", "tokyo"),
        ("The answer is red; white.", "red white"),
        ("Paris\n\nIt is the capital of France, and has been so for long.", "paris"),
        ("It must be the capital of France, and that is a large city.\n\nParis", "paris"),
        ("I cannot answer. The answer is unable to be determined, I can't tell.", None),
    ],
)
def test_explanations_are_cut(reply: str, answer: str | None) -> None:
    assert TextExtractor().extract(reply) == answer


def test_plain_text_is_idempotent_too() -> None:
    tool = TextExtractor(normalise=False)
    for text in ("answer:", "the answer is the answer is x", "a <answer>", "x. . ."):
        once = tool.extract(text)
        assert once is None or tool.extract(once) == once
