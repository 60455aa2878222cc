"""Which options the references of a task name: by their texts and letters, or by their numbers.

Among options that are numbers themselves, "1" may be the text of one and the number of another:
lm-eval's converter gives the number of the right option, and the reply as an option's text. So
each line is read both ways, and a task, over all files and members, in the one that explains most
of its scores; else in the one in which more of its references can be read.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rlfocal.records.importers.extracting import with_letter
from rlfocal.records.importers.logged import Record, option_name
from rlfocal.records.schema import OPTION_LETTERS

__all__ = ["Line", "labels_by_number", "labels_by_text", "numbered_tasks", "position"]

_SOLUTION = "#### "
"""What stands before the answer at the end of a worked solution."""

_LONGEST = 4
"""Digits of an option's number, at most."""

_Labels = tuple[tuple[str, ...], Sequence[str]]
"""Accepted answers, and what tells the document from others."""


@dataclass(frozen=True)
class Line:
    """A line, its references read both ways.

    Attributes:
        record: references are texts or letters of options, and numbers where nothing else fits.
        numbered: the same with references as numbers of options, where they can be such; else None.
        is_text: all references are texts or letters of options.
        score: as logged.
        from_lm_eval: lm-eval's converter wrote it, whose references are numbers as a rule.
    """

    record: Record
    numbered: Record | None
    is_text: bool
    score: Any
    from_lm_eval: bool

    @property
    def is_doubtful(self) -> bool:
        """Whether both readings are possible, and differ."""
        other = self.numbered
        return self.is_text and other is not None and other.labels != self.record.labels


def labels_by_text(references: Sequence[str], options: tuple[str, ...]) -> tuple[_Labels, bool]:
    """Labels from references that are texts, letters or at worst numbers; whether none is the last.

    Without options they are answers to an open question.
    """
    if not options:
        labels = [r.rpartition(_SOLUTION)[2].strip() or r for r in references]
        return (tuple(dict.fromkeys(labels)), references), False
    is_text = bool(references) and None not in [_named(r, options) for r in references]
    return _labels(references, options, position), is_text


def labels_by_number(references: Sequence[str], options: tuple[str, ...]) -> _Labels | None:
    """Labels from references that are numbers of options; None where they are none."""
    labels = _labels(references, options, _numbered)
    return labels if labels[0] else None


def position(text: str, options: Sequence[str]) -> int | None:
    """The option that a text names: by its text, its letter, or its number from 0."""
    found = _named(text, options)
    return _numbered(text, options) if found is None else found


def numbered_tasks(lines: Iterable[Line], notes: list[str]) -> set[str]:
    """Tasks whose references are numbers of options; a note for each that leaves a doubt."""
    tasks: dict[str, list[Line]] = defaultdict(list)
    for line in lines:
        if line.record.choices is not None:
            tasks[line.record.task].append(line)
    found = set()
    for task, own in tasks.items():
        doubtful = sum(line.is_doubtful for line in own)
        if not doubtful:
            continue
        ways = _explained(own)
        if ways["number"] > ways["text"]:
            found.add(task)
        said = "numbers of options, from 0" if task in found else "texts of options"
        why = "this one fits the scores and the other references better"
        if ways["number"][:2] == ways["text"][:2]:
            why = "neither scores nor other references tell which, so it is the usual one"
        both = "they could be read in both ways, and"
        notes.append(f"{task}: {doubtful:,} references are {said}; {both} {why}")
    return found


def _explained(lines: Iterable[Line]) -> Mapping[str, tuple[int, int, bool]]:
    """Way → scores that it explains, lines that can be read so, whether it is the usual one."""
    explained: Counter[str] = Counter()
    readable: Counter[str] = Counter()
    from_lm_eval = False
    for line in lines:
        from_lm_eval = from_lm_eval or line.from_lm_eval
        answer = with_letter(line.record).answer
        for way, record in (("text", line.record), ("number", line.numbered)):
            if record is None or not record.labels or (way == "text" and not line.is_text):
                continue
            readable[way] += 1
            if record.score in (0, 1) and answer is not None:
                explained[way] += (answer in record.labels) == (record.score == 1)
    return {
        way: (explained[way], readable[way], from_lm_eval == (way == "number"))
        for way in ("text", "number")
    }


def _labels(
    references: Sequence[str],
    options: tuple[str, ...],
    place: Callable[[str, Sequence[str]], int | None],
) -> _Labels:
    positions = [place(reference, options) for reference in references]
    if not positions or None in positions:
        return (), references
    found = sorted({p for p in positions if p is not None})
    texts = [options[p] for p in found]
    if len(found) > 1 and all(r.strip() not in options for r in references):
        return (), texts  # several letters: all of them together are right
    return tuple(option_name(p, options) for p in found), texts


def _named(text: str, options: Sequence[str]) -> int | None:
    text = text.strip()
    stripped = [option.strip() for option in options]
    if stripped.count(text) == 1:
        return stripped.index(text)
    if len(text) == 1 and text.upper() in OPTION_LETTERS:
        place = OPTION_LETTERS.index(text.upper())
        return place if place < len(options) else None
    return None


def _numbered(text: str, options: Sequence[str]) -> int | None:
    text = text.strip()
    is_number = text.isascii() and text.isdecimal() and len(text) <= _LONGEST
    return int(text) if is_number and int(text) < len(options) else None
