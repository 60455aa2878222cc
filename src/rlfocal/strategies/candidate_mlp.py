"""A small network that scores one candidate answer, shared by all candidates of all queries.

It sees how strongly each member backs the candidate, how strongly the member's favourite among the
other candidates is backed, and which members answered; it never sees a candidate's position, so
the number and order of candidates carry no meaning. It starts as the log-odds weighted vote (a
linear skip connection; the hidden layer's output weights start at zero), so that with few queries
it stays near a sound vote instead of starting from noise.

Trained by maximum likelihood in plain numpy (AdamW), with early stopping: three networks, each
held to the third of the queries that it was not trained on, whose logits are averaged.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from rlfocal.records import BoolArray, FloatArray, IntArray

__all__ = ["N_FEATURES", "CandidateMlp", "candidate_features"]

N_FEATURES = 3
"""What is known of a candidate by each member, see `candidate_features`."""
_N_NETS = 3
_BATCH = 256
_PATIENCE = 4
"""Epochs without a better held-out likelihood before training stops."""
_LARGE = 4000
"""Training queries from which on the faster, less regularised settings are used."""


def candidate_features(support: FloatArray, answered: BoolArray) -> FloatArray:
    """Describe each candidate by what S members think of it and of its rivals.

    Args:
        support: float32[B, S, C].
        answered: bool[B, S].

    Returns:
        float32[B, C, 3S]: own support, the largest support among the other candidates, answered.
    """
    ranked = np.sort(support, axis=2)
    top = ranked[:, :, -1:]
    second = ranked[:, :, -2:-1] if support.shape[2] > 1 else np.zeros_like(top)
    # A member's favourite has the runner-up as its rival; every other candidate has the favourite.
    rival = np.where(support == top, second, top)
    said = np.broadcast_to(answered[:, :, None], support.shape)
    stacked = np.concatenate([support, rival, said.astype(np.float32)], axis=1)
    return np.ascontiguousarray(stacked.transpose(0, 2, 1))  # [B, 3S, C] -> [B, C, 3S]


class _Pairs(NamedTuple):
    """Queries as (query, allowed candidate) pairs, those of one query side by side."""

    x: FloatArray
    """float32[P, F]."""
    right: BoolArray
    """bool[P]."""
    query: IntArray
    """int64[P], ascending: 0 .. number of queries - 1, each with at least one right pair."""

    @classmethod
    def of(cls, x: FloatArray, allowed: BoolArray, right: BoolArray) -> _Pairs:
        """Keep the allowed candidates of x: float32[Q, C, F]."""
        query, slot = np.nonzero(allowed)
        return cls(x[query, slot], right[query, slot], query)

    @property
    def n_queries(self) -> int:
        return int(self.query[-1]) + 1

    def shuffled(self, rng: np.random.Generator) -> _Pairs:
        """Return the same queries in a random order."""
        place = rng.permutation(self.n_queries)[self.query]
        order = np.argsort(place, kind="stable")
        return _Pairs(self.x[order], self.right[order], place[order])

    def batches(self, size: int) -> Iterator[_Pairs]:
        """Cut into batches of `size` queries."""
        starts = np.arange(0, self.n_queries, size)
        edges = [*np.searchsorted(self.query, starts).tolist(), len(self.query)]
        for start, low, high in zip(starts, edges[:-1], edges[1:], strict=True):
            yield _Pairs(self.x[low:high], self.right[low:high], self.query[low:high] - start)


class _Net(NamedTuple):
    """Weights of one network: logit = x · skip + relu(x · w1 + b1) · w2."""

    skip: FloatArray
    w1: FloatArray
    b1: FloatArray
    w2: FloatArray

    def logits(self, x: FloatArray) -> FloatArray:
        hidden = np.maximum(x @ self.w1 + self.b1, 0)
        return np.asarray(x @ self.skip + hidden @ self.w2)

    def gradient(self, pairs: _Pairs) -> list[FloatArray]:
        """Gradient of the mean negative log-likelihood of the right candidates."""
        hidden = np.maximum(pairs.x @ self.w1 + self.b1, 0)
        chance, sought = _posteriors(pairs.x @ self.skip + hidden @ self.w2, pairs)
        error = (chance - chance * pairs.right / sought[pairs.query]) / np.float32(len(sought))
        back = error[:, None] * self.w2 * (hidden > 0)
        return [pairs.x.T @ error, pairs.x.T @ back, back.sum(axis=0), hidden.T @ error]


def _posteriors(logit: FloatArray, pairs: _Pairs) -> tuple[FloatArray, FloatArray]:
    """Softmax within each query, float32[P], and the mass on its right candidates, float32[Q]."""
    starts = np.flatnonzero(np.diff(pairs.query, prepend=-1))
    power = np.exp(logit - np.maximum.reduceat(logit, starts)[pairs.query])
    chance = power / np.add.reduceat(power, starts)[pairs.query]
    sought = np.maximum(np.add.reduceat(chance * pairs.right, starts), 1e-9)
    return np.asarray(chance), np.asarray(sought)


def _loss(net: _Net, pairs: _Pairs) -> float:
    return float(-np.log(_posteriors(net.logits(pairs.x), pairs)[1]).mean())


class CandidateMlp(NamedTuple):
    """E networks that were held to different queries; their mean logit is the score."""

    skip: FloatArray
    """float32[E, F], F = 3S."""
    w1: FloatArray
    """float32[E, F, H]."""
    b1: FloatArray
    """float32[E, H]."""
    w2: FloatArray
    """float32[E, H]."""

    @classmethod
    def fit(
        cls,
        support: FloatArray,
        answered: BoolArray,
        right: BoolArray,
        *,
        allowed: BoolArray,
        group: IntArray,
        start: NDArray[np.floating],
        rng: np.random.Generator,
        n_hidden: int = 16,
        max_epochs: int = 40,
    ) -> Self:
        """Train on labelled queries.

        Args:
            support: float32[Q, S, C].
            answered: bool[Q, S].
            right: bool[Q, C], the right candidates; queries with none among those allowed say
                nothing about how to choose and are left out.
            allowed: bool[Q, C], the candidates to choose from.
            group: int64[Q]; queries of one group are held out together.
            start: float[S], the members' vote weights.
            rng: source of all randomness.
            n_hidden: width of the hidden layer.
            max_epochs: most passes over the queries.
        """
        use = np.flatnonzero((right & allowed).any(axis=1))
        x = candidate_features(support[use], answered[use])
        right, allowed = (right & allowed)[use], allowed[use]
        groups, member_of = np.unique(group[use], return_inverse=True)
        part = rng.permutation(len(groups))[member_of] % _N_NETS
        first = _start(x.shape[2], start, n_hidden, rng)
        nets = []
        for held in range(_N_NETS):
            inside, outside = part != held, part == held
            if not inside.any() or not outside.any():
                nets.append(first)
                continue
            seen, unseen = (
                _Pairs.of(x[rows], allowed[rows], right[rows]) for rows in (inside, outside)
            )
            nets.append(_train(first, seen, unseen, rng, max_epochs=max_epochs))
        return cls(*(np.stack(weights) for weights in zip(*nets, strict=True)))

    def logits(self, support: FloatArray, answered: BoolArray) -> FloatArray:
        """float32[B, C]: the score of each candidate, before the softmax."""
        x = candidate_features(support, answered)
        nets = [_Net(*weights) for weights in zip(*self, strict=True)]
        total = sum((net.logits(x) for net in nets), np.zeros(x.shape[:2], dtype=np.float32))
        return np.asarray(total / np.float32(len(nets)))


def _start(
    n_features: int, weight: NDArray[np.floating], n_hidden: int, rng: np.random.Generator
) -> _Net:
    skip = np.zeros(n_features, dtype=np.float32)
    skip[: len(weight)] = weight
    spread = np.sqrt(2 / n_features)
    w1 = rng.normal(0, spread, size=(n_features, n_hidden)).astype(np.float32)
    zeros = np.zeros(n_hidden, dtype=np.float32)
    return _Net(skip=skip, w1=w1, b1=zeros, w2=zeros)


def _train(
    net: _Net, data: _Pairs, held: _Pairs, rng: np.random.Generator, *, max_epochs: int
) -> _Net:
    """AdamW from `net`, whose weights the decay draws back to; the best net on `held` is kept."""
    n_queries = data.n_queries
    large = n_queries >= _LARGE
    rate, decay = (3e-3, 0.01) if large else (2e-3, 0.1)
    # Small sets get smaller batches: an epoch of two or three steps would learn nothing.
    batch = min(_BATCH, max(16, n_queries // 16))
    weights = [part.copy() for part in net]
    mean = [np.zeros_like(part) for part in net]
    square = [np.zeros_like(part) for part in net]
    best, best_loss, best_epoch, step = net, _loss(net, held), -1, 0
    for epoch in range(max_epochs):
        for pairs in data.shuffled(rng).batches(batch):
            step += 1
            for i, slope in enumerate(_Net(*weights).gradient(pairs)):
                mean[i] = 0.9 * mean[i] + 0.1 * slope
                square[i] = 0.999 * square[i] + 0.001 * slope**2
                unbiased = mean[i] / (1 - 0.9**step)
                scale = np.sqrt(square[i] / (1 - 0.999**step)) + 1e-8
                pull = decay * (weights[i] - net[i])
                weights[i] = (weights[i] - rate * (unbiased / scale + pull)).astype(np.float32)
        loss = _loss(_Net(*weights), held)
        if loss < best_loss:
            best, best_loss, best_epoch = _Net(*(w.copy() for w in weights)), loss, epoch
        elif epoch - best_epoch >= _PATIENCE:
            break
    return best
