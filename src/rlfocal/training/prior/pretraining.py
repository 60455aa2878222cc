"""Train the prior's Fusion by maximum likelihood on simulated pools."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import closing

import numpy as np
import torch

from rlfocal.deliberation.progress import Progress
from rlfocal.executor import Executor
from rlfocal.training.nets import Fusion, nll
from rlfocal.training.prior.pool_batches import PoolBatch, subsets
from rlfocal.training.prior.scenes import Scenes, scenes
from rlfocal.training.weights import seeded, weights_of

__all__ = ["READERS", "held_out", "train_fusion", "validate_fusion"]

READERS = 0.25
"""Share of training's batches of pools in which some members read others."""
_N_POOLS, _N_QUERIES = 8, 48
_LEARNING_RATE = 2e-3
_AVERAGE = 0.998
"""The weights kept are an exponential average over steps: free, and steadier than the last."""


def held_out(
    seed: int, *, n_batches: int = 40, n_labels: int | None = None, readers: bool = False
) -> list[PoolBatch]:
    """Batches of pools that training does not use, with readers where so asked."""
    kind = Scenes(seed, 99, _N_POOLS, _N_QUERIES, float(readers), n_labels)
    return [kind.draw(number) for number in range(n_batches)]


def train_fusion(
    *,
    minutes: float,
    seed: int,
    executor: Executor,
    hidden: int = 48,
    on_progress: Callable[[Progress], None],
) -> Fusion:
    """Train until time is up; the step size follows the share of time used.

    Args:
        minutes: wall-clock time.
        seed: source of all randomness; the number of steps depends on the machine.
        executor: where scenes are drawn.
        hidden: width of the net.
        on_progress: called every hundred steps.
    """
    kind = Scenes(seed, 1, _N_POOLS, _N_QUERIES, READERS)
    generator = torch.Generator().manual_seed(seed + 1)
    fusion = seeded(seed + 2, lambda: Fusion(hidden=hidden))
    optimizer = torch.optim.AdamW(fusion.parameters(), lr=_LEARNING_RATE, weight_decay=0.01)
    average = weights_of(fusion)
    started, losses, step = time.monotonic(), list[float](), 0
    with closing(scenes(kind, executor)) as drawn:
        while (used := (time.monotonic() - started) / (60 * minutes)) < 1:
            for group in optimizer.param_groups:
                group["lr"] = _LEARNING_RATE * min(1.0, (step + 1) / 100) * (1 - 0.97 * used)
            losses.append(_step(fusion, optimizer, next(drawn), generator))
            decay = min(_AVERAGE, 1 - 1 / (step + 1))
            for name, value in fusion.state_dict().items():
                average[name].lerp_(value, 1 - decay)
            step += 1
            if step % 100 == 0:
                figures = {"nll": float(np.mean(losses[-100:])), "share_of_time": used}
                on_progress(Progress("fusion", step, round(step / max(used, 1e-9)), figures))
    fusion.load_state_dict(average)
    return fusion.eval()


def _step(
    fusion: Fusion,
    optimizer: torch.optim.Optimizer,
    pool_batch: PoolBatch,
    generator: torch.Generator,
) -> float:
    """Learn from a scene, once; returns the loss before."""
    seen = pool_batch.reveal(subsets(pool_batch, generator))
    loss = nll(fusion(fusion.pool(pool_batch.pools), seen).logit, pool_batch.targets(seen)).mean()
    optimizer.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    torch.nn.utils.clip_grad_norm_(fusion.parameters(), 1.0)
    optimizer.step()
    return float(loss.detach())


@torch.inference_mode()
def validate_fusion(
    fusion: Fusion, pool_batches: list[PoolBatch], seed: int = 0
) -> dict[str, float]:
    """Figures on held-out pools: with random subsets, and accuracy with all members asked."""
    generator = torch.Generator().manual_seed(seed)
    loss, right, plain, confidence, count = 0.0, 0.0, 0.0, 0.0, 0
    for pool_batch in pool_batches:
        pooled = fusion.pool(pool_batch.pools)
        seen = pool_batch.reveal(subsets(pool_batch, generator))
        loss += float(nll(fusion(pooled, seen).logit, pool_batch.targets(seen)).sum())
        full = pool_batch.reveal(torch.ones_like(pool_batch.answered))
        posterior = fusion.posterior(pooled, full)[..., :-1]
        top = posterior.max(2)
        right += float(pool_batch.worth.gather(2, top.indices[..., None]).sum())
        confidence += float(top.values.sum())
        votes = (full.support * (full.support > 0.5)).sum(2)
        plain += float(pool_batch.worth.gather(2, votes.argmax(2)[..., None]).sum())
        count += pool_batch.is_open.numel()
    return {
        "subset_nll": loss / count,
        "full_accuracy": right / count,
        "full_confidence": confidence / count,
        "plurality_accuracy": plain / count,
    }
