"""Records of one document joined across members, whatever their order and that of their options."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from rlfocal.records.importers.logged import Record
from rlfocal.records.schema import OPTION_LETTERS

NO_TASK = "all"
"""What the task is called where a source knows none."""

__all__ = ["Query", "joined", "many_options", "match_options"]


@dataclass
class Query:
    """One document, and every member's records of it: several where it was repeated."""

    task: str
    records: dict[str, list[Record]] = field(default_factory=lambda: defaultdict(list))

    @property
    def first(self) -> Record:
        """The record whose options' order counts."""
        return next(iter(self.records.values()))[0]

    @property
    def by_score(self) -> bool:
        """Whether scores alone judge it."""
        return any(record.by_score for record in self)

    def __iter__(self) -> Iterator[Record]:
        """Every record of every member."""
        return (record for own in self.records.values() for record in own)


def joined(records: Iterable[Record]) -> dict[str, Query]:
    """Query id → query, over all members.

    The k-th time that a document stands in a member's records of a task, it is the k-th query of
    this content, unless the tool says that it is a repeat.
    """
    queries: dict[tuple[str, str, int], Query] = {}
    times: Counter[tuple[str, str, str, int | None]] = Counter()
    for record in records:
        seen = (record.task, record.member, record.document, record.repeat)
        key = (record.task, record.document, times[seen])
        times[seen] += 1
        queries.setdefault(key, Query(record.task)).records[record.member].append(record)
    named: dict[str, Query] = {}
    for query in queries.values():
        number = query.first.name or str(len(named))
        wanted = number if query.task == NO_TASK else f"{query.task}/{number}"
        unique, k = wanted, 2
        while unique in named:  # another document under the same number
            unique, k = f"{wanted}~{k}", k + 1
        named[unique] = query
    return named


def match_options(queries: dict[str, Query], notes: list[str]) -> None:
    """Bring every record's options into the order of the query's first; drop tasks that clash."""
    shuffled: Counter[str] = Counter()
    clashes: dict[str, str] = {}
    for query in queries.values():
        options = query.first.choices
        for own in query.records.values():
            for i, record in enumerate(own):
                if record.choices == options:
                    continue
                order = _order(record.choices, options)
                if order is None:
                    clashes.setdefault(
                        query.task,
                        f"the options at {record.place} differ from those at {query.first.place}",
                    )
                    break
                own[i] = _reordered(record, options, order)
                shuffled[query.task] += 1
    for task, why in clashes.items():
        notes.append(f"task {task} is left out: {why}; run every model with the same version of it")
    for task, count in shuffled.items():
        if task not in clashes:
            notes.append(
                f"{task}: options of {count:,} responses stand in another order; matched "
                "by their texts"
            )
    for query_id in [q for q, query in queries.items() if query.task in clashes]:
        del queries[query_id]


def _order(mine: tuple[str, ...] | None, theirs: tuple[str, ...] | None) -> list[int] | None:
    """Where each of their options stands among mine; None where they are others or repeat."""
    if mine is None or theirs is None or sorted(mine) != sorted(theirs):
        return None
    if len(set(mine)) < len(mine):
        return None
    return [mine.index(option) for option in theirs]


def _reordered(record: Record, options: tuple[str, ...] | None, order: Sequence[int]) -> Record:
    letters = {OPTION_LETTERS[old]: OPTION_LETTERS[new] for new, old in enumerate(order)
               if old < len(OPTION_LETTERS) and new < len(OPTION_LETTERS)}  # fmt: skip

    def letter(text: str | None) -> str | None:
        return text if text is None else letters.get(text.strip(), text)

    scores = record.choice_scores
    return replace(
        record,
        choices=options,
        labels=tuple(letters.get(label, label) for label in record.labels),
        answer=letter(record.answer),
        samples=None if record.samples is None else tuple(map(letter, record.samples)),
        choice_scores=None if scores is None else tuple(scores[old] for old in order),
    )


def many_options(queries: Mapping[str, Query], notes: list[str]) -> None:
    """Option letters end at Z: queries with more options are answered by an option's text."""
    count: Counter[str] = Counter()
    for query in queries.values():
        options = query.first.choices
        if options is None or len(options) <= len(OPTION_LETTERS):
            continue
        count[query.task] += 1
        for own in query.records.values():
            own[:] = [_as_text(record, options) for record in own]
    for task, n in count.items():
        notes.append(
            f"{task}: {n:,} queries have more than {len(OPTION_LETTERS)} options; their "
            "answers are texts"
        )


def _as_text(record: Record, options: tuple[str, ...]) -> Record:
    def text(letter: str | None) -> str | None:
        if letter is not None and len(letter) == 1 and letter in OPTION_LETTERS:
            return options[OPTION_LETTERS.index(letter)]
        return letter

    return replace(
        record,
        choices=None,
        labels=tuple(text(label) or label for label in record.labels),
        answer=text(record.answer),
        samples=None if record.samples is None else tuple(map(text, record.samples)),
        choice_scores=None,
    )
