"""How much of a pool is missing, what that forbids to say, and the part where nothing is.

A comparison on whatever happens to be recorded may compare easy queries with hard ones, so beyond a
few missing responses no verdict is given. Knows tables, and nothing of strategies.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from rlfocal.errors import RecordError
from rlfocal.records.tables.table import ResponseTable

__all__ = ["MOST_MISSING", "MOST_OF_A_MEMBER", "Missing", "complete_part", "missing_of"]

MOST_MISSING = 0.02
"""Up to this share of a pool's responses may be missing where a verdict is given: what is missing
can then hide a difference of about as much at most, which is what an interval of a few thousand
queries spans anyway."""
MOST_OF_A_MEMBER = 0.1
"""And up to this share of any one member's, however large the pool is."""
_ENOUGH = 30
"""Complete queries that make leaving members out worth a hint."""


@dataclass(frozen=True, kw_only=True)
class Missing:
    """What is missing of the chosen members' responses.

    Attributes:
        share: of all responses, in [0, 1].
        worst_member: the member of which most is missing.
        worst_share: of its responses, in [0, 1].
        n_members: N.
        n_queries: Q.
        n_complete: queries that every member answered.
        hint: where these are few: members that have enough in common, or that there are none.
    """

    share: float
    worst_member: str
    worst_share: float
    n_members: int
    n_queries: int
    n_complete: int
    hint: str = ""

    @property
    def withheld(self) -> bool:
        """Whether too much is missing to call anything better or worse."""
        return self.share > MOST_MISSING or self.worst_share > MOST_OF_A_MEMBER

    def explain(self) -> str:
        """What a reader must know, and what to do about it."""
        of_all = f"{100 * self.share:.1f} %"
        worst = f"{100 * self.worst_share:.1f} %"
        most = f", {worst} of {self.worst_member}'s" if worst != of_all else ""
        said = (
            f"{of_all} of the responses are missing{most}: each accuracy is over what is known, "
            "each gain over where the best single member is known too"
        )
        if not self.withheld:
            return said
        remedy = (
            f"--complete compares on the {self.n_complete:,} of {self.n_queries:,} queries that "
            f"all {self.n_members} members answered"
            if self.n_complete
            else f"No query was answered by all {self.n_members} members"
        )
        hint = f"; {self.hint}" if self.hint else ""
        return f"{said}; too much is missing for a verdict. {remedy}{hint}"


def missing_of(table: ResponseTable) -> Missing | None:
    """Measure what is missing; None where nothing is."""
    if table.is_complete or not table.n_queries:
        return None
    lacking = ~table.scored
    of_member = lacking.mean(axis=0)
    worst, n_complete = int(of_member.argmax()), int(table.complete.sum())
    return Missing(
        share=float(lacking.mean()),
        worst_member=table.members[worst],
        worst_share=float(of_member[worst]),
        n_members=table.n_members,
        n_queries=table.n_queries,
        n_complete=n_complete,
        hint=_hint(table) if n_complete < _ENOUGH else "",
    )


def complete_part(table: ResponseTable) -> ResponseTable:
    """The queries that every member answered, with a note of how many that is.

    Raises:
        RecordError: there is no such query; the message says with which members there are some.
    """
    if table.is_complete:
        return table
    complete = table.complete
    if not complete.any():
        raise RecordError(
            f"{table.name}: no query was answered by all {table.n_members} members; {_hint(table)}"
        )
    note = (
        f"only the {int(complete.sum()):,} of {table.n_queries:,} queries that all "
        f"{table.n_members} members answered are used"
    )
    return replace(table.take(complete), notes=(*table.notes, note))


def _hint(table: ResponseTable) -> str:
    """Which members have enough queries in common, leaving out those that answered least."""
    order = np.argsort(-table.coverage, kind="stable")
    for size in range(table.n_members - 1, 1, -1):
        kept = np.sort(order[:size])
        in_common = int(table.scored[:, kept].all(axis=1).sum())
        if in_common >= _ENOUGH:
            names = ",".join(table.members[n] for n in kept)
            return f"these answered {in_common:,} in common: --members {names}"
    return f"no members have {_ENOUGH} answered queries in common; record more of them"
