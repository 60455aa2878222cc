"""Turns of a conversation, rearranged for models that know fewer roles.

Knows nothing of templates or of servers.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from rlfocal.pool.types import Message

__all__ = ["system_as_user"]


def system_as_user(messages: Iterable[Message]) -> tuple[Message, ...]:
    r"""What the system says, said by the user: at the beginning of the user's next turn.

    Not as a turn of its own, since models without a role for it want user and assistant by turns.
    Only where no user's turn follows it becomes one.

    >>> turns = Message("system", "Be brief."), Message("user", "1 + 1?")
    >>> [(turn.role, turn.content) for turn in system_as_user(turns)]
    [('user', 'Be brief.\n\n1 + 1?')]
    """
    kept: list[Message] = []
    said: list[str] = []
    for turn in messages:
        if turn.role == "system":
            said.append(turn.content)
        elif turn.role == "user" and said:
            kept.append(_begun_with("\n\n".join(said), turn))
            said = []
        else:
            kept.append(turn)
    if said:
        kept.append(Message("user", "\n\n".join(said)))
    return tuple(kept)


def _begun_with(text: str, turn: Message) -> Message:
    parts = ({"type": "text", "text": text}, *turn.parts) if turn.parts else ()
    return replace(turn, content=f"{text}\n\n{turn.content}", parts=parts)
