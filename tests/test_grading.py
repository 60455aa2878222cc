"""Replies become answers and scores: by label, by option scores, or by a user's own scorer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rlfocal.errors import ConfigError
from rlfocal.grading import Grade, Grader, load_scorer
from rlfocal.pool.asking.question import Said
from rlfocal.pool.member import MemberSettings
from rlfocal.pool.reading.settings import Form
from rlfocal.pool.reading.showing import Showing
from rlfocal.pool.types import Response
from rlfocal.records.kinds import Kind

SPOKEN = MemberSettings(name="m", endpoint="e")
SCORED = MemberSettings(name="m", endpoint="e", answers="option-scores")


def query(label: str | None = None, choices: list[str] | None = None) -> dict[str, Any]:
    return {"query_id": "q1", "task": "t", "prompt": "?", "choices": choices, "label": label}


@pytest.mark.parametrize(
    ("kind", "label", "text", "expected"),
    [
        ("number", "1200", "He pays $1,200.00 in all.", Grade("1200", 1.0, None)),
        ("number", "1200", "It is 12.", Grade("12", 0.0, None)),
        ("number", "1200", "I do not know.", Grade(None, 0.0, None)),
        ("number", None, "It is 12.", Grade("12", None, None)),
        ("math", "0.5", r"\boxed{\frac{1}{2}}", Grade(r"\frac{1}{2}", 1.0, None)),
        ("text", "The Beatles", "the answer is Beatles.", Grade("beatles", 1.0, None)),
    ],
)
def test_open_answers(kind: str, label: str | None, text: str, expected: Grade) -> None:
    found = Grader(kind).grade(query(label), SPOKEN, Response(text))
    assert (found.score, found.choice_scores) == (expected.score, None)
    assert found.answer == expected.answer


def test_choices_by_reply_and_by_option_scores() -> None:
    asked = query("B", ["iron", "water", "air"])
    assert Grader().grade(asked, SPOKEN, Response("The answer is (B).")) == Grade("B", 1.0, None)
    reply = Response("A", first_logprobs={"A": -2.0, " B": -1.0, "C": -4.0})
    assert Grader().grade(asked, SCORED, reply) == Grade("B", 1.0, (-2.0, -1.0, -4.0))
    assert Grader().grade(asked, SCORED, Response("A")) == Grade(None, 0.0, None)


def test_a_letter_that_is_not_told_is_a_bound_and_never_the_answer() -> None:
    asked = query("C", ["iron", "water", "air"])
    # C is told, and is the least likely of all that is: A and B are at most as likely.
    reply = Response("x", first_logprobs={"x": -0.5, "C": -2.0})
    assert Grader().grade(asked, SCORED, reply) == Grade("C", 1.0, (-2.0, -2.0, -2.0), 2)
    nothing = Response("x", first_logprobs={"A": float("-inf"), "B": -0.1})
    assert Grader().grade(asked, SCORED, nothing).choice_scores == (-103.0, -0.1, -103.0)
    assert Grader().grade(asked, SCORED, nothing).n_bounds == 1


def test_an_unknown_kind_is_refused_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match="did you mean 'number'"):
        Grader("numbr")


def test_each_task_is_read_by_its_own_kind() -> None:
    grader = Grader(tasks={"t": Kind("number"), "u": Kind("text")})
    assert grader.grade(query("5"), SPOKEN, Response("It is 5.0.")).answer == "5"
    asked = query("5.0") | {"task": "u"}
    assert grader.grade(asked, SPOKEN, Response("Paris")).answer == "paris"
    assert grader.answers == {"t": "number", "u": "text"}
    assert Grader("number").answers == "number"


def test_a_reply_cut_off_before_its_answer_has_none() -> None:
    cut = Response("First 3 * 4 = 12, then 12 + 1", finish="length")
    assert Grader("number").grade(query("12"), SPOKEN, cut) == Grade(None, 0.0, None)
    whole = Response("The answer is 12. Let me check: 3", finish="length")
    assert Grader("number").grade(query("12"), SPOKEN, whole) == Grade("12", 1.0, None)


SCORER = """
def length(query, reply):
    return min(len(reply) / 10, 1)

def broken(query, reply):
    return {}[query["query_id"]]

def too_much(query, reply):
    return 7
"""


@pytest.fixture
def scorers(tmp_path: Path) -> Path:
    path = tmp_path / "mine.py"
    path.write_text(SCORER)
    return path


def test_a_users_scorer_judges_instead_of_the_label(scorers: Path) -> None:
    grader = Grader("number", load_scorer(f"{scorers}:length"))
    assert grader.grade(query("5"), SPOKEN, Response("It's 5")) == Grade("5", 0.6, None)


@pytest.mark.parametrize(
    ("name", "message"),
    [("broken", "failed on query 'q1': KeyError"), ("too_much", "gave 7.0 for query 'q1'")],
)
def test_a_scorers_failure_names_the_query(scorers: Path, name: str, message: str) -> None:
    grader = Grader(scorer=load_scorer(f"{scorers}:{name}"))
    with pytest.raises(ConfigError, match=message):
        grader.grade(query(), SPOKEN, Response("x"))


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("mine.py", "should be FILE.py:FUNCTION"),
        ("nowhere.py:f", "is no file"),
        ("{}:lenght", "did you mean 'length'"),
    ],
)
def test_a_scorer_that_is_not_there_is_named(scorers: Path, spec: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load_scorer(spec.format(scorers))


def test_a_file_that_cannot_be_run_is_named(tmp_path: Path) -> None:
    path = tmp_path / "bad.py"
    path.write_text("def f(:\n")
    with pytest.raises(ConfigError, match="SyntaxError"):
        load_scorer(f"{path}:f")


SHOWN = Showing(("a", "b"), (Said("It is 5.", "5"), Said("It is 7.", "7")))


def reader(reading: Form, reads: tuple[str, ...] = ("a", "b")) -> MemberSettings:
    return MemberSettings(name="m", endpoint="e", reads=reads, reading=reading)


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("Reply 2", Grade("7", 1.0, None, verdict=1)),
        ("<think>Reply 2? No.</think>1", Grade("5", 0.0, None, verdict=0)),
        ("Both are good.", Grade(None, 0.0, None)),
        ("3", Grade(None, 0.0, None)),
    ],
)
def test_a_judges_answer_is_that_of_the_reply_it_names(said: str, expected: Grade) -> None:
    for form in ("judge", "pairwise"):
        found = Grader("number").grade(query("7"), reader(form), Response(said), SHOWN)
        assert found == expected
    unlabelled = Grader("number").grade(query(), reader("judge"), Response(said), SHOWN)
    assert unlabelled == expected._replace(score=None)


def test_who_verifies_backs_the_reply_or_has_no_answer() -> None:
    shown = Showing(("b",), (Said("It is 7.", "7"),))
    by = reader("verify", ("b",))
    right = Grader("number").grade(query("7"), by, Response("Right"), shown)
    assert right == Grade("7", 1.0, None, verdict=0)
    wrong = Grader("number").grade(query("7"), by, Response("It is wrong."), shown)
    assert wrong == Grade(None, 0.0, None, verdict=-1)


def test_who_criticises_gives_no_answer_and_others_are_read_as_ever() -> None:
    said = Response("The first says 5, but it is 7.")
    assert Grader("number").grade(query("7"), reader("criticise"), said, SHOWN) == Grade(
        None, 0.0, None
    )
    for form in ("aggregate", "debate", "refine"):
        found = Grader("number").grade(query("7"), reader(form), said, SHOWN)
        assert found == Grade("7", 1.0, None)


def test_a_scorer_judges_the_reply_that_is_named(tmp_path: Path) -> None:
    grader = Grader(scorer=lambda _, text: len(text) / 100)
    named = Showing(("a", "b"), (Said("x" * 40, None), Said("y" * 60, None)))
    found = grader.grade(query(), reader("judge"), Response("2"), named)
    assert found == Grade(None, 0.6, None, verdict=1)
    assert grader.grade(query(), reader("judge"), Response("?"), named).score == 0.0
    assert grader.grade(query(), reader("criticise"), Response("long " * 9), named).score == 0.0


MARK = "=== 02501942d89ac738 ==="


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        (f"It is right.\n{MARK}\nRemarks:\nIt is right.", None),
        (f"It is 12.\n{MARK}\nRemarks:\n{MARK}", "12"),
        ("It is 12, not 5832a9cd295b57a4.", "12"),
        ("It is right.\n=== 0250", None),
        ("=== 1234567890123456 ===\nAnswer: 7", "7"),
        ("1 + 1 === 2", "2"),
        ("Answer: 1234567890123456", "1234567890123456"),
    ],
)
def test_marks_that_a_reader_repeats_are_no_answer(said: str, answer: str | None) -> None:
    query = {"query_id": "q", "task": "t", "prompt": "?", "choices": None, "label": "12"}
    for form in ("aggregate", "debate", "refine"):
        found = Grader("number").grade(query, reader(form), Response(said))
        assert found.answer == answer, form


def test_marks_that_a_judge_repeats_are_no_verdict() -> None:
    query = {"query_id": "q", "task": "t", "prompt": "?", "choices": None, "label": "12"}
    showing = Showing(("a", "b"), (Said("it is 12", "12"), Said("it is 2", "2")))
    for said, verdict in ((f"{MARK}\n2", 1), ("=== 1250194cd89ac738 ===\nReply 2", 1)):
        found = Grader("number").grade(query, reader("judge"), Response(said), showing)
        assert found.verdict == verdict
