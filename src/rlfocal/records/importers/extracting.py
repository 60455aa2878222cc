"""How the replies of a logged task become answers: compared by a kind, or judged by their scores.

One decision a task, taken from its labels, so that right and wrong replies are read alike.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from statistics import median

from rlfocal.errors import ConfigError, nearest
from rlfocal.records.answers import KINDS, Extractor
from rlfocal.records.canonical import found_out, open_extractor
from rlfocal.records.importers.logged import Record
from rlfocal.records.kinds import AS_THEY_ARE, Kind, kinds_of_tasks
from rlfocal.records.options import option_extractor
from rlfocal.records.schema import OPTION_LETTERS

__all__ = ["Reading", "readings", "with_letter"]

LONG_LABEL = 100
"""Characters: replies to a question whose right answer is longer are never written alike."""

_SHORT = 200
"""Characters of a text worth remembering."""

_Read = tuple[str | None, tuple[str | None, ...] | None]


@dataclass
class Reading:
    """How the open questions of one task are read.

    Attributes:
        kind: one of `KINDS`, or `AS_THEY_ARE`.
        compares: answers are compared with labels; otherwise the scores judge.
        note: what was decided, where it is not plain.
        n_empty: replies read so far that hold no answer of the kind.
    """

    kind: str
    compares: bool
    note: str = ""
    day_first: bool = False
    n_empty: int = 0

    def read(self, record: Record) -> _Read:
        """Answer of a record, and those of its samples; None where it holds none."""
        if record.choices is not None:
            return record.answer, record.samples
        samples = None
        if record.samples is not None:
            samples = tuple(self._answer(s, record) for s in record.samples)
        if record.answer is not None:
            return self._answer(record.answer, record), samples
        if record.unusable or record.text is None or not self.compares or self._extractor is None:
            return None, samples if self.compares else None
        answer = self._extract(record.text, record.truncated)
        self.n_empty += answer is None
        return answer, samples

    def _answer(self, text: str | None, record: Record) -> str | None:
        if text is None or self._extractor is None:
            return text
        return self._extract(text, False)

    def _extract(self, text: str, truncated: bool) -> str | None:
        assert self._extractor is not None
        if len(text) > _SHORT:
            return self._extractor.extract(text, truncated=truncated)
        return self._short(text, truncated)

    @cached_property
    def _short(self) -> Callable[[str, bool], str | None]:
        """Reads short texts, of which the same ones come again and again."""
        reader = self._extractor
        assert reader is not None
        return lru_cache(maxsize=100_000)(lambda text, cut: reader.extract(text, truncated=cut))

    @cached_property
    def _extractor(self) -> Extractor | None:
        return open_extractor(Kind(self.kind, self.day_first))


def readings(
    labels: Mapping[str, Sequence[tuple[str, ...]]], declared: str | None
) -> tuple[dict[str, Reading], list[str]]:
    """Decide for every task.

    Args:
        labels: task → accepted answers of each of its open questions.
        declared: kind of all open answers; None: the labels decide.

    Returns:
        Task → how it is read; and notes on what the labels showed.

    Raises:
        ConfigError: the declared kind is unknown.
    """
    if declared is not None and declared not in KINDS:
        raise ConfigError(f"unknown kind of answer '{declared}'; {nearest(declared, KINDS)}")
    flat: dict[str, list[str | None]] = {
        task: [text for texts in accepted for text in texts] for task, accepted in labels.items()
    }
    kinds, notes = kinds_of_tasks(flat, declared)
    found = {task: _reading(task, kinds[task], labels[task], flat[task]) for task in labels}
    compared = {task: kinds[task] for task, reading in found.items() if reading.compares}
    return found, [*notes, *(f"{line} (--answers says otherwise)" for line in found_out(compared))]


def with_letter(record: Record) -> Record:
    """A record with options, whose answer and samples become letters, in the record's own order.

    So they are read while options stand in the order in which the member saw them.
    """
    if record.choices is None or len(record.choices) > len(OPTION_LETTERS):
        return record
    reader, samples, answer = option_extractor(record.choices), record.samples, record.answer
    if samples is not None:
        samples = tuple(None if s is None else reader.extract(s) for s in samples)
    if answer is not None:
        answer = reader.read(answer) or answer
    elif not (record.unusable or record.text is None or record.by_score):
        answer = reader.extract(record.text, truncated=record.truncated)
    return replace(record, answer=answer, samples=samples)


def _reading(
    task: str, kind: Kind, accepted: Sequence[tuple[str, ...]], texts: Sequence[str | None]
) -> Reading:
    if not accepted:
        return Reading(AS_THEY_ARE, compares=False)  # multiple choice alone
    if kind.name == AS_THEY_ARE:
        note = f"{task}: no label to compare answers with; replies are judged by their scores"
        return Reading(AS_THEY_ARE, compares=False, note=note)
    lengths = [len(text) for text in texts if text]
    if kind.name == "text" and not kind.declared and median(lengths) > LONG_LABEL:
        note = (
            f"{task}: labels are long texts, which no reply repeats word by word; replies are "
            "judged by their scores (--answers says otherwise)"
        )
        return Reading(AS_THEY_ARE, compares=False, note=note)
    return Reading(kind.name, compares=True, day_first=kind.day_first)
