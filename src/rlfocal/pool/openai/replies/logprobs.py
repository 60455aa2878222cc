"""Log-probabilities of a reply's first token, in the shapes that servers give them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

__all__ = ["first_logprobs"]

_IMPOSSIBLE = -9999.0
"""What some servers say in place of minus infinity."""
_BLANKS = {"▁": " ", "Ġ": " ", "Ċ": "\n"}
"""How vocabularies write the blank before a word."""


def first_logprobs(found: Any) -> dict[str, float] | None:
    """Token → log-probability of the first token.

    What has none (NaN) or is said to be impossible (minus infinity) is left out: of such a token no
    more is known than that it is less likely than those that are there. Of two that read the same,
    the likelier counts.

    >>> first_logprobs({"tokens": ["A"], "top_logprobs": [{"A": -0.1, "▁B": -2.5}]})
    {'A': -0.1, ' B': -2.5}
    """
    kept: dict[str, float] = {}
    for token, value in _pairs(found):
        if not isinstance(token, str) or not isinstance(value, int | float):
            continue
        if isinstance(value, bool) or not _IMPOSSIBLE < value < 1.0:
            continue
        read = _BLANKS.get(token[:1], token[:1]) + token[1:]
        kept[read] = max(float(value), kept.get(read, _IMPOSSIBLE))
    return kept or None


def _pairs(found: Any) -> Iterator[tuple[Any, Any]]:
    if not isinstance(found, Mapping):
        return
    content = found.get("content")
    if isinstance(content, list) and content and isinstance(content[0], Mapping):
        yield from _of_list(content[0].get("top_logprobs"))
        yield content[0].get("token"), content[0].get("logprob")
    tops, tokens = found.get("top_logprobs"), found.get("tokens")
    if isinstance(tops, list) and tops:
        yield from _of_list(tops[0])
    own = found.get("token_logprobs")
    if isinstance(own, list) and own and isinstance(tokens, list) and tokens:
        yield tokens[0], own[0]


def _of_list(top: Any) -> Iterable[tuple[Any, Any]]:
    if isinstance(top, Mapping):
        return list(top.items())
    if not isinstance(top, list):
        return []
    return [(item.get("token"), item.get("logprob")) for item in top if isinstance(item, Mapping)]
