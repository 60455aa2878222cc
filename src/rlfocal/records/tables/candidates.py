"""From answer texts to candidate numbers, for single answers and for samples alike.

Knows the candidates of a query by the rule that it is given, and nothing of what they are worth.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from rlfocal.records.tables.table import CandidateKind, IntArray

__all__ = ["LETTERS", "Answers", "Listed", "Responses", "flatten"]

LETTERS = np.array([chr(ord("A") + i) for i in range(26)])
"""Of the options of a multiple-choice query."""


@dataclass(frozen=True)
class Responses:
    """The responses of the chosen members, one row each, with integer keys."""

    query: IntArray
    member: IntArray
    rows: pa.Table

    def floats(self, column: str) -> NDArray[np.float64] | None:
        """float64[R] with NaN for null, or None where there is no such column."""
        if column not in self.rows.column_names:
            return None
        values: NDArray[np.float64] = self.rows[column].cast(pa.float64()).to_numpy()
        return values

    def scatter(self, values: NDArray[np.float64], shape: tuple[int, int]) -> NDArray[np.float64]:
        """float64[Q, N] with NaN where a member has no response."""
        out = np.full(shape, np.nan)
        out[self.query, self.member] = values
        return out


@dataclass(frozen=True)
class Listed:
    """A list column, flattened: `value[i]` belongs to response `parent[i]` at place `place[i]`."""

    parent: IntArray
    place: IntArray
    value: pa.Array


def flatten(rows: pa.Table, column: str) -> Listed | None:
    """A list column, flattened; None where there is no such column."""
    if column not in rows.column_names:
        return None
    lists = rows[column].combine_chunks()
    parent = pc.list_parent_indices(lists).to_numpy()
    value = pc.list_flatten(lists)
    starts = np.searchsorted(parent, parent, side="left")
    return Listed(parent.astype(np.int64), np.arange(len(parent)) - starts, value)


_NO_LETTER = 99


def _letter(text: str) -> int:
    """Place of an option's letter; a place that no query has for any other text."""
    return ord(text) - ord("A") if len(text) == 1 and "A" <= text <= "Z" else _NO_LETTER


class Answers:
    """Turns answer texts into candidate indices, for single answers and for samples alike."""

    def __init__(
        self, responses: Responses, kind: NDArray[np.int8], n_options: IntArray, *, n_members: int
    ) -> None:
        self._responses, self._kind, self._n_options = responses, kind, n_options
        self._samples = flatten(responses.rows, "samples")
        texts = [self._column("answer")]
        query = [responses.query]
        if self._samples is not None:
            texts.append(self._samples.value)
            query.append(responses.query[self._samples.parent])
        joined = pa.concat_arrays([t.cast(pa.string()) for t in texts])
        self.n_candidates = np.where(kind == CandidateKind.OPTIONS, n_options, 0)
        self._index = self._code(joined, np.concatenate(query))
        own = kind == CandidateKind.RESPONSES
        self.n_candidates[own] = n_members
        self.n_slots = max(1, int(self.n_candidates.max()))

    def _column(self, name: str) -> pa.Array:
        rows = self._responses.rows
        if name in rows.column_names:
            return rows[name].combine_chunks()
        return pa.nulls(rows.num_rows, pa.string())

    def _code(self, texts: pa.Array, query: IntArray) -> NDArray[np.int16]:
        """int16[R]: candidate index of each text, -1 for null or a letter outside the options."""
        encoded = texts.dictionary_encode()
        vocabulary = np.asarray(encoded.dictionary.to_pylist(), dtype=np.str_)
        code = encoded.indices.fill_null(-1).to_numpy().astype(np.int64)
        index = np.full(len(code), -1, dtype=np.int64)
        self._vocabulary: NDArray[np.str_] = np.sort(vocabulary)
        letter = np.array([*map(_letter, vocabulary.tolist()), _NO_LETTER], dtype=np.int64)
        option = letter[code]
        on_options = self._kind[query] == CandidateKind.OPTIONS
        index = np.where(on_options & (option < self._n_options[query]), option, index)

        # Free-form: the rank of a text among the distinct texts of its query, alphabetically.
        free = (self._kind[query] == CandidateKind.ANSWERS) & (code >= 0)
        rank = (
            np.searchsorted(self._vocabulary, vocabulary)[code[free]]
            if len(vocabulary)
            else code[free]
        )
        key = query[free] * (len(vocabulary) + 1) + rank
        # By sorting: numpy's own `unique` hashes, which takes ten times as long on a million keys.
        ordered = np.sort(key)
        self._keys = ordered[np.diff(ordered, prepend=-1) != 0]
        owner = self._keys // (len(vocabulary) + 1)
        first = np.searchsorted(owner, query[free], side="left")
        index[free] = np.searchsorted(self._keys, key) - first
        self.n_candidates += np.bincount(owner, minlength=len(self._kind))
        return index.astype(np.int16)

    def scatter(self, shape: tuple[int, int]) -> NDArray[np.int16]:
        """int16[Q, N]: candidate of each member's answer."""
        responses = self._responses
        answer = np.full(shape, -1, dtype=np.int16)
        answer[responses.query, responses.member] = self._index[: len(responses.query)]
        own = self._kind[responses.query] == CandidateKind.RESPONSES
        answer[responses.query[own], responses.member[own]] = responses.member[own]
        return answer

    def slots(self, texts: pa.ChunkedArray) -> IntArray:
        """int64[Q]: candidate that a text of each query is; -1 where it is none, or null."""
        named = texts.combine_chunks().dictionary_encode()
        names = np.asarray(named.dictionary.to_pylist(), dtype=np.str_)
        code = named.indices.fill_null(-1).to_numpy().astype(np.int64)
        letter = np.array([*map(_letter, names.tolist()), _NO_LETTER], dtype=np.int64)
        option = letter[code]
        on_options = (self._kind == CandidateKind.OPTIONS) & (option < self._n_options)
        out = np.where(on_options, option, -1)
        if not len(self._keys) or not len(names):
            return out
        rank = np.minimum(np.searchsorted(self._vocabulary, names), len(self._vocabulary) - 1)
        rank = np.append(np.where(self._vocabulary[rank] == names, rank, -1), -1)[code]
        query = np.flatnonzero((self._kind == CandidateKind.ANSWERS) & (rank >= 0))
        width = len(self._vocabulary) + 1
        key = query * width + rank[query]
        at = np.minimum(np.searchsorted(self._keys, key), len(self._keys) - 1)
        given = self._keys[at] == key
        first = np.searchsorted(self._keys, query * width)
        out[query[given]] = (at - first)[given]
        return out

    def samples(self, shape: tuple[int, int]) -> NDArray[np.int16] | None:
        """int16[Q, N, S]: candidate of each sample; None where nobody was sampled twice."""
        if self._samples is None or not len(self._samples.place):
            return None
        n_samples = int(self._samples.place.max()) + 1
        if n_samples < 2:
            return None
        out = np.full((*shape, n_samples), -2, dtype=np.int16)
        parent = self._samples.parent
        query, member = self._responses.query[parent], self._responses.member[parent]
        out[query, member, self._samples.place] = self._index[len(self._responses.query) :]
        return out

    def texts(self, members: tuple[str, ...]) -> NDArray[np.object_]:
        """object[Q]: tuple of candidate texts."""
        out = np.empty(len(self._kind), dtype=object)
        n_candidates = self.n_candidates.tolist()
        letters = {k: tuple(LETTERS[:k].tolist()) for k in range(27)}
        ranks = self._keys % (len(self._vocabulary) + 1)
        found: list[str] = self._vocabulary[ranks].tolist() if len(ranks) else []
        sizes = np.where(self._kind == CandidateKind.ANSWERS, self.n_candidates, 0)
        ends = np.cumsum(sizes).tolist()
        starts = [end - size for end, size in zip(ends, sizes.tolist(), strict=True)]
        for q, kind in enumerate(self._kind.tolist()):
            if kind == CandidateKind.OPTIONS:
                out[q] = letters[n_candidates[q]]
            elif kind == CandidateKind.RESPONSES:
                out[q] = members
            else:
                out[q] = tuple(found[starts[q] : ends[q]])
        return out
