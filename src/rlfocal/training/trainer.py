"""Train the preset `rl-focal`: Fusion by likelihood, then the Decider by MAPPO against it.

The Decider starts as the prior's. It meets only out-of-fold Fusion: the posterior of a training
query comes from weights that never saw it, so confidence in training is what it will be in use.
Training can be stopped at any iteration and go on later with the same result, because every
iteration draws its randomness from (seed, iteration) alone.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rlfocal.agents.arrays import Weights
from rlfocal.agents.config import RlFocalConfig
from rlfocal.agents.fitted_pool import FittedPool
from rlfocal.deliberation.progress import Progress
from rlfocal.deliberation.protocol import RunState
from rlfocal.records import ResponseTable
from rlfocal.training.environment import PoolEnv
from rlfocal.training.mappo import anneal, update
from rlfocal.training.nets import Decider, Own, PoolCritic
from rlfocal.training.rollout import rollout
from rlfocal.training.weights import arrays_of, one_thread, seeded, weights_from

__all__ = ["Trainer"]

_UNTOLD = 0.25
"""Share of episodes without a word of which task the query is, as most clients have none."""
_DECAY = 0.9
"""Of the running mean of the Decider's weights, per iteration."""


class Trainer:
    """Fits Fusion when made, then trains the Decider iteration by iteration.

    Args:
        table: labelled training queries, supports calibrated.
        config: settings.
        seed: source of all randomness.
        critic: its class; it sees more than the agent that acts.
        on_progress: called as Fusion is fitted, and after each iteration of the Decider.
        state: of a trainer of the same table, config and seed, to go on from.
    """

    def __init__(
        self,
        table: ResponseTable,
        config: RlFocalConfig,
        *,
        seed: int,
        critic: type[PoolCritic] = PoolCritic,
        on_progress: Callable[[Progress], None] | None = None,
        state: RunState | None = None,
    ) -> None:
        if not table.is_complete:  # a query without any score teaches nothing
            table = table.take(np.asarray(table.scored.any(axis=1)))
        self.table, self.config, self.seed = table, config, seed
        self.tell = on_progress or (lambda _: None)
        rng = self._rng(0)
        self.fitted_pool = FittedPool.fit(
            table, config, rng=rng, on_progress=on_progress,
            fitted=None if state is None else _part("votes", state.arrays),
        )  # fmt: skip
        self._observer = self.fitted_pool.observer_of(config.rounds)
        unit_cost = self.fitted_pool.statistics.unit_cost
        self._env = PoolEnv(table, unit_cost=unit_cost, rounds=config.rounds)
        own = Own(table.n_members, len(table.tasks), gathered=config.rounds is not None)
        prior = self.fitted_pool.prior.whole.prior
        self.decider, self._critic = seeded(
            int(rng.integers(2**62)),
            lambda: (Decider.from_prior(prior.decider, own), critic(own)),
        )
        self._optimizer = torch.optim.Adam(
            [*self.decider.parameters(), *self._critic.parameters()],
            lr=config.ppo.learning_rate, eps=1e-5, fused=True,
        )  # fmt: skip
        self.iteration, self.history = 0, list[dict[str, float]]()
        # The policy that acts has the running mean of the weights: single iterations are noisy
        # where the best number of calls changes with the price. No query is held out to pick the
        # best iteration: a query is worth more in training.
        self._averaged = copy.deepcopy(self.decider).eval()
        if state is not None:
            self._go_on_from(state)

    def _rng(self, *key: int) -> np.random.Generator:
        return np.random.default_rng([self.seed, *key])

    # Training ---------------------------------------------------------------------------------

    @property
    def done(self) -> bool:
        """True when all iterations are done, or there are too few queries for one."""
        few = self.table.n_queries < self.config.learn_from
        return few or self.iteration >= self.config.n_iterations

    def train(self, n_iterations: int | None = None) -> None:
        """Train until done, or for so many iterations."""
        stop = self.config.n_iterations if n_iterations is None else self.iteration + n_iterations
        with one_thread():
            while not self.done and self.iteration < stop:
                self._iterate()

    def averaged_decider(self) -> Weights:
        """The running mean of the Decider's weights, the result of training so far."""
        return self._averaged.exported()

    def _iterate(self) -> None:
        config, rng = self.config, self._rng(1, self.iteration)
        rows = rng.integers(self.table.n_queries, size=config.n_episodes)
        low, high = np.log(config.price_min), np.log(config.price_max)
        price = np.exp(rng.uniform(low, high, size=len(rows))).astype(np.float32)
        untold = rng.random(len(rows)) < (_UNTOLD if len(self.table.tasks) > 1 else 0)
        batch, episodes = rollout(
            self._observer, self.decider.exported(), self._critic, self._env,
            self.fitted_pool.held_out, rows, price, untold, config.ppo, rng=rng,
        )  # fmt: skip
        progress = self.iteration / config.n_iterations
        ent_coef = anneal(self._optimizer, config.ppo, progress=progress)
        how = update(
            self.decider, self._critic, self._optimizer, batch, config.ppo,
            ent_coef=ent_coef, rng=rng,
        )  # fmt: skip
        self.iteration += 1
        self._average()
        figures = {
            "step": float(self.iteration),
            "reward": float(episodes.utility.mean()),
            "accuracy": float(episodes.score.mean()),
            "mean_calls": float(episodes.n_calls.mean()),
            "mean_rounds": float(episodes.n_rounds.mean()),
            "explained_variance": _explained(batch.returns, batch.value),
            **asdict(how),
        }
        self.history.append(figures)
        self.tell(Progress("decider", self.iteration, config.n_iterations, figures))

    @torch.no_grad()
    def _average(self) -> None:
        """Update the running mean with the present weights."""
        # Early on the mean is over everything so far, later over about 1 / (1 - decay) iterations.
        decay = min(_DECAY, 1 - 1 / self.iteration)
        for mean, now in zip(self._averaged.parameters(), self.decider.parameters(), strict=True):
            mean.lerp_(now, 1 - decay)

    # Resuming ---------------------------------------------------------------------------------

    def state(self) -> RunState:
        """Copy everything that changes in training, and Fusion."""
        optimizer = copy.deepcopy(self._optimizer.state_dict())
        arrays = {
            f"{name}/{key}": array
            for name, net in self._nets().items()
            for key, array in arrays_of(net).items()
        }
        arrays |= {f"votes/{key}": a for key, a in self.fitted_pool.votes.arrays().items()}
        for place, moments in optimizer["state"].items():
            arrays |= {f"optimizer/{place}/{key}": m.numpy() for key, m in moments.items()}
        rest = {
            "iteration": self.iteration,
            "history": list(self.history),
            "param_groups": optimizer["param_groups"],
        }
        return RunState(arrays, rest)

    def _go_on_from(self, state: RunState) -> None:
        for name, net in self._nets().items():
            weights_from(net, _part(name, state.arrays))
        moments: dict[int, dict[str, Tensor]] = {}
        for key, moment in _part("optimizer", state.arrays).items():
            place, _, name = key.partition("/")
            moments.setdefault(int(place), {})[name] = torch.from_numpy(moment.copy())
        groups = copy.deepcopy(state.rest["param_groups"])
        self._optimizer.load_state_dict({"state": moments, "param_groups": groups})
        self.iteration, self.history = state.rest["iteration"], list(state.rest["history"])

    def _nets(self) -> dict[str, torch.nn.Module]:
        return {
            "decider": self.decider, "critic": self._critic, "averaged": self._averaged
        }  # fmt: skip


def _part(name: str, arrays: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Arrays of one net."""
    return {key[len(name) + 1 :]: a for key, a in arrays.items() if key.startswith(f"{name}/")}


def _explained(returns: Tensor, value: Tensor) -> float:
    """Share of the returns' variance that the critic explains; 0 where they do not vary."""
    variance = float(returns.var())
    return 1 - float((returns - value).var()) / variance if variance > 0 else 0.0
