"""What a judge has said: which of the replies that it read."""

from __future__ import annotations

import re

from rlfocal.pool.reading.settings import Form

__all__ = ["verdict_of"]

_NUMBER = re.compile(r"(?<![\d.,])\d+(?![\d]|[.,]\d)")
_NAMED = re.compile(r"(?i)\b(?:reply|answer|response|number|no\.|#)\s*\**\s*#?(\d+)(?!\d)")
_RIGHT = re.compile(r"(?i)\b(not\s+)?(right|correct|wrong|incorrect|yes|no)\b")
_GOOD = {"right", "correct", "yes"}


def verdict_of(form: Form, text: str, n_shown: int) -> int | None:
    """Which of the replies shown a judge has named.

    Args:
        form: "judge", "pairwise" or "verify".
        text: its reply.
        n_shown: replies it was shown.

    Returns:
        0 to n_shown - 1, in the order shown; -1 for none of them, as of a reply called wrong; None
        where it says nothing of the kind.

    >>> verdict_of("judge", "Reply 2.", 3), verdict_of("judge", "Neither convinces me.", 3)
    (1, None)
    >>> verdict_of("verify", "Wrong", 1), verdict_of("verify", "It is correct.", 1)
    (-1, 0)
    """
    if form == "verify":
        return _rightness(text)
    named = {int(number) for number in _NAMED.findall(text)}
    found = {number for number in named if 1 <= number <= n_shown}
    if not found and not named:
        found = {int(n) for n in _NUMBER.findall(text) if 1 <= int(n) <= n_shown}
    return found.pop() - 1 if len(found) == 1 else None


def _rightness(text: str) -> int | None:
    found = {(word.lower() in _GOOD) != bool(no) for no, word in _RIGHT.findall(text)}
    return (0 if found.pop() else -1) if len(found) == 1 else None
