"""Fits the regression: penalties by cross-fitting, calibration on what was held out.

Tried and left out (seeds 0 to 11, November 2026). Weights of general signals learned on 12 members
of gsm8k, as one more input: log-likelihood of a reply to mid8 +.011 with 25 labels, nothing with
100, nothing on other data (date_samples), no vote better. An intercept for each query, so that
weights say nothing of difficulty: votes of all in mid8 +.1 with 100 labels, -.2 to 0 with 900.

Axes: R labelled replies, N members, F signals, G = 2F inputs, D places of words.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rlfocal.records import BoolArray, FloatArray, IntArray
from rlfocal.records.signals import Words
from rlfocal.records.signals.words import N_PLACES
from rlfocal.strategies.evidence.examples import Examples, Scaling
from rlfocal.strategies.evidence.logistic import Design, Penalty, Weights, frequent

__all__ = ["Learned", "learn"]

Float64Array = NDArray[np.float64]

_SIGNALS = (300.0, 100.0, 30.0, 10.0)
"""Penalties of a signal's common weight, the strongest first."""
_OWN = 10.0
"""So many times that of a member's departure from it."""
_WORDS = (30.0, 10.0, 4.0, 1.5)
"""Penalties of words, the strongest first."""
_CLEAR = 1.5
"""Standard errors of its gain that the use of signals, or of words, must be worth.

At 0.5 a score of 25 labels cost routerbench .1 to .3 points (benchmarks/evidence.py, 3 draws); at
1.5 nothing, and gsm8k mid8 gains 1.1 in place of 1.8 at 1.5 calls; from 100 labels on mid8 gains
the same.
"""
_SLOPE = Penalty(common=10.0, own=50.0, words=math.inf)
"""Of what calibration changes: a common slope, and each member's departure from it."""


class Learned(NamedTuple):
    """How far a reply moves its member's log-odds."""

    scaling: Scaling
    inputs: FloatArray
    """float32[N, G]: weights of scaled signals and of their being unknown."""
    word: FloatArray
    """float32[D]; [0] where words say nothing."""
    bias: FloatArray
    """float32[N]."""
    slope: FloatArray
    """float32[N]: how far what was learned holds of replies that were not learned from."""

    def gap(self, values: FloatArray, words: Words, member: IntArray) -> FloatArray:
        """float32[R]: calibrated log-odds less the member's own.

        Args:
            values: float32[R, F], NaN where unknown.
            words: R rows.
            member: int64[R].
        """
        inputs = self.scaling.apply(values, member)
        found = (inputs * self.inputs[member]).sum(axis=-1, dtype=np.float64)
        if self.word.size:
            found += words.dot(self.word)
        return np.asarray(self.bias[member] + self.slope[member] * found, dtype=np.float32)


def learn(examples: Examples, fold: IntArray, base: Float64Array) -> tuple[Learned, Float64Array]:
    """Learn from labelled replies.

    Args:
        examples: R of them.
        fold: int64[R], inner folds; replies to a query share one.
        base: float64[N], log-odds of each member.

    Returns:
        What was learned of all; and float64[R], calibrated log-odds of each reply learned without
        its fold.
    """
    n_members = len(base)
    words, places = frequent(examples.words, examples.query)
    parts = [_Part(examples, words, fold == k, base) for k in np.unique(fold)]
    penalty, weights = _choose(parts)
    raw = np.zeros(len(fold))
    for part, found in zip(parts, weights, strict=True):
        raw[part.held_out] = part.outside.logit(found)
    raw -= base[examples.member]
    calibration, bias_slope = _calibrate(raw, examples, base)
    scaling = Scaling.fit(examples.values, examples.member, n_members)
    design = _design(examples, scaling, words, base)
    final = design.fit(penalty)
    bias, slope = bias_slope
    learned = Learned(
        scaling,
        final.inputs.astype(np.float32),
        _spread(final.word, places),
        (bias + slope * final.bias).astype(np.float32),
        slope.astype(np.float32),
    )
    return learned, calibration


class _Part:
    """One inner fold: what is learned without it, and what it is held against."""

    def __init__(
        self, examples: Examples, words: Any, held_out: BoolArray, base: Float64Array
    ) -> None:
        self.held_out, self.query = held_out, examples.query[held_out]
        rest = ~held_out
        scaling = Scaling.fit(examples.values[rest], examples.member[rest], len(base))
        whole = _design(examples, scaling, words, base)
        self.has_words = words.shape[1] > 0
        self.inside, self.outside = _rows(whole, rest), _rows(whole, held_out)


def _design(examples: Examples, scaling: Scaling, words: Any, base: Float64Array) -> Design:
    return Design(
        scaling.apply(examples.values, examples.member),
        words,
        examples.member,
        base[examples.member],
        examples.right,
        len(base),
    )


def _rows(design: Design, wanted: BoolArray) -> Design:
    return Design(
        design.inputs[wanted],
        design.words[wanted],
        design.member[wanted],
        design.offset[wanted],
        design.right[wanted],
        design.n_members,
    )


def _choose(parts: list[_Part]) -> tuple[Penalty, list[Weights]]:
    """The penalties that do best on what is held out, and the weights under them.

    Signals, then words, get weights only where their gain is more than its standard error.
    """
    penalty = Penalty(math.inf, math.inf, math.inf)
    weights = [part.inside.fit(penalty) for part in parts]
    loss = _losses(parts, weights)
    for stage in ("signals", "words"):
        if stage == "signals":
            path = [Penalty(s, _OWN * s, math.inf) for s in _SIGNALS]
        else:
            path = [penalty._replace(words=w) for w in _WORDS if parts[0].has_words]
        best, start = (penalty, weights, loss), weights
        for tried in path:
            start = [part.inside.fit(tried, one) for part, one in zip(parts, start, strict=True)]
            found = _losses(parts, start)
            if found.sum() >= best[2].sum():
                break
            best = tried, start, found
        gain = loss - best[2]
        if gain.sum() > _CLEAR * gain.std() * math.sqrt(len(gain)):
            penalty, weights, loss = best
    return penalty, weights


def _spread(weight: Float64Array, places: IntArray) -> FloatArray:
    """float32[D]: weights of some places at these; [0] where there are none."""
    found = np.zeros(N_PLACES if weight.size else 0, dtype=np.float32)
    if weight.size:
        found[places] = weight
    return found


def _losses(parts: list[_Part], weights: list[Weights]) -> Float64Array:
    """float64[queries]: negative log-likelihood of the held-out replies to each."""
    found = []
    for part, weight in zip(parts, weights, strict=True):
        loss = part.outside.losses(part.outside.logit(weight))
        _, query = np.unique(part.query, return_inverse=True)
        found.append(np.bincount(query, loss))
    return np.concatenate(found)


def _calibrate(
    raw: Float64Array, examples: Examples, base: Float64Array
) -> tuple[Float64Array, tuple[Float64Array, Float64Array]]:
    """Calibrated log-odds of held-out replies, and each member's bias and slope that make them."""
    design = Design(
        raw[:, None].astype(np.float32),
        None,
        examples.member,
        base[examples.member] + raw,
        examples.right,
        len(base),
    )
    found = design.fit(_SLOPE)
    return design.logit(found), (found.bias, 1 + found.inputs[:, 0])
