"""Brackets of canonical text: where it splits, what encloses all of it.

Nothing is read here; `structure` does that.
"""

from __future__ import annotations

import re

__all__ = ["closes", "has_letters", "split", "tokens_of", "unwrapped"]

_TOKEN = re.compile(r"\\[{}|]|\\[a-zA-Z]+ ?|\\.|[\s\S]")
_OPEN = ("(", "[", "{", "\\{", "\\langle", "\\lfloor", "\\lceil")
_CLOSE = (")", "]", "}", "\\}", "\\rangle", "\\rfloor", "\\rceil")
_COMMAND = re.compile(r"\\[a-zA-Z]+")


def split(text: str, signs: tuple[str, ...]) -> list[tuple[str, str]]:
    """Split at signs outside of all brackets.

    Returns:
        Parts, each with the sign before it ("" for the first).
    """
    parts, start, depth, before = [], 0, 0, ""
    for found in _TOKEN.finditer(text):
        token = found[0].rstrip() or found[0]
        if token in _OPEN:
            depth += 1
        elif token in _CLOSE:
            depth = max(0, depth - 1)
        elif depth == 0 and token in signs:
            parts.append((before, text[start : found.start()]))
            before, start = token, found.end()
    return [*parts, (before, text[start:])]


def tokens_of(text: str) -> list[str]:
    """Every sign and command, without the blank that ends a command's name."""
    return [found[0].rstrip() for found in _TOKEN.finditer(text)]


def unwrapped(text: str) -> str:
    """Without braces around all of it."""
    text = text.strip(" .")
    while text[:1] == "{" and text[-1:] == "}" and len(split(text, ("}",))) == 1 and closes(text):
        text = text[1:-1]
    return text


def closes(text: str) -> bool:
    """Whether the first bracket is closed by the last one."""
    depth, tokens = 0, tokens_of(text)
    for position, token in enumerate(tokens):
        depth += (token in _OPEN) - (token in _CLOSE)
        if depth == 0:
            return position == len(tokens) - 1
    return False


def has_letters(text: str) -> bool:
    """Whether a variable stands in it, outside of words."""
    bare = _COMMAND.sub("", re.sub(r"\\text\{[^{}]*\}", "", text))
    return bool(re.search("[a-zA-Z]", bare)) or bool(
        re.search(r"\\(?:alpha|beta|theta|lambda|phi|mu|omega)(?![a-zA-Z])", text)
    )
