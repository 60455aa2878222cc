"""Right answers as cells hold them: one, or several of which each is accepted.

`["Paris", "Lutetia"]` are two right answers; `(2, -3)`, `[0, 1]` and `[1, 2, 3]` are one: a point,
an interval, a sorted list. Each cell is read by itself, whatever others hold.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

from rlfocal.errors import ConfigError, nearest
from rlfocal.records.importers.table.cells.lists import list_of
from rlfocal.records.importers.table.cells.talks import ASSISTANTS
from rlfocal.records.importers.table.cells.values import Where, as_number, text_of
from rlfocal.records.options import option_extractor
from rlfocal.records.schema import OPTION_LETTERS
from rlfocal.records.synonyms import spelled

__all__ = ["LabelReader", "label_key", "with_letters"]

WAYS = ("alternatives", "one")
_SEVERAL = re.compile(
    r"(?:.*_)?(?:aliases|answers|accepted|acceptable|references|targets|ground_truths|golds)"
    r"|(?:accepted|acceptable)_.*"
)
"""Names of columns that hold several right answers, whatever these are."""


class LabelReader:
    """Reads a column of labels.

    Args:
        column: its name.
        way: one of `WAYS`: what lists are; None: each list tells by what it holds.

    Raises:
        ConfigError: the way is none of them.
    """

    def __init__(self, column: str, way: str | None) -> None:
        if way is not None and way not in WAYS:
            raise ConfigError(f"--label-lists {way}: no such way; {nearest(way, WAYS)}")
        self._way = way
        self._is_plural = _SEVERAL.fullmatch(spelled(column)) is not None
        self._n_alternatives = self._n_one = 0

    def read(self, value: Any, where: Where, choices: Sequence[str] | None) -> list[str]:
        """Accepted answers that stand in a cell."""
        listed = None if self._way == "one" else list_of(value, where)
        if listed is not None and self._are_several(value, listed, choices):
            self._n_alternatives += len(listed) > 1
            found = [text_of(v, where, ASSISTANTS) for v in listed]
        elif isinstance(value, list) and self._way == "one":
            found = [json.dumps(value, ensure_ascii=False, default=str)]
        else:
            self._n_one += listed is not None and not any(isinstance(v, dict) for v in listed)
            found = [text_of(value, where, ASSISTANTS)]
        return list(dict.fromkeys(t.strip() for t in found if t is not None and t.strip()))

    def _are_several(
        self, value: Any, listed: Sequence[Any], choices: Sequence[str] | None
    ) -> bool:
        if any(isinstance(v, (list, tuple, dict)) for v in listed):
            return False
        if len(listed) < 2 or self._way == "alternatives":
            return True
        if isinstance(value, tuple) or (isinstance(value, str) and value.strip()[0] == "("):
            return False
        if self._is_plural or any(isinstance(v, str) for v in listed):
            return True
        return choices is not None and str(listed) not in choices  # numbers of several options

    def notes(self, name: str) -> list[str]:
        """What was read as what, for the table called `name`."""
        said = []
        if self._n_alternatives:
            said.append(
                f"{name}: {self._n_alternatives:,} labels are lists, and each of their items is "
                "taken for a right answer (--label-lists one says otherwise)"
            )
        if self._n_one:
            said.append(
                f"{name}: {self._n_one:,} labels such as points, intervals or lists of numbers are "
                "taken for one answer each (--label-lists alternatives says otherwise; --answers "
                "math compares them as mathematics)"
            )
        return said


def with_letters(labels: Sequence[str], choices: Sequence[str] | None) -> tuple[str, ...]:
    """Labels that name an option, as its letter in this order of options.

    >>> with_letters(["tin"], ["iron", "tin"]), with_letters(["(a)"], ["iron", "tin"])
    (('B',), ('A',))
    """
    if choices is None or len(choices) > len(OPTION_LETTERS):
        return tuple(labels)
    reader = option_extractor(tuple(choices))

    def letter(label: str) -> str:
        is_letter = label in OPTION_LETTERS[: len(choices)]
        if not is_letter and choices.count(label) == 1:  # options may differ in case alone
            return OPTION_LETTERS[choices.index(label)]
        return reader.read(label) or label

    return tuple(dict.fromkeys(map(letter, labels)))


def label_key(labels: Sequence[str], choices: Sequence[str] | None) -> tuple[str, ...]:
    """What labels that mean the same have in common, however they are written.

    >>> label_key(["4.0"], None) == label_key(["4"], None), label_key(["Paris"], None)
    (True, ('paris',))
    """
    return tuple(sorted(_key(label, choices) for label in labels))


def _key(label: str, choices: Sequence[str] | None) -> str:
    if choices is not None and label in OPTION_LETTERS[: len(choices)]:
        return choices[OPTION_LETTERS.index(label)]  # members may have seen options shuffled
    is_code = re.match(r"[-+]?0\d", label) is not None  # 007 is not 7
    number = None if is_code else as_number(label)
    if number is None or abs(number) >= 2**53:
        return label.strip().casefold()
    return repr(number)
