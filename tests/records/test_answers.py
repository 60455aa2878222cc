"""Answer extraction: each rule by hand, and the laws that every kind obeys."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlfocal.errors import ConfigError
from rlfocal.records.answers import KINDS, MathExtractor, TextExtractor, extractor
from rlfocal.records.answers.number import canonical_number

CHOICE = [
    ("The answer is (C).", "C"),
    ("the answer is C", "C"),
    ("First the answer is A. No: the answer is B.", "B"),  # replies correct themselves
    ("**The answer is (D)**", "D"),
    ("Answer: E", "E"),
    ("answer:\n  (F) because", "F"),
    ("Answer: A or Answer: B\nAnswer: C", "C"),
    ("Thus \\boxed{G}, unlike A", "G"),
    ("\\boxed{\\text{(B)}} rather than A", "B"),
    ("Neither A nor B, so H", "H"),
    ("The answer is Always 4, see J", "J"),
    ("Only K and Z", None),
    ("", None),
    ("no letter at all", None),
]
NUMBER = [
    ("He has 16 - 3 = 13 eggs.\n#### 13", "13"),
    ("#### 1,234", "1234"),
    ("#### 5\n#### 6", "6"),
    ("#### -7.50", "-7.5"),
    ("#### $18", "18"),
    ("The answer is 42. I counted 3 times.", "42"),
    ("The answer is: **$1,200.00** per 12 months", "1200"),
    ("so \\boxed{72} of the 100", "72"),
    ("So 3 + 4 = 7 apples", "7"),
    ("between 5-10", "10"),
    ("it fell to -3 degrees", "-3"),
    ("it fell to \N{MINUS SIGN}3", "-3"),
    ("a loss of -$2.50", "-2.5"),
    ("about .5", "0.5"),
    ("18.0", "18"),
    ("007", "7"),
    ("-0.0", "0"),
    ("1,2", "1.2"),
    ("no digits", None),
    ("9" * 101, None),
    ("half is ½ and \N{FULLWIDTH DIGIT FIVE}", "5"),
]
MATH = [
    (r"so \boxed{5}", "5"),
    (r"\boxed{1} then \boxed{\frac{3}{4}}", r"\frac{3}{4}"),
    (r"\boxed{\left(3, \frac{\pi}{2}\right)}", r"(3,\frac{\pi}{2})"),
    (r"\fbox{7}", "7"),
    (r"\boxed 9", "9"),
    (r"\boxed{\dfrac12}", r"\frac{1}{2}"),
    (r"\boxed{\tfrac{1}2}", r"\frac{1}{2}"),
    (r"\boxed{\frac1{72}}", r"\frac{1}{72}"),
    (r"\boxed{0.5}", r"\frac{1}{2}"),
    (r"\boxed{.25}", r"\frac{1}{4}"),
    (r"\boxed{a/b}", "a/b"),
    (r"\boxed{3/6}", r"\frac{1}{2}"),
    (r"\boxed{-\frac{2}{4}}", r"-\frac{1}{2}"),
    (r"\boxed{1,000}", "1000"),
    (r"\boxed{10^{3}}", "1000"),
    (r"\boxed{-2^2}", "-4"),
    (r"\boxed{\sqrt2}", r"\sqrt{2}"),
    (r"\boxed{x = 5}", "x=5"),  # equal() says that it is 5
    (r"\boxed{x\in [0,1]}", r"x\in[0,1]"),
    (r"\boxed{90^\circ}", r"90^\circ"),
    (r"\boxed{90^{\circ}}", r"90^\circ"),
    (r"\boxed{\$32}", r"\$32"),
    (r"\boxed{50\%}", r"50\%"),
    (r"\boxed{12\text{ cm}}", r"12\text{cm}"),
    (r"\boxed{\text{Evelyn}}", "Evelyn"),
    (r"\boxed{1\,000\!}", "1000"),
    ("Final Answer: The final answer is $\\frac{1}{3}$. I hope it is correct.", r"\frac{1}{3}"),
    ("The final answer is 17. I hope it is correct.", "17"),
    ("We get $x=1$, and so $y=3$", "y=3"),
    ("12", "12"),
    (r"\boxed{5", None),
    (r"\boxed{}", None),
    ("", None),
    ("prose " * 200, None),
    (r"\boxed{9^{99999999}}", "9^{99999999}"),  # never computed
    (r"\boxed{1/0}", "1/0"),
]
DATE = [
    ("05/01/2021", "05/01/2021"),
    ("The answer is 5/1/2021.", "05/01/2021"),
    ("From 04/30/2021 on, the answer is 05/01/2021, not 05/02/2021.", "05/01/2021"),
    ("Today is 04/30/2021. Tomorrow: 05/01/2021", "05/01/2021"),
    ("2021-05-01", "05/01/2021"),
    ("It is May 1st, 2021", "05/01/2021"),
    ("1 Sept. 2021", "09/01/2021"),
    ("the 3rd of March 1999", "03/03/1999"),
    ("02/29/2020", "02/29/2020"),
    ("02/30/2021", None),
    ("13/01/2021", "01/13/2021"),  # there is no 13th month
    ("1/2/03", None),
    ("105/01/2021", None),
    ("2021", None),
]
TEXT = [
    ("Paris", "paris"),
    ("The Eiffel  Tower!", "eiffel tower"),
    ("an apple a day", "apple a day"),
    ("Thinking.\nSo the answer is True.\nDone", "true"),
    ("the answer is x. No, the answer is y.", "y"),
    ("The answer is: (B)", "(b)"),
    ("the\nanswer is\n42", "42"),
    ("the", "the"),
    ("...", None),
    ("", None),
    ("word " * 300, None),
]
TABLES = {"choice": CHOICE, "number": NUMBER, "math": MATH, "date": DATE, "text": TEXT}
CASES = [(kind, text, want) for kind, table in TABLES.items() for text, want in table]


@pytest.mark.parametrize(("kind", "text", "want"), CASES)
def test_rules_by_hand(kind: str, text: str, want: str | None) -> None:
    assert extractor(kind).extract(text) == want


@pytest.mark.parametrize(("kind", "text", "want"), [c for c in CASES if c[2] is not None])
def test_canonical_form_is_left_unchanged(kind: str, text: str, want: str) -> None:
    assert extractor(kind).extract(want) == want
    assert extractor(kind).equal(text if kind != "number" else want, want)


PIECES = (
    r"the answer is |answer:|#### |\boxed{|}|{|\frac|12|1/2|-|.|,|$|\text{ |\|A|J|the|**|x=|^| "
    "|05/01/2021|May 1, 2021|\n"
)
FRAGMENTS = st.sampled_from(PIECES.split("|"))
TEXTS = st.one_of(st.text(max_size=80), st.lists(FRAGMENTS, max_size=14).map("".join))


@pytest.mark.parametrize("kind", KINDS)
@settings(deadline=None, max_examples=150)
@given(text=TEXTS)
def test_extraction_never_raises_and_is_idempotent(kind: str, text: str) -> None:
    tool = extractor(kind)
    once = tool.extract(text)
    if once is not None:
        assert once
        assert tool.extract(once) == once
        assert tool.equal(once, once)


@settings(deadline=None, max_examples=200)
@given(text=TEXTS)
def test_plain_text_is_idempotent_too(text: str) -> None:
    tool = TextExtractor(normalise=False)
    once = tool.extract(text)
    assert once is None or tool.extract(once) == once


HOSTILE = {
    "one letter": "A",
    "answer": "answer is ",
    "colon": "answer: ",
    "spaces": " ",
    "marks": "the ",
    "digits": "9",
    "commas": "1,",
    "hashes": "#### ",
    "boxes": "\\boxed{",
    "fractions": "\\frac",
    "braces": "{",
    "dollars": "$x",
    "slashes": "1/",
    "days": "12 ",
    "months": "may ",
    "points": "1.",
}


@pytest.mark.parametrize("piece", HOSTILE.values(), ids=HOSTILE)
@pytest.mark.parametrize("kind", KINDS)
def test_no_rule_takes_quadratic_time(kind: str, piece: str) -> None:
    text = piece * (200_000 // len(piece))
    start = time.process_time()
    extractor(kind).extract(text)
    assert time.process_time() - start < 2  # 4e10 steps would take minutes


@pytest.mark.parametrize("kind", KINDS)
def test_a_megabyte_of_mixed_text_is_read(kind: str) -> None:
    text = "".join(HOSTILE.values()) * 18_000
    assert len(text) > 1_000_000
    extractor(kind).extract(text)


@pytest.mark.parametrize(
    ("a", "b", "same"),
    [
        (r"\frac{1}{2}", "0.5", True),
        (r"\dfrac{2}{4}", "1/2", True),
        ("(1, 2)", r"\left(1,2\right)", True),
        ("(0.5, 3)", r"(\frac{1}{2}, 3)", True),
        ("[0,1)", "[0,1]", False),
        (r"\sqrt{2}", "1.41421356", False),
        ("3", "4", False),
        ("", "", False),
        ("2^{10}", "1024", True),
    ],
)
def test_maths_is_compared_by_value(a: str, b: str, same: bool) -> None:
    assert MathExtractor().equal(a, b) is same
    assert MathExtractor().equal(b, a) is same


def test_number_equality_ignores_the_way_of_writing() -> None:
    tool = extractor("number")
    assert tool.equal("$1,000.00", "1000")
    assert not tool.equal("1000", "1001")
    assert not tool.equal("many", "many")


@settings(deadline=None, max_examples=200)
@given(value=st.decimals(allow_nan=False, allow_infinity=False, places=4, min_value=-(10**9)))
def test_canonical_numbers_keep_their_value(value: object) -> None:
    text = f"{value:f}"
    number = canonical_number(text)
    assert number is not None
    assert float(number) == float(text)


def test_strict_numbers_need_the_hashes() -> None:
    strict = extractor("number", strict=True)
    assert strict.extract("#### 5") == "5"
    assert strict.extract("it is 5 of 6") is None
    assert strict.extract("5") == "5"


def test_options_beyond_the_last_are_no_answers() -> None:
    assert extractor("choice", n_options=3).extract("The answer is (D), or B") is None
    assert extractor("choice", n_options=26).extract("The answer is (Z)") == "Z"
    with pytest.raises(ValueError, match="n_options is 27"):
        extractor("choice", n_options=27)


def test_text_can_keep_case_and_punctuation() -> None:
    assert extractor("text", normalise=False).extract("the answer is ) ] }.") == ") ] }"


def test_unknown_kinds_and_options_name_the_nearest() -> None:
    with pytest.raises(ConfigError, match="did you mean 'number'"):
        extractor("nummer")
    with pytest.raises(ConfigError, match="did you mean 'n_options'"):
        extractor("choice", n_option=3)


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        (r"\boxed{1.2.3}", "1.2.3"),
        (r"\boxed{\frac{x}{2}}", r"\frac{x}{2}"),
        (r"\boxed{\frac{1}{0}}", r"\frac{1}{0}"),
        (r"\boxed{0^{-1}}", "0^{-1}"),
        (r"\boxed{2^{100}}", "2^{100}"),
        ("\\boxed{" + "7" * 41 + "}", "7" * 41),
        ("\\boxed{" + "7" * 501 + "}", None),
        ("\\boxed " + "{", None),
    ],
)
def test_maths_beyond_the_bounds_stays_text(text: str, canonical: str | None) -> None:
    assert MathExtractor().extract(text) == canonical
