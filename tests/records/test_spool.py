"""Queries that stay on disk: the same, row by row and word by word, as those read at once."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rlfocal.collect.plan import make_plan
from rlfocal.errors import RecordError, RlfocalError
from rlfocal.pool.building import LivePool
from rlfocal.pool.settings import read_pool
from rlfocal.records.database import query_key_of
from rlfocal.records.folders import read_queries
from rlfocal.records.spool import Rows, open_queries, queries, rows

POOL = """
[endpoints.one]
base_url = "http://127.0.0.1:9/v1"
[[members]]
name = "a"
endpoint = "one"
[[members]]
name = "b"
endpoint = "one"
temperature = 1
samples = 2
"""


@pytest.fixture(autouse=True)
def _small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queries, "_AT_ONCE", 4)
    monkeypatch.setattr(rows, "_AT_ONCE", 3)
    monkeypatch.setattr(rows, "_KEPT", 2)


def written(folder: Path, form: str, found: list[dict[str, Any]]) -> Path:
    path = folder / f"queries.{form}"
    if form == "jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in found), encoding="utf-8")
    elif form == "parquet":
        names = dict.fromkeys(name for row in found for name in row)
        pq.write_table(
            pa.table({name: [row.get(name) for row in found] for name in names}),
            path,
            row_group_size=5,
        )
    else:
        names = dict.fromkeys(name for row in found for name in row)
        lines = [",".join(names)]
        for row in found:
            cells = [row.get(name) for name in names]
            texts = ["" if c is None else c if isinstance(c, str) else json.dumps(c) for c in cells]
            lines.append(
                ",".join(f'"{t.replace(chr(34), chr(34) * 2)}"' if t else "" for t in texts)
            )
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


NUMBERS = [
    {"query_id": f"q{k}", "prompt": f"{k} + 1", "label": f"{k + 1:,}.0"} for k in range(2000)
]
MIXED: list[dict[str, Any]] = [
    {"query_id": "c0", "task": "choices", "prompt": "Which?", "choices": ["x", "y"], "label": "1"},
    {"query_id": "c1", "task": "choices", "prompt": "Who?", "choices": ["u", "v"], "label": "0"},
    {"query_id": "n0", "task": "sums", "prompt": "1 + 1", "label": "2.0"},
    {"query_id": "n1", "task": "sums", "prompt": "2 + 1", "label": None, "split": "test"},
    {"query_id": "d0", "task": "days", "prompt": "When?", "label": "03/04/2021"},
    {"query_id": "c2", "task": "choices", "prompt": "What?", "choices": ["x", "y"], "label": "y"},
    {"query_id": "d1", "task": "days", "prompt": "When then?", "label": "31/12/2020"},
    {"query_id": "n2", "task": "sums", "prompt": "1 + 1", "label": "2"},
]  # fmt: skip
NO_IDS = [{"prompt": f"{k % 5} + 1"} for k in range(13)]
TOOLS = [
    {"query_id": "t0", "prompt": "Say hello."},
    *({"query_id": f"u{k}", "prompt": "So?", "label": "4"} for k in range(6)),
    {
        "query_id": "t1", "prompt": "Call f.", "label": '[{"f": {"a": 1}}]',
        "tools": '[{"name": "f", "parameters": {"properties": {"a": {"type": "integer"}}}}]',
    },
]  # fmt: skip


@pytest.mark.parametrize("form", ["jsonl", "parquet", "csv"])
@pytest.mark.parametrize(
    "found", [NUMBERS, MIXED, NO_IDS, TOOLS], ids=["n", "mixed", "no", "tools"]
)
def test_they_are_the_same(tmp_path: Path, form: str, found: list[dict[str, Any]]) -> None:
    path = written(tmp_path, form, found)
    at_once, spooled = read_queries(path), open_queries(path)
    same = [{"tools": None} | row for row in at_once.queries.to_pylist()]
    assert list(spooled.rows) == same
    assert (spooled.kinds, spooled.notes) == (at_once.kinds, at_once.notes)
    assert spooled.n_unlabelled == at_once.queries["label"].null_count
    order = [5, 0, len(same) - 1, 3, 5, 1]
    assert [spooled.rows[k] for k in order] == [same[k] for k in order]
    assert spooled.rows[1:4] == same[1:4]
    with pytest.raises(IndexError):
        spooled.rows[len(same)]


@pytest.mark.parametrize(
    ("change", "form"),
    [
        ({"query_id": "q1"}, "jsonl"), ({"query_id": ""}, "jsonl"), ({"prompt": None}, "parquet"),
        ({"choices": ["x"], "label": "B"}, "jsonl"), ({"choices": "x"}, "jsonl"),
    ],
    ids=["twice", "no id", "no prompt", "no option", "no list"],
)  # fmt: skip
def test_what_is_wrong_far_behind_is_named_as_ever(
    tmp_path: Path, change: dict[str, Any], form: str
) -> None:
    found = [{"query_id": f"q{k}", "prompt": f"{k} + 1"} for k in range(20)]
    path = written(tmp_path, form, [*found, {**found[0], "query_id": "new", **change}])
    with pytest.raises(RecordError) as at_once:
        read_queries(path)
    with pytest.raises(RecordError) as spooled:
        open_queries(path)
    assert str(spooled.value) == str(at_once.value)


@pytest.mark.parametrize(
    "last", [{"label": "1"}, {"query_id": "x", "prompt": "p"}, {"id": "x", "prompt": "p"}],
    ids=["no prompt", "an id", "another id"],
)  # fmt: skip
@pytest.mark.parametrize("with_ids", [False, True])
@pytest.mark.parametrize("n", [3, 20])
def test_a_last_row_of_other_columns_is_named_as_ever(
    tmp_path: Path, last: dict[str, Any], with_ids: bool, n: int
) -> None:
    ids = [{"query_id": f"q{k}"} if with_ids else {} for k in range(n)]
    found = [{**own, "prompt": f"{k} + 1"} for k, own in enumerate(ids)]
    path = written(tmp_path, "jsonl", [*found, last])
    said = []
    for read in (read_queries, open_queries):
        try:
            read(path)
            said.append("")
        except RecordError as exc:
            said.append(str(exc))
    assert said[0] == said[1]
    assert bool(said[0]) == (not with_ids or "query_id" not in last)


@pytest.mark.parametrize("name", ["none.jsonl", "queries.txt"])
def test_a_file_that_cannot_be_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(RecordError, match=name):
        open_queries(tmp_path / name)
    with pytest.raises(RlfocalError, match="unknown kind"):
        open_queries(written(tmp_path, "jsonl", NO_IDS), answers="numbr")


@pytest.mark.parametrize("found", [MIXED, NO_IDS], ids=["mixed", "no"])
def test_calls_are_planned_alike_and_each_question_once(
    tmp_path: Path, found: list[dict[str, Any]]
) -> None:
    (tmp_path / "pool.toml").write_text(POOL)
    members = LivePool(read_pool(tmp_path / "pool.toml")).members
    path = written(tmp_path, "jsonl", found)
    spooled = make_plan(open_queries(path).rows, members, ["s", "t"])
    table = read_queries(path).queries
    assert list(spooled.calls()) == list(make_plan(table, members, ["s", "t"]).calls())
    seen: dict[str, int] = {}
    for row, query in enumerate(table.to_pylist()):
        seen.setdefault(query_key_of(query["prompt"], query["choices"]), row)
    by_hand = [(row, m, s) for row in seen.values() for m, n in enumerate((1, 2)) for s in range(n)]
    assert [(c.query, c.member, c.sample) for c in spooled.calls()] == by_hand
    assert spooled.n_calls == len(by_hand)


def test_no_file_is_left_and_few_rows_are_in_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    table = pa.table({"prompt": [f"{k} " + "x" * 500 for k in range(20_000)]})
    spooled = Rows(rows.Spooled([table], table.schema))
    assert list(tmp_path.iterdir()) == []
    tracemalloc.start()
    try:
        assert sum(len(row["prompt"]) for row in spooled) > 10_000_000
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()
