"""Names of members that differ in the blanks around them: one member, unless both answered."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace

from rlfocal.records.importers.logged import Record

__all__ = ["with_own_names"]


def with_own_names(records: list[Record], notes: list[str]) -> list[Record]:
    """Take the blanks around names away where nobody answers one question under two of them.

    Args:
        records: of all tables, with names as they stand there.
        notes: gets a line for each name that stands there in several ways.
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
