"""What a reply says beyond its answer goes through a database unchanged."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rlfocal.records import Dataset, DatasetInfo
from rlfocal.records.database import (
    StoredResponse,
    export_dataset,
    import_dataset,
    open_database,
    query_key_of,
)
from rlfocal.tokens import TokenLogprobs

SHOWN = ("finish", "n_prompt_tokens", "n_completion_tokens", "token_chars", "token_logprobs",
         "signal_doubt", "signal_z")  # fmt: skip
_LOGPROB = st.floats(-50, 0, width=32) | st.none()
_TOKENS = st.lists(st.tuples(st.integers(0, 2**31 - 1), _LOGPROB), max_size=4) | st.none()
_COUNT = st.integers(0, 2**40) | st.none()
_SIGNAL = st.floats(allow_nan=False, allow_infinity=False) | st.none()
_REPLY = st.fixed_dictionaries({
    "finish": st.sampled_from(["stop", "length", "tool_calls", None]),
    "n_prompt_tokens": _COUNT, "n_completion_tokens": _COUNT, "tokens": _TOKENS,
    "signal_doubt": _SIGNAL, "signal_z": _SIGNAL,
})  # fmt: skip


def dataset(replies: list[dict[str, Any]]) -> Dataset:
    queries = pa.table({"query_id": ["q"], "prompt": ["1 + 1?"], "label": ["2"]})
    rows = []
    for n, reply in enumerate(replies):
        tokens = reply.pop("tokens")
        row = {"query_id": "q", "member": f"m{n}", "answer": "2", "text": "so 2"} | reply
        for place, name in enumerate(("token_chars", "token_logprobs")):
            row[name] = None if tokens is None else [pair[place] for pair in tokens]
        rows.append(row)
    kinds = {"token_chars": pa.list_(pa.int32()), "token_logprobs": pa.list_(pa.float32())}
    kinds |= {"finish": pa.string(), "signal_doubt": pa.float64(), "signal_z": pa.float64()}
    kinds |= dict.fromkeys(("n_prompt_tokens", "n_completion_tokens"), pa.int64())
    kinds |= dict.fromkeys(("query_id", "member", "answer", "text"), pa.string())
    table = pa.Table.from_pylist(rows, schema=pa.schema(kinds))
    return Dataset("d", queries, table, DatasetInfo(answers="number"))


def told(data: Dataset) -> list[dict[str, Any]]:
    """What each row says, of columns that may be missing where no row says anything."""
    return [{name: row.get(name) for name in SHOWN} for row in data.responses.to_pylist()]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
@given(st.lists(_REPLY, min_size=1, max_size=3))
def test_what_was_imported_comes_out_again(tmp_path: Path, replies: list[dict[str, Any]]) -> None:
    before = dataset([dict(reply) for reply in replies])
    path = tmp_path / "answers.db"
    path.unlink(missing_ok=True)
    with open_database(path) as database:
        assert import_dataset(database, before) == len(replies)
        after = export_dataset(database)
    assert told(after) == told(before)
    assert set(after.responses.column_names) <= set(before.responses.column_names) | {
        "response_chars"
    }


def stored(sample: int, answer: str, **more: Any) -> StoredResponse:
    return StoredResponse(
        query_key=query_key_of("1 + 1?"), query_id="q", member="m", settings_key="s" * 64,
        sample=sample, text=f"so {answer}", answer=answer, **more,
    )  # fmt: skip


def test_of_several_samples_the_typical_ones_are_told(database_url: str) -> None:
    def tokens(value: float) -> TokenLogprobs:
        return TokenLogprobs(np.array([3, 1], np.int32), np.array([value, -0.5], np.float32))

    replies = [
        stored(0, "3", tokens=tokens(-4.0), finish="length", n_completion_tokens=9),
        stored(1, "2", tokens=tokens(-0.25), finish="stop", n_completion_tokens=2, latency_s=1.0,
               signals={"doubt": 0.5, "odd": math.nan, "all": math.inf}),
        stored(2, "2", tokens=tokens(-2.0), finish="stop", latency_s=3.0),
    ]  # fmt: skip
    with open_database(database_url) as database:
        database.add_queries([{"query_id": "q", "prompt": "1 + 1?", "label": "2"}])
        database.add_responses(replies)
        (row,) = export_dataset(database).responses.to_pylist()
    assert row["token_chars"] == [3, 1]
    assert row["token_logprobs"] == [-0.25, -0.5]
    assert (row["finish"], row["n_completion_tokens"], row["latency_s"]) == ("stop", 2, 2.0)
    assert row["signal_doubt"] == 0.5
    assert "signal_odd" not in row  # no number is no signal
    assert "signal_all" not in row


def test_texts_and_numbers_of_samples_are_told_by_key_and_member(database_url: str) -> None:
    said = [
        StoredResponse(
            query_key=query_key_of("1 + 1?"), query_id="q", member=member, settings_key="0" * 64,
            sample=sample, text=text, answer=answer,
        )
        for member, sample, text, answer in (
            ("m", 0, "so 2", "2"), ("m", 3, "ü", None), ("other", 0, None, "5")
        )
    ]  # fmt: skip
    with open_database(database_url) as database:
        assert database.n_samples("m", "0" * 64) == 0
        database.add_responses(said)
        assert database.texts([*(reply.key for reply in said), "f" * 64]) == {
            said[0].key: ("so 2", "2"), said[1].key: ("ü", None), said[2].key: (None, "5"),
        }  # fmt: skip
        assert database.texts([]) == {}
        assert [database.n_samples(name, "0" * 64) for name in ("m", "other", "x")] == [4, 1, 0]
        assert database.n_samples("m", "1" * 64) == 0
