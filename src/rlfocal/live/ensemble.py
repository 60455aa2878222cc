"""Answer one query with live members: ask in rounds, as the strategy wants, until it has enough.

A member that fails counts as asked without an answer, as in a recorded table. Where the strategy
stops before any member has answered, the best of the other members are asked in turn.

Axes: N members.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence

import numpy as np

from rlfocal.checkpoint import Checkpoint
from rlfocal.deliberation.base import Base
from rlfocal.deliberation.trace import Deliberation
from rlfocal.errors import ConfigError, nearest
from rlfocal.features import encoder
from rlfocal.live.answering import Answer, Answering, Limits, Listener
from rlfocal.live.aside import aside
from rlfocal.live.query import LiveQuery
from rlfocal.live.reading import Reader
from rlfocal.live.state import QueryState
from rlfocal.pool.building import LiveMember, unpriced
from rlfocal.pool.settings import MemberSettings, PoolSettings
from rlfocal.records import FloatArray
from rlfocal.records.schema import OPTION_LETTERS

__all__ = ["Ensemble", "at_price", "members_for"]

_DEADLINE_S = 600.0


def members_for(checkpoint: Checkpoint, pool: PoolSettings) -> tuple[MemberSettings, ...]:
    """The members that a checkpoint was trained for, in its order.

    Raises:
        ConfigError: the pool lacks one.
    """
    known = {member.name: member for member in pool.members}
    for name in checkpoint.description.members:
        if name not in known:
            raise ConfigError(
                f"the checkpoint was trained with member '{name}', which the pool lacks; "
                f"{nearest(name, known)}"
            )
    return tuple(known[name] for name in checkpoint.description.members)


class Ensemble:
    """A trained strategy and the members it may ask.

    Args:
        checkpoint: what was trained.
        members: of an open pool, those of the checkpoint in its order (`members_for`).
        price: of a call, lambda; None for the checkpoint's own.
        answers: kind of answer that open questions have, see `Reader`.

    Raises:
        ConfigError: other members, a price that the strategy does not know, an unknown kind of
            answer, or a strategy that reckons in dollars with members that have no price.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        members: Sequence[LiveMember],
        *,
        price: float | None = None,
        answers: str | None = None,
    ) -> None:
        about = checkpoint.description
        names = [member.name for member in members]
        if names != about.members:
            raise ConfigError(
                f"the checkpoint's members are {', '.join(about.members)}; the pool's are "
                f"{', '.join(names)}"
            )
        if about.cost_unit == "usd" and (missing := unpriced(members)):
            raise ConfigError(
                "the checkpoint weighs calls by their dollars, and nobody knows what these members "
                f'cost: {", ".join(missing)}; add [prices."MODEL"] to the pool file'
            )
        self.members = tuple(members)
        self.strategy = at_price(checkpoint.strategy, price)
        self._checkpoint = checkpoint
        self._ranking = checkpoint.ranking.tolist()
        self.reader = Reader(about, answers)
        self._encode = None if about.encoder is None else encoder(about.encoder)
        self._task = {name: number for number, name in enumerate(about.tasks)}
        self._n_queries = 0

    async def features(self, query: LiveQuery) -> FloatArray:
        """float32[D]: the encoded query text; a long one is encoded in a thread."""
        return await aside(len(query.prompt), self._features, query)

    def _features(self, query: LiveQuery) -> FloatArray:
        if self._encode is None:
            return np.zeros(0, dtype=np.float32)
        features: FloatArray = self._encode([query.prompt])[0]
        return features

    def new_state(
        self, query: LiveQuery, *, position: int = 0, features: FloatArray | None = None
    ) -> QueryState:
        """The state of a query of which no member has been asked.

        Args:
            query: what is asked.
            position: its place in the stream.
            features: of it, as `features` finds them; None to find them now.

        Raises:
            ConfigError: one option alone, or too many.
        """
        n_options = len(query.choices)
        if n_options == 1 or n_options > len(OPTION_LETTERS):
            raise ConfigError(
                f"{n_options} choices: give 2 to {len(OPTION_LETTERS)}, or none for an open one"
            )
        about = self._checkpoint.description
        return QueryState(
            len(self.members),
            self._checkpoint.calibration,
            task=self._task.get(query.task, len(about.tasks)),
            features=self._features(query) if features is None else features,
            n_options=n_options,
            n_slots=about.n_candidates,
            position=position,
        )

    def route(self, query: LiveQuery) -> list[str]:
        """Names of the members that the first round would ask; no call is made."""
        wanted = self.deliberation(query).first(self.new_state(query).view(n_rounds=0))
        return [self.members[n].name for n in np.flatnonzero(wanted).tolist()]

    async def answer(
        self,
        query: LiveQuery,
        *,
        deadline_s: float = _DEADLINE_S,
        limits: Limits = Limits(),  # noqa: B008 (frozen)
        listener: Listener | None = None,
        synthesiser: str | None = None,
    ) -> Answer:
        """Answer a query.

        Args:
            query: what is asked.
            deadline_s: seconds for all rounds together; at the end of them the best answer so far
                is given.
            limits: on spending and waiting.
            listener: callbacks for rounds and, where one member is enough, for its text.
            synthesiser: name of a member that makes one reply out of several to an open question.

        Raises:
            NobodyAnswered: every member failed, or none of the replies held an answer.
            ConfigError: the query cannot be asked, or there is no such synthesiser.
        """
        features = await self.features(query)
        begun = self.begin(
            query, limits=limits, listener=listener, synthesiser=synthesiser, features=features
        )
        return await begun.run(deadline_s)

    def begin(
        self,
        query: LiveQuery,
        *,
        limits: Limits = Limits(),  # noqa: B008 (frozen)
        listener: Listener | None = None,
        synthesiser: str | None = None,
        features: FloatArray | None = None,
    ) -> Answering:
        """Prepare what `answer` runs, for callers that read the trace even after a failure.

        Args:
            query: as there.
            limits: as there.
            listener: as there.
            synthesiser: as there.
            features: of the query, as `features` finds them; None to find them now.

        Raises:
            ConfigError: the query cannot be asked, or there is no such synthesiser.
        """
        state = self.new_state(query, position=self._n_queries, features=features)
        writer = None if synthesiser is None else self.member(synthesiser)
        self.reader.check(query)
        self._n_queries += 1
        return Answering(
            self.deliberation(query), self.members, self._ranking, self.reader, query, state,
            limits=limits, listener=listener or Listener(), synthesiser=writer,
        )  # fmt: skip

    def deliberation(self, query: LiveQuery) -> Deliberation:
        """A new deliberation on a query."""
        names, kind = self._checkpoint.description.members, self.reader.kind_of(query)
        return Deliberation(self.strategy, names, self.reader.cost_unit, kind=kind)

    def at(self, price: float) -> Ensemble:
        """The same members at another price of a call.

        Raises:
            ConfigError: a price that the strategy does not know.
        """
        return self.led_by(at_price(self.strategy, price))

    def led_by(self, strategy: Base) -> Ensemble:
        """The same members led by another strategy, for instance by its own one after `follow`."""
        other = copy.copy(self)
        other.strategy = strategy
        return other

    def member(self, name: str) -> LiveMember:
        """One of the members.

        Raises:
            ConfigError: there is none of that name.
        """
        for member in self.members:
            if member.name == name:
                return member
        raise ConfigError(
            f"no member '{name}'; {nearest(name, [member.name for member in self.members])}"
        )


def at_price(strategy: Base, price: float | None) -> Base:
    """The strategy at another price of a call; None for its own.

    Raises:
        ConfigError: it has no price, or was not trained for this one.
    """
    if price is None:
        return strategy
    if not strategy.dial:
        raise ConfigError(f"price: {strategy.name} has no price of a call; leave it out")
    try:
        return strategy.at(price)
    except ValueError as exc:
        raise ConfigError(f"price: {exc}") from exc
