"""A question unlike those of training: found out before anybody is asked, and what it does after.

What was learned, confidence above all, holds for questions like those of training. One that is
unlike them is answered all the same, with less confidence, and where the kind of its answer was
only assumed, in free words.
"""

from __future__ import annotations

from rlfocal.features import Reach, encoder

__all__ = ["Unlike", "lowered"]

_KEPT = 0.75
"""Of the confidence. Where a task of localpool was left out of training, agreement was sure of its
144 questions unlike the others by .67 in the mean, and right on .46 of them; in an earlier
recording with 599 such questions, sure by .68 and right on .52."""
_MOST_IN_FREE_WORDS = 0.5
"""Nothing learned says how often a reply in free words is right."""


class Unlike:
    """Judges questions.

    Args:
        reach: of the training queries.
    """

    def __init__(self, reach: Reach) -> None:
        self._reach, self._encode = reach, encoder(reach.encoder)

    def why(self, prompt: str) -> str:
        """In what a question is unlike all of training, in words; empty where it is like some."""
        nearest, least = self._reach.nearest(self._encode([prompt])[0]), self._reach.least
        if nearest >= least:
            return ""
        return (
            f"unlike the training queries: the most similar of them is at {nearest:.2f}, and 99 % "
            f"of those have another at {least:.2f} or above (1: the same words)"
        )


def lowered(confidence: float, *, in_free_words: bool) -> float:
    """The confidence in an answer to a question unlike those of training, in [0, 1].

    >>> lowered(0.8, in_free_words=False), lowered(0.8, in_free_words=True)
    (0.6000000000000001, 0.5)
    """
    kept = _KEPT * confidence
    return min(kept, _MOST_IN_FREE_WORDS) if in_free_words else kept
