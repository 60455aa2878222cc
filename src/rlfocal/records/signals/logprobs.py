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
    logprob = np.maximum(np.minimum(tokens.logprob.astype(np.float64), 0.0), _LOWEST)
    known = _known(logprob)
    n = len(known)
    if not n:
        return [math.nan] * len(NAMES)
    total = np.cumsum(known)
    mean = float(total[-1]) / n
    windows = _window_means(total)
    of_answer = _known(logprob[_of_answer(reply, tokens)])
    return [
        mean,
        float(known.min()),
        float(windows.min()),
        float(windows[-1]),
        math.sqrt(max(0.0, float(known @ known) / n - mean * mean)),
        np.count_nonzero(known < _DOUBTFUL) / n,
        float(of_answer.sum()) / len(of_answer) if len(of_answer) else math.nan,
        float(of_answer.min()) if len(of_answer) else math.nan,
    ]


def _known(logprob: NDArray[np.float64]) -> NDArray[np.float64]:
    missing = np.isnan(logprob)
    return logprob[~missing] if missing.any() else logprob


def _window_means(total: NDArray[np.float64]) -> NDArray[np.float64]:
    """Means of all windows, from cumulated sums; of all tokens where they are fewer."""
    size = min(WINDOW, len(total))
    sums = total[size - 1 :].copy()
    sums[1:] -= total[:-size]
    return np.minimum(sums / size, 0.0)


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
