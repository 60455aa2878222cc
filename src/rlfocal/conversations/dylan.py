"""DyLAN: agents that talk in rounds, of whom a ranker sends some home, and who rate one another."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, NamedTuple, Self

import numpy as np

from rlfocal.conversations.calls import Call, Query
from rlfocal.conversations.holding import hold_all
from rlfocal.conversations.judging import chosen, ratings, without_ratings
from rlfocal.conversations.recording import RecordingPool
from rlfocal.conversations.talk import (
    Conversation,
    Talk,
    Talking,
    Turn,
    alone,
    most_frequent,
    reader,
)
from rlfocal.conversations.wording import DISCUSS, ROLES, best_of

__all__ = ["Agent", "Dylan", "DylanReleased", "importance"]

_FIRST_RANKED = 3
"""The round before which the ranker is asked for the first time."""
_N_RANKED = 2
"""Agents that go on after it."""
_LEAST_RANKED = 4
"""Agents without which it is not asked."""


class Agent(NamedTuple):
    """A member in a role."""

    member: str
    role: str


@dataclass(frozen=True)
class Dylan(Conversation):
    """DyLAN (arXiv:2310.02170), repaired.

    As published: agents answer in random order, round after round; from the second on each reads
    and rates all replies of the round before; a round ends early, and the talk with it, once more
    than two thirds of the agents agree; before the third round a ranker names the best two of four
    or more agents, and only those go on. The answer is the one agreed on, else the most frequent of
    the last round. Ratings are propagated back from the last round's agents that share the answer:
    an agent's importance is that of whom it has convinced (`importance`). Team optimisation: of all
    roles those most important in talks about training queries are kept; labels are not looked at.

    Repaired: the agents that the ranker names go on (in the release as many random ones do); only
    answers that can be read make a consensus, of those who speak in that round (there, replies
    without an answer agree with one another); a ranking that cannot be read sends nobody home; more
    than three rounds are possible. Otherwise: roles are texts of ours, dealt to the members in
    turn; the paper has one model in all roles. Agents that need not wait for one another are asked
    at once. Replies are fenced.

    Raises:
        ValueError: a number is out of range.
    """

    name: ClassVar[str] = "dylan"
    paper: ClassVar[str] = "arXiv:2310.02170"
    agents: int = 6
    """Before the team is optimised."""
    rounds: int = 3
    """At most."""
    team_size: int = 4
    """Agents kept by team optimisation."""
    fit_queries: int = 40
    """Training queries talked about for that, at most; 0 for the first roles as they are."""
    team: tuple[Agent, ...] = ()
    """As found by `fit`; empty for all agents."""

    def __post_init__(self) -> None:
        least = {"agents": 2, "rounds": 1, "team_size": 2, "fit_queries": 0}
        for field, low in least.items():
            if getattr(self, field) < low:
                raise ValueError(f"{field} must be at least {low}, got {getattr(self, field)}")

    async def hold(
        self, query: Query, members: Sequence[str], pool: RecordingPool, rng: np.random.Generator
    ) -> Talk:
        """As `Conversation.hold`; `rng` draws the order in which agents speak."""
        talking = Talking(query, pool)
        team = self.team or _dealt(self.agents, members)
        agents = {f"agent {n}": agent for n, agent in enumerate(team, start=1)}
        active, rounds, agreed = list(agents), list[list[Turn]](), False
        for number in range(1, self.rounds + 1):
            before = rounds[-1] if rounds else []
            if number >= _FIRST_RANKED and len(active) >= _LEAST_RANKED:
                active = await self._go_on(talking, members[0], before, active, rng)
            order = [active[place] for place in rng.permutation(len(active)).tolist()]
            said, agreed = await self._spoken(talking, agents, order, before)
            rounds.append(said)
            if agreed or all(turn.said is None for turn in said):
                break
        by = self._decided(rounds)
        return talking.over(by, importance=importance(rounds, None if by is None else by.answer))

    async def fit(
        self, queries: Sequence[Query], members: Sequence[str], pool: RecordingPool, *, seed: int
    ) -> Self:
        """Keep the most important agents of talks about training queries; as `Conversation.fit`.

        Which queries are talked about does not depend on who else is among them, so that folds
        share calls.
        """
        everybody = _dealt(self.agents, members)
        if not self.fit_queries or self.team_size >= len(everybody):
            return replace(self, team=everybody[: self.team_size])
        drawn = sorted(queries, key=lambda query: _draw(seed, query))[: self.fit_queries]
        talks = await hold_all(replace(self, team=()), drawn, members, pool, seed=seed)
        total: Counter[str] = Counter()
        for talk in talks:
            total.update(talk.importance)
        names = [f"agent {n}" for n in range(1, len(everybody) + 1)]
        # Equal ones in their order, so that nothing is left to chance.
        best = sorted(range(len(names)), key=lambda n: (-round(total[names[n]], 9), n))
        return replace(self, team=tuple(everybody[n] for n in sorted(best[: self.team_size])))

    # What the release does otherwise ----------------------------------------------------------

    async def _go_on(
        self,
        talking: Talking,
        ranker: str,
        before: Sequence[Turn],
        active: Sequence[str],
        rng: np.random.Generator,
    ) -> list[str]:
        """The agents that a ranker names; all where that cannot be read."""
        ranked = await _ranked(talking, ranker, before)
        return list(active) if ranked is None else [ranked.shown[place] for place in ranked.best]

    def _needed(self, order: Sequence[str]) -> int:
        """How many votes have to be passed for a consensus in a round of these agents."""
        return 2 * len(order) // 3

    def _votes(self, said: Sequence[Turn]) -> int:
        """Votes for the most frequent answer."""
        return most_frequent(said)[1]

    def _decided(self, rounds: Sequence[Sequence[Turn]]) -> Turn | None:
        """Whose reply the talk comes to: of the last round in which an answer can be read."""
        found = (most_frequent(said)[0] for said in reversed(rounds))
        return next((turn for turn in found if turn is not None), None)

    # One round --------------------------------------------------------------------------------

    async def _spoken(
        self,
        talking: Talking,
        agents: Mapping[str, Agent],
        order: Sequence[str],
        before: Sequence[Turn],
    ) -> tuple[list[Turn], bool]:
        """What agents say in their order, until enough of them agree; and whether they did.

        Nobody knows of a consensus before more than the votes needed have spoken: so many are asked
        at once, which changes nothing but the time it takes.
        """
        needed = self._needed(order)
        calls = [_call(name, agents[name], talking, before) for name in order]
        said = await talking.round(calls[: needed + 1])
        for call in [*calls[needed + 1 :], None]:
            if self._votes(said) > needed:
                return said, True
            if call is not None:
                said = said + await talking.round([call])
        return said, False


@dataclass(frozen=True)
class DylanReleased(Dylan):
    """DyLAN (arXiv:2310.02170), as its code was released, for comparison with `dylan`.

    The ranker is asked, and its choice is not applied: it names places, and the agents that stand
    at these places of a freshly shuffled list go on, which are random ones. Replies without a
    readable answer count as agreeing with one another, so a crowd of them ends the talk on nothing.
    Consensus is counted of all agents, whoever takes part. At most three rounds: more trip an
    assertion there, since the ranker would get two replies. A ranking that cannot be read sends two
    random agents on, which changes nothing. Otherwise as `Dylan`, prompts and roles included.
    """

    name: ClassVar[str] = "dylan-released"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.rounds > _FIRST_RANKED:
            raise ValueError(
                f"rounds must be at most {_FIRST_RANKED}, got {self.rounds}: the released code "
                "fails there; dylan has more"
            )

    async def _go_on(
        self,
        talking: Talking,
        ranker: str,
        before: Sequence[Turn],
        active: Sequence[str],
        rng: np.random.Generator,
    ) -> list[str]:
        ranked = await _ranked(talking, ranker, before)
        shuffled = [active[place] for place in rng.permutation(len(active)).tolist()]
        best = range(_N_RANKED) if ranked is None else ranked.best
        return [shuffled[place] for place in best]

    def _needed(self, order: Sequence[str]) -> int:
        return 2 * (len(self.team) or self.agents) // 3

    def _votes(self, said: Sequence[Turn]) -> int:
        return max(Counter(turn.answer for turn in said).values(), default=0)

    def _decided(self, rounds: Sequence[Sequence[Turn]]) -> Turn | None:
        if not rounds:
            return None
        counts = Counter(turn.answer for turn in rounds[-1])
        answer = max(counts, key=lambda each: counts[each])
        found = next(turn for turn in rounds[-1] if turn.answer == answer)
        return None if answer is None else found


def importance(rounds: Sequence[Sequence[Turn]], answer: str | None) -> dict[str, float]:
    """Importance of each agent: what it was worth to those whom it has convinced.

    The last round's agents with the answer that was given share 1 equally. Going back, an agent has
    of each that read it that one's importance, times the share of its ratings. An agent's own is
    added up over rounds.

    Args:
        rounds: what was said in each, agents by the same speakers.
        answer: what the talk came to; nobody is important to none.

    Returns:
        By speaker, of all that have spoken.

    Source: Liu et al., arXiv:2310.02170, in the words of their released code: ratings from 1 to 5,
    normalised; equal ones where they cannot be read.
    """
    total = {turn.speaker: 0.0 for said in rounds for turn in said}
    if answer is None:
        return total
    rounds = list(rounds)
    while rounds and all(turn.answer != answer for turn in rounds[-1]):
        rounds.pop()  # in which nothing could be read any more
    right = [turn.speaker for turn in rounds[-1] if turn.answer == answer] if rounds else []
    worth = {speaker: 1 / len(right) for speaker in right}
    for said in reversed(rounds):
        for speaker, share in worth.items():
            total[speaker] += share
        before: dict[str, float] = {}
        for turn in said:
            weights = ratings(turn.text, len(turn.shown)) if turn.shown else ()
            for read, weight in zip(turn.shown, weights, strict=True):
                before[read] = before.get(read, 0.0) + weight * worth.get(turn.speaker, 0.0)
        worth = before
    return total


class _Ranked(NamedTuple):
    best: tuple[int, ...]
    """Places in the order shown."""
    shown: tuple[str, ...]
    """The agents in that order."""


async def _ranked(talking: Talking, ranker: str, before: Sequence[Turn]) -> _Ranked | None:
    """What a ranker names; None where that cannot be read, or nobody has to go."""
    there = [turn for turn in before if turn.said is not None]
    if len(there) <= _N_RANKED:
        return None
    words = best_of(_N_RANKED)
    call = reader("ranker", ranker, talking.question, there, "rank", form="judge", words=words)
    verdict = (await talking.round([call]))[0]
    best = chosen(verdict.said, _N_RANKED, len(there))
    return None if best is None else _Ranked(best, verdict.shown)


def _call(name: str, agent: Agent, talking: Talking, before: Sequence[Turn]) -> Call:
    question = talking.question
    if not before:
        return alone(name, agent.member, question, "answer", role=agent.role)
    return reader(
        name, agent.member, question, before, "rate and answer",
        words=DISCUSS, role=agent.role, counts=without_ratings,
    )  # fmt: skip


def _dealt(n_agents: int, members: Sequence[str]) -> tuple[Agent, ...]:
    """Roles dealt to the members in turn, whatever order these are in."""
    names = sorted(members)
    return tuple(Agent(names[n % len(names)], ROLES[n % len(ROLES)]) for n in range(n_agents))


def _draw(seed: int, query: Query) -> bytes:
    text = f"{seed}\n{query.question.seed_text}"
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
