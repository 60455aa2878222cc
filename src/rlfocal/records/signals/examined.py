"""The names of what local models say of replies that they were made to read."""

from __future__ import annotations

import re
from collections.abc import Iterable

__all__ = ["CROSS", "LIKELY", "likelihoods_in", "signals_of"]

LIKELY = "likely_"
"""How signals begin that are a reply's log-probability after the question, per byte."""
CROSS = "cross_"
"""How those begin that are the same, less what it is without the question."""
_MOST_CHARS = 50


def signals_of(name: str) -> tuple[str, str]:
    """The names of what an examiner says of a reply: with the question, and less what it is alone.

    >>> signals_of("qwen-0.5b")
    ('likely_qwen_0_5b', 'cross_qwen_0_5b')
    """
    plain = re.sub(r"\W", "_", name, flags=re.ASCII)[:_MOST_CHARS]
    return LIKELY + plain, CROSS + plain


def likelihoods_in(names: Iterable[str]) -> tuple[str, ...]:
    """Which signals are what examiners found after the question, in order.

    Each examiner says two things: a signal of a user's own whose name begins alike has no partner.

    >>> likelihoods_in(["likely_b", "cross_b", "likely_right", "text.length"])
    ('likely_b',)
    """
    known = frozenset(names)
    said = (name for name in known if name.startswith(LIKELY))
    return tuple(sorted(name for name in said if CROSS + name.removeprefix(LIKELY) in known))
