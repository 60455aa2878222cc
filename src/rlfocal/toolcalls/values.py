"""JSON values: read and written within bounds, so that no text can blow up what handles them."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Mapping
from decimal import Decimal
from typing import TypeAlias, Union

__all__ = [
    "JSON",
    "MAX_DEPTH",
    "compact",
    "decoded",
    "exact",
    "is_nested_deeper",
    "is_too_deep",
    "number_in",
    "storable",
    "tidy",
]

JSON: TypeAlias = Union[bool, int, float, str, "list[JSON]", "dict[str, JSON]", None]

MAX_DEPTH = 64
"""Lists and objects within one another, at most: deeper values are no arguments of a function."""

_BRACKET = re.compile(r'"(?:[^"\\]|\\.)*+(?:"|\\?\Z)|[\[{]|[\]}]', re.DOTALL)
"""A text that never ends takes the rest, or each quote in it would be tried anew."""
_NUMBER = re.compile(
    r"[-+]?(?:[0-9]{1,30}(?:\.[0-9]{0,30})?|\.[0-9]{1,30})(?:[eE][-+]?[0-9]{1,2})?"
)

_EXACT, _LONG = 2.0**53, 1e22
"""Between them not every whole number is a float, and digits still say which is meant."""

_write = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode


def compact(value: JSON) -> str:
    """Write a value in one way only: keys sorted, no spaces.

    >>> compact({"b": [1, None], "a": "é"})
    '{"a":"é","b":[1,null]}'
    """
    return _write(value)


def is_too_deep(text: str, limit: int = MAX_DEPTH) -> bool:
    """Say whether JSON text nests deeper than a limit.

    >>> is_too_deep("[" * 3 + "]" * 3, 3), is_too_deep("[" * 4, 3), is_too_deep('["[[[["]', 3)
    (False, True, False)
    """
    if text.count("[") + text.count("{") <= limit:
        return False
    depth = 0
    for found in _BRACKET.finditer(text):
        if found[0] in "[{":
            depth += 1
            if depth > limit:
                return True
        elif found[0] in "]}":
            depth -= 1
    return False


def is_nested_deeper(value: object, limit: int = MAX_DEPTH) -> bool:
    """Say whether lists and objects are within one another more than a limit of times.

    >>> is_nested_deeper([[{}]], 3), is_nested_deeper([[{}]], 2)
    (False, True)
    """
    level = [value]
    for _ in range(limit + 1):
        inner: list[object] = []
        for one in level:
            if isinstance(one, Mapping):
                inner += one.values()
            elif isinstance(one, (list, tuple)):
                inner += one
            else:
                continue
            inner.append(None)  # an empty one is a level of its own
        if not inner:
            return False
        level = inner
    return True


def decoded(text: str, *, limit: int = MAX_DEPTH) -> JSON | ValueError:
    """Read JSON text; what cannot be read, or is deeper than a limit, is returned as the error.

    >>> decoded("[1, 2]"), type(decoded("[1, 2")).__name__
    ([1, 2], 'JSONDecodeError')
    """
    if is_too_deep(text, limit):
        return ValueError(f"nested deeper than {limit}")
    try:
        value: JSON = json.loads(text, strict=False, parse_float=exact)
    except ValueError as error:  # of syntax, and of whole numbers with thousands of digits
        return error
    return value


def number_in(text: str) -> int | float | None:
    """The number that a text is as a whole; None for any other text.

    >>> number_in(" 5 "), number_in("5.50"), number_in("5 km"), number_in("1,000")
    (5, 5.5, None, None)
    """
    text = text.strip()
    if _NUMBER.fullmatch(text) is None:
        return None
    return int(text) if text.lstrip("+-").isdigit() else exact(text)


def exact(text: str) -> int | float:
    """The number that a decimal is; a whole one where a float would be its neighbour.

    >>> exact("9007199254740993.0"), exact("5.0"), exact("1e400")
    (9007199254740993, 5.0, inf)
    """
    value = float(text)
    if _EXACT <= abs(value) < _LONG:
        number = Decimal(text)
        if number == number.to_integral_value():
            return int(number)
    return value


def storable(value: object) -> JSON:
    """A value that JSON and UTF-8 can hold, otherwise as it is.

    >>> storable({"k": (chr(0xD800), 1)})
    {'k': ['?', 1]}
    """
    if isinstance(value, str):
        return value if value.isascii() else value.encode("utf-8", "replace").decode()
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, Mapping):
        return {str(storable(str(key))): storable(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [storable(one) for one in value]
    return storable(str(value))


def tidy(text: str) -> str:
    """A text without the space around it, its letters composed (NFC), fit to be stored.

    >>> tidy(" cafe\u0301 ") == "café"
    True
    """
    text = text.strip()
    if text.isascii():
        return text
    # Half of a surrogate pair is no character: no file or data base takes it.
    return unicodedata.normalize("NFC", text).encode("utf-8", "replace").decode().strip()
