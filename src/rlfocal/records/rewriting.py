"""A column of texts while it is rewritten, and what is said of the rewriting."""

from __future__ import annotations

from collections import Counter
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from rlfocal.records.kinds import AS_THEY_ARE

__all__ = ["Tally", "TextColumn"]

_PLAIN = {
    "number": r"^(0|-?([1-9][0-9]{0,17}(\.[0-9]{0,17}[1-9])?|0\.[0-9]{0,17}[1-9]))$",
    "choice": r"^[A-Z]$",
}
"""Texts that are canonical beyond doubt: no Python runs for them."""


class TextColumn:
    """One column of texts while it is rewritten, text by distinct text."""

    def __init__(self, column: pa.Array) -> None:
        encoded = column.dictionary_encode()
        self.column, self.dictionary = column, encoded.dictionary
        self.code = np.asarray(encoded.indices.fill_null(-1).to_numpy(), dtype=np.int64)
        self._out = self.code

    @cached_property
    def texts(self) -> list[str]:
        """The distinct texts; most columns are canonical, and nobody asks for them."""
        return list(self.dictionary.to_pylist())

    @cached_property
    def _vocabulary(self) -> list[str]:
        return list(self.texts)

    def put(self, rows: NDArray[np.int64] | int, text: str | None) -> None:
        """Write a text into rows."""
        if self._out is self.code:  # most columns are canonical and are not copied
            self._out = self.code.copy()
        if text is None:
            self._out[rows] = -1
            return
        if text not in self._place:
            self._place[text] = len(self._vocabulary)
            self._vocabulary.append(text)
        self._out[rows] = self._place[text]

    def doubtful(self, own: NDArray[np.bool_], kind: str) -> NDArray[np.int64]:
        """Rows among `own` whose text may not be canonical."""
        used = np.zeros(len(self.dictionary) + 1, dtype=bool)
        used[self.code[own]] = True
        used[-1] = False  # nothing there
        pattern = _PLAIN.get(kind)
        if pattern is not None and len(self.dictionary):
            plain = pc.match_substring_regex(self.dictionary, pattern)
            used[:-1] &= ~np.asarray(plain.to_numpy(zero_copy_only=False), dtype=bool)
        return np.flatnonzero(own & used[self.code])

    @cached_property
    def _place(self) -> dict[str, int]:
        return {text: i for i, text in enumerate(self.texts)}

    def written(self) -> pa.Array:
        """The column as it is now."""
        if self._out is self.code:
            return self.column
        indices = pa.array(self._out, pa.int32(), mask=self._out < 0)
        return pa.array(self._vocabulary, pa.string()).take(indices)


class Tally:
    """How many texts were rewritten or not understood, with an example of each."""

    def __init__(self) -> None:
        self._count: Counter[tuple[str, str, bool]] = Counter()
        self._example: dict[tuple[str, str, bool], str] = {}

    def add(self, what: str, kind: str, text: str, found: str | None, count: int = 1) -> None:
        """Count a text, unless it stays as it stands."""
        if found == text:
            return
        key = (what, kind, found is not None)
        self._count[key] += count
        shown = repr(text if len(text) <= 40 else f"...{text[-37:]}")
        self._example.setdefault(key, shown if found is None else f"{shown} as {found!r}")

    def notes(self, *, lost_only: bool = False) -> list[str]:
        """A line for each kind of change."""
        said = []
        for (what, kind, is_read), count in self._count.items():
            if is_read and lost_only:
                continue
            example = self._example[what, kind, is_read]
            if is_read and kind == AS_THEY_ARE:
                said.append(f"{count:,} {what} read without the blanks around them")
            elif is_read:
                said.append(f"{count:,} {what} read in the form of their kind ({kind}): {example}")
            elif what == "labels":
                said.append(f"{count:,} labels are no {kind}, so nobody can be right: {example}")
            else:
                said.append(
                    f"{count:,} {what} hold no {kind or 'text'}, so they are none: {example}"
                )
        return said
