"""Train the prior's Decider by MAPPO on simulated pools, against a frozen Fusion."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import closing

import numpy as np
import torch
from torch import Tensor

from rlfocal.agents.config import PpoConfig
from rlfocal.deliberation.progress import Progress
from rlfocal.executor import Executor
from rlfocal.training.mappo import anneal, update
from rlfocal.training.nets import Critic, Decider, Fusion
from rlfocal.training.prior.episodes import play, rollout
from rlfocal.training.prior.pool_batches import PoolBatch
from rlfocal.training.prior.pretraining import READERS
from rlfocal.training.prior.scenes import Scenes, scenes
from rlfocal.training.weights import seeded, weights_of

__all__ = ["PRICE_MAX", "PRICE_MIN", "train_decider", "validate_decider"]

PRICE_MIN, PRICE_MAX = 0.001, 0.3
"""Range of lambda, log-uniform: the price of an average call in units of a right answer."""

_PPO = PpoConfig(learning_rate=1.5e-3, minibatch_size=1024, target_kl=0.05)
_AVERAGE = 0.97
"""The weights kept are an exponential average over iterations."""


def train_decider(
    fusion: Fusion,
    *,
    minutes: float,
    seed: int,
    executor: Executor,
    hidden: int = 56,
    on_progress: Callable[[Progress], None],
) -> Decider:
    """Train until time is up; the step size follows the share of time used.

    Args:
        fusion: frozen.
        minutes: wall-clock time.
        seed: source of all randomness; the number of iterations depends on the machine.
        executor: where scenes are drawn.
        hidden: width of the nets.
        on_progress: called every ten iterations.
    """
    rng = np.random.default_rng([seed, 2])
    generator = torch.Generator().manual_seed(seed + 3)
    decider, critic = seeded(seed + 4, lambda: (Decider(hidden=hidden), Critic(hidden=hidden)))
    optimizer = torch.optim.Adam(
        [*decider.parameters(), *critic.parameters()], lr=_PPO.learning_rate, eps=1e-5
    )
    fusion.requires_grad_(False)
    average = weights_of(decider)
    started, step, logs = time.monotonic(), 0, list[dict[str, float]]()
    with closing(scenes(Scenes(seed, 2, 16, 24, READERS), executor)) as drawn:
        while (used := (time.monotonic() - started) / (60 * minutes)) < 1:
            pool_batch = next(drawn)
            price = _prices(rng, pool_batch)
            batch, figures = rollout(
                decider, critic, fusion, pool_batch, price, generator=generator
            )
            ent_coef = anneal(optimizer, _PPO, progress=used)
            how = update(decider, critic, optimizer, batch, _PPO, ent_coef=ent_coef, rng=rng)
            decay = min(_AVERAGE, 1 - 1 / (step + 1))
            for name, value in decider.state_dict().items():
                average[name].lerp_(value, 1 - decay)
            step += 1
            logs.append(figures | {"entropy": how.entropy, "approx_kl": how.approx_kl})
            if step % 10 == 0:
                mean = {
                    name: float(np.mean([log[name] for log in logs[-10:]])) for name in logs[-1]
                }
                total = round(step / max(used, 1e-9))
                on_progress(Progress("decider", step, total, mean | {"share_of_time": used}))
    fusion.requires_grad_(True)
    decider.load_state_dict(average)
    return decider.eval()


def _prices(rng: np.random.Generator, pool_batch: PoolBatch) -> Tensor:
    shape = tuple(pool_batch.is_open.shape)
    drawn = np.exp(rng.uniform(np.log(PRICE_MIN), np.log(PRICE_MAX), size=shape))
    return torch.from_numpy(drawn.astype(np.float32))


def validate_decider(
    decider: Decider, fusion: Fusion, pool_batches: list[PoolBatch], seed: int = 0
) -> dict[str, float]:
    """Figures of greedy episodes on held-out pools, prices spread over the whole range."""
    rng = np.random.default_rng(seed)
    played = [
        play(decider, fusion, pool_batch, _prices(rng, pool_batch)) for pool_batch in pool_batches
    ]
    return {
        "utility": float(torch.stack([p.utility.mean() for p in played]).mean()),
        "score": float(torch.stack([p.score.mean() for p in played]).mean()),
        "n_calls": float(torch.stack([p.n_calls.mean() for p in played]).mean()),
    }
