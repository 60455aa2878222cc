"""What readers are shown: the replies that are stored of those whom they read.

What a reader is shown is part of its call's key, so a reader has no key before all whom it reads
have replied, have failed or are given up. Nothing is remembered: who asks again looks again.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from functools import cached_property
from typing import NamedTuple

import numpy as np

from rlfocal.collect.plan import Call, Plan
from rlfocal.pool.asking.question import Said
from rlfocal.records.database import Database
from rlfocal.records.samples import agreed

__all__ = ["Readings", "Resolved"]

_LONGEST = "\N{LINEAR B SYLLABLE B008 A}" * 4
"""A token's worth of characters of a reply that nobody has seen, each as long as UTF-8 has them."""

_Settled = dict[tuple[int, int], Said | None]
"""Row of a query and a member → its typical reply; None for none. Who is not in it may reply yet.
"""


class Resolved(NamedTuple):
    """Some calls of a plan, as far as it is known what readers among them are shown."""

    calls: list[Call]
    """Those that have a key, in order."""
    waiting: list[Call]
    """Of readers of somebody who may reply yet; shown as much as there can be at most."""
    n_unread: int
    """Of readers whom nobody has replied to read: these calls are not made."""


class Readings:
    """Looks up what readers are shown.

    Args:
        plan: whose calls these are.
        database: where the replies are; None for none.
        failed_since: number of the failure after which those count that are stored: who failed
            before is asked again.
    """

    def __init__(self, plan: Plan, database: Database | None, *, failed_since: int = 0) -> None:
        self._plan, self._database, self._failed_since = plan, database, failed_since

    @cached_property
    def _n_samples(self) -> list[int]:
        """Of each member: those of earlier runs, where there were more, say what is typical too."""
        found = list(self._plan.samples)
        if self._database is not None:
            for m, (member, key) in enumerate(
                zip(self._plan.members, self._plan.settings_keys, strict=True)
            ):
                found[m] = max(found[m], self._database.n_samples(member.name, key))
        return found

    def resolve(
        self,
        block: Sequence[Call],
        *,
        held: Container[str] = (),
        gone: Container[int] = (),
        final: bool = False,
    ) -> Resolved:
        """Give readers' calls what they are shown, and their keys.

        Args:
            block: calls of the plan.
            held: keys of calls under way.
            gone: members that are not asked any more.
            final: nobody is asked any more.
        """
        readers = {call.member for call in block if self._plan.inputs[call.member]}
        if not readers:
            return Resolved(list(block), [], 0)
        rows = {call.query: call.query_key for call in block if call.member in readers}
        settled = self._settled(rows, self._stages_behind(readers), held, gone, final=final)
        found = Resolved([], [], 0)
        n_unread = 0
        for call in block:
            if call.member not in readers:
                found.calls.append(call)
            elif not self._is_ready(call, settled):
                found.waiting.append(call._replace(shown=self._at_most(call, settled)))
            elif (ready := self._shown(call, settled)) is None:
                n_unread += 1
            else:
                found.calls.append(ready)
        return found._replace(n_unread=n_unread)

    def _settled(
        self,
        rows: Mapping[int, str],
        stages: Iterable[Sequence[int]],
        held: Container[str],
        gone: Container[int],
        *,
        final: bool,
    ) -> _Settled:
        """What members of stages, each after those whom its members read, have said to queries."""
        found: _Settled = {}
        for stage in stages:
            calls = {
                (row, member): self._calls_of(row, key, member, found)
                for member in stage
                for row, key in rows.items()
            }
            keys = [call.key for own in calls.values() for call in own or ()]
            said, failed = self._stored(keys)
            for (row, member), own in calls.items():
                if own is None:
                    continue
                left = [
                    call.key
                    for call in own
                    if call.sample < self._plan.samples[member]
                    and call.key not in said
                    and call.key not in failed
                ]
                over = final or (member in gone and not any(key in held for key in left))
                if left and not over:
                    continue
                replies = [said[call.key] for call in own if call.key in said]
                typical = agreed([reply.answer for reply in replies]) if replies else None
                found[row, member] = None if typical is None else replies[typical]
        return found

    def _stages_behind(self, readers: Iterable[int]) -> list[list[int]]:
        """All whom these members wait for, in groups that do not wait for each other."""
        reads = self._plan.reads
        if reads is None:
            return []
        behind = np.flatnonzero(reads.closure[list(readers)].any(axis=0))
        stage = reads.stage[behind]
        return [behind[stage == n].tolist() for n in np.unique(stage)]

    def _calls_of(
        self, row: int, query_key: str, member: int, settled: _Settled
    ) -> list[Call] | None:
        """All calls of a member to a query; None where it is not known yet what it is shown."""
        calls = [
            self._plan.call(row, query_key, member, sample)
            for sample in range(self._n_samples[member])
        ]
        if not self._plan.inputs[member]:
            return calls
        if not self._is_ready(calls[0], settled):
            return None
        return [ready for call in calls if (ready := self._shown(call, settled)) is not None]

    def _is_ready(self, call: Call, settled: _Settled) -> bool:
        return all((call.query, read) in settled for read in self._plan.inputs[call.member])

    def _shown(self, call: Call, settled: _Settled) -> Call | None:
        """A reader's call with what it is shown; None where nobody has replied."""
        said = {
            self._plan.members[read].name: settled[call.query, read]
            for read in self._plan.inputs[call.member]
        }
        return self._plan.shown({name: s for name, s in said.items() if s is not None}, call)

    def _at_most(self, call: Call, settled: _Settled) -> dict[str, Said]:
        longest = Said(_LONGEST * self._plan.members[call.member].settings.read_tokens, None)
        said = {
            self._plan.members[read].name: settled.get((call.query, read), longest)
            for read in self._plan.inputs[call.member]
        }
        return {name: s for name, s in said.items() if s is not None}

    def _stored(self, keys: Sequence[str]) -> tuple[dict[str, Said], set[str]]:
        """Replies by key, and the keys of calls that have failed."""
        if self._database is None:
            return {}, set()
        found = self._database.texts(keys)
        said = {key: Said(text or "", answer) for key, (text, answer) in found.items()}
        left = [key for key in keys if key not in said]
        return said, self._database.failed_among(left, self._failed_since)
