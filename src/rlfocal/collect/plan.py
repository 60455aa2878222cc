"""Plan the calls of a collection, and estimate their cost.

A call is one sample of one member's reply to one query. It has a content key: the same question put
in the same way has the same key, in every run, so what is stored is never paid for again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import pyarrow as pa

from rlfocal.errors import ConfigError
from rlfocal.pool.asking.prompting import Question
from rlfocal.pool.building import LiveMember, unpriced
from rlfocal.records.database import Database, key_of, query_key_of
from rlfocal.records.signals.registry import signal_names

__all__ = ["BLOCK", "Call", "Estimate", "Plan", "blocks", "make_plan"]

_CHARS_PER_TOKEN = 4
"""For estimates: English text in common tokenisers."""
BLOCK = 500
"""Keys looked up in the database at once."""


class Call(NamedTuple):
    """One call to make."""

    key: str
    query_key: str
    query: int
    """Row of the queries."""
    member: int
    sample: int


class Estimate(NamedTuple):
    """Calls, tokens and cost of a plan."""

    n_calls: int
    n_stored: int
    """Calls whose replies are in the database."""
    n_failed: int
    """Calls whose last attempt failed; they are made again on request only."""
    n_prompt_tokens: int
    """At four characters a token."""
    n_completion_tokens: int
    """As many as members are allowed to write."""
    cost_usd: float
    """Of priced members, by these numbers of tokens, each call sent once."""
    most_usd: float
    """Upper bound: every byte of a prompt counts as a token, and every attempt is billed."""
    unpriced: tuple[str, ...]
    """Members without a known price."""


@dataclass(frozen=True)
class Plan:
    """All calls of a collection, stored or not, query by query."""

    queries: Sequence[Mapping[str, Any]]
    members: Sequence[LiveMember]
    settings_keys: Sequence[str]
    samples: Sequence[int]
    """How often each member is asked."""

    def calls(self) -> Iterator[Call]:
        """All calls, grouped by query, so that a part of them is of use already."""
        for own, row in self._distinct.items():
            for m, member in enumerate(self.members):
                for sample in range(self.samples[m]):
                    key = key_of(own, member.name, self.settings_keys[m], sample)
                    yield Call(key, own, row, m, sample)

    @property
    def n_calls(self) -> int:
        """Number of calls in all."""
        return len(self._distinct) * sum(self.samples)

    @cached_property
    def _distinct(self) -> dict[str, int]:
        """Key → row of every query; queries with the same text and choices are asked once."""
        rows: dict[str, int] = {}
        for row, query in enumerate(self.queries):
            rows.setdefault(query_key_of(query["prompt"], query["choices"]), row)
        return rows

    def question(self, call: Call) -> Question:
        """The question of a call."""
        query = self.queries[call.query]
        return Question(query["prompt"], tuple(query["choices"] or ()))

    def tokens(self, call: Call) -> tuple[int, int]:
        """Estimated tokens of the prompt, by its length, and the most of the reply."""
        request = self.members[call.member].request(self.question(call), sample=call.sample)
        return len(request.text) // _CHARS_PER_TOKEN + 1, request.max_tokens

    def most_usd(self, call: Call) -> float | None:
        """Upper bound of a call's cost, retries included; None where its member has no price."""
        member = self.members[call.member]
        return member.most_usd(member.request(self.question(call), sample=call.sample))

    def estimate(self, database: Database | None, *, retry_failed: bool = False) -> Estimate:
        """Count the calls still to be made; makes no call and writes nothing."""
        n_stored = n_failed = n_prompt = n_completion = n_calls = 0
        cost = most = 0.0
        for block in blocks(self.calls()):
            keys = [call.key for call in block]
            stored = set() if database is None else database.answered(keys)
            failed = set() if database is None or retry_failed else database.failed_among(keys)
            n_stored, n_failed = n_stored + len(stored), n_failed + len(failed)
            for call in block:
                if call.key in stored or call.key in failed:
                    continue
                prompt, completion = self.tokens(call)
                n_calls, n_prompt = n_calls + 1, n_prompt + prompt
                n_completion += completion
                price = self.members[call.member].price
                cost += 0.0 if price is None else price.of(prompt, completion) or 0.0
                most += self.most_usd(call) or 0.0
        names = unpriced(self.members)
        return Estimate(n_calls, n_stored, n_failed, n_prompt, n_completion, cost, most, names)

    def n_answered(self, database: Database) -> int:
        """Number of calls that have a reply."""
        return sum(
            len(database.answered([call.key for call in block])) for block in blocks(self.calls())
        )


def make_plan(
    queries: pa.Table,
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
        ConfigError: several samples of a member at temperature 0, or a signal of the user's own
            that has the name of another.
    """
    for member in members:
        if taken := signal_names().intersection(member.own.names):
            raise ConfigError(
                f"signals.{min(taken)}: a signal of that name is read of every reply; give yours "
                "another name in the pool file"
            )
        if (samples or 1) > 1 and member.settings.temperature == 0:
            raise ConfigError(
                f"--samples {samples}: member '{member.name}' has temperature = 0 and would say "
                "the same again; raise its temperature, or leave --samples out"
            )
    counts = [samples or member.settings.samples for member in members]
    return Plan(queries.to_pylist(), members, settings_keys, counts)


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
