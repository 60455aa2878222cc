"""Turn a `View` into what the Decider acts on: Fusion's posterior, and features of it.

Training and serving call the same function on the same kind of view, so they cannot disagree.

Axes: B queries, N members, C candidates.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from rlfocal.agents.config import Rounds
from rlfocal.agents.fusion import Judged, PriorOnPool, Votes
from rlfocal.agents.known import Known
from rlfocal.agents.policy import promised
from rlfocal.agents.prior import fusion
from rlfocal.agents.prior.fusion import Queries
from rlfocal.agents.prior.observation import Observation
from rlfocal.deliberation.view import View
from rlfocal.numbers import sigmoid
from rlfocal.records import BoolArray, FloatArray, IntArray

__all__ = ["Fused", "Observed", "Observer", "answer_of"]

_LEAST = 1e-9
"""Least probability whose logarithm is taken."""


class Fused(NamedTuple):
    """Fusion's outputs for a batch of views, which do not depend on pending choices."""

    seen: Queries
    """The queries as the Decider sees them: see `Opinion.seen`."""
    judged: Judged

    @property
    def posterior(self) -> FloatArray:
        """float32[B, C + 1]: the last column for "none of these"."""
        return self.judged.posterior


class Observed(NamedTuple):
    """The observation of a batch of views, with Fusion's outputs."""

    observation: Observation
    fused: Fused

    @property
    def posterior(self) -> FloatArray:
        """float32[B, C + 1]: Fusion's, the last column for "none of these"."""
        return self.fused.posterior


@dataclass(frozen=True, eq=False)
class Observer:
    """Turns views into observations by the prior on the pool and the pool's own weights."""

    prior: PriorOnPool
    votes: Votes
    shift: FloatArray | None = None
    """float32[N]: how far the weight of each member's votes has moved since training."""
    rounds: Rounds | None = None
    """How choices are gathered into rounds; None where each is sent at once."""

    def observe(
        self,
        view: View,
        price: FloatArray,
        known: Known,
        pending: BoolArray | None = None,
        fused: Fused | None = None,
    ) -> Observed:
        """Observe a batch of views.

        Args:
            view: what has been revealed.
            price: float32[B], lambda.
            known: of these queries.
            pending: bool[B, N], members chosen for the round to come; None for none.
            fused: Fusion's outputs for the same view, where they are known.
        """
        queries, judged = fused = fused or self.fused(view, known)
        chosen = view.asked if pending is None else view.asked | pending
        logit = np.log(np.maximum(judged.posterior, np.float32(_LEAST)))
        of_votes = fusion.Fused(logit[None], (judged.vote * view.answered)[None])
        observation = self.prior.whole.observe(
            queries, of_votes, price, view.task, chosen=chosen, ready=self._ready(view)
        )
        if view.closed is not None:
            legal = observation.legal.copy()
            legal[:, :-1] &= ~view.closed
            observation = observation._replace(legal=legal)
        if self.rounds is not None:
            expected = sigmoid(queries.log_odds[0])
            observation = _gathered(
                observation, self.rounds, view, price, chosen & ~view.asked, expected
            )
        return Observed(observation, fused)

    def _ready(self, view: View) -> BoolArray | None:
        """bool[B, N]: who can be asked at once; a view from a log does not say."""
        readers = self.prior.whole.readers_
        if view.ready is not None or readers is None:
            return view.ready
        return readers.reads.ready(view.asked)

    def fused(self, view: View, known: Known) -> Fused:
        """Fuse; arguments as of `observe`."""
        opinion = self.prior.of(view, known)
        return Fused(opinion.seen, self.votes.judge(view, known, opinion, self.shift))


def _gathered(
    observation: Observation,
    rounds: Rounds,
    view: View,
    price: FloatArray,
    pending: BoolArray,
    expected: FloatArray,
) -> Observation:
    """Add the features, price and legal actions of choices that are gathered into rounds."""
    hurry = np.zeros((len(price), 2), dtype=np.float32)  # second: 1 in the last round, 1 / 2 ...
    hurry[:, 0] = pending.mean(axis=1)
    legal = observation.legal
    if rounds.most is not None:
        left = rounds.most - view.n_rounds
        hurry[:, 1] = 1 / np.maximum(left, 1)
        legal = np.concatenate([legal[:, :-1] & (left > 0)[:, None], legal[:, -1:]], axis=1)
    # The first of a round pays for the round.
    opening = np.float32(rounds.price) * ~pending.any(axis=1)
    return observation._replace(
        confidence=promised(observation.confidence, expected, pending),
        next_price=price + opening,
        legal=legal,
        pending=pending.astype(np.float32),
        hurry=hurry,
    )


def answer_of(posterior: FloatArray) -> IntArray:
    """int64[B]: the likeliest candidate by float32[B, C + 1]; "none of these" is no answer: -1."""
    candidates = posterior[:, :-1]
    return np.where(candidates.max(axis=1) > 0, candidates.argmax(axis=1), -1)
