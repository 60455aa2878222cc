"""What is written down about requests, feedback and policies, as rows of the tables.

`position` is the order in which rows came; who writes a row leaves it out. Moments are seconds
since 1970. Texts of people stand in no `repr`, so that no log shows them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

__all__ = ["ABANDONED", "Event", "FeedbackRow", "JudgedEpisode", "PolicyRow", "RequestRow", "Spent"]

ABANDONED = "abandoned"
"""`error` of a request whose process was killed: what it cost is not known."""


class Spent(NamedTuple):
    """What one request came to."""

    usd: float = 0.0
    unsettled_usd: float = 0.0
    """What calls that failed or were abandoned may cost at most."""
    n_calls: int = 0
    n_prompt_tokens: int = 0
    n_completion_tokens: int = 0


@dataclass(frozen=True, kw_only=True)
class RequestRow:
    """One chat completion; see the table for what the columns mean."""

    id: str
    key_id: str | None
    """None: authentication was off, and no spending is counted."""
    created_at: float
    model: str
    task: str
    policy: str
    status: int
    error: str | None = None
    streamed: bool = False
    latency_s: float = 0.0
    own_s: float = 0.0
    n_calls: int = 0
    n_rounds: int = 0
    usd: float = 0.0
    unsettled_usd: float = 0.0
    n_unpriced: int = 0
    n_prompt_tokens: int = 0
    n_completion_tokens: int = 0
    confidence: float | None = None
    given: Mapping[str, int | None] | None = None
    candidates: Sequence[str] | None = field(default=None, repr=False)
    chosen: int | None = None
    trace: Mapping[str, Any] | None = field(default=None, repr=False)
    episode: Mapping[str, Any] | None = field(default=None, repr=False)
    prompt: str | None = field(default=None, repr=False)
    choices: Sequence[str] | None = field(default=None, repr=False)
    position: int | None = None

    @property
    def spent(self) -> Spent:
        """Its cost, calls and tokens."""
        return Spent(
            self.usd,
            self.unsettled_usd,
            self.n_calls,
            self.n_prompt_tokens,
            self.n_completion_tokens,
        )


@dataclass(frozen=True, kw_only=True)
class FeedbackRow:
    """One judged answer."""

    request_id: str
    key_id: str | None
    created_at: float
    score: float | None = None
    answer: str | None = field(default=None, repr=False)
    earned: float
    task: str
    given: Mapping[str, int | None]
    member_scores: Mapping[str, float | None]
    position: int | None = None


class JudgedEpisode(NamedTuple):
    """A request that left an episode, and its judgement."""

    request_id: str
    episode: Mapping[str, Any]
    """`rlfocal.online.episodes.Episode.as_json`, not judged."""
    earned: float
    """Worth of the answer, in [0, 1]."""
    member_scores: Mapping[str, float | None]
    """Worth of each member's answer, where it is known."""


@dataclass(frozen=True, kw_only=True)
class PolicyRow:
    """One checkpoint that was served or learned."""

    id: str
    parent: str | None = None
    created_at: float
    state: str
    """One of "live", "shadow" and "retired"."""
    path: str
    estimates: Mapping[str, Any] | None = None
    position: int | None = None


@dataclass(frozen=True, kw_only=True)
class Event:
    """Something that people did."""

    kind: str
    what: Mapping[str, Any]
    created_at: float
    position: int | None = None
