"""From bytes that come piece by piece to the text of a reply: characters, stop texts, streaming."""

from __future__ import annotations

import codecs
from collections.abc import Callable, Sequence

__all__ = ["Outgoing"]


class Outgoing:
    """The text of a reply as it grows.

    Args:
        stop: it ends before the first of these.
        on_text: called with what cannot change any more; None for nobody.

    >>> out = Outgoing(("END",))
    >>> [out.take(piece) for piece in (b"a", b" E", b"ND b")]
    [1, 2, 4]
    >>> out.text, out.is_over
    ('a ', True)
    """

    def __init__(
        self, stop: Sequence[str] = (), on_text: Callable[[str], None] | None = None
    ) -> None:
        self._stop = tuple(text for text in stop if text)
        self._on_text = on_text
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._n_told = 0
        self.text = ""
        self.is_over = False
        """Whether a stop text has come; nothing is taken after it."""

    def take(self, piece: bytes) -> int:
        """Take what comes next, and return by how many characters the text grew before any cut."""
        return self._take(self._decoder.decode(piece))

    def end(self) -> int:
        """Take nothing more: what was held back is told, half a character as a replacement."""
        n_more = 0 if self.is_over else self._take(self._decoder.decode(b"", final=True))
        self._tell(len(self.text))
        return n_more

    def _take(self, more: str) -> int:
        longest = max((len(text) for text in self._stop), default=0)
        since = max(0, len(self.text) - longest + 1)
        self.text += more
        found = [at for text in self._stop if (at := self.text.find(text, since)) >= 0]
        if found:
            self.text, self.is_over = self.text[: min(found)], True
            self._tell(len(self.text))
        else:
            self._tell(len(self.text) - self._n_doubtful())
        return len(more)

    def _n_doubtful(self) -> int:
        """Characters at the end that may be the beginning of a stop text."""
        longest = max((len(text) for text in self._stop), default=0)
        for size in range(min(longest - 1, len(self.text)), 0, -1):
            if any(text.startswith(self.text[-size:]) for text in self._stop):
                return size
        return 0

    def _tell(self, until: int) -> None:
        if self._on_text is not None and until > self._n_told:
            self._on_text(self.text[self._n_told : until])
        self._n_told = max(self._n_told, until)
