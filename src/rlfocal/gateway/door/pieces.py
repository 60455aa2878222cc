"""The text of a stream between who says it and who sends it on: one text, however many pieces.

Who reads slowly gets longer pieces, and what waits for him takes no more room than its characters.
"""

from __future__ import annotations

import asyncio
from io import StringIO

__all__ = ["Pieces", "Thought"]


class Thought(str):
    """A piece of what is thought before the text, or between its words."""

    __slots__ = ()


class Pieces:
    """What was told and has not been taken yet; for one reader, in one event loop.

    >>> async def told():
    ...     pieces = Pieces()
    ...     pieces.put("one ")
    ...     pieces.put("two")
    ...     pieces.end()
    ...     return [await pieces.get(), await pieces.get()]
    >>> asyncio.run(told())
    ['one two', None]
    """

    def __init__(self) -> None:
        self._text, self._thought, self._size = StringIO(), StringIO(), 0
        self._ended = False
        self._some = asyncio.Event()

    @property
    def size(self) -> int:
        """Characters that wait."""
        return self._size

    def put(self, text: str) -> None:
        """Add a piece of the text."""
        if text:
            self._size += self._text.write(text)
            self._some.set()

    def think(self, thought: str) -> None:
        """Add a piece of what is thought."""
        if thought:
            self._size += self._thought.write(thought)
            self._some.set()

    def end(self) -> None:
        """There is no more to come."""
        self._ended = True
        self._some.set()

    async def get(self) -> str | None:
        """All that waits, as soon as there is something; None once all has been taken.

        Thoughts come first, by themselves, as a `Thought`.
        """
        await self._some.wait()
        if thought := self._thought.getvalue():
            self._thought = StringIO()
            self._size -= len(thought)
            if not (self._size or self._ended):
                self._some.clear()
            return Thought(thought)
        text = self._text.getvalue()
        if not text and self._ended:
            return None
        self._text, self._size = StringIO(), 0
        if not self._ended:
            self._some.clear()
        return text
