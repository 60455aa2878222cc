"""What several replies of one member to one query come to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

__all__ = ["agreed"]


def agreed(answers: Sequence[str | None]) -> int:
    """The first sample that gave the most frequent answer; of equally frequent ones, the earlier.

    Args:
        answers: at least one; None where a sample holds no usable answer.

    >>> agreed([None, "8", "7", "7"])
    2
    """
    if len(answers) == 1:
        return 0
    votes = Counter(answer for answer in answers if answer is not None)
    return answers.index(votes.most_common(1)[0][0]) if votes else 0
