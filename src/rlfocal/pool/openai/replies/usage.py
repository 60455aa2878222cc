"""What a reply took, as its server counts it: tokens and dollars, or "not known".

A count that cannot be right is not known; it is never taken for free.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["Usage", "merged", "read_usage", "usages_of"]

_MOST_TOKENS = 2**31
"""One beyond all reason is no count: no database would take it."""
_MOST_USD = 1e6
_COSTS = ("cost", "total_cost", "estimated_cost")


@dataclass(frozen=True, slots=True)
class Usage:
    """Counts of one reply; None where they are not known."""

    n_prompt: int | None = None
    n_completion: int | None = None
    """Thinking included."""
    cost_usd: float | None = None


def usages_of(found: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The usage objects of a reply or of a piece of one, wherever servers put them."""
    places: list[Any] = [found.get("usage")]
    router = found.get("x_groq")
    if isinstance(router, Mapping):
        places.append(router.get("usage"))
    choices = found.get("choices")
    if isinstance(choices, list) and choices and isinstance(choices[0], Mapping):
        places.append(choices[0].get("usage"))
    return [place for place in places if isinstance(place, Mapping) and place]


def merged(usages: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """One usage of several: pieces of a stream tell what it took so far, or a part of it.

    >>> merged([{"prompt_tokens": 9, "completion_tokens": 0}, {"completion_tokens": 4}])
    {'prompt_tokens': 9, 'completion_tokens': 4}
    """
    whole: dict[str, Any] = {}
    for usage in usages:
        for name, value in usage.items():
            before = whole.get(name)
            if value is None or (_is_number(before) and _is_number(value) and value < before):
                continue
            whole[name] = value
    return whole


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def read_usage(usage: Mapping[str, Any], *, has_output: bool) -> Usage:
    """Read a usage object.

    Args:
        usage: as the server sent it; empty for none.
        has_output: whether there is a text or a call; then none of the counts can be 0.

    >>> xai = {"prompt_tokens": 12, "completion_tokens": 2, "total_tokens": 331}
    >>> read_usage(xai, has_output=True)
    Usage(n_prompt=12, n_completion=319, cost_usd=None)
    """
    n_prompt = _first(usage, "prompt_tokens", "input_tokens")
    n_completion = _first(usage, "completion_tokens", "output_tokens")
    total = _count(usage.get("total_tokens"))
    if has_output:
        n_prompt, n_completion = n_prompt or None, n_completion or None
    n_thinking = _thinking(usage)
    if total is not None and n_prompt is not None:
        # Some count thinking in the total only.
        n_completion = max(n_completion or 0, total - n_prompt) or n_completion
    elif total is not None and n_completion is not None and total > n_completion:
        n_prompt = total - n_completion
    if total is None and n_completion is not None and n_thinking > n_completion:
        n_completion += n_thinking  # a part is never more than the whole: it is counted apart
    return Usage(n_prompt, n_completion, _cost(usage))


def _first(usage: Mapping[str, Any], *names: str) -> int | None:
    return next((n for name in names if (n := _count(usage.get(name))) is not None), None)


def _count(value: Any) -> int | None:
    if isinstance(value, str) and re.fullmatch(r"\d{1,10}(\.0+)?", value.strip(), re.ASCII):
        value = float(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    is_count = isinstance(value, int) and not isinstance(value, bool) and 0 <= value < _MOST_TOKENS
    return value if is_count else None


def _thinking(usage: Mapping[str, Any]) -> int:
    found = _count(usage.get("reasoning_tokens")) or 0
    for name in ("completion_tokens_details", "output_tokens_details"):
        details = usage.get(name)
        if isinstance(details, Mapping):
            found = max(found, _count(details.get("reasoning_tokens")) or 0)
    return found


def _cost(usage: Mapping[str, Any]) -> float | None:
    """Dollars, where a router tells what it charged; what costs nothing is not known."""
    found = next((c for name in _COSTS if (c := _dollars(usage.get(name))) is not None), None)
    details = usage.get("cost_details")
    # With a key of one's own, the router charges next to nothing and the provider the rest.
    if isinstance(details, Mapping) and usage.get("is_byok") is not False:
        upstream = _dollars(details.get("upstream_inference_cost"))
        found = found if upstream is None else (found or 0.0) + upstream
    return found or None


def _dollars(value: Any) -> float | None:
    if isinstance(value, Mapping):
        value = value.get("total_cost", value.get("total"))
    if isinstance(value, str) and re.fullmatch(r"\d{1,9}(\.\d{1,18})?", value.strip(), re.ASCII):
        value = float(value)
    known = _is_number(value) and 0 <= value < _MOST_USD  # NaN is neither
    return float(value) if known else None
