"""What only the records of all tables together show: members' names, repeats, accepted answers."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

from rlfocal.records.canonical import open_extractor
from rlfocal.records.importers.extracting import Reading, readings
from rlfocal.records.importers.logged import Record
from rlfocal.records.kinds import Kind
from rlfocal.records.samples import agreed

__all__ = ["with_own_names", "with_repeats", "with_scores"]


def with_repeats(
    records: Sequence[Record], is_long: Sequence[bool], notes: list[str]
) -> list[Record]:
    """Number the rows of one member and query, which are its samples.

    What a column says of them (an epoch, a run, a seed) is kept where it tells them apart.

    Args:
        records: of all tables, in order.
        is_long: whether each comes from a table with a row per reply; others have no repeats.
        notes: to which is added what was done.
    """
    groups: dict[tuple[str, str, str], list[int]] = defaultdict(list)
    for i, record in enumerate(records):
        if is_long[i]:
            groups[record.task, record.document, record.member].append(i)
    found, more, useless = list(records), 0, 0
    for own in groups.values():
        given = {records[i].repeat for i in own}
        if len(given) == len(own) and (None not in given or len(own) == 1):
            continue
        useless += given != {None}
        more += len(own) - 1
        for k, i in enumerate(own):
            found[i] = replace(records[i], repeat=k or None)  # the first is no repeat of any
    if more:
        notes.append(
            f"{more:,} more rows of a member and query that stood before: they are read as "
            "repeated samples of it"
        )
    if useless:
        notes.append(
            f"{useless:,} times the column of repeats, such as a seed or run, does not tell the "
            "rows of a member and query apart, and is ignored there"
        )
    return found


def with_own_names(records: list[Record], notes: list[str]) -> list[Record]:
    """Take the blanks around names away where nobody answers one question under two of them.

    Each name that stands there in several ways gets a note.
    """
    written: dict[str, dict[str, set[tuple[str, str]]]] = defaultdict(lambda: defaultdict(set))
    for record in records:
        written[record.member.strip()][record.member].add((record.task, record.document))
    apart = set()
    for name, ways in written.items():
        if len(ways) < 2:
            continue
        listed = ", ".join(repr(way if len(way) < 60 else f"{way[:57]}...") for way in [*ways][:3])
        shared = sum(map(len, ways.values())) - len(set().union(*ways.values()))
        if shared:
            apart.add(name)
            notes.append(
                f"members {listed}: names differ in blanks only; kept apart, since {shared:,} "
                "questions are answered under more than one of them"
            )
        else:
            notes.append(f"members {listed}: names differ in blanks only; read as one")
    return [
        record
        if (name := record.member.strip()) in apart or name == record.member
        else replace(record, member=name)
        for record in records
    ]


def with_scores(records: list[Record], notes: list[str]) -> list[Record]:
    """Score replies to open questions that have more than one accepted answer, and no score yet.

    A data set holds one label for a query. Where a table gives several right answers, what a reply
    is worth is therefore found here, by the kind of the labels, and handed on as its score; a note
    says of how many.
    """
    lacking = [len(r.labels) > 1 and r.choices is None and r.score is None for r in records]
    if not any(lacking):
        return records
    labels: dict[str, list[tuple[str, ...]]] = defaultdict(list)
    for record in records:
        if record.choices is None:
            labels[record.task].append(record.labels)
    kinds, _ = readings(labels, None)
    notes.append(
        f"{sum(lacking):,} replies to questions with several accepted answers are scored by "
        "comparing them with each of these"
    )
    return [
        replace(record, score=_score(record, kinds[record.task])) if lacks else record
        for record, lacks in zip(records, lacking, strict=True)
    ]


def _score(record: Record, reading: Reading) -> float:
    found, samples = replace(reading, compares=True).read(record)
    if samples and record.answer is None and not record.unusable:
        found = samples[agreed(samples)]  # as `assembling` takes it
    if found is None or not reading.kind:
        return float(found is not None and found.strip() in record.labels)
    equal = open_extractor(Kind(reading.kind, reading.day_first))
    return float(equal is not None and any(equal.equal(found, label) for label in record.labels))
