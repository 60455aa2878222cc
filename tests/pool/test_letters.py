"""Which first token stands for which option, and where servers tell the first tokens."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlfocal.pool.asking.letters import letter_scores, letters_given
from rlfocal.pool.asking.prompting import Question, request_for
from rlfocal.pool.member import MemberSettings
from rlfocal.pool.openai.replies.logprobs import first_logprobs, logprobs_in
from rlfocal.pool.servers import OpenAISettings

A, B = {"token": "A", "logprob": -2.0}, {"token": "B", "logprob": -0.5}
TOLD = {"B": -0.5, "A": -2.0}


@pytest.mark.parametrize(
    ("told", "letters"),
    [
        ({"(B": -0.5, "(A": -2.0}, "AB"),
        ({"B.": -0.5, "**A": -2.0}, "AB"),
        ({"[B]": -0.5, '"C"': -2.0}, "BC"),
        ({"b": -0.5, "a": -2.0}, "AB"),
        ({" b)": -0.5, "The": -2.0}, "B"),
        ({"B": -0.5, "a": -2.0}, "B"),  # one large letter: the small one is a word
        ({"The": -0.5, "a": -2.0}, ""),
        ({"BA": -0.5, "x": -1.0, "": -3.0, "E": -0.1}, ""),
        ({}, ""),
    ],
)
def test_tokens_that_stand_for_letters(told: dict[str, float], letters: str) -> None:
    assert letters_given(told, 4) == tuple(letter in letters for letter in "ABCD")
    assert (letter_scores(told, 4) is None) is (not letters)


def test_tokens_of_one_letter_count_together() -> None:
    scores = letter_scores({"A": math.log(0.25), "(A": math.log(0.25), "B": math.log(0.25)}, 2)
    assert scores == pytest.approx((math.log(0.5), math.log(0.25)))


@given(
    told=st.dictionaries(
        st.text("ABCDabcd(.) x", max_size=3), st.floats(-50, 0), min_size=1, max_size=8
    )
)
def test_a_letter_that_was_told_is_never_below_the_bound_of_the_others(
    told: dict[str, float],
) -> None:
    scores, known = letter_scores(told, 4), letters_given(told, 4)
    assert (scores is None) == (not any(known))
    for score, is_known in zip(scores or (), known, strict=False):
        assert math.isfinite(score)
        assert is_known or score <= max(told.values()) + 1e-9


@pytest.mark.parametrize(
    "found",
    [
        {"content": [{**B, "top_logprobs": [B, A]}]},
        [{**B, "top_logprobs": [B, A]}],
        {"content": [{"token": None, "bytes": [66], "logprob": -0.5,
                      "top_logprobs": [{"bytes": [65], "logprob": -2.0}]}]},
        {"content": [{"token": "B", "prob": math.exp(-0.5),
                      "top_probs": [{"token": "A", "prob": math.exp(-2.0)}]}]},
        {"tokens": ["B"], "token_logprobs": [-0.5], "top_logprobs": [{"B": -0.5, "A": -2.0}]},
        {"content": [{"token": "\n\n", "logprob": -0.01, "top_logprobs": [
            {"token": "\n\n", "logprob": -0.01}, {"token": "Okay", "logprob": -3.0}]},
            {"token": "(", "logprob": 0.0}, {**B, "top_logprobs": [B, A]}]},
        {"tokens": ["\u010a", "B"], "token_logprobs": [-0.1, -0.5],
         "top_logprobs": [{"\n": -0.1}, {"B": -0.5, "A": -2.0}]},
    ],
)  # fmt: skip
def test_every_shape_of_the_first_token(found: Any) -> None:
    assert first_logprobs(found) == pytest.approx(TOLD)
    assert first_logprobs(logprobs_in({"logprobs": found})) == pytest.approx(TOLD)
    within = {"message": {"content": "B", "logprobs": found}, "logprobs": None}
    assert first_logprobs(logprobs_in(within)) == pytest.approx(TOLD)


@pytest.mark.parametrize(
    "found",
    [
        None, [], {}, [None], {"content": []}, {"content": [5]}, {"content": "B"}, {"tokens": [1]},
        [{"token": "B", "logprob": "-Infinity"}], [{"token": "B", "prob": 0.0}], [{"bytes": [300]}],
        [{"token": "B", "logprob": True}], {"top_logprobs": [None]}, {"token_logprobs": [-0.1]},
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_nothing(found: Any) -> None:
    assert first_logprobs(found) is None


def test_a_member_may_ask_for_more_tokens_than_one() -> None:
    asked = Question("?", ("a", "b", "c"))
    member = MemberSettings(name="m", endpoint="e", answers="option-scores")
    one = request_for(member, asked)
    assert (one.max_tokens, one.n_options) == (1, 3)
    more = member.model_copy(update={"score_tokens": 16})
    assert request_for(more, asked).max_tokens == 16
    assert request_for(more, Question("?")).n_options == 0
    # What was stored before there was this setting keeps its key.
    served = OpenAISettings(base_url="http://127.0.0.1/v1")
    assert "score_tokens" not in member.identity(served)
    assert more.identity(served)["score_tokens"] == 16
