"""Questions become messages by a member's template; option letters are scored by first tokens."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from rlfocal.pool.prompting import Question, letter_scores, request_for
from rlfocal.pool.settings import MemberSettings, Shot
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


def test_option_scores_need_one_token_and_samples_their_own_seeds() -> None:
    scored = request_for(member(answers="option-scores", max_tokens=99, seed=7), CHOICE, sample=2)
    assert (scored.max_tokens, scored.seed) == (1, 9)
    assert scored.n_logprobs > 0
    # An open question has no letters to score.
    spoken = request_for(member(answers="option-scores", max_tokens=99), Question("Why?"))
    assert (spoken.max_tokens, spoken.n_logprobs) == (99, 0)


def test_letters_count_with_and_without_a_space_and_others_do_not() -> None:
    logprobs = {
        "A": math.log(0.2), " A": math.log(0.1), "B": math.log(0.3),
        "a": math.log(0.05), "AB": -1.0, "D": -0.1, "\n": math.log(0.01),
    }  # fmt: skip
    scores = letter_scores(logprobs, 3)
    assert scores is not None
    assert [round(math.exp(s), 6) for s in scores[:2]] == [0.3, 0.3]
    assert scores[2] < min(logprobs.values())


def test_without_any_letter_there_are_no_scores() -> None:
    assert letter_scores({"the": -0.5}, 4) is None
    assert letter_scores({}, 4) is None
    assert letter_scores({"E": -0.5}, 4) is None


@given(
    st.dictionaries(st.sampled_from(["A", " A", "B", "C", "\tC", "x"]), st.floats(-30, 0)),
    st.integers(1, 3),
)
def test_letter_scores_are_finite_and_never_above_zero_together(
    logprobs: dict[str, float], n_options: int
) -> None:
    scores = letter_scores(logprobs, n_options)
    if scores is not None:
        assert len(scores) == n_options
        assert all(math.isfinite(score) for score in scores)
