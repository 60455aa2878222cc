"""Pairs of calls that mean the same, or do not: the canonical form against a reader's judgement."""

from __future__ import annotations

import pytest

from rlfocal.toolcalls import NO_CALL, Outcome, ToolCallExtractor, read_text

CITY = '"city": "Oslo"'


def forecast(more: str) -> str:
    return f'[{{"name": "weather.forecast", "arguments": {{{CITY}, {more}}}}}]'


def search(more: str) -> str:
    return f'[{{"name": "search", "arguments": {{"query": "x", {more}}}}}]'


def book(room: str) -> str:
    return f'[{{"book": {{"date": "d", "guests": 1, "room": {room}}}}}]'


def code(value: str) -> str:
    return f'[{{"book": {{"date": "d", "guests": 1, "code": {value}}}}}]'


OSLO = f'[{{"name": "weather.forecast", "arguments": {{{CITY}}}}}]'

SAME = {
    "arguments in another order": (
        forecast('"days": 2, "at": "noon"'),
        forecast('"at": "noon", "days": 2'),
    ),
    "space in JSON": (OSLO, '[{"name":"weather.forecast","arguments":{"city":"Oslo"}}]'),
    "space around a text": (OSLO, '[weather.forecast(city=" Oslo ")]'),
    "composed letters": (
        '[weather.forecast(city="Orl\u00e9ans")]',
        '[weather.forecast(city="Orle\u0301ans")]',
    ),
    "escaped letters": ('[{"ping": {"a": "caf\\u00e9"}}]', '[{"ping": {"a": "café"}}]'),
    "a number as text": (forecast('"days": "5"'), forecast('"days": 5')),
    "a whole number with a fraction of none": (forecast('"days": 5.0'), forecast('"days": 5')),
    "both": (forecast('"days": "5.0"'), forecast('"days": 5')),
    "a negative number as text": (forecast('"days": "-5"'), forecast('"days": -5')),
    "numbers in a list": (
        "[distance(start=(1, 2), end=(3, 4))]",
        "[distance(start=[1.0, 2.0], end=['3', 4])]",
    ),
    "an exponent": ("[distance(start=[1e3], end=[1])]", "[distance(start=[1000], end=[1])]"),
    "a sum": ("[distance(start=[1 / 4], end=[2 * 3])]", "[distance(start=[0.25], end=[6])]"),
    "a text written as a number": (code("42"), code('"42"')),
    "true as text": (forecast('"precise": "true"'), forecast('"precise": true')),
    "True of Python": (
        "[weather.forecast(city='Oslo', precise=True)]",
        forecast('"precise": true'),
    ),
    "enum in other letters": (forecast('"unit": "fahrenheit"'), forecast('"unit": "Fahrenheit"')),
    "enum in capitals with space": (
        forecast('"unit": " FAHRENHEIT"'),
        forecast('"unit": "Fahrenheit"'),
    ),
    "default given": (forecast('"days": 3'), OSLO),
    "default given as text": (forecast('"days": "3"'), OSLO),
    "default of an enum in other letters": (forecast('"unit": "celsius"'), OSLO),
    "default that is false": (forecast('"precise": false'), OSLO),
    "default 1 given as 1.0": (
        "[distance(start=[1], end=[2], scale=1.0)]",
        "[distance(start=[1], end=[2])]",
    ),
    "default within": (book('{"kind": "single", "floor": 1}'), book('{"kind": "single"}')),
    "null of an optional argument": (forecast('"at": null'), OSLO),
    "None of Python": ("[weather.forecast(city='Oslo', at=None)]", OSLO),
    "enum within": (book('{"kind": "Single"}'), book('{"kind": "single"}')),
    "a set in another order": (
        book('{"kind": "single", "extras": ["tv", "bar"]}'),
        book('{"kind": "single", "extras": ["bar", "tv"]}'),
    ),
    "an object as text": (book('"{\\"kind\\": \\"single\\"}"'), book('{"kind": "single"}')),
    "a list as text": (forecast('"tags": "[\\"a\\", \\"b\\"]"'), forecast('"tags": ["a", "b"]')),
    "keys of an object in another order": (
        search('"more": {"a": 1, "b": 2}'),
        search('"more": {"b": 2, "a": 1}'),
    ),
    "parallel calls in another order": (
        "[ping(), weather.forecast(city='Oslo')]",
        "[weather.forecast(city='Oslo'), ping()]",
    ),
    "a name with _ for .": ("[weather_forecast(city='Oslo')]", OSLO),
    "a namespace": ("[functions.weather_forecast(city='Oslo')]", OSLO),
    "arguments by place": ("[weather.forecast('Oslo', 2)]", forecast('"days": 2')),
    "options as one object": (
        "ui.setText({text: 'a', start: 5})",
        '[{"ui_setText": {"text": "a", "start": "5"}}]',
    ),
    "Java's list": (
        'ui.setText("a", 5, new ArrayList<>(Arrays.asList("x", "y")))',
        "[ui.setText(text='a', start=5, lines=['x', 'y'])]",
    ),
    "Java's long": ("ui.setText(text='a', start=5L)", "ui.setText(text='a', start=5)"),
    "anyOf that reads as its first": (search('"filter": 5.0'), search('"filter": 5')),
    "oneOf by its constant": (
        search('"within": {"by": "year", "of": "1999"}'),
        search('"within": {"by": "year", "of": 1999}'),
    ),
    "integer or null": (search('"limit": "5"'), search('"limit": 5')),
    "no calls": ("[]", '{"tool_calls": []}'),
    "no call in prose": ("[]", "Which city do you mean?"),
    "a name as text": ("[weather.forecast(city=Oslo)]", OSLO),
    "quotes of either kind": (
        "[weather.forecast(city='O\\'Hare')]",
        '[weather.forecast(city="O\'Hare")]',
    ),
}

DIFFERENT = {
    "another function": ("[ping()]", OSLO),
    "another value": (forecast('"days": 5'), forecast('"days": 6')),
    "an argument more": (forecast('"at": "noon"'), OSLO),
    "an argument that no schema describes": (forecast('"colour": "red"'), OSLO),
    "null that no schema describes": (search('"more": {"a": null}'), search('"more": {}')),
    "null beside another default": (search('"limit": null'), search('"limit": 10')),
    "letters of a free text": ("[weather.forecast(city='oslo')]", OSLO),
    "space within a text": (
        "[weather.forecast(city='New  York')]",
        "[weather.forecast(city='New York')]",
    ),
    "a full stop in a text": (
        "[weather.forecast(city='St. Ives')]",
        "[weather.forecast(city='St Ives')]",
    ),
    "an accent": ("[weather.forecast(city='Orleans')]", "[weather.forecast(city='Orléans')]"),
    "a country said": ("[weather.forecast(city='Oslo, Norway')]", OSLO),
    "lists in another order": (forecast('"tags": ["a", "b"]'), forecast('"tags": ["b", "a"]')),
    "points in another order": (
        "[distance(start=[1, 2], end=[3, 4])]",
        "[distance(start=[2, 1], end=[3, 4])]",
    ),
    "one of a list": (forecast('"tags": ["a"]'), forecast('"tags": "a"')),
    "a list as text with commas": (forecast('"tags": "a, b"'), forecast('"tags": ["a", "b"]')),
    "a call twice": ("[ping(), ping()]", "[ping()]"),
    "a call twice, another once": (
        "[ping(), ping(), weather.forecast('Oslo')]",
        "[ping(), weather.forecast('Oslo'), weather.forecast('Oslo')]",
    ),
    "a date written otherwise": ("[book('2024-05-06', 1)]", "[book('6 May 2024', 1)]"),
    "a date with another order": ("[book('05-06-2024', 1)]", "[book('06-05-2024', 1)]"),
    "a date without noughts": ("[book('2024-5-6', 1)]", "[book('2024-05-06', 1)]"),
    "a unit said": (search('"more": "5 km"'), search('"more": "5000 m"')),
    "a unit in the place of a number": (forecast('"days": "5 days"'), forecast('"days": 5')),
    "a unit in other letters": (search('"more": "5 KM"'), search('"more": "5 km"')),
    "percent": (search('"more": "5%"'), search('"more": 0.05')),
    "half a day": (forecast('"days": 2.5'), forecast('"days": 2')),
    "thousands": (forecast('"days": "1,000"'), forecast('"days": 1000')),
    "number words": (forecast('"days": "five"'), forecast('"days": 5')),
    "1 and true": (forecast('"precise": 1'), forecast('"precise": true')),
    "yes and true": (forecast('"precise": "yes"'), forecast('"precise": true')),
    "text and number where anything goes": (search('"more": "5"'), search('"more": 5')),
    "text and number where both go": (search('"filter": "5"'), search('"filter": 5')),
    "code with noughts": (code('"042"'), code('"42"')),
    "an enum's abbreviation": (forecast('"unit": "F"'), forecast('"unit": "Fahrenheit"')),
    "an empty text": (forecast('"at": ""'), OSLO),
    "an empty list": (forecast('"tags": []'), OSLO),
    "default of a text like it": (forecast('"days": "three"'), OSLO),
    "letters in a function's name": ("[Ping()]", "[ping()]"),
    "part of a function's name": ("[forecast(city='Oslo')]", OSLO),
    "another constant": (
        search('"within": {"by": "year", "of": 1999}'),
        search('"within": {"by": "name", "of": "1999"}'),
    ),
    "a call and none": ("[ping()]", "[]"),
    "an expression": ("[weather.forecast(city=home())]", "[weather.forecast(city=work())]"),
}


def meant(reader: ToolCallExtractor, text: str) -> str | None:
    """The calls of a text, an answer or not."""
    reading = read_text(text, reader.tools)
    if reading.outcome is Outcome.NO_CALL:
        return NO_CALL
    found = reader.meant(reading)
    return None if found is None else found.form


def test_there_are_enough_pairs() -> None:
    assert len(SAME) + len(DIFFERENT) >= 60


@pytest.mark.parametrize(("a", "b"), SAME.values(), ids=SAME)
def test_calls_that_mean_the_same_are_one_string(reader: ToolCallExtractor, a: str, b: str) -> None:
    assert meant(reader, a) is not None
    assert meant(reader, a) == meant(reader, b)
    assert reader.equal(a, b) == reader.equal(b, a) == (reader.extract(a) is not None)


@pytest.mark.parametrize(("a", "b"), DIFFERENT.values(), ids=DIFFERENT)
def test_calls_that_differ_are_two(reader: ToolCallExtractor, a: str, b: str) -> None:
    assert meant(reader, a) is not None
    assert meant(reader, a) != meant(reader, b)
    assert not reader.equal(a, b)
    assert not reader.equal(b, a)
