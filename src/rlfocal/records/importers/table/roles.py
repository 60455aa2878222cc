"""What a column may be by its name, which columns are one model's, and what these may hold.

Which of several columns it is, and whether their values fit, `columns` decides.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from typing import Any

from rlfocal.errors import ConfigError, nearest
from rlfocal.records.importers.table.cells.values import as_number, is_score, is_score_up_to
from rlfocal.records.schema import SIGNAL, is_signal
from rlfocal.records.synonyms import meant_by, spelled

__all__ = [
    "ASIDE",
    "LABELS",
    "NO_MODELS",
    "REPEAT",
    "are_answers",
    "are_numbers",
    "companion",
    "do_answers_reply",
    "holds_data",
    "is_judgement",
    "last_part",
    "parse_columns",
    "role_of",
    "role_of_bare",
]

ROLES = (
    "prompt", "label", "member", "answer", "text", "score", "cost_usd", "latency_s", "latency_ms",
    "choices", "task", "query_id", "split", "samples", "repeat", "finish", "n_prompt_tokens",
    "n_completion_tokens",
)  # fmt: skip
"""And `signal_...`, any number of the user's own."""
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


COMPANIONS = (
    "text", "answer", "score", "cost_usd", "latency_s", "finish", "n_prompt_tokens",
    "n_completion_tokens",
)  # fmt: skip
"""What one model's own columns may hold."""
RAW = 60
"""Characters: no extracted answer is longer."""
_DATA = frozenset((
    "length", "len", "size", "tokens", "token", "ntokens", "chars", "char", "characters", "words",
    "word", "lines", "sentences", "id", "ids", "idx", "index", "no", "nr", "num", "number", "count",
    "counts", "total", "row", "rank", "order", "position", "page", "difficulty", "hardness",
    "complexity", "level", "category", "cat", "class", "group", "cluster", "source", "origin",
    "date", "year", "month", "day", "time", "timestamp", "week", "hour", "age", "weight",
    "temperature", "seed", "steps", "hops", "depth", "grade_level", "perplexity", "frequency",
    "popularity", "likes", "votes", "views", "points", "marks", "n", "latitude", "longitude",
))  # fmt: skip
"""Last words of names of columns that hold numbers of a question."""
_FIGURES = frozenset((
    "mean", "avg", "average", "median", "min", "max", "std", "stdev", "sd", "var", "variance",
    "sum", "minimum", "maximum", "quantile", "entropy", "agreement",
))  # fmt: skip
"""Whole names of columns that sum other columns up; qwen-max is a model."""
_COUNTS = frozenset(("n", "num", "no", "nr", "number", "count", "total", "is", "has"))
_SEPARATOR = re.compile(r"[\s_|./:\-(]+")


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
        is_known = name in ROLES or is_signal(name)
        role = name if is_known else meant_by(name, ROLES, misspelt=False)
        if role is None:
            raise ConfigError(f"--column {text}: no such name; {nearest(name, ROLES)}")
        if role in found:
            raise ConfigError(f"--column {text}: {role} is named twice; keep one")
        found[role] = column
    return found


def role_of(name: str, *, answers_reply: bool = False) -> tuple[str | None, bool]:
    """What a column is by its name, and whether it is so inside an object.

    Args:
        name: of the column.
        answers_reply: an object `answers` holds a reply rather than right answers.
    """
    if is_signal(name):
        return name, False
    role = meant_by(name, GUESSED, misspelt=False)
    if role is None and spelled(name) in REPEAT:
        role = "repeat"
    if role is None and "." in name:
        outer, _, inner = name.rpartition(".")
        role = meant_by(inner, GUESSED, misspelt=False)
        is_right = not answers_reply if _is_answers(name) else _is_label(outer)
        return ("label" if is_right and role in ("text", "answer") else role), True
    return role, False


def do_answers_reply(names: Sequence[str], given: Collection[str]) -> bool:
    """Whether an object `answers` holds what a model replied, rather than right answers.

    So it does where another column is the label, none is a reply, and none could be a model's.

    Args:
        names: all columns.
        given: what the user named columns for.
    """
    roles = {*given, *(role_of(n)[0] for n in names if not _is_answers(n))}
    is_one_models = "member" in roles or None not in roles
    return is_one_models and "label" in roles and not roles & {"text", "answer", "samples"}


def _is_answers(name: str) -> bool:
    return spelled(name.rpartition(".")[0]) == "answers"


def _is_label(name: str) -> bool:
    return meant_by(name, ("label",), misspelt=False) is not None


def is_judgement(values: Sequence[Any]) -> bool:
    """Whether values are all scores: words of judgement, or numbers on any scale."""

    def fits(value: Any) -> bool:
        return is_score(value) or bool(re.match(r"\s*[-+]?[\d.,]+\s*%?\s*$", str(value)))

    return all(map(fits, values))


def holds_data(name: str, values: Sequence[Any]) -> bool:
    """Whether a column of numbers is named for what it says of a question, rather than a model.

    >>> holds_data("n_tokens", [3, 5]), holds_data("gpt-4", [3, 5]), holds_data("length", ["x"])
    (True, False, False)
    """
    words = spelled(name).split("_")
    is_data = words[-1] in _DATA or "_".join(words) in _FIGURES
    if not (is_data or (len(words) > 1 and words[0] in _COUNTS)):
        return False
    return all(as_number(v) is not None for v in values if v is not None)


def companion(name: str) -> tuple[str, str] | None:
    """Model and role of a column such as `gpt-4_score`, `gpt-4|total_cost` or `response.gpt-4`.

    >>> companion("gpt-4_signal_sure")
    ('gpt-4', 'signal_sure')
    """
    head, between, own = name.partition(f"_{SIGNAL}")
    if not between:
        head, between, own = name.partition(f".{SIGNAL}")
    if head and own:
        return head, SIGNAL + own
    splits = list(_SEPARATOR.finditer(name.rstrip(") ")))
    for match in splits:
        role = meant_by(name[match.end() :], COMPANIONS, misspelt=False)
        if role is not None and match.start():
            return name[: match.start()], role
    for match in reversed(splits):
        role = meant_by(name[: match.start()], COMPANIONS, misspelt=False)
        if role is not None:
            return name[match.end() :], role
    return None


def last_part(name: str, names: Sequence[str]) -> str:
    """Name of a model without the object that it stood in with all others."""
    heads = {n.partition(".")[0] for n in names}
    return name.partition(".")[2] if len(heads) == 1 and all("." in n for n in names) else name


def role_of_bare(
    columns: Sequence[Sequence[Any]],
    labels: Sequence[Any],
    others: Collection[str],
    scale: float = 1.0,
) -> str:
    """What columns hold that are called like models and nothing else.

    Args:
        columns: their values.
        labels: right answers; empty where there are none.
        others: what models have further columns for.
        scale: the best score there is, where one was given; beside no other scores, it says that
            these numbers are scores.

    Returns:
        "answer", "text" or "score".
    """
    cells = [v for values in columns for v in values if v is not None]
    known = [v for v in labels if v is not None]
    is_scaled = scale != 1 and "score" not in others and bool(cells)
    if is_scaled and all(is_score_up_to(v, scale) for v in cells):
        return "score"
    if is_scaled and not known and not {"text", "answer"} & set(others) and are_numbers(cells):
        return "score"  # one beyond the scale is refused by its place
    could_score = "score" not in others and bool(cells) and all(map(is_score, cells))
    if could_score and ({"text", "answer"} & set(others) or not are_answers(cells, known)):
        return "score"
    if "text" in others:
        return "answer"
    if "answer" in others:
        return "text"
    raw = any(isinstance(v, str) and (len(v) > RAW or "\n" in v.strip()) for v in cells)
    return "text" if raw else "answer"


def are_numbers(cells: Sequence[Any]) -> bool:
    """Whether all of these are numbers, of which there is one at least."""
    return bool(cells) and all(as_number(v) is not None for v in cells)


def are_answers(cells: Sequence[Any], labels: Sequence[Any]) -> bool:
    """Whether what could be scores are answers, since labels are of the same kind."""
    words = {str(v).strip().lower() for v in cells}
    if any(as_number(word) is None for word in words):
        return not words.isdisjoint(str(v).strip().lower() for v in labels)
    return bool(labels) and all(map(is_score, labels))
