"""Wide form: which columns are one model's, and what a column holds that is called like a model."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from typing import Any

from rlfocal.records.importers.table.values import as_number, is_score, is_score_up_to
from rlfocal.records.synonyms import meant_by, spelled

__all__ = ["are_answers", "are_numbers", "companion", "holds_data", "last_part", "role_of_bare"]

COMPANIONS = ("text", "answer", "score", "cost_usd", "latency_s")
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
    """Model and role of a column such as `gpt-4_score`, `gpt-4|total_cost` or `response.gpt-4`."""
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
        scale: the best score there is, where one was told; beside no other scores, it says that
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
