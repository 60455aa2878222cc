"""What a document is, whichever member's log holds it, and how its question may be shown.

Prompts are what a model saw; questions are fields of the document. Neither may hold the answer
where routers see it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rlfocal.records.schema import clean

__all__ = ["content", "context_text", "holds_itself", "last_turn", "options_of", "question_of"]

_QUESTIONS = ("question", "query", "problem", "input", "prompt", "sentence", "text", "ctx")
_OPTIONS = ("choices", "options", "endings")
_NUMBERS = frozenset((
    "id", "_id", "idx", "ind", "index", "doc_id", "uid", "uuid", "guid", "no", "number", "row",
    "row_id", "sample_id", "question_id", "problem_id", "example_id", "instance_id", "source_id",
    "timestamp", "time", "date", "created", "hash", "seed",
))  # fmt: skip
"""Fields that number a document rather than say what it is."""
_LETTER = re.compile(r"\(?[A-Za-z]\)?\.?")
LEAST_QUESTION = 12
"""Characters: a shorter question may stand in a prompt by chance."""


def question_of(doc: Any) -> str | None:
    """The field of a document that asks."""
    if isinstance(doc, str):
        return clean(doc) or None
    if not isinstance(doc, dict):
        return None
    low = {str(key).casefold(): value for key, value in doc.items()}
    texts = (low.get(key) for key in _QUESTIONS)
    return next((clean(t) for t in texts if isinstance(t, str) and t.strip()), None)


def options_of(doc: Any, count: int | None = None) -> tuple[str, ...] | None:
    """Option texts that a document holds, in their order: `count` of them, else two at least."""
    if not isinstance(doc, dict):
        return None
    for key in _OPTIONS:
        texts = doc.get(key)
        if isinstance(texts, dict):
            texts = texts.get("text")  # ARC's {"text": [...], "label": [...]}
        if not isinstance(texts, list) or not all(isinstance(t, str | int | float) for t in texts):
            continue
        if len(texts) > 1 and count in (None, len(texts)):
            return tuple(clean(str(t)) for t in texts)
    return None


def content(doc: Any, keys: Iterable[str] | None, *, shuffled: bool) -> Any:
    """What a document says, as JSON, without what numbers it.

    Args:
        doc: the document.
        keys: its fields that every member's log holds; None: it is no object.
        shuffled: the order of values and bare letters do not count, as where options were shuffled.
    """
    if keys is None or not isinstance(doc, dict):
        return doc
    kept = {key: doc[key] for key in keys if key.casefold() not in _NUMBERS}
    kept = kept or {key: doc[key] for key in keys}
    if not shuffled:
        return kept
    return sorted({leaf for leaf in _leaves(kept) if not _LETTER.fullmatch(leaf)})


def _leaves(value: Any) -> Iterable[str]:
    """Texts within a value; numbers, which may be a shuffled option's index, are left out."""
    pending = [value]
    while pending:
        item = pending.pop()
        if isinstance(item, Mapping):
            pending.extend(item.values())
        elif isinstance(item, list):
            pending.extend(item)
        elif isinstance(item, str):
            yield item.strip()


def context_text(context: Any) -> str:
    """A context as one text; a chat's messages one after another."""
    turns = _turns(context)
    if turns is not None:
        return clean("\n\n".join(turns))
    return clean(context) if isinstance(context, str) else ""


def last_turn(context: Any) -> str:
    """The last message of a chat, or the whole context."""
    turns = _turns(context)
    return clean(turns[-1]) if turns else context_text(context)


def _turns(context: Any) -> list[str] | None:
    """Texts of a chat's messages, which are logged as JSON in a text, in a list; None: no chat."""
    if isinstance(context, list) and context and isinstance(context[0], str):
        context = context[0]
    if isinstance(context, str) and context.lstrip().startswith("[{"):
        try:
            context = json.loads(context)
        except (ValueError, RecursionError):
            return None
    if not isinstance(context, list):
        return None
    messages = [m for m in context if isinstance(m, dict) and "role" in m]
    return [_said(m.get("content")) for m in messages] if messages else None


def _said(content: Any) -> str:
    if isinstance(content, list):  # parts of text and pictures
        parts = [p.get("text") for p in content if isinstance(p, dict)]
        return "\n".join(p for p in parts if isinstance(p, str))
    return content if isinstance(content, str) else ""


def holds_itself(context: str, question: str | None, answers: Sequence[str]) -> bool:
    """Whether a prompt asks its own question twice, with the answer in between.

    That is so where a document was drawn as one of its own examples.
    """
    if question is None or len(question.strip()) < LEAST_QUESTION:
        return False
    asked = question.strip()
    first, last = context.find(asked), context.rfind(asked)
    if first < 0 or first == last:
        return False
    between = context[first + len(asked) : last]
    return any(answer.strip() and answer.strip() in between for answer in answers)
