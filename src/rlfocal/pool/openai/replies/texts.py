"""The texts within a message: what it says, what it thought before, why it refuses.

Each may be a string, a part, or parts within parts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

__all__ = [
    "Halves",
    "refusal_of",
    "text_of",
    "thinking_of",
    "thoughts_field",
    "whole_characters",
]

_DEPTH = 4
_THINKING = ("reasoning_content", "reasoning", "thinking")
_SAID = frozenset({"text", "output_text", "input_text", ""})
_KEYS = frozenset({"text", "type", "content", "value"})
_THOUGHT = frozenset({"thinking", "reasoning", "reasoning.text", "reasoning.summary"})


def text_of(content: Any) -> str | None:
    """The text of a message's content.

    Returns:
        Empty where there is none; None where the content is nothing that can hold text.

    >>> text_of([{"type": "text", "text": "The answer "}, {"type": "text", "text": "is 17."}])
    'The answer is 17.'
    """
    if content is None:
        return ""
    if isinstance(content, str):
        return content
    if isinstance(content, int | float) and not isinstance(content, bool):
        return str(content)
    if isinstance(content, Mapping):
        if isinstance(inner := content.get("parts", content.get("content")), list):
            return text_of(inner)
        content = [content] if not _KEYS.isdisjoint(content) else None
    return "".join(_said(content)) if isinstance(content, list) else None


def _said(parts: list[Any]) -> Iterator[str]:
    for part in parts:
        if isinstance(part, str):
            yield part
        elif isinstance(part, Mapping) and str(part.get("type") or "") in _SAID:
            yield _inner(part.get("text")) or _inner(part.get("content", part.get("value")))


def _inner(found: Any, depth: int = _DEPTH) -> str:
    """A text, wherever it lies within a part."""
    if isinstance(found, str):
        return found
    if depth == 0:
        return ""
    if isinstance(found, list):
        return "".join(_inner(item, depth - 1) for item in found)
    if isinstance(found, Mapping):
        for name in ("value", "text", "thinking", "summary", "content"):
            if inner := _inner(found.get(name), depth - 1):
                return inner
    return ""


def thinking_of(message: Mapping[str, Any]) -> str:
    """What a model thought before it spoke, where its server tells that apart from the text."""
    if name := thoughts_field(message):
        return _inner(message[name])
    parts = message.get("content")
    thought = "".join(_thought(parts)) if isinstance(parts, list) else ""
    details = message.get("reasoning_details")
    return thought or ("".join(_thought(details)) if isinstance(details, list) else "")


def thoughts_field(message: Mapping[str, Any]) -> str:
    """The field in which a message has its thoughts as a text; empty where they are in none.

    >>> thoughts_field({"content": "7", "reasoning_content": "", "reasoning": "3 and 4"})
    'reasoning'
    """
    return next((name for name in _THINKING if _inner(message.get(name))), "")


def _thought(parts: list[Any]) -> Iterator[str]:
    for part in parts:
        if isinstance(part, Mapping) and part.get("type") in _THOUGHT:
            yield _inner(part)


def refusal_of(message: Mapping[str, Any]) -> str:
    """Why a model says that it will not answer."""
    if isinstance(refusal := message.get("refusal"), str):
        return refusal
    parts = message.get("content")
    for part in parts if isinstance(parts, list) else ():
        if isinstance(part, Mapping) and isinstance(part.get("refusal"), str):
            return str(part["refusal"])
    return ""


class Halves:
    """Passes pieces of a text on; half of a character waits for its other half.

    Args:
        tell: is told of what can be written.
    """

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell, self._held = tell, ""

    def __call__(self, piece: str) -> None:
        """Take a piece."""
        text, self._held = self._held + piece, ""
        if "\ud800" <= text[-1:] <= "\udbff":
            text, self._held = text[:-1], text[-1]
        if text:
            self._tell(whole_characters(text))


def whole_characters(text: str) -> str:
    r"""Halves of characters joined where both are there, else replaced: they cannot be written.

    >>> whole_characters("\ud83c" + "\udf0d"), whole_characters("ok \ud83d")
    ('🌍', 'ok ?')
    """
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        joined = text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")
        return joined.encode("utf-8", "replace").decode("utf-8")
    return text
