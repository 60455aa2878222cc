"""Calls as Python, Java and JavaScript write them, one after the other or in a list.

Values in place of calls are read, too: whether an object or a text says a call is for `shapes`.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TypeAlias

from rlfocal.toolcalls.parsing.reader import Reader, Unreadable
from rlfocal.toolcalls.values import JSON, exact, is_too_deep

__all__ = ["Element", "Invocation", "element_at", "elements", "value_at"]

_CALLED = re.compile(r"([^\W\d][\w$.-]{0,200})\s*+(?=[({])")
_KEYWORD = re.compile(r"([^\W\d][\w$-]*|'[^'\\\n]{1,80}'|\"[^\"\\\n]{1,80}\")\s*[=:](?![=>:])")

_decoder = json.JSONDecoder(strict=False, parse_float=exact)


@dataclass
class Invocation:
    """A call as it is written: some arguments by place, some by name."""

    name: str
    is_spaced: bool = False
    """A space is before its bracket, as in a sentence."""
    positional: list[JSON] = field(default_factory=list)
    named: dict[str, JSON] = field(default_factory=dict)


Element: TypeAlias = Invocation | JSON


def elements(text: str) -> list[Element] | None:
    """Read a text that is calls and values and nothing else; lists of them are opened.

    Returns:
        The elements; None where the text is no such thing.

    >>> elements("[f(1, b='x')]")
    [Invocation(name='f', is_spaced=False, positional=[1], named={'b': 'x'})]
    """
    reader = _Calls(text, 0)
    found: list[Element] = []
    try:
        reader.several(found, "", 0)
    except Unreadable:
        return None
    return found


def element_at(text: str, start: int) -> tuple[list[Element], int] | None:
    """Read the one call, list or object that begins at a place, and find where it ends.

    >>> element_at("so [f(1)] it is", 3)
    ([Invocation(name='f', is_spaced=False, positional=[1], named={})], 9)
    """
    reader = _Calls(text, start)
    found: list[Element] = []
    try:
        reader.element(found, 0)
    except Unreadable:
        return None
    return found, reader.last_end


def value_at(text: str, start: int) -> tuple[list[Element], int] | None:
    """Read the JSON, or else the call, list or object, that begins at a place; a list is opened.

    >>> value_at('so {"a": 1e400} it is', 3), value_at("{a: 'x'}", 0)
    (([{'a': inf}], 15), ([{'a': 'x'}], 8))
    """
    if text[start : start + 1] not in ("[", "{"):
        return element_at(text, start)
    try:
        value, end = _decoder.raw_decode(text, start)
    except (ValueError, RecursionError):  # no JSON, or thousands of brackets
        return element_at(text, start)
    if is_too_deep(text[start:end]):
        return None
    return [*value] if isinstance(value, list) else [value], end


class _Calls(Reader):
    """Reads what may be calls."""

    def several(self, found: list[Element], closing: str, depth: int) -> None:
        """Elements up to a closing mark, or to the end of the text for none."""
        while self.kind is not None:
            if self.kind == "mark" and self.token == closing:
                return
            if self.kind == "mark" and self.token in ",;":
                self.advance()
            else:
                self.element(found, depth)
        if closing:
            raise Unreadable

    def element(self, found: list[Element], depth: int) -> None:
        """A call, or what may say one: an object, a pair, a text."""
        if self.kind == "mark" and self.token == "[" and depth < 4:
            self.advance()
            self.several(found, "]", depth + 1)
            self.skip("]")
            return
        called = _CALLED.match(self.text, self.start) if self.kind == "name" else None
        if called is not None:
            self.jump(called.end())
            found.append(self._invocation(called[1], is_spaced=called.end(1) < called.end()))
        elif self.kind == "text":
            found.append(self._primary(depth))
        elif self.kind == "mark" and self.token in "{(":
            found.append(self.object(1) if self.token == "{" else self.items(1))
        else:
            raise Unreadable

    def _invocation(self, name: str, *, is_spaced: bool) -> Invocation:
        made = Invocation(name, is_spaced)
        if self.token == "{":  # f {"a": 1}
            made.named = self.object(1)
            return made
        self.skip("(")
        while not (self.kind == "mark" and self.token == ")"):
            keyword = (
                _KEYWORD.match(self.text, self.start) if self.kind in ("name", "text") else None
            )
            if keyword is not None:
                self.jump(keyword.end())
                key = keyword[1].strip("\"'")
                if key in made.named:
                    raise Unreadable
                made.named[key] = self.value(1)
            else:
                made.positional.append(self.value(1))
            if self.kind != "mark" or self.token not in ",)":
                raise Unreadable
            if self.token == ",":
                self.advance()
        self.advance()
        return made
