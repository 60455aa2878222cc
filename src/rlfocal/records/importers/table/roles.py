"""What a column may be by its name alone, and the names that `--column` knows.

Which of several columns it is, and whether their values fit, `columns` decides.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from rlfocal.errors import ConfigError, nearest
from rlfocal.records.importers.table.values import is_score
from rlfocal.records.synonyms import meant_by, spelled

__all__ = ["ASIDE", "LABELS", "NO_MODELS", "REPEAT", "is_judgement", "parse_columns", "role_of"]

ROLES = (
    "prompt", "label", "member", "answer", "text", "score", "cost_usd", "latency_s", "latency_ms",
    "choices", "task", "query_id", "split", "samples", "repeat",
)  # fmt: skip
GUESSED = tuple(r for r in ROLES if r not in ("latency_ms", "repeat"))
REPEAT = ("epoch", "repeat", "trial", "attempt", "run", "sample_index", "generation_index", "seed")
ASIDE = ("query_id", "task", "split")
"""Where two columns could be one of these, the likelier is taken: no figure depends on it."""
LABELS = ("answer", "answers", "solution", "correct", "right", "key")
"""What may be the label where no other column is."""
NO_MODELS = {
    "difficulty", "level", "source", "notes", "note", "comment", "comments", "explanation", "url",
    "rationale", "year", "link", "language", "lang", "topic", "type", "author", "date", "context",
    "timestamp", "created_at", "metadata", "meta", "tags", "tag", "hash", "licence", "license",
    "hint", "temperature", "title", "description", "n", "count", "tokens", "version", "passage",
}  # fmt: skip


def parse_columns(given: Sequence[str]) -> dict[str, str]:
    """Read options NAME=COLUMN; an empty COLUMN says that there is none.

    Raises:
        ConfigError: it has another form, or the name is unknown or given twice.
    """
    found: dict[str, str] = {}
    for text in given:
        name, equals, column = text.partition("=")
        name = name.strip()
        if not equals:
            raise ConfigError(f"--column {text}: write NAME=COLUMN, such as prompt=question")
        role = name if name in ROLES else meant_by(name, ROLES, misspelt=False)
        if role is None:
            raise ConfigError(f"--column {text}: no such name; {nearest(name, ROLES)}")
        if role in found:
            raise ConfigError(f"--column {text}: {role} is named twice; keep one")
        found[role] = column
    return found


def role_of(name: str) -> tuple[str | None, bool]:
    """What a column is by its name, and whether it is so inside an object."""
    role = meant_by(name, GUESSED, misspelt=False)
    if role is None and spelled(name) in REPEAT:
        role = "repeat"
    if role is None and "." in name:
        return meant_by(name.rpartition(".")[2], GUESSED, misspelt=False), True
    return role, False


def is_judgement(values: Sequence[Any]) -> bool:
    """Whether values are all scores: words of judgement, or numbers on any scale."""

    def fits(value: Any) -> bool:
        return is_score(value) or bool(re.match(r"\s*[-+]?[\d.,]+\s*%?\s*$", str(value)))

    return all(map(fits, values))
