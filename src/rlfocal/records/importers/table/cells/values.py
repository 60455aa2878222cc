"""Cells of a table as texts, numbers and scores, with the place in every refusal.

Nothing is guessed from one cell: what a column's commas mean is found from all of it, in `commas`.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Collection, Mapping
from typing import Any

from rlfocal.errors import RecordError
from rlfocal.records.importers.table.cells.talks import (
    USERS,
    is_parts,
    is_talk,
    joined_parts,
    last_turn,
)

__all__ = [
    "DECIMAL_COMMA",
    "THOUSANDS",
    "as_number",
    "is_score",
    "is_score_up_to",
    "number_of",
    "score_of",
    "shown",
    "text_of",
    "with_point",
]

_NOTHING = {"", "na", "n/a", "nan", "none", "null", "-", "#n/a", "<na>"}
_WORDS = {
    "true": 1.0, "false": 0.0, "yes": 1.0, "no": 0.0, "t": 1.0, "f": 0.0, "y": 1.0, "n": 0.0,
    "correct": 1.0, "incorrect": 0.0, "right": 1.0, "wrong": 0.0, "pass": 1.0, "fail": 0.0,
    "passed": 1.0, "failed": 0.0, "\u2713": 1.0, "\u2714": 1.0, "\u2705": 1.0, "\u2717": 0.0,
    "\u2718": 0.0, "\u274c": 0.0,
}  # fmt: skip
DECIMAL_COMMA = re.compile(r"\s*[-+]?\d+,\d+\s*%?\s*")
THOUSANDS = re.compile(r"\s*[-+]?[1-9]\d{0,2}(,\d{3})+(\.\d+)?\s*")
_PLAIN = re.compile(r"-?\d{1,18}(?:\.\d{1,18})?")
_UNIT = re.compile(r"(\s*[\d.,]+)\s*([a-zA-Z]+)\s*")
_MONEY = re.compile(r"^\s*(?:US\s?\$|USD|\$)\s*|\s*(?:USD|\$)\s*$", re.I)
Where = Callable[[], str]
"""Says where a cell stands: "file: row 3, column 'score'"."""


def text_of(value: Any, where: Where, speakers: Collection[str] = USERS) -> str | None:
    """A cell as text; None where nothing stands in it.

    Whole floats lose their point (pandas writes integers so beside a gap); a conversation becomes
    the text of its last turn by one of the speakers, a list of one its element.

    Raises:
        RecordError: bytes that are no text, or half a character.
    """
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    if isinstance(value, list):
        return _text_of_list(value, where, speakers)
    text = value if isinstance(value, str) else _text_of_other(value, where)
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError as exc:
            raise RecordError(f"{where()}: half of a surrogate pair; write the text again") from exc
    return text


def _text_of_other(value: Any, where: Where) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 2**53 else repr(value)
    if isinstance(value, bytes):
        return _decoded(value, where)
    if isinstance(value, dict):
        return json.dumps(value, ensure_ascii=False, default=str)
    return str(value)


def _decoded(value: bytes, where: Where) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError as exc:
        raise RecordError(
            f"{where()}: {len(value):,} bytes that are no UTF-8 text ({exc.reason}); write the "
            "column as text"
        ) from exc


def _text_of_list(value: list[Any], where: Where, speakers: Collection[str]) -> str | None:
    if is_talk(value):
        return text_of(last_turn(value, speakers), where)
    if is_parts(value) and (said := joined_parts(value)) is not None:
        return text_of(said, where)
    if len(value) == 1:
        return text_of(value[0], where, speakers)
    return json.dumps(value, ensure_ascii=False, default=str) if value else None


# Numbers ------------------------------------------------------------------------------------------


def with_point(text: str) -> str:
    """Write a number's decimal comma as a point; other texts stay."""
    return text.replace(",", ".") if DECIMAL_COMMA.fullmatch(text) else text


def number_of(
    value: Any,
    where: Where,
    *,
    decimal_comma: bool = False,
    units: Mapping[str, float] | None = None,
    may_be_negative: bool = False,
) -> float | None:
    """A cell as a finite number of at least 0, such as a price; None where nothing stands in it.

    Args:
        value: a number, or a text that is one.
        where: for messages.
        decimal_comma: a comma is a decimal point.
        units: unit that may stand behind the number → how many of the column's unit it is.
        may_be_negative: any finite number will do.

    Raises:
        RecordError: something else stands there.
    """
    if _is_nothing(value):
        return None
    number = as_number(value, decimal_comma)
    if number is None and units is not None and (unit := _UNIT.fullmatch(str(value))):
        factor = units.get(unit[2].lower())
        number = as_number(unit[1], decimal_comma)
        number = None if number is None or factor is None else number * factor
    least = -math.inf if may_be_negative else 0
    if number is None or not math.isfinite(number) or number < least:
        what = "finite number" if may_be_negative else "number of at least 0"
        raise RecordError(f"{where()}: {shown(value)} is no {what}; correct it, or leave it empty")
    return number


def score_of(
    value: Any, where: Where, *, scale: float = 1.0, decimal_comma: bool = False
) -> float | None:
    """A cell as a score in [0, 1]; None where nothing stands in it.

    Args:
        value: true, yes, correct, pass and their opposites, or a number from 0 to `scale`.
        where: for messages.
        scale: the best score there is.
        decimal_comma: a comma is a decimal point.

    Raises:
        RecordError: it is something else, or beyond the scale.
    """
    if _is_nothing(value):
        return None
    if isinstance(value, bool):
        return float(value)
    if isinstance(value, str) and value.strip().lower() in _WORDS:
        return _WORDS[value.strip().lower()]
    percent = isinstance(value, str) and value.strip().endswith("%")
    number = as_number(value.strip()[:-1] if percent else value, decimal_comma)
    if number is None:
        raise RecordError(
            f"{where()}: {shown(value)} is no score; true, false, yes, no and numbers are read"
        )
    if (percent and scale != 100) or not 0 <= number <= scale:
        looks = percent or (scale == 1 and 1 < number <= 100)
        raise RecordError(
            f"{where()}: {shown(value)} is no score from 0 to {scale:g}"
            + "; --score-scale "
            + (
                "100 reads percentages, 10 reads points of 10"
                if looks
                else "N reads scores up to N"
            )
        )
    return number / scale


def is_score(value: Any) -> bool:
    """Whether a cell could be a score in [0, 1]: true, false, 0, 1, 0.5."""
    if isinstance(value, str) and value.strip().lower() in _WORDS:
        return True
    number = float(value) if isinstance(value, bool) else as_number(value, True)
    return number is not None and 0 <= number <= 1


def is_score_up_to(value: Any, scale: float) -> bool:
    """Whether a cell is empty, or could be a score from 0 to `scale`."""
    if _is_nothing(value) or is_score(value):
        return True
    is_percent = isinstance(value, str) and value.strip().endswith("%")
    number = as_number(value.strip()[:-1] if is_percent else value, True)
    return number is not None and 0 <= number <= scale


def _is_nothing(value: Any) -> bool:
    if isinstance(value, float):
        return math.isnan(value)
    return value is None or (isinstance(value, str) and value.strip().lower() in _NOTHING)


def as_number(value: Any, decimal_comma: bool = False) -> float | None:
    """A cell as a number; None where it is none."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value) if abs(value) < 1e300 else None
    if not isinstance(value, str):
        try:
            return None if isinstance(value, bool) else float(str(value))  # decimal.Decimal
        except ValueError:
            return None
    if _PLAIN.fullmatch(value):
        return float(value)
    text = _MONEY.sub("", value)
    if decimal_comma:
        text = with_point(text)
    elif THOUSANDS.fullmatch(text):
        text = text.replace(",", "")
    try:
        return float(text.strip()) if re.match(r"\s*[-+.\d]", text) and "_" not in text else None
    except ValueError:
        return None


def shown(value: Any) -> str:
    """A value as messages quote it."""
    text = str(value)
    return repr(text if len(text) <= 60 else text[:57] + "...")
