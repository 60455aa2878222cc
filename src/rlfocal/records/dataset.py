"""A data set: what was asked and what came back, checked once so that nobody checks again.

Knows nothing of files (`folders`) nor of the dense arrays that strategies need (`table`).
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from rlfocal.errors import ConfigError, RecordError, nearest
from rlfocal.markup import Displayed, Grid, Sheet, one_line
from rlfocal.records.canonical import canonical
from rlfocal.records.checks import (
    check_readers,
    check_readings,
    check_tables,
    missing_inputs,
)
from rlfocal.records.frames import arrow_table
from rlfocal.records.kinds import Kind
from rlfocal.records.schema import DatasetInfo, normalise_queries, normalise_responses

__all__ = ["Dataset"]

_N_SHOWN = 3


@dataclass(frozen=True, eq=False)
class Dataset(Displayed):
    """Queries, the members' responses to them, and their description.

    Both tables are brought to the columns and types of `schema`, labels and answers to the form of
    their kind (`canonical`), and checked when the object is built, so every `Dataset` that exists
    is sound, and equal answers are equal texts. A table may be given as a frame of pandas or
    polars, as a list of dicts or as a dict of columns, too.

    Attributes:
        name: name used in reports and messages.
        queries: one row per query; columns query_id, task, split, prompt, choices, label.
        responses: one row per (query, member); columns query_id, member, answer, score, and
            those of the others of `schema.RESPONSES` and of the signals that the source has.
        info: the description; `DatasetInfo()` where there is none.
        query_row: int64[rows of responses], the row of each response's query.
        kinds: task → kind of its open questions; found out from the labels unless `info` says it.
        notes: what was found out or read in another form than it stood, a line each.

    Raises:
        RecordError: the tables contradict themselves or each other; the message names the table,
            the rows (the first few and how many) and the remedy.

    >>> queries = pa.table({"query_id": ["q1"], "prompt": ["1 + 1 ="], "label": ["2"]})
    >>> responses = pa.table(
    ...     {"query_id": ["q1", "q1"], "member": ["b", "a"], "answer": ["2", "3"]})
    >>> Dataset("sums", queries, responses).members
    ('a', 'b')
    """

    name: str
    queries: pa.Table
    responses: pa.Table
    info: DatasetInfo = field(default_factory=DatasetInfo)
    query_row: NDArray[np.int64] = field(init=False, repr=False)
    kinds: Mapping[str, Kind] = field(init=False)
    notes: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        queries = normalise_queries(arrow_table(self.queries, "queries"))
        responses = normalise_responses(arrow_table(self.responses, "responses"))
        read = canonical(queries, responses, self.info)
        for name in ("queries", "responses", "query_row", "kinds", "notes"):
            object.__setattr__(self, name, getattr(read, name))
        try:
            check_tables(self.queries, self.responses, self.query_row)
        except RecordError as exc:
            if not read.lost:
                raise
            raise RecordError(f"{exc} ({'; '.join(read.lost)})") from exc
        if self.info.readers:
            check_readers(self.info.readers, self.members, self.info.pools)
        check_readings(self.responses, self.info.readers)

    def __repr__(self) -> str:
        queries, members = f"{self.queries.num_rows:,} queries", f"{len(self.members)} members"
        return f"Dataset({self.name!r}: {queries}, {members})"

    def _sheet(self) -> Sheet:
        head = self.queries.slice(0, _N_SHOWN).to_pylist()
        tasks = len(pc.unique(self.queries["task"]))
        labels = self.queries.num_rows - self.queries["label"].null_count
        answered = Counter(self.responses["member"].to_pylist())
        return Sheet(
            f"{self.name}: {self.queries.num_rows:,} queries, {labels:,} with a label, "
            f"{tasks} task{'s' if tasks > 1 else ''}",
            (
                Grid(
                    "members",
                    ("member", "responses"),
                    [(name, f"{answered[name]:,}") for name in self.members],
                ),
                Grid(
                    "first queries",
                    ("query_id", "prompt", "label"),
                    [
                        (q["query_id"], one_line(q["prompt"] or "", 50), one_line(q["label"] or ""))
                        for q in head
                    ],
                ),
                "rlfocal.inspect(data) tells how good the members are.",
            ),
            self.notes,
        )

    @cached_property
    def members(self) -> tuple[str, ...]:
        """Every member with a response: in the description's order, then by name."""
        present = set(pc.unique(self.responses["member"]).to_pylist())
        order = list(self.info.member_accuracy) or self.info.pools.get("all", [])
        listed = [m for m in dict.fromkeys(order) if m in present]
        return (*listed, *sorted(present.difference(listed)))

    @property
    def pools(self) -> Mapping[str, tuple[str, ...]]:
        """Named member lists; "all" is always among them."""
        return {"all": self.members} | {n: tuple(m) for n, m in self.info.pools.items()}

    def select_members(
        self, pool: str | None = None, members: Sequence[str] | None = None
    ) -> tuple[str, ...]:
        """Turn a pool's name or a list of members into members of this data set.

        Args:
            pool: a name in `pools`; None for no named pool.
            members: member names, kept in this order; None for no list. With neither, all members.

        Returns:
            At least two distinct members.

        Raises:
            ConfigError: both are given, a name is unknown or repeated, fewer than two remain, or a
                reader is named without those whom it reads.
        """
        if pool is not None and members is not None:
            raise ConfigError("give a pool or a list of members, not both")
        if pool is not None and pool not in self.pools:
            raise ConfigError(f"{self.name}: unknown pool '{pool}'; {nearest(pool, self.pools)}")
        chosen = self.pools[pool or "all"] if members is None else tuple(members)
        origin = f"pool '{pool or 'all'}'" if members is None else "members"
        for member in chosen:
            if member not in self.members:
                raise ConfigError(
                    f"{self.name}: {origin}: no response of member '{member}'; "
                    f"{nearest(member, self.members)}"
                )
        repeated = sorted({m for m in chosen if chosen.count(m) > 1})
        if repeated:
            raise ConfigError(f"{self.name}: {origin}: named more than once: {', '.join(repeated)}")
        if len(chosen) < 2:
            raise ConfigError(
                f"{self.name}: {origin}: {len(chosen)} member(s) ({', '.join(chosen)}), but an "
                "ensemble needs at least 2; add responses of another member"
            )
        if missing := missing_inputs(self.info.readers, chosen):
            raise ConfigError(
                f"{self.name}: {origin}: '{missing[0]}' reads '{missing[1]}', which is not among "
                f"them; name '{missing[1]}', too, or leave '{missing[0]}' out"
            )
        return chosen

    def digest(self) -> str:
        """Fingerprint of the recorded content.

        It depends on neither the order of rows, the file format, the name nor the description.
        What was not read does not count: read without whole replies it is another.

        Returns:
            sha256 as 64 hexadecimal digits.
        """
        query_order = np.asarray(pc.sort_indices(self.queries["query_id"]))
        rank = np.empty(len(query_order), np.int64)
        rank[query_order] = np.arange(len(query_order))
        row = np.asarray(pc.index_in(self.responses["query_id"], self.queries["query_id"]))
        names = pa.array(sorted(self.members))
        member = np.asarray(pc.index_in(self.responses["member"], names))
        response_order = np.argsort(rank[row] * len(names) + member)

        sha = hashlib.sha256()
        for table, order in ((self.queries, query_order), (self.responses, response_order)):
            for name in table.column_names:
                if table[name].null_count < table.num_rows:
                    sha.update(f"\n{name}:{table.num_rows}\n".encode())
                    _update(sha, table[name].combine_chunks().take(pa.array(order)))
        return sha.hexdigest()


def _update(sha: hashlib._Hash, array: pa.Array) -> None:
    """Feed nulls, lengths and values to the hash, in a form that Arrow's layout cannot change."""
    sha.update(np.packbits(np.asarray(array.is_null().to_numpy(zero_copy_only=False))).tobytes())
    if pa.types.is_list(array.type):
        sha.update(_int64_bytes(pc.list_value_length(array)))
        _update(sha, array.flatten())
    elif pa.types.is_string(array.type):
        sha.update(_int64_bytes(pc.binary_length(array)))
        filled = pa.concat_arrays([pc.fill_null(array, "")])
        _, offsets, data = filled.buffers()
        if data is not None:
            ends: NDArray[np.int32] = np.frombuffer(offsets, np.int32)[filled.offset :]
            sha.update(memoryview(data)[ends[0] : ends[len(filled)]])
    else:
        sha.update(pc.fill_null(array, 0).to_numpy(zero_copy_only=False).tobytes())


def _int64_bytes(array: pa.Array) -> bytes:
    return bytes(pc.fill_null(array, 0).to_numpy(zero_copy_only=False).astype("<i8").tobytes())
