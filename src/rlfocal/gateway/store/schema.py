"""The gateway's tables. Moments are seconds since 1970, money is dollars.

Prompts and replies are in none of them, unless the user asks for prompts to be kept.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from rlfocal.database import JsonText, Key, Position, SafeText, Tables, columns

__all__ = [
    "TABLES",
    "circuits",
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


def _options_of_prompts(connection: sa.Connection) -> None:
    """To version 3: where prompts are kept, the options of a choice are, too."""
    kind = requests.c.choices.type.compile(connection.dialect)
    connection.exec_driver_sql(f"ALTER TABLE {requests.name} ADD COLUMN choices {kind}")


def _places_and_circuits(connection: sa.Connection) -> None:
    """To version 4: how many places a reservation takes; circuits are known to all processes."""
    kind = reservations.c.n_places.type.compile(connection.dialect)
    connection.exec_driver_sql(f"ALTER TABLE {reservations.name} ADD COLUMN n_places {kind}")
    circuits.create(connection)


TABLES = Tables(
    "gateway_meta",
    version=4,
    migrations={1: _whose_reservations, 2: _options_of_prompts, 3: _places_and_circuits},
)


def _table(name: str, *parts: sa.Column[Any], numbered: bool = False) -> sa.Table:
    """A table; in a numbered one a position says in which order rows came."""
    position = [sa.Column("position", Position, primary_key=True)] if numbered else []
    return sa.Table(f"gateway_{name}", TABLES.metadata, *position, *parts)


keys = _table(
    "keys",
    sa.Column("id", Key, primary_key=True),
    sa.Column("name", SafeText, nullable=False, unique=True),
    sa.Column("digest", Key, nullable=False),
    sa.Column("admin", sa.Boolean, nullable=False),
    sa.Column("usd", sa.Double),
    sa.Column("period", SafeText, nullable=False),
    sa.Column("requests_per_minute", sa.Double),
    sa.Column("concurrency", sa.Integer),
    sa.Column("created_at", sa.Double, nullable=False),
    *columns(sa.Double, "expires_at", "revoked_at", nullable=True),
)
"""`digest` is SHA-256 of the key in hexadecimal; `usd` may be spent in each `period`: "day",
"month" or "total". A limit that is NULL does not exist."""

spending = _table(
    "spending",
    sa.Column("key_id", Key, primary_key=True),
    sa.Column("day", SafeText, primary_key=True),
    *columns(sa.Double, "usd", "unsettled_usd"),
    *columns(sa.BigInteger, "n_requests", "n_calls", "n_prompt_tokens", "n_completion_tokens"),
)
"""One row for each key and day (UTC, as ISO 8601). `unsettled_usd` is what failed or abandoned
calls may cost at most: nobody knows whether a bill comes for them."""

reservations = _table(
    "reservations",
    sa.Column("request_id", Key, primary_key=True),
    sa.Column("key_id", Key, nullable=False, index=True),
    *columns(sa.Double, "usd", "until"),
    sa.Column("process", Key),
    sa.Column("n_places", sa.Integer),
)
"""Requests under way of keys that have limits, each with what it may cost at most. `process` is who
makes it; NULL where that is not known, and then it is under way until its time is over. `n_places`
is how many replies it wants; NULL for one."""

processes = _table(
    "processes",
    sa.Column("id", Key, primary_key=True),
    sa.Column("seen_at", sa.Double, nullable=False),
)
"""Gateways that serve, and when each last said that it lives."""

circuits = _table(
    "circuits",
    sa.Column("server", Key, primary_key=True),
    sa.Column("process", Key, nullable=False),
    *columns(sa.Double, "at", "since"),
    sa.Column("is_open", sa.Boolean, nullable=False),
    sa.Column("asker", Key),
)
"""The latest that a process has learned of a member's server: that it failed so often in a row,
from `since` on, that it is left alone from `at` on, or that it answers again. `asker` is the key
whose requests alone have failed; NULL for several, or for nobody's."""

rates = _table(
    "rates",
    sa.Column("key_id", Key, primary_key=True),
    *columns(sa.Double, "left", "at"),
)
"""A token bucket for each key: so many requests were left at that moment."""

requests = _table(
    "requests",
    sa.Column("id", Key, nullable=False, unique=True),
    sa.Column("key_id", Key),
    sa.Column("created_at", sa.Double, nullable=False, index=True),
    *columns(SafeText, "model", "task"),
    sa.Column("policy", Key, nullable=False),
    sa.Column("status", sa.Integer, nullable=False),
    sa.Column("error", SafeText),
    sa.Column("streamed", sa.Boolean, nullable=False),
    *columns(sa.Double, "latency_s", "own_s"),
    *columns(sa.Integer, "n_calls", "n_rounds"),
    *columns(sa.Double, "usd", "unsettled_usd"),
    sa.Column("n_unpriced", sa.Integer, nullable=False),
    *columns(sa.BigInteger, "n_prompt_tokens", "n_completion_tokens"),
    sa.Column("confidence", sa.Double),
    *columns(JsonText, "given", "candidates", nullable=True),
    sa.Column("chosen", sa.Integer),
    *columns(JsonText, "trace", "episode", nullable=True),
    sa.Column("prompt", SafeText),
    sa.Column("choices", JsonText),
    numbered=True,
)
"""One row for each chat completion that passed the door. `latency_s` is from the request's last
byte to the reply's first (or its error's), `own_s` the part of it in which no member was waited
for. `given` is member → number of the candidate it gave (null: failed or no answer), `candidates`
their texts, or digests of long ones, `chosen` the number of the ensemble's. `trace` is
`rlfocal.live.Trace.as_json()` without texts of replies. `episode` is what off-policy learning
needs. `prompt` and the `choices` put with it are NULL unless the user has asked for prompts to be
kept."""

feedback = _table(
    "feedback",
    sa.Column("request_id", Key, nullable=False, unique=True),
    sa.Column("key_id", Key),
    sa.Column("created_at", sa.Double, nullable=False),
    sa.Column("score", sa.Double),
    sa.Column("answer", SafeText),
    sa.Column("earned", sa.Double, nullable=False),
    sa.Column("task", SafeText, nullable=False),
    *columns(JsonText, "given", "member_scores"),
    numbered=True,
)
"""One row for each answer that was judged; a second judgement takes the place of the first.
`score` or `answer` as the client sent it; `earned` is what the answer was worth; `given` as in the
request; `member_scores` is member → what its answer was worth (null: cannot be known)."""

policies = _table(
    "policies",
    sa.Column("id", Key, nullable=False, unique=True),
    sa.Column("parent", Key),
    sa.Column("created_at", sa.Double, nullable=False),
    *columns(SafeText, "state", "path"),
    sa.Column("estimates", JsonText),
    numbered=True,
)
"""Checkpoints that were served or learned: "live" (one of them), "shadow" or "retired". `path` is
empty for a start without labels, which a pool file makes again."""

events = _table(
    "events",
    sa.Column("created_at", sa.Double, nullable=False),
    sa.Column("kind", SafeText, nullable=False),
    sa.Column("what", JsonText, nullable=False),
    numbered=True,
)
"""What people did: keys added and revoked, policies promoted and rolled back."""
