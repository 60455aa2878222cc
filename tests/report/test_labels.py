from __future__ import annotations

import html

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlfocal import markup
from rlfocal.report import labels

NAMES = st.lists(
    st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), min_size=1, max_size=40),
    min_size=1,
    max_size=12,
    unique=True,
)


@given(NAMES)
@settings(deadline=None, max_examples=200)
def test_short_names_stay_distinct_and_in_order(names: list[str]) -> None:
    short = labels.short_names(names, limit=9)
    assert len(set(short)) == len(names)
    for name, cut in zip(names, short, strict=True):
        head, _, tail = cut.partition("…")
        assert cut in name or (head in name and tail in name)


def test_names_that_shorten_alike_are_shown_whole() -> None:
    long = ["gpt-3.5-turbo|pot2_t=0.8_version_a_x", "gpt-3.5-turbo|pot2_t=0.8_Version_a_x"]
    assert labels.short_names(long, limit=11) == long


@given(st.text())
@settings(deadline=None)
def test_escaping_leaves_nothing_that_html_reads_and_can_be_undone(text: str) -> None:
    escaped = markup.escape(text)
    assert not set(escaped) & set("<>\"'")
    assert html.unescape(escaped) == html.unescape(html.escape(text))


@pytest.mark.parametrize(
    ("usd", "shown"),
    [
        (0.0, "0"),
        (12.5, "12,500"),
        (0.5, "500"),
        (0.0123, "12.3"),
        (0.00004567, "0.0457"),
    ],
)
def test_money_is_that_of_a_thousand_queries_to_three_digits(usd: float, shown: str) -> None:
    assert labels.money(usd) == shown


@pytest.mark.parametrize(
    "shown",
    [labels.number(float("nan")), labels.percent(float("nan")), labels.points(float("inf"))],
)
def test_a_missing_number_is_a_dash(shown: str) -> None:
    assert shown == "\N{EN DASH}"


def test_negative_numbers_have_a_minus_sign() -> None:
    assert labels.points(-0.0123) == "\N{MINUS SIGN}1.2"
    assert labels.interval((-0.01, 0.02), signed=True) == "[\N{MINUS SIGN}1.0, +2.0]"


@pytest.mark.parametrize(
    ("duration", "shown"),
    [
        (0.004, "< 0.01 s"),
        (0.25, "0.25 s"),
        (3.21, "3.2 s"),
        (59.99, "60.0 s"),
        (200, "3 min 20 s"),
    ],
)
def test_durations_get_fewer_digits_as_they_grow(duration: float, shown: str) -> None:
    assert labels.seconds(duration) == shown
