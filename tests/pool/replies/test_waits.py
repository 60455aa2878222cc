"""How long a server asks to be left alone, wherever it says so: finite, bounded, never negative."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta, timezone
from email.utils import format_datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlfocal.pool.openai.replies.errors.waits import retry_after, wait_of

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
MONTH_S = 32 * 86_400


def read(value: str | None) -> float | None:
    return retry_after(value, now=lambda: NOW)


def wait(
    headers: dict[str, str] | None = None, body: Any = None, words: str = "", limited: bool = True
) -> float | None:
    return wait_of(headers or {}, body, words, limited=limited, now=lambda: NOW)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        ("0", 0.0),
        (" 17 ", 17.0),
        ("1.5", 1.5),
        ("Sun, 01 Mar 2026 12:00:30 GMT", 30.0),
        ("Sun, 01 Mar 2026 11:59:00 GMT", 0.0),
        ("Sun, 01 Mar 2026 12:00:30", 30.0),
        ("2026-03-01T12:00:30Z", 30.0),
        ("17.4s", 17.4),
        ("7m12s", 432.0),
        ("1h2m", 3720.0),
        ("250ms", 0.25),
        ("1m30.5s", 90.5),
        ("-5", 0.0),
        (str(NOW.timestamp() + 9), 9.0),
        (str(int(1000 * NOW.timestamp() + 2500)), 2.5),
        ("99999999", float(MONTH_S)),
        ("", None),
        ("soon", None),
        ("inf", None),
        ("nan", None),
        ("1e3", None),
        ("9" * 400, None),
        ("12 parsecs", None),
        ("Sun, 99 Mar 2026 12:00:30 GMT", None),
        ("Sun, 01 Mar 99999999999 12:00:30 GMT", None),
    ],
)
def test_retry_after_by_hand(value: str | None, seconds: float | None) -> None:
    assert read(value) == (None if seconds is None else pytest.approx(seconds))


@given(st.integers(0, 10**6), st.integers(-12, 12))
def test_dates_and_seconds_say_the_same(seconds: int, zone: int) -> None:
    when = (NOW + timedelta(seconds=seconds)).astimezone(timezone(timedelta(hours=zone)))
    assert read(format_datetime(when)) == read(str(seconds)) == seconds
    assert read(when.isoformat()) == seconds


@given(
    st.text(max_size=40)
    | st.from_regex(r"[A-Z][a-z]{2}, \d+ [A-Z][a-z]{2} \d+ [\d:]+ .*")
    | st.from_regex(r"-?\d{0,30}(\.\d+)?(ms|s|m|h|d)?", fullmatch=True)
)
def test_a_wait_is_finite_and_bounded_or_nothing(value: str) -> None:
    body = {"error": {"message": value, "details": [{"retryDelay": value}]}}
    for found in (read(value), wait({"x-ratelimit-reset": value}), wait({}, body, value)):
        assert found is None or (math.isfinite(found) and 0 <= found <= MONTH_S)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after-ms": "1500", "Retry-After": "2"}, 1.5),
        ({"Retry-After": "2", "x-ratelimit-reset-tokens": "9s"}, 2.0),
        ({"x-ratelimit-reset-requests": "17.4s"}, 17.4),
        ({"X-RateLimit-Reset-Tokens": "6m0s", "x-ratelimit-reset-requests": "20ms"}, 0.02),
        (
            {"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "3s",
             "x-ratelimit-remaining-tokens": "900", "x-ratelimit-reset-tokens": "6m0s"},
            3.0,
        ),
        ({"x-ratelimit-reset": str(int(NOW.timestamp()) + 60)}, 60.0),
        ({"anthropic-ratelimit-input-tokens-reset": "2026-03-01T12:00:05Z"}, 5.0),
        ({"x-ratelimit-remaining-requests": "0"}, None),
        ({"x-ratelimit-remaining-requests": "100", "x-ratelimit-reset-requests": "17h20m0s",
          "x-ratelimit-remaining-tokens": "12", "x-ratelimit-reset-tokens": "1.2s"}, 1.2),
        ({"x-ratelimit-remaining-requests-day": "9", "x-ratelimit-reset-requests-day": "33011.38",
          "x-ratelimit-remaining-tokens-minute": "0", "x-ratelimit-reset-tokens-minute": "4"}, 4.0),
        ({"RateLimit": '"default";r=0;t=42'}, 42.0),
        ({"RateLimit": '"hour";r=9;t=600, "burst";r=0;t=5'}, 5.0),
        ({"RateLimit": "limit=100, remaining=0, reset=42"}, 42.0),
        ({"RateLimit-Policy": '"default";q=100;w=60'}, None),
        ({"x-ratelimitbysize-remaining-minute": "0", "ratelimitbysize-reset": "23"}, 23.0),
        ({"x-ratelimit-reset-after": "3.5"}, 3.5),
        ({"x-rate-limit-reset": "8"}, 8.0),
        ({"llm_provider-x-ratelimit-reset-requests": "7s"}, 7.0),
        ({"x-retry-after": "9"}, 9.0),
        ({"x-ms-retry-after-ms": "1500", "Retry-After": "2"}, 1.5),
        ({"x-ratelimit-retry-after": "6"}, 6.0),
        ({"Retry-After": "PT30S"}, 30.0),
        ({"Retry-After": "PT1M30.5S"}, 90.5),
        ({"Retry-After": "P1DT1H"}, 90_000.0),
        ({"Retry-After": "P"}, None),
        ({"Retry-After": "PT"}, None),
        ({"x-preset-ratelimit": "5"}, None),
        ({"x-ratelimit-limit": "5"}, None),
    ],
)  # fmt: skip
def test_headers(headers: dict[str, str], seconds: float | None) -> None:
    assert wait(headers) == seconds


def test_when_limits_are_filled_up_counts_for_limits_alone() -> None:
    assert wait({"x-ratelimit-reset-requests": "17.4s"}, limited=False) is None
    assert wait({"Retry-After": "3"}, limited=False) == 3.0


@pytest.mark.parametrize(
    ("words", "seconds"),
    [
        ("Rate limit reached. Please try again in 7m12s.", 432.0),
        ("Please try again in 1.5s. Visit https://x.example/1 for more", 1.5),
        ("Limit 3, used 3. Please try again in 20ms.", 0.02),
        ("Please retry after 20 seconds.", 20.0),
        ("Please wait 2 minutes and 5 seconds before asking", 125.0),
        ("Quota exceeded. Please retry in 34.074824224s.", 34.074824224),
        ("Your limit resets in 1 hour", 3600.0),
        ("try again later; 5 s is what others wait", None),
        ("The model is loading", None),
        ("Too many requests. Retry after 5", 5.0),
        ("Too many requests. Retry-After: 5.", 5.0),
        ("{'retry_after': 12}", 12.0),
        ("Please try again in 30", 30.0),
        ("Limit resets at: 2026-03-01 12:00:42 UTC", 42.0),
        ("Remaining: 0. Limit resets at: 2026-03-01T12:00:42.500Z", 42.5),
        ("You will regain access on 2026-03-01 at 12:01 UTC.", 60.0),
        ("Try again after 2026-03-01 13:00:30+01:00", 30.0),
        ("Limit resets at 1772366409", 9.0),
        ("The service will be available again in 20 seconds", 20.0),
        ("Support is available 24 hours a day", None),
        ("Help is available in 24 hours a day, 7 days a week", None),
        ("You may retry 5 times", None),
        ("Please retry after 3 attempts", None),
        ("Please retry in 10% of cases", None),
        ("Timed out: waited 30s for a slot", None),
        ("Limited to 3 tries; retry 60 requests per minute", None),
    ],
)
def test_words(words: str, seconds: float | None) -> None:
    assert wait({}, None, words) == seconds


@pytest.mark.parametrize(
    ("body", "seconds"),
    [
        ([{"error": {"details": [{"@type": "x/RetryInfo", "retryDelay": "1.2s"}]}}], 1.2),
        ({"error": "loading", "estimated_time": 20.5}, 20.5),
        ({"error": {"retry_after": 3}}, 3.0),
        ({"error": {"retry_after_ms": "2500"}}, 2.5),
        ({"retryAfter": True}, None),
        ({"error": {"metadata": {"headers": {"X-RateLimit-Reset": "1772366409000"}}}}, 9.0),
        ({"error": {"metadata": {"headers": {"Retry-After": "4"}}}}, 4.0),
        ({"error": {"retry_after": 10**400}}, None),
        ({"error": {"details": [{"retryDelay": {"seconds": 12, "nanos": 0}}]}}, 12.0),
        ({"error": {"details": [{"retryDelay": {"seconds": "7"}}]}}, 7.0),
        ({"error": {"details": [{"retryDelay": {}}]}}, None),
    ],
)
def test_bodies(body: Any, seconds: float | None) -> None:
    assert wait({}, body) == seconds


@pytest.mark.parametrize(
    ("words", "seconds"),
    [
        ("Rate limit reached on tokens per minute (TPM): limit 9", 6.0),
        ("Rate limit reached on requests per day", 900.0),
        ("Rate limit reached on RPD", 900.0),
        ("Rate limit reached", 6.0),
    ],
)
def test_the_limit_that_words_name(words: str, seconds: float) -> None:
    left = {
        "x-ratelimit-reset-requests-day": "900",
        "x-ratelimit-remaining-requests-day": "3",
        "x-ratelimit-reset-tokens-minute": "6",
        "x-ratelimit-remaining-tokens-minute": "3",
    }
    assert wait(left, words=words) == seconds
