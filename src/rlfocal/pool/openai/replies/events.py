"""Bytes as they come, made into events: server-sent ones, or JSON that is not in any.

Read as servers write them, which is not always as the standard has it: lines end as they like,
events may lack the blank line after them, data may be JSON over several lines, and what is no
event at all (an error's JSON, a page) is kept. Each byte is looked at a bounded number of times.
"""

from __future__ import annotations

import json
import re
from typing import Any, Protocol

from rlfocal.pool.openai.replies.strays import (
    holds_a_piece,
    is_alive,
    is_end,
    is_error_name,
)

__all__ = ["EventReader", "Listener", "loads"]

_DECODER = json.JSONDecoder(strict=False)
_FIELD = re.compile(rb"(data|event|id|retry)(?::|$)")
_FIELDS = (b"data:", b"event:", b"id:", b"retry:", b":")
_AGAIN = re.compile(r"(\s*data:)+")
"""A server that puts events of another one into its own."""
_STRAY = 64 << 10
"""Bytes kept of what is no event."""


def loads(text: str | bytes | bytearray) -> Any:
    """What JSON says, and what servers write against its rules: NaN, raw line breaks, a mark first.

    Raises:
        ValueError: it is none.
    """
    if not isinstance(text, str):
        raw = text
        try:
            text = str(raw, "utf-8-sig")
        except UnicodeDecodeError:
            text = _decoded(bytes(raw))
    try:
        return _DECODER.decode(text)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _decoded(raw: bytes) -> str:
    """JSON is UTF-8; where it is not, what its bytes look like."""
    likely = json.detect_encoding(raw)
    if not likely.startswith("utf-8"):
        return raw.decode(likely, "replace")
    text = raw.decode("utf-8", "replace")
    # Nothing but ASCII beside what cannot be read: it is of one byte a character.
    is_single = all(char.isascii() or char == "\ufffd" for char in text)
    return raw.decode("latin-1") if is_single else text


class Listener(Protocol):
    """Called with all that comes."""

    def take(self, found: Any, event: str = "") -> None:
        """One event's JSON, and its name."""

    def take_text(self, text: str, event: str = "") -> None:
        """Text that is no JSON and is more than a sign of life."""

    def take_unreadable(self) -> None:
        """An event was meant to be JSON and is not: a piece of the reply is lost."""


class EventReader:
    """Lines cut anywhere, into events.

    Args:
        listener: told of each event.
        most: bytes of one line or event.
    """

    def __init__(self, listener: Listener, most: int) -> None:
        self._listener, self._most = listener, most
        self._rest, self._after_cr = bytearray(), False
        self._name, self._data, self._n_data = "", list[str](), 0
        self._stray, self._is_last = bytearray(), False
        self.is_done = self.is_overlong = False

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
        rest = bytes(self._rest)
        self._rest.clear()
        self._is_last = True  # what cannot be read now was only cut
        if rest and not any(field.startswith(rest) for field in _FIELDS):
            self._line(rest)
        self._end_event()
        if self._stray:
            try:
                found = loads(self._stray)
            except ValueError:
                return
            self._stray.clear()
            self._listener.take(found)

    @property
    def stray(self) -> str:
        """What came and was no event."""
        return self._stray.decode("utf-8", "replace").strip()

    def _line(self, line: bytes) -> None:
        if self.is_done:
            return
        line = line.lstrip(b" \t\0")
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
        if "data:" in value[:7] and (again := _AGAIN.match(value)):
            value = value[again.end() :]
        if not self._data:
            if is_end(value):
                self.is_done = True
                return
            try:
                found = loads(value)
            except ValueError:
                if is_alive(value) and not is_error_name(self._name):
                    return
            else:
                self._listener.take(found, self._name)
                return
        self._data.append(value)
        self._n_data += len(value)

    def _end_event(self) -> None:
        data, self._data, self._n_data = self._data, [], 0
        name, self._name = self._name, ""
        if not "".join(data).strip():
            self.is_done |= is_end(name)
            if is_error_name(name):
                self._listener.take_text("", name)
            return
        try:
            found = loads("\n".join(data))
        except ValueError:
            self._end_lines(data, name)
            return
        self._listener.take(found, name)

    def _end_lines(self, data: list[str], name: str) -> None:
        """Perhaps events without a blank line after them."""
        for line in data:
            if is_end(line):
                self.is_done = True
                return
            try:
                found = loads(line)
            except ValueError:
                self._no_json(line, name)
                continue
            self._listener.take(found, name)

    def _no_json(self, line: str, name: str) -> None:
        if holds_a_piece(line):
            if not self._is_last:
                self._listener.take_unreadable()
        else:
            self._keep(line.encode("utf-8", "replace"), name)

    def _no_event(self, line: bytes) -> None:
        """JSON by itself is taken as if it were an event; anything else is kept."""
        if line[:1] == b"{" and not self._stray:
            try:
                found = loads(line)
            except ValueError:
                if b'"choices"' in line or b'"delta"' in line:
                    self._no_json(line.decode("utf-8", "replace"), self._name)
                    return
            else:
                self._listener.take(found, self._name)
                return
        self._keep(line, self._name)

    def _keep(self, line: bytes, name: str) -> None:
        text = line[:_STRAY].decode("utf-8", "replace")
        is_known = is_alive(text) and not is_error_name(name)
        if is_known or not text.strip() or (name and is_alive(name)):
            return
        if len(self._stray) < _STRAY:
            self._stray += line + b"\n"
        self._listener.take_text(text, name)
