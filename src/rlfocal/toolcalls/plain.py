"""Values without a schema: the one way in which each is written, and the kinds it may stand for."""

from __future__ import annotations

import math

from rlfocal.toolcalls.parsing.sums import Sum
from rlfocal.toolcalls.values import JSON, MAX_DEPTH, compact, storable, tidy

__all__ = ["fits", "kinds_of", "plain", "plain_number", "text_of"]

_EXACT = 1e22
"""Below it a float without a fraction is written as a whole number."""
_LONGEST = 4096
"""Bits of a whole number that is still written with digits; Python refuses thousands of them."""
_NOT_FINITE = {math.inf: "Infinity", -math.inf: "-Infinity"}

_BOOLEAN, _NULL = frozenset({"boolean"}), frozenset({"null"})
_ARRAY, _OBJECT = frozenset({"array"}), frozenset({"object"})
_TEXT = frozenset({"string"})
_WHOLE = frozenset({"number", "integer"})
_FRACTION = frozenset({"number"})
_NONE: frozenset[str] = frozenset()


def plain(value: JSON, *, depth: int = 0) -> JSON:
    """A value written in one way, where nothing says what it may be.

    Args:
        value: as a member wrote it.
        depth: lists and objects around it.

    >>> plain({" a ": [5.0, "x "]})
    {'a': [5, 'x']}
    """
    if depth > MAX_DEPTH:
        return storable(value)
    if isinstance(value, str):
        return tidy(value)
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return plain_number(value)
    if isinstance(value, list):
        return [plain(one, depth=depth + 1) for one in value]
    if isinstance(value, dict):
        return {tidy(key): plain(one, depth=depth + 1) for key, one in value.items()}
    return value


def plain_number(value: int | float) -> int | float | str:
    """A number, whole where it is; what is no number in JSON as text."""
    if isinstance(value, int):
        return value if value.bit_length() <= _LONGEST else hex(value)
    if not math.isfinite(value):
        return _NOT_FINITE.get(value, "NaN")
    return int(value) if value.is_integer() and abs(value) < _EXACT else value


def text_of(value: JSON) -> str:
    """The text that a number and its text share; others have their own."""
    if isinstance(value, bool):
        return str(value).casefold()
    if isinstance(value, str):
        return tidy(value).casefold()
    return compact(plain(value))


def kinds_of(value: JSON) -> frozenset[str]:
    """Of which kinds a value is as it stands.

    >>> sorted(kinds_of(5.0)), kinds_of(True), kinds_of(math.inf)
    (['integer', 'number'], frozenset({'boolean'}), frozenset())
    """
    if isinstance(value, bool):
        return _BOOLEAN
    if isinstance(value, str):
        return _TEXT | kinds_of(value.result) if isinstance(value, Sum) else _TEXT
    if isinstance(value, int):
        return _WHOLE
    if isinstance(value, float):
        if value.is_integer():
            return _WHOLE
        return _FRACTION if math.isfinite(value) else _NONE
    if value is None:
        return _NULL
    return _ARRAY if isinstance(value, list) else _OBJECT


def fits(value: JSON, kinds: frozenset[str]) -> bool:
    """Say whether a value is of one of some kinds as it stands; no kinds stand for all.

    >>> fits(5.0, frozenset({"integer"})), fits(True, frozenset({"integer"}))
    (True, False)
    """
    return not kinds or not kinds.isdisjoint(kinds_of(value))
