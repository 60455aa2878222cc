"""Calls of tools as a model wrote them: whole, or put together again from a stream's pieces.

Servers differ in whether pieces have an index, an id, a name; which piece belongs to which call is
told by whatever there is. A new id is a new call, a piece without one goes on with the last.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any

__all__ = ["MOST_CALLS", "CallPieces", "calls_of"]

MOST_CALLS = 128
"""In one reply; more are not read."""
_TELLING = re.compile(r'["\\{}\[\]]')


def calls_of(message: Mapping[str, Any], *, reply_id: Any = None) -> tuple[dict[str, Any], ...]:
    """The calls within a message, in OpenAI's shape and with different ids.

    Arguments that are no text become one; calls without a name are left out. Whatever else a
    server keeps in a call (a signature of its thoughts) stays in it.

    Args:
        message: as the server sent it.
        reply_id: of the reply; ids that are missing are made from it.

    >>> call = {"function": {"name": "f", "arguments": {"x": 1}}}
    >>> calls_of({"tool_calls": [call]})[0]["function"]
    {'name': 'f', 'arguments': '{"x": 1}'}
    """
    found = message.get("tool_calls")
    listed = [found] if isinstance(found, Mapping) else found
    if not listed and isinstance(old := message.get("function_call"), Mapping):
        listed = [{"function": old}]
    made: list[dict[str, Any]] = []
    seen: set[str] = set()
    for item in listed if isinstance(listed, list) else ():
        call = _call(item)
        if call is None:
            continue
        if not call["id"] or call["id"] in seen:
            call["id"] = _new_id(reply_id, len(made), call["function"])
        seen.add(call["id"])
        made.append(call)
    return tuple(made)


def _call(item: Any) -> dict[str, Any] | None:
    if not isinstance(item, Mapping):
        return None
    function = item.get("function")
    if function is None and isinstance(item.get("name"), str):  # without the box around it
        function = {name: item[name] for name in ("name", "arguments") if name in item}
        item = {name: value for name, value in item.items() if name not in function}
    if not isinstance(function, Mapping):
        return None
    name = function.get("name")
    if not isinstance(name, str) or not name.strip():
        return None
    id_, kind = item.get("id"), item.get("type")
    rest = {key: value for key, value in item.items() if key != "index"}
    return {
        **rest,
        "id": str(id_) if isinstance(id_, str | int) and not isinstance(id_, bool) else "",
        "type": kind if isinstance(kind, str) and kind else "function",
        "function": {**function, "name": name, "arguments": as_text(function.get("arguments"))},
    }


def as_text(arguments: Any) -> str:
    """Arguments as the text of JSON that they should be."""
    if isinstance(arguments, str):
        return arguments if arguments.strip() else "{}"
    return "{}" if arguments is None else json.dumps(arguments, ensure_ascii=False)


def _new_id(reply_id: Any, place: int, function: Mapping[str, Any]) -> str:
    text = json.dumps([str(reply_id), place, function["name"], function["arguments"]])
    return f"call_{hashlib.sha256(text.encode()).hexdigest()[:24]}"


class _Arguments:
    """Pieces of a text of JSON; knows whether it is whole, each character being looked at once."""

    def __init__(self) -> None:
        self.pieces: list[str] = []
        self._depth, self._quoted, self._escaped_at, self._length = 0, False, -1, 0
        self.is_whole = False

    def add(self, piece: str) -> None:
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
            self.is_whole = self._depth == 0

    def __str__(self) -> str:
        return "".join(self.pieces)


class _Slot:
    def __init__(self) -> None:
        self.id, self.name, self.arguments = "", "", _Arguments()
        self.rest: dict[str, Any] = {}
        self.inner: dict[str, Any] = {}

    def as_json(self) -> dict[str, Any]:
        function = {**self.inner, "name": self.name, "arguments": str(self.arguments)}
        return {**self.rest, "id": self.id, "function": function}


class CallPieces:
    """The calls of one streamed reply."""

    def __init__(self) -> None:
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
        return [slot.as_json() for slot in self._slots]

    def _take(self, part: Mapping[str, Any], place: int | None) -> None:
        function = part.get("function")
        if not isinstance(function, Mapping):
            function = part if "name" in part or "arguments" in part else {}
        id_ = part.get("id")
        id_ = str(id_) if isinstance(id_, str | int) and not isinstance(id_, bool) else ""
        name = function.get("name")
        name = name if isinstance(name, str) else ""
        slot = self._slot(_index(part.get("index"), place), id_, name, function.get("arguments"))
        if slot is None:
            return
        slot.id = slot.id or id_
        self._name(slot, name)
        self._argue(slot, function.get("arguments"))
        if function is not part:
            slot.inner |= {k: v for k, v in function.items() if k not in ("name", "arguments")}
        known = {"index", "id", "function", "name", "arguments"}
        slot.rest |= {k: v for k, v in part.items() if k not in known and v is not None}

    def _slot(self, index: int | None, id_: str, name: str, arguments: Any) -> _Slot | None:
        """The call that a piece belongs to; None where it belongs to none."""
        if index is None:
            known = next((s for s in self._slots if id_ and s.id == id_), None)
            slot = known or (self._slots[-1] if self._slots else None)
        else:
            slot = self._at.get(index)
        if slot is None or self._is_new(slot, id_, name, arguments):
            if not (name or id_ or self._has(arguments)) or len(self._slots) > MOST_CALLS:
                return None
            slot = _Slot()
            self._slots.append(slot)
            if index is not None:
                self._at[index] = slot
        return slot

    @staticmethod
    def _has(arguments: Any) -> bool:
        return arguments is not None and arguments != ""

    def _is_new(self, slot: _Slot, id_: str, name: str, arguments: Any) -> bool:
        """Whether a piece that comes at the place of a call begins another one."""
        if not name or (id_ and id_ == slot.id):
            return False  # some servers draw a new id for each piece
        begun = bool(slot.arguments.pieces)
        if id_ and slot.id:
            return name != slot.name or slot.arguments.is_whole or not begun
        if name != slot.name:
            return begun or not name.startswith(slot.name)
        told = self._has(arguments)
        return slot.arguments.is_whole and told and str(slot.arguments) != as_text(arguments)

    def _name(self, slot: _Slot, name: str) -> None:
        if not name or name == slot.name:
            return  # repeated with each piece
        self.n_characters += len(name)
        slot.name = name  # or told anew, and longer

    def _argue(self, slot: _Slot, arguments: Any) -> None:
        if not self._has(arguments):
            return
        piece = arguments if isinstance(arguments, str) else as_text(arguments)
        if slot.arguments.is_whole and piece == str(slot.arguments):
            return  # told once more at the end
        slot.arguments.add(piece)
        self.n_characters += len(piece)


def _index(value: Any, place: int | None) -> int | None:
    if isinstance(value, str) and re.fullmatch(r"\d{1,4}", value, re.ASCII):
        value = int(value)
    is_index = isinstance(value, int) and not isinstance(value, bool) and value >= 0
    return value if is_index else place
