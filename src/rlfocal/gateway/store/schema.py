"""The gateway's tables. Moments are seconds since 1970, money is dollars.

Prompts and replies are in none of them, unless the user asks for prompts to be kept.
"""

from __future__ import annotations

import sqlalchemy as sa

from rlfocal.database import JsonText, Key, Position, SafeText, Tables

__all__ = [
    "TABLES",
    "events",
    "feedback",
    "keys",
    "policies",
    "processes",
    "rates",
    "requests",
    "reservations",
    "spending",
]


def _whose_reservations(connection: sa.Connection) -> None:
    """To version 2: a reservation belongs to a process, and processes show that they live."""
    kind = reservations.c.process.type.compile(connection.dialect)
    connection.exec_driver_sql(f"ALTER TABLE {reservations.name} ADD COLUMN process {kind}")
    processes.create(connection)


TABLES = Tables("gateway_meta", version=2, migrations={1: _whose_reservations})
_tables = TABLES.metadata

keys = sa.Table(
    "gateway_keys",
    _tables,
    sa.Column("id", Key, primary_key=True),
    sa.Column("name", SafeText, nullable=False, unique=True),
    sa.Column("digest", Key, nullable=False),
    sa.Column("admin", sa.Boolean, nullable=False),
    sa.Column("usd", sa.Double),
    sa.Column("period", SafeText, nullable=False),
    sa.Column("requests_per_minute", sa.Double),
    sa.Column("concurrency", sa.Integer),
    sa.Column("created_at", sa.Double, nullable=False),
    sa.Column("expires_at", sa.Double),
    sa.Column("revoked_at", sa.Double),
)
"""`digest` is SHA-256 of the key in hexadecimal; `usd` may be spent in each `period`: "day",
"month" or "total". A limit that is NULL does not exist."""

spending = sa.Table(
    "gateway_spending",
    _tables,
    sa.Column("key_id", Key, primary_key=True),
    sa.Column("day", SafeText, primary_key=True),
    sa.Column("usd", sa.Double, nullable=False),
    sa.Column("unsettled_usd", sa.Double, nullable=False),
    sa.Column("n_requests", sa.BigInteger, nullable=False),
    sa.Column("n_calls", sa.BigInteger, nullable=False),
    sa.Column("n_prompt_tokens", sa.BigInteger, nullable=False),
    sa.Column("n_completion_tokens", sa.BigInteger, nullable=False),
)
"""One row for each key and day (UTC, as ISO 8601). `unsettled_usd` is what failed or abandoned
calls may cost at most: nobody knows whether a bill comes for them."""

reservations = sa.Table(
    "gateway_reservations",
    _tables,
    sa.Column("request_id", Key, primary_key=True),
    sa.Column("key_id", Key, nullable=False, index=True),
    sa.Column("usd", sa.Double, nullable=False),
    sa.Column("until", sa.Double, nullable=False),
    sa.Column("process", Key),
)
"""Requests under way of keys that have limits, each with what it may cost at most. `process` is who
makes it; NULL where that is not known, and then it is under way until its time is over."""

processes = sa.Table(
    "gateway_processes",
    _tables,
    sa.Column("id", Key, primary_key=True),
    sa.Column("seen_at", sa.Double, nullable=False),
)
"""Gateways that serve, and when each last said that it lives."""

rates = sa.Table(
    "gateway_rates",
    _tables,
    sa.Column("key_id", Key, primary_key=True),
    sa.Column("left", sa.Double, nullable=False),
    sa.Column("at", sa.Double, nullable=False),
)
"""A token bucket for each key: so many requests were left at that moment."""

requests = sa.Table(
    "gateway_requests",
    _tables,
    sa.Column("position", Position, primary_key=True),
    sa.Column("id", Key, nullable=False, unique=True),
    sa.Column("key_id", Key),
    sa.Column("created_at", sa.Double, nullable=False, index=True),
    sa.Column("model", SafeText, nullable=False),
    sa.Column("task", SafeText, nullable=False),
    sa.Column("policy", Key, nullable=False),
    sa.Column("status", sa.Integer, nullable=False),
    sa.Column("error", SafeText),
    sa.Column("streamed", sa.Boolean, nullable=False),
    sa.Column("latency_s", sa.Double, nullable=False),
    sa.Column("own_s", sa.Double, nullable=False),
    sa.Column("n_calls", sa.Integer, nullable=False),
    sa.Column("n_rounds", sa.Integer, nullable=False),
    sa.Column("usd", sa.Double, nullable=False),
    sa.Column("unsettled_usd", sa.Double, nullable=False),
    sa.Column("n_unpriced", sa.Integer, nullable=False),
    sa.Column("n_prompt_tokens", sa.BigInteger, nullable=False),
    sa.Column("n_completion_tokens", sa.BigInteger, nullable=False),
    sa.Column("confidence", sa.Double),
    sa.Column("given", JsonText),
    sa.Column("candidates", JsonText),
    sa.Column("chosen", sa.Integer),
    sa.Column("trace", JsonText),
    sa.Column("episode", JsonText),
    sa.Column("prompt", SafeText),
)
"""One row for each chat completion that passed the door. `latency_s` is from the request's last
byte to the reply's first (or its error's), `own_s` the part of it in which no member was waited
for. `given` is member → number of the candidate it gave (null: failed or no answer), `candidates`
their texts, or digests of long ones, `chosen` the number of the ensemble's. `trace` is
`rlfocal.live.Trace.as_json()` without texts of replies. `episode` is what off-policy learning
needs. `prompt` is NULL unless the user has asked for prompts to be kept."""

feedback = sa.Table(
    "gateway_feedback",
    _tables,
    sa.Column("position", Position, primary_key=True),
    sa.Column("request_id", Key, nullable=False, unique=True),
    sa.Column("key_id", Key),
    sa.Column("created_at", sa.Double, nullable=False),
    sa.Column("score", sa.Double),
    sa.Column("answer", SafeText),
    sa.Column("earned", sa.Double, nullable=False),
    sa.Column("task", SafeText, nullable=False),
    sa.Column("given", JsonText, nullable=False),
    sa.Column("member_scores", JsonText, nullable=False),
)
"""One row for each answer that was judged; a second judgement takes the place of the first.
`score` or `answer` as the client sent it; `earned` is what the answer was worth; `given` as in the
request; `member_scores` is member → what its answer was worth (null: cannot be known)."""

policies = sa.Table(
    "gateway_policies",
    _tables,
    sa.Column("position", Position, primary_key=True),
    sa.Column("id", Key, nullable=False, unique=True),
    sa.Column("parent", Key),
    sa.Column("created_at", sa.Double, nullable=False),
    sa.Column("state", SafeText, nullable=False),
    sa.Column("path", SafeText, nullable=False),
    sa.Column("estimates", JsonText),
)
"""Checkpoints that were served or learned: "live" (one of them), "shadow" or "retired"."""

events = sa.Table(
    "gateway_events",
    _tables,
    sa.Column("position", Position, primary_key=True),
    sa.Column("created_at", sa.Double, nullable=False),
    sa.Column("kind", SafeText, nullable=False),
    sa.Column("what", JsonText, nullable=False),
)
"""What people did: keys added and revoked, policies promoted and rolled back."""
