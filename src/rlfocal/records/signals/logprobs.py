"""How likely a reply's tokens were to the member that wrote them.

Source: Fu et al., "Deep Think with Confidence" (arXiv:2508.15260), which keeps a sampled answer by
the mean, the lowest window and the last tokens of its confidence. Departures: the log-probability
of the token that was written takes the place of a mean over the best k; windows are shorter.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from rlfocal.records.signals.reading import answer_spans
from rlfocal.records.signals.registry import Family
from rlfocal.records.signals.reply import SeenReply, TokenLogprobs

__all__ = ["LOGPROBS"]

_LOWEST = -20.0
"""Natural logarithms are cut here: a server's minus infinity is a very unlikely token."""
WINDOW = 16
"""Tokens."""
_DOUBTFUL = math.log(0.5)
_SLACK = 16
"""Characters by which tokens may be longer or shorter than the text: a stop token, a blank."""

NAMES = (
    "mean", "minimum", "lowest_window", "last_window", "spread", "doubtful", "answer_mean",
    "answer_minimum",
)  # fmt: skip


def _read(reply: SeenReply) -> Sequence[float]:
    """See `NAMES`: log-probabilities in [-20, 0], their standard deviation, and a share.

    `doubtful` is the share of tokens that were less likely than all others together.
    """
    tokens = reply.tokens
    if tokens is None:
        return [math.nan] * len(NAMES)
    logprob = np.clip(tokens.logprob.astype(np.float64), _LOWEST, 0.0)
    known = logprob[~np.isnan(logprob)]
    if not len(known):
        return [math.nan] * len(NAMES)
    windows = _window_means(known)
    of_answer = logprob[_of_answer(reply, tokens)]
    of_answer = of_answer[~np.isnan(of_answer)]
    return [
        float(known.mean()),
        float(known.min()),
        float(windows.min()),
        float(windows[-1]),
        float(known.std()),
        float((known < _DOUBTFUL).mean()),
        float(of_answer.mean()) if len(of_answer) else math.nan,
        float(of_answer.min()) if len(of_answer) else math.nan,
    ]


def _window_means(logprob: NDArray[np.float64]) -> NDArray[np.float64]:
    """Means of all windows; of all tokens where they are fewer."""
    size = min(WINDOW, len(logprob))
    total = np.concatenate([[0.0], np.cumsum(logprob)])
    return np.asarray(np.minimum((total[size:] - total[:-size]) / size, 0.0))


def _of_answer(reply: SeenReply, tokens: TokenLogprobs) -> slice:
    """Tokens of the last place where the answer stands; none where it cannot be located."""
    spans = answer_spans(reply)
    end = np.cumsum(tokens.chars, dtype=np.int64)
    if not spans or reply.text is None or abs(int(end[-1]) - len(reply.text)) > _SLACK:
        return slice(0)
    start, stop = spans[0]
    first = int(np.searchsorted(end, start, side="right"))
    last = int(np.searchsorted(end, stop, side="left"))
    return slice(first, last + 1)


LOGPROBS = Family(tuple(f"logprobs.{name}" for name in NAMES), _read)
"""Numbers about the log-probabilities of a reply's tokens; NaN where its server gave none."""
