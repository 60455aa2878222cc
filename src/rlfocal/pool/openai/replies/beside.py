"""What a reply holds beside its text, calls and thoughts, as its server wrote it.

Whoever is asked by name is given on with it: the thoughts that a server wants to see again, what a
text cites, images that were made. Nothing of it is read here; pieces of a stream are joined.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from rlfocal.pool.asking.passed_back import DETAILS

__all__ = ["OF_REPLY", "BesidePieces", "beside_of"]

_OF_MESSAGE = (*DETAILS, "annotations", "images")
OF_REPLY = ("citations", "search_results")
"""Beside the choices."""
_GROWING = ("text", "summary", "thinking")
"""What pieces of an entry add to; other fields are told once."""
_MOST = 4096  # entries of a list; what comes after them is left out


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
        self._told, self._pieces = dict[str, Any](), dict[str, list[str]]()
        self.add(told)

    def goes_on_with(self, told: Mapping[str, Any]) -> bool:
        """Whether something is more of the same."""
        if self._told.get("data") is not None or told.get("data") is not None:
            return False  # encrypted, so that nothing can be joined
        has_all = self._told.get("signature") and told.get("index") is None
        if has_all and any(map(told.get, _GROWING)):
            return False  # that comes last
        same = [self._told.get(name) in (None, told.get(name)) for name in ("type", "index")]
        mine, other = self._told.get("id"), told.get("id")
        return all(same) and (mine is None or other is None or mine == other)

    def add(self, told: Mapping[str, Any]) -> None:
        """Take more of it."""
        for name in _GROWING:
            if isinstance(text := told.get(name), str):
                self._pieces.setdefault(name, []).append(text)
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
        self._details, self._lists = dict[str, list[_Entry]](), dict[str, dict[str, Any]]()
        self._open = dict[str, _Entry]()

    def add(self, delta: Mapping[str, Any]) -> None:
        """Take a piece."""
        for name in _OF_MESSAGE:
            told = delta.get(name)
            for one in told if isinstance(told, list) else ():
                with suppress(RecursionError):  # too deep to be given on
                    self._take(name, one)

    def replace(self, message: Mapping[str, Any]) -> None:
        """Take all of a reply so far, sent in place of a new piece."""
        for name in filter(message.get, _OF_MESSAGE):
            self._lists.pop(name, None)
            self._details.pop(name, None)
        self._open.clear()
        self.add(message)

    def _take(self, name: str, told: Any) -> None:
        if not (name in DETAILS and isinstance(told, Mapping)):
            if len(known := self._lists.setdefault(name, {})) < _MOST:
                known.setdefault(json.dumps(told, sort_keys=True), told)
            return
        entries, index = self._details.setdefault(name, []), told.get("index")
        # Where entries have numbers, pieces of several may come by turns.
        keys = [repr((name, told.get("type"), index, own)) for own in (told.get("id"), None)]
        by_turns = [] if index is None else [self._open.get(key) for key in keys]
        for entry in (*entries[-1:], *by_turns):
            if entry is not None and entry.goes_on_with(told):
                entry.add(told)
                break
        else:
            if len(entries) >= _MOST:
                return
            entries.append(entry := _Entry(told))
        self._open.update(dict.fromkeys(keys, entry))

    def as_json(self) -> dict[str, list[Any]]:
        """All of it, by the message's names; without what there is not."""
        lists = {name: list(known.values()) for name, known in self._lists.items() if known}
        return lists | {k: [one.as_json() for one in of] for k, of in self._details.items() if of}
