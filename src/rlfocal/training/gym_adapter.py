"""One query per episode as a gymnasium environment, for agents of other libraries.

It wraps `PoolEnv`, so rewards are the same. Illegal actions have natural consequences instead of a
mask: asking a member again costs again and reveals nothing, stopping before any call earns nothing,
asking a reader asks those first whom it reads.
Fusion is what any fitted strategy answers. gymnasium is imported here alone.
"""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

from rlfocal.agents.config import Rounds
from rlfocal.deliberation.protocol import Strategy
from rlfocal.deliberation.view import View
from rlfocal.records import FloatArray, ResponseTable
from rlfocal.training.environment import PoolEnv

__all__ = ["PoolGymEnv"]

_N_TOP = 3


class PoolGymEnv(gymnasium.Env[FloatArray, np.int64]):
    """Ask members one by one, or several in a round, then stop.

    Observation: float32[3 N + T + 4]: asked, answered, and agrees with the leading candidate (N
    each); task one-hot (T); the three highest probabilities; the natural logarithm of lambda. All
    but the last lie in [0, 1]. Action: 0..N-1 asks that member, N stops.

    With `rounds`, 0..N-1 makes that member pending and N asks all pending members; it stops where
    none is pending, or after the last round allowed. The observation is float32[4 N + T + 5]: first
    come pending (N) and the share of rounds left (1 without a limit).

    An episode that does not stop is truncated after 2 N steps, or 3 N with `rounds`. `info` holds
    "row", the query, and "price", its lambda.

    Args:
        table: recorded answers.
        strategy: fitted; its answers take the place of Fusion's.
        price: lambda, the price of an average call, in (0, 1]; or the least and the highest one,
            between which every episode draws its own, log-uniformly.
        unit_cost: cost that counts as one call; None for the table's mean.
        rounds: how choices are gathered into rounds; None asks every chosen member at once.

    Raises:
        ValueError: a price outside (0, 1], or a range upside down.
    """

    def __init__(
        self,
        table: ResponseTable,
        strategy: Strategy,
        *,
        price: float | tuple[float, float] = 0.02,
        unit_cost: float | None = None,
        rounds: Rounds | None = None,
    ) -> None:
        low, high = price if isinstance(price, tuple) else (price, price)
        if not 0 < low <= high <= 1:
            raise ValueError(f"price must lie in (0, 1], lowest first, got {price}")
        self._table, self._strategy = table, strategy
        self._log_price = (np.log(low), np.log(high))
        unit = table.call_cost(dtype=np.float32) if unit_cost is None else unit_cost
        self._env = PoolEnv(table, unit_cost=unit, rounds=rounds)
        self._most_steps = (2 if rounds is None else 3) * table.n_members
        size = 3 * table.n_members + len(table.tasks) + _N_TOP + 1
        size += 0 if rounds is None else table.n_members + 1
        floor, ceiling = np.zeros(size, dtype=np.float32), np.ones(size, dtype=np.float32)
        # A margin, so that rounding cannot leave the box; the ceiling 1 stands above every log.
        floor[-1] = self._log_price[0] - 1e-3
        self.observation_space = spaces.Box(floor, ceiling, dtype=np.float32)
        self.action_space = spaces.Discrete(table.n_members + 1)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[FloatArray, dict[str, Any]]:
        """Draw a query and its lambda; `options={"row": q}` names the query.

        Raises:
            ValueError: no such row.
        """
        super().reset(seed=seed)
        n_queries = self._table.n_queries
        drawn = int(self.np_random.integers(n_queries))
        log_price = self.np_random.uniform(*self._log_price)
        row = int((options or {}).get("row", drawn))
        if not 0 <= row < n_queries:
            raise ValueError(f"row must lie in 0..{n_queries - 1}, got {row}")
        view = self._env.reset(np.array([row]), np.exp([log_price]).astype(np.float32))
        self._n_steps = 0
        self._info = {"row": row, "price": float(self._env.price[0])}
        self._look(view)
        return self._observation, dict(self._info)

    def step(self, action: np.int64) -> tuple[FloatArray, float, bool, bool, dict[str, Any]]:
        """Ask or stop; where that ends the episode, the last observation is returned again."""
        best = self._best
        if action == self._table.n_members and self._env.pending[0].any() and self._env.ends()[0]:
            _, best = self._fused(self._env.last_view(np.array([0])))
        reward = 0.0
        for member in self._before(int(action)):
            step = self._env.step(np.array([member]), np.array([best]))
            reward += float(step.reward[0])
        self._n_steps += 1
        terminated = bool(step.terminated[0])
        if not terminated:
            self._look(self._env.view())
        truncated = not terminated and self._n_steps >= self._most_steps
        return self._observation, reward, terminated, truncated, dict(self._info)

    def _before(self, action: int) -> list[int]:
        """The action itself, and first whom a reader has to wait for; in a round, only these."""
        reads = self._table.reads
        if reads is None or action == self._table.n_members:
            return [action]
        gone = self._env.asked | ~self._table.recorded[self._env.rows]
        waits = reads.closure[action] & ~gone[0]
        if self._env.rounds is not None and waits.any():
            return np.flatnonzero(waits & reads.ready(gone)[0]).tolist()
        return [*sorted(np.flatnonzero(waits).tolist(), key=lambda m: int(reads.stage[m])), action]

    def _fused(self, view: View) -> tuple[FloatArray, int]:
        """float32[C], and the candidate that leads; zeros and -1 where no member has answered."""
        fused = np.where(view.available, self._strategy.decide(view).answer, 0)[0]
        # No member has answered: a guess is no answer.
        known = bool(view.answered.any() and fused.max() > 0)
        return (fused, int(fused.argmax())) if known else (np.zeros_like(fused), -1)

    def _look(self, view: View) -> None:
        fused, self._best = self._fused(view)
        top = np.sort(fused)[::-1][:_N_TOP]
        agrees = view.answered[0] & (view.answer[0] == self._best)
        chances = np.concatenate(
            [*self._gathered(), view.asked[0], view.answered[0], agrees,
             np.arange(len(self._table.tasks)) == view.task[0],
             np.pad(top, (0, _N_TOP - len(top)))]
        ).clip(0, 1)  # fmt: skip
        log_price = np.log(self._env.price)
        self._observation: FloatArray = np.concatenate([chances, log_price]).astype(np.float32)

    def _gathered(self) -> list[FloatArray]:
        rounds = self._env.rounds
        if rounds is None:
            return []
        left = 1.0 if rounds.most is None else 1 - self._env.n_rounds[0] / rounds.most
        return [self._env.pending[0].astype(np.float32), np.array([left], dtype=np.float32)]
