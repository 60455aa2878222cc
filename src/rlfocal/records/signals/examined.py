"""The names of what local models say of replies that they were made to read."""

from __future__ import annotations

import re

__all__ = ["CROSS", "LIKELY", "signals_of"]

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
