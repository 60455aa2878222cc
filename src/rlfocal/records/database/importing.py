"""From a data set to a database: what was recorded elsewhere stands beside what was collected."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from rlfocal.records.database.keys import digest_of
from rlfocal.records.database.rows import StoredResponse
from rlfocal.records.database.store import Database
from rlfocal.records.dataset import Dataset
from rlfocal.records.schema import SIGNAL, is_signal
from rlfocal.tokens import TokenLogprobs

__all__ = ["import_dataset"]

_BATCH = 5000
_COPIED = (
    "text", "answer", "score", "cost_usd", "latency_s", "response_chars", "finish",
    "n_prompt_tokens", "n_completion_tokens",
)  # fmt: skip
_OF_READERS = ("shown", "verdicts")
_log = logging.getLogger(__name__)


def import_dataset(database: Database, dataset: Dataset) -> int:
    """Put a data set's queries and responses into a database; what is there stays.

    Its members get the settings `{"imported": name}`, so a data set that has changed needs another
    name. An imported response belongs to its own query alone, even where another reads alike.

    Returns:
        How many responses were new.
    """
    rows = dataset.queries.to_pylist()
    database.add_queries(rows)
    key = {m: database.add_member(m, {"imported": dataset.name}) for m in dataset.members}
    database.set_note(f"import {dataset.name}", dataset.info.model_dump_json(exclude_defaults=True))
    digest = {r["query_id"]: _digest(r) for r in rows}
    n_new = 0
    for batch in dataset.responses.to_batches(max_chunksize=_BATCH):
        n_new += database.add_responses(
            [
                StoredResponse(
                    query_key=digest[row["query_id"]],
                    query_id=row["query_id"],
                    member=row["member"],
                    settings_key=key[row["member"]],
                    choice_scores=_tuple(row.get("choice_scores")),
                    samples=_tuple(row.get("samples")),
                    tokens=_tokens(row),
                    signals=_signals(row),
                    readings=_readings(row),
                    **{name: row.get(name) for name in _COPIED},
                )
                for row in batch.to_pylist()
            ]
        )
    n_old = dataset.responses.num_rows - n_new
    if n_old:
        _log.warning("%s: %d responses were there already and stay as they are", database, n_old)
    return n_new


def _tokens(row: Mapping[str, Any]) -> TokenLogprobs | None:
    chars, logprob = row.get("token_chars"), row.get("token_logprobs")
    if chars is None or logprob is None:
        return None
    return TokenLogprobs(np.array(chars, dtype=np.int32), np.array(logprob, dtype=np.float32))


def _signals(row: Mapping[str, Any]) -> dict[str, float]:
    given = {name: value for name, value in row.items() if is_signal(name)}
    return {name.removeprefix(SIGNAL): v for name, v in given.items() if v is not None}


def _readings(row: Mapping[str, Any]) -> dict[str, Any] | None:
    found = {name: row[name] for name in _OF_READERS if row.get(name) is not None}
    return found or None


def _tuple(values: Sequence[Any] | None) -> tuple[Any, ...] | None:
    return None if values is None else tuple(values)


def _digest(query: Mapping[str, Any]) -> str:
    names = ("query_id", "prompt", "choices", "label", "task", "tools")
    known: dict[str, Any] = {name: query.get(name) for name in names}
    return digest_of(**known)
