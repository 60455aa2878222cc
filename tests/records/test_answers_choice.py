"""Letters of options: in every dress, in a reply, by the option's text, and where there is none."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlfocal.records.answers import extractor
from rlfocal.records.answers.choice import ChoiceExtractor
from rlfocal.records.schema import OPTION_LETTERS

REPLIES = [
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
FRAMES = (
    "{}", " {} ", "({})", "{}.", "{})", "[{}]", "**{}**", "**({})**", "`{}`", "\\boxed{{{}}}",
    "\\boxed{{\\text{{({})}}}}", "$\\boxed{{\\textbf{{{}}}}}$", "\\({}\\)", "Option {}",
    "option ({}).",
    "choice {}", '"{}"', "{{{{{}}}}}", "<b>{}</b>", "{}\n",
)  # fmt: skip
SENTENCES = (
    "The answer is {}", "Answer: {}", "ANSWER - {}", "**Final answer:** {}\n\nThat was hard.",
    "<think>Perhaps (A)?</think>\nThe answer is:\n\n{}", "die Antwort lautet {}", "答案是{}",
    '{{"answer": "{}"}}', "<answer>{}</answer>",
)  # fmt: skip


@pytest.mark.parametrize(("reply", "letter"), REPLIES)
def test_a_reply_settles_on(reply: str, letter: str | None) -> None:
    assert ChoiceExtractor().extract(reply) == letter


@settings(deadline=None, max_examples=60)
@given(place=st.integers(0, 25), lower=st.booleans(), frame=st.sampled_from(FRAMES))
def test_a_letter_in_every_dress(place: int, lower: bool, frame: str) -> None:
    tool = ChoiceExtractor(26)
    letter = OPTION_LETTERS[place]
    text = frame.format(letter.lower() if lower else letter)
    assert tool.read(text) == letter
    assert tool.extract(text) == letter
    assert ChoiceExtractor(26).equal(text, letter)


@settings(deadline=None, max_examples=100)
@given(
    place=st.integers(0, 25), dress=st.sampled_from(["{}", "({})", "**{}**", "{}.", "[{}]",
    "({})."]),
    sentence=st.sampled_from(SENTENCES),
)  # fmt: skip
def test_a_marked_letter_in_every_dress(place: int, dress: str, sentence: str) -> None:
    letter = OPTION_LETTERS[place]
    assert ChoiceExtractor(26).extract(sentence.format(dress.format(letter))) == letter


@settings(deadline=None, max_examples=100)
@given(first=st.integers(0, 25), second=st.integers(0, 25), frame=st.sampled_from(FRAMES))
def test_different_letters_are_never_equal(first: int, second: int, frame: str) -> None:
    a, b = OPTION_LETTERS[first], OPTION_LETTERS[second]
    assert ChoiceExtractor(26).equal(frame.format(a), b) is (first == second)


@pytest.mark.parametrize(
    "text", ["", "B or C", "AB", "A and C", "E", "Paris", "B is right, C is not", "12", "I think B"]
)
def test_what_is_no_letter_as_a_whole(text: str) -> None:
    assert ChoiceExtractor(4).read(text) is None


CAPITALS = ("London", "Paris", "Rome", "Paris, Texas")


@pytest.mark.parametrize(
    ("text", "letter"),
    [
        ("Paris", "B"),
        ("paris.", "B"),
        ("**The Paris**", "B"),
        ("B. Paris", "B"),
        ("(D) Paris, Texas", "D"),
        ("Paris, Texas", "D"),
        ("B. Rome", None),  # letter and text contradict each other
        ("Berlin", None),
        ("(B) Berlin", None),
    ],
)
def test_a_text_of_an_option_is_its_letter(text: str, letter: str | None) -> None:
    assert ChoiceExtractor(4, options=CAPITALS).read(text) == letter


@pytest.mark.parametrize(
    ("reply", "letter"),
    [
        ("The answer is Paris, Texas.", "D"),
        ("The answer is Rome because of the Tiber.", "C"),
        ("It has to be London, I am sure.", "A"),
        ("London or Rome?", None),
        ("The answer is Berlin.", None),
    ],
)
def test_a_reply_may_name_an_option_by_its_text(reply: str, letter: str | None) -> None:
    assert ChoiceExtractor(4, options=CAPITALS).extract(reply) == letter


def test_texts_that_two_options_share_name_none() -> None:
    tool = ChoiceExtractor(3, options=("Yes", "yes.", "No"))
    assert tool.read("yes") is None
    assert tool.read("no") == "C"


def test_an_index_counts_from_where_it_is_told() -> None:
    assert ChoiceExtractor(4).read("1") is None
    assert ChoiceExtractor(4, first_index=0).read("1") == "B"
    assert ChoiceExtractor(4, first_index=1).read("(1)") is None
    assert ChoiceExtractor(4, first_index=1).read("1") == "A"
    assert ChoiceExtractor(4, first_index=1).read("5") is None
    # An option's own text goes before its place.
    assert ChoiceExtractor(2, options=("1", "0"), first_index=0).read("0") == "B"


def test_options_beyond_the_last_are_no_answers() -> None:
    # The reply settled on an option that does not exist; the other letter is a guess.
    assert extractor("choice", n_options=3).extract("The answer is (D), or B") is None
    assert extractor("choice", n_options=26).extract("The answer is (Z)") == "Z"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_options": 27}, "n_options is 27"),
        ({"n_options": 0}, "n_options is 0"),
        ({"n_options": 1, "options": ("a", "b")}, "options has 2 texts"),
        ({"first_index": 2}, "first_index is 2"),
    ],
)
def test_options_out_of_range_are_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        extractor("choice", **options)
