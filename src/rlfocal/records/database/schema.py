"""The tables of answers and their version.

Version 1 is the first. In version 2 a server's address is no part of a member's settings. Version 3
keeps the log-probabilities of a reply's tokens, and the user's own signals. In version 4 a query's
task and label may return to what they were. Version 5 knows what readers were shown, and
version 6 the functions that a query offers. Version 7 has what collectors share beside claims:
dollars and moments.
"""

from __future__ import annotations

import sqlalchemy as sa

from rlfocal.database import JsonText, Key, Position, SafeText, Tables, TokenBytes, columns
from rlfocal.records.database.migrations import (
    with_readings,
    with_sharing,
    with_tokens,
    with_tools,
    with_turns,
    without_addresses,
)

__all__ = [
    "TABLES", "claims", "errors", "members", "meta", "moments", "queries", "responses", "spending",
]  # fmt: skip

_STEPS = {
    1: without_addresses, 2: with_tokens, 3: with_turns, 4: with_readings, 5: with_tools,
    6: with_sharing,
}  # fmt: skip
TABLES = Tables("meta", version=7, migrations=_STEPS)
_tables, meta = TABLES.metadata, TABLES.meta

queries = sa.Table(
    "queries",
    _tables,
    sa.Column("position", Position, primary_key=True),
    sa.Column("digest", Key, nullable=False, unique=True),
    sa.Column("query_key", Key, nullable=False, index=True),
    *columns(SafeText, "query_id", "task"),
    sa.Column("split", SafeText),
    sa.Column("prompt", SafeText, nullable=False),
    sa.Column("choices", JsonText),
    sa.Column("label", SafeText),
    sa.Column("registered", Position, nullable=False, index=True),
    sa.Column("tools", SafeText),
    sa.Index("ix_queries_same", "query_id", "query_key"),
)
"""`digest` names a row by its content; `position` is the order in which rows came, `registered`
that in which they came last: of rows of one query the one with the highest counts."""

members = sa.Table(
    "members",
    _tables,
    sa.Column("position", Position, primary_key=True),
    sa.Column("name", SafeText, nullable=False),
    sa.Column("settings_key", Key, nullable=False),
    sa.Column("settings", JsonText, nullable=False),
    sa.Column("added_at", SafeText, nullable=False),
    sa.UniqueConstraint("name", "settings_key"),
)

responses = sa.Table(
    "responses",
    _tables,
    sa.Column("key", Key, primary_key=True),
    sa.Column("query_key", Key, nullable=False, index=True),
    sa.Column("query_id", SafeText, nullable=False),
    sa.Column("member", SafeText, nullable=False, index=True),
    sa.Column("settings_key", Key, nullable=False),
    sa.Column("sample", sa.Integer, nullable=False),
    *columns(SafeText, "text", "answer", nullable=True),
    sa.Column("score", sa.Double),
    sa.Column("choice_scores", JsonText),
    sa.Column("finish", SafeText),
    *columns(sa.BigInteger(), "n_prompt_tokens", "n_completion_tokens", nullable=True),
    *columns(sa.Double(), "cost_usd", "latency_s", nullable=True),
    sa.Column("created_at", SafeText, nullable=False),
    sa.Column("samples", JsonText),
    sa.Column("response_chars", sa.BigInteger),
    sa.Column("tokens", TokenBytes),
    sa.Column("signals", JsonText),
    sa.Column("shown", JsonText),
    sa.Column("shown_key", SafeText),
    sa.Column("verdict", sa.Integer),
    sa.Column("readings", JsonText),
)
"""No reference to `queries` or `members`: a paid reply is stored whatever else is there."""

errors = sa.Table(
    "errors",
    _tables,
    sa.Column("position", Position, primary_key=True),
    sa.Column("key", Key, nullable=False, index=True),
    *columns(SafeText, "member", "failure"),
    sa.Column("status", sa.Integer),
    *columns(SafeText, "message", "created_at"),
)

claims = sa.Table(
    "claims",
    _tables,
    sa.Column("key", Key, primary_key=True),
    sa.Column("owner", SafeText, nullable=False),
    sa.Column("until", sa.Double, nullable=False),
)
"""`until` is in seconds since 1970, by the server's clock where there is a server."""

spending = sa.Table(
    "spending",
    _tables,
    sa.Column("owner", SafeText, primary_key=True),
    sa.Column("budget", SafeText, nullable=False, index=True),
    *columns(sa.Double(), "spent_usd", "allowed_usd", "until"),
)
"""Of each collector with a cap: what it has spent, with what may still be billed; up to what it may
spend without asking again; and until when that holds."""

moments = sa.Table(
    "moments",
    _tables,
    sa.Column("name", Key, primary_key=True),
    sa.Column("next_s", sa.Double, nullable=False),
)
"""When the next call may start that a rate allows, by the clock of `claims`."""
