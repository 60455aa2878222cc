"""From a database to a data folder that need not fit into memory: a few queries at a time.

Equal to what `export_dataset` gives, once it is read; what cannot be measured is found then, too.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import sqlalchemy as sa

from rlfocal.errors import RecordError
from rlfocal.records.database.export import Exported, responses_table_of
from rlfocal.records.database.schema import responses
from rlfocal.records.files.parts import PartsWriter
from rlfocal.records.folders import fresh_folder, write_info
from rlfocal.records.schema import (
    JUDGING,
    QUERIES,
    RESPONSES,
    SIGNAL,
    Column,
    table_of,
    with_signals,
)

__all__ = ["Written", "export_parts", "n_replies"]

_BATCH = 5000
_STORED = {
    "text": ("text", "response_chars"),
    "choice_scores": ("choice_scores",),
    "samples": ("samples",),
    "cost_usd": ("cost_usd",),
    "latency_s": ("latency_s",),
    "response_chars": ("response_chars",),
    "finish": ("finish",),
    "n_prompt_tokens": ("n_prompt_tokens",),
    "n_completion_tokens": ("n_completion_tokens",),
    "tokens": ("token_chars", "token_logprobs"),
    "shown": ("shown",),
    "readings": ("shown", "verdicts"),
}
"""Column of the database → those of a data set that it may fill."""


class Written(NamedTuple):
    """What a folder holds."""

    n_queries: int
    n_responses: int
    members: tuple[str, ...]


def n_replies(exported: Exported) -> int:
    """About how many responses go out."""
    r = responses.c
    statement = sa.select(sa.func.count()).select_from(responses)
    statement = statement.where(r.member.in_(list(exported.chosen)))
    with exported.database.connections.read() as connection:
        return int(connection.scalar(statement) or 0)


def export_parts(
    exported: Exported, folder: Path, *, name: str, overwrite: bool = False
) -> Written:
    """Write a data folder whose responses stand in parts.

    Args:
        exported: what goes out.
        folder: which is made, all of it or nothing.
        name: of the data set.
        overwrite: replace a data set that is there.

    Raises:
        ConfigError: the folder cannot or must not be written.
        RecordError: there is nothing that can be measured.
    """
    columns = _columns(exported)
    n_queries, n_responses = 0, 0
    present: set[str] = set()
    can_be_measured = False
    with fresh_folder(folder, overwrite=overwrite) as fresh:
        queries = PartsWriter(fresh / "queries", _schema(QUERIES, set(QUERIES)))
        replies = PartsWriter(fresh / "responses", _schema(with_signals(sorted(columns)), columns))
        with queries, replies:
            for portion in exported.portions():
                asked = table_of(portion.queries, QUERIES)
                queries.write(asked)
                given = responses_table_of(portion.responses)
                replies.write(given)
                n_queries, n_responses = n_queries + asked.num_rows, n_responses + given.num_rows
                present.update(row["member"] for row in portion.responses)
                can_be_measured |= asked["label"].null_count < asked.num_rows
                can_be_measured |= given["score"].null_count < given.num_rows
        if not (n_responses and can_be_measured):
            raise RecordError(
                f"{exported.database.connections.place.name}: no query has a label and no response "
                "a score, so nothing can be measured; add labels to queries"
            )
        info = exported.info(present)
        write_info(fresh, info, name)
    return Written(n_queries, n_responses, tuple(m for m in exported.chosen if m in present))


def _schema(known: Mapping[str, Column], names: set[str]) -> pa.Schema:
    return pa.schema([(name, column.type) for name, column in known.items() if name in names])


def _columns(exported: Exported) -> set[str]:
    """Of responses: those that some of them may have."""
    r, chosen = responses.c, list(exported.chosen)
    names = {name for name, column in RESPONSES.items() if column.required or column.filled}
    counts = [sa.func.count(r[name]).label(name) for name in _STORED]
    statement = sa.select(sa.func.max(r.sample).label("sample"), *counts)
    judging = any(info.reading in JUDGING for info in exported.readers.values())
    with exported.database.connections.read() as connection:
        row = connection.execute(statement.where(r.member.in_(chosen))).mappings().one()
        for stored, into in _STORED.items():
            names |= set(into) if row[stored] else set()
        if row["sample"]:
            names.add("samples")
        if row["shown"] and judging:
            names.add("verdicts")
        own = sa.select(r.signals).where(r.signals.is_not(None), r.member.in_(chosen))
        for found in connection.execution_options(yield_per=_BATCH).scalars(own):
            names |= {SIGNAL + signal for signal in found}
    return names
