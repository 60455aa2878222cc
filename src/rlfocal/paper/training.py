"""The two training stages of the preset `rl-focal-paper`.

Whom a chosen member reads is called as well, and counts: replay does the same.

Axes: B queries, N members, V validation queries.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from rlfocal.agents.config import PaperConfig
from rlfocal.deliberation.progress import Progress
from rlfocal.deliberation.recorded import reveal, worth_of
from rlfocal.deliberation.view import Memory
from rlfocal.paper.nets import (
    PaperCritic,
    PaperDecider,
    PaperFusion,
    PaperObservation,
    PaperState,
)
from rlfocal.paper.observation import (
    N_LEADING,
    EnsembleScore,
    chain,
    leading_candidates,
    observe,
)
from rlfocal.records import BoolArray, FloatArray, IntArray, ResponseTable
from rlfocal.records.tables.folds import inner_folds
from rlfocal.strategies.voting import plurality_share, rank_members
from rlfocal.training.mappo import Batch, Diagnostics, anneal, update
from rlfocal.training.weights import seeded, weights_of

__all__ = ["PaperTraining"]


def held_out(table: ResponseTable, share: float, *, rng: np.random.Generator) -> BoolArray:
    """bool[Q]: queries to validate on, of every task alike; equal prompts stay together.

    Args:
        table: training queries, two different ones at least.
        share: of the prompts; one at least is held out, and one is not.
        rng: chooses among those of a task.
    """
    n_prompts = len(np.unique(table.group))
    place = inner_folds(table, n_prompts, rng=rng)
    n_held = min(max(1, round(share * n_prompts)), n_prompts - 1)
    # As evenly as so many can be: whenever their number so far passes a whole one.
    return np.asarray((place + 1) * n_held // n_prompts > place * n_held // n_prompts)


class PaperTraining:
    """The two stages over one table."""

    def __init__(
        self,
        table: ResponseTable,
        config: PaperConfig,
        *,
        rng: np.random.Generator,
        on_progress: Callable[[Progress], None] | None,
    ) -> None:
        self.table, self.config, self.rng = table, config, rng
        self._tell = on_progress or (lambda _: None)
        self.history: list[dict[str, float]] = []
        self.order = rank_members(table)
        self.memory = Memory.of(table, config.window)
        held = held_out(table, config.validation_share, rng=rng)
        self._validation, self._rows = np.flatnonzero(held), np.flatnonzero(~held)
        self._generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
        self._torch_seed = int(rng.integers(2**62))

    def train_decider(self) -> PaperDecider:
        """Stage 1."""
        config, n_members = self.config, self.table.n_members
        decider: PaperDecider = seeded(
            self._torch_seed, lambda: PaperDecider(n_members, hidden=config.hidden)
        )
        critic = seeded(
            self._torch_seed + 1, lambda: PaperCritic(2 * n_members + 2, hidden=config.hidden)
        )
        optimizer = _adam(config, decider, critic)
        previous = np.ones((config.n_streams, n_members), dtype=bool)
        best, best_utility = weights_of(decider), -np.inf
        blocks = self._blocks()
        for step, (block, before) in enumerate(blocks):
            score = self._window_score(before)
            batch, previous, reward = self._decide(decider, critic, block, previous, score)
            how = self._update(decider, critic, optimizer, batch, step / len(blocks))
            masks = chain(decider, score, np.arange(len(self._validation)))
            masks = self.table.called_for(masks)
            utility = self._utility(masks)
            if utility > best_utility:
                best, best_utility = weights_of(decider), utility
            size = float(batch.action.sum(1).mean())
            self._log("decider", step, len(blocks), reward, how, mean_calls=size, utility=utility)
        decider.load_state_dict(best)
        return decider.eval()

    def train_fusion(self, decider: PaperDecider) -> PaperFusion:
        """Stage 2, with the Decider frozen."""
        config, table = self.config, self.table
        n_inputs = table.n_members * N_LEADING
        fusion: PaperFusion = seeded(
            self._torch_seed,
            lambda: PaperFusion(table.n_members, N_LEADING, hidden=config.fusion_hidden),
        )
        critic = seeded(
            self._torch_seed + 1, lambda: PaperCritic(n_inputs + N_LEADING, hidden=config.hidden)
        )
        optimizer = _adam(config, fusion, critic)
        score = EnsembleScore(self.memory, self.order, focal_weight=config.focal_weight)
        masks = self.table.called_for(chain(decider, score, np.arange(table.n_queries)))
        best, best_utility = weights_of(fusion), -np.inf
        blocks = self._blocks()
        for step, (block, _) in enumerate(blocks):
            batch, reward = self._fuse(fusion, critic, block, masks[block])
            how = self._update(fusion, critic, optimizer, batch, step / len(blocks))
            utility = self._fused_score(fusion, masks)
            if utility > best_utility:
                best, best_utility = weights_of(fusion), utility
            size = float(masks[block].sum(1).mean())
            self._log("fusion", step, len(blocks), reward, how, mean_calls=size, utility=utility)
        fusion.load_state_dict(best)
        return fusion.eval()

    # One update -------------------------------------------------------------------------------

    def _blocks(self) -> list[tuple[IntArray, IntArray]]:
        """Blocks of `update_every` queries, and the window of W queries before each."""
        config = self.config
        stream = np.concatenate([self.rng.permutation(self._rows) for _ in range(config.n_passes)])
        starts = range(0, max(1, len(stream) - config.update_every + 1), config.update_every)
        return [
            (stream[at : at + config.update_every], stream[max(0, at - config.window) : at])
            for at in starts
        ]

    def _window_score(self, rows: IntArray) -> EnsembleScore:
        memory = self.memory
        if len(rows):
            memory = Memory.of(self.table.take(rows), self.config.window)
        return EnsembleScore(memory, self.order, focal_weight=self.config.focal_weight)

    def _decide(
        self,
        decider: PaperDecider,
        critic: PaperCritic,
        block: IntArray,
        previous: BoolArray,
        score: EnsembleScore,
    ) -> tuple[Batch, BoolArray, FloatArray]:
        """Walk the block in `n_streams` streams side by side; each sees its own previous mask."""
        parts = []
        with torch.no_grad():
            for rows in np.array_split(block, -(-len(block) // len(previous))):
                inputs = observe(previous[: len(rows)], score)
                mask = decider.sample(inputs, self._generator)
                legal = torch.ones_like(mask, dtype=torch.bool)
                seen = PaperObservation(inputs, legal)
                parts.append((rows, seen, mask, decider.evaluate(seen, mask)[0]))
                previous[: len(rows)] = mask.numpy() > 0.5
        rows = np.concatenate([part[0] for part in parts])
        inputs = torch.cat([part[1].inputs for part in parts])
        mask = torch.cat([part[2] for part in parts])
        asked = self.table.called_for(mask.numpy() > 0.5)
        right = self._vote(rows, asked)
        size = asked.mean(axis=1)
        charge = right * self.config.beta + (1 - right) * self.config.alpha
        reward = (2 * right - 1 - charge * size).astype(np.float32)
        state = PaperState(inputs, torch.from_numpy(self.table.member_score[rows]))
        seen = PaperObservation(inputs, torch.ones_like(mask, dtype=torch.bool))
        log_prob = torch.cat([part[3] for part in parts])
        return _batch(critic, seen, state, mask, log_prob, reward), previous, reward

    def _fuse(
        self, fusion: PaperFusion, critic: PaperCritic, rows: IntArray, asked: BoolArray
    ) -> tuple[Batch, FloatArray]:
        leading = leading_candidates(reveal(self.table, rows, asked), self.order)
        worth = worth_of(self.table, rows, asked, leading.existing)
        legal = torch.from_numpy(leading.exists)
        legal[:, 0] |= ~legal.any(1)  # without any answer one action is left, and it earns -1
        seen = PaperObservation(leading.inputs, legal)
        with torch.no_grad():
            log_prob = fusion(seen)
            action = torch.multinomial(log_prob.exp(), 1, generator=self._generator)[:, 0]
        taken = log_prob.gather(1, action[:, None])[:, 0]
        reward = (2 * worth[np.arange(len(rows)), action.numpy()] - 1).astype(np.float32)
        state = PaperState(leading.inputs, torch.from_numpy(worth))
        return _batch(critic, seen, state, action, taken, reward), reward

    def _update(
        self,
        agent: torch.nn.Module,
        critic: PaperCritic,
        optimizer: torch.optim.Optimizer,
        batch: Batch,
        progress: float,
    ) -> Diagnostics:
        ppo = self.config.ppo
        ent_coef = anneal(optimizer, ppo, progress=progress)
        return update(agent, critic, optimizer, batch, ppo, ent_coef=ent_coef, rng=self.rng)

    # Measuring --------------------------------------------------------------------------------

    def _vote(self, rows: IntArray, asked: BoolArray) -> FloatArray:
        """float32[B]: score of the plurality answer of the asked members."""
        view = reveal(self.table, rows, asked)
        share = plurality_share(view, self.order)
        best = np.where(share.any(axis=1), share.argmax(axis=1), -1)
        return worth_of(self.table, rows, asked, best)

    def _utility(self, masks: BoolArray) -> float:
        """Mean stage-1 reward of greedy masks (bool[V, N]) on the validation queries."""
        right = self._vote(self._validation, masks)
        charge = right * self.config.beta + (1 - right) * self.config.alpha
        return float((2 * right - 1 - charge * masks.mean(axis=1)).mean())

    def _fused_score(self, fusion: PaperFusion, masks: BoolArray) -> float:
        rows = self._validation
        leading = leading_candidates(reveal(self.table, rows, masks[rows]), self.order)
        with torch.inference_mode():
            seen = PaperObservation(leading.inputs, torch.from_numpy(leading.exists))
            choice = fusion(seen).argmax(1).numpy()
        worth = worth_of(self.table, rows, masks[rows], leading.existing)
        return float(worth[np.arange(len(rows)), choice].mean())

    def _log(
        self,
        phase: str,
        step: int,
        total: int,
        reward: FloatArray,
        how: Diagnostics,
        *,
        mean_calls: float,
        utility: float,
    ) -> None:
        accuracy = float((reward > 0).mean())
        figures = {
            "step": float(len(self.history) + 1),
            "stage": 1.0 if phase == "decider" else 2.0,
            "reward": float(reward.mean()),
            "accuracy": accuracy,
            "mean_calls": mean_calls,
            "validation_utility": utility,
            "entropy": how.entropy,
            "approx_kl": how.approx_kl,
            "clip_fraction": how.clip_fraction,
        }
        self.history.append(figures)
        self._tell(Progress(phase, step + 1, total, figures))


def _batch(
    critic: PaperCritic,
    seen: PaperObservation,
    state: PaperState,
    action: Tensor,
    log_prob: Tensor,
    reward: FloatArray,
) -> Batch:
    """Episodes of one round: the advantage is reward minus value."""
    returns = torch.from_numpy(reward)
    with torch.no_grad():
        value = critic(state)
    once = torch.ones_like(returns)
    return Batch(
        seen, state, once, action, log_prob, once,
        advantage=returns - value, value=value, returns=returns,
    )  # fmt: skip


def _adam(config: PaperConfig, *nets: torch.nn.Module) -> torch.optim.Optimizer:
    parameters = [p for net in nets for p in net.parameters()]
    return torch.optim.Adam(parameters, lr=config.ppo.learning_rate)
