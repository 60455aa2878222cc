"""Frames of pandas and polars, as people have them."""

from __future__ import annotations

import pyarrow as pa
import pytest

import rlfocal
from rlfocal.api.frames import from_dataframe
from rlfocal.errors import ConfigError, RecordError

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
    data = from_dataframe(frame, column=["label=answer_key"])
    assert data.members == ("gpt", "llama")
    assert data.queries.num_rows == 3


def test_text_columns_of_every_arrow_kind_are_read() -> None:
    for kind in (pa.string_view(), pa.large_string(), pa.dictionary(pa.int32(), pa.string())):
        table = pa.table(WIDE)
        cast = table.set_column(0, "prompt", table["prompt"].cast(pa.string()).cast(kind))
        assert from_dataframe(cast).queries.num_rows == N


def test_what_is_no_frame_is_named_with_the_remedy() -> None:
    with pytest.raises(ConfigError, match=r"dict is no frame: give one of pandas"):
        from_dataframe({"prompt": ["a"]})  # type: ignore[arg-type]


def test_a_fault_of_the_values_names_the_frame_the_row_and_the_argument() -> None:
    frame = pandas.DataFrame(
        {"prompt": ["a", "b"], "label": ["1", "2"], "model": ["m", "m"], "score": [0.5, 90.0]}
    )
    with pytest.raises(
        RecordError, match=r"^the frame: row 2, column 'score': .*; score_scale 100"
    ):
        from_dataframe(frame)
    assert from_dataframe(frame, score_scale=100).members == ("m",)
