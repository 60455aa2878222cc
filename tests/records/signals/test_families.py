"""The built-in families: hand values, what is unknown, and that any reply gives bounded numbers."""

from __future__ import annotations

import math
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlfocal.records.signals import SeenReply, TokenLogprobs, families, family_names
from rlfocal.records.signals.reading import answer_spans, numbers_of_prompt

PROMPT = "Ann has 12 apples and 3,000 pears, and eats 2 of each 3."


def signals(reply: SeenReply) -> dict[str, float]:
    """All signals of a reply by name."""
    found: dict[str, float] = {}
    for family in families():
        read = family.read(reply)
        assert len(read) == len(family.names)
        found |= dict(zip(family.names, map(float, read), strict=True))
    return found


def number_reply(text: str | None, answer: str | None = "36", **more: object) -> SeenReply:
    return SeenReply(text=text, prompt=PROMPT, answer=answer, kind="number", **more)


def test_names_begin_with_their_family() -> None:
    assert family_names()[:4] == ("text", "answer", "logprobs", "server")
    for name, family in zip(family_names(), families(), strict=True):
        assert all(signal.startswith(f"{name}.") for signal in family.names)


def test_wording_by_hand() -> None:
    text = "Wait, 12 * 3 = 36.\n```\nMaybe 12 + 2 = 15?\n```\nTherefore, I assume about 36"
    found = signals(number_reply(text))
    log = math.log1p
    expected = {
        "length": log(len(text)), "lines": log(4), "numbers": log(7),
        "prompt_numbers_used": 3 / 4, "equations": log(2), "wrong_equations": log(1),
        "wrong_share": 0.5, "hedges": log(1), "corrections": log(1), "assumptions": log(1),
        "approximations": log(1), "conclusions": log(1), "refusal": 0.0, "code": 1.0,
        "latex": 0.0, "distinct_words": 16 / 19, "answer_place": 1.0, "answer_count": log(2),
        "answer_computed": 1.0, "answer_concluded": 0.0,
        "unfinished": 0.0,
    }  # fmt: skip
    assert {k: found[f"text.{k}"] for k in expected} == pytest.approx(expected)


@pytest.mark.parametrize(
    ("text", "unfinished"),
    [
        ("So 3 * 12", False),
        ("So 3 *", True),
        ("It is 36, and the next step", True),
        ("It is 36 apples", True),
        ("It is **36**", False),
        ("It is 36.", False),
        ("Paris", False),
        ("```json\n{}", True),
        ("", True),
        ('{"answer": "36"}', False),
    ],
)
def test_whether_a_text_ends_where_it_should(text: str, unfinished: bool) -> None:
    assert signals(number_reply(text))["text.unfinished"] == unfinished


def test_whether_an_answer_was_computed() -> None:
    def found(text: str, answer: str | None = "36") -> tuple[float, float]:
        read = signals(number_reply(text, answer))
        return read["text.answer_computed"], read["text.answer_concluded"]

    assert found("12 * 3 = 36, then 36") == (1, 1)
    assert found("12 * 3 = 36 and 2 * 6 = 12, so 36") == (1, 0)
    assert found("12 * 3 = 35, so 36") == (0, 0)
    assert found("2 - 38 = -36", "-36") == (1, 1)
    assert all(map(math.isnan, (*found("it is 36"), *found("12 * 3 = 36", None))))


def test_refusals_and_latex() -> None:
    found = signals(number_reply(r"I'm sorry, \frac{1}{2} cannot be determined.", None))
    assert found["text.refusal"] == found["text.latex"] == 1
    assert math.isnan(found["text.answer_place"])
    assert math.isnan(found["text.answer_count"])


def test_without_a_text_its_length_may_be_known() -> None:
    found = signals(number_reply(None, n_chars=99))
    assert found["text.length"] == math.log1p(99)
    others = [v for k, v in found.items() if k.startswith("text.") and k != "text.length"]
    assert all(map(math.isnan, others))
    assert math.isnan(signals(number_reply(None))["text.length"])


def test_answers_by_hand() -> None:
    found = signals(number_reply("so -12.5", "-12.5"))
    log = math.log1p
    expected = {
        "length": log(5), "integer": 0.0, "negative": 1.0, "magnitude": log(12.5),
        "over_prompt": log(12.5) - log(3000), "in_prompt": 0.0,
    }  # fmt: skip
    assert {k: found[f"answer.{k}"] for k in expected} == pytest.approx(expected)
    assert math.isnan(found["answer.option_length"])
    assert signals(number_reply("", "3000"))["answer.in_prompt"] == 1

    option = SeenReply(text="(B)", prompt="Is Pluto one?", choices=("no", "Pluto"), answer="B",
                       kind="choice")  # fmt: skip
    found = signals(option)
    assert found["answer.in_prompt"] == 1
    assert found["answer.option_length"] == pytest.approx(log(5) - log(3.5))
    assert math.isnan(found["answer.magnitude"])

    word = SeenReply(text="x", prompt="Which is it, Paris or Rome?", answer="rome", kind="text")
    assert signals(word)["answer.in_prompt"] == 1
    nothing = signals(number_reply("what?", None))
    assert all(math.isnan(v) for k, v in nothing.items() if k.startswith("answer."))


def tokens(*pairs: tuple[int, float]) -> TokenLogprobs:
    chars, logprob = zip(*pairs, strict=True)
    return TokenLogprobs(np.array(chars, dtype=np.int32), np.array(logprob, dtype=np.float32))


def test_log_probabilities_by_hand() -> None:
    #      "So " "it " "is " "3" "6" "."
    own = tokens((3, -0.5), (3, math.nan), (3, -1.0), (1, -3.0), (1, -0.25), (1, -0.25))
    found = signals(number_reply("So it is 36.", tokens=own))
    known = [-0.5, -1.0, -3.0, -0.25, -0.25]
    expected = {
        "mean": -1.0, "minimum": -3.0, "lowest_window": -1.0, "last_window": -1.0,
        "spread": float(np.std(known)), "doubtful": 2 / 5, "answer_mean": -1.625,
        "answer_minimum": -3.0,
    }  # fmt: skip
    assert {k: found[f"logprobs.{k}"] for k in expected} == pytest.approx(expected)


def test_windows_of_log_probabilities() -> None:
    logprob = [0.0] * 20 + [-1.0] * 16 + [-0.5] * 16
    found = signals(number_reply(None, tokens=tokens(*((1, value) for value in logprob))))
    assert found["logprobs.lowest_window"] == -1.0
    assert found["logprobs.last_window"] == -0.5
    assert math.isnan(found["logprobs.answer_mean"])


@pytest.mark.parametrize(
    "own",
    [tokens((5, -1.0)), tokens((100, -1.0)), tokens((3, math.nan), (9, math.nan))],
    ids=["short", "long", "all left out"],
)
def test_the_answer_s_tokens_are_unknown_where_tokens_are_not_the_text(own: TokenLogprobs) -> None:
    found = signals(number_reply("So it is 36 " + "." * 20, tokens=own))
    assert math.isnan(found["logprobs.answer_mean"])


def test_a_server_s_minus_infinity_is_cut_and_rounding_above_0_is_0() -> None:
    own = tokens((1, -math.inf), (1, 1e-6))
    found = signals(number_reply("36", tokens=own))
    assert found["logprobs.minimum"] == -20
    assert found["logprobs.answer_mean"] == -10


def test_what_the_server_says() -> None:
    found = signals(number_reply("", finish="length", n_completion_tokens=99, latency_s=1.5))
    assert found["server.cut"] == 1
    assert found["server.tokens"] == math.log1p(99)
    assert found["server.latency"] == math.log1p(1.5)
    assert signals(number_reply("", finish="stop"))["server.cut"] == 0
    odd = signals(number_reply("", latency_s=math.nan, n_completion_tokens=-5))
    assert math.isnan(odd["server.cut"])
    assert math.isnan(odd["server.latency"])
    assert odd["server.tokens"] == 0


@pytest.mark.parametrize(
    ("text", "answer", "kind", "spans"),
    [
        ("1,200 or $1200.00 or 12", "1200", "number", ["1200.00", "1,200"]),
        ("it is -5", "-5", "number", ["5"]),
        ("A or (B) or AB, B.", "B", "choice", ["B", "B"]),
        ("It is the second one", "B", "choice", ["second"]),
        ("It is none", "C", "choice", []),
        ("Rome, rome", "Rome", "text", ["rome", "Rome"]),
        ("No, nothing: no. Another", "no", "text", ["no", "No"]),
        ("\u7b54\u6848\u662f\u5df4\u9ece\u3002", "\u5df4\u9ece", "text", ["\u5df4\u9ece"]),
        ("A", "A", "choice", ["A"]),
        ("x" * 10, "y" * 300, "text", []),
        (None, "1", "number", []),
    ],
)
def test_where_an_answer_stands(text: str | None, answer: str, kind: str, spans: list[str]) -> None:
    reply = SeenReply(text=text, answer=answer, kind=kind, choices=("first", "second"))
    assert [(text or "")[start:end] for start, end in answer_spans(reply)] == spans


def test_numbers_of_prompts() -> None:
    assert numbers_of_prompt(PROMPT) == {12, 3000, 2, 3}


texts = st.one_of(
    st.text(max_size=60),
    st.text(alphabet="0123456789.,=+-*/ \n\\`*ABx$", max_size=80),
)
anything = st.builds(
    SeenReply,
    text=st.none() | texts,
    prompt=texts,
    choices=st.lists(texts, max_size=4).map(tuple),
    answer=st.none() | texts | st.sampled_from(["A", "B", "-3", "1e400", "9" * 199, "0.5", "nan"]),
    kind=st.sampled_from(["", "number", "choice", "text", "math"]),
    finish=st.none() | st.sampled_from(["stop", "length", "?"]),
    n_chars=st.none() | st.integers(-5, 10**12),
    n_completion_tokens=st.none() | st.integers(-5, 2**62),
    latency_s=st.none() | st.floats(),
    tokens=st.none()
    | st.lists(st.tuples(st.integers(-3, 9), st.floats(width=32)), max_size=30).map(
        lambda pairs: TokenLogprobs(
            np.array([c for c, _ in pairs], dtype=np.int32),
            np.array([p for _, p in pairs], dtype=np.float32),
        )
    ),
)


@given(anything)
def test_any_reply_gives_bounded_numbers(reply: SeenReply) -> None:
    for name, value in signals(reply).items():
        assert math.isnan(value) or abs(value) <= 50, name


HOSTILE = [
    "9" * 1_000_000,
    "1,111" * 200_000,
    "=" * 1_000_000,
    "\\frac{1}{" * 100_000,
    "B " * 500_000,
    "\N{MULTIPLICATION SIGN}1=" * 300_000,
    "(a" * 500_000,
    " \n" * 500_000,
    "36 " * 300_000,
]


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
@pytest.mark.parametrize("kind", ["number", "choice"])
def test_a_megabyte_is_read_in_the_time_of_its_end(text: str, kind: str) -> None:
    answer = "36" if kind == "number" else "B"
    before = time.process_time()
    found = signals(
        SeenReply(text=text, prompt=text, answer=answer, kind=kind, choices=(text, text))
    )
    assert time.process_time() - before < 1
    assert found["text.length"] == math.log1p(len(text))
