"""What goes into the database and comes out: one call that was answered, one that failed, counts.

Knows nothing of SQL.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, NamedTuple

from rlfocal.records.database.keys import digest_of, key_of, query_key_of
from rlfocal.tokens import TokenLogprobs

__all__ = ["FailureCounts", "Spent", "StoredError", "StoredResponse", "query_row", "utc_now"]


def utc_now() -> str:
    """The time as texts in the database say it: ISO 8601 in UTC, to the microsecond."""
    return datetime.now(UTC).isoformat(timespec="microseconds")


@dataclass(frozen=True, kw_only=True)
class StoredResponse:
    """One answered call.

    Raises:
        ValueError: a number that no data set may hold: a score outside [0, 1], a negative cost or
            latency, an option score that is no number or above all, a negative sample index.
    """

    query_key: str
    """From `query_key_of`; of an imported response the query's digest, whose own it is."""
    query_id: str
    member: str
    settings_key: str
    sample: int = 0
    text: str | None
    """The full reply; None only where an imported data set has none."""
    answer: str | None = None
    """What was extracted; None: no usable answer."""
    score: float | None = None
    choice_scores: tuple[float, ...] | None = None
    """One number per option, all finite; a list with minus infinity in it is kept as none."""
    finish: str | None = None
    n_prompt_tokens: int | None = None
    n_completion_tokens: int | None = None
    cost_usd: float | None = None
    """None: unpriced, never free."""
    latency_s: float | None = None
    created_at: str = field(default_factory=utc_now, compare=False)
    samples: tuple[str | None, ...] | None = None
    """Answers of repeated calls that an imported data set holds in one row."""
    response_chars: int | None = None
    """Length of an imported reply, whose text may be missing."""
    tokens: TokenLogprobs | None = None
    """Log-probabilities of its tokens; None where its server told none."""
    shown: tuple[str, ...] | None = None
    """Of a reader: the members whose replies it was shown, in order; its own is not among them."""
    shown_key: str | None = None
    """Of a reader: from `shown_key_of`, of all that it was shown."""
    verdict: int | None = None
    """Of a judge: which of them it named, 0 for the first, -1 for none of them."""
    readings: Mapping[str, Any] | None = None
    """What samples that an imported data set holds in one row were shown, and their verdicts: its
    columns "shown" and "verdicts"."""
    signals: Mapping[str, float] | None = None
    """The user's own numbers about it, by name; those that are not finite are left out."""

    def __post_init__(self) -> None:
        if self.sample < 0:
            raise ValueError(f"sample must be 0 or more, got {self.sample}")
        if self.score is not None and not 0 <= self.score <= 1:
            raise ValueError(f"score must lie in [0, 1], got {self.score}")
        for name in ("cost_usd", "latency_s"):
            value = getattr(self, name)
            if value is not None and not 0 <= value < math.inf:
                raise ValueError(f"{name} must be finite and not negative, got {value}")
        if self.choice_scores is not None:
            scores = tuple(float(s) for s in self.choice_scores)
            if any(math.isnan(score) or score == math.inf for score in scores):
                raise ValueError(f"choice_scores must be finite, got {scores}")
            # Impossible is what some servers call an option: no reason to end a collection.
            known = None if -math.inf in scores else scores
            object.__setattr__(self, "choice_scores", known)
        finite = {k: float(v) for k, v in (self.signals or {}).items() if math.isfinite(v)}
        object.__setattr__(self, "signals", finite or None)
        if self.samples is not None:
            object.__setattr__(self, "samples", tuple(self.samples))
        if self.shown is not None:
            object.__setattr__(self, "shown", tuple(self.shown))

    @property
    def key(self) -> str:
        """The call's content key."""
        return key_of(self.query_key, self.member, self.settings_key, self.sample, self.shown_key)


@dataclass(frozen=True, kw_only=True)
class StoredError:
    """One failed attempt at a call.

    Attributes:
        key: of the call.
        member: who was asked.
        failure: a value of `rlfocal.errors.Failure`.
        status: HTTP status, where there was one.
        message: the server's own words, where it said any.
        created_at: as `utc_now`.
    """

    key: str
    member: str
    failure: str
    status: int | None = None
    message: str = ""
    created_at: str = field(default_factory=utc_now, compare=False)


class Spent(NamedTuple):
    """What the stored responses cost."""

    n_calls: int
    cost_usd: float
    """Of the calls that have a price."""
    n_unpriced: int
    """Calls whose price nobody knows."""


class FailureCounts(NamedTuple):
    """Failed calls of one member that failed in one way."""

    member: str
    failure: str
    """A value of `rlfocal.errors.Failure`."""
    status: int | None
    """HTTP status, where there was one."""
    n_left: int
    """Calls that have no response to this day."""
    n_failures: int
    """Times that it happened, calls that were answered since included."""
    message: str
    """Of the latest: the server's own words, where it said any."""
    first_at: str
    """ISO 8601 in UTC, as `utc_now`."""
    last_at: str


def query_row(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row of `queries` with its keys; unknown columns are left out."""
    query_id, prompt, choices = row["query_id"], row["prompt"], row.get("choices")
    task, label, tools = row.get("task"), row.get("label"), row.get("tools")
    return {
        "digest": digest_of(query_id, prompt, choices, label, task, tools),
        "query_key": query_key_of(prompt, choices, tools),
        "query_id": query_id,
        "task": "all" if task is None else task,
        "split": row.get("split"),
        "prompt": prompt,
        "choices": None if choices is None else list(choices),
        "label": label,
        "tools": tools,
    }
