r"""Values as Python, Java and JavaScript write them: one reader for the three.

It takes whatever one of them allows, since members mix them: `True`, `true`; `None`, `null`;
`{'a': 1}`, `{a: 1}`; strings in any quotes. A name by itself is text, as is any expression that is
no plain value (`new Date()`, `x => x + 1`), as it is written; sums of numbers keep their result. It
knows no schema.

Departures: `ast.parse` reads only sums. Of the rest it would refuse what Java and JavaScript
write, warn of what is harmless in a text, and meet its own limits on texts that are too deep.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from rlfocal.toolcalls.parsing.sums import Sum, worked_out
from rlfocal.toolcalls.values import JSON, MAX_DEPTH, exact

__all__ = ["GENERIC", "Reader", "Unreadable"]

_TOKEN = re.compile(
    r"""
    (?: \s+ | \#[^\n]* | //[^\n]* )*
    (?: (?P<text> \"{3} [^"\\]* (?: (?: \\. | "(?!"") ) [^"\\]* )* \"{3}
                | '{3} [^'\\]* (?: (?: \\. | '(?!'') ) [^'\\]* )* '{3}
                | " [^"\\]* (?: \\. [^"\\]* )* " | ' [^'\\]* (?: \\. [^'\\]* )* '
                | ` [^`\\]* (?: \\. [^`\\]* )* ` )
      | (?P<number> [-+]? (?: [0-9][0-9_]{0,40} (?: \.[0-9]{0,40} )? | \.[0-9]{1,40} )
                    (?: [eE][-+]?[0-9]{1,2} )? [LlFfDd]? (?![\w.]) )
      | (?P<name> [^\W\d][\w$]* (?: \.[^\W\d][\w$]* )* | \$[\w$]+ )
      | (?P<mark> . )
    )?
    """,
    re.VERBOSE | re.DOTALL,
)
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2})|(\n)|(.))", re.DOTALL)
_ESCAPED = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", "0": "\0", "v": "\v"}
GENERIC = re.compile(r"new\s+([\w.]+)\s*(?:<[^<>()]*(?:<[^<>()]*>[^<>()]*)*>)?\s*(\[\s*\])?")
_CONSTANTS: Mapping[str, JSON] = {
    **{"True": True, "true": True, "TRUE": True, "False": False, "false": False, "FALSE": False},
    **{"None": None, "null": None, "NULL": None, "undefined": None, "nil": None},
}


class Unreadable(Exception):
    """The text is not written by the rules; it never leaves the modules that read."""


class _Hopeless(Unreadable):
    """It is too deep, or something in it never ends: what is around it cannot be read either."""


class Reader:
    """One pass over a text, a token at a time; `kind` is None at its end."""

    def __init__(self, text: str, start: int) -> None:
        self.text, self.end = text, start
        self.advance()

    def advance(self) -> None:
        """Go to the next token."""
        self.last_end = self.end
        found = _TOKEN.match(self.text, self.end)
        assert found is not None  # it matches nothing at least
        self.kind = found.lastgroup
        self.start, self.end = found.span(self.kind) if self.kind else (found.end(), found.end())
        self.token = self.text[self.start : self.end]

    def jump(self, place: int) -> None:
        """Go to the first token from a place on."""
        self.end = place
        self.advance()

    def skip(self, mark: str) -> None:
        """Go past a mark that has to be here."""
        if self.kind != "mark" or self.token != mark:
            raise Unreadable
        self.advance()

    def value(self, depth: int) -> JSON:
        """A value; an expression that is none as text."""
        start = self.start
        if depth > MAX_DEPTH - 2:  # the arguments of a call are around it
            raise _Hopeless
        if self.kind is None:
            raise Unreadable
        try:
            value = self._primary(depth)
        except _Hopeless:
            raise
        except Unreadable:
            self.jump(start)
            return self._expression(start)
        if self.kind is None or (self.kind == "mark" and self.token in ",)]};:"):
            return value
        return self._expression(start)

    def _primary(self, depth: int) -> JSON:
        token, kind = self.token, self.kind
        if kind == "text":
            text = ""
            while self.kind == "text":  # neighbours are one
                text += _unquoted(self.token)
                self.advance()
            return text
        if kind == "mark":
            if token == "{":
                return self.object(depth + 1)
            if token in "[(":
                return self.items(depth + 1)
            raise Unreadable
        self.advance()
        if kind == "number":
            digits = token.rstrip("LlFfDd").replace("_", "")
            if not digits.lstrip("+-").isdigit():
                return exact(digits)
            is_code = len(digits) > 1 and digits[0] == "0"
            return Sum(token, int(digits)) if is_code else int(digits)
        return _CONSTANTS.get(token, token)

    def items(self, depth: int) -> list[JSON] | JSON:
        """The values of a list; of brackets around one value, that value."""
        opening, closing = self.token, "]" if self.token == "[" else ")"
        found, commas = [], 0
        self.advance()
        while not (self.kind == "mark" and self.token == closing):
            found.append(self.value(depth))
            if self.kind == "mark" and self.token == ",":
                commas += 1
                self.advance()
            elif self.token != closing:
                raise Unreadable
        self.advance()
        return found[0] if opening == "(" and len(found) == 1 and not commas else found

    def object(self, depth: int) -> dict[str, JSON]:
        """The keys and values of an object."""
        found: dict[str, JSON] = {}
        self.advance()
        while not (self.kind == "mark" and self.token == "}"):
            if self.kind not in ("text", "name", "number"):
                raise Unreadable
            key = _unquoted(self.token) if self.kind == "text" else self.token
            self.advance()
            self.skip(":")
            found[key] = self.value(depth)
            if self.kind == "mark" and self.token == ",":
                self.advance()
            elif self.token != "}":
                raise Unreadable
        self.advance()
        return found

    def _expression(self, start: int) -> JSON:
        """The text of an expression up to the comma or bracket that ends it."""
        depth = 0
        generic = GENERIC.match(self.text, start)
        if generic is not None:  # its commas separate nothing
            self.jump(generic.end())
        while self.kind is not None:
            if self.kind == "mark":
                if self.token in "\"'`":
                    raise _Hopeless
                if depth == 0 and self.token in ",)]};":
                    break
                depth += (self.token in "([{") - (self.token in ")]}")
            self.advance()
        if depth:
            raise _Hopeless
        if self.last_end <= start:
            raise Unreadable
        text = self.text[start : self.last_end].strip()
        result = worked_out(text)
        return text if result is None else result


def _unquoted(token: str) -> str:
    is_triple = len(token) >= 6 and token[:3] in ('"""', "'''")
    inner = token[3:-3] if is_triple else token[1:-1]
    if "\\" not in inner:
        return inner
    text = _ESCAPE.sub(_unescaped, inner)
    # Two escapes may be the halves of one character.
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _unescaped(found: re.Match[str]) -> str:
    if found[1] or found[2]:
        return chr(int(found[1] or found[2], 16))
    if found[3]:
        return ""  # a line that goes on
    character = found[4]
    if character in "\\\"'`/":
        return character
    return _ESCAPED.get(character, found[0])
