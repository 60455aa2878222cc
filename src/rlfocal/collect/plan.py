"""Plan the calls of a collection.

A call is one sample of one member's reply to one query. It has a content key: the same question put
in the same way has the same key, in every run, so what is stored is never paid for again. What a
member is shown of others' replies is part of it; it is found when they have replied (`readings`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from rlfocal.errors import ConfigError
from rlfocal.pool.asking.question import Question, Said
from rlfocal.pool.building import LiveMember
from rlfocal.pool.reading.checks import readers_of
from rlfocal.pool.reading.showing import Showing, n_showings, showing_of
from rlfocal.pool.types import Request
from rlfocal.readers import Reads
from rlfocal.records.database import key_of, query_key_of, shown_key_of
from rlfocal.records.signals.registry import signal_names
from rlfocal.records.spool import Rows
from rlfocal.toolcalls.offering import offered

__all__ = ["BLOCK", "Call", "Plan", "blocks", "make_plan"]

BLOCK = 500
"""Keys looked up in the database at once."""


class Call(NamedTuple):
    """One call to make."""

    key: str
    """Empty as long as it is not known what a reader is shown."""
    query_key: str
    query: int
    """Row of the queries."""
    member: int
    sample: int
    shown: Mapping[str, Said] | None = None
    """Replies of those whom the member reads; None for one that reads nobody."""


@dataclass(frozen=True)
class Plan:
    """All calls of a collection, stored or not, query by query."""

    queries: Rows
    members: Sequence[LiveMember]
    settings_keys: Sequence[str]
    samples: Sequence[int]
    """How often each member is asked."""

    def calls(self, start: int = 0, stop: int | None = None) -> Iterator[Call]:
        """All calls, grouped by query, so that a part of them is of use already.

        Those of readers have no key yet.

        Args:
            start: the first row of queries.
            stop: the first that is not wanted; None for all.
        """
        first = self._first
        for row, query in enumerate(self.queries.since(start), start=start):
            if row == stop:
                return
            if first is not None and not first[row]:
                continue
            own = _key_of(query)
            for m in range(len(self.members)):
                for sample in range(self.samples[m]):
                    yield self.call(row, own, m, sample)

    def call(self, query: int, query_key: str, member: int, sample: int) -> Call:
        """One call; a reader's has no key yet."""
        key = ""
        if not self.inputs[member]:
            name = self.members[member].name
            key = key_of(query_key, name, self.settings_keys[member], sample)
        return Call(key, query_key, query, member, sample)

    def shown(self, said: Mapping[str, Said], call: Call) -> Call | None:
        """A reader's call with what it is shown, and its key; None where there is nothing.

        Args:
            said: the replies of those whom it reads, by name.
            call: one of the reader.
        """
        call = call._replace(shown=said)
        showing = self.showing(call)
        assert showing is not None
        if showing.is_empty:
            return None
        name, settings_key = self.members[call.member].name, self.settings_keys[call.member]
        shown_key = shown_key_of(showing.contents)
        key = key_of(call.query_key, name, settings_key, call.sample, shown_key)
        return call._replace(key=key)

    def showing(self, call: Call) -> Showing | None:
        """What a reader is shown, in order; None for a member that reads nobody."""
        if call.shown is None:
            return None
        return showing_of(self.members[call.member].settings, self.question(call), call.sample)

    @cached_property
    def inputs(self) -> tuple[tuple[int, ...], ...]:
        """Of each member the numbers of those whom it reads."""
        place = {member.name: m for m, member in enumerate(self.members)}
        return tuple(
            tuple(place[name] for name in member.settings.inputs) for member in self.members
        )

    @cached_property
    def reads(self) -> Reads | None:
        """Who reads whom; None where nobody reads."""
        settings = [member.settings for member in self.members]
        return Reads.of([member.name for member in self.members], readers_of(settings))

    @property
    def depth(self) -> int:
        """How often somebody has to wait for others: 0 where nobody reads, 1 for one judge."""
        return 0 if self.reads is None else int(self.reads.stage.max())

    @property
    def n_calls(self) -> int:
        """Number of calls in all."""
        n = len(self.queries) if self._first is None else int(self._first.sum())
        return n * sum(self.samples)

    @cached_property
    def _first(self) -> NDArray[np.bool_] | None:
        """Whether a query is the first of those that read alike, which are asked once; None: all.

        Of each key 16 bytes are remembered for the moment.
        """
        n = len(self.queries)
        keys = np.empty((n, 2), np.uint64)
        for row, query in enumerate(self.queries):
            key = int(_key_of(query)[:32], 16)
            keys[row] = key >> 64, key & (1 << 64) - 1
        order = np.lexsort((keys[:, 1], keys[:, 0]))  # stable: the first row of each comes first
        again = (keys[order[1:]] == keys[order[:-1]]).all(axis=1)
        if not again.any():
            return None
        first = np.ones(n, bool)
        first[order[1:][again]] = False
        return first

    def question(self, call: Call) -> Question:
        """The question of a call."""
        query = self.queries[call.query]
        extra = {} if query.get("tools") is None else {"tools": list(offered(query["tools"]))}
        choices = tuple(query["choices"] or ())
        return Question(query["prompt"], choices, shown=call.shown or {}, extra=extra)

    def request(self, call: Call) -> Request:
        """What is sent for a call."""
        return self.members[call.member].request(self.question(call), sample=call.sample)

    def most_usd(self, call: Call) -> float | None:
        """Upper bound of a call's cost, retries included; None where its member has no price."""
        return self.members[call.member].most_usd(self.request(call))


def make_plan(
    queries: pa.Table | Rows,
    members: Sequence[LiveMember],
    settings_keys: Sequence[str],
    *,
    samples: int | None = None,
) -> Plan:
    """Plan a collection.

    Args:
        queries: normalised queries.
        members: those to ask.
        settings_keys: of each member, as the database names them.
        samples: times each member is asked; None for as often as its settings say.

    Raises:
        ConfigError: several samples of a member at temperature 0, a reader without those whom it
            reads, or a signal of the user's own that has the name of another.
    """
    names = [member.name for member in members]
    for member in members:
        for read in member.settings.inputs:
            if read not in names:
                raise ConfigError(
                    f"member '{member.name}' reads '{read}', who is not among those to be asked "
                    f"({', '.join(names)}); name '{read}', too: what is stored is not asked again"
                )
        if taken := signal_names().intersection(member.own.names):
            raise ConfigError(
                f"signals.{min(taken)}: a signal of that name is read of every reply; give yours "
                "another name in the pool file"
            )
        if (samples or 1) > n_showings(member.settings) and member.settings.temperature == 0:
            raise ConfigError(
                f"--samples {samples}: member '{member.name}' has temperature = 0 and would say "
                "the same again; raise its temperature, or leave --samples out"
            )
    counts = [samples or member.settings.samples for member in members]
    rows = queries if isinstance(queries, Rows) else Rows.of(queries)
    return Plan(rows, members, settings_keys, counts)


def _key_of(query: Mapping[str, Any]) -> str:
    return query_key_of(query["prompt"], query["choices"], query.get("tools"))


def blocks(calls: Iterator[Call]) -> Iterator[list[Call]]:
    """Calls in lists of a few hundred."""
    block: list[Call] = []
    for call in calls:
        block.append(call)
        if len(block) == BLOCK:
            yield block
            block = []
    if block:
        yield block
