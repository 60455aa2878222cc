"""Signals and tokens in the columns of a data set: what is refused, what smells, what arrives."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from rlfocal.errors import RecordError
from rlfocal.records import Dataset, build_table

N = 40


def dataset(**columns: Any) -> Dataset:
    """N queries of two members, b wrong on the first half."""
    ids = [f"q{i}" for i in range(N)]
    queries = pa.table({"query_id": ids, "prompt": [f"{i} + 1?" for i in range(N)], "label": ids})
    answers = [*ids, *("no" if i < N // 2 else q for i, q in enumerate(ids))]
    responses = {"query_id": ids * 2, "member": ["a"] * N + ["b"] * N, "answer": answers}
    return Dataset("own", queries, pa.table(responses | columns))


def test_signals_of_the_user_s_own_reach_tables_by_name() -> None:
    sure = [None if i % 7 == 0 else i / 10 for i in range(2 * N)]
    table = build_table(dataset(signal_sure=sure, text=["so"] * 2 * N))
    assert table.replies is not None
    assert table.replies.names[-1] == "sure"
    found = table.replies.signals(["sure", "text.length"])
    expected = np.array(sure, dtype=np.float32).reshape(2, N).T
    np.testing.assert_array_equal(found[..., 0], expected)
    assert (found[..., 1] == np.float32(np.log1p(2))).all()
    part = build_table(dataset(signal_sure=sure), members=["b", "a"]).take(np.array([3, 1]))
    assert part.replies is not None
    np.testing.assert_array_equal(part.replies.signals(["sure"])[..., 0], expected[[3, 1], ::-1])


def test_kinds_and_options_are_those_of_the_question() -> None:
    queries = [
        {"query_id": "n", "prompt": "3 * 4?", "label": "12", "task": "sums"},
        {
            "query_id": "c",
            "prompt": "Which?",
            "label": "B",
            "task": "picks",
            "choices": ["a", "bb"],
        },
    ]
    responses = [
        {"query_id": query, "member": name, "answer": answer, "text": answer}
        for query, answer in (("n", "12"), ("c", "B"))
        for name in ("x", "y")
    ]
    replies = build_table(Dataset("both", queries, responses)).replies
    assert replies is not None
    found = replies.signals(["answer.magnitude", "answer.option_length"])
    order = [0, 1] if np.isfinite(found[0, 0, 0]) else [1, 0]
    assert np.isfinite(found[order, 0]).tolist() == [[True, False], [False, True]]


def test_answers_alone_have_no_replies() -> None:
    assert build_table(dataset()).replies is None
    assert build_table(dataset(latency_s=[1.0] * 2 * N)).replies is None
    assert build_table(dataset(finish=["stop"] * 2 * N)).replies is not None


def test_what_replies_hold_has_no_label() -> None:
    table = build_table(dataset(text=["so"] * 2 * N, score=[1.0] * 2 * N))
    assert table.replies is not None
    held = table.replies._store._replies
    assert set(held.queries.column_names) == {"prompt", "task", "choices"}
    assert set(held.rows.column_names) == {"answer", "text"}


def test_digests_of_tables_tell_replies_apart() -> None:
    texts = ["so"] * 2 * N
    one, other = (build_table(dataset(text=text)) for text in (texts, ["no", *texts[1:]]))
    assert one.digest() == build_table(dataset(text=texts)).digest() != other.digest()
    rest = np.arange(1, N)
    assert one.take(rest).digest() == other.take(rest).digest()


def test_without_responses_their_replies_are_gone() -> None:
    table = build_table(dataset(text=["so"] * 2 * N))
    gone = np.random.default_rng(1).random((N, 2)) < 0.5
    left = table.without(gone).replies
    assert left is not None
    np.testing.assert_array_equal(left.present, ~gone)
    assert np.isnan(left.signals(["text.length"])[gone]).all()
    assert (np.diff(left.words().start) > 0).tolist() == (~gone).ravel().tolist()


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (
            {"signal_sure": [0.5] * N + [np.inf] + [0.5] * (N - 1)},
            r"signal_sure is not finite: query_id 'q0', member 'b', signal_sure inf \(row 41\); le",
        ),
        ({"signal_sure": [np.nan] * 2 * N}, r"signal_sure is not finite: .* \(80 rows\)"),
        ({"signal_sure": ["high"] * 2 * N}, r"'signal_sure': expected a number, found 'high' in r"),
        (
            {"signal_text.length": [1.0] * 2 * N},
            "'text.length' is a signal that rlfocal reads itself; give yours another name",
        ),
        ({"token_chars": [[1]] * 2 * N}, "'token_chars' is there without 'token_logprobs'"),
        (
            {"token_chars": [[1]] * 2 * N, "token_logprobs": [[-1.0]] * N + [[-1.0, 0.0]] * N},
            r"need one number a token each: query_id 'q0', member 'b' .* has 1 and 2\); correct",
        ),
        (
            {"token_chars": [[1]] * 2 * N, "token_logprobs": [[-1.0]] * N + [[0.1]] * N},
            r"token_logprobs: query_id 'q0', member 'b' \(row 41\); .*: log-probabilities are 0 or",
        ),
        (
            {"token_chars": [[1]] * N + [[-1]] * N, "token_logprobs": [[-1.0]] * 2 * N},
            r"token_chars: query_id 'q0', member 'b' \(row 41\); .*: lengths in characters are 0 o",
        ),
        ({"n_completion_tokens": [-1] * 2 * N}, "n_completion_tokens is negative or not finite"),
    ],
)
def test_what_cannot_be_is_refused_by_its_row(columns: dict[str, Any], message: str) -> None:
    with pytest.raises(RecordError, match=message):
        dataset(**columns)


def test_tokens_may_be_rounded_above_0_left_out_or_impossible() -> None:
    logprobs = [[1e-4], [None], [-np.inf], None] * (N // 2)
    chars = [None if one is None else [2] for one in logprobs]
    data = dataset(token_chars=chars, token_logprobs=logprobs, text=["so"] * 2 * N)
    replies = build_table(data).replies
    assert replies is not None
    means = replies.signals(["logprobs.mean"])[:4, 0, 0]
    np.testing.assert_array_equal(means, np.array([0, np.nan, -20, np.nan], dtype=np.float32))


def test_tokens_of_any_rows_are_read_as_they_stand_and_reach_other_processes() -> None:
    rng = np.random.default_rng(6)
    chars = [rng.integers(0, 5, size=n).tolist() if n else None for n in rng.integers(0, 6, 2 * N)]
    logprobs = [
        None if one is None else [None if rng.random() < 0.2 else -rng.random() for _ in one]
        for one in chars
    ]
    data = dataset(token_chars=chars, token_logprobs=logprobs, text=["so"] * 2 * N)
    data = Dataset("own", data.queries, data.responses.slice(3))  # an offset within the column
    order = rng.permutation(N)
    replies = build_table(data, members=["b", "a"]).take(order).replies
    assert replies is not None
    names = ["logprobs.mean", "logprobs.minimum"]
    expected = np.full((N, 2, 2), np.nan, dtype=np.float32)
    for row, values in enumerate(logprobs):
        known = [value for value in values or () if value is not None]
        if known and row >= 3:
            expected[row % N, 1 - row // N] = np.mean(known), np.min(known)
    found = replies.signals(names)
    np.testing.assert_allclose(found, expected[order], rtol=1e-6)
    again = pickle.loads(pickle.dumps(replies))
    np.testing.assert_array_equal(again.signals(again.names), replies.signals(replies.names))


def test_a_signal_that_is_the_score_smells() -> None:
    right = np.array([1.0] * N + [0.0] * (N // 2) + [1.0] * (N // 2))
    noise = np.random.default_rng(0).normal(size=2 * N)
    data = dataset(signal_mine=right * 3, signal_wrong=-right, signal_fair=right + noise)
    found = [note for note in build_table(data).notes if "signal_" in note]
    assert [note.partition(":")[0] for note in found] == ["signal_mine", "signal_wrong"]
    assert "AUC 1.000 on 80 replies" in found[0]
    assert "AUC 0.000" in found[1]
    few = right.copy()
    few[N:] = 1.0
    assert not [n for n in build_table(dataset(signal_few=few)).notes if "signal_" in n]


def test_neither_labels_nor_scores_nor_other_members_change_what_a_reply_says() -> None:
    rng = np.random.default_rng(4)
    texts = [f"so {i} * 2 = {rng.integers(9)}, maybe" for i in range(2 * N)]
    columns = {"text": texts, "score": rng.random(2 * N), "latency_s": rng.random(2 * N)}
    data = dataset(**columns)
    other_texts = [*texts[:N], *["quite another"] * N]
    other = dataset(**columns | {"text": other_texts, "score": rng.random(2 * N)})
    labels = data.queries["label"].take(pa.array(rng.permutation(N)))
    spoilt = Dataset("own", other.queries.set_column(5, "label", labels), other.responses)
    asked = np.zeros((N, 2), dtype=bool)
    asked[:, 0] = True  # a alone
    parts = [build_table(each).replies for each in (data, spoilt)]
    one, same = (part.where(asked) for part in parts if part is not None)
    np.testing.assert_array_equal(one.signals(one.names), same.signals(same.names))
    for left, right in zip(one.words(), same.words(), strict=True):
        np.testing.assert_array_equal(left, right)


def test_a_name_of_several_lines_is_refused() -> None:
    with pytest.raises(RecordError, match=r"column 'signal_a\\nb': the name .* rename it"):
        dataset(**{"signal_a\nb": [0.0] * 2 * N})
