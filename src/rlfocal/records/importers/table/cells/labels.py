"""Right answers as cells hold them: one, or several of which each is accepted.

`["Paris", "Lutetia"]` are two right answers; `(2, -3)`, `[0, 1]` and `[1, 2, 3]` are one: a point,
an interval, a sorted list. Lists that somebody wrote as text may as well be what code gives: then
the other labels of the column tell, see `LabelReader`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from functools import cached_property
from typing import Any

from rlfocal.errors import ConfigError, RecordError, nearest
from rlfocal.records.importers.table.cells.lists import list_of, parsed
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

    A list that is no text but a value of its own tells by what it holds. One that is written as
    text holds alternatives where the column's name says so, or where all known labels are lists of
    texts, or texts without brackets beside such lists. It is one right answer where any other label
    looks like a literal of code: a number, a text in quotes, a list of other things or of nothing,
    a tuple, an object, True or None; then the lists are what a program prints, too. Of lists of
    one item each, whatever it is, the item is the answer.

    Args:
        column: its name.
        way: one of `WAYS`: what lists are; None: see above.
        labels: all of the column.

    Raises:
        ConfigError: the way is none of them.
    """

    def __init__(self, column: str, way: str | None, labels: Sequence[Any] = ()) -> None:
        if way is not None and way not in WAYS:
            raise ConfigError(f"--label-lists {way}: no such way; {nearest(way, WAYS)}")
        self._way = way
        self._is_plural = _SEVERAL.fullmatch(spelled(column)) is not None
        self._labels = labels
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
        if self._way == "alternatives" or (self._is_plural and len(listed) < 2):
            return True
        if isinstance(value, str) and not self._is_plural:
            if choices is None:
                return self._are_texts_alternatives
            if value.strip() in choices:
                return False
        if len(listed) < 2:
            return True
        if isinstance(value, tuple) or (isinstance(value, str) and value.strip()[0] == "("):
            return False
        if self._is_plural or any(isinstance(v, str) for v in listed):
            return True
        return choices is not None and str(listed) not in choices  # numbers of several options

    @cached_property
    def _are_texts_alternatives(self) -> bool:
        """Whether lists in this column that are written as text hold alternatives."""
        known = {v.strip() if isinstance(v, str) else repr(v): v for v in self._labels
                 if v is not None and not isinstance(v, list)}  # fmt: skip
        kinds = {_kind(v) for text, v in known.items() if text}
        return kinds <= {"texts", "one text", "plain"} or kinds <= {"one text", "one"}

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
                f"{name}: {self._n_one:,} labels such as points, lists of numbers or what code "
                "gives are taken for one answer each (--label-lists alternatives says otherwise; "
                "--answers math compares them as mathematics)"
            )
        return said


def _kind(label: Any) -> str:
    """What a label looks like: a "plain" text, a list, or another literal of "code".

    Lists are of "texts", of "one text", or of "one" other thing.

    >>> [_kind(v) for v in ("Oslo", "['a', 'b']", "['a']", "[1]", "[1, 2]", "[]", "3", "'x'")]
    ['plain', 'texts', 'one text', 'one', 'code', 'code', 'code', 'code']
    """
    if not isinstance(label, str):
        return "code"
    try:
        found = parsed(label, str)
    except RecordError:
        return "plain"  # refused where it is read
    if isinstance(found, list) and found and all(isinstance(v, str) for v in found):
        return "texts" if len(found) > 1 else "one text"
    if isinstance(found, list) and len(found) == 1 and not isinstance(found[0], (list, dict)):
        return "one"
    is_code = found is not None or label.strip() in ("None", "null") or as_number(label) is not None
    return "code" if is_code or label.strip()[0] in "[({" else "plain"


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
