r"""Which kind of answer a task has: as its data set declares, else found out from its labels.

The kind decides what counts as equal, so it is found once, for labels, recorded answers, replies
that are collected and replies that are served alike.

>>> kind_of(["12", "1,200", None]), kind_of(["10:30", "11:45"]), kind_of(["1/2", "2/3"])
('number', 'text', 'math')
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from rlfocal.errors import nearest
from rlfocal.records.answers import KINDS, extractor

__all__ = ["AS_THEY_ARE", "NOT_OPEN", "Kind", "kind_of", "kinds_of_tasks"]

AS_THEY_ARE = ""
"""No kind: nothing says what a right answer looks like, so answers are compared as they stand."""

NOT_OPEN = ("score only", "tool calls", "tool-calls")
"""What `answers` may also be: it says nothing of how open questions are compared."""

_SHAPE = re.compile(
    r"""(?x)
    (?P<code> 0[0-9]+ ) | (?P<digits> -?[1-9][0-9]{0,17} ) | (?P<letter> \(?[A-Za-z][).]? )
    | (?P<fraction> [+-]?\d+\s*/\s*\d+ )
    """
)
"""What a whole label may be at first sight."""
_LATEX = re.compile(r"\\[a-zA-Z]+|\$[^$]+\$|[\^_]\{?\w")
_WORKED = re.compile(r"####\s*\S")
_LATEX_SHARE = 0.05
"""Of the labels, from which on they are taken for mathematics: most labels of such data are plain
numbers."""
_MIXED_SHARE = 0.1
"""Of the labels of a task, from which on numbers or letters among texts are no chance."""
_FEW_ODD = 0.9
"""Of the labels of a task, from which on numbers are the rule and the others odd ones."""
_CODE_DIGITS = 4
"""Digits, from which on labels of one length with leading zeros are codes: postal codes, say, few
of which begin with 0. Answers to contests (AIME: 000 to 999) have three."""


class Kind(NamedTuple):
    """How answers to the open questions of a task are compared."""

    name: str
    """One of `KINDS`, or `AS_THEY_ARE`."""
    day_first: bool = False
    """Of dates: 03/04/2021 is the third of April."""
    declared: bool = False


def kind_of(labels: Iterable[str | None]) -> str:
    """Find out the kind of open questions from their labels.

    A kind is found where every label is an answer of that kind as a whole: times, fractions,
    dates, versions and codes are no numbers. Digits with a 0 before them are codes where most
    labels are such, one has four or more, or all are of 0 and 1; else they are numbers.

    Args:
        labels: of one task; None where a query has none.

    Returns:
        One of `KINDS`; `AS_THEY_ARE` without any label.
    """
    given = list(dict.fromkeys(label.strip() for label in labels if label and label.strip()))
    if not given:
        return AS_THEY_ARE
    number = extractor("number").read
    shapes = [shape.lastgroup if (shape := _SHAPE.fullmatch(label)) else None for label in given]
    if _has_codes(given):
        return "text"  # a postal code, say: 0123 is not 123
    plain = [
        shape in ("digits", "code") or number(label) is not None
        for shape, label in zip(shapes, given, strict=True)
    ]
    if all(plain):
        return "number"
    if all(_WORKED.search(label) for label in given):  # solutions that end on "#### 18"
        endings = [label.rpartition("####")[2] for label in given]
        return "number" if all(number(x) is not None for x in endings) else "math"
    if all(shape == "letter" for shape in shapes):
        return "choice"
    date = extractor("date").read
    if all(date(label) is not None for label in given) or _day_first(given):
        return "date"
    latex = sum(_LATEX.search(label) is not None for label in given)
    if latex >= max(1, _LATEX_SHARE * len(given)):
        return "math"
    if all(a or shape == "fraction" for a, shape in zip(plain, shapes, strict=True)):
        return "math"
    return "text"


def kinds_of_tasks(
    labels: Mapping[str, list[str | None]],
    declared: str | Mapping[str, str] | None,
    *,
    has_options: bool = False,
) -> tuple[dict[str, Kind], list[str]]:
    """Kind of the open questions of every task.

    Args:
        labels: task → labels of its open questions.
        declared: of the data set, or of some of its tasks; None for nothing.
        has_options: some queries have choices: then "choice", said of all tasks at once, is said of
            those.

    Returns:
        The kinds; and a note for each declaration that means nothing here, for which the labels
        decide.
    """
    notes = []
    if isinstance(declared, Mapping):
        of_task = {task: _plain(name) for task, name in declared.items()}
        notes += [
            f"answers: no task '{task}' has open questions; {nearest(task, labels)}"
            for task in declared
            if task not in labels
        ]
    else:
        of_task = dict.fromkeys(labels, _plain(declared or ""))
        if has_options and of_task and declared == "choice":
            of_task = dict.fromkeys(labels, "")
    said = declared.values() if isinstance(declared, Mapping) else [declared or ""]
    for name in dict.fromkeys(map(_plain, said)):
        if name and name not in KINDS and name not in NOT_OPEN:
            notes.append(
                f"answers: '{name}' is no kind known here, so the labels decide; "
                f"{nearest(name, KINDS)}"
            )
    found = {}
    for task, given in labels.items():
        name = of_task.get(task, "")
        kind = Kind(name, declared=True) if name in KINDS else Kind(kind_of(given))
        if not kind.declared:
            notes += _padded(task, given, kind.name)
        if kind == Kind("text"):
            notes += _mixed(task, given)
        if kind.name == "date":
            kind = kind._replace(day_first=_day_first(given))
        found[task] = kind
    return found, notes


def _has_codes(labels: Sequence[str]) -> bool:
    """Whether digits with a 0 before them are codes among these labels, rather than numbers."""
    padded = sum(map(_is_padded, labels))
    if not padded:
        return False
    is_long = any(_is_padded(label) and len(label) >= _CODE_DIGITS for label in labels)
    is_binary = all(set(label) <= {"0", "1"} for label in labels)
    return 2 * padded > len(labels) or is_long or is_binary


def _is_padded(label: str) -> bool:
    return len(label) > 1 and label[0] == "0" and label.isascii() and label.isdecimal()


def _padded(task: str, labels: Iterable[str | None], kind: str) -> list[str]:
    """What a reader must know of numbers some of which have a 0 before them."""
    given = [label.strip() for label in labels if label and label.strip()]
    padded = [label for label in given if _is_padded(label)]
    number = extractor("number").read
    if not padded or any(number(label) is None for label in given):
        return []
    first, bare = padded[0], number(padded[0])
    begun = f"task '{task}': {len(padded):,} of {len(given):,} labels begin with 0, as '{first}'; "
    if kind == "number":
        return [
            f"{begun}all are compared as numbers: '{first}' is '{bare}'; where they are codes, say "
            "that the answers are texts (`answers`, --answers text)"
        ]
    return [
        f"{begun}all are compared as text: '{first}' is not '{bare}'; where they are numbers, say "
        "so (`answers`, --answers number)"
    ]


def _mixed(task: str, labels: Iterable[str | None]) -> list[str]:
    """What a reader must know of texts many of which are numbers or letters of options."""
    given = [label.strip() for label in labels if label and label.strip()]
    shape = Counter(found.lastgroup for label in given if (found := _SHAPE.fullmatch(label)))
    numbers, letters = shape["digits"] + shape["code"], shape["letter"]
    has_codes = _has_codes(given) or 0 < numbers <= 2 * shape["code"]
    if has_codes or max(numbers, letters) < _MIXED_SHARE * len(given):
        return []
    if numbers >= _FEW_ODD * len(given):
        odd = [label for label in given if not (label.isascii() and label.lstrip("-").isdecimal())]
        shown = ", ".join(f"'{label[:30]}'" for label in dict.fromkeys(odd[:3]))
        return [
            f"task '{task}': {numbers:,} of {len(given):,} labels are numbers, but not "
            f"{shown}{', ...' if len(odd) > 3 else ''}; so all are compared as text: '$5' is not "
            "'5'; mend those labels, or say that the answers are numbers (`answers`, --answers)"
        ]
    told = ((numbers, "numbers"), (letters, "letters"))
    parts = " and ".join(f"{n:,} are {what}" for n, what in told if n)
    return [
        f"task '{task}': of {len(given):,} labels {parts}, so its questions seem to be of several "
        "kinds; all are compared as text: '$5' is not '5'; a column `task` that tells them apart "
        "gives each kind its own rule"
    ]


def _plain(name: str) -> str:
    return name.strip().lower()


def _day_first(labels: Iterable[str | None]) -> bool:
    """Whether labels such as 31/12/2020 stand among 03/04/2021, and none such as 12/31/2020."""
    given = [label for label in labels if label]
    forms = [re.fullmatch(r"\s*(\d{1,2})[/.-](\d{1,2})[/.-]\d{4}\s*", label) for label in given]
    pairs = [(int(f[1]), int(f[2])) for f in forms if f]
    return any(a > 12 for a, _ in pairs) and not any(b > 12 for _, b in pairs)
