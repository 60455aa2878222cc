"""Secrets leave in every form they are met in; prompts are recognised however they are quoted."""

from __future__ import annotations

import base64
import json
import random
import sys
import traceback
from collections.abc import Callable
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlfocal.pool.openai.redaction import REDACTED, Secret, Withheld, excerpt, redact, repeats

KEY = "sk-a/b+c=é'\"\\ 9zQ"


@pytest.mark.parametrize(
    "form",
    [
        KEY,
        quote(KEY),
        quote(KEY, safe=""),
        quote_plus(KEY),
        quote(KEY, safe="").lower().replace("zq", "zQ"),
        base64.b64encode(KEY.encode()).decode(),
        base64.urlsafe_b64encode(KEY.encode()).decode(),
        base64.b64encode(KEY.encode()).decode().rstrip("="),
        repr(KEY)[1:-1],
        repr(KEY.encode())[2:-1],
        json.dumps(KEY)[1:-1],
        json.dumps(KEY, ensure_ascii=False)[1:-1],
    ],
)
def test_a_secret_goes_in_every_form(form: str) -> None:
    assert redact(f"<{form}> and <{form}>", [KEY]) == f"<{REDACTED}> and <{REDACTED}>"


@given(
    st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=12, max_size=40),
    st.text(max_size=9),
    st.text(max_size=9),
)
def test_base64_of_a_longer_text_does_not_hold_it_either(key: str, left: str, right: str) -> None:
    raw = (left + key + right).encode("utf-8", "replace")
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        shown = redact(encode(raw).decode(), [key])
        # The characters that it shares with its neighbours may stay: 2 at each end say nothing.
        assert REDACTED in shown
        assert len(shown) - len(REDACTED) <= 4 * (len(raw) - len(key.encode())) // 3 + 8


@given(st.text(min_size=4, max_size=30), st.text(max_size=30), st.text(max_size=30))
def test_the_secret_itself_is_never_left(key: str, left: str, right: str) -> None:
    if key not in REDACTED and key not in left + REDACTED + right:
        assert key not in redact(left + key + right, [key])


def test_whatever_is_called_bearer_goes_unknown_or_not() -> None:
    assert redact("Authorization: Bearer abc.def-1", []) == f"Authorization: Bearer {REDACTED}"
    assert redact("{'auth': 'bearer x1'}", []) == f"{{'auth': 'Bearer {REDACTED}'}}"
    assert "x1" not in redact("auth=Bearer%20x1&n=2", [])


def test_other_words_stay() -> None:
    text = "model 'gpt' is overloaded; try again in 3 s"
    assert redact(text, ["", KEY]) == text


def test_the_longest_secret_goes_first() -> None:
    assert redact("x=abcd-1234", ["abcd", "abcd-1234"]) == f"x={REDACTED}"


def test_a_secret_shows_itself_only_when_asked() -> None:
    secret = Secret(KEY)
    assert secret.reveal() == KEY
    for shown in (repr(secret), str(secret), f"{secret}", f"{[secret]}"):
        assert KEY not in shown
    try:
        raise RuntimeError(secret)
    except RuntimeError as exc:
        told = traceback.TracebackException.from_exception(exc)
        assert "sk-" not in "".join(told.format())


PROMPT = "Who wrote Faust?\nName the author, and the year, in one line."


@pytest.mark.parametrize(
    "text",
    [
        f"invalid: {PROMPT}",
        f"invalid: {PROMPT!r}",
        f"invalid: {json.dumps([{'content': PROMPT}])}",
        f"invalid: {PROMPT[20:50]}...",
        f"INVALID: {PROMPT.upper()}",
    ],
)
def test_a_repeated_prompt_is_recognised(text: str) -> None:
    assert repeats(text, PROMPT)


def test_other_messages_are_not_taken_for_the_prompt() -> None:
    assert not repeats("maximum context length is 4096 tokens, requested 5000", PROMPT)
    assert not repeats("anything", "")
    assert repeats("cannot answer '2+2?'", "2 + 2 ?")
    assert not repeats("this token is not known", "hi", "ok", "", "?")


@pytest.mark.parametrize("prompt", ["4711", "my PIN is 4711", "Hi Bob", "密码是四七"])
@pytest.mark.parametrize("text", ["bad: '{}' is refused", "input:{}", "无效输入{}被拒绝"])
def test_a_short_prompt_among_others_is_recognised(prompt: str, text: str) -> None:
    assert repeats(text.format(prompt), "", PROMPT, prompt, "ok")


@given(st.lists(st.text("sk-ab", max_size=4)), st.text("sk-ab", min_size=1, max_size=5))
def test_a_secret_is_withheld_however_it_is_cut(pieces: list[str], secret: str) -> None:
    told: list[str] = []
    withheld = Withheld(told.append, secret)
    for piece in pieces:
        withheld(piece)
    withheld.end()
    text, passed = "".join(pieces), "".join(told)
    assert secret not in passed
    assert text.startswith(passed)
    if secret not in text:
        assert passed == text


LONG = "eyJhbGciOiJSUzI1NiJ9." + "".join(
    random.Random(1).choices("ABCDEFGhijklm0123456789_-", k=900)
)
SHORT = "sk-0123456789abcdef"
SPOILT: list[Callable[[str], str]] = [
    str.upper,
    str.swapcase,
    lambda key: f"{key[:20]}\n{key[20:]}",
    lambda key: f"{key[:9]} {key[9:]}",
    lambda key: "\u200b".join(key),
    lambda key: key[:12] + "...",
    lambda key: "..." + key[-12:],
    lambda key: f"{key[:12]}<wbr>{key[12:]}",
    lambda key: repr(key[3:-3]),
    lambda key: key.encode().hex()[:40],
    lambda key: base64.b64encode(key.encode()).decode()[:18],
]


def longest_shared(text: str, key: str) -> int:
    """A naive second implementation: letters and digits in a row that both have."""
    shown, secret = ("".join(filter(str.isalnum, t)).lower() for t in (text, key))
    return max(
        (n for n in range(1, 14) for i in range(len(secret) - n + 1) if secret[i : i + n] in shown),
        default=0,
    )


@pytest.mark.parametrize("key", [LONG, SHORT])
@pytest.mark.parametrize("spoil", SPOILT)
def test_a_piece_of_a_secret_is_one(key: str, spoil: Callable[[str], str]) -> None:
    shown = redact(f"Invalid token: {spoil(key)} (see docs)", [key])
    assert shown.startswith("Invalid token: ")
    assert shown.endswith(" (see docs)")
    assert REDACTED in shown
    assert longest_shared(shown.replace(REDACTED, ""), key) < 8


@pytest.mark.parametrize("n", [1, 50, 400, 700])
def test_a_secret_is_out_before_words_are_cut(n: int) -> None:
    shown = excerpt(f"{'x ' * n}bad {LONG} " * 6, [LONG], prompts=["Who wrote Faust?"])
    assert longest_shared(shown, LONG) < 8


def test_words_that_are_met_by_chance_stay() -> None:
    text = "service endpoint unavailable: model 'a' at host local-a:8080, request 20261129"
    assert redact(text, [SHORT, LONG, "my-service-1", "a-local-key"]) == text


@given(st.text("abAB01 -_", min_size=12, max_size=40), st.data())
def test_no_long_run_of_a_secret_is_left(key: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(key) - 12))
    piece = key[start : start + data.draw(st.integers(12, len(key)))]
    shown = redact(f"<{piece}>".swapcase(), [key])
    assert longest_shared(shown.replace(REDACTED, "|"), key) < 12


def test_the_cost_grows_with_the_length_alone() -> None:
    def steps(n: int) -> int:
        n_calls = 0

        def count(frame: object, event: str, arg: object) -> None:
            nonlocal n_calls
            n_calls += 1

        sys.setprofile(count)
        try:
            excerpt("sk-0123 Bearer " * n, [SHORT], prompts=["sk-012 " * n])
        finally:
            sys.setprofile(None)
        return n_calls

    assert steps(600) < 3 * steps(300)
    assert steps(40_000) < 40 * steps(600)  # no more of the words is read, and the prompt once


@pytest.mark.parametrize(
    "text",
    [
        json.dumps({"input": "Кто написал «Фауста»? Назови автора."}),
        quote("Кто написал «Фауста»? Назови автора."),
        "Кто написал &laquo;Фауста&raquo;? Назови автора.",
        json.dumps(json.dumps({"input": "Кто написал «Фауста»? Назови автора."})),
    ],
)
def test_a_prompt_in_escapes_is_recognised(text: str) -> None:
    assert repeats(text, "Кто написал «Фауста»? Назови автора.")
