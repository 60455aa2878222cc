"""One query per episode as a gymnasium environment, for agents of other libraries.

It wraps `PoolEnv`, so rewards are the same. Illegal actions have natural consequences instead of a
mask: asking a member again costs again and reveals nothing, stopping before any call earns nothing.
The Fusion is any fitted strategy's `fuse`. gymnasium is imported here alone.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

from rlfocal.records import FloatArray, ResponseTable
from rlfocal.rl.environment import PoolEnv
from rlfocal.strategies.protocol import View

__all__ = ["PoolGymEnv"]


class PoolGymEnv(gymnasium.Env[FloatArray, np.int64]):
    """Ask members one by one, then stop.

    Observation: float32[3 N + T + 5]: asked, answered and agrees with the leading candidate (N
    each), task one-hot (T), the three highest probabilities, the share asked, and lambda; all in
    [0, 1]. Action: 0..N-1 asks that member, N stops.

    Args:
        table: recorded answers.
        fuse: a fitted strategy's `fuse`.
        price: lambda, in [0, 1].
        unit_cost: cost that counts as one call; None for the table's mean.
    """

    def __init__(
        self,
        table: ResponseTable,
        fuse: Callable[[View], FloatArray],
        *,
        price: float = 0.02,
        unit_cost: float | None = None,
    ) -> None:
        if not 0 <= price <= 1:
            raise ValueError(f"price must lie in [0, 1], got {price}")
        self._table, self._fuse, self._price = table, fuse, price
        self._env = PoolEnv(table, unit_cost=unit_cost or float(table.cost.mean()))
        size = 3 * table.n_members + len(table.tasks) + 5
        self.observation_space = spaces.Box(0.0, 1.0, shape=(size,), dtype=np.float32)
        self.action_space = spaces.Discrete(table.n_members + 1)
        self._n_steps = 0

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[FloatArray, dict[str, Any]]:
        """Draw a query; `options={"row": q}` names one."""
        super().reset(seed=seed)
        drawn = int(self.np_random.integers(self._table.n_queries))
        row = int((options or {}).get("row", drawn))
        self._n_steps = 0
        price = np.array([self._price], dtype=np.float32)
        view = self._env.reset(np.array([row]), price)
        return self._look(view), {"row": row}

    def step(self, action: np.int64) -> tuple[FloatArray, float, bool, bool, dict[str, Any]]:
        """Ask or stop; an episode that does not stop is truncated after 2 N steps."""
        before = self._observation
        step = self._env.step(np.array([action], dtype=np.int64), np.array([self._best]))
        self._n_steps += 1
        terminated = bool(step.terminated[0])
        truncated = not terminated and self._n_steps >= 2 * self._table.n_members
        after = before if terminated else self._look(self._env.view())
        return after, float(step.reward[0]), terminated, truncated, {}

    def _look(self, view: View) -> FloatArray:
        fused = np.where(view.available, self._fuse(view), 0)[0]
        known = bool(view.answered.any() and fused.max() > 0)
        self._best = int(fused.argmax()) if known else -1
        top = np.sort(fused)[::-1][:3] if known else np.zeros(0)
        leading = view.answer[0] == self._best if known else np.zeros_like(view.asked[0])
        self._observation: FloatArray = np.concatenate(
            [view.asked[0], view.answered[0], leading,
             np.arange(len(self._table.tasks)) == view.task[0],
             np.pad(top, (0, 3 - len(top))), [view.asked[0].mean(), self._price]]
        ).clip(0, 1).astype(np.float32)  # fmt: skip
        return self._observation
