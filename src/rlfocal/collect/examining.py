"""Cross-examination: how likely the replies of all are to some local models.

Two numbers for each model that examines, per byte of the reply: `likely_MODEL`, its log-probability
after the question, and `cross_MODEL`, the same less what it is without the question, so that plain
words are no merit. They are signals of a reply like any of a user's own. That models can judge one
another's text so is the idea of MinCE in FuseLLM (arXiv:2401.10491).

Read is the text alone, as the examiner itself would begin it: neither blanks around it nor where it
ended, which a stop text or a limit may have decided, make one member's replies likelier than
another's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from rlfocal.errors import Failure, MemberError
from rlfocal.pool.asking.question import Question
from rlfocal.pool.blends.reading_aloud import likelihood
from rlfocal.pool.blends.voices import Voice
from rlfocal.pool.blends.writing import Counts, Track
from rlfocal.pool.building import LiveMember
from rlfocal.pool.types import Message, Request
from rlfocal.records.database import Database, settings_key_of
from rlfocal.records.database.examined import (
    Asked,
    Who,
    add_signals,
    check_who,
    settle_who,
    unread,
)
from rlfocal.records.signals.examined import signals_of

__all__ = ["Examined", "Examiner", "check_who_examines", "examine", "settle_who_examines", "who"]

_FORM = 2
"""Of the numbers; those of the first counted how replies end."""
_PROBES = (Question("1 + 1 = ?"), Question("1 + 1 = ?", ("1", "2")))
"""Questions that show how an examiner is asked."""


class Examiner(NamedTuple):
    """A local model that reads replies."""

    who: Who
    voice: Voice
    request: Callable[[Question], Request]
    """How it would be asked a question itself."""
    lead: str = ""
    """What stands before its own replies: a blank where it goes on with a text."""

    @classmethod
    def of(cls, member: LiveMember, voice: Voice) -> Examiner:
        """One that is asked in the words of a member."""
        lead = " " if member.identity.get("api") == "completions" else ""
        return cls(who(member), voice, lambda asked: member.request(asked, logprobs=False), lead)


def who(member: LiveMember) -> Who:
    """What an examiner's numbers depend on: which file reads, and in which words it is asked.

    How much it can read at once decides what it reads, and no number.
    """
    served = {name: member.identity.get(name) for name in ("file", "api")}
    asked = [
        [[turn.role, turn.content] for turn in member.request(probe, logprobs=False).messages]
        for probe in _PROBES
    ]
    return Who(member.name, settings_key_of({"form": _FORM, **served, "asked": asked}))


class Examined(NamedTuple):
    """How far an examination is."""

    n_replies: int
    n_tokens: int
    """That models read, prompts included."""
    n_bounded: int
    """Tokens of replies that a model did not name: they count as its least likely."""
    n_skipped: int = 0
    """Replies that a model cannot read: longer than it takes, of bytes that it cannot spell, blank,
    or to questions that offer functions to be called."""


def check_who_examines(database: Database, examiners: Sequence[Who]) -> None:
    """Make sure that the numbers under an examiner's name are its own.

    Raises:
        ConfigError: another model of that name has examined replies, or one of which nothing is
            known (numbers that were imported).
    """
    for one in examiners:
        check_who(database, one, signals_of(one.name))


def settle_who_examines(
    database: Database, examiners: Sequence[Who], *, again: bool = False
) -> None:
    """Let these examine under their names.

    Args:
        database: the replies, with what was found of them.
        examiners: who examines.
        again: take away what others have found under these names.

    Raises:
        ConfigError: as of `check_who_examines`, where `again` is not said.
    """
    for one in examiners:
        settle_who(database, one, signals_of(one.name), again=again)


async def examine(
    database: Database,
    examiners: Sequence[Examiner],
    *,
    members: Sequence[str] | None = None,
    on_question: Callable[[Examined], None] = lambda _: None,
    stopped: Callable[[], bool] = lambda: False,
) -> Examined:
    """Read all stored replies that an examiner has not read yet.

    What it finds of a question is stored at once: whoever is interrupted goes on there.

    Args:
        database: the replies, and where the numbers go.
        examiners: who reads.
        members: whose replies; None for all members'.
        on_question: told after each examiner's reading of the replies to one.
        stopped: asked before each question whether to end.

    Raises:
        MemberError: a model does not reply.
        ConfigError: another process examines under one of the names as another model.
    """
    told = Examined(0, 0, 0)
    names = [name for examiner in examiners for name in signals_of(examiner.who.name)]
    for asked in unread(database, names, members=members):
        if stopped():
            break
        for examiner in examiners:
            read = await _read(examiner, asked)
            add_signals(database, examiner.who, read.signals)
            told = Examined(
                told.n_replies + len(read.signals),
                told.n_tokens + read.counts.n_evaluated,
                told.n_bounded + read.n_bounded,
                told.n_skipped + read.n_skipped,
            )
            on_question(told)
    return told


class _Read(NamedTuple):
    signals: dict[str, dict[str, float]]
    counts: Counts
    n_bounded: int
    n_skipped: int


async def _read(examiner: Examiner, asked: Asked) -> _Read:
    """What an examiner says of the replies to one question; equal ones are read once.

    All with the question first, then all without: each beginning stays in the model's cache.
    """
    with_question, alone = signals_of(examiner.who.name)
    lacking = [r for r in asked.replies if {with_question, alone}.intersection(r.lacks)]
    counts = Counts([0])
    if asked.has_tools:  # it would have to be told of them as a member is
        return _Read({}, counts, 0, len(lacking))
    request = examiner.request(Question(asked.prompt, asked.choices))
    lead = "" if request.text.endswith((" ", "\n")) else examiner.lead
    texts = sorted({text for reply in lacking if (text := reply.text.strip())})
    n_bounded = 0
    per_byte: list[dict[str, float]] = []
    for put in (request, Request((Message("user", ""),))):
        begun = await examiner.voice.begin(put)
        said: dict[str, float] = {}
        for text in texts:
            track = Track(examiner.voice, list(begun))
            try:
                found = await likelihood(track, (lead + text).encode(), counts, 0)
            except MemberError as exc:
                if exc.failure != Failure.BAD_REQUEST:
                    raise
                continue
            said[text] = found.per_byte
            n_bounded += found.n_bounded
        per_byte.append(said)
        texts = list(said)  # what it cannot read after a question need not be read without
    signals = {
        reply.key: {
            with_question: per_byte[0][text],
            alone: per_byte[0][text] - per_byte[1][text],
        }
        for reply in lacking
        if (text := reply.text.strip()) in per_byte[1]
    }
    return _Read(signals, counts, n_bounded, len(lacking) - len(signals))
