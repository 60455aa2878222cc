"""By which name a member's server knows what its model thought, as its replies have shown.

Clients of the gateway are told thoughts by one name, whoever had them, and send them back by it.
Some servers have another name and refuse the usual one in a conversation, at every further turn.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from rlfocal.pool.types import Message

__all__ = ["OwnThoughts"]

_NAMES = ("reasoning_content", "reasoning", "thinking")
_REFUSES = re.compile(
    r"\bextra(?!_content)|additional propert|\bun(supported|known|recogni[sz]ed|expected)"
    r"|\b(not|never)[ _]+(be[ _]+)?(supported|permitted|allowed|accepted|recogni[sz]ed)"
    r"|\bdoes[ _]+not[ _]+(support|permit|allow|accept)|\bforbidden",
    re.IGNORECASE,
)
_DEMANDS = re.compile(
    r"\bmissing|\brequire|\bmust[ _]+(be[ _]+(passed|sent|given|provided|included|present)"
    r"|have|include|contain)",
    re.IGNORECASE,
)
"""Some servers refuse a conversation for the thoughts that it lacks."""


@dataclass
class OwnThoughts:
    """What is known of one member; nothing before its first reply.

    >>> own = OwnThoughts("reasoning")
    >>> (turn,), taken = own.put([Message("assistant", "7", {"reasoning_content": "3 and 4"})])
    >>> turn.extra, taken
    ({'reasoning': '3 and 4'}, set())
    """

    name: str = ""
    """Of the field in which it tells its thoughts; empty where it has told none yet."""
    refused: set[str] = field(default_factory=set)
    """Fields that its server does not take in a conversation."""

    def put(
        self, turns: Sequence[Message], refused: Collection[str] = ()
    ) -> tuple[tuple[Message, ...], set[str]]:
        """A conversation with thoughts by the member's own name, and none that it refuses.

        Args:
            turns: as their sender wrote them.
            refused: fields that it may not take, beside those that are known.

        Returns:
            The turns, and the sender's names of thoughts that are left out of them.
        """
        refused = self.refused.union(refused)
        if not (self.name or refused):
            return tuple(turns), set()
        found, taken = list[Message](), set[str]()
        for turn in turns:
            if names := _thoughts_in(turn):
                extra = self._own(turn.extra, refused)
                if self.name not in extra:  # else they are there, under that name
                    taken |= set(names) - extra.keys()
                turn = replace(turn, extra=extra)
            found.append(turn)
        return tuple(found), taken

    def _own(self, extra: Mapping[str, Any], refused: Collection[str]) -> dict[str, Any]:
        given = [name for name in _NAMES if isinstance(extra.get(name), str)]
        found = dict(extra)
        if self.name and given:
            text = extra[self.name if self.name in given else given[0]]
            found = {name: value for name, value in extra.items() if name not in given}
            found[self.name] = text
        return {name: value for name, value in found.items() if name not in refused}

    def refused_in(self, words: str, turns: Sequence[Message]) -> set[str]:
        """The fields with thoughts that were sent and a server's words refuse as a field.

        Args:
            words: in which it says that it does not take the request.
            turns: that were sent.

        >>> said = Message("assistant", "7", {"reasoning": "3 and 4"})
        >>> OwnThoughts().refused_in("messages.1: property 'reasoning' is unsupported", [said])
        {'reasoning'}
        >>> OwnThoughts().refused_in("models that do reasoning take no temperature", [said])
        set()
        >>> OwnThoughts().refused_in("Missing `reasoning` in message 3: unexpected turn", [said])
        set()
        """
        if not _REFUSES.search(words) or _DEMANDS.search(words):
            return set()
        sent = {name for turn in turns for name in _thoughts_in(turn)}
        return {name for name in sent if re.search(rf"[.'\"`\]]{name}(?!\w)", words)}


def _thoughts_in(turn: Message) -> list[str]:
    return [name for name in _NAMES if name in turn.extra] if turn.role == "assistant" else []
