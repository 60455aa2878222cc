"""Bytes as they come, made into events: server-sent ones, or JSON that is not in any.

Read as servers write them, which is not always as the standard has it: lines end as they like,
events may lack the blank line after them, data may be JSON over several lines, and what is no
event at all (an error's JSON, a page) is kept. Each byte is looked at a bounded number of times.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

__all__ = ["EventReader", "loads"]

_DECODER = json.JSONDecoder(strict=False)
_FIELD = re.compile(rb"(data|event|id|retry)(?::|$)")
_FIELDS = (b"data:", b"event:", b"id:", b"retry:", b":")
_ALIVE = re.compile(
    r"[\s:.\"'-]*((openrouter )?processing|ping|pong|keep[-_ ]?alive|heart ?beat)?[\s:.\"'-]*",
    re.IGNORECASE,
)
_DONE = re.compile(r"\W*done\W*", re.IGNORECASE)
_STRAY = 64 << 10
"""Bytes kept of what is no event."""


def loads(text: str | bytes | bytearray) -> Any:
    """What JSON says, and what servers write against its rules: NaN, raw line breaks, a mark first.

    Raises:
        ValueError: it is none.
    """
    if not isinstance(text, str):
        text = _decoded(bytes(text))
    try:
        return _DECODER.decode(text)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _decoded(raw: bytes) -> str:
    """JSON is UTF-8; where it is not, what its bytes look like."""
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        likely = json.detect_encoding(raw)
    if not likely.startswith("utf-8"):
        return raw.decode(likely, "replace")
    text = raw.decode("utf-8", "replace")
    # Nothing but ASCII beside what cannot be read: it is of one byte a character.
    is_single = all(char.isascii() or char == "\ufffd" for char in text)
    return raw.decode("latin-1") if is_single else text


def _is(pattern: re.Pattern[str], value: str) -> bool:
    return len(value) < 64 and pattern.fullmatch(value) is not None


class EventReader:
    """Lines cut anywhere, into events.

    Args:
        take: told of each event: its JSON, and its name.
        most: bytes of one line or event.
    """

    def __init__(self, take: Callable[[Any, str], None], most: int) -> None:
        self._take, self._most = take, most
        self._rest, self._after_cr = bytearray(), False
        self._name, self._data, self._n_data = "", list[str](), 0
        self._stray = bytearray()
        self.is_done = self.is_overlong = False
        self.is_garbled = False
        """An event was meant to be JSON and is not: a piece of the reply is lost."""

    def feed(self, part: bytes) -> None:
        """Take what has come."""
        if self._after_cr and part:
            part, self._after_cr = part.removeprefix(b"\n"), False
        if not part or self.is_done:
            return
        end = max(part.rfind(b"\n"), part.rfind(b"\r")) + 1
        if end:
            lines = (bytes(self._rest) + part[:end]).splitlines()
            self._rest.clear()
            for line in lines:
                self._line(line)
        self._after_cr = part.endswith(b"\r")
        self._rest += part[end:]
        self.is_overlong |= max(len(self._rest), self._n_data) > self._most

    def end(self) -> None:
        """Nothing more comes."""
        rest, was_garbled = bytes(self._rest), self.is_garbled
        self._rest.clear()
        if rest and not any(field.startswith(rest) for field in _FIELDS):
            self._line(rest)
        self._end_event()
        self.is_garbled = was_garbled  # the last one was only cut
        if self._stray and not self.is_done:
            try:
                self._take(loads(self._stray), "")
            except ValueError:
                return
            self._stray.clear()

    @property
    def stray(self) -> str:
        """What came and was no event."""
        return self._stray.decode("utf-8", "replace").strip()

    def _line(self, line: bytes) -> None:
        if self.is_done:
            return
        if not line.strip():
            self._end_event()
        elif field := _FIELD.match(line):
            self._field(field[1], line[field.end() :].decode("utf-8", "replace"))
        elif not line.startswith(b":"):
            self._no_event(line)

    def _field(self, name: bytes, value: str) -> None:
        if name == b"event":
            self._end_event()
            self._name = value.strip()
        elif name == b"data":
            self._datum(value)

    def _datum(self, value: str) -> None:
        """One line of data: most often all of an event."""
        if not self._data:
            if _is(_DONE, value):
                self.is_done = True
                return
            if _is(_ALIVE, value):
                return
            try:
                self._take(loads(value), self._name)
                return
            except ValueError:
                pass
        self._data.append(value)
        self._n_data += len(value)

    def _end_event(self) -> None:
        data, self._data, self._n_data = self._data, [], 0
        name, self._name = self._name, ""
        if not data:
            return
        try:
            self._take(loads("\n".join(data)), name)
            return
        except ValueError:
            pass
        for line in data:  # perhaps events without a blank line after them
            if _is(_DONE, line):
                self.is_done = True
                return
            try:
                self._take(loads(line), name)
            except ValueError:
                if line.lstrip()[:1] in ("{", "["):
                    self.is_garbled = True
                else:
                    self._keep(line.encode("utf-8", "replace"))

    def _no_event(self, line: bytes) -> None:
        """JSON by itself is taken as if it were an event; anything else is kept."""
        if line.lstrip()[:1] == b"{" and not self._stray:
            try:
                self._take(loads(line), self._name)
                return
            except ValueError:
                pass
        self._keep(line)

    def _keep(self, line: bytes) -> None:
        if len(self._stray) < _STRAY:
            self._stray += line + b"\n"
