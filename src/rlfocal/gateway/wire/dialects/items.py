"""Items that /v1/responses gave, so that a client may refer to one by its id and not send it again.

Some clients do so unless told otherwise (Vercel's AI SDK), in the belief that OpenAI stores what it
says. Here items, as texts, stay in this process's memory for an hour, within bounds for each API
key, and nobody else's key finds them.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from typing import NamedTuple

__all__ = ["Items"]

_LONGEST_S = 3600.0
_MOST, _MOST_CHARACTERS = 512, 4 << 20
_MOST_OWNERS = 64


class _Item(NamedTuple):
    text: str
    at: float


class Items:
    """Remembers texts by their owner and their id.

    Args:
        clock: seconds.

    >>> items = Items()
    >>> items.put("me", "msg_1", "seven")
    >>> items.get("me", "msg_1"), items.get("you", "msg_1")
    ('seven', None)
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._known: OrderedDict[str, OrderedDict[str, _Item]] = OrderedDict()
        self._sizes: dict[str, int] = {}

    def put(self, owner: str, id: str, text: str) -> None:
        """Remember a text; the oldest are forgotten where there are too many."""
        self.forget_old()
        mine = self._known.setdefault(owner, OrderedDict())
        self._known.move_to_end(owner)
        mine[id] = _Item(text, self._clock())
        self._sizes[owner] = self._sizes.get(owner, 0) + len(text)
        while len(mine) > _MOST or self._sizes[owner] > _MOST_CHARACTERS:
            _, forgotten = mine.popitem(last=False)
            self._sizes[owner] -= len(forgotten.text)
        if len(self._known) > _MOST_OWNERS:
            other, _ = self._known.popitem(last=False)
            del self._sizes[other]

    def get(self, owner: str, id: str) -> str | None:
        """A text; None where it is not known, or not any more."""
        self.forget_old()
        mine = self._known.get(owner)
        found = None if mine is None else mine.get(id)
        return None if found is None else found.text

    def forget_old(self) -> None:
        """Forget what is older than an hour, whoever's it is; to be called now and then."""
        oldest = self._clock() - _LONGEST_S
        for owner, mine in list(self._known.items()):
            # They stand in the order in which they came.
            while mine and next(iter(mine.values())).at < oldest:
                _, forgotten = mine.popitem(last=False)
                self._sizes[owner] -= len(forgotten.text)
            if not mine:
                del self._known[owner], self._sizes[owner]
