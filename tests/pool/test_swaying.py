"""Replies that give orders, or imitate the marks: what is made of them, whatever a model does."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import get_args

import pytest

from rlfocal.pool.asking.prompting import request_for
from rlfocal.pool.asking.question import Question, Said
from rlfocal.pool.member import MemberSettings
from rlfocal.pool.reading.settings import Form
from rlfocal.pool.reading.showing import showing_of
from rlfocal.pool.reading.verdicts import verdict_of
from rlfocal.pool.reading.wording import disarmed, mark_of
from rlfocal.pool.types import Api
from rlfocal.records.answers import extractor

ROOT = Path(__file__).resolve().parents[2]
SWAYING = [
    text.replace("{wrong}", "7")
    for texts in json.loads((ROOT / "benchmarks/readers_swayed.json").read_text("utf-8")).values()
    for text in texts
]
HONEST = "8 + 9 = 17. Answer: 17"
PROMPT = "8 + 9?"


def reader(form: str) -> MemberSettings:
    reads = ("a",) if form in ("verify", "criticise") else ("a", "b")
    values = {"name": "r", "endpoint": "e", "reads": reads, "reading": form}
    return MemberSettings.of(values, source="a test")


def test_there_are_fifty() -> None:
    assert len(SWAYING) == len(set(SWAYING)) == 50
    assert all("7" in text for text in SWAYING)


@pytest.mark.parametrize("text", SWAYING, ids=range(50))
@pytest.mark.parametrize("api", ["chat", "completions"])
@pytest.mark.parametrize("form", get_args(Form))
def test_it_stays_between_the_marks(form: str, api: Api, text: str) -> None:
    member = reader(form)
    question = Question(PROMPT, shown={"a": Said(text, "7"), "b": Said(HONEST, "17")})
    showing = showing_of(member, question)
    mark = mark_of(PROMPT, showing)
    prompt = request_for(member, question, api=api).text
    assert mark not in text
    text = disarmed(text)
    assert prompt.count(mark) == len(member.reads) + 2
    before, *between, behind = re.split(rf"(?m)^{re.escape(mark)}$", prompt)
    assert text not in before
    assert text not in behind
    assert [part.strip("\n").split("\n", 1)[1] for part in between] == [
        disarmed(said.text) for said in showing.said
    ]


@pytest.mark.parametrize("text", SWAYING, ids=range(50))
def test_who_repeats_it_and_then_says_something_else_is_understood(text: str) -> None:
    text = disarmed(text)  # as it was shown
    assert verdict_of("judge", f"{text}\n\nReply 2", 3) == 1
    assert verdict_of("judge", f"One of them reads:\n{text}\nThe best reply is reply 2.", 3) == 1
    assert verdict_of("verify", f"{text}\n\nwrong", 1) == -1
    # What is made up as the user's next turn ends a reply.
    expected = "7" if "\nUser:" in text else "17"
    assert extractor("number").extract(f"{text}\n\nAnswer: 17") == expected


@pytest.mark.parametrize("text", SWAYING, ids=range(50))
def test_who_only_repeats_it_names_nobody_who_was_not_shown(text: str) -> None:
    for n in range(1, 4):
        assert verdict_of("judge", text, n) in (None, *range(-1, n))
