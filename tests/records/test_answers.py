"""Answer extraction: the laws that every kind obeys, and rules of mathematics by hand."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlfocal.errors import ConfigError
from rlfocal.records.answers import KINDS, extractor
from rlfocal.records.answers.maths import MathExtractor

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
TABLES = {"math": MATH}
CASES = [(kind, text, want) for kind, table in TABLES.items() for text, want in table]


@pytest.mark.parametrize(("kind", "text", "want"), CASES)
def test_rules_by_hand(kind: str, text: str, want: str | None) -> None:
    assert extractor(kind).extract(text) == want


@pytest.mark.parametrize(("kind", "text", "want"), [c for c in CASES if c[2] is not None])
def test_canonical_form_is_left_unchanged(kind: str, text: str, want: str) -> None:
    assert extractor(kind).extract(want) == want
    assert extractor(kind).equal(text, want)


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


@pytest.mark.parametrize("kind", KINDS)
@settings(deadline=None, max_examples=150)
@given(text=TEXTS)
def test_what_is_read_as_a_whole_is_extracted_so(kind: str, text: str) -> None:
    tool = extractor(kind)
    whole = tool.read(text)
    if whole is not None:
        assert tool.read(whole) == whole
        assert tool.extract(text) == whole


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
    "thinking": "<think>",
    "closing": "</think>",
    "questions": "\nQuestion: x",
    "stars": "*a ",
    "letters": "A, ",
    "sums": "1 + ",
}


@pytest.mark.slow
@pytest.mark.parametrize("piece", HOSTILE.values(), ids=HOSTILE)
@pytest.mark.parametrize("kind", KINDS)
def test_no_rule_takes_quadratic_time(kind: str, piece: str) -> None:
    # Finishing is the test: quadratic rules would need minutes for each of these.
    extractor(kind).extract(piece * (100_000 // len(piece)))


@pytest.mark.slow
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
