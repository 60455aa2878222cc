"""The replies that stand for candidates: for the answer that is given, and for all others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from rlfocal.live.reading import speaks
from rlfocal.live.replies import Replies
from rlfocal.live.state import QueryState
from rlfocal.pool.asking.passed_back import given_back
from rlfocal.pool.building import LiveMember
from rlfocal.pool.types import Finish, Response

__all__ = ["Alternative", "Voice", "alternatives", "voices"]


@dataclass(frozen=True)
class Alternative:
    """A candidate that is not the answer, and the reply that stands for it, verbatim."""

    answer: str
    """As members' answers are compared."""
    probability: float
    """In [0, 1]: that it is right, as the strategy reckons."""
    text: str
    tool_calls: tuple[Mapping[str, Any], ...] = ()
    """Of the reply, marked as those of an answer are; empty for one that calls nothing."""
    finish: Finish = "stop"
    beside: Mapping[str, Any] = field(default_factory=dict)
    """What goes with its calls, as of an answer."""


class Voice(NamedTuple):
    """A reply that stands for a candidate."""

    giver: int
    """The member whose answer the candidate is."""
    speaker: int
    """Whose reply it is: a judge's answer is another's."""
    reply: Response


def voices(
    members: Sequence[LiveMember],
    ranking: Sequence[int],
    replies: Replies,
    state: QueryState,
    *,
    in_samples: bool,
) -> dict[str, Voice]:
    """Candidate → the reply that stands for it, of the best member that gave it.

    Args:
        members: all of them.
        ranking: of the members, the best first.
        replies: of those that were asked.
        state: of the query.
        in_samples: whether candidates count that some of a member's samples alone have given.
    """
    found = dict[str, Voice]()
    for n in ranking:
        answer = state.answer(n)
        if answer is not None and answer not in found:
            found[answer] = Voice(n, *replies.standing_for(n, state))
    for n in ranking if in_samples else ():
        read = state.replies[n]
        # Samples of a judge name other members' answers, which are there by now.
        if read is not None and len(read.samples) > 1 and speaks(members[n]):
            for answer, reply in zip(read.samples, replies.of[n], strict=True):
                if answer is not None and answer not in found:
                    found[answer] = Voice(n, n, reply)
    return found


def alternatives(
    given: str,
    found: Mapping[str, Voice],
    believed: Mapping[str, float],
    members: Sequence[LiveMember],
) -> tuple[Alternative, ...]:
    """Every candidate but the answer, the likeliest first; of equals, that of the better member.

    Args:
        given: the answer.
        found: as `voices` finds them.
        believed: candidate → its probability; those that are not there have none.
        members: all of them.
    """
    others = list[Alternative]()
    for answer, voice in found.items():
        if answer != given:
            calls, beside = given_back(voice.reply, members[voice.speaker].name)
            p = min(1.0, believed.get(answer, 0.0))
            reply = voice.reply
            others.append(Alternative(answer, p, reply.text, calls, reply.finish, beside))
    return tuple(sorted(others, key=lambda one: -one.probability))
