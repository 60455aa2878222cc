"""A data set: what is refused, in which words, and what members, pools and digest are."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlfocal.errors import ConfigError, RecordError
from rlfocal.records import Dataset, DatasetInfo

QUERIES: dict[str, list[Any]] = {
    "query_id": ["q1", "q2", "q3"],
    "task": ["sums", "sums", "names"],
    "split": ["train", "test", None],
    "prompt": ["1+1?", "1+2?", "Who?"],
    "choices": [["1", "2"], ["1", "2", "3"], None],
    "label": ["B", "C", "ann"],
}
RESPONSES: dict[str, list[Any]] = {
    "query_id": ["q1", "q1", "q2", "q2", "q3"],
    "member": ["b", "a", "b", "a", "a"],
    "answer": ["B", "A", None, "C", "ann"],
    "score": [1.0, 0.0, 0.0, 1.0, 1.0],
    "choice_scores": [[0.1, 0.9], [2.0, -1.0], None, [0.0, 0.0, 1.0], None],
    "cost_usd": [0.5, 0.0, None, 0.25, 1.0],
}


def build(
    queries: dict[str, list[Any]] | None = None,
    responses: dict[str, list[Any]] | None = None,
    info: DatasetInfo | None = None,
) -> Dataset:
    return Dataset(
        "tiny",
        pa.table(QUERIES | (queries or {})),
        pa.table(RESPONSES | (responses or {})),
        info or DatasetInfo(),
    )


def changed(table: dict[str, list[Any]], column: str, row: int, value: Any) -> dict[str, list[Any]]:
    values = list(table[column])
    values[row] = value
    return {column: values}


def test_columns_are_normalised() -> None:
    queries = pa.table(
        {
            "query_id": pa.array(["q1"], pa.large_string()),
            "prompt": pa.array(["p"]).dictionary_encode(),
            "label": ["x"],
            "extra": [1],
        }
    )
    responses = pa.table(
        {
            "query_id": ["q1"],
            "member": pa.array(["m"]).dictionary_encode(),
            "score": pa.array([True]),
            "response_chars": pa.array([7], pa.int16()),
        }
    )
    data = Dataset("d", queries, responses)
    assert data.queries.column_names == ["query_id", "task", "split", "prompt", "choices", "label"]
    assert data.queries["task"].to_pylist() == ["all"]
    assert data.queries.schema.field("query_id").type == pa.string()
    assert data.queries.schema.field("choices").type == pa.list_(pa.string())
    assert data.responses.column_names == [
        "query_id",
        "member",
        "answer",
        "score",
        "response_chars",
    ]
    assert data.responses["score"].to_pylist() == [1.0]
    assert data.responses.schema.field("response_chars").type == pa.int64()


BAD_QUERIES = [
    (changed(QUERIES, "query_id", 2, "q1"), r"queries: query_id occurs more than once: 'q1' \(1 "),
    (changed(QUERIES, "query_id", 0, None), "queries: column 'query_id' is empty in 1 row.*row 1"),
    (changed(QUERIES, "query_id", 0, ""), "queries: column 'query_id' is empty"),
    (changed(QUERIES, "prompt", 1, None), "queries: column 'prompt' is empty in 1 row.*row 2"),
    (
        changed(QUERIES, "label", 0, "C"),
        "label is not one of the options: query_id 'q1', label 'C'",
    ),
    (changed(QUERIES, "label", 0, "7"), "label is not one of the options.*A for the first"),
    (changed(QUERIES, "label", 1, "e"), "label is not one of the options: query_id 'q2'"),
    (changed(QUERIES, "choices", 0, []), "1 to 26 options, or null.*'q1'"),
    (changed(QUERIES, "choices", 0, ["x"] * 27), "1 to 26 options"),
    (changed(QUERIES, "choices", 1, ["x", None, "y"]), "null option: query_id 'q2'"),
    ({"query_id": [1, 2, 3]}, "responses: query_id is not in queries.*'q1'.*'q1'.*'q2'.*5 rows"),
]
BAD_RESPONSES = [
    (
        changed(RESPONSES, "query_id", 0, "q9"),
        r"not in queries: query_id 'q9', member 'b' \(row 1\); add",
    ),
    (
        changed(RESPONSES, "query_id", 4, "q1"),
        r"more than one row.*query_id 'q1', member 'a' \(row 5\); keep",
    ),
    (changed(RESPONSES, "member", 4, None), "responses: column 'member' is empty.*row 5"),
    (changed(RESPONSES, "score", 4, math.nan), "not a number in.*'q3', member 'a', score nan"),
    (changed(RESPONSES, "score", 4, 1.5), "score 1.5"),
    (changed(RESPONSES, "score", 0, -0.1), "score -0.1"),
    (changed(RESPONSES, "score", 0, math.inf), "score inf"),
    (changed(RESPONSES, "choice_scores", 0, [0.1]), "one number per option.*has 1 for 2 options"),
    (changed(RESPONSES, "choice_scores", 4, [0.1]), "one number per option.*has 1 for 0 options"),
    (changed(RESPONSES, "choice_scores", 0, [0.1, math.nan]), "not finite: query_id 'q1'.*nan"),
    (changed(RESPONSES, "choice_scores", 0, [0.1, None]), "not finite: query_id 'q1', member 'b'"),
    (changed(RESPONSES, "cost_usd", 1, -0.5), "cost_usd is negative.*'q1', member 'a'.*-0.5"),
    (changed(RESPONSES, "cost_usd", 1, math.nan), "cost_usd is negative or not finite"),
    ({"latency_s": [1.0, 2.0, 3.0, 4.0, math.inf]}, "latency_s is negative or not finite"),
    (
        {"answer": [None] * 5, "score": [None] * 5, "choice_scores": [None] * 5},
        "nothing was recorded",
    ),
    (
        {"score": ["good"] * 5},
        "responses: column 'score': expected a number, found 'good' in row 1",
    ),
    ({"choice_scores": ["x"] * 5}, "responses: column 'choice_scores': expected list"),
]


@pytest.mark.parametrize(("change", "message"), BAD_QUERIES)
def test_contradictory_queries_are_refused(change: dict[str, list[Any]], message: str) -> None:
    with pytest.raises(RecordError, match=message):
        build(queries=change)


@pytest.mark.parametrize(("change", "message"), BAD_RESPONSES)
def test_contradictory_responses_are_refused(change: dict[str, list[Any]], message: str) -> None:
    with pytest.raises(RecordError, match=message):
        build(responses=change)


def test_many_offenders_are_counted() -> None:
    with pytest.raises(RecordError, match=r"score 200.0 \(row 3\); \.\.\. \(5 rows\); rescale"):
        build(responses={"score": [200.0] * 5})


@pytest.mark.parametrize("best", [2.0, 10.0, 100.0])
def test_scores_on_another_scale_are_recognised(best: float) -> None:
    with pytest.raises(RecordError, match=f"scores up to {best:g} look like percentages.*import"):
        build(responses={"score": [best, 0.0, 1.0, best / 2, 0.0]})


def test_ids_that_count_within_tasks_are_recognised() -> None:
    with pytest.raises(RecordError, match=r"rows 1, 3\); ids count within tasks .'sums', 'names'"):
        build(queries=changed(QUERIES, "query_id", 2, "q1"))
    with pytest.raises(RecordError, match=r"'q1' \(1 ids in all, the first in rows 1, 2\); keep"):
        build(queries=changed(QUERIES, "query_id", 1, "q1"))


def test_many_options_make_a_short_message() -> None:
    options = [f"a rather long option number {i}" for i in range(100)]
    with pytest.raises(RecordError, match=r"'q1' \(row 1\) \(the first has 100\)") as caught:
        build(queries=changed(QUERIES, "choices", 0, options))
    assert len(str(caught.value)) < 300


NUMBERS = [
    ("yes", "write 1 and 0, or true and false"),
    ("$0.5", r"write the number alone: 0\.5"),
    ("0,5", r"write a decimal point: 0\.5"),
    ("85 %", r"write 85 % as 0\.85"),
    ("0.5 USD", r"write the number alone: 0\.5"),
]


@pytest.mark.parametrize(("value", "remedy"), NUMBERS)
def test_a_text_where_a_number_belongs_is_quoted_with_its_row(value: str, remedy: str) -> None:
    scores = ["1", "0", None, value, "nonsense"]
    with pytest.raises(RecordError, match=f"expected a number, found .* in row 4; {remedy}") as e:
        build(responses={"score": scores})
    assert f"found {value!r} in row 4" in str(e.value)
    assert "nonsense" not in str(e.value)


def test_truth_may_be_written_in_words() -> None:
    data = build(responses={"score": ["True", "false", None, "TRUE", " false"]})
    assert data.responses["score"].to_pylist() == [1, 0, None, 1, 0]


OTHER_NAMES = [
    ("queries", "prompt", "question"), ("queries", "query_id", "id"),
    ("queries", "prompt", "promt"), ("responses", "member", "model"),
    ("responses", "query_id", "question_id"),
]  # fmt: skip


@pytest.mark.parametrize(("table", "column", "other"), OTHER_NAMES)
def test_columns_called_otherwise_are_recognised(table: str, column: str, other: str) -> None:
    tables = {"queries": pa.table(QUERIES), "responses": pa.table(RESPONSES)}
    names = [other if c == column else c for c in tables[table].column_names]
    tables[table] = tables[table].rename_columns(names)
    with pytest.raises(
        RecordError,
        match=rf"'{column}' is missing; .*did you mean '{other}'\? rename it to '{column}'",
    ):
        Dataset("tiny", **tables)


@pytest.mark.parametrize(
    ("columns", "hint"),
    [
        (["query_id", "member", "correct"], r"did you mean 'correct'\? rename it to 'score'"),
        (
            ["query_id", "model", "output"],
            r"did you mean 'output'\? rename it to 'text', and 'model' to 'member'\)",
        ),
        (["query_id", "member", "anwser"], r"did you mean 'anwser'\? rename it to 'answer'"),
        (["query_id", "gpt", "llama"], r"one column per model\? `rlfocal import table FILE`"),
        (["query_id", "model_a", "model_b", "winner"], "one row compares two models"),
    ],
)
def test_responses_of_another_shape_are_recognised(columns: list[str], hint: str) -> None:
    with pytest.raises(RecordError, match=rf"none of the columns answer, score, .*{hint}") as e:
        Dataset("tiny", pa.table(QUERIES), pa.table({c: ["q1"] for c in columns}))
    assert len(str(e.value)) < 300


def test_data_without_label_and_score_cannot_be_measured() -> None:
    with pytest.raises(RecordError, match="no query has a label and no response has a score"):
        build(queries={"label": [None] * 3}, responses={"score": [None] * 5})


def test_labels_alone_or_scores_alone_are_enough() -> None:
    assert build(queries={"label": [None] * 3}).queries["label"].null_count == 3
    assert build(responses={"score": [None] * 5}).responses["score"].null_count == 5


@pytest.mark.parametrize("empty", ["queries", "responses"])
def test_empty_tables_are_refused(empty: str) -> None:
    tables = {"queries": pa.table(QUERIES), "responses": pa.table(RESPONSES)}
    tables[empty] = tables[empty].slice(0, 0)
    with pytest.raises(RecordError, match=f"{empty}: no rows"):
        Dataset("tiny", **tables)


@pytest.mark.parametrize("column", ["query_id", "prompt"])
def test_missing_query_column_is_named(column: str) -> None:
    table = pa.table(QUERIES).rename_columns([c.upper() if c == column else c for c in QUERIES])
    with pytest.raises(
        RecordError,
        match=rf"'{column}' is missing; columns found: .*did you mean '{column.upper()}'",
    ):
        Dataset("tiny", table, pa.table(RESPONSES))


def test_responses_need_some_evidence() -> None:
    table = pa.table(RESPONSES).select(["query_id", "member", "cost_usd"])
    with pytest.raises(RecordError, match="none of the columns answer, score, choice_scores"):
        Dataset("tiny", pa.table(QUERIES), table)


def test_a_column_given_twice_is_refused() -> None:
    table = pa.table(QUERIES).append_column("label", pa.array(["x", "y", "z"]))
    with pytest.raises(RecordError, match="'label' is there more than once"):
        Dataset("tiny", table, pa.table(RESPONSES))


def test_members_follow_the_description_and_then_the_alphabet() -> None:
    assert build().members == ("a", "b")
    assert build(info=DatasetInfo(pools={"all": ["b", "a"]})).members == ("b", "a")
    described = DatasetInfo(member_accuracy={"b": 0.9, "gone": 0.5}, pools={"all": ["a", "b"]})
    assert build(info=described).members == ("b", "a")


def test_selecting_members() -> None:
    info = DatasetInfo(pools={"small": ["b", "a"], "lonely": ["a"], "stale": ["a", "ab"]})
    data = build(info=info)
    assert data.select_members() == ("a", "b")
    assert data.select_members(pool="all") == ("a", "b")
    assert data.select_members("small") == ("b", "a")
    assert data.select_members(members=["b", "a"]) == ("b", "a")
    for arguments, message in [
        ({"pool": "smal"}, "unknown pool 'smal'; did you mean 'small'"),
        ({"members": ["a", "bb"]}, "no response of member 'bb'; did you mean 'b'"),
        ({"members": ["a", "b", "a"]}, "named more than once: a"),
        ({"members": ["a"]}, r"1 member\(s\) \(a\), but an ensemble needs at least 2"),
        ({"members": []}, r"0 member\(s\)"),
        ({"pool": "lonely"}, "pool 'lonely': 1 member"),
        ({"pool": "stale"}, "pool 'stale': no response of member 'ab'"),
        ({"pool": "small", "members": ["a", "b"]}, "not both"),
    ]:
        with pytest.raises(ConfigError, match=message):
            data.select_members(**arguments)


def test_digest_ignores_row_order_layout_and_name() -> None:
    data = build(info=DatasetInfo(source="here"))
    rng = np.random.default_rng(1)
    queries = pa.table(QUERIES).take(pa.array(rng.permutation(3)))
    responses = pa.table(RESPONSES | {"text": [None] * 5, "samples": [None] * 5})
    responses = responses.take(pa.array(rng.permutation(5)))
    chunked = pa.concat_tables([responses.slice(0, 2), responses.slice(2)])
    large = chunked.set_column(0, "query_id", chunked["query_id"].cast(pa.large_string()))
    assert Dataset("other", queries, large).digest() == data.digest()
    texts = pa.table(RESPONSES | {"text": ["long"] * 5})
    assert Dataset("other", queries, texts).digest() != data.digest()
    assert len(data.digest()) == 64


CHANGES = [
    {"queries": changed(QUERIES, "prompt", 0, "1+1 ?")},
    {"queries": changed(QUERIES, "split", 2, "")},
    {"queries": changed(QUERIES, "choices", 0, ["12", ""])},
    {"queries": changed(QUERIES, "label", 2, None)},
    {"responses": changed(RESPONSES, "answer", 0, "A")},
    {"responses": changed(RESPONSES, "answer", 0, None)},
    {"responses": changed(RESPONSES, "score", 0, 0.5)},
    {"responses": changed(RESPONSES, "choice_scores", 2, [0.0, 0.0, 0.0])},
    {"responses": changed(RESPONSES, "choice_scores", 0, [0.9, 0.1])},
    {"responses": changed(RESPONSES, "cost_usd", 2, 0.0)},
    {"responses": {"member": ["c", "a", "c", "a", "a"]}},
]


@pytest.mark.parametrize("change", CHANGES)
def test_digest_sees_every_value(change: dict[str, Any]) -> None:
    assert build(**change).digest() != build().digest()


@pytest.mark.slow
@settings(deadline=None, max_examples=40)
@given(
    left=st.lists(st.text(max_size=3), min_size=2, max_size=2),
    right=st.lists(st.text(max_size=3), min_size=2, max_size=2),
)
def test_digests_of_different_prompts_differ(left: list[str], right: list[str]) -> None:
    def digest(prompts: list[str]) -> str:
        queries = pa.table({"query_id": ["x", "y"], "prompt": prompts})
        responses = pa.table({"query_id": ["x"], "member": ["m"], "score": [1.0]})
        return Dataset("d", queries, responses).digest()

    assert (digest(left) == digest(right)) == (left == right)
