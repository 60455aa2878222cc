"""Everything that a request tells its server: what no error message may repeat.

More than its text: calls of tools and what they returned, images, tools and schemas. Read only
where there is an error.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from rlfocal.pool.openai.redaction import is_telling
from rlfocal.pool.types import Request

__all__ = ["words_asked"]

_APART = "\u16a0"
"""A letter that no message holds: what it stands between is looked for piece by piece."""
_LEAST = 4
"""Bytes of letters and digits: two letters of Chinese are a word, of English they are none."""
_MOST_NAME = 12
"""Letters of a name in a row: fewer than are taken for a repetition."""
_IDS = frozenset({"id", "tool_call_id", "call_id"})
"""Made by machines, and named by errors."""
_MOST_DEPTH = 64
_MOST_IMAGE = 4096
"""Characters of an image's data: who repeats it begins at its beginning."""


def words_asked(request: Request) -> list[str]:
    """The texts within a request, each by itself; none is empty.

    Names of fields, functions and properties by themselves are not among them, nor are short values
    of fields, since errors say by these what is wrong; a call that is repeated whole is known all
    the same. What a turn says is among them however short it is, all but a few letters of one among
    many, which are in every message.

    Args:
        request: what was sent.

    >>> from rlfocal.pool.types import Message
    >>> call = {"function": {"name": "pay", "arguments": '{"to": "Bob"}'}}
    >>> turn = Message("assistant", "Done: 4711", extra={"tool_calls": [call]})
    >>> words_asked(Request((turn,)))
    ['Done: 4711', 'function name pay arguments {"to": "Bob"} to Bob']
    """
    turns = [turn.content for turn in request.messages if _n_bytes(turn.content) >= _LEAST]
    told = []
    for turn in request.messages:
        for value in (list(turn.parts), turn.extra):
            # In one piece, as servers repeat it: what a call holds may be short.
            told += " ".join(_texts(value, with_names=True)).split(_APART)
    for value in request.extra.values():
        for text in _texts(value, with_names=False):
            told += text.split(_APART)
    more = [text.strip() for text in told if is_telling(text)]
    return [text for text in dict.fromkeys([request.text, *turns, *more]) if text]


def _n_bytes(text: str) -> int:
    return len("".join(filter(str.isalnum, text)).encode())


def _texts(found: Any, *, with_names: bool, depth: int = 0) -> Iterator[str]:
    """Texts within JSON, and within JSON that a text is, and names by which they stand there."""
    inner: Iterator[Any] = iter(())
    if isinstance(found, Mapping):
        for name, value in found.items():
            if with_names and name not in _IDS:
                # A turn's own fields stand apart from what is in them.
                yield _named(str(name)) if depth else _APART
            if name == "name" and isinstance(value, str):
                yield _named(value)
            elif name not in _IDS and depth < _MOST_DEPTH:
                yield from _texts(value, with_names=with_names, depth=depth + 1)
    elif isinstance(found, list | tuple):
        inner = iter(found)
    elif isinstance(found, str):
        yield _without_head(found)
        inner = _within(found)
    elif found is not None and not isinstance(found, bool):
        yield str(found)
    for item in inner if depth < _MOST_DEPTH else ():
        yield from _texts(item, with_names=with_names, depth=depth + 1)


def _without_head(text: str) -> str:
    """An image's data without its beginning, which is the same for all."""
    head, _, data = text.partition(";base64,")
    return data[:_MOST_IMAGE] if data and head.startswith("data:") else text


def _named(name: str) -> str:
    return _APART.join(name[i : i + _MOST_NAME] for i in range(0, len(name), _MOST_NAME))


def _within(text: str) -> Iterator[Any]:
    """Arguments of calls are JSON in a text, where a line break and the like are other letters."""
    if text.lstrip()[:1] not in ("{", "["):
        return
    try:
        yield json.loads(text, strict=False)
    except (ValueError, RecursionError):
        return
