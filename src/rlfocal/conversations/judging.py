"""What judges, rankers and raters have said, of replies in the order in which they were shown."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import NamedTuple

__all__ = ["Verdict", "chosen", "json_verdict", "numbered", "ratings", "without_ratings"]

_NUMBER = re.compile(r"(?<![\d.,])\d+(?![\d]|[.,]\d)")
_RATING = re.compile(
    r"(?im)^[^\w\n]*rating\s+(?:of|for)\s+(?:reply\s+)?#?(\d+)\W{0,20}?[:=]\W{0,20}?([1-5])\b.*$\n?"
)
_MANY_DIGITS = 9
"""So many are no place in a list; Python reads some thousands only."""


def chosen(text: str | None, n_best: int, n_shown: int) -> tuple[int, ...] | None:
    """The replies that a judge has named.

    Args:
        text: its reply; None for none.
        n_best: how many it was to name.
        n_shown: how many it was shown.

    Returns:
        Their places, from 0, as it named them; None where it names another number of them, or one
        that was not shown: a verdict that cannot be read selects nobody.

    >>> chosen("Replies 3 and 1.", 2, 4), chosen("All are good.", 2, 4), chosen("2, 5", 2, 4)
    ((2, 0), None, None)
    """
    found = list(dict.fromkeys(map(_place, _NUMBER.findall(text or ""))))
    sound = len(found) == n_best and all(0 <= place < n_shown for place in found)
    return tuple(found) if sound else None


def _place(number: str) -> int:
    """Of a reply, from 0; -1 for none."""
    return int(number) - 1 if len(number) < _MANY_DIGITS else -1


def ratings(text: str | None, n_shown: int) -> tuple[float, ...]:
    r"""Weights of the replies that an agent has rated, adding up to 1.

    Args:
        text: its reply, with a line "Rating of reply 2: 4" for each of them; None for none.
        n_shown: how many it was shown, at least 1.

    Returns:
        Each rating's share of all; equal shares where one is missing.

    >>> ratings("Rating of reply 2: 1\nRating of reply 1: 3", 2), ratings("They agree.", 2)
    ((0.75, 0.25), (0.5, 0.5))
    """
    found = {_place(reply): int(rating) for reply, rating in _RATING.findall(text or "")}
    if any(place not in found for place in range(n_shown)):
        return (1 / n_shown,) * n_shown
    total = sum(found[place] for place in range(n_shown))
    return tuple(found[place] / total for place in range(n_shown))


def without_ratings(text: str) -> str:
    r"""A reply without the lines that rate others.

    >>> without_ratings("Rating of reply 1: 3\nIt is 12.")
    'It is 12.'
    """
    return _RATING.sub("", text).strip() or text


class Verdict(NamedTuple):
    """Of a judge that selects and moderates in one."""

    best: tuple[int, ...]
    """Places, from 0."""
    end: bool


def json_verdict(text: str, n_best: int, n_shown: int) -> Verdict | None:
    """Read the JSON of such a judge; None where it is none, or names another number of replies.

    >>> json_verdict('{"why": "clear", "best": [2, 1], "end": false}', 2, 3)
    Verdict(best=(1, 0), end=False)
    """
    try:
        said = json.loads(text[text.find("{") : text.rfind("}") + 1])
    except (ValueError, RecursionError):  # no JSON, a number too long, or too many lists in lists
        return None
    if not isinstance(said, dict) or not isinstance(said.get("best"), list):
        return None
    best = [n - 1 for n in said["best"] if type(n) is int and 1 <= n <= n_shown]
    sound = len(set(best)) == len(said["best"]) == n_best
    return Verdict(tuple(best), bool(said.get("end"))) if sound else None


def numbered(texts: Sequence[str]) -> str:
    r"""Texts as a numbered list, unfenced, as released code shows them.

    >>> numbered(["one", "two"])
    '1. one\n2. two'
    """
    return "\n".join(f"{n}. {text}" for n, text in enumerate(texts, start=1))
