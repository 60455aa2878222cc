"""Questions with several accepted answers and no score: each reply is compared with all of them.

A data set holds one label for a query. Where a table gives several right answers, what a reply is
worth is therefore found here, by the kind of the labels, and handed on as its score.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace

from rlfocal.records.canonical import open_extractor
from rlfocal.records.importers.extracting import Reading, readings
from rlfocal.records.importers.logged import Record
from rlfocal.records.kinds import Kind

__all__ = ["with_scores"]


def with_scores(records: list[Record], notes: list[str]) -> list[Record]:
    """Score the replies to open questions that have more than one accepted answer.

    Args:
        records: of tables; those that have a score keep it.
        notes: gets a line where something was scored.
    """
    lacking = [_lacks_score(record) for record in records]
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


def _lacks_score(record: Record) -> bool:
    return len(record.labels) > 1 and record.choices is None and record.score is None


def _score(record: Record, reading: Reading) -> float:
    found = replace(reading, compares=True).read(record)[0]
    if found is None or not reading.kind:
        return float(found is not None and found.strip() in record.labels)
    equal = open_extractor(Kind(reading.kind, reading.day_first))
    return float(equal is not None and any(equal.equal(found, label) for label in record.labels))
