"""One member's own replies, made better or chosen among: by its own remarks, or by a judge."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from rlfocal.conversations.calls import Query
from rlfocal.conversations.recording import RecordingPool
from rlfocal.conversations.talk import Conversation, Talk, Talking, Turn, alone, reader
from rlfocal.conversations.wording import CRITICISE, NO_MISTAKE, best_of
from rlfocal.pool.reading.verdicts import verdict_of

__all__ = ["BestOfNJudge", "SelfRefine"]

_TEMPERATURE = 0.7
_FEW_WORDS = 12
"""A longer remark that finds no mistake in one step may find one in the next."""


@dataclass(frozen=True)
class SelfRefine(Conversation):
    """Self-refine (arXiv:2303.17651): a member criticises its own reply, and repairs it.

    As published: draft, remarks, new draft, by one model, until its remarks say that nothing is
    wrong or the rounds are over. Otherwise: the paper has prompts with worked examples for each
    task, here they are the same for all; only the latest draft and remarks are shown, fenced. Where
    the remarks fail the latest draft stands; so it does where the new draft fails.

    Raises:
        ValueError: fewer than one round.
    """

    name: ClassVar[str] = "self-refine"
    paper: ClassVar[str] = "arXiv:2303.17651"
    rounds: int = 2
    """Of remarks and repair, at most."""

    def __post_init__(self) -> None:
        if self.rounds < 1:
            raise ValueError(f"rounds must be at least 1, got {self.rounds}")

    async def hold(
        self, query: Query, members: Sequence[str], pool: RecordingPool, rng: np.random.Generator
    ) -> Talk:
        """As `Conversation.hold`; nothing is drawn."""
        talking = Talking(query, pool)
        question, member = talking.question, members[0]
        draft = (await talking.round([alone("draft", member, question, "draft")]))[0]
        for _ in range(self.rounds):
            if draft.said is None:
                break
            call = reader(
                "remarks", member, question, [draft], "criticise",
                form="criticise", words=CRITICISE,
            )  # fmt: skip
            remarks = (await talking.round([call]))[0]
            if remarks.said is None or _finds_nothing(remarks.said):
                break
            call = reader("draft", member, question, [draft, remarks], "refine", form="refine")
            repaired = (await talking.round([call]))[0]
            if repaired.said is None:
                break
            draft = repaired
        return talking.over(draft)


@dataclass(frozen=True)
class BestOfNJudge(Conversation):
    """Best of n: several replies of the best member, and a judge that names one of them.

    The same member judges. It sees the replies in both orders, and each order has a vote for the
    answer of the reply that it names; a tie goes to the answer given more often, then to the
    earlier one. A verdict that cannot be read has no vote; without any the answer given most often
    is taken, so nothing is left to chance. Replies are drawn at the member's temperature, or at 0.7
    where that is 0, since n replies at 0 would be one. Where all agree, or one replied, nobody
    judges.

    Raises:
        ValueError: fewer than two replies.
    """

    name: ClassVar[str] = "best-of-n-judge"
    paper: ClassVar[str] = "common practice"
    n: int = 4
    """Replies to choose among."""

    def __post_init__(self) -> None:
        if self.n < 2:
            raise ValueError(f"n must be at least 2, got {self.n}")

    async def hold(
        self, query: Query, members: Sequence[str], pool: RecordingPool, rng: np.random.Generator
    ) -> Talk:
        """As `Conversation.hold`; nothing is drawn."""
        talking = Talking(query, pool)
        question, member = talking.question, members[0]
        calls = [alone(f"reply {n + 1}", member, question, "draw", sample=n) for n in range(self.n)]
        if member in pool.members and pool.members[member].settings.temperature == 0:
            calls = [replace(call, settings={"temperature": _TEMPERATURE}) for call in calls]
        drawn = await talking.round(calls)
        there = [turn for turn in drawn if turn.said is not None]
        answers = {turn.answer for turn in there}
        if len(there) < 2 or (len(answers) == 1 and None not in answers):
            return talking.over(there[0] if there else None)
        judged = await talking.round(
            [
                reader(
                    f"judge, order {order + 1}", member, question, there, "judge",
                    form="judge", words=best_of(1), sample=order,
                )
                for order in (0, 1)
            ]
        )  # fmt: skip
        return talking.over(_elected(there, judged))


def _finds_nothing(remarks: str) -> bool:
    """Whether a remark says that there is no mistake, and nothing much beside."""
    return NO_MISTAKE in remarks.lower() and len(remarks.split()) <= _FEW_WORDS


def _elected(there: Sequence[Turn], judged: Sequence[Turn]) -> Turn:
    """The first reply with the answer that has most votes; one without an answer for itself."""
    by_name = {turn.speaker: turn for turn in there}
    keys = {
        turn.speaker: ("", turn.speaker) if turn.answer is None else ("answer", turn.answer)
        for turn in there
    }
    votes: Counter[tuple[str, str]] = Counter()
    for verdict in judged:
        named = verdict_of("judge", verdict.said or "", len(verdict.shown))
        if named is not None and named >= 0:
            votes[keys[verdict.shown[named]]] += 1
    given = Counter(turn.answer for turn in there if turn.answer is not None)
    order = [turn.speaker for turn in there]
    best = max(
        order,
        key=lambda name: (votes[keys[name]], given[by_name[name].answer or ""], -order.index(name)),
    )
    return by_name[best]
