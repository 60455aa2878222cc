"""What is asked, before a member's template makes messages of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

from rlfocal.pool.types import Message

__all__ = ["Question", "Said"]

_SORTED = json.JSONEncoder(sort_keys=True)


class Said(NamedTuple):
    """A reply as others may read it."""

    text: str
    answer: str | None
    """Canonical; None where it holds no usable one."""


@dataclass(frozen=True)
class Question:
    """What is asked, as every member gets it."""

    prompt: str
    choices: tuple[str, ...] = ()
    """Options of a multiple choice question; empty for an open one."""
    task: str = ""
    """As the training data call it; members are not told. Another name is an unknown task."""
    history: tuple[Message, ...] = ()
    """Earlier turns of the same conversation; user, assistant and tool only."""
    system: str = ""
    """What the asker wants every member to be told first, after its own such text."""
    whole: bool = False
    """The history is all there is to send, the question in it; no template is filled."""
    extra: Mapping[str, Any] = field(default_factory=dict)
    """Fields that are passed on, as in `Request.extra`."""
    most_tokens: int | None = None
    """Of a reply; None for what the member's settings allow."""
    images: tuple[Mapping[str, Any], ...] = ()
    """Parts beside the prompt, in OpenAI's words."""
    shown: Mapping[str, Said] = field(default_factory=dict)
    """Member → its reply, for those who read it; who has replied to nothing is not in it."""
    answers: str | None = None
    """Kind of answer that the question has; None for what the asker assumes. Members are not told.
    """

    @cached_property
    def seed_text(self) -> str:
        """What seeds depend on of it: prompt, choices, history and system, as JSON."""
        before = [[turn.role, turn.content, list(turn.parts)] for turn in self.history]
        asked = [self.prompt, list(self.choices), before, self.system]
        return _SORTED.encode(asked)

    @cached_property
    def call_ids(self) -> frozenset[str]:
        """Of all calls of tools in the history, and of results of calls that were cut away from it.

        No other call may have one of these.
        """
        turns = (turn.extra.get("tool_calls") or () for turn in self.history)
        made = {str(call.get("id")) for calls in turns for call in calls}
        results = (turn.extra.get("tool_call_id") for turn in self.history)
        return frozenset(made | {str(one) for one in results if one is not None})

    @property
    def has_images(self) -> bool:
        """True where only members that take images can be asked."""
        return bool(self.images or [turn for turn in self.history if turn.parts])

    @property
    def has_tools(self) -> bool:
        """True where a reply may be a call of tools: it is then given verbatim, never merged."""
        return bool(self.extra.get("tools")) and not self.choices
