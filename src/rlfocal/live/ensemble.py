"""Answer one query with live members: ask in rounds, as the strategy wants, until it has enough.

A member that fails counts as asked without an answer, as in a recorded table. Where the strategy
stops before any member has answered, the best of the other members are asked in turn.

Axes: N members.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import count

import numpy as np

from rlfocal.checkpoint import Checkpoint, Description
from rlfocal.checkpoint.readers import difference
from rlfocal.deliberation.base import Base
from rlfocal.deliberation.replay import stages
from rlfocal.deliberation.trace import Deliberation
from rlfocal.errors import ConfigError, nearest
from rlfocal.features import encoder
from rlfocal.live.answering import Answering
from rlfocal.live.given.answer import Answer, Limits, Listener
from rlfocal.live.reading import Reader
from rlfocal.live.state import QueryState
from rlfocal.live.unlike import Unlike
from rlfocal.pool.asking.question import Question
from rlfocal.pool.building import LiveMember, unpriced
from rlfocal.pool.member import MemberSettings
from rlfocal.pool.reading.checks import readers_of
from rlfocal.pool.settings import PoolSettings
from rlfocal.records import FloatArray
from rlfocal.records.schema import OPTION_LETTERS

__all__ = ["LiveEnsemble", "members_for"]

_DEADLINE_S = 600.0
_NO_FEATURES: FloatArray = np.zeros(0, dtype=np.float32)


def members_for(checkpoint: Checkpoint, pool: PoolSettings) -> tuple[MemberSettings, ...]:
    """The members that a checkpoint was trained for, in its order.

    Raises:
        ConfigError: the pool lacks one, or one reads others than it did in training.
    """
    known = {member.name: member for member in pool.members}
    for name in checkpoint.description.members:
        if name not in known:
            raise ConfigError(
                f"the checkpoint was trained with member '{name}', which the pool lacks; "
                f"{nearest(name, known)}"
            )
    members = tuple(known[name] for name in checkpoint.description.members)
    _check_readers(checkpoint.description, members)
    return members


def _check_readers(about: Description, members: Sequence[MemberSettings]) -> None:
    unlike = difference(about.readers, readers_of(members), members=about.members)
    if unlike:
        raise ConfigError(
            f"the checkpoint does not fit the pool: {unlike}; say in the pool file what "
            "training had, or collect these members' answers and train again"
        )


class LiveEnsemble:
    """A trained strategy and the members it may ask.

    Args:
        checkpoint: what was trained.
        members: of an open pool, those of the checkpoint in its order (`members_for`).
        price: of a call, lambda; None for the checkpoint's own.
        answers: kind of answer that open questions have, see `Reader`.
        places: in the stream, of the questions to come; None for a stream that begins now.

    Raises:
        ConfigError: other members, or ones that read others than in training, a price that the
            strategy does not know, an unknown kind of answer, or a strategy that reckons in dollars
            with members that have no price.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        members: Sequence[LiveMember],
        *,
        price: float | None = None,
        answers: str | None = None,
        places: Iterator[int] | None = None,
    ) -> None:
        about = checkpoint.description
        names = [member.name for member in members]
        if names != about.members:
            raise ConfigError(
                f"the checkpoint's members are {', '.join(about.members)}; the pool's are "
                f"{', '.join(names)}"
            )
        _check_readers(about, [member.settings for member in members])
        self.reads = about.reads
        """Who of the members reads whom; None where nobody does."""
        if about.cost_unit == "usd" and (missing := unpriced(members)):
            raise ConfigError(
                "the checkpoint weighs calls by their dollars, and nobody knows what these members "
                f'cost: {", ".join(missing)}; add [prices."MODEL"] to the pool file'
            )
        self.members = tuple(members)
        self.strategy = checkpoint.strategy.at_price(price)
        self._checkpoint = checkpoint
        self._ranking = checkpoint.ranking.tolist()
        self.reader = Reader(about, answers)
        self._encode = None if about.encoder is None else encoder(about.encoder)
        self._unlike = None if checkpoint.reach is None else Unlike(checkpoint.reach)
        self._task = {name: number for number, name in enumerate(about.tasks)}
        self._is_taught = about.n_training_queries > 0
        self._places = count() if places is None else places

    def new_state(
        self, question: Question, budget: float = np.inf, *, position: int = 0
    ) -> QueryState:
        """The state of a query of which no member has been asked, with its encoded text.

        Args:
            question: what is asked.
            budget: most that may be spent.
            position: its place in the stream.

        Raises:
            ConfigError: one option alone, or too many.
        """
        n_options = len(question.choices)
        if n_options == 1 or n_options > len(OPTION_LETTERS):
            raise ConfigError(
                f"{n_options} choices: give 2 to {len(OPTION_LETTERS)}, or none for an open one"
            )
        about, features = self._checkpoint.description, _NO_FEATURES
        if self._encode is not None:
            features = self._encode([question.prompt])[0]
        return QueryState(
            len(self.members),
            self._checkpoint.calibration,
            task=self._task.get(question.task, len(about.tasks)),
            features=features,
            n_options=n_options,
            n_slots=about.n_candidates,
            position=position,
            budget=budget,
            reads=self.reads,
        )

    def route(self, question: Question) -> list[str]:
        """Names of the members that the first round would ask; no call is made."""
        state = self.new_state(question)
        wanted = self._deliberation(question).first(state.view())
        if self.reads is not None:
            wanted = next(stages(self.reads, wanted[None], state.asked[None]))[0]
        return [self.members[n].name for n in np.flatnonzero(wanted).tolist()]

    async def answer(
        self,
        question: Question,
        *,
        deadline_s: float = _DEADLINE_S,
        limits: Limits = Limits(),  # noqa: B008 (frozen)
        listener: Listener = Listener(),  # noqa: B008 (frozen)
        synthesiser: str | None = None,
    ) -> Answer:
        """Answer a question.

        Args:
            question: what is asked.
            deadline_s: as of `Answering.run`.
            limits: as there.
            listener: as there.
            synthesiser: name of a member that makes one reply out of several to an open question.

        Raises:
            NobodyAnswered: every member failed, or none of the replies held an answer.
            ConfigError: the question cannot be asked, or there is no such synthesiser.
        """
        writer = None if synthesiser is None else self.member(synthesiser)
        begun = self.begin(question, synthesiser=writer)
        return await begun.run(deadline_s, limits=limits, listener=listener)

    def begin(
        self,
        question: Question,
        *,
        synthesiser: LiveMember | None = None,
        first: Sequence[str] = (),
        as_decided: bool = False,
    ) -> Answering:
        """Prepare what `answer` runs, for callers that read the trace even after a failure.

        Args:
            question: what is asked.
            synthesiser: a member, of the ensemble or not, that makes one reply out of several.
            first: names of members to ask in the first round in place of others, as many as the
                strategy wants; where one of them cannot be asked, or is no member, it decides.
            as_decided: whether nobody is asked whom the strategy does not want, since one learns
                from its decisions. Else, where no labels were recorded for it (answers may have
                been judged since), others are asked while it would answer in words and as many
                members call a tool, unless `tool_choice` wants none.

        Raises:
            ConfigError: an unknown kind of answer.
        """
        asks_on = question.has_tools and not (as_decided or self._is_taught)
        new_state = partial(self.new_state, question, position=next(self._places))
        place = {member.name: n for n, member in enumerate(self.members)}
        kept = [place[name] for name in first if name in place]
        return Answering(
            self._deliberation(question), self.members, self._ranking, self.reader, question,
            new_state, synthesiser=synthesiser, unlike=self._judge(question),
            reads=self.reads, kept=kept if len(kept) == len(first) else (),
            asks_on=asks_on and question.extra.get("tool_choice") != "none",
        )  # fmt: skip

    def _judge(self, question: Question) -> Callable[[str], str] | None:
        # Who names a task of training says that the question is one of those.
        if self._unlike is None or self.reader.knows_task(question):
            return None
        return self._unlike.why

    def _deliberation(self, question: Question) -> Deliberation:
        names, kind = self._checkpoint.description.members, self.reader.kind_of(question)
        return Deliberation(
            self.strategy, names, self.reader.cost_unit, kind=kind, reads=self.reads
        )

    def led_by(self, strategy: Base) -> LiveEnsemble:
        """The same members led by another strategy, for instance by its own one after `follow`.

        Their questions are of one stream.
        """
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
