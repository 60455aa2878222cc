"""The logging policy: the served policy with random exploration and recorded propensities.

Each request explores with probability epsilon. At every decision of such a request the policy acts
as the served one with probability `keep`, and else draws from the Decider's tempered softmax, mixed
with an even choice: the softmax of a trained policy is so peaked that it alone would hardly
explore.

Why once a request, and why with `keep`: an independent draw at each decision would give
a path that departs k times a propensity of about epsilon^k, so that a policy which differs twice
can hardly be judged; and a request that follows the softmax throughout would spoil the decisions
after the one of interest. Here a path that departs k times has about epsilon times k factors of
(1 - keep) times the softmax, and exactly epsilon of the requests pay for it. The propensity of a
decision, given those before it, is that of the whole mixture:

    p_t = [(1 - epsilon) G_t + epsilon Q_t] / [(1 - epsilon) G_(t-1) + epsilon Q_(t-1)],

with G_t = 1 as long as every decision was the policy's own, else 0, and Q_t the product of the
explorer's probabilities. The product of all p_t is the path's probability.

Decisions are a function of (seed, position, round) and the view: asking twice changes nothing, so a
server may try out what would be decided.

Axes: B queries, N members.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, Protocol, Self, TypeGuard, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from rlfocal.deliberation.base import Base
from rlfocal.deliberation.replay import best_answer, replay
from rlfocal.deliberation.view import Decision, View
from rlfocal.deliberation.wrapper import Wrapper
from rlfocal.errors import ConfigError
from rlfocal.numbers import Float64Array, softmax
from rlfocal.online.episodes import Episode
from rlfocal.records import BoolArray, IntArray, ResponseTable
from rlfocal.records.signals import Replies
from rlfocal.records.tables.missing import complete_part

__all__ = ["Explorable", "Exploration", "Exploring", "log_replay", "may_explore"]


@runtime_checkable
class Explorable(Protocol):
    """A strategy that gives the probability of each action at each decision."""

    @property
    def explorable(self) -> bool:
        """Whether action probabilities are known: the strategy asks one member after another."""
        ...

    @property
    def unit_cost(self) -> float:
        """Cost of an average call, in the unit of `View.spent`."""
        ...

    def log_policy(self, view: View) -> tuple[Float64Array, BoolArray]:
        """Log-probabilities float64[B, N + 1] of asking each member next, and of stopping (last).

        Also the legal actions, bool[B, N + 1].
        """
        ...

    def judged_replies(self, view: View) -> Replies | None:
        """How the strategy judges replies, without what they say; None where it reads none."""
        ...


def may_explore(strategy: object) -> TypeGuard[Explorable]:
    """Whether a strategy's action probabilities are known."""
    return isinstance(strategy, Explorable) and strategy.explorable


@dataclass(frozen=True)
class Exploration:
    """Settings of exploration."""

    epsilon: float = 0.0
    """In [0, 1]: share of the requests that explore."""
    keep: float = 0.4
    """In [0, 1): how often an exploring request acts as the served policy, at each decision."""
    temperature: float = 1.0
    """Above 0: of the Decider's softmax; higher is more even."""
    even: float = 0.75
    """In [0, 1]: how often an even choice replaces the softmax: stop or not, then any member; above
    0, every legal action has some probability."""
    seed: int = 0

    def __post_init__(self) -> None:
        if not (0 <= self.epsilon <= 1 and 0 <= self.keep < 1 and 0 <= self.even <= 1):
            raise ValueError("epsilon and even must lie in [0, 1], keep in [0, 1)")
        if not self.temperature > 0:
            raise ValueError(f"temperature must be above 0, got {self.temperature}")

    def of_request(self, key: str) -> Self:
        """A copy with a seed of the request's own, since each process counts positions from 0."""
        digest = hashlib.sha256(f"{self.seed}/{key}".encode()).digest()
        return replace(self, seed=int.from_bytes(digest[:8], "little"))


class _Decided(NamedTuple):
    """One decision on one query."""

    view: View
    row: int
    wanted: BoolArray
    own: bool
    """True where it is the served policy's own decision."""
    explored: float
    """Probability that the explorer takes it."""
    chosen: int
    """The candidate that is the answer at this point; -1 for none."""

    @property
    def was_open(self) -> bool:
        """Whether there was a choice: not once all members have been asked."""
        return not self.view.asked[self.row].all()


class Exploring(Wrapper):
    """A strategy that explores; to its callers it looks like the strategy within.

    Logs every decision; of decisions on the same query and round the last one counts, because
    servers try out views before they show the true one. Use one for each request, or one for a
    replay.

    Args:
        strategy: fitted, at the price that is served.
        exploration: settings.

    Raises:
        ConfigError: the strategy's action probabilities are not known.
    """

    def __init__(self, strategy: Base, exploration: Exploration) -> None:
        super().__init__(strategy)
        if not may_explore(strategy) and exploration.epsilon > 0:
            raise ConfigError(
                f"{strategy.name} as it is set cannot explore: that is for learned policies that "
                "ask one member after another, not for rounds (round_price, max_rounds); serve it "
                "with epsilon = 0"
            )
        self.exploration = exploration
        self._paths: dict[int, dict[int, _Decided]] = {}
        """Position in the stream → round → the last decision on it."""

    def at(self, price: float) -> Self:
        """An exploring strategy at another price, with an empty log."""
        return type(self)(self.within.at(price), self.exploration)

    def decide(self, view: View) -> Decision:
        """Decide as the served policy does, or explore, and log the decision."""
        found = self.within.decide(view)
        own = found.ask & ~view.asked
        if self.exploration.epsilon == 0:
            wanted, same, explored = own, np.ones(len(view), dtype=bool), np.zeros(len(view))
        else:
            soft, keep = self._soft(view), self.exploration.keep
            wanted = self._drawn(view, own, soft)
            same = (wanted == own).all(axis=1)
            explored = keep * same + (1 - keep) * chance_of(soft, wanted)
        chosen, _ = best_answer(view.available, found.answer)
        places = zip(view.position.tolist(), view.n_rounds.tolist(), strict=True)
        for row, (position, n_rounds) in enumerate(places):
            path = self._paths.setdefault(position, {})
            for later in [number for number in path if number > n_rounds]:
                del path[later]
            path[n_rounds] = _Decided(
                view, row, wanted[row], bool(same[row]), float(explored[row]), int(chosen[row])
            )
        return found._replace(ask=wanted)

    @property
    def _policy(self) -> Explorable:
        assert isinstance(self.within, Explorable)
        return self.within

    def _soft(self, view: View) -> Float64Array:
        """float64[B, N + 1]: the softmax, tempered and mixed with an even choice."""
        log_prob, legal = self._policy.log_policy(view)
        share = self.exploration.even
        soft = softmax(log_prob / self.exploration.temperature, legal)
        return share * _even(legal) + (1 - share) * soft

    def _drawn(self, view: View, own: BoolArray, soft: Float64Array) -> BoolArray:
        settings, first = self.exploration, 1 + 2 * view.n_rounds
        explores = _uniform(settings.seed, view.position, np.zeros_like(first)) < settings.epsilon
        departs = _uniform(settings.seed, view.position, first) >= settings.keep
        drawn = _uniform(settings.seed, view.position, first + 1)
        edge = soft.cumsum(axis=1)
        action = (drawn[:, None] * edge[:, -1:] >= edge).sum(axis=1)
        other = action[:, None] == np.arange(own.shape[1])
        return np.where((explores & departs)[:, None], other, own)

    def episode(self, *, key: str = "") -> Episode:
        """The episode of a request's one query, not judged yet.

        Raises:
            ValueError: nothing was decided.
        """
        if not self._paths:
            raise ValueError("nothing was decided")
        return self._episode(next(reversed(self._paths)), key)

    def episodes(self) -> list[Episode]:
        """Episodes of all queries decided on, by position, which is their key."""
        return [self._episode(position, str(position)) for position in sorted(self._paths)]

    def _episode(self, position: int, key: str) -> Episode:
        path = list(self._paths[position].values())
        end, taken = path[-1], [one for one in path if one.was_open]
        states = View.concat([one.view.take(np.array([one.row])) for one in path])
        return Episode(
            price=float(self.price or 0.0),
            unit_cost=self._policy.unit_cost,
            epsilon=self.exploration.epsilon,
            states=replace(states, replies=self._policy.judged_replies(states)),
            wanted=np.stack([one.wanted for one in taken]),
            propensity=_propensity(taken, self.exploration.epsilon),
            chosen=end.chosen,
            worth=np.full(states.available.shape[1], np.nan),
            key=key,
        )


def _propensity(path: Sequence[_Decided], epsilon: float) -> Float64Array:
    """float64[T]: of each decision, given those before it."""
    own = np.cumprod([one.own for one in path], dtype=np.float64)
    explored = np.cumprod([one.explored for one in path])
    chance: Float64Array = (1 - epsilon) * own + epsilon * explored
    return np.asarray(np.minimum(chance / np.append(1.0, chance[:-1]), 1.0))


def _even(legal: BoolArray) -> Float64Array:
    """float64[B, N + 1]: stop or not evenly, as far as legal, then any member evenly."""
    members, stop = legal[:, :-1], legal[:, -1:]
    n_open = members.sum(axis=1, keepdims=True)
    stop = np.where(n_open > 0, stop / 2, 1.0)
    return np.hstack([(1 - stop) * members / np.maximum(n_open, 1), stop])


def chance_of(soft: Float64Array, wanted: BoolArray) -> Float64Array:
    """float64[B]: probability that one action drawn from float64[B, N + 1] is bool[B, N] wanted."""
    single = np.where(wanted, soft[:, :-1], 0).sum(axis=1)
    count = wanted.sum(axis=1)
    return np.asarray(np.where(count == 0, soft[:, -1], np.where(count == 1, single, 0.0)))


def log_replay(
    strategy: Base, table: ResponseTable, exploration: Exploration, *, labels: bool = False
) -> list[Episode]:
    """Replay a recorded table while exploring, and judge every answer.

    Args:
        strategy: fitted, at a price.
        table: the queries; where responses are missing, those that every member answered.
        exploration: settings; its seed makes the log.
        labels: whether the right answers are told, so that every member's answer is judged; else
            the fused answer's score is, and other options are wrong where it was right.
    """
    exploring, part = Exploring(strategy, exploration), complete_part(table)
    outcome = replay(exploring, part)
    judged = []
    for row, episode in enumerate(exploring.episodes()):
        score = float(outcome.score[row])
        scores: Sequence[float | None] = _others_wrong(episode) if score == 1 else ()
        if labels:
            scores = part.member_score[row].tolist()
        judged.append(episode.judged(score, scores))
    return judged


def _others_wrong(episode: Episode) -> list[float | None]:
    if not episode.n_options:
        return []
    return [0.0 if given != episode.chosen else None for given in episode.states.answer[-1]]


def _uniform(seed: int, position: IntArray, draw: IntArray) -> Float64Array:
    """float64[B] in [0, 1): a number for each (seed, position, draw), independent of other draws.

    Source: SplitMix64 (Steele, Lea and Flood 2014), as a hash.
    """
    with np.errstate(over="ignore"):
        mixed = np.full(len(position), seed % 2**64, dtype=np.uint64)
        for part in (position, draw):
            mixed = _mixed(mixed ^ _mixed(part.astype(np.uint64)))
    return np.asarray((mixed >> np.uint64(11)).astype(np.float64) * 2.0**-53)


def _mixed(x: NDArray[np.uint64]) -> NDArray[np.uint64]:
    x = x + np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))
