"""Sparse mixture of agents: a judge keeps some replies of a round, a moderator ends the debate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from rlfocal.conversations.calls import Call, Query
from rlfocal.conversations.judging import chosen, json_verdict, numbered
from rlfocal.conversations.recording import RecordingPool
from rlfocal.conversations.talk import Conversation, Talk, Talking, Turn, alone, reader
from rlfocal.conversations.wording import (
    END,
    MERGE,
    ROLES,
    UNFENCED_JUDGE,
    UNFENCED_MERGE,
    best_of,
)
from rlfocal.pool.asking.question import Question
from rlfocal.pool.reading.verdicts import verdict_of
from rlfocal.records.schema import OPTION_LETTERS

__all__ = ["Sparse", "SparseReleased"]


@dataclass(frozen=True)
class _Settings:
    """What both ways have in common."""

    rounds: int = 2
    """Of replies, at most."""
    keep: int = 2
    """Replies that go on from each round."""

    def __post_init__(self) -> None:
        if self.rounds < 1 or self.keep < 1:
            raise ValueError(
                f"rounds and keep must be at least 1, got {self.rounds} and {self.keep}"
            )


@dataclass(frozen=True)
class Sparse(_Settings, Conversation):
    """SMoA (arXiv:2411.03284), repaired.

    As published: every member answers in a role of its own; a judge keeps the best replies (two),
    which everybody reads in the next round; a moderator may end the debate before the last round;
    an aggregator writes the reply from those kept last. The best member judges, moderates and
    aggregates.

    Repaired: judge and moderator are asked apart (the release asks both in one call); a verdict
    that cannot be read is no chance: the judge's then selects nobody away, the moderator's goes on
    (there: two replies at random); the moderator is asked only where it can save a round, the judge
    only where there are more replies than are kept; a member that fails is absent (there: the
    answer becomes null); replies are fenced, their order is drawn. Otherwise: roles are texts of
    ours (there a model writes them).
    """

    name: ClassVar[str] = "smoa"
    paper: ClassVar[str] = "arXiv:2411.03284"

    async def hold(
        self, query: Query, members: Sequence[str], pool: RecordingPool, rng: np.random.Generator
    ) -> Talk:
        """As `Conversation.hold`; nothing is drawn."""
        talking = Talking(query, pool)
        question, kept = talking.question, list[Turn]()
        for number in range(1, self.rounds + 1):
            said = await talking.round(_proposals(question, members, kept, number))
            kept = await self._kept(talking, members[0], said)
            if not kept:
                return talking.over(None)
            if number < self.rounds and await self._settled(talking, members[0], kept):
                break
        last = await talking.round(
            [reader("aggregator", members[0], question, kept, "aggregate", words=MERGE)]
        )
        return talking.over(last[0] if last else None)

    async def _kept(self, talking: Talking, judge: str, said: Sequence[Turn]) -> list[Turn]:
        there = [turn for turn in said if turn.said is not None]
        if len(there) <= self.keep:
            return there
        words = best_of(self.keep)
        asked = reader("judge", judge, talking.question, there, "select", form="judge", words=words)
        verdict = (await talking.round([asked]))[0]
        best = chosen(verdict.said, self.keep, len(there))
        by_name = {turn.speaker: turn for turn in there}
        return there if best is None else [by_name[verdict.shown[place]] for place in best]

    async def _settled(self, talking: Talking, moderator: str, kept: Sequence[Turn]) -> bool:
        asked = reader(
            "moderator", moderator, talking.question, kept, "moderate", form="judge", words=END
        )
        said = await talking.round([asked])
        return bool(said) and verdict_of("verify", said[0].said or "", 1) == 0


@dataclass(frozen=True)
class SparseReleased(_Settings, Conversation):
    """SMoA (arXiv:2411.03284), as its code was released, for comparison with `smoa`.

    One call of the best member judges and moderates, as JSON; where that cannot be read two replies
    are drawn at random and the debate goes on; a call that fails makes the answer null; replies
    stand unfenced in the system message, whole, in the order of the pool; the judge is asked after
    the last round, too. Otherwise: prompts and roles are texts of ours, and draws are seeded.
    """

    name: ClassVar[str] = "smoa-released"
    paper: ClassVar[str] = "arXiv:2411.03284"

    async def hold(
        self, query: Query, members: Sequence[str], pool: RecordingPool, rng: np.random.Generator
    ) -> Talk:
        """As `Conversation.hold`; `rng` draws where a verdict cannot be read."""
        talking = Talking(query, pool)
        question, judge, kept = talking.question, members[0], list[Turn]()
        for number in range(1, self.rounds + 1):
            said = await talking.round(
                [
                    alone(m, m, question, _WHY[number > 1], role=_merging(_role(n), kept))
                    for n, m in enumerate(members)
                ]
            )
            if any(turn.said is None for turn in said):
                return talking.over(None)
            verdict_turn = (await talking.round([_judging(question, judge, said, self.keep)]))[0]
            if verdict_turn.said is None:
                return talking.over(None)
            verdict = json_verdict(verdict_turn.said, self.keep, len(said))
            n_kept = min(self.keep, len(said))
            best = rng.permutation(len(said))[:n_kept].tolist() if verdict is None else verdict.best
            kept = [said[place] for place in best]
            if verdict is not None and verdict.end:
                break
        call = alone("aggregator", judge, question, "aggregate", role=_merging("", kept))
        return talking.over((await talking.round([call]))[0])


_WHY = {False: "propose", True: "propose after what was kept"}


def _role(number: int) -> str:
    return ROLES[number % len(ROLES)]


def _proposals(
    question: Question, members: Sequence[str], kept: Sequence[Turn], number: int
) -> list[Call]:
    if number == 1 or not kept:
        return [alone(m, m, question, _WHY[False], role=_role(n)) for n, m in enumerate(members)]
    return [
        reader(m, m, question, kept, _WHY[True], words=MERGE, role=_role(n))
        for n, m in enumerate(members)
    ]


def _merging(role: str, kept: Sequence[Turn]) -> str:
    """A system message that holds replies as they are."""
    if not kept:
        return role
    listed = UNFENCED_MERGE + numbered([turn.said or "" for turn in kept])
    return "\n\n".join(filter(None, (role, listed)))


def _judging(question: Question, judge: str, said: Sequence[Turn], n_best: int) -> Call:
    options = "\n".join(
        f"{letter}. {text}" for letter, text in zip(OPTION_LETTERS, question.choices, strict=False)
    )
    prompt = "\n\n".join(filter(None, (question.prompt, options)))
    role = UNFENCED_JUDGE % n_best + numbered([turn.said or "" for turn in said])
    call = alone("judge", judge, Question(prompt), "select and moderate", role=role)
    # Worked examples and a template would ask it for an answer of its own.
    return replace(call, settings={"shots": (), "template": "{question}"})
