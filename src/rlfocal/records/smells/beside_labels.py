"""Responses beside the labels of their queries, as whole columns: what smells are found in.

Knows tables; what looks wrong in them is said in `smells` and `figures`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from rlfocal.records.dataset import Dataset
from rlfocal.records.tables.table import ResponseTable

__all__ = ["Bools", "Ints", "Rows", "cut", "fitted", "short", "worst"]

LONGEST = 300
"""Characters of a line."""
_MOST_LISTED = 3
"""Members that a line lists."""
LOOKED_AT = 10_000
"""Responses that are looked through for an example that was not shown yet."""
Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]


class Rows:
    """Responses of the table's members beside the labels of their queries."""

    def __init__(self, dataset: Dataset, table: ResponseTable) -> None:
        self.dataset, self.table = dataset, table
        self._shown: set[tuple[str, str]] = set()
        self.queries, responses = dataset.queries, dataset.responses
        found = pc.index_in(responses["member"], value_set=pa.array(table.members, pa.string()))
        self.member: Ints = np.asarray(found.fill_null(-1).to_numpy(), dtype=np.int64)
        self.query: Ints = dataset.query_row
        own = self.member >= 0
        if not own.all():
            responses = responses.filter(pa.array(own))
            self.member, self.query = self.member[own], self.query[own]
        self.responses = responses
        ids = self.queries["query_id"].combine_chunks()
        place = pc.index_in(ids, value_set=pa.array(table.query_ids.tolist(), pa.string()))
        self._place: Ints = place.fill_null(-1).to_numpy().astype(np.int64)

    @cached_property
    def label(self) -> pa.Array:
        """string[R]: label of each response's query."""
        return self.queries["label"].combine_chunks().take(pa.array(self.query))

    @cached_property
    def answer(self) -> pa.Array:
        """string[R]."""
        return self.responses["answer"].combine_chunks()

    @cached_property
    def compared(self) -> Bools:
        """bool[R]: True where there are an answer and a label."""
        both = pc.and_(self.label.is_valid(), self.answer.is_valid())
        return np.asarray(both.to_numpy(zero_copy_only=False), dtype=bool)

    @cached_property
    def equal(self) -> Bools:
        """bool[R]: True where the answer is the label."""
        same = pc.equal(self.answer, self.label).fill_null(False)
        return np.asarray(same.to_numpy(zero_copy_only=False), dtype=bool)

    def of_kind(self, *kinds: str) -> Bools:
        """bool[R]: responses to open questions of tasks of one of these kinds."""
        task = self.queries["task"].combine_chunks().dictionary_encode()
        known = self.dataset.kinds
        wanted = [t in known and known[t].name in kinds for t in task.dictionary.to_pylist()]
        is_open = self.queries["choices"].is_null().to_numpy()
        own = np.array(wanted, dtype=bool)[task.indices.to_numpy()] & is_open
        return np.asarray(own[self.query])

    def in_table(self, rows: Bools) -> tuple[Ints, Ints, Ints]:
        """Those of the rows whose query the table has; and their query and member there."""
        own = np.flatnonzero(rows & (self._place[self.query] >= 0))
        return own, self._place[self.query[own]], self.member[own]

    def member_name(self, number: int) -> str:
        """Name of a member."""
        return self.table.members[number]

    def query_id(self, row: int) -> str:
        """Id of a query, by its row among the queries."""
        return str(self.queries["query_id"][row].as_py())

    def pair(self, candidates: Ints) -> tuple[int, str]:
        """An example: the first response whose answer and label no line has shown yet.

        Args:
            candidates: int64[K], rows of the responses that have an answer and a label.

        Returns:
            Its row, and "q1: answer 'a', label 'b'"; -1 and "" where there is none.
        """
        for start in range(0, min(len(candidates), LOOKED_AT), 1000):
            places = candidates[start : start + 1000]
            texts = zip(
                self.answer.take(pa.array(places)).to_pylist(),
                self.label.take(pa.array(places)).to_pylist(),
                strict=True,
            )
            for row, pair in zip(places.tolist(), texts, strict=True):
                if pair not in self._shown:
                    self._shown.add(pair)
                    return row, (
                        f"{cut(self.query_id(self.query[row]))}: answer {short(pair[0])}, label "
                        f"{short(pair[1])}"
                    )
        return -1, ""


def fitted(said: Callable[[int, bool], str]) -> str:
    """A line that a reader takes in: with as many members, and an example if that fits.

    `said` makes it, of how many members it lists and of whether it shows an example.
    """
    lines = [said(n, shows) for shows in (True, False) for n in range(_MOST_LISTED, 0, -1)]
    return next((line for line in lines if len(line) < LONGEST), lines[-1])


def worst(listed: Sequence[str], most: int, between: str = "; ") -> str:
    """The first of them, and how many more there are.

    >>> worst(["ann 1 %", "bob 2 %"], 1)
    'ann 1 %; 1 more'
    """
    more = [f"{len(listed) - most:,} more"] if len(listed) > most else []
    return between.join([*listed[:most], *more])


def short(value: object) -> str:
    """A value as lines quote it.

    >>> short("a" * 50)
    "'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa...'"
    """
    return repr(cut(str(value)))


def cut(text: str, most: int = 40) -> str:
    """A text of that many characters at most."""
    return text if len(text) <= most else text[: most - 3] + "..."
