"""How long a server asks to be left alone, wherever and however it says so.

Known places: `retry-after-ms`, `Retry-After`, Google's RetryInfo and its like in the body, the
words of a message, and the headers that tell when a limit is filled up again.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

__all__ = ["retry_after", "wait_of"]

_LONGEST_S = 32 * 86_400.0
"""Of what is believed: a month's allowance may be used up."""
_EPOCH_S, _EPOCH_MS = 1e9, 1e12
"""A number beyond is a point in time, in seconds or milliseconds since 1970."""
_DEPTH = 6
_UNITS = {
    "ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "millisecond": 1e-3, "s": 1.0, "sec": 1.0,
    "second": 1.0, "m": 60.0, "min": 60.0, "minute": 60.0, "h": 3600.0, "hr": 3600.0,
    "hour": 3600.0, "d": 86_400.0, "day": 86_400.0,
}  # fmt: skip
_UNIT = r"(?:milliseconds?|seconds?|secs?|minutes?|mins?|hours?|hrs?|days?|ns|us|µs|ms|[smhd])"
_PART = rf"\d{{1,15}}(?:\.\d{{1,15}})?\s?{_UNIT}(?![a-z])"
_PARTS = re.compile(rf"(\d{{1,15}}(?:\.\d{{1,15}})?)\s?({_UNIT})(?![a-z])", re.IGNORECASE)
_DURATION = re.compile(rf"(?:{_PART}[\s,]*(?:and\s)?)+", re.IGNORECASE)
_IN_WORDS = re.compile(
    rf"(?:try again|retry|retrying|wait|resets?|available|back off)[^0-9.;]{{0,24}}"
    rf"((?:{_PART}[\s,]*(?:and\s)?)+)",
    re.IGNORECASE,
)
_IN_BODY = {
    "retrydelay": 1.0, "retry_delay": 1.0, "retry_after": 1.0, "retryafter": 1.0,
    "retry_after_seconds": 1.0, "retryafterseconds": 1.0, "retry-after": 1.0,
    "estimated_time": 1.0, "retry_after_ms": 1e-3, "retryafterms": 1e-3, "retry-after-ms": 1e-3,
}  # fmt: skip
"""Keys of an error object, in small letters → seconds of one unit of a bare number."""
_KINDS = ("requests", "tokens", "input-tokens", "output-tokens")


def _now() -> datetime:
    return datetime.now(UTC)


def wait_of(
    headers: Mapping[str, str],
    body: Any = None,
    words: str = "",
    *,
    limited: bool,
    now: Callable[[], datetime] = _now,
) -> float | None:
    """Seconds that a server asks to wait.

    Args:
        headers: of its reply; any case.
        body: its error, parsed.
        words: its message.
        limited: whether it is a rate limit that turned the call away. Only then do the headers
            count that tell when limits are filled up: they come with every reply.
        now: the present, with its time zone.

    Returns:
        Finite, between 0 and 32 days; None where it does not say.

    >>> wait_of({"x-ratelimit-reset-requests": "1m17.5s"}, limited=True)
    77.5
    >>> wait_of({}, words="Rate limit reached. Please try again in 20ms.", limited=True)
    0.02
    """
    lowered = {str(name).lower(): str(value) for name, value in headers.items()}
    inner = _inner_headers(body)
    for found in (lowered, inner):
        ms = _plain(found.get("retry-after-ms", ""))
        if ms is not None:
            return _bounded(ms / 1000)
        if (asked := retry_after(found.get("retry-after"), now=now)) is not None:
            return asked
    if (delay := _delay(body)) is not None:
        return delay
    if told := _IN_WORDS.search(words[:4000]):
        return _duration(told[1])
    if not limited:
        return None
    return _filled_up(lowered, now) if (s := _filled_up(inner, now)) is None else s


def retry_after(value: str | None, *, now: Callable[[], datetime] = _now) -> float | None:
    """Read a Retry-After header.

    Args:
        value: seconds, a duration with units, a date, or seconds or milliseconds since 1970.
        now: the present, with its time zone.

    Returns:
        Seconds from now, finite and never negative; None where it says nothing readable.

    >>> retry_after("2.5"), retry_after("-1"), retry_after("7m12s")
    (2.5, 0.0, 432.0)
    >>> retry_after("soon") is None
    True
    """
    value = (value or "").strip()
    number = _plain(value)
    if number is not None:
        if abs(number) >= _EPOCH_MS:
            return _bounded(number / 1000 - now().timestamp())
        return _bounded(number - now().timestamp() if number >= _EPOCH_S else number)
    if _DURATION.fullmatch(value):
        return _duration(value)
    return _date(value, now)


def _date(value: str, now: Callable[[], datetime]) -> float | None:
    for read in (parsedate_to_datetime, datetime.fromisoformat):
        try:
            when = read(value)
            if when.tzinfo is None:
                when = when.replace(tzinfo=UTC)
            return _bounded((when - now()).total_seconds())
        except (ValueError, OverflowError):
            continue
    return None


def _plain(value: str) -> float | None:
    value = value.strip()
    if not re.fullmatch(r"-?\d+(\.\d+)?", value, re.ASCII):
        return None
    number = float(value)
    return number if math.isfinite(number) else None


def _bounded(seconds: float) -> float | None:
    return min(max(seconds, 0.0), _LONGEST_S) if math.isfinite(seconds) else None


def _duration(text: str) -> float | None:
    parts = _PARTS.findall(text)
    return _bounded(sum(float(n) * _UNITS[_unit(unit)] for n, unit in parts)) if parts else None


def _unit(word: str) -> str:
    word = word.lower()
    return word if word in _UNITS else word.removesuffix("s")


def _nodes(found: Any, depth: int = _DEPTH) -> Iterator[Mapping[str, Any]]:
    """The objects within what was parsed, outer ones first."""
    if isinstance(found, Mapping):
        yield found
    if depth and isinstance(found, Mapping | list):
        inner = list(found.values()) if isinstance(found, Mapping) else found
        for value in inner[:64]:
            yield from _nodes(value, depth - 1)


def _delay(body: Any) -> float | None:
    for node in _nodes(body):
        for name, value in node.items():
            unit = _IN_BODY.get(str(name).lower())
            if unit is None or isinstance(value, bool):
                continue
            if isinstance(value, int | float):
                return _of_number(value, unit)
            if isinstance(value, str) and (seconds := _of_text(value, unit)) is not None:
                return seconds
    return None


def _of_number(value: float, unit: float) -> float | None:
    try:
        return _bounded(float(value) * unit)
    except OverflowError:
        return None


def _of_text(value: str, unit: float) -> float | None:
    number = _plain(value)
    return retry_after(value) if number is None else _bounded(number * unit)


def _inner_headers(body: Any) -> dict[str, str]:
    """Routers put the headers of the server behind them into the error."""
    for node in _nodes(body):
        found = node.get("headers")
        if isinstance(found, Mapping):
            return {str(name).lower(): str(value) for name, value in found.items()}
    return {}


def _filled_up(headers: Mapping[str, str], now: Callable[[], datetime]) -> float | None:
    """Until every limit that is used up is filled up; until all are, where none says that it is."""
    used_up, others = list[float](), list[float]()
    for reset, remaining in _limits():
        seconds = retry_after(headers.get(reset), now=now)
        if seconds is not None:
            is_used_up = _plain(headers.get(remaining, "")) == 0
            (used_up if is_used_up else others).append(seconds)
    return max(used_up or others, default=None)


def _limits() -> Iterator[tuple[str, str]]:
    yield "x-ratelimit-reset", "x-ratelimit-remaining"
    yield "ratelimit-reset", "ratelimit-remaining"
    for kind in _KINDS:
        yield f"x-ratelimit-reset-{kind}", f"x-ratelimit-remaining-{kind}"
        yield f"anthropic-ratelimit-{kind}-reset", f"anthropic-ratelimit-{kind}-remaining"
