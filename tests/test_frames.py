"""Frames of pandas and polars, as people have them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

import rlfocal
from rlfocal.api.frames import from_dataframe
from rlfocal.errors import RecordError

pandas = pytest.importorskip("pandas")
polars = pytest.importorskip("polars")

N = 60
WIDE = {
    "prompt": [f"What is {i} + {i}?" for i in range(N)],
    "label": [str(2 * i) for i in range(N)],
    "gpt": [str(2 * i) for i in range(N)],
    "llama": [f"The answer is {2 * i + (i % 3 == 0)}." for i in range(N)],
    "qwen": [str(2 * i + (i % 2)) for i in range(N)],
}
MAKERS = {"pandas": pandas.DataFrame, "polars": polars.DataFrame, "arrow": pa.table}


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_a_wide_frame_is_a_data_set(make: object) -> None:
    data = from_dataframe(make(WIDE), name="sums")  # type: ignore[operator]
    assert data.members == ("gpt", "llama", "qwen")
    assert data.queries.num_rows == N
    table = rlfocal.read_table(data)
    assert table.name == "sums"
    right = (table.support * table.candidate_score[:, None]).sum(axis=2).mean(axis=0)
    assert right.tolist() == pytest.approx([1, 40 / 60, 30 / 60])


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_every_verb_takes_a_frame(make: object) -> None:
    frame = make(WIDE)  # type: ignore[operator]
    result = rlfocal.benchmark(frame, ["plurality"], folds=3)
    assert {row.strategy for row in result.rows} == {"oracle", "best-single", "plurality"}
    checkpoint = rlfocal.train(frame, "plurality")
    assert list(checkpoint.description.members) == ["gpt", "llama", "qwen"]


def test_a_long_frame_with_categories_and_lists_is_read() -> None:
    frame = pandas.DataFrame(
        {
            "question": [f"Which letter comes after {c}?" for c in "abc" for _ in range(2)],
            "choices": [["b", "c", "d"]] * 6,
            "answer_key": ["b", "b", "c", "c", "d", "d"],
            "model": pandas.Categorical(["gpt", "llama"] * 3),
            "response": ["b", "c", "c", "c", "d", "b"],
        }
    ).set_index(pandas.Index(range(10, 16)))
    data = from_dataframe(frame, column={"label": "answer_key"})
    assert data.members == ("gpt", "llama")
    assert data.queries.num_rows == 3


def test_text_columns_of_every_arrow_kind_are_read() -> None:
    for kind in (pa.string_view(), pa.large_string(), pa.dictionary(pa.int32(), pa.string())):
        table = pa.table(WIDE)
        cast = table.set_column(0, "prompt", table["prompt"].cast(pa.string()).cast(kind))
        assert from_dataframe(cast).queries.num_rows == N


NO_FRAMES = {
    "set is no frame; give one of pandas": {1},
    "NoneType is no frame; give one of pandas": None,
    "LazyFrame is no frame; collect\\(\\) it first": polars.DataFrame(WIDE).lazy(),
    "one column is no frame": polars.Series(["a"]),
    "column 'label': .*'2'.*; make its values texts": {**WIDE, "label": [0, *WIDE["label"][1:]]},
    "column label.*; make its values texts": pandas.DataFrame(
        {**WIDE, "label": [0, *WIDE["label"][1:]]}
    ),
    "Duplicate column names": pandas.DataFrame([["1", "2"]], columns=["gpt", "gpt"]),
    "columns of different lengths: prompt 60, label 1": {"prompt": WIDE["prompt"], "label": ["1"]},
    r'no column for the question; name it: column=\{"prompt": "COLUMN"\}. Columns found: a': [
        {"a": "1"}
    ],
}


@pytest.mark.parametrize("told", NO_FRAMES)
def test_what_is_no_frame_is_named_with_the_remedy(told: str) -> None:
    with pytest.raises(RecordError, match=rf"^the frame: .*{told}"):
        from_dataframe(NO_FRAMES[told])


def test_rows_and_columns_of_plain_python_are_read() -> None:
    rows = [dict(zip(WIDE, row, strict=True)) for row in zip(*WIDE.values(), strict=True)]
    rows[0].pop("llama")  # not in every row
    assert from_dataframe(rows).digest() == from_dataframe(polars.DataFrame(rows)).digest()
    assert rlfocal.read_table(WIDE).members == ("gpt", "llama", "qwen")  # type: ignore[arg-type]


LONG_QUERIES = {"query_id": ["q1", "q2"], "prompt": ["1+1", "1+2"], "label": ["2", "3"]}
LONG_RESPONSES = {
    "query_id": ["q1", "q2", "q1", "q2"],
    "member": ["a", "a", "b", "b"],
    "answer": ["2", "3", "2", None],
}
TABLES = {
    **MAKERS,
    "columns": dict,
    "rows": lambda columns: pa.table(columns).to_pylist(),
    "categories": lambda columns: pandas.DataFrame(columns).astype("category"),
    "enums": lambda columns: polars.DataFrame(columns).cast(polars.Categorical),
}


@pytest.mark.parametrize("make", TABLES.values(), ids=TABLES)
def test_a_data_set_is_made_of_any_tables(make: Any) -> None:
    plain = rlfocal.Dataset("d", pa.table(LONG_QUERIES), pa.table(LONG_RESPONSES))
    data = rlfocal.Dataset("d", make(LONG_QUERIES), make(LONG_RESPONSES))
    assert data.digest() == plain.digest()


def test_a_data_set_of_no_tables_says_which() -> None:
    with pytest.raises(RecordError, match=r"^responses: int is no frame"):
        rlfocal.Dataset("d", LONG_QUERIES, 3)
    with pytest.raises(RecordError, match=r"^queries: column 'prompt' is missing"):
        rlfocal.Dataset("d", [{"query_id": "q"}], LONG_RESPONSES)


def as_float(values: list[str]) -> list[float]:
    return [float(value) for value in values]


KINDS = {
    "whole numbers": lambda values: pandas.array([int(v) for v in values], dtype="Int64"),
    "floats": as_float,
    "text or NaN": lambda values: pandas.array([*values[:-1], np.nan], dtype=object),
    "float or NaN": lambda values: [*as_float(values)[:-1], float("nan")],
    "whole or NA": lambda values: pandas.array([*map(int, values[:-1]), None], dtype="Int64"),
    "categories": pandas.Categorical,
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_value_that_is_missing_is_missing_in_every_type(kind: str) -> None:
    last = "N" in kind
    frame = pandas.DataFrame({**WIDE, "gpt": KINDS[kind](WIDE["gpt"])})
    data = from_dataframe(frame)
    table = rlfocal.read_table(data)
    gpt = table.members.index("gpt")
    assert table.member_accuracy[gpt] == 1.0
    assert int(table.scored[:, gpt].sum()) == N - last
    unlabelled = pandas.DataFrame({**WIDE, "label": KINDS[kind](WIDE["label"])})
    assert rlfocal.read_table(unlabelled).n_queries == N - last


def test_a_fault_of_the_values_names_the_frame_the_row_and_the_argument() -> None:
    frame = pandas.DataFrame(
        {"prompt": ["a", "b"], "label": ["1", "2"], "model": ["m", "m"], "score": [0.5, 90.0]}
    )
    with pytest.raises(
        RecordError, match=r"^the frame: row 2, column 'score': .*; score_scale=100"
    ):
        from_dataframe(frame)
    assert from_dataframe(frame, score_scale=100).members == ("m",)
