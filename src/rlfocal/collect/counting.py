"""Count the calls of a plan: what they will cost before a run, what became of them after it."""

from __future__ import annotations

from typing import NamedTuple

from rlfocal.collect.plan import Plan, blocks
from rlfocal.collect.readings import Readings
from rlfocal.pool.building import unpriced
from rlfocal.records.database import Database

__all__ = ["Counted", "Estimate", "counted", "estimated"]

_CHARS_PER_TOKEN = 4
"""For estimates: English text in common tokenisers."""


class Counted(NamedTuple):
    """Calls of a plan, as they stand in a database once nobody is asked any more."""

    n_stored: int
    n_failed: int
    n_unread: int
    """Of readers whom nobody has replied to read."""


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
    n_unread: int = 0
    """Calls of readers that are not made: all whom they read have failed."""


def estimated(plan: Plan, database: Database | None, *, retry_failed: bool = False) -> Estimate:
    """Count the calls still to be made; makes no call and writes nothing.

    What readers will be shown of replies to come counts as long as it may be.
    """
    n_stored = n_failed = n_prompt = n_completion = n_calls = n_unread = 0
    cost = most = 0.0
    since = database.last_failure() if database is not None and retry_failed else 0
    readings = Readings(plan, database, failed_since=since)
    for block in blocks(plan.calls()):
        known, waiting, unread = readings.resolve(block)
        keys = [call.key for call in known]
        stored = set() if database is None else database.answered(keys)
        failed = set() if database is None else database.failed_among(keys, since)
        n_stored, n_failed = n_stored + len(stored), n_failed + len(failed)
        n_unread += unread
        for call in (*known, *waiting):
            if call.key in stored or call.key in failed:
                continue
            member, request = plan.members[call.member], plan.request(call)
            prompt = len(request.text) // _CHARS_PER_TOKEN + 1
            n_calls, n_prompt = n_calls + 1, n_prompt + prompt
            n_completion += request.max_tokens
            if member.price is not None:
                cost += member.price.of(prompt, request.max_tokens) or 0.0
                most += member.most_usd(request) or 0.0
    names = unpriced(plan.members)
    return Estimate(
        n_calls, n_stored, n_failed, n_prompt, n_completion, cost, most, names, n_unread
    )


def counted(plan: Plan, database: Database) -> Counted:
    """Count calls by what became of them; those not made yet are none of these."""
    found = Counted(0, 0, 0)
    readings = Readings(plan, database)
    for block in blocks(plan.calls()):
        known, _, n_unread = readings.resolve(block, final=True)
        keys = [call.key for call in known]
        n_stored, n_failed = len(database.answered(keys)), len(database.failed_among(keys))
        found = Counted(
            found.n_stored + n_stored, found.n_failed + n_failed, found.n_unread + n_unread
        )
    return found
