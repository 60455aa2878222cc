"""Dates: every way of writing a day, and what is none."""

from __future__ import annotations

import datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlfocal.records.answers.dates import DateExtractor

REPLIES = [
    ("05/01/2021", "05/01/2021"),
    ("The answer is 5/1/2021.", "05/01/2021"),
    ("From 04/30/2021 on, the answer is 05/01/2021, not 05/02/2021.", "05/01/2021"),
    ("Today is 04/30/2021. Tomorrow: 05/01/2021", "05/01/2021"),
    ("2021-05-01", "05/01/2021"),
    ("It is May 1st, 2021", "05/01/2021"),
    ("1 Sept. 2021", "09/01/2021"),
    ("the 3rd of March 1999", "03/03/1999"),
    ("02/29/2020", "02/29/2020"),
    ("02/30/2021", None),
    ("13/01/2021", "01/13/2021"),  # there is no 13th month
    ("1/2/03", None),
    ("105/01/2021", None),
    ("2021", None),
    ("", None),
]
FORMATS = (
    "{m}/{d}/{y}", "{m:02}/{d:02}/{y}", "{y}-{m:02}-{d:02}", "{y}/{m}/{d}", "{y}.{m:02}.{d:02}",
    "{y}{m:02}{d:02}", "{d:02}.{m:02}.{y}", "{name} {d}, {y}", "{d} {name} {y}", "{d}-{short}-{y}",
    "{name} the {d}th, {y}", "the {d}th of {name} {y}", "{name} {d}th {y}", "{short}. {d}, {y}",
    "Monday, {name} {d}, {y}", "{name} {d}, {y} (Monday)", "{y}年{m}月{d}日",
    "{y}-{m:02}-{d:02}T10:30:00Z",
)  # fmt: skip
DRESSES = ("{}", " {} ", "{}.", "**{}**", '"{}"', "\\boxed{{{}}}", "$\\boxed{{\\text{{{}}}}}$")
DAYS = st.dates(datetime.date(1900, 1, 1), datetime.date(2099, 12, 31))


@pytest.mark.parametrize(("reply", "date"), REPLIES)
def test_a_reply_settles_on(reply: str, date: str | None) -> None:
    assert DateExtractor().extract(reply) == date


def _spellings(day: datetime.date) -> list[str]:
    parts = {
        "y": day.year, "m": day.month, "d": day.day,
        "name": f"{day:%B}", "short": f"{day:%b}",
    }  # fmt: skip
    return [dress.format(form.format(**parts)) for form in FORMATS for dress in DRESSES]


@pytest.mark.slow
@settings(deadline=None, max_examples=40)
@given(day=DAYS)
def test_every_spelling_of_a_day_is_that_day(day: datetime.date) -> None:
    tool = DateExtractor()
    for spelling in _spellings(day):
        assert tool.read(spelling) == f"{day:%m/%d/%Y}", spelling
        assert tool.extract(spelling) == f"{day:%m/%d/%Y}", spelling
        assert tool.extract(f"Not 1/1/2000. The answer is {spelling}") == f"{day:%m/%d/%Y}"


@settings(deadline=None, max_examples=60)
@given(day=DAYS)
def test_the_day_first_where_it_is_asked_for(day: datetime.date) -> None:
    tool = DateExtractor(day_first=True)
    canonical = f"{day:%d/%m/%Y}"
    assert tool.read(canonical) == canonical
    assert tool.read(f"{day:%Y-%m-%d}") == canonical
    assert tool.read(f"{day:%B} {day.day}, {day.year}") == canonical
    if day.day > 12:
        assert tool.read(f"{day:%m/%d/%Y}") == canonical


@pytest.mark.parametrize(
    "text",
    ["May 2021", "in 2021", "1.2.3", "12345678", "5/1", "10:30", "from 5/1/2021 to 5/2/2021",
     "05/01/2021 or 05/02/2021", "29 February 2021", "00/10/2021", "Maya 1, 2021"],
)  # fmt: skip
def test_what_is_no_day_as_a_whole(text: str) -> None:
    assert DateExtractor().read(text) is None


def test_equal_is_the_same_day() -> None:
    assert DateExtractor().equal("May 1, 2021", "2021-05-01")
    assert not DateExtractor().equal("May 1, 2021", "2021-05-02")
    assert not DateExtractor().equal("soon", "soon")
