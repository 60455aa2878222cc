"""Data sets of any size: out of a database into parts, and read again as a whole or as a sample."""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rlfocal.cli.main import main
from rlfocal.errors import ConfigError, RecordError
from rlfocal.records import Dataset, PoolModel, build_table, simulate
from rlfocal.records.database import (
    Database,
    StoredError,
    StoredResponse,
    export_dataset,
    import_dataset,
    key_of,
    open_database,
    portions,
    query_key_of,
    store,
    streaming,
)
from rlfocal.records.database.export import Exported
from rlfocal.records.database.streaming import export_parts, n_replies
from rlfocal.records.files import parts, sampling
from rlfocal.records.folders import read_dataset, write_dataset
from rlfocal.tokens import TokenLogprobs


def fill(database: Database, rng: np.random.Generator) -> None:
    """All that may stand there: repeated, relabelled, renamed, imported, failed, readers."""
    model = PoolModel([[0.7, 0.6], [0.4, 0.8]], n_options=3, cost_usd=[0.1, 0.2])
    import_dataset(database, simulate(model, 12, rng=rng, name="pool"))
    rows = [
        {"query_id": f"q{k % 25}", "prompt": f"prompt {k % 28}", "label": str(k % 3)}
        for k in range(40)
    ]
    database.add_queries(rows)
    database.add_queries([{**rows[3], "label": "0"}, {**rows[5], "label": "2"}, rows[3]])
    settings = {m: database.add_member(m, {"model": m}) for m in ("a", "b")}
    settings["judge"] = database.add_member("judge", {"reads": ["a", "b"], "reading": "judge"})
    for row in rows[:33]:
        key = query_key_of(row["prompt"])
        for member, settings_key in settings.items():
            if rng.random() < 0.2:
                failed = key_of(key, member, settings_key)
                database.add_errors([StoredError(key=failed, member=member, failure="timeout")])
                continue
            reading: dict[str, Any] = {}
            if member == "judge":
                reading = {"shown": ["a", "b"], "shown_key": "not of these replies", "verdict": 0}
            database.add_responses(
                [
                    StoredResponse(
                        query_key=key, query_id=row["query_id"], member=member,
                        settings_key=settings_key, sample=sample, text=f"so {sample} ü",
                        answer=str(rng.integers(3)), score=float(rng.integers(2)),
                        cost_usd=0.1, signals={"mine": 0.5} if sample else None,
                        tokens=TokenLogprobs(np.array([2, 1]), np.array([-0.1, -2.0])),
                        **reading,
                    )
                    for sample in range(int(rng.integers(1, 3)))
                ]
            )  # fmt: skip


def small(monkeypatch: pytest.MonkeyPatch, replies: int, rows: int = 7) -> None:
    monkeypatch.setattr(portions, "_REPLIES", replies)
    monkeypatch.setattr(store, "_CHUNK", 3)
    monkeypatch.setattr(parts, "ROWS_A_PART", rows)


def test_portions_of_any_size_come_to_the_same(
    database: Database, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(database, rng)
    at_once = export_dataset(database)
    for replies in (1, 20):
        small(monkeypatch, replies)
        again = export_dataset(database)
        assert again.queries.equals(at_once.queries)
        assert again.responses.equals(at_once.responses)
        assert again.info == at_once.info
    assert at_once.queries.num_rows == 12 + 40  # each id with each of its prompts
    ids = at_once.queries["query_id"].to_pylist()
    assert sum("~" in name for name in ids) == 40 - 25


def test_what_is_read_from_parts_is_what_was_exported(
    database: Database, tmp_path: Path, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(database, rng)
    at_once = export_dataset(database, name="all")
    small(monkeypatch, 20)
    exported = Exported.of(database)
    assert n_replies(exported) >= at_once.responses.num_rows
    written = export_parts(exported, tmp_path / "out", name="all")
    there = sorted(path.name for path in (tmp_path / "out" / "responses").iterdir())
    assert there[:2] == ["part-00000.parquet", "part-00001.parquet"]
    assert len({str(pq.read_schema(p)) for p in (tmp_path / "out" / "responses").iterdir()}) == 1
    back = read_dataset(tmp_path / "out")
    assert back.digest() == at_once.digest()
    assert back.members == at_once.members == tuple(sorted(written.members))
    assert (written.n_queries, written.n_responses) == (
        back.queries.num_rows,
        back.responses.num_rows,
    )
    same = back.responses.select(at_once.responses.column_names)
    assert same.equals(at_once.responses)
    more = back.responses.drop_columns(at_once.responses.column_names)
    assert all(column.null_count == len(column) for column in more.columns)
    assert (back.name, back.info.readers) == ("all", at_once.info.readers)
    some = export_parts(Exported.of(database, ["b", "a"]), tmp_path / "some", name="two")
    assert some.members == ("b", "a")
    two = export_dataset(database, members=["b", "a"])
    assert read_dataset(tmp_path / "some", with_text=False).members == two.members


def test_columns_that_come_while_it_runs_are_written_too(
    database: Database, tmp_path: Path, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = PoolModel([[0.7, 0.5], [0.4, 0.5]], n_options=3)
    import_dataset(database, simulate(model, 12, rng=rng, name="pool"))
    columns = streaming._columns

    def and_then_more(exported: Exported) -> set[str]:
        found = columns(exported)
        member, settings_key = next(iter(exported.chosen.items()))
        for k in range(10):
            prompt = f"prompt {k}"
            database.add_queries([{"query_id": f"q{k}", "prompt": prompt, "label": "1"}])
            reply = StoredResponse(
                query_key=query_key_of(prompt), query_id=f"q{k}", member=member,
                settings_key=settings_key, text="so 1", answer="1",
                signals={"mine": 0.5} if k > 5 else None, latency_s=1.5 if k > 2 else None,
            )  # fmt: skip
            database.add_responses([reply])
        return found

    monkeypatch.setattr(streaming, "_columns", and_then_more)
    small(monkeypatch, 2)
    export_parts(Exported.of(database), tmp_path / "out", name="all")
    back, wanted = read_dataset(tmp_path / "out"), export_dataset(database, name="all")
    same = back.responses.select(wanted.responses.column_names)
    assert same.equals(wanted.responses)
    assert {"signal_mine", "latency_s", "text"} <= set(same.column_names)
    there = [pq.read_schema(path) for path in (tmp_path / "out" / "responses").iterdir()]
    assert len(there) > 4
    assert all(schema.equals(there[0]) for schema in there), "other tools go by one of them"
    monkeypatch.setenv("RLFOCAL_MEMORY_GB", "1e-9")
    monkeypatch.setattr(sampling, "_LEAST", 20)
    some = read_dataset(tmp_path / "out")
    assert some.queries.num_rows == 20
    assert {"signal_mine", "latency_s", "text"} <= set(some.responses.column_names)


def test_nothing_is_left_where_nothing_can_be_measured(tmp_path: Path) -> None:
    with open_database(tmp_path / "a.db") as database:
        database.add_queries([{"query_id": "q", "prompt": "p"}])
        key = database.add_member("a", {})
        reply = StoredResponse(
            query_key=query_key_of("p"), query_id="q", member="a", settings_key=key, text="1"
        )
        database.add_responses([reply])
        with pytest.raises(RecordError, match="nothing can be measured"):
            export_parts(Exported.of(database), tmp_path / "out", name="x")
    assert not (tmp_path / "out").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["a.db"]


def pool(rng: np.random.Generator, n: int = 400) -> Dataset:
    model = PoolModel([[0.7, 0.6, 0.5], [0.4, 0.8, 0.5]], n_options=3, cost_usd=[0.1, 0.2, 0.3])
    return simulate(model, n, rng=rng, name="pool")


def as_parts(data: Dataset, folder: Path) -> Path:
    write_dataset(data, folder)
    with parts.PartsWriter(folder / "responses", data.responses.schema) as writer:
        for batch in data.responses.to_batches(max_chunksize=50):
            writer.write(pa.Table.from_batches([batch]))
    (folder / "responses.parquet").unlink()
    return folder


def test_a_sample_is_of_whole_queries_and_says_so(
    tmp_path: Path, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.setattr(parts, "ROWS_A_PART", 300)
    data = pool(rng)
    folder = as_parts(data, tmp_path / "data")
    assert read_dataset(folder).digest() == data.digest()
    whole = data.responses.nbytes * sampling._TIMES / 2**30
    monkeypatch.setenv("RLFOCAL_MEMORY_GB", str(whole / 1.5))
    some = read_dataset(folder)
    n = some.queries.num_rows
    assert n == 200
    (note,) = some.info.sampled
    assert note.startswith(f"a sample: {n} of 400 queries are read, drawn at random (seed 0)")
    by_query = defaultdict(list)
    for row in data.responses.to_pylist():
        by_query[row["query_id"]].append(row)
    wanted = [row for q in some.queries["query_id"].to_pylist() for row in by_query[q]]
    assert some.responses.to_pylist() == wanted
    assert build_table(some).notes[0] == note
    assert read_dataset(folder).digest() == some.digest()
    monkeypatch.setenv("RLFOCAL_MEMORY_GB", str(whole / 3))
    fewer = read_dataset(folder).queries["query_id"].to_pylist()
    assert len(fewer) == 100
    assert set(fewer) < set(some.queries["query_id"].to_pylist())
    monkeypatch.setenv("RLFOCAL_MEMORY_GB", str(whole / 1.5))
    with pytest.raises(SystemExit):
        main(["inspect", str(folder), "--json"])
    found = json.loads(capsys.readouterr().out)
    assert (found["n_queries"], found["notes"][0]) == (n, note)
    monkeypatch.setenv("RLFOCAL_MEMORY_GB", "100")
    assert read_dataset(folder).info.sampled == ()
    monkeypatch.setenv("RLFOCAL_MEMORY_GB", "lots")
    with pytest.raises(ConfigError, match="RLFOCAL_MEMORY_GB: expected a number"):
        read_dataset(folder)


def test_a_sample_of_one_file_too(
    tmp_path: Path, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_dataset(pool(rng), tmp_path / "data")
    monkeypatch.setenv("RLFOCAL_MEMORY_GB", "1e-9")
    assert read_dataset(tmp_path / "data").queries.num_rows == sampling._LEAST
    write_dataset(pool(rng), tmp_path / "csv", format="csv")
    assert read_dataset(tmp_path / "csv").queries.num_rows == 400  # nobody knows how large it is


@pytest.mark.parametrize("with_text", [False, True])
@pytest.mark.parametrize("as_folder", [False, True])
def test_where_replies_are_all_there_is_a_sample_is_of_them(
    tmp_path: Path, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch,
    as_folder: bool, with_text: bool,
) -> None:  # fmt: skip
    data = pool(rng)
    said = [f"So it is {answer}." for answer in data.responses["answer"].to_pylist()]
    replies = data.responses.select(["query_id", "member"]).append_column("text", pa.array(said))
    # Without the texts all would fit.
    whole = replies.nbytes * sampling._TIMES / 2**30
    monkeypatch.setenv("RLFOCAL_MEMORY_GB", str(whole / 1.3))
    for name, value in (("token_chars", 9), ("token_logprobs", -1.0)):
        replies = replies.append_column(name, pa.array([[value]] * len(said)))
    folder = as_parts(data, tmp_path / "data") if as_folder else tmp_path / "data"
    if as_folder:
        for part in (folder / "responses").iterdir():
            part.unlink()
        pq.write_table(replies, folder / "responses" / "part-00000.parquet", row_group_size=70)
    else:
        write_dataset(data, folder)
        pq.write_table(replies, folder / "responses.parquet")
    some = read_dataset(folder, with_text=with_text)
    names = set(some.queries["query_id"].to_pylist())
    assert 0 < len(names) < 400, "the texts count, too, where they are read"
    rows = data.responses.to_pylist()
    wanted = [row["answer"] for row in rows if row["query_id"] in names]
    assert some.responses["answer"].to_pylist() == wanted
    assert ("text" in some.responses.column_names) == with_text
    assert some.info.sampled


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda f: (f / "responses" / "notes.txt").write_text("x"), "notes.txt; move these"),
        (lambda f: [p.unlink() for p in (f / "responses").iterdir()], "no parts in it"),
        (lambda f: (f / "responses.csv").write_text("x"), "responses.csv and responses; keep one"),
        (
            lambda f: pq.write_table(pa.table({"member": [1]}), f / "responses" / "z.parquet"),
            "of one name and different types",
        ),
    ],
)  # fmt: skip
def test_parts_that_are_none(
    tmp_path: Path, rng: np.random.Generator, spoil: Any, said: str
) -> None:
    folder = as_parts(pool(rng, 20), tmp_path / "data")
    spoil(folder)
    with pytest.raises(RecordError, match=said):
        read_dataset(folder)


def test_parts_are_replaced_by_another_data_set(tmp_path: Path, rng: np.random.Generator) -> None:
    folder = as_parts(pool(rng, 20), tmp_path / "data")
    with pytest.raises(ConfigError, match="overwrite"):
        write_dataset(pool(rng, 20), folder)
    data = pool(rng, 10)
    write_dataset(data, folder, overwrite=True)
    assert read_dataset(folder).digest() == data.digest()
