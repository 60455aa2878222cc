"""By which name a member's server knows what its model thought, as its replies have shown.

Clients of the gateway are told thoughts by one name, whoever had them, and send them back by it.
Some servers have another name and refuse the usual one in a conversation, at every further turn.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from rlfocal.pool.types import Message

__all__ = ["OwnThoughts"]

_NAMES = ("reasoning_content", "reasoning", "thinking")


@dataclass
class OwnThoughts:
    """What is known of one member; nothing before its first reply.

    >>> own = OwnThoughts("reasoning")
    >>> own.put([Message("assistant", "7", {"reasoning_content": "3 and 4"})])[0].extra
    {'reasoning': '3 and 4'}
    """

    name: str = ""
    """Of the field in which it tells its thoughts; empty where it has told none yet."""
    refused: set[str] = field(default_factory=set)
    """Fields that its server does not take in a conversation."""

    def put(self, turns: Sequence[Message]) -> tuple[Message, ...]:
        """A conversation with thoughts by the member's own name, and none that it refuses."""
        if not (self.name or self.refused):
            return tuple(turns)
        return tuple(
            replace(turn, extra=self._own(turn.extra)) if _thoughts_in(turn) else turn
            for turn in turns
        )

    def _own(self, extra: Mapping[str, Any]) -> dict[str, Any]:
        given = [name for name in _NAMES if isinstance(extra.get(name), str)]
        found = dict(extra)
        if self.name and given:
            text = extra[self.name if self.name in given else given[0]]
            found = {name: value for name, value in extra.items() if name not in given}
            found[self.name] = text
        return {name: value for name, value in found.items() if name not in self.refused}

    def refused_in(self, words: str, turns: Sequence[Message]) -> set[str]:
        """The fields with thoughts that were sent and a server's words name as a field.

        Args:
            words: in which it says that it does not take the request.
            turns: that were sent.

        >>> said = Message("assistant", "7", {"reasoning": "3 and 4"})
        >>> OwnThoughts().refused_in("messages.1: property 'reasoning' is unsupported", [said])
        {'reasoning'}
        >>> OwnThoughts().refused_in("models that do reasoning take no temperature", [said])
        set()
        """
        sent = {name for turn in turns for name in _thoughts_in(turn)}
        return {name for name in sent if re.search(rf"[.'\"`\]]{name}(?!\w)", words)}


def _thoughts_in(turn: Message) -> list[str]:
    return [name for name in _NAMES if name in turn.extra] if turn.role == "assistant" else []
