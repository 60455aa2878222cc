"""Secrets leave in every form they are met in; prompts are recognised however they are quoted."""

from __future__ import annotations

import base64
import json
import traceback
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlfocal.pool.openai.redaction import REDACTED, Secret, Withheld, redact, repeats

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
