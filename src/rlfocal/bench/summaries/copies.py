"""A line on members that fail together, for whoever lets members vote.

Knows which members are near-copies from the diversity analysis, and of strategies their names.
"""

from __future__ import annotations

from collections.abc import Sequence

from rlfocal.diversity import near_copies
from rlfocal.records import ResponseTable

__all__ = ["copies_note"]

_SHOWN = 2


def copies_note(table: ResponseTable, believers: Sequence[str] = ()) -> str | None:
    """Warn of near-copies among the members.

    Args:
        table: recorded answers; looked at on the queries that every member answered.
        believers: strategies that take agreement for right (`Base.trusts_agreement`).

    Returns:
        A line with the pairs that are most alike; None where there are none.
    """
    pairs = near_copies(table.failed[table.complete])
    if not pairs:
        return None
    shown = [
        f"{table.members[pair.first]} and {table.members[pair.second]} ({pair.correlation:.2f})"
        for pair in pairs[:_SHOWN]
    ]
    if len(pairs) > _SHOWN:
        shown.append(f"{len(pairs) - _SHOWN:,} more pairs")
    whose = (
        f"{', '.join(believers)}: fitted without labels, so members that agree are believed"
        if believers
        else "votes count their mistakes twice, and those fitted without labels believe them"
    )
    return (
        f"near-copies fail together (correlation of failures): {', '.join(shown)}; {whose}; leave "
        "all but one of such members out (--members)"
    )
