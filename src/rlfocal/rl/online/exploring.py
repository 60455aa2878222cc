"""The logging policy: the served one, which leaves a little to chance and says how likely it was.

A coin is tossed once for each request. With probability epsilon it explores: at every decision it
then does as the served policy would with probability `keep`, and else draws from the Decider's
tempered softmax, mixed with an even choice: trained policies are so sure of what they do that their
softmax alone would hardly explore.

Why once a request, and why it keeps to the policy now and then: a coin at each decision would give
a path that departs k times a propensity of about epsilon^k, so that a policy which differs twice
can hardly be judged; and a request that follows the softmax throughout would spoil the decisions
after the one of interest. Here a path that departs k times has about epsilon times k factors of
(1 - keep) times the softmax, and exactly epsilon of the requests pay for it. The propensity of a
decision, given those before it, is that of the whole mixture:

    p_t = [(1 - epsilon) G_t + epsilon Q_t] / [(1 - epsilon) G_(t-1) + epsilon Q_(t-1)],

with G_t = 1 as long as every decision was the policy's own, else 0, and Q_t the product of what the
explorer does with each. The product of all p_t is the path's probability, whoever took it.

Decisions are a function of (seed, position, round) and the view: asking twice changes nothing, so a
server may try out what would be decided.

Axes: B queries, N members.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rlfocal.deliberation.recorded import reveal
from rlfocal.deliberation.replay import replay
from rlfocal.deliberation.view import Memory, View
from rlfocal.errors import ConfigError
from rlfocal.records import BoolArray, FloatArray, IntArray, ResponseTable
from rlfocal.records.missing import complete_part
from rlfocal.rl.blinded import view_seen
from rlfocal.rl.nets import one_thread
from rlfocal.rl.observation import Fused, Seen
from rlfocal.rl.online.episodes import Episode, States
from rlfocal.rl.strategy import RlFocal

__all__ = ["Exploration", "Exploring", "answers", "log_replay", "seen_by"]

Float64Array = NDArray[np.float64]


@dataclass(frozen=True)
class Exploration:
    """How much is left to chance."""

    epsilon: float = 0.0
    """In [0, 1]: share of the requests that explore."""
    keep: float = 0.4
    """In [0, 1): how often a request that explores does as the served policy, at each decision."""
    temperature: float = 1.0
    """Above 0: of the Decider's softmax; higher is more even."""
    even: float = 0.75
    """In [0, 1]: how often an even choice takes the softmax's place: enough or not, then anybody;
    above 0, everything that is legal is done now and then."""
    seed: int = 0

    def __post_init__(self) -> None:
        if not (0 <= self.epsilon <= 1 and 0 <= self.keep < 1 and 0 <= self.even <= 1):
            raise ValueError("epsilon and even must lie in [0, 1], keep in [0, 1)")
        if not self.temperature > 0:
            raise ValueError(f"temperature must be above 0, got {self.temperature}")

    def of_request(self, key: str) -> Self:
        """The same with a seed of the request's own: processes that serve count positions alike."""
        digest = hashlib.sha256(f"{self.seed}/{key}".encode()).digest()
        return replace(self, seed=int.from_bytes(digest[:8], "little"))


class _Noted(NamedTuple):
    """One decision as it was taken."""

    view: View
    row: int
    wanted: BoolArray
    own: bool
    """True where it is the served policy's own."""
    explored: float
    """How often the explorer takes it."""

    @property
    def n_rounds(self) -> int:
        """How many there had been."""
        return int(self.view.n_rounds[self.row])

    def saw(self, view: View, row: int) -> bool:
        """True where it was taken on what a view shows."""
        pairs = ((self.view.asked, view.asked), (self.view.answer, view.answer))
        return all(np.array_equal(own[self.row], other[row]) for own, other in pairs)


class Exploring(RlFocal):
    """A fitted `rl-focal` that explores; for anybody who runs it, it is the strategy it wraps.

    Notes what was decided; of decisions on the same query and round the last one counts, because
    servers try out views before they show the true one. Use one for each request, or one for a
    replay.

    Args:
        strategy: fitted, at the price that is served.
        exploration: settings.

    Raises:
        ConfigError: it gathers choices into rounds, whose propensity is a sum over all orders.
    """

    def __init__(self, strategy: RlFocal, exploration: Exploration) -> None:
        super().__init__(strategy.config)
        if strategy.config.rounds is not None and exploration.epsilon > 0:
            raise ConfigError(
                "exploring is for policies that ask one member after another; this one gathers "
                "rounds (round_price, max_rounds): serve it with epsilon = 0"
            )
        self.__dict__.update(strategy.__dict__)
        self._given = self._last = self._first = None
        self.exploration = exploration
        self._served = strategy
        self._noted: dict[tuple[int, int], _Noted] = {}
        self._shown: View | None = None

    def at(self, dial: float) -> Self:
        """Another that explores at another price, and has noted nothing."""
        return type(self)(self._served.at(dial), self.exploration)

    def next_members(self, view: View) -> BoolArray:
        """Ask as the served policy does, or explore; and note it."""
        own = super().next_members(view)
        if self.exploration.epsilon == 0:
            self._note(view, own, np.ones(len(view), dtype=bool), np.zeros(len(view)))
            return own
        soft = self._soft(view)
        wanted = self._drawn(view, own, soft)
        same = (wanted == own).all(axis=1)
        keep = self.exploration.keep
        self._note(view, wanted, same, keep * same + (1 - keep) * chance_of(soft, wanted))
        return wanted

    def _soft(self, view: View) -> Float64Array:
        """float64[B, N + 1]: the softmax, tempered and mixed with an even choice."""
        # Where the Decider acts it has just looked at the same view.
        known = self._last_look(self._seen(view))
        observation = seen_by(self, view, np.full(len(view), self.price), known).observation
        with one_thread(), torch.inference_mode():
            log_prob = self.decider_(observation).double() / self.exploration.temperature
            even, soft = _even(observation.legal.double()), log_prob.softmax(1)
        share = self.exploration.even
        return np.asarray((share * even + (1 - share) * soft).numpy())

    def _drawn(self, view: View, own: BoolArray, soft: Float64Array) -> BoolArray:
        settings, first = self.exploration, 1 + 2 * view.n_rounds
        explores = _uniform(settings.seed, view.position, np.zeros_like(first)) < settings.epsilon
        departs = _uniform(settings.seed, view.position, first) >= settings.keep
        drawn = _uniform(settings.seed, view.position, first + 1)
        edge = soft.cumsum(axis=1)
        action = (drawn[:, None] * edge[:, -1:] >= edge).sum(axis=1)
        other = action[:, None] == np.arange(own.shape[1])
        return np.where((explores & departs)[:, None], other, own)

    def _note(self, view: View, wanted: BoolArray, own: BoolArray, explored: Float64Array) -> None:
        self._shown = view
        for row, key in enumerate(zip(view.position.tolist(), view.n_rounds.tolist(), strict=True)):
            self._noted[key] = _Noted(view, row, wanted[row], bool(own[row]), float(explored[row]))

    def episode(self, end: View | None = None, *, key: str = "") -> Episode:
        """What the one query of a request leaves behind, not judged yet.

        Args:
            end: what was shown last of it; None for the view on which it was decided last, as a
                server does after every round.
            key: names the request.

        Raises:
            ValueError: nothing was decided.
        """
        end = end or self._shown
        if end is None:
            raise ValueError("nothing was decided")
        return self._episode(end, 0, int(answers(self, end)[0]), key)

    def episodes(self, end: View, *, keys: Sequence[str] | None = None) -> list[Episode]:
        """The same of every query of a view; their keys are their positions unless given."""
        chosen = answers(self, end).tolist()
        names = keys or [str(position) for position in end.position.tolist()]
        return [self._episode(end, row, chosen[row], names[row]) for row in range(len(end))]

    def _episode(self, end: View, row: int, chosen: int, key: str) -> Episode:
        position, n_rounds = int(end.position[row]), int(end.n_rounds[row])
        places = [(position, r) for r in range(n_rounds + 1)]
        noted = [self._noted[place] for place in places if place in self._noted]
        # Of the last round there may be nothing but what was tried out.
        if noted and noted[-1].n_rounds == n_rounds and not noted[-1].saw(end, row):
            noted.pop()
        if not noted:
            raise ValueError(f"nothing was decided on the query at position {position}")
        shown = [(note.view, note.row) for note in noted]
        if not noted[-1].saw(end, row):
            shown.append((end, row))
        states = States.of(shown)
        return Episode(
            price=float(self.price),
            unit_cost=self.foundation_.statistics.unit_cost,
            epsilon=self.exploration.epsilon,
            task=int(end.task[row]),
            features=end.features[row],
            n_options=0 if end.is_open[row] else int(end.available[row].sum()),
            states=states,
            wanted=np.stack([note.wanted for note in noted]),
            propensity=_propensity(noted, self.exploration.epsilon),
            chosen=chosen,
            worth=np.full(states.support.shape[2], np.nan),
            key=key,
        )


def _propensity(noted: Sequence[_Noted], epsilon: float) -> Float64Array:
    """float64[T]: of each decision, given those before it."""
    own = np.cumprod([note.own for note in noted], dtype=np.float64)
    explored = np.cumprod([note.explored for note in noted])
    path: Float64Array = (1 - epsilon) * own + epsilon * explored
    return np.asarray(np.minimum(path / np.append(1.0, path[:-1]), 1.0))


def _even(legal: Tensor) -> Tensor:
    """float64[B, N + 1]: enough or not evenly, as far as legal, then any member evenly."""
    members, stop = legal[:, :-1], legal[:, -1:]
    n_open = members.sum(1, keepdim=True)
    stop = torch.where(n_open > 0, stop / 2, 1.0)
    return torch.cat([(1 - stop) * members / n_open.clamp_min(1), stop], dim=1)


def chance_of(soft: Float64Array, wanted: BoolArray) -> Float64Array:
    """float64[B]: how likely a draw of one action float64[B, N + 1] is just bool[B, N] wanted."""
    single = np.where(wanted, soft[:, :-1], 0).sum(axis=1)
    count = wanted.sum(axis=1)
    return np.asarray(np.where(count == 0, soft[:, -1], np.where(count == 1, single, 0.0)))


def seen_by(strategy: RlFocal, view: View, price: NDArray[Any], fused: Fused | None = None) -> Seen:
    """What the Decider sees of views at prices float[B], whether or not a rival acts in its place.

    As everywhere, a price of 0 is the least one to the Decider.

    Args:
        strategy: whose Decider.
        view: B queries.
        price: lambda of each.
        fused: what the views come to at these prices, where it is known.
    """
    view, foundation = view_seen(view, strategy.config), strategy.foundation_
    least = np.maximum(price, strategy.config.price_min).astype(np.float32)
    with one_thread(), torch.inference_mode():
        eyes = foundation.eyes(strategy.config.rounds)
        if view.memory is not None:
            eyes = strategy.follow(view.memory).eyes
        return eyes.look(view, least, foundation.competence.predict(view.features), fused=fused)


def answers(strategy: RlFocal, view: View) -> IntArray:
    """int64[B]: the candidates that a strategy would answer; -1 for none."""
    fused: FloatArray = np.where(view.available, strategy.fuse(view), 0)
    return np.where(fused.max(axis=1) > 0, fused.argmax(axis=1), -1)


def log_replay(
    strategy: RlFocal,
    table: ResponseTable,
    exploration: Exploration,
    *,
    memory: Memory | None = None,
) -> list[Episode]:
    """Serve a recorded table while exploring, and judge every answer: episodes of known worth.

    Only the answer's own worth is noted, and that the others are wrong where it was right.

    Args:
        strategy: fitted, at a price.
        table: the queries; where responses are missing, those that every member answered.
        exploration: settings; its seed makes the log.
        memory: recent labelled queries, shown in every view.
    """
    exploring, table = Exploring(strategy, exploration), complete_part(table)
    outcome = replay(exploring, table, memory=memory)
    rows = np.arange(table.n_queries)
    end = reveal(table, rows, outcome.asked, n_rounds=outcome.n_rounds, memory=memory)
    found = exploring.episodes(end)
    return [
        episode.judged(float(score), _others_wrong(episode) if score == 1 else ())
        for episode, score in zip(found, outcome.score, strict=True)
    ]


def _others_wrong(episode: Episode) -> list[float | None]:
    if not episode.n_options:
        return []
    return [0.0 if given != episode.chosen else None for given in episode.states.answer[-1]]


def _uniform(seed: int, position: IntArray, draw: IntArray) -> Float64Array:
    """float64[B] in [0, 1): a number for each (seed, position, draw), whatever else is drawn.

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
