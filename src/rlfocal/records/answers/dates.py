"""The date that a text settles on, as MM/DD/YYYY.

Rules of BIG-bench's date_understanding, whose questions ask for MM/DD/YYYY: the first date after
the last "answer is", else the last date in the text.

Departures: ISO dates (2021-05-01) and dates with a month's English name are read too; what is no
day of the calendar (02/30/2021) is no answer.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterator
from dataclasses import dataclass

__all__ = ["DateExtractor"]

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_NAME = (
    r"(jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|"
    r"sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)\.?"
)
_DATE = re.compile(
    r"(?<![0-9/])([0-9]{1,2})/([0-9]{1,2})/([0-9]{4})(?![0-9/])"
    r"|(?<![0-9-])([0-9]{4})-([0-9]{1,2})-([0-9]{1,2})(?![0-9-])"
    rf"|\b{_NAME} ([0-9]{{1,2}})(?:st|nd|rd|th)?,? ([0-9]{{4}})(?![0-9])"
    rf"|(?<![0-9])([0-9]{{1,2}})(?:st|nd|rd|th)?(?: of)? {_NAME},? ([0-9]{{4}})(?![0-9])",
    re.IGNORECASE | re.ASCII,
)
_MARK = re.compile(r"answer is", re.IGNORECASE)


@dataclass(frozen=True)
class DateExtractor:
    """Calendar dates.

    >>> DateExtractor().extract("Today is 4/30/2021, so the answer is May 1st, 2021.")
    '05/01/2021'
    """

    def extract(self, text: str) -> str | None:
        """Return MM/DD/YYYY; None when the text holds no date."""
        last_mark = 0
        for found in _MARK.finditer(text):
            last_mark = found.end()
        if last_mark:
            after = next(_dates(text, last_mark), None)
            if after is not None:
                return after
        last = None
        for date in _dates(text, 0):
            last = date
        return last

    def equal(self, a: str, b: str) -> bool:
        """Say whether both are the same day."""
        return self.extract(a) is not None and self.extract(a) == self.extract(b)


def _dates(text: str, start: int) -> Iterator[str]:
    for found in _DATE.finditer(text, start):
        american, iso, named, british = (found.groups()[i : i + 3] for i in (0, 3, 6, 9))
        if american[0]:
            month, day, year = american
        elif iso[0]:
            year, month, day = iso
        elif named[0]:
            month, day, year = named
        else:
            day, month, year = british
        number = int(month) if month.isdigit() else _MONTHS.index(month[:3].lower()) + 1
        try:
            date = datetime.date(int(year), number, int(day))
        except ValueError:
            continue  # no day of the calendar
        yield f"{date.month:02}/{date.day:02}/{date.year:04}"
