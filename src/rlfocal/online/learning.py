"""Learn a shadow policy from logged episodes, and evaluate it on held-out ones.

Only the Decider's weights are trained: Fusion, statistics and rivals stay the live policy's, so
that a logged answer is the shadow's answer, too. Learning is off-policy improvement in rounds.
In each round, with the log split in folds,

- a model is fitted to what follows each decision if the shadow acts (`values`), on other folds;
- every logged state gets a payoff for every action: the model's, and for the action that was taken
  the weighted surprise of what came after it on top (doubly robust, weights clipped); where the
  right answers were told, stopping has the payoff that it would have had, whatever the log did;
- gradient steps raise the mean payoff under the shadow's softmax, less what it costs to leave the
  live policy's (a KL penalty). States count as often as the shadow would come to them (clipped).

Of the policies after each round the one is taken that earns most on these episodes, less a standard
error: with labels by all that cover it (`counterfactual`), else by those that did the same.

Sources: Dudik, Langford and Li 2011 (doubly robust policy learning); Thomas and Brunskill 2016
(blending a model and weights); Schulman et al. 2017 (the KL penalty).

Axes: E episodes, B decisions, N members.
"""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Sequence
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rlfocal.agents.arrays import Weights
from rlfocal.agents.policy import action_log_prob, likeliest
from rlfocal.agents.prior.observation import Observation
from rlfocal.deliberation.base import Base
from rlfocal.deliberation.view import Memory
from rlfocal.errors import NotApplicable
from rlfocal.numbers import Float64Array
from rlfocal.online.counterfactual import is_labelled, scores_of_stopping
from rlfocal.online.decisions import Decisions, batch, path_of, products
from rlfocal.online.episodes import Episode
from rlfocal.online.estimates import (
    LEAST_DEPARTED,
    PolicyComparison,
    along,
    backwards,
    compare,
    effective,
    usable,
)
from rlfocal.online.exploring import Explorable
from rlfocal.online.values import Features, Observing, fit_values
from rlfocal.records import BoolArray
from rlfocal.training.nets import Decider, Own
from rlfocal.training.weights import one_thread, seeded

__all__ = ["Shadow", "Teachable", "learn", "split"]

LEAST = 100
"""Episodes to learn from."""
_HELD_OUT = 0.5
"""Share of the episodes held out for evaluation."""
_N_FOLDS = 3
_LEARNING_RATE, _SMALL = 0.01, 0.003
"""Without labels, and with them."""
_LEAST_CHANCE = 0.05
"""In learning the policy is softened until nearly every action has about these odds against its
preferred one."""
_DOUBT = 1.0
"""Standard errors subtracted from the model's predictions (pessimism, Jin et al. 2021)."""
_KL_COEF = 0.02
"""Penalty of a nat of divergence from the live policy, as a share of a right answer's worth."""
_CLIP, _LOW = 20.0, 5.0
"""Importance weights are clipped to this, without labels and with them: what stopping is worth is
then known in every state, and of asking a model of low variance says more."""
_LEAST_REACH = 0.02
"""Least weight of a state: the shadow may still learn to reach it."""


@runtime_checkable
class Teachable(Explorable, Observing, Protocol):
    """A policy whose Decider can be trained while everything else stays fixed."""

    decider_: Weights

    def with_decider(self, decider: Weights, prices: Sequence[float]) -> Base:
        """The trained policy with another Decider that acts at these prices."""
        ...


class Shadow(NamedTuple):
    """A candidate policy and its off-policy estimate."""

    strategy: Base
    estimate: PolicyComparison
    """Compared with the live policy, on held-out episodes."""
    n_learned_from: int


def split(
    episodes: Sequence[Episode], held_out: float, *, seed: int = 0
) -> tuple[list[Episode], list[Episode]]:
    """Split episodes into those to learn from and those to evaluate on.

    Split by keys, so that an episode stays on its side as others are added.
    """
    parts: tuple[list[Episode], list[Episode]] = ([], [])
    for episode in episodes:
        digest = hashlib.sha256(f"{seed}/{episode.key}".encode()).digest()
        parts[int.from_bytes(digest[:8], "big") < held_out * 2**64].append(episode)
    return parts


def learn(
    live: Base,
    episodes: Sequence[Episode],
    *,
    memory: Memory | None = None,
    seed: int = 0,
    n_rounds: int = 8,
    n_steps: int = 25,
) -> Shadow:
    """Learn a shadow from some of the episodes and judge it on the others.

    Args:
        live: the policy served now.
        episodes: of its pool; those that are not `usable` are left out.
        memory: recent labelled queries, which both policies follow.
        seed: of everything that is random.
        n_rounds: models fitted, each followed by `n_steps`.
        n_steps: gradient steps on all episodes at once.

    Raises:
        NotApplicable: too few episodes that were judged and that explored, or a policy that gathers
            rounds, or has no Decider.
    """
    if not isinstance(live, Teachable):
        raise NotApplicable(f"{live.name} does not learn from judged answers")
    if not live.explorable:
        raise NotApplicable("a policy that gathers rounds cannot learn from logged episodes yet")
    teach, judge = split(usable(episodes), _HELD_OUT, seed=seed)
    if min(len(teach), len(judge)) < LEAST:
        raise NotApplicable(
            f"{len(teach)} + {len(judge)} episodes were judged and explored; to learn and to "
            f"judge, {LEAST} each are needed: send more feedback, or explore more"
        )
    # Where calls cost nothing all members are asked, without the Decider.
    priced = [episode for episode in teach if episode.price > 0]
    if len(priced) < LEAST:
        raise NotApplicable(f"only {len(priced)} episodes in which a call had a price")
    log, now = batch(priced), live if memory is None else live.follow(memory)
    with one_thread():
        learner = _Learner(live, now, memory, log, seed)
        decider = learner.learn(n_rounds, n_steps)
        candidate = learner.acting(decider)
    shadow = live.with_decider(decider, learner.prices)
    return Shadow(shadow, compare(candidate, now, judge, seed=seed), len(priced))


class _Learner:
    def __init__(
        self, trained: Teachable, live: Teachable, memory: Memory | None, log: Decisions, seed: int
    ) -> None:
        """Prepare to learn.

        Args:
            trained: the live policy without the memory.
            live: the same with it.
            memory: recent labelled queries.
            log: the episodes.
            seed: of folds.
        """
        self._trained, self._policy, self._memory, self._log = trained, live, memory, log
        self.prices: list[float] = np.unique(log.price).tolist()
        self._features = Features.of(live, log)
        price = log.price[log.episode]
        seen = live.observe(log.view, price).observation
        parts = (None if part is None else torch.from_numpy(part) for part in seen)
        self._seen = Observation(*parts)
        # Fusion stays, so the answers at the end are the live policy's.
        path = path_of(live, log)
        self._score, self._own = path.score, path.wanted
        self._is_labelled = is_labelled(log)
        # Without labels it is known most often of answers that are right: no fair sample.
        self._stopping = scores_of_stopping(live, log) if self._is_labelled else None
        self._clip = _LOW if self._is_labelled else _CLIP
        rng = np.random.default_rng([seed, 1])
        self._fold_of = rng.permutation(len(log)) % _N_FOLDS
        self._fold = self._fold_of[log.episode]
        self._action = _actions(log)
        self._single = log.wanted.sum(axis=1) <= 1
        n_tasks, n_members = live.decider_["own.task.weight"].shape[1] - 1, log.wanted.shape[1]
        own = Own(n_members, n_tasks)
        # All weights are given, yet making a net draws some first: not from the global generator.
        self.decider = seeded(seed, lambda: Decider.from_prior(live.decider_, own))
        with torch.no_grad():
            logits = _logits(self.decider(self._seen))
            self._temperature = _temperature(logits, self._seen.legal, _LEAST_CHANCE)
            self._live = self._softened()
        # The live policy gains nothing, for certain.
        self._least, self._best = 0.0, copy.deepcopy(self.decider)
        self._from: tuple[Float64Array, Float64Array] | None = None

    def acting(self, decider: Weights) -> Base:
        """The policy with these weights, which follows the memory."""
        shadow = self._trained.with_decider(decider, self.prices)
        return shadow if self._memory is None else shadow.follow(self._memory)

    def learn(self, n_rounds: int, n_steps: int) -> Weights:
        """Improve round by round."""
        rate = _SMALL if self._is_labelled else _LEARNING_RATE
        optimizer = torch.optim.Adam(self.decider.parameters(), lr=rate)
        for _ in range(n_rounds):
            payoff, reach = (torch.from_numpy(part).float() for part in self._payoffs())
            self._keep_best()
            for _ in range(n_steps):
                log_prob = self._softened()
                gain = (log_prob.exp() * payoff).sum(1) - _KL_COEF * _divergence(
                    self._live, log_prob
                )
                loss = -(gain * reach).sum() / reach.sum()
                optimizer.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                torch.nn.utils.clip_grad_norm_(self.decider.parameters(), 1.0)
                optimizer.step()
        self._payoffs()
        self._keep_best()
        return self._best.exported()

    def _keep_best(self) -> None:
        """Keep the weights with the best gain on these episodes, less one standard error.

        Where the log hardly ever agrees with the policy, the gain is the model's guess alone and is
        ignored.
        """
        earned, weight, departs = self._earned()
        if self._from is None:
            self._from = earned, weight
        before, own = self._from
        gain = earned - before
        least = float(gain.mean() - gain.std() / np.sqrt(len(gain)))
        departed = effective(weight[own == 0 if departs is None else departs])
        if least > self._least and departed >= LEAST_DEPARTED / 2:
            self._least, self._best = least, copy.deepcopy(self.decider)

    def _earned(self) -> tuple[Float64Array, Float64Array, BoolArray | None]:
        """What the policy earns on each episode, float64[E], its weights, and where it departs."""
        log = self._log
        if not self._is_labelled:
            first = np.flatnonzero(np.append(True, log.last[:-1]))
            return self._value[first], products(self._ratio, log), None
        policy = self.acting(self.decider.exported())
        path = path_of(policy, log)
        found = along(policy, self._policy, log, path, self._own, self._features, self._fold_of)
        return found.value, found.weight, found.departs

    def _softened(self) -> Tensor:
        """float32[B, N + 1]: log-probabilities in the same order of preference, but less peaked.

        A policy that is certain of an action has no gradient away from it.
        """
        start = _logits(self.decider(self._seen)) / self._temperature
        log_prob: Tensor = action_log_prob(
            start=start, legal=self._seen.legal, logit=torch.zeros(())
        )
        return log_prob

    def _payoffs(self) -> tuple[Float64Array, Float64Array]:
        """Payoffs of actions in each state, float64[B, N + 1]; reach of each state, float64[B]."""
        log, features = self._log, self._features
        with torch.no_grad():
            log_prob = self.decider(self._seen)
        action, single = likeliest(log_prob).numpy(), self._single
        n_members = log.wanted.shape[1]
        wanted = action[:, None] == np.arange(n_members)
        rows = np.arange(len(action))
        payoff = np.zeros((len(action), n_members + 1))
        judged = np.zeros(len(action))
        for k in np.unique(self._fold):
            here = self._fold == k
            model = fit_values(
                features, log, wanted, self._score, ~here, doubt=_DOUBT, stopping=self._stopping
            )
            payoff[here] = model.of_each(features.take(here), _DOUBT)
            judged[here] = model.of(features.take(here), log.wanted[here])
        agrees = (wanted == log.wanted).all(axis=1)
        inverse = np.minimum(1 / log.propensity, self._clip)
        self._ratio, ratio = np.where(agrees, 1 / log.propensity, 0), np.where(agrees, inverse, 0)
        if self._stopping is not None:
            # What stopping is worth is known, whatever the log did: no surprise is left.
            stopping = self._stopping
            payoff[:, n_members] = np.where(np.isnan(stopping), payoff[:, n_members], stopping)
            known = ~np.isnan(stopping) & ~wanted.any(axis=1)
            ratio = np.where(known, 0.0, ratio)
            single = single & (log.wanted.any(axis=1) | np.isnan(stopping))
        self._value = value = backwards(payoff[rows, action], judged, ratio, self._score, log)
        after = np.append(value[1:], 0.0)
        after = np.where(log.last, self._score[log.episode], after) - log.charge
        payoff[rows[single], self._action[single]] += (inverse * (after - judged))[single]
        with torch.no_grad():
            own = self._softened().exp().double().numpy()
        taken = np.where(self._single, own[rows, self._action], 0.0)
        return payoff, self._reach(taken)

    def _reach(self, chance: Float64Array) -> Float64Array:
        """float64[B]: how often the softmax reaches each state, over how often the log did."""
        log = self._log
        first = np.append(True, log.last[:-1])
        reach, ratio = np.ones(len(first)), chance / log.propensity
        for b in range(1, len(first)):
            if not first[b]:
                reach[b] = np.clip(reach[b - 1] * ratio[b - 1], _LEAST_REACH, self._clip)
        return reach


def _logits(log_prob: Tensor) -> Tensor:
    """float32[B, N + 1]: logits of `action_log_prob`; exact even for near-certain actions."""
    stop = log_prob[:, -1:] - log_prob[:, :-1].logsumexp(1, keepdim=True)
    return torch.cat([log_prob[:, :-1], stop], dim=1)


def _temperature(logits: Tensor, legal: Tensor, least_chance: float) -> float:
    """Temperature that brings 90 % of the log-odds within that of `least_chance`."""
    members, open_to = logits[:, :-1], legal[:, :-1]
    best = members.masked_fill(~open_to, -torch.inf).amax(1, keepdim=True)
    behind = (best - members)[open_to]
    both = legal[:, -1] & open_to.any(1)
    odds = torch.cat([behind[behind > 0], logits[both, -1].abs()])
    longest = float(odds.quantile(0.9)) if len(odds) else 0.0
    return max(1.0, longest / -float(np.log(least_chance)))


def _actions(log: Decisions) -> NDArray[np.int64]:
    """int64[B]: the member that was asked, N for stopping; of several the first."""
    n_members = log.wanted.shape[1]
    return np.asarray(np.where(log.wanted.any(axis=1), log.wanted.argmax(axis=1), n_members))


def _divergence(live: Tensor, log_prob: Tensor) -> Tensor:
    """float32[B]: KL of a softmax from the live one."""
    return (live.exp() * (live - log_prob).clamp(-50, 50)).sum(1)
