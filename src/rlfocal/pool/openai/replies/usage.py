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
"""Larger counts are implausible and rejected: they would overflow the database's column."""
_MOST_USD = 1e6
_FLAGS = re.ASCII | re.IGNORECASE
# Names in small letters and without lines between the words.
_COSTS = ("cost", "totalcost", "estimatedcost")
_COUNTS: Mapping[str, tuple[str, ...]] = {
    "total": ("totaltokens", "totaltokencount"),
    "prompt": (
        "prompttokens", "inputtokens", "prompttokencount", "inputtokencount", "promptevalcount",
        "promptn",
    ),
    "completion": (
        "completiontokens", "outputtokens", "candidatestokencount", "outputtokencount",
        "evalcount", "predictedn",
    ),
    "thinking": ("reasoningtokens", "thinkingtokens", "thoughtstokencount"),
}  # fmt: skip
"""What is counted → the names that servers have for it; the first with a count holds."""
_TELLING = frozenset(_COUNTS["prompt"] + _COUNTS["completion"])
_DETAILS = ("completiontokensdetails", "outputtokensdetails")
_PROMPT_DETAILS = ("prompttokensdetails", "inputtokensdetails", "inputtokendetails")
_READ = (
    "cachedtokens", "cachereadinputtokens", "promptcachehittokens", "cachen",
    "cachedcontenttokencount", "cacheread", "cachereadtokens", "numcachedtokens",
)  # fmt: skip
"""Counts of what was read from a cache, whether or not it is a part of the prompt's count."""
_OTHER_PLACES = ("usageMetadata", "usage_metadata", "meta", "timings")
_CACHED = (
    "cachereadinputtokens", "cachecreationinputtokens", "cachewriteinputtokens", "cachen",
)  # fmt: skip
_APART = frozenset({"inputtokens", "promptn"})
"""Counts of a prompt that leave out what was read from a cache and written to it."""
_USUAL = {
    "prompt_tokens": "prompttokens", "completion_tokens": "completiontokens",
    "total_tokens": "totaltokens",
}  # fmt: skip
"""Names in nearly every reply, as `_plain` makes them."""


@dataclass(frozen=True, slots=True)
class Usage:
    """Counts of one reply; None where they are not known."""

    n_prompt: int | None = None
    n_completion: int | None = None
    """Thinking included."""
    cost_usd: float | None = None
    n_cached: int | None = None
    """Of the prompt's, those that came from a cache."""
    n_thinking: int | None = None
    """Of the completion's, those that it thought with."""


def usages_of(found: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The usage objects of a reply or of a piece of one, wherever servers put them."""
    places: list[Any] = [found.get("usage")]
    router, choices = found.get("x_groq"), found.get("choices")
    if isinstance(router, Mapping):
        places.append(router.get("usage"))
    if isinstance(choices, list) and choices and isinstance(choices[0], Mapping):
        places.append(choices[0].get("usage"))
    n_sure = len(places)
    places += [found[name] for name in _OTHER_PLACES if name in found]
    usages = []
    for k, place in enumerate(places):
        usage = place[0] if isinstance(place, list) and len(place) == 1 else place
        if not isinstance(usage, Mapping):
            continue
        # The billed units, where the server states them beside those that were read.
        billed = usage.get("billed_units") or usage.get("tokens")
        usage = billed if isinstance(billed, Mapping) else usage
        if usage and (k < n_sure or any(_plain(str(key)) in _TELLING for key in usage)):
            usages.append(usage)
    return usages


def merged(usages: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """One usage of several: pieces of a stream tell what it took so far, or a part of it.

    >>> merged([{"prompt_tokens": 9, "completion_tokens": 0}, {"completion_tokens": 4}])
    {'prompt_tokens': 9, 'completion_tokens': 4}
    """
    whole: dict[str, Any] = {}
    for usage in usages:
        for name, value in usage.items():
            before = whole.get(name)
            falls = before is not None and _is_number(before) and _is_number(value)
            if value is not None and not (falls and value < before):
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
    Usage(n_prompt=12, n_completion=319, cost_usd=None, n_cached=None, n_thinking=None)
    """
    usage, counts = _counted(usage)
    total, n_completion = counts.get("total"), counts.get("completion")
    n_prompt, thinking = counts.get("prompt"), [counts.get("thinking")]
    if n_prompt is not None and not _APART.isdisjoint(usage):
        n_prompt = _with_cached(usage, n_prompt, n_completion, total)
    for name in _DETAILS:
        if isinstance(details := usage.get(name), Mapping):
            thinking.append(_counted(details)[1].get("thinking"))
    told = [n for n in thinking if n is not None]
    n_thinking = max(told, default=0)
    if has_output:
        n_prompt, n_completion = n_prompt or None, n_completion or None
    if total is not None and n_prompt is not None:
        # Some count thinking in the total only.
        n_completion = max(n_completion or 0, total - n_prompt) or n_completion
    elif total is not None and n_completion is not None and total > n_completion:
        n_prompt = total - n_completion
    is_apart = total is None and "thoughtstokencount" in usage
    if n_completion is not None and (n_thinking > n_completion or is_apart):
        n_completion += n_thinking  # a part is never more than the whole: it is counted apart
    has_cost = not usage.keys().isdisjoint((*_COSTS, "costdetails"))
    n_cached = None if n_prompt is None else _cached(usage, n_prompt)
    cost = _cost(usage) if has_cost else None
    is_known = bool(told) and n_completion is not None
    return Usage(n_prompt, n_completion, cost, n_cached, n_thinking if is_known else None)


def _cached(usage: Mapping[str, Any], n_prompt: int) -> int | None:
    """Tokens of a prompt that came from a cache; None where nobody says, or more than there are.

    Where two places tell, the one that tells less counts, since less is taken off the price; but
    some fill in a 0 beside the place that tells.
    """
    places = [usage]
    for name in _PROMPT_DETAILS:
        if isinstance(details := usage.get(name), Mapping):
            places.append({_plain(str(inner)): value for inner, value in details.items()})
    told = [_count(place[name]) for place in places for name in _READ if name in place]
    found = [n for n in told if n is not None and n <= n_prompt]
    return min(filter(None, found), default=0 if found else None)


def _counted(usage: Mapping[Any, Any]) -> tuple[dict[str, Any], dict[str, int]]:
    """A usage object by plain names, and its counts by what is counted."""
    plain: dict[str, Any] = {}
    for name, value in usage.items():
        plain[_USUAL.get(name) or _plain(str(name))] = value
    counts: dict[str, int] = {}
    for what, names in _COUNTS.items():
        for name in names:
            if name not in plain:
                continue
            count = plain[name]
            if type(count) is not int or not 0 <= count < _MOST_TOKENS:
                count = _count(count)
            if count is not None:
                counts[what] = count
                break
    return plain, counts


def _plain(name: str) -> str:
    return name.replace("_", "").replace("-", "").lower()


def _with_cached(
    usage: Mapping[str, Any], n_prompt: int, n_completion: int | None, total: int | None
) -> int:
    """The tokens of a prompt, those included that came from a cache."""
    name = next(name for name in _COUNTS["prompt"] if _count(usage.get(name)) is not None)
    if name not in _APART:
        return n_prompt
    n_cached = sum([_count(usage.get(part)) or 0 for part in _CACHED])
    # Where a total tells that the cache is in there already, it is.
    is_within = n_cached <= n_prompt and total == n_prompt + (n_completion or 0)
    return n_prompt if is_within else n_prompt + n_cached


def _count(value: Any) -> int | None:
    if isinstance(value, str) and re.fullmatch(r"\d{1,10}(\.0+)?", value.strip(), re.ASCII):
        value = float(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return value if type(value) is int and 0 <= value < _MOST_TOKENS else None


def _cost(usage: Mapping[str, Any]) -> float | None:
    """Dollars, where a router tells what it charged; what costs nothing is not known."""
    found: float | None = None
    for name in _COSTS:
        if name in usage and (found := _dollars(usage[name])) is not None:
            break
    details = usage.get("costdetails")
    own = usage.get("isbyok")
    if isinstance(details, Mapping) and own is not False:
        upstream = _dollars(details.get("upstream_inference_cost")) or 0.0
        # With a key of one's own, the router charges next to nothing and the provider the rest;
        # where nobody says whose key it was, both may have told the same.
        found = (found or 0.0) + upstream if own else max(found or 0.0, upstream)
    return found or None


def _dollars(value: Any) -> float | None:
    if isinstance(value, Mapping):
        value = value.get("total_cost", value.get("total"))
    if isinstance(value, str) and re.fullmatch(
        r"\d{1,9}(\.\d{1,18})?(e[-+]?\d\d?)?", value.strip(), _FLAGS
    ):
        value = float(value)
    known = _is_number(value) and 0 <= value < _MOST_USD  # NaN is neither
    return float(value) if known else None
