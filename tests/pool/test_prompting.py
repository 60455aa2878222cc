"""Questions become messages by a member's template; option letters are scored by first tokens."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlfocal.pool.asking.prompting import Question, letter_scores, letters_given, request_for
from rlfocal.pool.asking.turns import as_one_text
from rlfocal.pool.member import MemberSettings, Shot
from rlfocal.pool.types import Message

CHOICE = Question("What boils at 100 degrees?", ("iron", "water"))


def member(**changes: object) -> MemberSettings:
    return MemberSettings.of({"name": "m", "endpoint": "e", **changes}, source="test")


def test_a_chat_has_a_system_turn_worked_examples_and_the_question() -> None:
    shot = Shot(question="1 + 1?", reply="2")
    asked = request_for(member(system="Be brief.", shots=(shot,)), Question("2 + 2?"))
    assert asked.messages == (
        Message("system", "Be brief."),
        Message("user", "1 + 1?"),
        Message("assistant", "2"),
        Message("user", "2 + 2?"),
    )


def test_options_are_lettered() -> None:
    asked = request_for(member(choice_template="{question}\n{options}\nAnswer:"), CHOICE)
    assert asked.text == "What boils at 100 degrees?\nA. iron\nB. water\nAnswer:"


def test_a_model_without_a_chat_template_reads_one_text() -> None:
    shots = (Shot(question="1 + 1?", reply="2"), Shot(question="1 + 2?", reply="3"))
    asker = member(template="Q: {question}\nA:", shots=shots, system="Sums.")
    asked = request_for(asker, Question("2 + 2?"), api="completions")
    assert asked.text == "Sums.\n\nQ: 1 + 1?\nA: 2\n\nQ: 1 + 2?\nA: 3\n\nQ: 2 + 2?\nA:"


@given(st.text(), st.lists(st.text(), max_size=4))
def test_what_a_question_holds_is_no_placeholder(prompt: str, options: list[str]) -> None:
    prompt += " {options} {question} {other}"
    asked = request_for(member(template="<{question}>"), Question(prompt))
    assert asked.text == f"<{prompt}>"
    chosen = Question(prompt, (*options, "{question}"))
    asked = request_for(member(choice_template="<{question}>{options}"), chosen)
    assert asked.text.startswith(f"<{prompt}>A. ")
    assert asked.text.endswith(". {question}")


@pytest.mark.parametrize(
    ("template", "sent"),
    [
        (r"{question} Put it in \boxed{{answer}}.", r"Q{a} Put it in \boxed{answer}."),
        ('{question} Reply with {{"answer": "..."}}', 'Q{a} Reply with {"answer": "..."}'),
        ("{{{question}}}", "{Q{a}}"),
        (r"{question} \boxed{{\frac{1}{2}}}", r"Q{a} \boxed{\frac{1}{2}}"),
        # As they always were: a template without "{{" holds no escapes.
        (r"{question} \boxed{\frac{1}{2}}", r"Q{a} \boxed{\frac{1}{2}}"),
        ('{question} {"a": {"b": 1}}', 'Q{a} {"a": {"b": 1}}'),
        ("{question} { x } {} {X}", "Q{a} { x } {} {X}"),
    ],
)
def test_braces_in_a_template(template: str, sent: str) -> None:
    assert request_for(member(template=template), Question("Q{a}")).text == sent


def test_the_system_is_told_by_the_user_where_a_model_has_no_role_for_it() -> None:
    shot = Shot(question="1 + 1?", reply="2")
    asker = member(system="Be brief.", shots=(shot,), system_as="user")
    asked = request_for(asker, Question("2 + 2?"))
    assert asked.messages == (
        Message("user", "Be brief.\n\n1 + 1?"),
        Message("assistant", "2"),
        Message("user", "2 + 2?"),
    )
    history = (
        Message("system", "Be kind."),
        Message("user", "Look:", parts=({"type": "image_url"},)),
        Message("assistant", "A cat."),
        Message("system", "Now stop."),
    )
    whole = request_for(asker, Question("", history=history, whole=True))
    assert [(turn.role, turn.content) for turn in whole.messages] == [
        ("user", "Be brief.\n\nBe kind.\n\nLook:"),
        ("assistant", "A cat."),
        ("user", "Now stop."),
    ]
    text = {"type": "text", "text": "Be brief.\n\nBe kind."}
    assert whole.messages[0].parts == (text, {"type": "image_url"})


def test_option_scores_need_one_token_and_samples_their_own_seeds() -> None:
    asker = member(answers="option-scores", max_tokens=99, seed=7, stop=["\n"])
    scored = request_for(asker, CHOICE, sample=2)
    # A stop text as the first token would take the log-probabilities away.
    assert (scored.max_tokens, scored.n_logprobs, scored.stop) == (1, 20, ())
    assert scored.seed != request_for(asker, CHOICE).seed
    more = member(answers="option-scores", n_logprobs=1000)
    assert request_for(more, CHOICE).n_logprobs == 1000
    # An open question has no letters to score.
    spoken = request_for(asker, Question("Why?"))
    assert (spoken.max_tokens, spoken.n_logprobs, spoken.stop) == (99, 0, ("\n",))


def test_letters_count_with_and_without_a_space_and_others_do_not() -> None:
    logprobs = {
        "A": math.log(0.2), " A": math.log(0.1), "B": math.log(0.3),
        "a": math.log(0.05), "AB": -1.0, "D": -0.1, "\n": math.log(0.01),
    }  # fmt: skip
    scores = letter_scores(logprobs, 3)
    assert scores is not None
    assert [round(math.exp(s), 6) for s in scores[:2]] == [0.3, 0.3]
    assert scores[2] == min(logprobs.values())  # no likelier than the least of them
    assert letters_given(logprobs, 3) == (True, True, False)


def test_without_any_letter_there_are_no_scores() -> None:
    assert letter_scores({"the": -0.5}, 4) is None
    assert letter_scores({}, 4) is None
    assert letter_scores({"E": -0.5}, 4) is None


def test_a_letter_that_is_not_told_is_no_likelier_than_what_is_left() -> None:
    """A server that tells of one token alone leaves little for all others."""
    scores = letter_scores({"A": math.log(0.99)}, 2)
    assert scores is not None
    assert scores[1] == pytest.approx(math.log(0.01))
    certain = letter_scores({"A": 0.0}, 2)
    assert certain is not None
    assert certain[0] == 0
    assert -20 < certain[1] < -10  # the server's own rounding


def test_one_token_more_than_asked_for_bounds_nothing() -> None:
    """Some servers add the token that was drawn, however unlikely."""
    logprobs = {"A": -1.0, "x": -2.0, "drawn": -30.0}
    assert letter_scores(logprobs, 2, n_asked=2) == (-1.0, -2.0)
    assert letter_scores(logprobs, 2, n_asked=3) == (-1.0, -30.0)


def test_minus_infinity_is_a_score_like_others_and_no_number_is_none() -> None:
    told = {"A": -math.inf, "B": -0.1, "C": -9999.0, "D": math.nan, "x": math.inf}
    assert letter_scores(told, 4) == (-103.0, -0.1, -103.0, -103.0)
    assert letters_given(told, 4) == (True, True, True, False)
    assert letter_scores({"A": math.nan}, 2) is None


@given(
    st.dictionaries(
        st.sampled_from(["A", " A", "B", "C", "\tC", "x"]),
        st.floats(-30, 0) | st.just(-math.inf) | st.just(math.nan),
    ),
    st.integers(1, 3),
    st.integers(1, 30) | st.none(),
)
def test_letter_scores_are_finite_and_what_is_not_told_is_never_above_what_is(
    logprobs: dict[str, float], n_options: int, n_asked: int | None
) -> None:
    scores = letter_scores(logprobs, n_options, n_asked=n_asked)
    told = letters_given(logprobs, n_options)
    assert (scores is None) == (not any(told))
    if scores is None:
        return
    assert len(scores) == n_options
    assert all(math.isfinite(score) for score in scores)
    if n_asked is None:
        known = [score for score, known in zip(scores, told, strict=True) if known]
        bounds = [score for score, known in zip(scores, told, strict=True) if not known]
        assert not bounds or max(bounds) <= min(known)


@pytest.mark.parametrize("system", ["", "Be brief."])
@pytest.mark.parametrize("template", ["Q: {question}\nA:", "{question}\n", "Answer {question} "])
def test_turns_as_one_text_are_what_a_model_without_a_chat_template_is_asked(
    template: str, system: str
) -> None:
    """So a part of a blend is asked as the same member is alone."""
    shots = [{"question": "1 + 1?", "reply": "2"}, {"question": "2 + 1?", "reply": "3"}]
    one = member(template=template, shots=shots, system=system)
    history = (Message("user", "4?"), Message("assistant", "four"), Message("system", "Go on."))
    for question in (Question("3 + 1?"), Question("3 + 1?", history=history)):
        turns = request_for(one, question).messages
        assert as_one_text(turns) == request_for(one, question, api="completions").text
