"""Cells that hold what was asked or replied: a text, a conversation, parts, or several replies."""

from __future__ import annotations

import json
from typing import Any

from rlfocal.errors import RecordError
from rlfocal.records.importers.table.cells.lists import list_of, parsed
from rlfocal.records.importers.table.cells.talks import (
    ASSISTANTS,
    is_parts,
    is_talk,
    joined_parts,
    last_turn,
)
from rlfocal.records.importers.table.cells.values import Where, shown, text_of

__all__ = ["prompt_of", "reply_of", "samples_of"]

Several = tuple[str | None, ...]
_GENERATED = "generated_text"
"""What Hugging Face's pipelines call each of several replies."""


def prompt_of(value: Any, where: Where) -> str | None:
    """A cell as a question: of a conversation, what the user said last."""
    return text_of(_unwritten(value, where), where)


def reply_of(value: Any, where: Where) -> str | Several | None:
    """A cell as what a model replied.

    Returns:
        A text: of a conversation, what the assistant said last; of parts, their texts; a list of
        numbers, of objects or of lists as JSON. Several, where it is a list of texts. None where
        nothing was said.
    """
    value = _unwritten(value, where)
    if not isinstance(value, list):
        return text_of(value, where)
    if is_talk(value):
        return text_of(last_turn(value, ASSISTANTS), where)
    if is_parts(value):
        return text_of(joined_parts(value), where)
    value = list(map(_generated, value))
    if all(v is None for v in value):
        return None
    if all(map(is_talk, value)) and len(value) > 1:
        return samples_of(value, where)
    if len(value) < 2 or _are_numbers(value):
        return reply_of(value[0], where) if len(value) == 1 else text_of(value, where)
    if any(isinstance(v, (list, dict)) for v in value):
        return text_of(value, where)
    return tuple(text_of(v, where) for v in value)


def _generated(value: Any) -> Any:
    return value[_GENERATED] if isinstance(value, dict) and _GENERATED in value else value


def _no_reply(value: list[Any], where: Where) -> RecordError:
    return RecordError(
        f"{where()}: {shown(json.dumps(value, default=str))} is a list of objects or lists, "
        "and no reply; write the reply's text, or a list of texts where there are several"
    )


def _are_numbers(value: Any) -> bool:
    """Whether these are numbers, or rows of them: a point, a matrix."""
    if isinstance(value, list):
        return all(map(_are_numbers, value))
    return value is None or isinstance(value, (int, float))


def samples_of(value: Any, where: Where) -> Several | None:
    """A cell as several replies; None where nothing stands in it.

    Raises:
        RecordError: it is no list of replies.
    """
    if value is None:
        return None
    one = _unwritten(value, where)
    listed = [one] if is_talk(one) or is_parts(one) else list_of(value, where)
    if listed is None:
        raise RecordError(
            f'{where()}: {str(value)[:60]!r} is no list of replies; write JSON: ["a", "b"]'
        )
    listed = list(map(_generated, listed))
    found = [reply_of(v, where) for v in listed]
    if any(isinstance(v, dict) for v in listed) or any(isinstance(f, tuple) for f in found):
        raise _no_reply(listed, where)
    return tuple(f for f in found if not isinstance(f, tuple))


def _unwritten(value: Any, where: Where) -> Any:
    """A conversation or parts that stand as text in a cell; other cells stay."""
    if not isinstance(value, str) or not value.lstrip().startswith("[{"):
        return value
    try:
        found = parsed(value, where)
    except RecordError:
        return value  # a text of its own, whatever it quotes
    is_said = is_talk(found) and all("role" in turn for turn in found)
    return found if is_said or (is_parts(found) and joined_parts(found) is not None) else value
