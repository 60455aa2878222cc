"""A simple model of the return after a decision, which lowers the variance of estimates.

Two linear models by ridge regression: the return of stopping (from Fusion's posterior of the
leading candidate, the members that back it and those asked) and that of asking a member (from the
same features, the member asked and its cost). Later decisions are the policy's own: the models are
fitted backwards, one decision more each time (fitted Q evaluation).

Sources: Ernst, Geurts and Wehenkel 2005; Le, Voloshin and Yue 2019 (fitted Q evaluation).

Axes: B decisions, N members, K features.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from rlfocal.agents.observation import Observed
from rlfocal.deliberation.protocol import Strategy
from rlfocal.deliberation.view import View
from rlfocal.numbers import Float64Array
from rlfocal.online.decisions import Decisions
from rlfocal.records import BoolArray, FloatArray

__all__ = ["Features", "Observing", "Values", "fit_values"]

_RIDGE = 3.0
"""Queries' worth of doubt in each weight."""


class Observing(Strategy, Protocol):
    """A policy that shows its observation."""

    def observe(self, view: View, price: FloatArray | None = None) -> Observed:
        """The Decider's observation of B queries at prices float32[B]; None for its own price."""
        ...


class Features(NamedTuple):
    """The models' features of B states."""

    state: Float64Array
    """float64[B, K0]: a constant, confidence and its square, price, share asked."""
    asked: Float64Array
    """float64[B, N]."""
    backing: Float64Array
    """float64[B, N]: how strongly each member backs the leading candidate."""
    preference: Float64Array
    """float64[B, N]: expected score of each member's answer minus its price."""

    @classmethod
    def of(cls, strategy: Observing, log: Decisions) -> Self:
        """Compute the features of logged states."""
        price = log.price[log.episode]
        observation = strategy.observe(log.view, price).observation
        confidence = observation.confidence.astype(np.float64)
        asked = log.view.asked.astype(np.float64)
        share = asked.mean(axis=1)
        state = [
            np.ones_like(share), confidence, confidence**2, price.astype(np.float64), share,
            share * confidence,
        ]  # fmt: skip
        return cls(
            state=np.stack(state, axis=1),
            asked=asked,
            backing=observation.member[:, :, 2].astype(np.float64),
            preference=observation.preference.astype(np.float64),
        )

    def take(self, rows: NDArray[np.bool_]) -> Features:
        """Select some of the states."""
        return Features(*(part[rows] for part in self))

    def of_stopping(self) -> Float64Array:
        """float64[B, K]: features that predict the return of stopping."""
        return np.hstack([self.state, self.asked, self.backing])

    def of_asking(self, wanted: NDArray[np.bool_]) -> Float64Array:
        """float64[B, K]: features that predict the return of asking bool[B, N]."""
        asks = wanted.astype(np.float64)
        best = np.where(wanted, self.preference, -1.0).max(axis=1, keepdims=True)
        return np.hstack(
            [self.state, asks, asks * self.state[:, 1:2], best, best * self.state[:, 1:2],
             self.asked, asks.sum(axis=1, keepdims=True)]
        )  # fmt: skip


class _Model(NamedTuple):
    """A ridge regression with its uncertainty."""

    weight: Float64Array
    """float64[K]."""
    spread: Float64Array
    """float64[K, K]: a root of the weights' covariance."""

    def __call__(self, rows: Float64Array, doubt: float = 0.0) -> Float64Array:
        """float64[R]: predictions, less a number of standard errors."""
        mean = rows @ self.weight
        if doubt:
            mean = mean - doubt * np.sqrt(((rows @ self.spread) ** 2).sum(axis=1))
        return np.asarray(mean)


class Values(NamedTuple):
    """Expected returns of decisions."""

    stopping: _Model
    asking: _Model

    def of(self, features: Features, wanted: BoolArray) -> Float64Array:
        """float64[B]: returns of decisions bool[B, N]; a row without members is stopping."""
        return np.where(
            wanted.any(axis=1),
            self.asking(features.of_asking(wanted)),
            self.stopping(features.of_stopping()),
        )

    def of_each(self, features: Features, doubt: float = 0.0) -> Float64Array:
        """float64[B, N + 1]: returns of asking each member alone, and of stopping (last).

        Args:
            features: of B states.
            doubt: standard errors that are taken off, more where less is known.
        """
        n_rows, n_members = features.asked.shape
        columns = []
        for n in range(n_members):
            wanted = np.zeros((n_rows, n_members), dtype=bool)
            wanted[:, n] = True
            columns.append(self.asking(features.of_asking(wanted), doubt))
        columns.append(self.stopping(features.of_stopping(), doubt))
        return np.stack(columns, axis=1)


def fit_values(
    features: Features,
    log: Decisions,
    wanted: BoolArray,
    score: Float64Array,
    rows: NDArray[np.bool_],
    *,
    doubt: float = 0.0,
    stopping: Float64Array | None = None,
) -> Values:
    """Fit a policy's returns on some of the episodes.

    Args:
        features: of all B states.
        log: the episodes.
        wanted: bool[B, N], what the policy would do.
        score: float64[E], worth of what it answers at the end of each episode.
        rows: bool[B], whose decisions are learned from; whole episodes.
        doubt: standard errors that are taken off what comes after a decision, so that nothing is
            hoped for from states of which little is known (pessimism, Jin, Yang and Wang 2021).
        stopping: float64[B], what stopping in each state is worth, whether or not the log did; NaN
            where that is unknown. None where nothing of it is known.
    """
    stops = ~log.wanted.any(axis=1)
    known = stops if stopping is None else ~np.isnan(stopping)
    solve_stop = _Ridge(features.take(rows & known).of_stopping())
    solve_ask = _Ridge(features.take(rows & ~stops).of_asking(log.wanted[rows & ~stops]))
    ends = np.where(log.last, score[log.episode], 0.0) - log.charge
    asks, own_stop = features.of_asking(wanted), features.of_stopping()
    own, after = wanted.any(axis=1), np.zeros(len(ends))
    for _ in range(log.wanted.shape[1] + 1):
        target = ends + after
        of_stopping = (target if stopping is None else stopping)[rows & known]
        values = Values(solve_stop(of_stopping), solve_ask(target[rows & ~stops]))
        follows = np.where(own, values.asking(asks, doubt), values.stopping(own_stop, doubt))
        after = np.where(log.last, 0.0, np.append(follows[1:], 0.0))
    return values


class _Ridge:
    """Ridge regression on the same rows float64[R, K] again and again; the constant comes first."""

    def __init__(self, rows: Float64Array) -> None:
        self._rows = rows
        penalty = np.full(rows.shape[1], _RIDGE)
        penalty[0] = 1e-6
        covariance = np.linalg.inv(rows.T @ rows + np.diag(penalty))
        self._solver, self._root = covariance @ rows.T, np.linalg.cholesky(covariance)

    def __call__(self, target: Float64Array) -> _Model:
        """Fit the regression to float64[R], with standard errors from its residuals."""
        weight = self._solver @ target
        off = target - self._rows @ weight
        noise = np.sqrt((off**2).sum() / max(1, len(off) - len(weight)))
        return _Model(weight, noise * self._root)
