"""What is asked in a conversation, of whom, and what came back.

A call's content key says what was sent, to whom, and which reply to the same it is: what has been
paid for once is looked up by it. A member that is asked a data set's question as the pool file has
it asked has the key that `rlfocal collect` gives that call.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from rlfocal.pool.asking.prompting import Question, request_for
from rlfocal.pool.building import LiveMember
from rlfocal.pool.member import MemberSettings
from rlfocal.pool.types import Request
from rlfocal.records.database import key_of, query_key_of

__all__ = ["Call", "Heard", "Put", "Query"]


@dataclass(frozen=True)
class Query:
    """A query of a data set."""

    row: Mapping[str, Any]
    """query_id, task, prompt, choices (a list or None), label (canonical, or None)."""

    @cached_property
    def question(self) -> Question:
        """As members are asked it."""
        return Question(self.row["prompt"], tuple(self.row["choices"] or ()))


@dataclass(frozen=True)
class Call:
    """One call, before it is made."""

    speaker: str
    """Who speaks, as the conversation calls it; no two of one round alike."""
    member: str
    question: Question
    """With `shown`, by speaker, what a reader reads; with `system`, who it is told to be."""
    why: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    """What is otherwise than the pool file says of the member: whom it reads and in what words."""
    sample: int = 0
    """Which reply to the same; of a reader, which order of what it reads."""
    counts: Callable[[str], str] = str
    """What of a reply counts as its answer, and is shown to others."""


@dataclass(frozen=True)
class Heard:
    """What came back of one call."""

    text: str | None
    """None where the call failed."""
    finish: str | None = None
    n_tokens: int | None = 0
    """Of prompt and reply; None where its server did not count them, 0 for a call that failed."""
    cost_usd: float | None = 0.0
    """At most, where tokens were not counted; None where the member has no price."""
    latency_s: float = 0.0
    """Seconds; 0 where nobody told."""
    supposed: bool = False
    """True where nobody was asked: it stands for a reply in an estimate."""


@dataclass(frozen=True)
class Put:
    """A call as it is put to its member."""

    live: LiveMember
    settings: MemberSettings
    request: Request
    query_key: str
    settings_key: str
    sample: int
    alone: bool
    """True where it is the query as the pool file has the member asked it."""

    @classmethod
    def of(cls, call: Call, live: LiveMember, settings_key: str) -> Put:
        """Make the request of a call.

        Args:
            call: with a question that holds all that is shown.
            live: its member.
            settings_key: of the member's identity, as the database names it.
        """
        question = call.question
        changed = dict(call.settings)
        if live.settings.answers != "reply" and question.choices:
            changed["answers"] = "reply"  # one token of a reply says nothing to a reader
        settings = live.settings.model_copy(update=changed)
        alone = not changed and not question.shown and not question.system
        request = request_for(
            settings, question, api=live.api, sample=call.sample, logprobs=alone
        )  # fmt: skip
        query_key = (
            query_key_of(question.prompt, question.choices or None)
            if alone
            else query_key_of(_content(request))
        )
        return cls(live, settings, request, query_key, settings_key, call.sample, alone)

    @property
    def key(self) -> str:
        """Of the call, in the database."""
        return key_of(self.query_key, self.live.name, self.settings_key, self.sample)

    @property
    def most_usd(self) -> float:
        """What it costs at most, all attempts billed; 0 without a price."""
        return self.live.most_usd(self.request) or 0.0


def _content(request: Request) -> str:
    """All that a reply depends on beside the member's settings."""
    sent = [message.as_json() for message in request.messages]
    how = [request.max_tokens, request.temperature, list(request.stop)]
    return json.dumps(["conversation", sent, how], sort_keys=True)
