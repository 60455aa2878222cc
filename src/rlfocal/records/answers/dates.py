r"""The date that a reply settles on.

Rules of BIG-bench's date_understanding, whose questions ask for MM/DD/YYYY: the first date behind
the last mark of an answer, else the last date in the text.

Departures: dates are read in the ways that people write them (ISO, compact, with a month's name in
six languages, with dots, Chinese); what is no day of the calendar (02/30/2021) is no answer, and
neither is a year of two digits.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterator
from dataclasses import dataclass

from rlfocal.records.answers.replies.cleaning import even, plain, unwrapped
from rlfocal.records.answers.replies.markers import Mark
from rlfocal.records.answers.replies.settling import SEVERAL, Rules, is_refusal

__all__ = ["DateExtractor"]

MAX_WHOLE = 80
"""A longer text is more than a date."""

TAIL = 1000
"""Characters at the end of a reply that are looked at first."""

_YEAR_ANYWHERE = re.compile(r"[0-9]{4}")
_MONTHS = {
    name: number
    for number, names in enumerate(
        (
            "january jan januar enero janvier gennaio janeiro",
            "february feb februar febrero février fevrier febbraio fevereiro",
            "march mar märz maerz marzo mars março marco",
            "april apr abril avril aprile",
            "may mai mayo maggio maio",
            "june jun juni junio juin giugno junho",
            "july jul juli julio juillet luglio julho",
            "august aug agosto août aout",
            "september sep sept septiembre septembre settembre setembro",
            "october oct oktober okt octubre octobre ottobre outubro",
            "november nov noviembre novembre novembro",
            "december dec dezember dez diciembre décembre decembre dicembre dezembro",
        ),
        start=1,
    )
    for name in names.split()
}
_NAME = "(" + "|".join(sorted(_MONTHS, key=len, reverse=True)) + r")(?![a-zà-ÿ])\.?"
_DAY = r"([0-9]{1,2})(?:st|nd|rd|th|er|°|\.)?"
_YEAR = r"([0-9]{4})(?![0-9])"
_DATE = re.compile(
    r"(?<![0-9/-])([0-9]{1,2})([/-])([0-9]{1,2})\2([0-9]{4})(?![0-9/]|-[0-9])"
    r"|(?<![0-9.])([0-9]{1,2})\.\s?([0-9]{1,2})\.\s?([0-9]{4})(?![0-9]|\.[0-9])"
    r"|(?<![0-9/-])([0-9]{4})([/.-])([0-9]{1,2})\9([0-9]{1,2})(?![0-9/]|-[0-9])"
    r"|([0-9]{4})\s?[年년]\s?([0-9]{1,2})\s?[月월]\s?([0-9]{1,2})\s?[日号일]?"
    r"|(?<![0-9.,/-])((?:19|20)[0-9]{2})([01][0-9])([0-3][0-9])(?![0-9/-]|[.,][0-9])"
    rf"|(?<![a-zà-ÿ]){_NAME}(?:[\s-]|,\s)\s?(?:the\s)?{_DAY}(?:,\s?|\s|-|\sof\s|,?\sin\s)\s?{_YEAR}"
    rf"|(?<![0-9/.-]){_DAY}(?:\s|-)?\s?(?:of\s|de\s|day\sof\s)?{_NAME}(?:,\s?|\s|-)?\s?(?:of\s|del?\s)?{_YEAR}"
    rf"|(?<![0-9]){_YEAR}(?:,\s?|\s|-){_NAME}(?:\s|-){_DAY}(?![0-9])",
    re.IGNORECASE,
)
_WEEKDAY = (
    r"(?:(?:mon|tues|wednes|thurs|fri|satur|sun)day|mon|tue|wed|thu|fri|sat|sun|montag|dienstag|"
    r"mittwoch|donnerstag|freitag|samstag|sonntag)"
)
_BEFORE = re.compile(rf"(?:(?:on\s)?{_WEEKDAY}\.?,?\s*|(?:on|the|am|le|el)\s+)*", re.IGNORECASE)
_BEHIND = re.compile(
    rf"(?:\s*[,(]?\s*{_WEEKDAY}\s*\)?|[T\s][0-9]{{2}}:[0-9]{{2}}(?::[0-9]{{2}})?(?:\.[0-9]+)?"
    r"(?:Z|[+-][0-9]{2}:?[0-9]{2})?|\s*[日号])*\s*\.?",
    re.IGNORECASE,
)
_MONTH_FIRST = re.compile(r"(?:0[1-9]|1[0-2])/(?:0[1-9]|1[0-9]|2[0-8])/[1-9][0-9]{3}")
_DAY_FIRST = re.compile(r"(?:0[1-9]|1[0-9]|2[0-8])/(?:0[1-9]|1[0-2])/[1-9][0-9]{3}")
"""Canonical dates that need no look at the calendar."""
_WRAPS = re.compile(
    r"\\(?:boxed|fbox)\s?\{(.*)\}|\"(.*)\"|'(.*)'|\$(.*)\$|\((.*)\)|\[(.*)\]|\{(.*)\}"
)


@dataclass(frozen=True)
class DateExtractor(Rules):
    """Calendar dates.

    Attributes:
        day_first: read 05/01/2021 as 5 January, and write canonical dates so; by default the month
            comes first, as in BIG-bench. Where only one reading is a day of the calendar
            (31/12/2020) it is taken; dates with dots (05.01.2021) always have the day first.

    >>> DateExtractor().extract("Today is 4/30/2021, so the answer is May 1st, 2021.")
    '05/01/2021'
    """

    day_first: bool = False

    def read(self, answer: str) -> str | None:
        """Return the canonical date of a text that is one date, with its weekday or time at most.

        >>> DateExtractor().read("Sunday, May 2, 2021"), DateExtractor().read("in May 2021")
        ('05/02/2021', None)
        """
        if (_MONTH_FIRST if not self.day_first else _DAY_FIRST).fullmatch(answer):
            return answer
        if len(answer) > MAX_WHOLE:
            return None
        text = unwrapped(plain(even(answer)).strip(), _WRAPS, 4)
        before = _BEFORE.match(text)
        found = _DATE.match(text, before.end() if before else 0)
        if found is None or _BEHIND.fullmatch(text, found.end()) is None:
            return None
        return self._written(found)

    def behind(self, mark: Mark) -> str | None:
        """Return the first date behind a mark, on its line."""
        line = mark.rest.strip().partition("\n")[0]
        if _YEAR_ANYWHERE.search(line) is None:
            return SEVERAL if is_refusal(line) else None
        for date in self._dates(line):
            return date
        return SEVERAL if is_refusal(line) else None

    def last_resort(self, text: str) -> str | None:
        """Return the last date."""
        if len(text) > TAIL and (late := self.last_resort(text[-TAIL:].partition(" ")[2])):
            return late
        if _YEAR_ANYWHERE.search(text) is None:
            return None
        last = None
        for date in self._dates(text):
            last = date
        return last

    def _dates(self, text: str) -> Iterator[str]:
        for found in _DATE.finditer(text):
            if (date := self._written(found)) is not None:
                yield date

    def _written(self, found: re.Match[str]) -> str | None:
        year, month, day = _parts(found, self.day_first)
        try:
            date = datetime.date(year, month, day)
        except ValueError:
            return None  # no day of the calendar
        first, second = (day, month) if self.day_first else (month, day)
        return f"{first:02}/{second:02}/{date.year:04}"


_PLACES = ((7, 9, 10), (11, 12, 13), (14, 15, 16), (19, 17, 18), (22, 21, 20), (23, 24, 25))
"""Groups of year, month and day in each way of writing that leaves no doubt."""


def _parts(found: re.Match[str], day_first: bool) -> tuple[int, int, int]:
    """Year, month and day."""
    group = found.groups()
    if group[0]:
        first, second, year = int(group[0]), int(group[2]), int(group[3])
        is_month_first = second > 12 or (first <= 12 and not day_first)
        return (year, first, second) if is_month_first else (year, second, first)
    if group[4]:
        first, second, year = int(group[4]), int(group[5]), int(group[6])
        return (year, first, second) if second > 12 else (year, second, first)
    places = next(places for places in _PLACES if group[places[0]])
    in_year, month, day = (group[place] for place in places)
    return int(in_year), _MONTHS.get(month.lower()) or int(month), int(day)
