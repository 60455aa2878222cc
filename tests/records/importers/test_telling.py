"""What importers keep of a reply beside its text, and which formats have it."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from rlfocal.errors import RecordError
from rlfocal.records import build_table
from rlfocal.records.importers import import_logs
from rlfocal.records.importers.telling import count_of, finish_of, tokens_of, told_by_output

LOGS = Path(__file__).parent / "logs"


def rows_of(importer: str, path: Path, **options: Any) -> list[dict[str, Any]]:
    return import_logs(importer, path, name="x", **options).responses.to_pylist()


@pytest.mark.parametrize(
    ("reason", "finish"),
    [("model_length", "length"), ("tool_use", "tool_calls"), ("unknown", None), (None, None)],
)
def test_reasons_are_named_alike(reason: Any, finish: str | None) -> None:
    assert finish_of(reason) == finish


def test_counts_of_tokens() -> None:
    assert [count_of(value) for value in (7, 7.0, [[10, 20], [30]])] == [7, 7, 60]
    assert [count_of(value) for value in (-1, 1.5, True, "7", [1, None], [], 2**60)] == [None] * 7


def test_tokens_with_their_log_probabilities() -> None:
    items = [{"token": "so ", "logprob": -0.5}, {"token": "\ud83d", "logprob": 1e-5}]
    found = tokens_of(items, "token")
    assert found is not None
    assert found.chars.tolist() == [3, 1]
    assert found.logprob.tolist() == [-0.5, 0.0]


@pytest.mark.parametrize(
    "items",
    [
        None,
        "text",
        [],
        [3],
        [{"token": "a"}],
        [{"token": None, "logprob": -1.0}],
        [{"token": "a", "logprob": True}],
        [{"token": "a", "logprob": math.nan}],
        [{"token": "a", "logprob": 0.5}],
        [{"token": "a", "logprob": 0.0}, {"token": "b", "logprob": 0}],  # HELM's "not known"
    ],
)
def test_tokens_that_are_not_all_known_are_none(items: Any) -> None:
    assert tokens_of(items, "token") is None


def test_a_model_s_output() -> None:
    content = [{"token": "7", "logprob": -0.25, "bytes": [55], "top_logprobs": None}]
    told = told_by_output(
        {
            "choices": [{"stop_reason": "max_tokens", "logprobs": {"content": content}}],
            "usage": {"input_tokens": 10, "output_tokens": 5},
        }
    )
    assert (told.finish, told.n_prompt_tokens, told.n_completion_tokens) == ("length", 10, 5)
    assert told.tokens is not None
    odd: tuple[dict[str, Any], ...] = ({}, {"choices": [None]}, {"choices": 3, "usage": []})
    assert all(told_by_output(output).finish is None for output in odd)


@pytest.mark.parametrize(
    ("importer", "path", "finish", "n_prompt", "n_completion", "tokens"),
    [
        ("inspect", "inspect_ai/pattern.json", "stop", 10, 5, None),
        ("evalscope", "evalscope", "stop", None, None, None),
        ("helm", "helm", "stop", 224, 1, [-0.5]),
        ("bfcl", "bfcl", None, 90, 10, None),
        ("every-eval-ever", "every_eval_ever", "stop", 10, 5, None),
        ("lm-eval", "lm_eval/new", None, None, None, None),
    ],
)
def test_which_formats_have_what(
    importer: str, path: str, finish: str | None, n_prompt: int | None, n_completion: int | None,
    tokens: list[float] | None,
) -> None:  # fmt: skip
    rows = rows_of(importer, LOGS / path)
    assert finish is None or finish in {row.get("finish") for row in rows}
    assert n_prompt in {row.get("n_prompt_tokens") for row in rows}
    assert n_completion in {row.get("n_completion_tokens") for row in rows}
    assert tokens in [row.get("token_logprobs") for row in rows]
    assert any(row.get("text") for row in rows)


LONG = """query_id,prompt,label,member,text,finish_reason,completion_tokens,signal_sure,signal_odd
q1,1 + 1?,2,a,so 2,stop,3,-0.5,
q1,1 + 1?,2,b,so 3,max_tokens,9,2.5,1
q2,2 + 2?,4,a,so 4,,4,,
"""


def test_signals_of_a_table_in_long_form(tmp_path: Path) -> None:
    file = tmp_path / "long.csv"
    file.write_text(LONG)
    data = import_logs("table", file, name="x")
    rows = {(row["query_id"], row["member"]): row for row in data.responses.to_pylist()}
    (one, two, three) = rows.values()
    assert [r["signal_sure"] for r in (one, two, three)] == [-0.5, 2.5, None]
    assert [r["signal_odd"] for r in (one, two, three)] == [None, 1.0, None]
    assert [r["finish"] for r in (one, two, three)] == ["stop", "length", None]
    assert [r["n_completion_tokens"] for r in (one, two, three)] == [3, 9, 4]
    replies = build_table(data).replies
    assert replies is not None
    assert set(replies.names) >= {"sure", "odd"}
    assert not [note for note in data.info.noted if "ignored" in note]


WIDE = """prompt,label,gpt-4_text,gpt-4_signal_sure,gpt-4_output_tokens,o1_text,o1_signal_sure,\
o1_output_tokens
1 + 1?,2,so 2,.5,3,so 3,,7
2 + 2?,4,so 4,-1,4,so 4,9,
"""


def test_signals_of_a_table_with_columns_of_each_model(tmp_path: Path) -> None:
    file = tmp_path / "wide.csv"
    file.write_text(WIDE)
    rows = rows_of("table", file)
    found = [(row["member"], row["signal_sure"], row["n_completion_tokens"]) for row in rows]
    assert sorted(found, key=str) == sorted(
        [("gpt-4", 0.5, 3), ("gpt-4", -1.0, 4), ("o1", None, 7), ("o1", 9.0, None)], key=str
    )


def test_a_signal_without_a_model_is_of_none(tmp_path: Path) -> None:
    file = tmp_path / "wide.csv"
    file.write_text("prompt,label,a,b,signal_sure\n1 + 1?,2,2,3,.5\n2 + 2?,4,4,4,.7\n")
    data = import_logs("table", file, name="x")
    assert data.members == ("a", "b")


def test_another_column_as_a_signal(tmp_path: Path) -> None:
    file = tmp_path / "long.csv"
    file.write_text("prompt,label,model,text,conf\n1 + 1?,2,a,so 2,high\n")
    with pytest.raises(RecordError, match=r"column 'conf': 'high' is no finite number; correct it"):
        rows_of("table", file, column=["signal_sure=conf"])
    file.write_text("prompt,label,model,text,conf\n1 + 1?,2,a,so 2,-.5\n1 + 1?,2,b,2,.5\n")
    rows = rows_of("table", file, column=["signal_sure=conf"])
    assert [row["signal_sure"] for row in rows] == [-0.5, 0.5]


def test_the_text_of_samples_is_that_of_the_answer(tmp_path: Path) -> None:
    rows = [
        {"prompt": "1 + 1?", "label": "2", "model": "a",
         "samples": ["I say 3", "It is 2", "so 2"]},
        {"prompt": "1 + 1?", "label": "2", "model": "b", "samples": ["It is 4"]},
    ]  # fmt: skip
    file = tmp_path / "samples.jsonl"
    file.write_text("\n".join(map(json.dumps, rows)))
    found = {row["member"]: row for row in rows_of("table", file)}
    assert found["a"]["answer"] == "2"
    assert found["a"]["text"] == "It is 2"
    assert found["b"]["answer"] == "4"
