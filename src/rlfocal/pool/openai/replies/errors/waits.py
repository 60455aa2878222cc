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

from rlfocal.pool.openai.replies.errors.words import objects_in, pattern

__all__ = ["retry_after", "wait_of"]

_LONGEST_S = 32 * 86_400.0
"""Of what is believed: a month's allowance may be used up."""
_EPOCH_S, _EPOCH_MS = 1e9, 1e12
"""A number beyond is a point in time, in seconds or milliseconds since 1970."""
_DEPTH = 7
_UNITS = {
    "ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "millisecond": 1e-3, "s": 1.0, "sec": 1.0,
    "second": 1.0, "m": 60.0, "min": 60.0, "minute": 60.0, "h": 3600.0, "hr": 3600.0,
    "hour": 3600.0, "d": 86_400.0, "day": 86_400.0,
}  # fmt: skip
_UNIT = r"(?:milliseconds?|seconds?|secs?|minutes?|mins?|hours?|hrs?|days?|ns|us|µs|ms|[smhd])"
_PART = rf"\d{{1,15}}(?:\.\d{{1,15}})?\s?{_UNIT}(?![a-z])"
_PARTS = pattern(rf"(\d{{1,15}}(?:\.\d{{1,15}})?)\s?({_UNIT})(?![a-z])")
_DURATION = pattern(rf"(?:{_PART}[\s,]*(?:and\s)?)+")
_ASKS = (
    r"(?:try again|retry|retrying|\bwait(?!ed|ing)|resets?|back off|(?<!always )available "
    r"(?:again )?(?:in|after))"
)
_IN_WORDS = pattern(
    rf"{_ASKS}[^0-9.;]{{0,24}}((?:{_PART}[\s,]*(?:and\s)?)+)"
    r"(?!\s?(?:a|an|per|each|every|/)\s*(?:day|week|month|year|hour|minute|second)\b)"
)
_BARE = pattern(
    r"(?:retry[-_ ]?(?:after|in)|try again (?:in|after)|resets? (?:in|at)|please wait(?: for)?)"
    r"[\"']?[\s:=]{1,3}[\"']?(\d{1,13}(?:\.\d{1,6})?)(?![\w%/:-]|\s*[a-zA-Z%(/]|[.,]\d)"
)
"""Without a unit."""
_AT = pattern(
    r"(?:resets?|try again|retry|wait|available|access|until)\b[^0-9.;]{0,24}"
    r"(\d{4}-\d\d-\d\d)(?:T| at |\s)(\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?)\d{0,6}"
    r"(?:\s?(Z\b|UTC|GMT|[+-]\d\d:?\d\d))?"
)
"""A point in time; of UTC, where it does not say."""
_ISO = re.compile(
    r"P(?:(\d{1,6})D)?(?:T(?:(\d{1,6})H)?(?:(\d{1,6})M)?(?:(\d{1,9}(?:\.\d{1,9})?)S)?)?", re.ASCII
)
_RETRY_MS = re.compile(r"retry-?(?:after|in)-ms|retry-?(?:after|in)-milliseconds")
_RETRY = re.compile(r"(?:^|-)retry-?(?:after|in)(?:-s|-sec|-seconds)?$")
_LIMIT = re.compile(r"rate-?limit")
_RESET = re.compile(r"(?<![a-z])reset(?![a-z])")
_FIELD = re.compile(r"\b(limit|remaining|reset|r|t|q)\s*=\s*\"?(\d{1,15}(?:\.\d{1,9})?)")
_NAMED = {
    "requests": r"requests?|\brp[smhd]\b|calls", "tokens": r"tokens?|\btp[smhd]\b",
    "input": r"input|prompt", "output": r"output|completion",
    "second": r"second|\b[rt]ps\b", "minute": r"minute|/\s?min|\b[rt]pm\b",
    "hour": r"hour|\b[rt]ph\b", "day": r"\bday|daily|\b[rt]pd\b",
}  # fmt: skip
"""Parts of the names of limits → words that mean them."""
_IN_BODY = {
    "retrydelay": 1.0, "retry_delay": 1.0, "retry_after": 1.0, "retryafter": 1.0,
    "retry_after_seconds": 1.0, "retryafterseconds": 1.0, "retry-after": 1.0,
    "estimated_time": 1.0, "retry_after_ms": 1e-3, "retryafterms": 1e-3, "retry-after-ms": 1e-3,
}  # fmt: skip
"""Keys of an error object, in small letters → seconds of one unit of a bare number."""


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
        if (asked := _asked_for(found, now)) is not None:
            return asked
    for delay in (_delay(body), _in_words(words[:4000], now)):
        if delay is not None:
            return delay
    if not limited:
        return None
    filled = _filled_up(inner, words, now)
    return _filled_up(lowered, words, now) if filled is None else filled


def _asked_for(headers: Mapping[str, str], now: Callable[[], datetime]) -> float | None:
    """What headers ask for, the finest unit first."""
    for name, value in headers.items():
        if _RETRY_MS.search(name) and (ms := _plain(value)) is not None:
            return _bounded(ms / 1000)
    for name in ("retry-after", *(name for name in headers if _RETRY.search(name))):
        if (asked := retry_after(headers.get(name), now=now)) is not None:
            return asked
    return None


def _in_words(words: str, now: Callable[[], datetime]) -> float | None:
    if told := _IN_WORDS.search(words):
        return _duration(told[1])
    if told := _AT.search(words):
        zone = (told[3] or "Z").upper().replace("UTC", "Z").replace("GMT", "Z")
        return _date(f"{told[1]}T{told[2]}{zone}", now)
    told = _BARE.search(words)
    return retry_after(told[1], now=now) if told else None


def retry_after(value: str | None, *, now: Callable[[], datetime] = _now) -> float | None:
    """Read a Retry-After header.

    Args:
        value: seconds, a duration with units or of ISO 8601, a date, or seconds or milliseconds
            since 1970.
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
    if (parts := _ISO.fullmatch(value)) and any(parts.groups()):
        units = (86_400.0, 3600.0, 60.0, 1.0)
        return _bounded(
            sum(float(n or 0) * unit for n, unit in zip(parts.groups(), units, strict=True))
        )
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


def _delay(body: Any) -> float | None:
    for node in objects_in(body, depth=_DEPTH):
        for name, value in node.items():
            unit = _IN_BODY.get(str(name).lower())
            if unit is None or isinstance(value, bool):
                continue
            if isinstance(value, Mapping) and isinstance(value.get("seconds"), int | str):
                value = value["seconds"]  # as protobuf writes a duration
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
    for node in objects_in(body, depth=_DEPTH):
        found = node.get("headers")
        if isinstance(found, Mapping):
            return {str(name).lower(): str(value) for name, value in found.items()}
    return {}


def _filled_up(headers: Mapping[str, str], words: str, now: Callable[[], datetime]) -> float | None:
    """Until every limit that is used up is filled up.

    Where none says that it is, until the one is that the words name, or the soonest one: who asks
    too soon is told so again, while a day's limit with room left would end a collection.
    """
    limits = [*_limits(headers, now)]
    if used_up := [seconds for _, remaining, seconds in limits if remaining == 0]:
        return max(used_up)
    ranks = [_n_named(name, words) for name, _, _ in limits]
    best = max(ranks, default=0)
    return min(
        (seconds for (_, _, seconds), n in zip(limits, ranks, strict=True) if n == best),
        default=None,
    )


def _n_named(name: str, words: str) -> int:
    """How much of a limit's name words name; below 0 where they name another one."""
    n = 0
    for part, means in _NAMED.items():
        is_named = re.search(means, words[:600], re.IGNORECASE) is not None
        n += (1 if is_named else -1) if part in name else 0
    return n


def _limits(
    headers: Mapping[str, str], now: Callable[[], datetime]
) -> Iterator[tuple[str, float | None, float]]:
    """Name, what is left of it, and seconds until it is filled up, of each limit that headers tell.

    Vendors put "reset" before or behind what is limited; RFC drafts put all into one header.
    """
    for name, value in headers.items():
        if not _LIMIT.search(name):
            continue
        if _RESET.search(name):
            seconds = retry_after(value, now=now)
            if name.endswith("-ms") and (ms := _plain(value)) is not None and ms < _EPOCH_S:
                seconds = _bounded(ms / 1000)
            if seconds is not None:
                yield name, _plain(headers.get(_RESET.sub("remaining", name), "")), seconds
        else:
            yield from _of_draft(value)


def _of_draft(value: str) -> Iterator[tuple[str, float | None, float]]:
    """`"name";r=0;t=42`, several of them, or `limit=9, remaining=0, reset=42`."""
    value = value[:2000]
    parts = [value] if "reset" in value else value.split(",")
    for part in parts:
        fields: dict[str, str] = dict(_FIELD.findall(part))
        seconds = _plain(fields.get("t", fields.get("reset", "")))
        if seconds is not None and (wait_s := _bounded(seconds)) is not None:
            yield part.lower(), _plain(fields.get("r", fields.get("remaining", ""))), wait_s
