"""Calls of tools in a stream's pieces, put together again.

Servers differ in whether pieces have an index, an id, a name, and in what they repeat; which piece
belongs to which call is told by whatever there is: a call whose arguments are whole is over.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from rlfocal.pool.openai.replies.calls import MOST_CALLS, argued, as_text

__all__ = ["CallPieces"]

_TELLING = re.compile(r'["\\{}\[\]]')
_EMPTY = frozenset({"{}", "null", '""'})
"""What some proxies send before the arguments come."""
_KNOWN = frozenset({"index", "id", "function", "name", "arguments", "parameters", "input"})


class _Arguments:
    """Pieces of a text of JSON; knows whether it is whole, each character being looked at once."""

    def __init__(self) -> None:
        self.pieces: list[str] = []
        self._depth, self._quoted, self._escaped_at, self._length = 0, False, -1, 0
        self._is_balanced = False
        self._grows = True
        """Each piece so far begins with the one before: perhaps all of it is told each time."""

    @property
    def is_whole(self) -> bool:
        """Nothing can follow."""
        return self._is_balanced or (
            self._grows and len(self.pieces) > 1 and _is_json(self.pieces[-1])
        )

    @property
    def is_empty(self) -> bool:
        """There are none, or not yet."""
        return self._length <= 16 and str(self).strip() in _EMPTY

    def add(self, piece: str) -> None:
        if self.is_empty and piece.strip():
            self.__init__()  # type: ignore[misc]
        self._grows = self._grows and piece.startswith(self.pieces[-1] if self.pieces else "")
        self.pieces.append(piece)
        for found in _TELLING.finditer(piece):
            self._look(found[0], self._length + found.start())
        self._length += len(piece)

    def _look(self, mark: str, at: int) -> None:
        if self._quoted:
            if at == self._escaped_at:
                return
            if mark == "\\":
                self._escaped_at = at + 1
            elif mark == '"':
                self._quoted = False
        elif mark == '"':
            self._quoted = True
        else:
            self._depth += 1 if mark in "{[" else -1
            self._is_balanced = self._depth == 0

    def __str__(self) -> str:
        joined = "".join(self.pieces)
        if self._grows and len(self.pieces) > 1 and _is_json(self.pieces[-1]):
            return joined if _is_json(joined) else self.pieces[-1]
        return joined


def _is_json(text: str) -> bool:
    if text.rstrip()[-1:] not in ("}", "]", '"'):
        return False
    try:
        json.loads(text, strict=False, parse_int=float)
    except (ValueError, RecursionError):
        return False
    return True


class _Slot:
    def __init__(self) -> None:
        self.id, self.name, self.arguments = "", "", _Arguments()
        self.is_doubtful = False
        """Begun by no more than the name of the call before, which may only have been repeated."""
        self.rest: dict[str, Any] = {}
        self.inner: dict[str, Any] = {}

    @property
    def is_begun(self) -> bool:
        """Arguments have come."""
        return bool(self.arguments.pieces)

    def as_json(self) -> dict[str, Any]:
        function = {**self.inner, "name": self.name, "arguments": str(self.arguments)}
        return {**self.rest, "id": self.id, "function": function}


class CallPieces:
    """The calls of one streamed reply.

    Args:
        offered: names of the tools that may be called: they tell a name that comes in pieces.
    """

    def __init__(self, offered: Iterable[str] = ()) -> None:
        self._offered = frozenset(offered)
        self._slots: list[_Slot] = []
        self._at: dict[int, _Slot] = {}
        self.n_characters = 0
        """Of names and arguments."""

    def __len__(self) -> int:
        return len(self._slots)

    def add(self, found: Any) -> None:
        """Take the calls of one piece of a reply."""
        parts = [found] if isinstance(found, Mapping) else found
        if not isinstance(parts, list):
            return
        for place, part in enumerate(parts[: MOST_CALLS + 1]):
            if isinstance(part, Mapping):
                # Calls that come together without an index are told apart by their places.
                self._take(part, place if len(parts) > 1 else None)

    def as_json(self) -> list[dict[str, Any]]:
        """The calls as a whole reply would have them."""
        return [s.as_json() for s in self._slots if s.is_begun or not s.is_doubtful]

    def _take(self, part: Mapping[str, Any], place: int | None) -> None:
        function = part.get("function")
        if not isinstance(function, Mapping):
            function = part if "name" in part or argued(part) is not None else {}
        id_ = part.get("id")
        id_ = str(id_) if isinstance(id_, str | int) and not isinstance(id_, bool) else ""
        name = function.get("name")
        name = name if isinstance(name, str) else ""
        arguments = argued(function)
        slot = self._slot(_index(part.get("index"), place), id_, name, arguments)
        if slot is None:
            return
        slot.id = slot.id or id_
        self._name(slot, name)
        self._argue(slot, arguments)
        if function is not part:
            slot.inner |= {k: v for k, v in function.items() if k not in _KNOWN}
        slot.rest |= {k: v for k, v in part.items() if k not in _KNOWN and v is not None}

    def _slot(self, index: int | None, id_: str, name: str, arguments: Any) -> _Slot | None:
        """The call that a piece belongs to; None where it belongs to none."""
        if index is None:
            known = next((s for s in reversed(self._slots) if id_ and s.id == id_), None)
            slot = known or (self._slots[-1] if self._slots else None)
        else:
            slot = self._at.get(index)
        if slot is not None and not self._is_new(slot, id_, name, arguments):
            return slot
        if not (name or id_ or _has(arguments)) or len(self._slots) > MOST_CALLS:
            return None
        new = _Slot()
        if slot is not None:
            is_same = name == slot.name and id_ in ("", slot.id)
            new.is_doubtful = is_same and not _has(arguments)
        self._slots.append(new)
        if index is not None:
            self._at[index] = new
        return new

    def _is_new(self, slot: _Slot, id_: str, name: str, arguments: Any) -> bool:
        """Whether a piece that comes at the place of a call begins another one."""
        is_told = _has(arguments)
        if not name:
            # Nothing goes on after what is whole; some servers tell all of it again at the end.
            is_over = slot.arguments.is_whole and not slot.arguments.is_empty
            return is_over and is_told and _begins_anew(slot.arguments, arguments)
        if not slot.name:
            return False
        if name != slot.name:
            return slot.is_begun or not self._goes_on(slot.name, name)
        if id_ and slot.id and id_ != slot.id:
            return slot.arguments.is_whole or not slot.is_begun
        if not slot.arguments.is_whole:
            return False
        if slot.arguments.is_empty and (id_ or not is_told):
            return False
        return not is_told or str(slot.arguments) != as_text(arguments)

    def _goes_on(self, name: str, piece: str) -> bool:
        """Whether a name that comes after another is more of it, or all of it once more."""
        if piece in self._offered and name in self._offered:
            return False
        begun = name + piece
        return piece.startswith(name) or any(tool.startswith(begun) for tool in self._offered)

    def _name(self, slot: _Slot, name: str) -> None:
        if not name or name == slot.name:
            return  # repeated with each piece
        self.n_characters += len(name)
        is_more = bool(slot.name) and not name.startswith(slot.name)
        slot.name = slot.name + name if is_more else name

    def _argue(self, slot: _Slot, arguments: Any) -> None:
        if not _has(arguments):
            return
        piece = arguments if isinstance(arguments, str) else as_text(arguments)
        if slot.arguments.is_whole and piece == str(slot.arguments):
            return  # told once more at the end
        slot.arguments.add(piece)
        self.n_characters += len(piece)


def _has(arguments: Any) -> bool:
    return arguments is not None and arguments != ""


def _begins_anew(before: _Arguments, arguments: Any) -> bool:
    text = as_text(arguments)
    return text.lstrip()[:1] == "{" and text != str(before)


def _index(value: Any, place: int | None) -> int | None:
    if isinstance(value, str) and re.fullmatch(r"\d{1,4}", value, re.ASCII):
        value = int(value)
    is_index = isinstance(value, int) and not isinstance(value, bool) and value >= 0
    return value if is_index else place
