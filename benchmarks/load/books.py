"""Money three times over: in replies, in the gateway's ledger, and at the upstream."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import sqlalchemy as sa

from load.ensemble import names
from load.faulty import Delivered, Key, asked_of
from load.judging import Outcome
from load.trials import Stream

DOLLARS = ((500.0, 900.0), (450.0, 800.0), (400.0, 700.0), (350.0, 600.0), (300.0, 500.0))
"""Per million tokens: so dear that a single reply too many or too few is more than a cent."""
GIVEN_UP = ("cancelled", "timeout")
"""Failures after which a reply may still come, which nobody takes."""


@dataclass(frozen=True)
class Books:
    """The gateway's own, read from its database."""

    usd: float
    unsettled_usd: float
    spending_usd: float
    """Of the key, over all days."""


def read_books(database: Path) -> Books:
    """What the gateway has written down."""
    engine = sa.create_engine(f"sqlite:///{database}")
    try:
        with engine.connect() as connection:
            rows = connection.execute(
                sa.text("SELECT usd, unsettled_usd FROM gateway_requests")
            ).all()
            spent = connection.execute(sa.text("SELECT usd FROM gateway_spending")).scalars().all()
    finally:
        engine.dispose()
    return Books(
        usd=sum(row.usd for row in rows),
        unsettled_usd=sum(row.unsettled_usd for row in rows),
        spending_usd=sum(spent),
    )


def price(member: str, n_prompt: int, n_completion: int) -> float:
    """Dollars of one call."""
    of_prompt, of_completion = DOLLARS[names(len(DOLLARS)).index(member)]
    return (n_prompt * of_prompt + n_completion * of_completion) / 1e6


class Bill(NamedTuple):
    """What the upstream would ask for."""

    usd: float
    """For replies that the gateway took."""
    n_tokens: int
    late_usd: float
    """For those that were sent whole when nobody waited for them any more, as the client was told:
    they are among what the ledger calls unsettled."""
    unknown: tuple[Key, ...]
    """Replies that went out whole and of which nobody says anything: there must be none."""


def bill(delivered: Delivered, stream: Stream, outcomes: Sequence[Outcome]) -> Bill:
    """Of all replies that went out whole; the stub counts words as tokens."""
    of = dict(zip((trial.number for trial in stream.trials), outcomes, strict=True))
    usd, late_usd, n_tokens, unknown = 0.0, 0.0, 0, []
    for prompt, times in delivered.replies.items():
        member, number = key = asked_of(prompt)
        if number not in of:  # before the stream
            continue
        outcome = of[number]
        n_prompt, n_completion = len(prompt.split()), len(f"Answer: {stream.answers[key]}".split())
        once = price(member, n_prompt, n_completion)
        if member in outcome.paid:
            usd, n_tokens = usd + once, n_tokens + n_prompt + n_completion
            times -= 1
        gone = outcome.failures.get(member) in GIVEN_UP or "deadline" in outcome.detail
        late_usd += times * once if gone else 0.0
        unknown += [] if gone else [key] * times
    return Bill(usd, n_tokens, late_usd, tuple(unknown))
