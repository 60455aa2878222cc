"""What a reply holds beside its text, calls and thoughts, as its server wrote it.

Whoever is asked by name is given on with it: the thoughts that a server wants to see again, what a
text cites, images that were made. Nothing of it is read here; pieces of a stream are joined.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rlfocal.pool.asking.passed_back import DETAILS

__all__ = ["OF_REPLY", "BesidePieces", "beside_of"]

_OF_MESSAGE = (*DETAILS, "annotations", "images")
OF_REPLY = ("citations", "search_results")
"""Beside the choices."""
_GROWING = ("text", "summary", "thinking")
"""What pieces of an entry add to; other fields are told once."""


def beside_of(found: Mapping[str, Any], message: Mapping[str, Any]) -> dict[str, Any]:
    """What stands beside the text, by its server's names.

    Args:
        found: the reply.
        message: that counts.

    >>> beside_of({"citations": ["https://a.b"]}, {"content": "7", "images": None})
    {'citations': ['https://a.b']}
    """
    places = [(name, message) for name in _OF_MESSAGE] + [(name, found) for name in OF_REPLY]
    told = {name: place.get(name) for name, place in places}
    return {name: value for name, value in told.items() if isinstance(value, list) and value}


class _Entry:
    """One entry of a list, perhaps in pieces."""

    def __init__(self, told: Mapping[str, Any]) -> None:
        self._told, self._pieces = dict(told), dict[str, list[str]]()
        self._is_whole = told.get("data") is not None  # encrypted, so that nothing can be joined
        self._take_texts(told)

    def _take_texts(self, told: Mapping[str, Any]) -> None:
        for name in _GROWING:
            if isinstance(text := told.get(name), str):
                self._pieces.setdefault(name, []).append(text)

    def goes_on_with(self, told: Mapping[str, Any]) -> bool:
        """Whether something is more of the same."""
        if self._is_whole or told.get("data") is not None:
            return False
        index, says_more = told.get("index"), any(told.get(name) for name in _GROWING)
        if index is None and says_more and self._told.get("signature"):
            return False  # that comes last
        same = [self._told.get(name) in (None, told.get(name)) for name in ("type", "index")]
        mine, other = self._told.get("id"), told.get("id")
        return all(same) and (mine is None or other is None or mine == other)

    def add(self, told: Mapping[str, Any]) -> None:
        """Take more of it."""
        self._take_texts(told)
        for name, value in told.items():
            if self._told.get(name) is None:
                self._told[name] = value

    def as_json(self) -> dict[str, Any]:
        """All of it."""
        return {**self._told, **{name: "".join(texts) for name, texts in self._pieces.items()}}


class BesidePieces:
    """The same of a stream: a message's lists, put together of pieces.

    >>> pieces = BesidePieces()
    >>> for text in ("3 and", " 4"):
    ...     pieces.add({"reasoning_details": [{"type": "reasoning.text", "text": text}]})
    >>> pieces.as_json()
    {'reasoning_details': [{'type': 'reasoning.text', 'text': '3 and 4'}]}
    """

    def __init__(self) -> None:
        self._details, self._lists = dict[str, list[_Entry]](), dict[str, list[Any]]()

    def add(self, delta: Mapping[str, Any]) -> None:
        """Take a piece."""
        for name in _OF_MESSAGE:
            told = delta.get(name)
            for one in told if isinstance(told, list) else ():
                if name in DETAILS and isinstance(one, Mapping):
                    self._take(self._details.setdefault(name, []), one)
                elif one not in (known := self._lists.setdefault(name, [])):
                    known.append(one)

    def replace(self, message: Mapping[str, Any]) -> None:
        """Take all of a reply so far, sent in place of a new piece."""
        for name in _OF_MESSAGE:
            if message.get(name):
                self._lists.pop(name, None)
                self._details.pop(name, None)
        self.add(message)

    @staticmethod
    def _take(entries: list[_Entry], told: Mapping[str, Any]) -> None:
        # Where entries have numbers, pieces of several may come by turns.
        last = entries if told.get("index") is not None else entries[-1:]
        for entry in reversed(last):
            if entry.goes_on_with(told):
                entry.add(told)
                return
        entries.append(_Entry(told))

    def as_json(self) -> dict[str, list[Any]]:
        """All of it, by the message's names; without what there is not."""
        found = {name: list(known) for name, known in self._lists.items() if known}
        for name, entries in self._details.items():
            found[name] = [entry.as_json() for entry in entries]
        return found
