"""From the two tables of a data set to one dense `ResponseTable`.

Vectorised over responses: 335,000 of them take a fraction of a second. Knows the candidate rule
(docs/data-format.md): options for multiple choice, distinct answers for free-form queries, one
candidate per response where only scores are known.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from rlfocal.errors import RecordError
from rlfocal.records.dataset import Dataset
from rlfocal.records.table import CandidateKind, FloatArray, IntArray, ResponseTable

__all__ = ["Encode", "build_table"]

Encode = Callable[[Sequence[str]], FloatArray]
"""Query texts → float32[Q, D]."""

_LETTERS = np.array([chr(ord("A") + i) for i in range(26)])


@dataclass(frozen=True)
class _Responses:
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
class _Listed:
    """A list column, flattened: `value[i]` belongs to response `parent[i]` at place `place[i]`."""

    parent: IntArray
    place: IntArray
    value: pa.Array


def build_table(
    dataset: Dataset, *, members: Sequence[str] | None = None, encode: Encode | None = None
) -> ResponseTable:
    """Build the dense table of a data set.

    Args:
        dataset: queries and responses, already checked on their own.
        members: the pool, in order; None for all members.
        encode: turns query texts into features; None for no features (D = 0).

    Raises:
        RecordError: a member without any response, or no query that can be scored.
    """
    names = tuple(members if members is not None else dataset.members)
    queries = dataset.queries
    responses = _select(dataset, names)
    n_queries, shape = queries.num_rows, (queries.num_rows, len(names))
    notes: list[str] = []
    present = np.zeros(shape, dtype=bool)
    present[responses.query, responses.member] = True
    for name, count in zip(names, present.sum(axis=0), strict=True):
        if count == 0:
            raise RecordError(
                f"{dataset.name}: member {name!r} has no response at all; leave it out"
            )
    if not present.all():
        notes.append(f"{int((~present).sum())} responses are missing and count as no usable answer")

    n_options = pc.list_value_length(queries["choices"]).fill_null(0).to_numpy()
    kind = _kinds(responses, n_options)
    answers = _Answers(responses, kind, n_options, n_members=len(names))
    n_slots = answers.n_slots
    exists = np.arange(n_slots) < answers.n_candidates[:, None]
    answer = answers.scatter(shape)
    samples = answers.samples(shape)
    option_scores = _option_scores(responses, kind, (*shape, n_slots))
    if option_scores is not None:
        guess = np.nan_to_num(option_scores, nan=-np.inf).argmax(axis=2)
        known = np.isfinite(option_scores).any(axis=2)
        answer = np.where((answer < 0) & known, guess, answer).astype(np.int16)
    support = _support(answer, samples, n_slots)
    cost, cost_unit = _costs(responses, shape, notes)
    latency = responses.floats("latency_s")
    task_names, task = np.unique(_texts(queries["task"]), return_inverse=True)
    features = np.zeros((n_queries, 0), dtype=np.float32)
    if encode is not None:
        features = encode(queries["prompt"].to_pylist())
    return ResponseTable(
        name=dataset.name,
        members=names,
        tasks=tuple(task_names.tolist()),
        query_ids=_texts(queries["query_id"]),
        task=task.astype(np.int64),
        group=_groups(queries),
        split=_texts(queries["split"].fill_null("")),
        features=features,
        candidates=answers.texts(names),
        kind=kind,
        exists=exists,
        candidate_score=_candidate_scores(queries, responses, answers, answer, kind),
        answer=answer,
        support=support,
        cost=cost,
        cost_unit=cost_unit,
        option_scores=option_scores,
        samples=samples,
        latency_s=None if latency is None else responses.scatter(latency, shape).astype(np.float32),
        answers=dataset.info.answers or "",
        synthetic=dataset.info.synthetic,
        notes=tuple(notes),
    )


def _texts(column: pa.ChunkedArray) -> NDArray[np.str_]:
    return np.asarray(column.to_pylist(), dtype=np.str_)


def _select(dataset: Dataset, members: tuple[str, ...]) -> _Responses:
    member = pc.index_in(dataset.responses["member"], value_set=pa.array(members, pa.string()))
    rows = dataset.responses.filter(member.is_valid())
    query = pc.index_in(
        rows["query_id"], value_set=dataset.queries["query_id"].combine_chunks()
    ).to_numpy()
    return _Responses(
        query=query.astype(np.int64),
        member=member.drop_null().to_numpy().astype(np.int64),
        rows=rows,
    )


def _kinds(responses: _Responses, n_options: IntArray) -> NDArray[np.int8]:
    """int8[Q]: which candidate rule each query follows."""
    if (n_options > len(_LETTERS)).any():
        row = int(np.argmax(n_options))
        raise RecordError(
            f"query number {row + 1} has {n_options[row]} choices; option letters end at "
            f"{_LETTERS[-1]} ({len(_LETTERS)} choices), so turn such queries into free-form ones"
        )
    names = responses.rows.column_names
    informative = np.zeros(len(responses.query), dtype=bool)
    for column in ("answer", "choice_scores"):
        if column in names:
            informative |= responses.rows[column].is_valid().to_numpy()
    has_answers = np.zeros(len(n_options), dtype=bool)
    has_answers[responses.query[informative]] = True
    kind = np.full(len(n_options), CandidateKind.RESPONSES, dtype=np.int8)
    kind[has_answers] = CandidateKind.ANSWERS
    kind[has_answers & (n_options > 0)] = CandidateKind.OPTIONS
    return kind


def _flatten(rows: pa.Table, column: str) -> _Listed | None:
    if column not in rows.column_names:
        return None
    lists = rows[column].combine_chunks()
    parent = pc.list_parent_indices(lists).to_numpy()
    value = pc.list_flatten(lists)
    starts = np.searchsorted(parent, parent, side="left")
    return _Listed(parent.astype(np.int64), np.arange(len(parent)) - starts, value)


class _Answers:
    """Turns answer texts into candidate indices, for single answers and for samples alike."""

    def __init__(
        self, responses: _Responses, kind: NDArray[np.int8], n_options: IntArray, *, n_members: int
    ) -> None:
        self._responses, self._kind, self._n_options = responses, kind, n_options
        self._samples = _flatten(responses.rows, "samples")
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
        letter = np.full(len(vocabulary) + 1, 99, dtype=np.int64)
        for i, text in enumerate(vocabulary.tolist()):
            if len(text) == 1 and "A" <= text <= "Z":
                letter[i] = ord(text) - ord("A")
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
        self._keys = np.unique(key)
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
        letters = {k: tuple(_LETTERS[:k].tolist()) for k in range(27)}
        ranks = self._keys % (len(self._vocabulary) + 1)
        found = self._vocabulary[ranks] if len(ranks) else np.zeros(0, dtype=np.str_)
        ends = np.cumsum(np.where(self._kind == CandidateKind.ANSWERS, self.n_candidates, 0))
        for q, kind in enumerate(self._kind.tolist()):
            if kind == CandidateKind.OPTIONS:
                out[q] = letters[int(self.n_candidates[q])]
            elif kind == CandidateKind.RESPONSES:
                out[q] = members
            else:
                out[q] = tuple(found[ends[q] - self.n_candidates[q] : ends[q]].tolist())
        return out


def _option_scores(
    responses: _Responses, kind: NDArray[np.int8], shape: tuple[int, int, int]
) -> FloatArray | None:
    listed = _flatten(responses.rows, "choice_scores")
    if listed is None or not len(listed.place):
        return None
    out = np.full(shape, np.nan, dtype=np.float32)
    query = responses.query[listed.parent]
    ok = (kind[query] == CandidateKind.OPTIONS) & (listed.place < shape[2])
    value = listed.value.cast(pa.float32()).to_numpy(zero_copy_only=False)
    out[query[ok], responses.member[listed.parent[ok]], listed.place[ok]] = value[ok]
    return out


def _support(
    answer: NDArray[np.int16], samples: NDArray[np.int16] | None, n_slots: int
) -> FloatArray:
    """float32[Q, N, C]: frequencies over usable samples, else one-hot at the answer."""
    support = (answer[:, :, None] == np.arange(n_slots)).astype(np.float32)
    if samples is not None:
        counts = np.zeros_like(support)
        query, member, place = np.nonzero(samples >= 0)
        np.add.at(counts, (query, member, samples[query, member, place]), 1)
        # A recorded answer that no sample repeats is one more sample: it must have some support.
        alone = (answer >= 0) & (
            np.take_along_axis(counts, np.maximum(answer, 0)[:, :, None], 2)[:, :, 0] == 0
        )
        query, member = np.nonzero(alone)
        counts[query, member, answer[alone]] = 1
        total = counts.sum(axis=2, keepdims=True)
        sampled = (total > 0) & (answer >= 0)[:, :, None]
        support = np.where(sampled, counts / np.maximum(total, 1), support).astype(np.float32)
    return np.asarray(support)


def _candidate_scores(
    queries: pa.Table,
    responses: _Responses,
    answers: _Answers,
    answer: NDArray[np.int16],
    kind: NDArray[np.int8],
) -> FloatArray:
    """float32[Q, C]: 1 at the label; elsewhere the best score a response with that answer got."""
    n_queries = len(kind)
    out = np.zeros((n_queries, answers.n_slots), dtype=np.float32)
    label = queries["label"].to_pylist()
    labelled = queries["label"].is_valid().to_numpy()
    score = responses.floats("score")
    if score is not None:
        slot = answer[responses.query, responses.member]
        # A label settles a multiple-choice query; a score may also accept an equal text elsewhere.
        settled = labelled[responses.query] & (kind[responses.query] == CandidateKind.OPTIONS)
        use = (slot >= 0) & np.isfinite(score) & ~settled
        np.maximum.at(out, (responses.query[use], slot[use]), score[use].astype(np.float32))
    texts = answers.texts(())
    for q in np.flatnonzero(labelled & (kind != CandidateKind.RESPONSES)).tolist():
        if label[q] in texts[q]:
            out[q, texts[q].index(label[q])] = 1.0
    return out


def _costs(
    responses: _Responses, shape: tuple[int, int], notes: list[str]
) -> tuple[FloatArray, Literal["usd", "call"]]:
    price = responses.floats("cost_usd")
    if price is not None:
        cost = responses.scatter(price, shape)
        known = np.isfinite(cost) & (cost > 0)
        if known.any(axis=0).all():
            mean = np.where(known, cost, 0).sum(axis=0) / known.sum(axis=0)
            if not known.all():
                notes.append(
                    f"{int((~known).sum())} responses have no price; the member's mean is used"
                )
            return np.where(known, cost, mean).astype(np.float32), "usd"
        notes.append("some members have no price at all; every call counts as 1")
    return np.ones(shape, dtype=np.float32), "call"


def _groups(queries: pa.Table) -> IntArray:
    """int64[Q]: the same number for queries with the same prompt, whatever their choices."""
    prompts = queries["prompt"].combine_chunks().dictionary_encode()
    return np.asarray(prompts.indices.to_numpy(), dtype=np.int64)
