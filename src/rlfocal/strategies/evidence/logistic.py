"""Ridge logistic regression over scaled signals, hashed words and members.

A weight of a signal is a common one plus a member's departure from it, which is penalised more: so
few labels learn what holds of everybody, and many what holds of one.

Axes: R replies, G inputs, N members, D places of words.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rlfocal.extras import need
from rlfocal.numbers import sigmoid
from rlfocal.records import FloatArray, IntArray
from rlfocal.records.signals import Words
from rlfocal.records.signals.words import N_PLACES

__all__ = ["Design", "Penalty", "Weights", "frequent"]

Float64Array = NDArray[np.float64]

_COMMON_BIAS, _OWN_BIAS = 0.1, 5.0
"""Penalties of the common intercept and of a member's departure from it."""
_FEWEST = 5
"""Queries whose replies must use a word, for it to be learned from."""
_WHAT = "learning which replies are right"


class Penalty(NamedTuple):
    """Half of each times the squared weights is added to the negative log-likelihood.

    Infinity means that there are no such weights.
    """

    common: float
    own: float
    words: float


class Weights(NamedTuple):
    """What a regression has learned."""

    inputs: Float64Array
    """float64[N, G]."""
    word: Float64Array
    """float64[D], or [0] where words have none."""
    bias: Float64Array
    """float64[N]."""


def frequent(words: Words, query: IntArray) -> tuple[Any, IntArray]:
    """Words as scipy takes them, those alone that replies to several queries use.

    Args:
        words: R rows.
        query: int64[R].

    Returns:
        A sparse matrix float32[R, P] in rows, and int64[P]: the places of its columns, ascending.
    """
    matrix = need("scipy.sparse", _WHAT)
    row = query[np.repeat(np.arange(words.n_rows), np.diff(words.start))]
    each = np.unique(words.place.astype(np.int64) * (query.max() + 1) + row) // (query.max() + 1)
    count = np.bincount(each, minlength=N_PLACES)
    shape = (words.n_rows, N_PLACES)
    whole = matrix.csr_matrix((words.value, words.place, words.start), shape=shape)
    places = np.flatnonzero(count >= _FEWEST)
    return whole[:, places], places


@dataclass(frozen=True, eq=False)
class Design:
    """R replies as a regression needs them, sorted by member."""

    inputs: FloatArray
    """float32[R, G]."""
    words: Any
    """scipy matrix float32[R, D]; None for none."""
    member: IntArray
    """int64[R], ascending."""
    offset: Float64Array
    """float64[R]: log-odds before anything is looked at."""
    right: Float64Array
    """float64[R] in [0, 1]."""
    n_members: int

    def logit(self, weights: Weights) -> Float64Array:
        """float64[R]."""
        logit = self.offset + weights.bias[self.member]
        for n, rows in enumerate(self._blocks()):
            logit[rows] += self.inputs[rows] @ weights.inputs[n].astype(np.float32)
        if self.words is not None and weights.word.size:
            logit += self.words @ weights.word.astype(np.float32)
        return logit

    def losses(self, logit: Float64Array) -> Float64Array:
        """float64[R]: negative log-likelihood of each reply."""
        return np.asarray(np.logaddexp(0, logit) - self.right * logit)

    def fit(self, penalty: Penalty, start: Weights | None = None) -> Weights:
        """Minimise the penalised negative log-likelihood.

        Args:
            penalty: of the weights.
            start: weights of another penalty; None for zeros.
        """
        parts = _Parts(self.n_members, self.inputs.shape[1], self._n_places(penalty))
        ridge, free = parts.ridge(penalty)
        flat = np.zeros(len(ridge)) if start is None else parts.flat(start)
        flat = np.where(free, flat, 0)
        words = self.words if parts.n_places else None
        transposed = None if words is None else words.T

        def loss(found: Float64Array) -> tuple[float, Float64Array]:
            weights = parts.weights(found)
            logit = self.logit(weights)
            gap = sigmoid(logit) - self.right
            narrow = gap.astype(np.float32)
            slope = np.stack([narrow[rows] @ self.inputs[rows] for rows in self._blocks()])
            bias = np.bincount(self.member, gap, minlength=self.n_members)
            word = np.zeros(0) if transposed is None else transposed @ narrow
            gradient = np.concatenate(
                [slope.sum(axis=0), slope.ravel(), [bias.sum()], bias, word], dtype=np.float64
            )
            value = self.losses(logit).sum() + (ridge * found**2).sum() / 2
            return float(value), np.where(free, gradient + ridge * found, 0)

        result = need("scipy.optimize", _WHAT).minimize(
            loss, flat, jac=True, method="L-BFGS-B", options={"maxiter": 100, "ftol": 1e-6}
        )
        return parts.weights(result.x)

    def _n_places(self, penalty: Penalty) -> int:
        return 0 if self.words is None or np.isinf(penalty.words) else int(self.words.shape[1])

    def _blocks(self) -> list[slice]:
        ends = np.searchsorted(self.member, np.arange(self.n_members + 1)).tolist()
        return [slice(first, last) for first, last in pairwise(ends)]


class _Parts(NamedTuple):
    """How the parameters lie: common [G], own [N, G], bias [1], own bias [N], words [D]."""

    n_members: int
    n_inputs: int
    n_places: int

    def ridge(self, penalty: Penalty) -> tuple[Float64Array, NDArray[np.bool_]]:
        """The penalty of each parameter, and whether it is one at all."""
        n, g = self.n_members, self.n_inputs
        each = np.repeat(
            [penalty.common, penalty.own, _COMMON_BIAS, _OWN_BIAS, penalty.words],
            [g, n * g, 1, n, self.n_places],
        )
        free = np.isfinite(each)
        return np.where(free, each, 0), free

    def weights(self, flat: Float64Array) -> Weights:
        """From flat parameters."""
        n, g = self.n_members, self.n_inputs
        common, own, bias, own_bias, word = np.split(flat, np.cumsum([g, n * g, 1, n]))
        return Weights(common + own.reshape(n, g), word, bias + own_bias)

    def flat(self, weights: Weights) -> Float64Array:
        """To flat parameters: what members share is common."""
        common, bias = weights.inputs.mean(axis=0), weights.bias.mean()
        word = weights.word if weights.word.size else np.zeros(self.n_places)
        own = (weights.inputs - common).ravel()
        return np.concatenate([common, own, [bias], weights.bias - bias, word[: self.n_places]])
