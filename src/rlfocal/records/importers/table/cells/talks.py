"""Conversations and contents in parts, as chat models take and give them, as the text of one turn.

Source: the messages of OpenAI's and Anthropic's APIs, which Hugging Face's pipelines return too.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, TypeGuard

__all__ = ["ASSISTANTS", "USERS", "is_parts", "is_talk", "joined_parts", "last_turn"]

USERS = ("user", "human")
ASSISTANTS = ("assistant", "ai", "model", "bot", "gpt")
_OTHERS = ("user", "human", "system", "developer", "tool", "function")
"""Who speaks in a conversation and is not asked."""
_TEXTS = ("text", "output_text", "input_text")
_PARTS = (
    *_TEXTS, "thinking", "redacted_thinking", "reasoning", "refusal", "image", "image_url",
    "input_image", "audio", "input_audio", "video", "file", "input_file", "document",
)  # fmt: skip
"""What a content may be made of. Calls of tools are none: where there is nothing else, they are
what was said."""

Objects = list[dict[str, Any]]


def is_talk(value: Any) -> TypeGuard[Objects]:
    """Whether this is a list of turns, each with its content.

    >>> is_talk([{"role": "user", "content": "q?"}]), is_talk(["q?"]), is_talk([])
    (True, False, False)
    """
    return _are_objects(value) and all(
        "content" in turn and isinstance(turn["content"], (str, list, type(None))) for turn in value
    )


def is_parts(value: Any) -> TypeGuard[Objects]:
    """Whether this is one content in parts: with a text among them, or all of known kinds.

    >>> is_parts([{"type": "text", "text": "Paris"}]), is_parts([{"type": "LOC", "text": "Paris"}])
    (True, False)
    """
    if not _are_objects(value) or not all(isinstance(part.get("type"), str) for part in value):
        return False
    return joined_parts(value) is not None or all(part["type"] in _PARTS for part in value)


def _are_objects(value: Any) -> TypeGuard[Objects]:
    return isinstance(value, list) and bool(value) and all(isinstance(v, dict) for v in value)


def joined_parts(parts: Sequence[Any]) -> str | None:
    """The texts of a content; thoughts, pictures and calls are none. None where it has none.

    >>> joined_parts([{"type": "thinking", "thinking": "..."}, {"type": "text", "text": "Paris"}])
    'Paris'
    """
    texts = [p["text"] for p in parts if isinstance(p, dict) and p.get("type") in _TEXTS
             and isinstance(p.get("text"), str)]  # fmt: skip
    return "".join(texts) if texts else None


def last_turn(talk: Objects, speakers: Collection[str]) -> str | None:
    """What one side said last: turns without a role are anybody's.

    Returns:
        None where it said nothing. Of what was asked by nobody else than a system, the last turn;
        of what nobody known replied, the last turn of one with a name of its own, such as llama-3.
    """
    own = [t for t in talk if str(t.get("role") or "").lower() in {*speakers, ""}]
    if not own and speakers == USERS:
        own = talk
    elif not own:
        own = [t for t in talk if str(t["role"]).strip().lower() not in _OTHERS]
    content = own[-1]["content"] if own else None
    return joined_parts(content) if isinstance(content, list) else content
