"""Cells of a table as texts, numbers, scores and options, with the place in every refusal.

Nothing is guessed from one cell: what a column's commas or separators mean is found from all of it.
"""

from __future__ import annotations

import ast
import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rlfocal.errors import RecordError

__all__ = [
    "as_number",
    "has_decimal_commas",
    "is_score",
    "list_of",
    "number_of",
    "options_of",
    "options_reader",
    "score_of",
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
_DECIMAL_COMMA = re.compile(r"\s*[-+]?\d+,\d+\s*%?\s*")
_THOUSANDS = re.compile(r"\s*[-+]?[1-9]\d{0,2}(,\d{3})+(\.\d+)?\s*")
_PLAIN = re.compile(r"-?\d{1,18}(?:\.\d{1,18})?")
_UNIT = re.compile(r"(\s*[\d.,]+)\s*([a-zA-Z]+)\s*")
_MONEY = re.compile(r"^\s*(?:US\s?\$|USD|\$)\s*|\s*(?:USD|\$)\s*$", re.I)
SEPARATORS = ("|", "\n", ";", "\t")
"""That may be found out; a comma or a stroke is as likely a part of an option."""
Where = Callable[[], str]
"""Says where a cell stands: "file: row 3, column 'score'"."""


def text_of(value: Any, where: Where) -> str | None:
    """A cell as text; None where nothing stands in it.

    Whole floats lose their point (pandas writes integers so beside a gap); a conversation becomes
    the text of its last turn by a user, a list of one its element.
    """
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    if isinstance(value, str):
        if value.isascii():
            return value
        text = value
    elif isinstance(value, bool):
        text = "true" if value else "false"
    elif isinstance(value, float):
        text = str(int(value)) if value.is_integer() and abs(value) < 2**53 else repr(value)
    elif isinstance(value, list):
        return _text_of_list(value, where)
    elif isinstance(value, dict):
        text = json.dumps(value, ensure_ascii=False, default=str)
    else:
        text = str(value)
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError as exc:
            raise RecordError(f"{where()}: half of a surrogate pair; write the text again") from exc
    return text


def _text_of_list(value: list[Any], where: Where) -> str | None:
    turns = [v for v in value if isinstance(v, dict) and isinstance(v.get("content"), str)]
    if turns and len(turns) == len(value):
        own = [v for v in turns if v.get("role") in ("user", "human")] or turns
        return text_of(own[-1]["content"], where)
    if len(value) == 1:
        return text_of(value[0], where)
    return json.dumps(value, ensure_ascii=False, default=str) if value else None


# Numbers ------------------------------------------------------------------------------------------


def has_decimal_commas(values: Sequence[Any], separator: str) -> bool:
    """Whether the commas of a column of numbers are decimal ones.

    Args:
        values: the column.
        separator: of the file's columns: where it is a comma, 1,750 is a number of thousands.
    """
    texts = [v for v in values if isinstance(v, str) and "," in v]
    if not texts or not all(_DECIMAL_COMMA.fullmatch(t) for t in texts):
        return False
    if any("." in v for v in values if isinstance(v, str)):
        return False
    return separator in (";", "\t") or not all(_THOUSANDS.fullmatch(t) for t in texts)


def with_point(text: str) -> str:
    """Write a number's decimal comma as a point; other texts stay."""
    return text.replace(",", ".") if _DECIMAL_COMMA.fullmatch(text) else text


def number_of(
    value: Any,
    where: Where,
    *,
    decimal_comma: bool = False,
    units: Mapping[str, float] | None = None,
) -> float | None:
    """A cell as a finite number of at least 0, such as a price; None where nothing stands in it.

    Args:
        value: a number, or a text that is one.
        where: for messages.
        decimal_comma: a comma is a decimal point.
        units: unit that may stand behind the number → how many of the column's unit it is.

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
    if number is None or not 0 <= number < math.inf:
        raise RecordError(
            f"{where()}: {_shown(value)} is no number of at least 0; correct it, or leave it empty"
        )
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
            f"{where()}: {_shown(value)} is no score; true, false, yes, no and numbers are read"
        )
    if (percent and scale != 100) or not 0 <= number <= scale:
        looks = percent or (scale == 1 and 1 < number <= 100)
        raise RecordError(
            f"{where()}: {_shown(value)} is no score from 0 to {scale:g}"
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
    elif _THOUSANDS.fullmatch(text):
        text = text.replace(",", "")
    try:
        return float(text.strip()) if re.match(r"\s*[-+.\d]", text) and "_" not in text else None
    except ValueError:
        return None


def _shown(value: Any) -> str:
    text = str(value)
    return repr(text if len(text) <= 60 else text[:57] + "...")


# Lists --------------------------------------------------------------------------------------------


def list_of(value: Any) -> list[Any] | None:
    """A cell as a list: as JSON or Python write one; None where it is none."""
    if isinstance(value, (list, tuple)):
        return list(value)
    if not isinstance(value, str) or not value.strip().startswith(("[", "(")):
        return None
    try:
        found = json.loads(value)
    except (ValueError, RecursionError):
        try:
            found = ast.literal_eval(value.strip())
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            return None
    return list(found) if isinstance(found, (list, tuple)) else None


def options_of(value: Any) -> list[Any] | None:
    """A cell as option texts: a list, options by letter, texts beside their letters."""
    if isinstance(value, str) and value.strip().startswith("{"):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            try:
                value = ast.literal_eval(value.strip())
            except (ValueError, SyntaxError, RecursionError, MemoryError):
                return None
    if isinstance(value, dict):
        if isinstance(value.get("text"), list):
            return list(value["text"])
        return [value[key] for key in sorted(value)] or None
    found = list_of(value)
    if found and all(isinstance(v, dict) and "text" in v for v in found):
        return [v["text"] for v in found]
    return found


def options_reader(
    values: Sequence[Any], separator: str | None, where: Callable[[int], Where]
) -> tuple[Callable[[int], list[Any] | None], str | None]:
    """How a column of options is read.

    Args:
        values: the column.
        separator: between options in one cell; None: lists, else what all cells have between them.
        where: row → its place.

    Returns:
        Row → option texts, None where there are none; and the separator that was found out.

    Raises:
        RecordError: (at once) cells are texts with no separator in common.
    """
    texts = {
        row: v
        for row, v in enumerate(values)
        if isinstance(v, str) and v.strip() and options_of(v) is None
    }
    found = None
    if texts and separator is None:
        found = next((s for s in SEPARATORS if all(s in v.strip() for v in texts.values())), None)
        if found is None:
            row, text = next(iter(texts.items()))
            raise RecordError(
                f"{where(row)()}: {_shown(text)} is no list of options; write JSON such as "
                '["a", "b"], or say what stands between them: --choices-separator "|"'
            )
    between = separator or found

    def read(row: int) -> list[Any] | None:
        value = values[row]
        if row in texts and between is not None:
            return _without_letters([part.strip() for part in value.split(between)])
        return options_of(value) or None

    return read, found


def _without_letters(parts: list[str]) -> list[str]:
    """Options without the letters before them, where each has its own."""
    stripped = [re.sub(rf"^\(?{chr(65 + i)}[).:]\s*", "", p) for i, p in enumerate(parts[:26])]
    own = all(a != b for a, b in zip(stripped, parts, strict=False))
    return stripped if own and len(parts) <= 26 else parts
