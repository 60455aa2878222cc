"""Cross-examination: how likely the replies of all are to some local models.

Two numbers for each model that examines, per byte of the reply: `likely_MODEL`, its log-probability
after the question, and `cross_MODEL`, the same less what it is without the question, so that plain
words are no merit. They are signals of a reply like any of a user's own. That models can judge one
another's text so is the idea of MinCE in FuseLLM (arXiv:2401.10491).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

from rlfocal.errors import ConfigError, Failure, MemberError
from rlfocal.pool.asking.question import Question
from rlfocal.pool.blends.reading_aloud import likelihood
from rlfocal.pool.blends.voices import Voice
from rlfocal.pool.blends.writing import Counts, Track
from rlfocal.pool.building import LiveMember
from rlfocal.pool.types import Message, Request
from rlfocal.records.database import Database, settings_key_of
from rlfocal.records.database.examined import Asked, add_signals, remove_signals, unread
from rlfocal.records.signals.examined import signals_of

__all__ = ["Examined", "Examiner", "examine", "settle_who_examines"]


class Examiner(NamedTuple):
    """A local model that reads replies."""

    name: str
    voice: Voice
    request: Callable[[Question], Request]
    """How it would be asked a question itself."""

    @classmethod
    def of(cls, member: LiveMember, voice: Voice) -> Examiner:
        """One that is asked in the words of a member."""
        return cls(member.name, voice, lambda asked: member.request(asked, logprobs=False))


class Examined(NamedTuple):
    """How far an examination is."""

    n_replies: int
    n_tokens: int
    """That models read, prompts included."""
    n_bounded: int
    """Tokens of replies that a model did not name: they count as its least likely."""
    n_skipped: int = 0
    """Replies that a model cannot read: longer than it takes, or of bytes that it cannot spell."""


def settle_who_examines(
    database: Database, members: Sequence[LiveMember], *, again: bool = False
) -> None:
    """Make sure that the numbers of an examiner are all of one model, asked in the same words.

    Args:
        database: the replies, with what was found of them.
        members: who examines.
        again: take away what another model of the same name has found.

    Raises:
        ConfigError: another model of that name has examined replies, and `again` is not said.
    """
    for member in members:
        note, key = f"examiner:{member.name}", settings_key_of(member.identity)
        before = database.note(note)
        if before not in (None, key):
            columns = signals_of(member.name)
            if not again:
                raise ConfigError(
                    f"'{member.name}' has examined replies as another model, or asked in other "
                    f"words, and {' and '.join(columns)} would mix both; say --again to take these "
                    "away and read all replies anew, or give the member another name"
                )
            remove_signals(database, columns)
        database.set_note(note, key)


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
    """
    told = Examined(0, 0, 0)
    names = [name for examiner in examiners for name in signals_of(examiner.name)]
    for asked in unread(database, names, members=members):
        if stopped():
            break
        for examiner in examiners:
            read = await _read(examiner, asked)
            add_signals(database, read.signals)
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
    with_question, alone = signals_of(examiner.name)
    texts = {
        (reply.text, reply.finish == "stop")
        for reply in asked.replies
        if {with_question, alone}.intersection(reply.lacks)
    }
    request = examiner.request(Question(asked.prompt, asked.choices))
    counts, n_bounded = Counts([0]), 0
    per_byte: list[dict[tuple[str, bool], float]] = []
    for put in (request, Request((Message("user", ""),))):
        begun = await examiner.voice.begin(put)
        said: dict[tuple[str, bool], float] = {}
        for text, ends in sorted(texts):
            track = Track(examiner.voice, list(begun))
            try:
                found = await likelihood(track, text.encode(), counts, 0, ends=ends)
            except MemberError as exc:
                if exc.failure != Failure.BAD_REQUEST:
                    raise
                said[text, ends] = math.nan
                continue
            said[text, ends] = found.per_byte
            n_bounded += found.n_bounded
        per_byte.append(said)
    signals: dict[str, dict[str, float]] = {}
    n_skipped = 0
    for reply in asked.replies:
        read = reply.text, reply.finish == "stop"
        if read not in texts:
            continue
        likely, plain = per_byte[0][read], per_byte[1][read]
        if math.isfinite(likely) and math.isfinite(plain):
            signals[reply.key] = {with_question: likely, alone: likely - plain}
        else:
            n_skipped += 1
    return _Read(signals, counts, n_bounded, n_skipped)
