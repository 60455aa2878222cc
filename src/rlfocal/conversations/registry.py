"""Conversations by their names."""

from __future__ import annotations

from collections.abc import Sequence

from rlfocal.conversations.dylan import Dylan, DylanReleased
from rlfocal.conversations.moa import MixtureOfAgents, ToplaSummary
from rlfocal.conversations.refining import BestOfNJudge, SelfRefine
from rlfocal.conversations.smoa import Sparse, SparseReleased
from rlfocal.conversations.talk import Conversation
from rlfocal.errors import ConfigError, nearest

__all__ = ["CONVERSATIONS", "conversations"]

CONVERSATIONS: dict[str, type[Conversation]] = {
    kind.name: kind
    for kind in (
        MixtureOfAgents, Sparse, SparseReleased, Dylan, DylanReleased, ToplaSummary, SelfRefine,
        BestOfNJudge,
    )
}  # fmt: skip
"""Name → class; all settings have defaults."""


def conversations(names: Sequence[str] | None) -> tuple[Conversation, ...]:
    """Conversations with their default settings.

    Args:
        names: in any order, repeats count once; None for all.

    Raises:
        ConfigError: a name is unknown.
    """
    for name in names or ():
        if name not in CONVERSATIONS:
            raise ConfigError(f"unknown conversation '{name}'; {nearest(name, CONVERSATIONS)}")
    return tuple(CONVERSATIONS[name]() for name in dict.fromkeys(names or CONVERSATIONS))
