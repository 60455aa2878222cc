"""The replies of a data set as signals read them, with their questions; read when first asked for.

Axes: Q queries, N members.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count, repeat
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from rlfocal.readers import Reads
from rlfocal.records.calls import TOOL_CALLS
from rlfocal.records.kinds import Kind
from rlfocal.records.schema import SIGNAL, is_signal
from rlfocal.records.signals import Replies, ReplyStore, SeenReply, TokenLogprobs
from rlfocal.records.tables.candidates import Responses

__all__ = ["replies_of"]

_TELLING = frozenset({"text", "response_chars", "finish", "n_completion_tokens", "token_logprobs"})
"""Columns that say something of a reply beyond its answer; latency alone is no reason to read."""
_READ = _TELLING | {"answer", "latency_s", "token_chars"}
_TOKENS = ("token_chars", "token_logprobs")
_PLAIN = ("text", "answer", "finish", "response_chars", "n_completion_tokens", "latency_s")
"""Columns that are handed on as they are."""


def replies_of(
    queries: pa.Table,
    responses: Responses,
    recorded: NDArray[np.bool_],
    kinds: Mapping[str, Kind],
    reads: Reads | None = None,
) -> Replies | None:
    """The replies to these queries; None where nothing is known of them but answers.

    Args:
        queries: Q of them.
        responses: of the N members.
        recorded: bool[Q, N].
        kinds: task → kind of its open questions.
        reads: who of the members reads whom.
    """
    columns = responses.rows.column_names
    given = tuple(name.removeprefix(SIGNAL) for name in columns if is_signal(name))
    if not (given or _TELLING & set(columns)):
        return None
    place = np.full(recorded.shape, -1, dtype=np.int64)
    place[responses.query, responses.member] = np.arange(len(responses.query))
    # What is right is left behind: replies go wherever strategies go.
    read = ("prompt", "task", "choices", "tools")
    asked = queries.select([name for name in read if name in queries.column_names])
    rows = responses.rows.select([c for c in columns if c in _READ or is_signal(c)])
    heard = None if reads is None else _Heard.of(responses, recorded, reads)
    seen = _Recorded(asked, rows, responses.query, kinds, given, heard)
    return Replies(ReplyStore(seen, given), np.where(recorded, place, -1))


@dataclass(frozen=True)
class _Heard:
    """What readers were shown of others' answers."""

    member: NDArray[np.int64]
    """int64[R], the member of each row."""
    answers: NDArray[np.object_]
    """object[Q, N]: a text; None where there is no usable answer."""
    replied: NDArray[np.bool_]
    """bool[Q, N]."""
    reads: Reads

    @classmethod
    def of(cls, responses: Responses, recorded: NDArray[np.bool_], reads: Reads) -> Self:
        answers = np.full(recorded.shape, None, dtype=np.object_)
        if "answer" in responses.rows.column_names:
            answers[responses.query, responses.member] = responses.rows["answer"].to_pylist()
        return cls(responses.member, answers, recorded, reads)

    def told(self, seen: SeenReply, row: int, query: int) -> SeenReply:
        """The reply of a row, with what it was shown where it is a reader's."""
        n = int(self.member[row])
        if not self.reads.direct[n].any():
            return seen
        first = int(self.reads.first[n])
        inputs = np.flatnonzero(self.reads.direct[n] & self.replied[query])
        read = tuple([self.answers[query, m] for m in inputs if m != first])
        return replace(seen, read=read, own=None if first < 0 else self.answers[query, first])


@dataclass(frozen=True)
class _Recorded:
    """Rows of responses, one after another, each time that they are gone through."""

    queries: pa.Table
    rows: pa.Table
    query: NDArray[np.int64]
    """int64[R], the query of each row."""
    kinds: Mapping[str, Kind]
    given: Sequence[str]
    heard: _Heard | None

    def __iter__(self) -> Iterator[SeenReply]:
        prompts, tasks = self.queries["prompt"].to_pylist(), self.queries["task"].to_pylist()
        choices = [tuple(each or ()) for each in self.queries["choices"].to_pylist()]
        there = "tools" in self.queries.column_names
        tools = self.queries["tools"].to_pylist() if there else [None] * len(prompts)
        queries, tokens = iter(self.query.tolist()), self._tokens()
        row = count()
        for batch in self.rows.to_batches(max_chunksize=4096):
            for told, query in zip(self._told(batch), queries, strict=False):
                kind = "choice" if choices[query] else self._kind(tasks[query])
                kind = TOOL_CALLS if tools[query] and not choices[query] else kind
                text, answer, finish, n_chars, n_tokens, latency_s, given = told
                seen = SeenReply(
                    text=text,
                    prompt=prompts[query],
                    choices=choices[query],
                    answer=answer,
                    kind=kind,
                    finish=finish,
                    n_chars=n_chars if text is None else len(text),
                    n_completion_tokens=n_tokens,
                    latency_s=latency_s,
                    tokens=next(tokens),
                    given=given,
                )
                yield seen if self.heard is None else self.heard.told(seen, next(row), query)

    def _told(self, batch: pa.RecordBatch) -> Iterator[tuple[Any, ...]]:
        """What the columns say of each reply, those of `_PLAIN` in turn, then the user's signals.

        Column by column: a mapping for each row takes three times as long.
        """
        there = set(batch.schema.names)
        plain = [
            batch[name].to_pylist() if name in there else repeat(None, batch.num_rows)
            for name in _PLAIN
        ]
        own = [batch[SIGNAL + name].to_pylist() for name in self.given]
        nothing: Mapping[str, float] = {}
        given = (
            {name: one for name, one in zip(self.given, each, strict=True) if one is not None}
            for each in zip(*own, strict=True)
        )
        return zip(*plain, given if own else repeat(nothing, batch.num_rows), strict=True)

    def _tokens(self) -> Iterator[TokenLogprobs | None]:
        """Those of each row, as slices of two arrays: lists of numbers take ten times as long."""
        if not set(_TOKENS) <= set(self.rows.column_names):
            yield from repeat(None, self.rows.num_rows)
            return
        for batch in self.rows.select(_TOKENS).to_batches(max_chunksize=4096):
            chars, logprob = batch["token_chars"], batch["token_logprobs"]
            lengths, values = chars.flatten().to_numpy(), logprob.flatten()
            numbers = values.to_numpy(zero_copy_only=False).astype(np.float32)
            size = pc.fill_null(pc.list_value_length(chars), 0).to_numpy()
            end = 0
            for n, known in zip(size.tolist(), chars.is_valid().to_pylist(), strict=True):
                begin, end = end, end + n
                part = slice(begin, end)
                yield TokenLogprobs(lengths[part], numbers[part]) if known else None

    def _kind(self, task: str) -> str:
        kind = self.kinds.get(task)
        return "" if kind is None else kind.name or ""
