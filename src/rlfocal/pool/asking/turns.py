"""Turns of a conversation, rearranged for models that know fewer roles.

Knows nothing of templates or of servers.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from rlfocal.pool.types import Message

__all__ = ["as_one_text", "system_as_user"]


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


def as_one_text(turns: Sequence[Message]) -> str:
    r"""Turns as one text, a paragraph each, replies behind what they answer.

    That is how a model without a chat template is asked.

    >>> turns = [Message("user", "Q: 1 + 1?\nA:"), Message("assistant", "2")]
    >>> as_one_text([*turns, Message("user", "Q: 2 + 1?\nA:")])
    'Q: 1 + 1?\nA: 2\n\nQ: 2 + 1?\nA:'
    """
    parts, answerable = list[str](), False
    for turn in turns:
        if answerable and turn.role not in ("user", "system"):
            blank = "" if parts[-1].endswith((" ", "\n")) else " "
            parts[-1] += blank + turn.content
        else:
            parts.append(turn.content)
        answerable = turn.role == "user"
    return "\n\n".join(parts)
