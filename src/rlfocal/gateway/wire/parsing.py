"""From bytes to JSON, and from what does not fit to its first mistake; no value is repeated."""

from __future__ import annotations

import json
import math
import re
from typing import Any, NoReturn

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from rlfocal.gateway.errors import ApiError

__all__ = ["first_mistake", "read_json"]


def read_json(body: bytes) -> Any:
    """Parse a body.

    Raises:
        ApiError: it is not JSON.
    """
    try:
        found = _DECODER.decode(body.decode("utf-8-sig"))
        if _HALF.search(body):
            json.dumps(found, ensure_ascii=False).encode()
    except (ValueError, RecursionError):  # errors of Unicode are ValueErrors
        raise ApiError(
            400, "invalid_json",
            "the body is not JSON, nested too deeply, or holds half of a character (a lone "
            "surrogate); send UTF-8",
        ) from None  # fmt: skip
    return found


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


def _finite(text: str) -> float:
    value = float(text)
    # It could not be written as JSON again.
    return value if math.isfinite(value) else _refuse("an endless number")


_DECODER = json.JSONDecoder(parse_constant=_refuse, parse_float=_finite)
_HALF = re.compile(rb"\\u[dD][89a-fA-F]")
"""Begins one of the two halves in which JSON may write a rare character."""


def first_mistake(exc: ValidationError) -> ErrorDetails:
    """The first of what does not fit, without the value: that may be a key, or a prompt.

    Raises:
        ApiError: there are so many that to look at them would hold up everybody else.
    """
    if exc.error_count() > _MOST_MISTAKES:
        raise ApiError(
            400, "invalid_value",
            f"{exc.error_count()} fields are unknown or do not fit; see /openapi.json",
        )  # fmt: skip
    return exc.errors(include_input=False, include_url=False, include_context=False)[0]


_MOST_MISTAKES = 1000
