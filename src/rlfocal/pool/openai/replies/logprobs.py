"""Log-probabilities of a reply's first token, in the shapes that servers give them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

__all__ = ["IMPOSSIBLE", "first_logprobs", "logprob_of", "logprobs_in", "token_of"]

IMPOSSIBLE = -9999.0
"""What some servers say in place of minus infinity."""
_BLANKS = {"▁": " ", "Ġ": " ", "Ċ": "\n"}
"""How vocabularies write the blank before a word."""
_BEFORE = " \t\r\n\"'`(*_[{<$\\"
"""What may come before an answer's first letter."""
_MOST_BEFORE = 16
"""Tokens of that at most."""


def logprobs_in(choice: Mapping[str, Any]) -> Any:
    """What a choice of a reply says of log-probabilities: beside its message, or within it."""
    message = choice.get("message")
    inner = message.get("logprobs") if isinstance(message, Mapping) else None
    return choice.get("logprobs") or inner


def first_logprobs(found: Any) -> dict[str, float] | None:
    """Token → log-probability of the first token.

    Where more than one token has come, blanks and opening brackets before the first word are passed
    over. What has none (NaN) or is said to be impossible (minus infinity) is left out: of such a
    token no more is known than that it is less likely than those that are there. Of two that read
    the same, the likelier counts.

    >>> first_logprobs({"tokens": ["A"], "top_logprobs": [{"A": -0.1, "▁B": -2.5}]})
    {'A': -0.1, ' B': -2.5}
    >>> first_logprobs([{"bytes": [66], "logprob": -0.5}])
    {'B': -0.5}
    """
    kept: dict[str, float] = {}
    for token, value in _pairs(found):
        if token is None or isinstance(value, bool) or not isinstance(value, int | float):
            continue
        if not IMPOSSIBLE < value < 1.0:
            continue
        read = _BLANKS.get(token[:1], token[:1]) + token[1:]
        kept[read] = max(float(value), kept.get(read, IMPOSSIBLE))
    return kept or None


def _pairs(found: Any) -> Iterator[tuple[str | None, Any]]:
    """The first token's, told as one item a token (OpenAI's chat) or as lists side by side."""
    items = found.get("content") if isinstance(found, Mapping) else found
    if isinstance(items, list) and items:
        item = items[_place([token_of(item) for item in items])]
        if isinstance(item, Mapping):
            yield from _of_top(item.get("top_logprobs") or item.get("top_probs"))
            yield token_of(item), logprob_of(item)
    if not isinstance(found, Mapping):
        return
    tops, tokens, own = (
        value if isinstance(value := found.get(name), list) else []
        for name in ("top_logprobs", "tokens", "token_logprobs")
    )
    texts = [token if isinstance(token, str) else None for token in tokens]
    place = _place(texts)
    if place < len(tops):
        yield from _of_top(tops[place])
    if place < min(len(own), len(texts)):
        yield texts[place], own[place]


def _place(tokens: list[str | None]) -> int:
    """Of the first token that does not only stand before the answer; 0 where there is none."""
    for place, token in enumerate(tokens[:_MOST_BEFORE]):
        read = "" if token is None else _BLANKS.get(token[:1], token[:1]) + token[1:]
        if token is None or read.strip(_BEFORE):
            return place
    return 0


def _of_top(top: Any) -> Iterator[tuple[str | None, Any]]:
    if isinstance(top, Mapping):
        yield from top.items()
    elif isinstance(top, list):
        for item in top:
            if isinstance(item, Mapping):
                yield token_of(item), logprob_of(item)


def token_of(item: Any) -> str | None:
    """An item's text, by its bytes where it has no other."""
    if not isinstance(item, Mapping):
        return None
    token, raw = item.get("token"), item.get("bytes")
    if isinstance(token, str):
        return token
    if isinstance(raw, list) and all(type(b) is int and 0 <= b < 256 for b in raw):
        return bytes(raw).decode("utf-8", "replace")
    return None


def logprob_of(item: Mapping[str, Any]) -> Any:
    """An item's log-probability, by its probability where it has no other."""
    prob = item.get("prob")
    if "logprob" not in item and isinstance(prob, int | float) and not isinstance(prob, bool):
        return math.log(prob) if 0 < prob <= 1 else None
    return item.get("logprob")
