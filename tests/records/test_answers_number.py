"""Numbers: how they are written, which texts are one as a whole, and on which a reply ends."""

# ruff: noqa: RUF001  look-alikes are what is tested

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlfocal.records.answers import extractor
from rlfocal.records.answers.number import NumberExtractor, _whole
from rlfocal.records.answers.numerals import from_words, numerals, written

REPLIES = [
    ("He has 16 - 3 = 13 eggs.\n#### 13", "13"),
    ("#### 1,234", "1234"),
    ("#### 5\n#### 6", "6"),  # the last one: replies correct themselves
    ("#### -7.50", "-7.5"),
    ("#### $18", "18"),
    ("#### Step 4: add\n5 + 4 = 9", "9"),  # a heading, no mark
    ("#### 2. Add them\nIt makes 9", "9"),
    ("Answer: Ann has 5 eggs. She buys 4 more, so 9 in all.", "9"),  # a heading, too
    ("**Answer:**\n1. Ann has 5.\n2. She buys 4, so 9", "9"),
    ("Answer: 9. She had 5 and bought 4.", "9"),
    ("Answer: Two days ago she had 5, now 9", "9"),
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
    ("1,2", "1.2"),  # a decimal comma: thousands come in threes
    ("The answer is 5 = x + 7.", "5"),
    ("The answer is 12 = about 13.", "12"),
    ("The answer is 2^100.", None),
    ("We take \\frac{a}{b} and get 3.", "3"),
    ("no digits", None),
    ("9" * 101, None),
    ("half is ½ and \N{FULLWIDTH DIGIT FIVE}", "5"),
    ("\\boxed{2:00}", None),
    ("The 16 eggs cost $2 each. It is impossible to tell the 3rd price.", None),  # a refusal
]
WHOLE = [
    "1,750", "$1,750.00", "1750.0", "1 750", "1\N{NO-BREAK SPACE}750", "1.750,00", "1'750", "1_750",
    "1750%", "1,750 %", "\\boxed{1750}", "**1,750**", " 1750 ", "1.75e3", "1.75 × 10^3", "$1750$",
    "\\(1750\\)", "1{,}750", "€1750", "1750 €", "USD 1750", "1750 dollars", "+1750", '"1750"',
    "{{1750}}", "`1750`", "1750.", "\\text{1750}", "\\boxed{\\$1{,}750.00}", "１７５０", "= 1750",
    "1\N{ZERO WIDTH SPACE}750", "<b>1750</b>", "\\$1750",
]  # fmt: skip
NOT_WHOLE = [
    "10:30", "1/2", "½", "2021-05-01", "5/1/2021", "1.2.3", "B12", "12B", "5-10", "5 to 10",
    "#### 18",
    "18 apples", "The answer is 18", "1, 2", "(1, 2)", "x = 5", "", " ", "-", "$", "one", "7th",
    "3:1",
    "2 1/2", "v2", "1750 and 3", "<think>5</think>6", "1,23,4", "12e", "--5", "5 5",
]  # fmt: skip


@pytest.mark.parametrize(("reply", "number"), REPLIES)
def test_a_reply_settles_on(reply: str, number: str | None) -> None:
    assert NumberExtractor().extract(reply) == number


@pytest.mark.parametrize("spelling", WHOLE)
def test_one_number_in_every_dress(spelling: str) -> None:
    assert NumberExtractor().read(spelling) == "1750"
    assert NumberExtractor().extract(spelling) == "1750"


@pytest.mark.parametrize("text", NOT_WHOLE)
def test_what_is_no_number_as_a_whole(text: str) -> None:
    assert NumberExtractor().read(text) is None


def _spellings(value: Decimal) -> list[str]:
    plain = f"{abs(value):f}"
    sign = "-" if value < 0 else ""
    whole, _, part = plain.partition(".")
    grouped = f"{int(whole):,}"
    point = f".{part}" if part else ""
    comma = f",{part}" if part else ""
    dressed = [
        sign + plain,
        sign + grouped + point,
        f"{sign}${grouped}{point}",
        f"{sign}{grouped}{point}%",
        f"{sign}{grouped.replace(',', ' ')}{point}",
        f"\N{MINUS SIGN}{plain}" if sign else plain,
        f"{sign}{plain}{'0' if part else '.0'}",
        f"{sign}{grouped.replace(',', '{,}')}{point}",
    ]
    if part and len(part) != 3:
        dressed.append(f"{sign}{grouped.replace(',', '.')}{comma}")
    frames = (
        "{}", " {} ", "{}.", "**{}**", "`{}`", "\\boxed{{{}}}", "$\\boxed{{{}}}$", "\\({}\\)",
        '"{}"', "\\text{{{}}}",
    )  # fmt: skip
    return [frame.format(text) for text in dressed for frame in frames]


NUMBERS = st.decimals(
    allow_nan=False, allow_infinity=False, places=2, min_value=-(10**9), max_value=10**9
)


@pytest.mark.slow
@settings(deadline=None, max_examples=60)
@given(value=NUMBERS)
def test_every_spelling_of_a_number_is_that_number(value: Decimal) -> None:
    tool = NumberExtractor()
    canonical = tool.read(f"{value:f}")
    assert canonical is not None
    assert Decimal(canonical) == value
    for spelling in _spellings(value):
        assert tool.read(spelling) == canonical, spelling
        assert tool.extract(spelling) == canonical, spelling
        assert tool.extract(f"I see. The answer is {spelling}") == canonical, spelling


@settings(deadline=None, max_examples=60)
@given(first=NUMBERS, second=NUMBERS)
def test_different_numbers_are_never_equal(first: Decimal, second: Decimal) -> None:
    tool = NumberExtractor()
    forms = {tool.read(spelling) for spelling in _spellings(first)}
    others = {tool.read(spelling) for spelling in _spellings(second)}
    assert (first == second) == bool(forms & others)


def test_equality_ignores_the_way_of_writing() -> None:
    tool = extractor("number")
    assert tool.equal("$1,000.00", "1000")
    assert not tool.equal("1000", "1001")
    assert not tool.equal("many", "many")


def test_strict_numbers_need_the_hashes() -> None:
    strict = extractor("number", strict=True)
    assert strict.extract("#### 5") == "5"
    assert strict.extract("it is 5 of 6") is None
    assert strict.extract("The answer is 5") is None
    assert strict.extract("5") == "5"


@settings(deadline=None, max_examples=200)
@given(value=st.decimals(allow_nan=False, allow_infinity=False, places=4, min_value=-(10**9)))
def test_canonical_numbers_keep_their_value(value: Decimal) -> None:
    number = NumberExtractor().read(f"{value:f}")
    assert number is not None
    assert Decimal(number) == value


@settings(deadline=None)
@given(above=st.integers(-(10**12), 10**12), below=st.integers(1, 10**6))
def test_fractions_are_written_to_twelve_digits(above: int, below: int) -> None:
    value = Fraction(above, below)
    text = written(value)
    assert text is not None
    error = abs(Fraction(text) - value)
    assert error <= abs(value) / 10**11
    assert NumberExtractor().read(text) == text


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("2 1/2 of $1,250.50", ["2.5", "1250.5"]),
        ("from 10:30 to 11:45", [None, None]),
        ("B12 and x^2 and GPT-4", []),
        ("1.2e5 or 1.2 × 10^5 or 10^{-3}", ["120000", "120000", "0.001"]),
        (r"-\frac12 and 2\frac{1}{2}", ["-0.5", "2.5"]),
        ("$1.5 million, 3 thousand, $5M, 5k", ["1500000", "3000", "5000000", "5000"]),
        ("16 -3", ["16", "-3"]),
        ("5-10 and $5-$10", ["5", "10", "5", "10"]),
        ("1.2.3 and 1,2,3", [None, None]),
        ("0,234 but 1,234", ["0.234", "1234"]),
        ("12,34,567", ["1234567"]),
        ("1e400 and 1/0", [None, None]),
    ],
)
def test_numbers_in_a_text(text: str, values: list[str | None]) -> None:
    found = [None if n.value is None else written(n.value) for n in numerals(text)]
    assert found == values


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("twenty-one apples", 21),
        ("one hundred and five", 105),
        ("two thousand three hundred", 2300),
        ("three and a half", Fraction(7, 2)),
        ("none", None),
        ("someone", None),
        ("hundred", None),
    ],
)
def test_english_numbers(text: str, value: object) -> None:
    found = from_words(text)
    assert (None if found is None else found[0]) == value


@pytest.mark.slow
@settings(deadline=None, max_examples=400)
@given(
    sign=st.sampled_from(["", "-", "+", " "]),
    currency=st.sampled_from(["", "$", "£", "€"]),
    whole=st.sampled_from(["0", "00", "7", "007", "12", "1,234", "12,345,678", "1234567", "1,23"]),
    part=st.sampled_from(["", ".", ".0", ".50", ".500", ".250", ".1234567"]),
    end=st.sampled_from(["", ".", "%", " ", ".%"]),
)
def test_the_short_way_agrees_with_the_rules_for_all_spellings(
    sign: str, currency: str, whole: str, part: str, end: str
) -> None:
    written_so = f"{sign}{currency}{whole}{part}{end}"
    assert NumberExtractor().read(written_so) == _whole(written_so)


@pytest.mark.parametrize(
    ("computed", "meant"),
    [
        ("0.30000000000000004", "0.3"),
        ("0.3333333333333333", "1/3"),
        ("1.3333333333333333", "4/3"),
        ("0.6666666666666666", "2/3"),
        ("66.66666666666667", "200/3"),
        ("4.949999999999999", "4.95"),
    ],
)
def test_the_last_digits_of_float_arithmetic_do_not_count(computed: str, meant: str) -> None:
    assert extractor("number").equal(computed, f"The answer is {meant}.")


@pytest.mark.parametrize("number", ["12345678901234567890", "1234567890123.45", "0.123456789"])
def test_digits_that_people_write_all_count(number: str) -> None:
    assert NumberExtractor().read(number) == number


@pytest.mark.parametrize("digits", ["১৮", "١٨", "१८", "๑๘", "１８"])
def test_digits_of_every_script_are_digits(digits: str) -> None:
    assert extractor("number").extract(digits) == "18"
