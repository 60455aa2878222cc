"""Mathematical answers: how they are read, found in replies, compared and grouped."""

from __future__ import annotations

import random
from collections.abc import Callable
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlfocal.records.answers.mathematics.comparing.rules import Likeness, classes_of, likeness
from rlfocal.records.answers.mathematics.literals import number_value, number_written
from rlfocal.records.answers.mathematics.scanning import without_absolute
from rlfocal.records.answers.mathematics.structure import parsed
from rlfocal.records.answers.mathematics.units import unit_of
from rlfocal.records.answers.mathematics.writing import written
from rlfocal.records.answers.maths import MathExtractor

TOOL = MathExtractor()


def by_text(pairs: list[tuple[str, str]]) -> dict[tuple[str, str], bool | None]:
    """A verifier that knows nothing: expressions are equal as texts."""
    return {(a, b): a == b for a, b in pairs}


READ = [
    (r"$\frac{1}{2}$", r"\frac{1}{2}"),
    (r"\(\frac12\)", r"\frac{1}{2}"),
    (r"\[0.5\]", r"\frac{1}{2}"),
    (r"$$x+1$$", "x+1"),
    (r"\boxed{7}", "7"),
    (r"$\boxed{\frac{7}{2}}$.", r"\frac{7}{2}"),
    (r"\text{(C)}", "C"),
    ("(C)", "C"),
    ("11:00", "11:00"),
    ("  5  ", "5"),
    ("1,000", "1000"),
    ("5 cm", r"5\text{cm}"),
    ("$5$ cm", r"5\text{cm}"),
    ("Monday", "Monday"),
    ("x = 5", "x=5"),
    ("½", r"\frac{1}{2}"),
    ("2½", r"\frac{5}{2}"),
    ("3 1/4", r"\frac{13}{4}"),
    ("x² + 1", "x^2+1"),
    ("√(x+1)", r"\sqrt{x+1}"),
    ("sqrt(2)/2", r"\sqrt{2}/2"),
    ("", None),
    ("$ $", None),
    ("The answer is 5", None),
    ("I think that it should be five or maybe six in the end", None),
    ("word " * 200, None),
]


@pytest.mark.parametrize(("text", "want"), READ)
def test_a_whole_text_is_read(text: str, want: str | None) -> None:
    assert TOOL.read(text) == want


REPLIES = [
    ("So we get 6.", "6"),
    ("The answer is 3, because $2+1=3$", "3"),
    ("The answer is \\(42\\).", "42"),
    ("Hence\n\\[ x = 42 \\]", "x=42"),
    ("So the final answer is $$42$$", "42"),
    ("<think>\\boxed{3}</think> so \\boxed{4}", "4"),
    ("\\boxed{3}</think> The answer is 4.", "4"),
    ("<think> It is \\boxed{3}", None),
    ("Thus **73**.\n\nFinal Answer: **73**", "73"),
    ("the answer is $-\\frac{1}{2}$, not $2$", r"-\frac{1}{2}"),
    ("We get \\boxed{1} or, better, \\boxed{2}", "2"),
    ("roots \\boxed{1} and \\boxed{2}", "1,2"),
    ("\\boxed{x = \\boxed{5}}", "5"),
    ("\\boxed{\\frac{1}{2}", None),
    ("It costs $5 and I pay $6, so the change is $1.", "1"),
    ("#### 18", "18"),
    ("There is nothing to say.", None),
    ("Answer: we can see that the total number of all the apples is 12 in the end", "12"),
    ("The answer is the value $x=3$ here.", "x=3"),
    ("$$ \\boxed -5 $$", "-5"),
    ("", None),
]


@pytest.mark.parametrize(("text", "want"), REPLIES)
def test_the_answer_is_found_in_a_reply(text: str, want: str | None) -> None:
    found = TOOL.extract(text)
    assert found == want or (want is not None and found is not None and TOOL.equal(found, want))
    assert (found is None) == (want is None)


VALUES = [
    ("3", Fraction(3)),
    ("-0.25", Fraction(-1, 4)),
    (".5", Fraction(1, 2)),
    ("2.", Fraction(2)),
    ("3/4", Fraction(3, 4)),
    (r"\frac{3}{4}", Fraction(3, 4)),
    (r"\frac{\frac{1}{2}}{3}", None),
    (r"2\frac{1}{2}", Fraction(5, 2)),
    (r"-2\frac{1}{2}", Fraction(-5, 2)),
    (r"2\frac{7}{3}", None),
    ("10^{-3}", Fraction(1, 1000)),
    ("-2^2", Fraction(-4)),
    ("0^{0}", None),
    ("10^{999}", None),
    (r"1.2\times10^{5}", Fraction(120000)),
    (r"3\cdot10^2", Fraction(300)),
    ("6e3", Fraction(6000)),
    (r"0.\overline{3}", Fraction(1, 3)),
    (r"0.1\overline{6}", Fraction(1, 6)),
    ("1/0", None),
    ("x", None),
    ("", None),
    ("9" * 200, None),
]


@pytest.mark.parametrize(("text", "want"), VALUES)
def test_plain_numbers_have_a_value(text: str, want: Fraction | None) -> None:
    assert number_value(text) == want


@given(st.fractions(max_denominator=10**6).filter(lambda x: abs(x) < 10**12))
def test_numbers_are_read_back(value: Fraction) -> None:
    assert number_value(number_written(value)) == value
    assert written(number_written(value)) == number_written(value)


BOUNDS = [
    ("|x|>3", r"x<-3\text{or}x>3"),
    ("3>|x|", "-3<x<3"),
    ("1<|x|<2", r"-2< x< -1\text{or}1< x< 2"),
    *((text, text) for text in ("2<|x|<1", "1>|x|>0", "|x|<y", "|x-2|<-1", "|x|<3<4<5")),
]


@pytest.mark.parametrize(("text", "want"), BOUNDS)
def test_bounds_of_an_absolute_value_are_bounds_of_the_name(text: str, want: str) -> None:
    assert without_absolute(text) == want


UNITS = [
    (r"5\text{cm}", ("5", "cm")),
    (r"5\text{cm}^2", ("5", "cm^2")),
    (r"5\text{square meters}", ("5", "m^2")),
    (r"5\text{m/s}", ("5", "m s^-1")),
    (r"5\text{meters per second}", ("5", "m s^-1")),
    (r"5\text{m}/\text{s}^2", ("5", "m s^-2")),
    (r"50\%", ("50", "%")),
    (r"90^\circ", ("90", "deg")),
    (r"\$32", ("32", "$")),
    (r"-\$32", ("-32", "$")),
    (r"5\text{ways}", ("5", "")),
    (r"5\text{apples}", ("5", "?apples")),
    ("5", ("5", "")),
    (r"\sin45^\circ", (r"\sin45^\circ", "")),
    (r"5^\circ\text{C}", ("5", "celsius")),
    (r"5\euro", ("5", "euro")),
    (r"5\$", ("5", "$")),
]


@pytest.mark.parametrize(("text", "want"), UNITS)
def test_units_go_by_one_name(text: str, want: tuple[str, str]) -> None:
    assert unit_of(text) == want


PIECES = (
    r"\frac{|\frac12|}|{|1|2|x|,|;|(|)|[|]|\{|\}|\text{|cm|\%|^|_|$|\boxed{|=|<|\le|\cup|\pm|\sqrt"
    r"|\begin{pmatrix}|\end{pmatrix}|&|\\|:|\circ| |-|.|or|and|\infty|\left|\right|\,|3 1/2|½|\in"
)
TEXTS = st.one_of(
    st.text(max_size=60),
    st.lists(st.sampled_from(PIECES.split("|")), max_size=12).map("".join),
)


@pytest.mark.slow
@settings(deadline=None, max_examples=400)
@given(TEXTS)
def test_anything_is_read_without_an_error_and_stays_what_it_became(text: str) -> None:
    found = TOOL.extract(text)
    if found is not None:
        assert found
        assert TOOL.extract(found) == found
    whole = TOOL.read(text)
    if whole is not None:
        assert TOOL.extract(whole) == whole


@settings(deadline=None, max_examples=300)
@given(TEXTS, TEXTS)
def test_comparison_is_symmetric_and_everything_is_like_itself(first: str, second: str) -> None:
    a, b = (parsed(written(text)) for text in (first, second))

    def ask(x: str, y: str) -> bool | None:
        return x == y

    assert likeness(a, b, ask) == likeness(b, a, ask)
    assert likeness(a, a, ask) >= Likeness.LOOSER


POOL = [
    r"50",
    r"50\%",
    r"\frac{1}{2}",
    r"5",
    r"5\text{cm}",
    r"5\text{m}",
    r"x=5",
    r"y=5",
    r"1,2",
    r"2,1",
    r"(1,2)",
    r"(2,1)",
    r"\{1,2\}",
    r"[1,2]",
    r"x",
    r"y",
    r"Monday",
    r"C",
    r"1011_2",
    r"1011",
    r"1011_3",
    r"2:3",
    r"\frac{2}{3}",
    r"3,3",
    r"\$5",
    r"5\text{apples}",
    r"\frac{1}{20}",
    r"5\%",
    r"x<5",
]
ANSWERS = st.lists(st.sampled_from(POOL), min_size=1, max_size=10)


@pytest.mark.slow
@settings(deadline=None, max_examples=300)
@given(ANSWERS, st.none() | st.sampled_from(POOL), st.integers(0, 2**32))
def test_classes_do_not_depend_on_the_order(
    answers: list[str], label: str | None, seed: int
) -> None:
    order = list(range(len(answers)))
    random.Random(seed).shuffle(order)
    plain = TOOL.classes(answers, label)
    shuffled = TOOL.classes([answers[k] for k in order], label)
    same = [[plain[i] == plain[j] for j in order] for i in order]
    assert same == [[a == b for b in shuffled] for a in shuffled]
    if label is not None:
        assert [plain[k] == 0 for k in order] == [number == 0 for number in shuffled]


@settings(deadline=None, max_examples=300)
@given(ANSWERS, st.none() | st.sampled_from(POOL))
def test_classes_keep_apart_what_differs_and_the_label_takes_what_equals_it(
    answers: list[str], label: str | None
) -> None:
    texts = set(answers) | ({label} if label is not None else set())
    nodes = {text: parsed(text) for text in texts}
    classes = classes_of(nodes, label, by_text)

    def like(a: str, b: str) -> Likeness:
        return likeness(nodes[a], nodes[b], lambda x, y: x == y)

    for a in texts:
        if label is not None:
            assert (classes[a] == 0) == (a == label or like(a, label) >= Likeness.LOOSER)
        for b in texts:
            if a != b and classes[a] == classes[b] != 0:
                assert like(a, b) != Likeness.DIFFERENT


@settings(deadline=None, max_examples=200)
@given(ANSWERS, ANSWERS, st.sampled_from(POOL))
def test_who_is_right_does_not_depend_on_who_else_answered(
    answers: list[str], others: list[str], label: str
) -> None:
    alone = [number == 0 for number in TOOL.classes(answers, label)]
    among = [number == 0 for number in TOOL.classes(answers + others, label)]
    assert among[: len(answers)] == alone
    assert alone == [TOOL.equal(answer, label) for answer in answers]


GROUPED = [
    (["50", r"50\%", "0.5"], None, [0, 0, 1]),
    (["0.5", r"50\%"], None, [0, 0]),
    (["0.5", r"50\%", "50"], "50", [1, 0, 0]),
    (["0.5", r"50\%", "50"], r"50\%", [0, 0, 0]),
    (["5 cm", "5 m"], None, [0, 1]),
    (["5 cm", "5 m"], "5", [0, 0]),
    (["5 cm", "5", "5 m"], None, [0, 0, 1]),
    (["(1,2)", "1,2", "2,1", "(2,1)"], None, [0, 1, 1, 2]),
    (["(1,2)", "1,2"], None, [0, 0]),
    (["2,1", "1,2"], "(1,2)", [1, 0]),
    (["x^2-1", "(x-1)(x+1)", "x^2+1", "-1+x^2"], None, [0, 0, 1, 0]),
    ([r"\sqrt{8}", r"2\sqrt{2}", "2.83"], r"2\sqrt2", [0, 0, 1]),
    (["7", "8"], "9", [1, 2]),
    ([], "9", []),
    ([], None, []),
]


@pytest.mark.parametrize(("answers", "label", "want"), GROUPED)
def test_classes_by_hand(answers: list[str], label: str | None, want: list[int]) -> None:
    assert TOOL.classes(answers, label) == want


@pytest.mark.parametrize("unknown", [None, False])
def test_what_is_not_verified_is_not_equal(unknown: bool | None) -> None:
    class Silent:
        def compare(self, pairs: list[tuple[str, str]]) -> dict[tuple[str, str], bool | None]:
            return dict.fromkeys(pairs, unknown)

    tool = MathExtractor(Silent())  # type: ignore[arg-type]
    assert not tool.equal("x+x", "2x")
    assert tool.equal("2x", "2x")
    assert tool.classes(["x+x", "2x", "x+x"]) == [0, 1, 0]


LONG: dict[str, Callable[[int], str]] = {
    "brackets": lambda n: "(" * n + "1" + ")" * n,
    "braces": lambda n: "{" * n + "1" + "}" * n,
    "commas": lambda n: ",".join("1" * n),
    "plus or minus": lambda n: "\\pm " * n + "1",
    "sets": lambda n: "\\{" * n + "1" + "\\}" * n,
    "equations": lambda n: "=".join("x" * n),
    "unions": lambda n: "\\cup".join(["(1,2)"] * n),
}


@pytest.mark.parametrize("shape", LONG)
def test_long_and_deep_answers_cost_little(shape: str) -> None:
    for n in (30, 400, 20_000):
        text = LONG[shape](n)
        found = TOOL.extract(f"\\boxed{{{text}}}")
        if found is not None:
            assert likeness(parsed(found), parsed(found), lambda a, b: None) >= Likeness.LOOSER
