"""What one cell of a table holds: right answers, lists, replies in other forms, numbers, bytes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rlfocal.errors import ConfigError, RecordError
from rlfocal.records import Dataset
from rlfocal.records.importers.assembling import import_logs
from rlfocal.records.importers.logged import Logged, Record
from rlfocal.records.importers.table import read_tables


def write(tmp_path: Path, text: str, name: str = "mine.csv") -> Path:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


def read(tmp_path: Path, text: str, name: str = "mine.csv", **options: Any) -> Logged:
    return read_tables([write(tmp_path, text, name)], **options)


def imported(tmp_path: Path, text: str, name: str = "mine.csv", **options: Any) -> Dataset:
    return import_logs("table", [write(tmp_path, text, name)], name="mine", **options)


def one_row(tmp_path: Path, **cells: Any) -> Record:
    """Record of one row of JSON lines."""
    row = {"question": "q?", "label": "Paris", "model": "a"} | cells
    (record,) = read(tmp_path, json.dumps(row), "rows.jsonl").records
    return record


# Labels -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "label", ["(2, -3)", "[2, 5]", "(0, 1)", "[1, 2, 3]", "[0, 1)", "('x', 'y')", "[[1, 2], [3]]"]
)
def test_a_point_an_interval_or_a_list_of_numbers_is_one_answer(tmp_path: Path, label: str) -> None:
    text = f'question,label,model,answer\nq?,"{label}",a,2\nq?,"{label}",b,"{label}"\n'
    assert [r.labels for r in read(tmp_path, text).records] == [(label,)] * 2


def test_a_point_is_judged_as_a_whole(tmp_path: Path) -> None:
    text = 'question,label,model,answer\nq?,"(0, 1)",a,0\nq?,"(0, 1)",b,"(0,1)"\n'
    for answers in (None, "math"):
        data = imported(tmp_path, text, answers=answers)
        (label,) = data.queries["label"].to_pylist()
        given = data.responses["answer"].to_pylist()
        assert given[0] != label
        assert given[1] == label or answers is None  # texts: (0,1) is written otherwise


def test_a_list_of_numbers_in_json_is_one_answer(tmp_path: Path) -> None:
    record = one_row(tmp_path, label=[1, 2, 3], answer=[1, 2, 3])
    assert (record.labels, record.answer, record.samples) == (("[1, 2, 3]",), "[1, 2, 3]", None)


@pytest.mark.parametrize("label", [[18], ["18"], "[18]", "['18']"])
def test_a_list_of_one_is_its_element(tmp_path: Path, label: Any) -> None:
    assert one_row(tmp_path, label=label, answer="18").labels == ("18",)


@pytest.mark.parametrize("column", ["answers", "accepted_answers", "aliases", "ground_truths"])
def test_a_column_of_several_answers_holds_alternatives(tmp_path: Path, column: str) -> None:
    text = json.dumps({"question": "q?", column: [2, 5], "model": "a", "response": "2"})
    (record,) = read(tmp_path, text, "rows.jsonl", column=[f"label={column}"]).records
    assert record.labels == ("2", "5")


def test_lists_and_plain_labels_stand_side_by_side(tmp_path: Path) -> None:
    text = (
        "question,label,model,answer\n"
        'Paris?,"[""Paris"", ""Lutetia""]",a,Lutetia\nNorway?,Oslo,a,Oslo\n'
        "Rome?,\"['Rome', 'Roma']\",a,Roma\n"
    )
    logged = read(tmp_path, text)
    assert [r.labels for r in logged.records] == [
        ("Paris", "Lutetia"), ("Oslo",), ("Rome", "Roma"),
    ]  # fmt: skip
    assert "2 labels are lists, and each of their items is taken for a right answer" in " ".join(
        logged.notes
    )


@pytest.mark.parametrize(
    "other", ["3", "'xy'", "[1, 2]", "[]", "('a', 'b')", "{'a': 1}", "True", "None", "[[1], [2]]"]
)
def test_lists_beside_other_literals_are_what_code_gives(tmp_path: Path, other: str) -> None:
    listed = ("['a', 'b']", "['a']", other)
    rows = "".join(f'f({k}),"{label}",a,"{label}"\n' for k, label in enumerate(listed))
    logged = read(tmp_path, f"question,label,model,answer\n{rows}")
    assert [r.labels for r in logged.records] == [(label,) for label in listed]
    (first, second, _) = read(tmp_path, f"question,aliases,model,answer\n{rows}",
                              column=["label=aliases"]).records  # fmt: skip
    assert (first.labels, second.labels) == (("a", "b"), ("a",))


def test_lists_of_texts_alone_are_alternatives(tmp_path: Path) -> None:
    text = "question,label,model,answer\nq?,\"['a', 'b']\",a,b\nr?,['c'],a,c\ns?,,a,c\n"
    assert [r.labels for r in read(tmp_path, text).records] == [("a", "b"), ("c",), ()]


def test_a_list_that_is_an_option_is_that_option(tmp_path: Path) -> None:
    label = "['a', 'b']"
    record = one_row(tmp_path, choices=["['a']", label], label=label, answer="B")
    assert record.labels == ("B",)


def test_lists_of_labels_may_be_told_to_be_alternatives_or_one_answer(tmp_path: Path) -> None:
    text = 'question,label,model,answer\nq?,"[2, 5]",a,2\nr?,"[""x"", ""y""]",a,x\n'
    told = [
        [r.labels for r in read(tmp_path, text, label_lists=way).records]
        for way in (None, "alternatives", "one")
    ]
    assert told == [
        [("[2, 5]",), ('["x", "y"]',)],
        [("2", "5"), ("x", "y")],
        [("[2, 5]",), ('["x", "y"]',)],
    ]
    with pytest.raises(ConfigError, match="--label-lists ones: no such way; did you mean 'one'"):
        read(tmp_path, text, label_lists="ones")


def test_numbers_of_several_options_are_no_option(tmp_path: Path) -> None:
    record = one_row(tmp_path, choices=["x", "y", "z"], label=[0, 2], answer="A")
    assert record.labels == ("0", "2")


# Lists as text ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "cell", ["['Bobby Scott' 'Bob Russell']", "['Bobby Scott'\n 'Bob Russell']"]
)
def test_lists_that_numpy_prints_are_split(tmp_path: Path, cell: str) -> None:
    assert one_row(tmp_path, label=cell, answer="Bob Russell").labels == (
        "Bobby Scott", "Bob Russell",
    )  # fmt: skip


def test_quotes_and_strokes_in_what_numpy_prints(tmp_path: Path) -> None:
    label = """["it's" 'a \\'quote\\'' 'x']"""
    assert one_row(tmp_path, label=label, answer="x").labels == ("it's", "a 'quote'", "x")


@pytest.mark.parametrize("cell", ["['4' '5' '4']", "[4 5 4]", "['4', '5', '4']", '["4","5","4"]'])
def test_samples_that_numpy_prints_are_split(tmp_path: Path, cell: str) -> None:
    assert one_row(tmp_path, label="4", samples=cell).samples == ("4", "5", "4")


@pytest.mark.parametrize("cell", ["['a' 'b', 'c']", "['a' 'b' ... 'y' 'z']"])
@pytest.mark.parametrize("column", ["label", "samples", "choices"])
def test_a_list_whose_items_cannot_be_told_apart_is_refused(
    tmp_path: Path, cell: str, column: str
) -> None:
    row = {"question": "q?", "label": "a", "model": "m", "answer": "a"} | {column: cell}
    with pytest.raises(RecordError, match=rf"rows.jsonl:1, column '{column}': .*as JSON: \[\"a\""):
        read(tmp_path, json.dumps(row), "rows.jsonl")


def test_options_that_numpy_prints_are_split(tmp_path: Path) -> None:
    record = one_row(tmp_path, choices="['iron' 'tin']", label="B", answer="B")
    assert record.choices == ("iron", "tin")


# Replies ------------------------------------------------------------------------------------------

TALK = [
    {"role": "user", "content": "Capital of France?"},
    {"role": "assistant", "content": "Rome. No, wait."},
    {"role": "user", "content": "Are you sure?"},
    {"role": "assistant", "content": "It is Paris"},
]


@pytest.mark.parametrize("column", ["generated_text", "prediction"])
@pytest.mark.parametrize("written", [TALK, json.dumps(TALK), str(TALK)])
def test_of_a_conversation_the_reply_is_what_the_assistant_said_last(
    tmp_path: Path, column: str, written: Any
) -> None:
    record = one_row(tmp_path, **{"question": TALK[:1], column: written})
    assert (record.prompt, record.text or record.answer) == ("Capital of France?", "It is Paris")


def test_a_conversation_without_an_answer_is_no_reply(tmp_path: Path) -> None:
    record = one_row(tmp_path, response=TALK[:1])
    assert (record.text, record.unusable) == (None, True)


@pytest.mark.parametrize("role", ["llama-3", "chatbot", "Agent", "llm"])
def test_whoever_answers_in_a_conversation_may_have_a_name_of_its_own(
    tmp_path: Path, role: str
) -> None:
    talk = [{"role": "User", "content": "q?"}, {"role": role, "content": "Rome"},
            {"role": role, "content": "Paris"}, {"role": "tool", "content": "7"}]  # fmt: skip
    assert one_row(tmp_path, response=talk).text == "Paris"


def test_conversations_among_samples(tmp_path: Path) -> None:
    assert one_row(tmp_path, samples=[TALK, TALK[:2]]).samples == (
        "It is Paris", "Rome. No, wait.",
    )  # fmt: skip


@pytest.mark.parametrize(
    "parts",
    [
        [{"type": "text", "text": "Paris"}],
        [{"type": "thinking", "thinking": "Rome?"}, {"type": "text", "text": "Paris"}],
        [{"type": "text", "text": "Pa"}, {"type": "text", "text": "ris"}],
        [{"role": "assistant", "content": [{"type": "text", "text": "Paris"}]}],
    ],
)
def test_a_reply_in_parts_is_their_texts(tmp_path: Path, parts: Any) -> None:
    assert one_row(tmp_path, response=parts).text == "Paris"
    assert one_row(tmp_path, response=json.dumps(parts)).text == "Paris"


def test_several_replies_in_a_cell_are_samples(tmp_path: Path) -> None:
    text = json.dumps(
        {"question": "q?", "label": "5", "model": "a", "response": ["4", "It is 5", "5"]}
    )
    data = imported(tmp_path, text, "rows.jsonl")
    assert data.responses.select(["answer", "samples", "text"]).to_pylist() == [
        {"answer": "5", "samples": ["4", "5", "5"], "text": "It is 5"}
    ]
    record = one_row(tmp_path, prediction=["Rome", "Paris", "Paris"])
    assert (record.answer, record.samples) == ("Paris", ("Rome", "Paris", "Paris"))
    assert one_row(tmp_path, response=["4", 5, None]).samples == ("4", "5", None)
    generated = [{"generated_text": "Paris"}, {"generated_text": "Rome"}]
    assert one_row(tmp_path, output=generated).samples == ("Paris", "Rome")
    assert one_row(tmp_path, samples=generated).samples == ("Paris", "Rome")
    talks = [{"generated_text": TALK}, {"generated_text": TALK[:2]}]
    assert one_row(tmp_path, output=talks).samples == ("It is Paris", "Rome. No, wait.")
    assert one_row(tmp_path, output=talks[:1]).text == "It is Paris"
    assert one_row(tmp_path, output=[None, None]).unusable


def test_several_replies_in_a_column_per_model(tmp_path: Path) -> None:
    row = {"question": "q?", "label": "4", "a": ["4", "4", "5"], "b": ["5", "5"]}
    found = list(read(tmp_path, json.dumps(row), "rows.jsonl").records)
    assert [(r.member, r.samples) for r in found] == [("a", ("4", "4", "5")), ("b", ("5", "5"))]


def test_several_replies_are_scored_as_they_are_counted(tmp_path: Path) -> None:
    row = {
        "question": "q?",
        "label": ["red", "blue"],
        "model": "a",
        "response": ["up", "blue", "blue"],
    }
    data = imported(tmp_path, json.dumps(row), "rows.jsonl")
    assert data.responses.select(["answer", "score"]).to_pylist() == [
        {"answer": "blue", "score": 1.0}
    ]


@pytest.mark.parametrize(
    "reply", [[{"text": "Paris"}, {"text": "Rome"}], ["a", {"b": 1}], [["a", "b"], ["c"]]]
)
def test_samples_are_no_objects_or_lists(tmp_path: Path, reply: Any) -> None:
    with pytest.raises(RecordError, match=r"rows.jsonl:1, column 'samples': .* list of objects"):
        one_row(tmp_path, samples=reply)


CALLS = [
    {"id": str(k), "type": "function", "function": {"name": "f", "arguments": "{}"}} for k in "12"
]  # as OpenAI's API gives them


@pytest.mark.parametrize(
    "reply",
    [
        [{"text": "Paris", "type": "LOC"}, {"text": "May", "type": "DATE"}], CALLS,
        [{"entity": "Paris"}, {"entity": "May"}], ["a", {"b": 1}], [["a", "b"], ["c"]],
    ],
)  # fmt: skip
@pytest.mark.parametrize("column", ["response", "prediction"])
def test_a_reply_of_objects_or_lists_is_its_json(tmp_path: Path, reply: Any, column: str) -> None:
    record = one_row(tmp_path, score=1, **{column: reply})
    assert (record.text or record.answer, record.samples) == (json.dumps(reply), None)


def test_a_reply_of_one_object_is_kept(tmp_path: Path) -> None:
    assert one_row(tmp_path, response=CALLS[:1]).text == json.dumps(CALLS[0])


def test_a_models_file_with_a_reply_of_objects_is_not_left_out(tmp_path: Path) -> None:
    for name, reply in (("a", [{"name": "get"}, {"name": "put"}]), ("b", "x")):
        row = {"question": "q?", "label": "x", "model": name, "response": reply}
        write(tmp_path, json.dumps(row), f"{name}.jsonl")
    assert {r.member for r in read_tables([tmp_path]).records} == {"a", "b"}


@pytest.mark.parametrize("parts", [[{"type": "thinking", "thinking": "?"}], [{"type": "image"}]])
def test_thoughts_and_pictures_alone_are_no_reply(tmp_path: Path, parts: Any) -> None:
    assert one_row(tmp_path, response=parts).unusable


def test_a_text_that_is_a_list_is_one_reply(tmp_path: Path) -> None:
    text = "question,label,model,response\nq?,4,a,\"['4', '5']\"\nr?,4,a,\n"
    logged = read(tmp_path, text)
    assert [(r.text, r.samples) for r in logged.records] == [("['4', '5']", None), (None, None)]
    said = "mine.csv: all of 'response' are lists written as text, each read as one reply"
    assert any(n.startswith(said) and "--column samples=response" in n for n in logged.notes)
    (first, _) = read(tmp_path, text, column=["samples=response"]).records
    assert first.samples == ("4", "5")


def test_right_answers_within_an_object_are_labels(tmp_path: Path) -> None:
    answers = {"text": ["Paris", "Lutetia"], "answer_start": [1, 2]}  # as SQuAD has them
    row = {"question": "q?", "answers": answers, "model": "a", "prediction": "Lutetia"}
    (record,) = read(tmp_path, json.dumps(row), "rows.jsonl").records
    assert (record.labels, record.answer) == (("Paris", "Lutetia"), "Lutetia")


@pytest.mark.parametrize(("label", "inner"), [("label", "text"), ("gold", "answer")])
def test_beside_a_label_answers_are_replies(tmp_path: Path, label: str, inner: str) -> None:
    row = {"question": "q?", label: "Paris", "model": "a", "answers": {inner: "Rome", "tokens": 3}}
    (record,) = read(tmp_path, json.dumps(row), "rows.jsonl").records
    assert (record.labels, record.text or record.answer) == (("Paris",), "Rome")


@pytest.mark.parametrize("column", ["response", "prediction"])
def test_beside_a_label_and_a_reply_answers_are_neither(tmp_path: Path, column: str) -> None:
    record = one_row(tmp_path, answers={"text": ["Lyon"]}, **{column: "Rome"})
    assert (record.labels, record.text or record.answer) == (("Paris",), "Rome")


# Commas -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("between", ["\t", ";"])
def test_what_may_be_thousands_is_thousands(tmp_path: Path, between: str) -> None:
    text = "\n".join(
        between.join(cells)
        for cells in (
            ["question", "gold", "model", "answer", "completion_tokens"],
            ["q?", "1,450", "a", "1450", "2,300"],
            ["r?", "2,000", "a", "7", "9"],
        )
    )
    logged = read(tmp_path, text, "mine.tsv" if between == "\t" else "mine.csv")
    first, second = logged.records
    assert (first.labels, second.labels) == (("1,450",), ("2,000",))
    assert first.told.n_completion_tokens == 2300
    assert any("commas in completion_tokens, gold are read as sep" in n for n in logged.notes)


@pytest.mark.parametrize(
    ("label", "answer", "cost"),
    [("0,5", "7", "1"), ("2,000", "1,45", "1"), ("2,000", "7", "0,001"), ("12,5", "7", "1")],
)
def test_a_real_decimal_comma_anywhere_shows_what_commas_are(
    tmp_path: Path, label: str, answer: str, cost: str
) -> None:
    text = f"question;gold;model;answer;cost\nq?;1,450;a;3;1\nr?;{label};a;{answer};{cost}\n"
    assert next(iter(read(tmp_path, text).records)).labels == ("1.450",)


def test_a_price_of_thousands_is_a_decimal_where_commas_do_not_separate(tmp_path: Path) -> None:
    text = "question;model;score;cost\nq?;a;1;1,250\nq?;b;0;3,125\n"
    assert [r.cost_usd for r in read(tmp_path, text).records] == [1.25, 3.125]


def test_a_number_that_is_no_option_stays_none_beside_options_that_are_numbers(
    tmp_path: Path,
) -> None:
    cells = zip("1234", "1230", "1203", strict=True)
    rows = [{"question": f"q{label}", "choices": list("1234"), "label": label, "gpt": a, "phi": b}
            for label, a, b in cells]  # fmt: skip
    data = imported(tmp_path, "\n".join(map(json.dumps, rows)), "rows.jsonl")
    assert data.queries["label"].to_pylist() == list("ABCD")
    assert sorted(map(str, data.responses["answer"].to_pylist())) == [
        "A", "A", "B", "B", "C", "C", "None", "None",
    ]  # fmt: skip


# Parquet ------------------------------------------------------------------------------------------


def test_options_of_a_struct_may_be_unequally_many(tmp_path: Path) -> None:
    rows = [
        {"question": "q?", "choices": {"A": "x", "B": "y", "C": "z", "D": "w"}, "label": "D"},
        {"question": "r?", "choices": {"A": "x", "B": "y"}, "label": "B"},
    ]
    path = tmp_path / "rows.parquet"
    pq.write_table(
        pa.Table.from_pylist([row | {"model": "a", "answer": "B"} for row in rows]), path
    )
    assert [r.choices for r in read_tables([path]).records] == [
        ("x", "y", "z", "w"), ("x", "y"),
    ]  # fmt: skip


def _binary(tmp_path: Path, **columns: list[Any]) -> Path:
    path = tmp_path / "rows.parquet"
    pq.write_table(pa.table({n: pa.array(v) for n, v in columns.items()}), path)
    return path


def test_texts_stored_as_bytes_are_read_as_utf8(tmp_path: Path) -> None:
    path = _binary(
        tmp_path, question=[b"q?", b"r?"], label=["caf\u00e9".encode(), b"5"], model=[b"a", b"a"],
        response=[b"So caf\xc3\xa9", b"5"], score=[b"1", b"0.5"], samples=[[b"x", b"y"], None],
    )  # fmt: skip
    found = list(read_tables([path]).records)
    assert [(r.prompt, r.labels, r.member, r.text, r.score, r.samples) for r in found] == [
        ("q?", ("caf\u00e9",), "a", "So caf\u00e9", 1.0, ("x", "y")),
        ("r?", ("5",), "a", "5", 0.5, None),
    ]


def test_bytes_that_are_no_text_are_refused_where_they_are_needed(tmp_path: Path) -> None:
    columns: dict[str, list[Any]] = {"question": ["q?"], "label": ["4"], "model": ["a"]}
    path = _binary(tmp_path, **columns, response=[b"\xff\xfe"])
    with pytest.raises(RecordError, match=r"row 1, column 'response': 2 bytes that are no UTF-8"):
        read_tables([path])
    path = _binary(
        tmp_path, question=["q?"], label=["4"], picture=[b"\x89PNG\xff"], gpt=["4"], llama=["5"]
    )
    assert [r.member for r in read_tables([path]).records] == ["gpt", "llama"]
