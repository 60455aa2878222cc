"""Smells: each fires on what it is for, and all are silent on sound data."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from rlfocal.records import Dataset
from rlfocal.records.folders import read_dataset
from rlfocal.records.schema import DatasetInfo
from rlfocal.records.smells import smells
from rlfocal.records.smells.spellings import NUMBERS, SPELLINGS, differ_in_signs
from rlfocal.records.synthetic import demo_dataset
from rlfocal.records.tables.build import build_table

N = 60
WORDS = [f"word{i}" for i in range(N)]


def data(
    answers: Mapping[str, Sequence[Any]],
    labels: Sequence[Any] = WORDS,
    *,
    scores: Mapping[str, Sequence[Any]] | None = None,
    choices: list[str] | None = None,
    prompts: Sequence[str] | None = None,
    stated: dict[str, float] | None = None,
    options: Sequence[list[float] | None] | None = None,
) -> Dataset:
    n = len(labels)
    queries = {
        "query_id": [f"q{i}" for i in range(n)],
        "prompt": list(prompts or [f"Question {i}?" for i in range(n)]),
        "label": list(labels),
        "choices": pa.array([choices] * n, pa.list_(pa.string())),
    }
    rows: dict[str, list[Any]] = {"query_id": [], "member": [], "answer": [], "score": []}
    for member, given in answers.items():
        for i, answer in enumerate(given):
            rows["query_id"].append(f"q{i}")
            rows["member"].append(member)
            rows["answer"].append(answer)
            rows["score"].append(None if scores is None else scores[member][i])
    types = {"answer": pa.string(), "score": pa.float64()}
    responses = pa.table({k: pa.array(v, types.get(k)) for k, v in rows.items()})
    if options is not None:
        responses = responses.append_column(
            "choice_scores", pa.array(options, pa.list_(pa.float64()))
        )
    info = DatasetInfo(member_accuracy=stated or {})
    return Dataset("small", pa.table(queries), responses, info)


def smelt(dataset: Dataset) -> tuple[str, ...]:
    return smells(dataset, build_table(dataset))


def partly(labels: Sequence[str], every: int, wrong: str = "other") -> list[str]:
    """Right but for every so many."""
    return [wrong if i % every == 0 else label for i, label in enumerate(labels)]


GOOD = partly(WORDS, 3)


def test_sound_data_do_not_smell() -> None:
    assert smelt(data({"ann": GOOD, "bob": partly(WORDS, 2)})) == ()
    assert smelt(demo_dataset()) == ()


def test_a_member_that_is_never_right() -> None:
    (said,) = smelt(data({"ann": GOOD, "bob": ["nonsense"] * N}))
    assert said.startswith("bob: 0 % right on 60 queries")
    assert "q0: answer 'nonsense', label 'word0'" in said


def test_a_few_queries_are_bad_luck() -> None:
    few = WORDS[:20]
    assert smelt(data({"ann": partly(few, 3), "bob": ["nonsense"] * 20}, few)) == ()


def test_nobody_is_ever_right() -> None:
    said = smelt(data({"ann": ["x"] * N, "bob": ["y"] * N}))
    assert len(said) == 1
    assert said[0].startswith("no member is ever right (60 queries)")


def test_who_never_answers_is_told_so_once() -> None:
    (said,) = smelt(data({"ann": GOOD, "bob": [None] * N}))
    assert said.startswith("bob: 60 of 60 replies hold no usable answer")


def test_most_replies_unusable() -> None:
    mostly = [word if i % 3 == 0 else None for i, word in enumerate(WORDS)]
    (said,) = smelt(data({"ann": GOOD, "bob": mostly}))
    assert said.startswith("bob: 40 of 60 replies hold no usable answer")
    half = [word if i % 2 == 0 else None for i, word in enumerate(WORDS)]
    assert smelt(data({"ann": GOOD, "bob": half})) == ()


def alike(answer: str | None, label: str, spelling: str) -> bool:
    way = {**SPELLINGS, **NUMBERS}[spelling]
    return bool(way(pa.array([answer], pa.string()), pa.array([label]))[0])


@pytest.mark.parametrize(
    ("answer", "label", "spelling"),
    [
        (" 12", "12", "blanks around"),
        ("Paris", "paris", "case"),
        ("58%", "58", "'%'"),
        ("58 percent", "58", "'%'"),
        ("395.0", "395", "the value of the number"),
        ("$1,750.50", "1750.5", "the value of the number"),
        ("-007", "-7", "the value of the number"),
        ("(word).", "word", "punctuation around"),
        ("New-York!", "new york", "punctuation, blanks and case"),
        ("B. iron", "B", "what follows the first letter"),
        ("Option (b)", "B", "what follows the first letter"),
        ("so it is 12 apples", "12", "what stands around the last number"),
        ("3 and then 4,000.0", "4000", "what stands around the last number"),
        ("3.14159", "3.14", "rounding"),
        ("1 May 2021", "2021-05-01", "the form of a date"),
        ("1/5/2021", "2021-05-01", "the form of a date"),
        ("13 May 2021", "05/13/2021", "the form of a date"),
        ("0.3", "0.333", "rounding"),
        ("17.6", "18", "rounding"),
        ("0.58", "58", "a factor of 100"),
        ("-5800", "-58", "a factor of 100"),
    ],
)
def test_spellings(answer: str, label: str, spelling: str) -> None:
    assert alike(answer, label, spelling)


@pytest.mark.parametrize(
    ("answer", "label", "spelling"),
    [
        ("12", "-12", "the value of the number"),
        ("1.2", "12", "the value of the number"),
        ("a dog", "A", "what follows the first letter"),
        ("5/2/2021", "5/1/2021", "what stands around the last number"),
        ("12", "1", "what stands around the last number"),
        ("%", "%%", "'%'"),
        ("3.15", "3.14", "rounding"),
        ("17.4", "18", "rounding"),
        ("0", "0.58", "a factor of 100"),
        ("0", "0", "a factor of 100"),
        ("5.8", "58", "a factor of 100"),
        ("9" * 40, "9" * 41, "rounding"),
        ("1,5", "15", "the value of the number"),
        (".5", "5", "punctuation around"),
        (".5", "5", "what stands around the last number"),
        ("1/2", "2", "what stands around the last number"),
        ("it is 10-50", "50", "what stands around the last number"),
        ("C#", "C", "what follows the first letter"),
        ("C++", "C", "what follows the first letter"),
        ("2 May 2021", "2021-05-03", "the form of a date"),
        ("Paris", "London", "the form of a date"),
    ],
)
def test_spellings_keep_apart_what_differs(answer: str, label: str, spelling: str) -> None:
    assert not alike(answer, label, spelling)
    assert not alike(None, label, spelling)


def test_answers_that_are_the_label_in_another_spelling() -> None:
    # the labels are texts as a whole, so answers are not read as numbers
    labels = [f"{i}" if i % 2 else f"word{i}" for i in range(N)]
    long = [f"I would say: {label}, surely" if i % 2 else label for i, label in enumerate(labels)]
    said = smelt(data({"ann": partly(labels, 3), "bob": long}, labels))
    assert len(said) == 1
    assert said[0].startswith(
        "bob: 30 wrong answers equal the label up to what stands around the last number: q1: "
    )
    assert " for '1'" in said[0]


def test_a_few_other_spellings_are_none() -> None:
    labels = [f"{i}" if i % 2 else f"word{i}" for i in range(N)]
    few = [f"say {t}" if i in (1, 3, 5, 7) else t for i, t in enumerate(partly(labels, 4))]
    assert smelt(data({"ann": partly(labels, 3), "bob": few}, labels)) == ()


def test_numbers_that_are_rounded_or_percentages() -> None:
    labels = [f"{i}.{i:02d}" for i in range(10, 10 + N)]
    exact = [f"{label}123" for label in labels]
    share = [f"{float(label) / 100:.6f}" for label in labels]
    said = smelt(data({"ann": partly(labels, 3, "7"), "bob": exact, "cyd": share}, labels))
    assert [line[:60] for line in said if line[:3] in ("bob", "cyd")] == [
        "bob: 0 % right on 60 queries: look how it writes its answers",
        "cyd: 0 % right on 60 queries: look how it writes its answers",
        "bob: 60 wrong answers equal the label up to rounding: q1: '1",
        "cyd: 60 wrong answers equal the label up to a factor of 100:",
    ]


def test_nearly_equal_names() -> None:
    answers = {"gpt-mini": GOOD, "gpt-mini ": GOOD[:4], "GPT_mini": GOOD[:9], "gpt-nano": GOOD}
    (said,) = smelt(data(answers))
    assert said == (
        "nearly equal names of members: 'GPT_mini' (9 responses), 'gpt-mini' (60 responses), "
        "'gpt-mini ' (4 responses); if they are one, write its name alike"
    )


def test_two_figures_for_one_thing() -> None:
    right = [float(a == b) for a, b in zip(GOOD, WORDS, strict=True)]
    other = [0.0 if i in range(1, 30) else r for i, r in enumerate(right)]
    (said,) = smelt(data({"ann": GOOD, "bob": GOOD}, scores={"ann": right, "bob": other}))
    assert said.startswith(
        "two figures: of 120 responses with a score and a label, 20 are judged otherwise by the "
        "score: bob 33.3 % by scores, 66.7 % here; such as q1: answer 'word1', label 'word1', "
        "score 0; the label counts"
    )
    assert smelt(data({"ann": GOOD, "bob": GOOD}, scores={"ann": right, "bob": right})) == ()


def test_on_multiple_choice_the_label_decides() -> None:
    letters = ["A", "B", "C"] * 20
    given = partly(letters, 4, "B")
    right = [float(a == b) for a, b in zip(given, letters, strict=True)]
    flipped = [1 - r for r in right]
    two = data(
        {"ann": given, "bob": given},
        letters,
        scores={"ann": right, "bob": flipped},
        choices=["x", "y", "z"],
    )
    (said,) = smelt(two)
    assert "60 are judged otherwise by the score: bob " in said


def test_nearly_all_labels_are_one_value() -> None:
    labels = ["A"] * 58 + ["B", "C"]
    given = partly(labels, 3, "C")
    (said,) = smelt(data({"ann": given, "bob": given}, labels, choices=["x", "y", "z"]))
    assert said.startswith(
        "nearly all labels are one value: 'A' in task 'all' (58 of 60): is `label`"
    )
    mixed = ["A"] * 50 + ["B", "C"] * 5
    given = partly(mixed, 3, "C")
    assert smelt(data({"ann": given, "bob": given}, mixed, choices=["x", "y", "z"])) == ()


def test_equal_questions_with_different_labels() -> None:
    prompts = [f"Question {max(i, 1)}?" for i in range(N)]
    (said,) = smelt(data({"ann": GOOD, "bob": GOOD}, prompts=prompts))
    assert said == (
        "1 questions stand more than once with different labels, such as q0 ('word0') and q1 "
        "('word1'): nobody can be right on both"
    )
    same = ["word1", *WORDS[1:]]
    assert smelt(data({"ann": GOOD, "bob": GOOD}, same, prompts=prompts)) == ()


def test_a_label_that_nobody_ever_gives() -> None:
    labels = ["neutral", "positive", "negative", "positive"] * 60
    given = ["neither" if label == "neutral" else label for label in labels]
    (said,) = smelt(data({"ann": partly(given, 5), "bob": partly(given, 7)}, labels))
    assert said.startswith("label 'neutral' stands on 60 queries and no member ever gave it; ")
    assert "'neither'" in said
    given[0] = "neutral"
    assert smelt(data({"ann": partly(given, 5), "bob": given}, labels)) == ()


def test_only_the_members_of_the_table_are_looked_at() -> None:
    dataset = data({"ann": GOOD, "bob": GOOD, "cyd": ["nonsense"] * N})
    assert smells(dataset, build_table(dataset, members=("ann", "bob"))) == ()
    assert len(smells(dataset, build_table(dataset, members=("ann", "cyd")))) == 1


def test_data_without_labels_or_without_answers() -> None:
    scores = {"ann": [1.0] * N, "bob": [0.0, 1.0] * (N // 2)}
    nothing = {"ann": [None] * N, "bob": [None] * N}
    assert smelt(data(nothing, [None] * N, scores=scores)) == ()
    assert smelt(data({"ann": GOOD, "bob": GOOD}, [None] * N, scores=scores)) == ()


@pytest.mark.slow
def test_a_million_responses_take_a_fraction_of_a_second() -> None:
    rng = np.random.default_rng(0)
    n_queries, n_members = 5_000, 200
    label = rng.integers(0, 1000, n_queries)
    wrong = rng.integers(0, 10**6, (n_queries, n_members))
    answer = np.where(rng.random(wrong.shape) < 0.6, label[:, None], wrong)
    ids = [f"q{i}" for i in range(n_queries)]
    queries = pa.table({"query_id": ids, "prompt": ids, "label": label.astype(str).tolist()})
    responses = pa.table(
        {
            "query_id": np.repeat(np.array(ids), n_members).tolist(),
            "member": [f"m{i}" for i in range(n_members)] * n_queries,
            "answer": answer.ravel().astype(str).tolist(),
        }
    )
    dataset = Dataset("big", queries, responses)
    table = build_table(dataset)
    start = time.process_time()
    assert smells(dataset, table) == ()
    assert time.process_time() - start < 3  # 0.3 s on an idle machine


@pytest.mark.shared
@pytest.mark.parametrize(
    ("name", "said"),
    [
        # Two questions of BIG-Bench Hard do stand in it twice, with either answer.
        ("bbh", ["2 questions stand more than once with different labels, such as "]),
        ("date_samples", []), ("gsm8k", []), ("mmlu_pro", []), ("routerbench", []),
        ("tasks10", []), ("bfcl", []), ("llmrouter", []), ("openllm_v2", []),
    ],
)  # fmt: skip
def test_recorded_data(shared_data: Path, name: str, said: list[str]) -> None:
    found = smelt(read_dataset(shared_data / name))
    assert [line[: len(start)] for line, start in zip(found, said, strict=True)] == said


SIGNS = [
    ("-50", "50"), ("50", "-50"), ("\u221250", "50"), ("3.5", "35"), ("35", "3.5"), (".5", "5"),
    ("C", "C#"), ("c", "C++"), ("C#", "C++"), ("1,5", "15"), ("f(x)", "fx"), ("a/b", "ab"),
    ("10:30", "1030"), ("5!", "5"), (".NET", "NET"), ("x*y", "xy"), ("1-2", "12"), ("a&b", "ab"),
    ("-x", "x"), ("A-", "A"), ("!x", "x"), ("*p", "p"), ("x'", "x"), ("<5", "5"), ("- 5", "5"),
]  # fmt: skip


@pytest.mark.parametrize(("answer", "label"), SIGNS)
def test_signs_points_and_symbols_of_code_are_no_spelling(answer: str, label: str) -> None:
    one, other = pa.array([answer]), pa.array([label])
    assert [name for name, way in SPELLINGS.items() if way(one, other)[0]] == []
    assert differ_in_signs(one, other)[0] or answer.strip("C#+") == label.strip("C#+")


def test_no_line_takes_such_a_pair_for_one_answer() -> None:
    labels = ["C#" if i % 2 else "iron ore" for i in range(4 * N)]
    given = ["C" if i % 2 else label for i, label in enumerate(labels)]
    said = smelt(data({"ann": given, "bob": partly(given, 3)}, labels))
    assert not any("equal the label" in line or "same words" in line for line in said)


def test_no_pair_is_shown_twice() -> None:
    labels = [["iron ore", "lead", "tin"][i % 3] for i in range(N)]
    given = [f"{label}." for label in labels]
    raw = Dataset("x", data({"ann": given, "bob": labels}, labels).queries,
                  data({"ann": given, "bob": labels}, labels).responses)  # fmt: skip
    table = build_table(raw)
    said = " ".join(smells(raw, table))
    assert said.count("'iron ore.'") <= 1


def test_dates_in_another_form() -> None:
    labels = [f"2021-05-{i % 28 + 1:02d}" if i % 2 else f"word{i}" for i in range(N)]
    given = [f"May {i % 28 + 1}, 2021" if i % 2 else t for i, t in enumerate(labels)]
    (said,) = smelt(data({"ann": partly(labels, 3), "bob": given}, labels))
    assert said.startswith("bob: 30 wrong answers equal the label up to the form of a date: q1: ")
    assert len(said) < 300


def test_an_accuracy_that_is_stated_otherwise() -> None:
    answers = {"ann": GOOD, "bob": partly(WORDS, 2)}
    assert smelt(data(answers, stated={"ann": 0.67, "bob": 0.5})) == ()  # rounded
    (said,) = smelt(data(answers, stated={"ann": 0.4, "bob": 0.5}))
    assert said.startswith(
        "`member_accuracy`: the source says ann 40.0 %, labels and answers give 66.7 %; "
    )
    many = {f"m{i}": GOOD for i in range(5)}
    (said,) = smelt(data(many, stated=dict.fromkeys(many, 0.1)))
    assert "; m1 10.0 %, 66.7 %; m2 10.0 %, 66.7 %; 2 more; " in said


def test_an_accuracy_that_scores_give_is_explained() -> None:
    scores = {name: [float(i < 24) for i in range(N)] for name in ("ann", "bob")}
    said = smelt(data({"ann": GOOD, "bob": GOOD}, scores=scores, stated={"ann": 0.4}))
    assert not any("member_accuracy" in line for line in said)


def test_of_a_part_another_accuracy_may_be_stated() -> None:
    dataset = data({"ann": GOOD, "bob": GOOD}, stated={"ann": 0.4})
    part = build_table(dataset).take(np.arange(N) < 30)
    assert not any("member_accuracy" in line for line in smells(dataset, part))


def test_option_scores_that_contradict_the_letter() -> None:
    letters = ["A", "B", "C"] * 20
    given = partly(letters, 4, "B")
    right = [[float(k == "ABC".index(x)) for k in range(3)] for x in given]

    def said_of(options: list[list[float] | None]) -> tuple[str, ...]:
        two: list[list[float] | None] = [*options, *[None] * N]
        both = {"ann": given, "bob": given}
        return smelt(data(both, letters, choices=["x", "y", "z"], options=two))

    assert said_of([*right]) == ()
    losses = [[-x for x in row] for row in right]
    (said,) = said_of([*losses])
    assert said.startswith("`choice_scores`: the largest is another option's than the letter")
    assert "ann (60 of 60)" in said
    assert "turn their sign around" in said
    assert said_of([*losses[:25], *right[25:55], None, *right[:4]]) == ()


def test_lines_are_short_whatever_the_names() -> None:
    names = [f"{'organisation' * 9}/model-{i}" for i in range(5)]
    right = [float(a == b) for a, b in zip(GOOD, WORDS, strict=True)]
    wrong = [1 - r for r in right]
    said = smelt(
        data(
            dict.fromkeys(names, GOOD),
            scores=dict.fromkeys(names, wrong),
            stated=dict.fromkeys(names, 0.1),
        )
    )
    assert said
    assert [line for line in said if len(line) >= 300] == []
