"""One text that several models write: where each of them is in it, and what it took.

Every piece is appended to all models: as one token where a model has it as one, else in its own
spelling. So token boundaries of the text are boundaries of all of them. Bytes that end within a
character cannot be spelled yet; a model that waits for its end is not asked until it comes.

Models that go on with a text begin with a blank, models that reply in turns do not. Where both
write together the blank is no part of the reply (`beginning`): else its first bytes would be a vote
on the form.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Protocol, TypeVar

import numpy as np

from rlfocal.pool.blends.beginning import BLANK, after_blank, begins_blank
from rlfocal.pool.blends.mixing import Mixed
from rlfocal.pool.blends.voices import END, Proposal, Voice, goes_on, is_whole, open_end
from rlfocal.pool.types import Request

__all__ = ["Counts", "Emitted", "Method", "Track", "Writing", "together"]

Found = TypeVar("Found")


class Emitted(NamedTuple):
    """A piece of the reply."""

    piece: bytes
    """`END` where the reply ends."""
    logprob: float
    """Under what it was chosen from; NaN where that is no distribution."""


@dataclass
class Counts:
    """What a reply took."""

    evaluated: list[int]
    """Tokens that each model read, prompt included."""
    judged: int = 0
    """Tokens that were read by who judges what a text is worth."""
    n_asked: int = 0
    """Times a model was asked what it would go on with."""
    n_uncertain: int = 0
    """Pieces chosen as the likeliest where one that was not named might have been likelier."""
    rest: float = 0.0
    """Probability that was not named, added up over the pieces chosen."""

    @property
    def n_evaluated(self) -> int:
        """Tokens that all read."""
        return sum(self.evaluated) + self.judged


@dataclass
class Track:
    """A model, and where it is in the text."""

    voice: Voice
    ids: list[int]
    """Its tokens so far, those of the prompt included."""
    waiting: bytes = b""
    """What has been written since, and is not spelled yet."""
    last: Proposal | None = None
    """What it said at this place; None where it was not asked here."""
    blank: bytes = b""
    """What it reads before the reply's first piece, and the reply does not hold."""

    async def propose(self) -> Proposal | None:
        """What it would go on with; None where it waits for the end of a character."""
        if self.waiting:
            if not is_whole(self.waiting):
                return None
            self.ids.extend(await self.voice.spell(self.waiting))
            self.waiting = b""
        if self.last is None:
            self.last = await self.voice.propose(self.ids)
        return self.last

    def append(self, piece: bytes) -> None:
        """Go on to after a piece."""
        token = None if self.last is None or self.waiting else self.last.ids.get(piece)
        if token is None:
            self.waiting += self.blank + piece
        else:
            self.ids.append(token)
        self.last, self.blank = None, b""

    async def leave_blank(self) -> int:
        """Read the blank that it begins with, which the reply does not hold.

        Returns:
            Tokens that it read for it.
        """
        assert self.last is not None
        token, within = after_blank(self.last)
        if token is None:
            self.last, self.blank = within, BLANK
            return 0
        self.ids.append(token)
        self.last = await self.voice.propose(self.ids)
        return self.last.n_evaluated

    def fork(self) -> Track:
        """The same place, to try out what follows."""
        return replace(self, ids=list(self.ids))


@dataclass
class Writing:
    """A reply that is being written.

    Args:
        request: what is asked.
        tracks: of M models.
        rng: for draws.
        counts: of all tracks; forks count, too.
    """

    request: Request
    tracks: Sequence[Track]
    rng: np.random.Generator
    counts: Counts
    text: bytes = b""
    """What has been written."""
    n_pieces: int = 0
    first: Mixed | None = None
    """What the first piece was chosen from, where that was a distribution."""
    has_begun: bool = False
    """Whether it is known who begins with a blank."""

    @classmethod
    async def begin(
        cls, request: Request, voices: Sequence[Voice], rng: np.random.Generator
    ) -> Writing:
        """Put a request to all models.

        Raises:
            MemberError: one cannot be asked it.
        """
        prompts = await together([voice.begin(request) for voice in voices])
        tracks = [Track(voice, ids) for voice, ids in zip(voices, prompts, strict=True)]
        return cls(request, tracks, rng, Counts([0] * len(voices)))

    async def propose(self, which: Sequence[int] | None = None) -> list[Proposal | None]:
        """What models would go on with, all at once.

        Args:
            which: numbers of models; None for all. Of the others, None is said.
        """
        asked = range(len(self.tracks)) if which is None else which
        fresh = [n for n in asked if self.tracks[n].last is None]
        found = await together([self.tracks[n].propose() for n in asked])
        if not self.has_begun:
            self.has_begun = True
            if not self.text:
                await self._begin_alike(asked)
                found = [self.tracks[n].last for n in asked]
        proposals: list[Proposal | None] = [None] * len(self.tracks)
        begun = open_end(self.text)
        for n, proposal in zip(asked, found, strict=True):
            if proposal is None:
                continue
            if n in fresh:
                self.counts.evaluated[n] += proposal.n_evaluated
                self.counts.n_asked += 1
            proposals[n] = _going_on(proposal, begun)
        able = [n for n, proposal in zip(asked, found, strict=True) if proposal is not None]
        if able and all(proposals[n] is None for n in able):
            # Nobody goes on with the character that has begun: so the reply ends.
            proposals[able[0]] = Proposal({END: 1.0}, {}, rest=0.0, least=0.0)
        return proposals

    async def _begin_alike(self, asked: Sequence[int]) -> None:
        """Where some reply in turns and some do not, nobody tells the blank that it begins with."""
        if len({self.tracks[n].voice.in_turns for n in asked}) < 2:
            return
        for n in asked:
            last = self.tracks[n].last
            if last is not None and begins_blank(last):
                self.counts.evaluated[n] += await self.tracks[n].leave_blank()

    def append(self, piece: bytes) -> None:
        """Write a piece, to all models."""
        if piece == END:
            return
        for track in self.tracks:
            track.append(piece)
        self.text += piece
        self.n_pieces += 1

    def adopt(self, piece: bytes, n_pieces: int, model: int, track: Track) -> None:
        """Write what a fork has written.

        Args:
            piece: all of it.
            n_pieces: of how many pieces it is.
            model: the number of the model that wrote it.
            track: of that model, in the fork: it keeps its own tokens. The others spell the text.
        """
        tracks = list(self.tracks)
        tracks[model] = track
        self.tracks = tracks
        for number, other in enumerate(tracks):
            if number != model and piece:
                other.append(piece)
        self.text += piece
        self.n_pieces += n_pieces

    def fork(self, rng: np.random.Generator | None = None) -> Writing:
        """The same place, to try out what follows; what that takes counts here, too.

        Args:
            rng: for its draws, where several forks go on at once; None for the same.
        """
        tracks = [track.fork() for track in self.tracks]
        return replace(self, tracks=tracks, rng=self.rng if rng is None else rng)

    @property
    def n_left(self) -> int:
        """Pieces that may still be written."""
        return max(0, self.request.max_tokens - self.n_pieces)


def _going_on(proposal: Proposal, begun: bytes) -> Proposal | None:
    """Without what breaks off a character, which nobody could read; None where nothing is left."""
    kept = {piece: p for piece, p in proposal.pieces.items() if not piece or goes_on(begun, piece)}
    if len(kept) == len(proposal.pieces):
        return proposal
    return proposal._replace(pieces=kept) if kept else None


class Method(Protocol):
    """Decides what comes next."""

    async def go_on(self, writing: Writing) -> list[Emitted]:
        """Choose what comes next and write it.

        Returns:
            One piece or more, all of them written; the last may be `END`, which is not.
        """
        ...


async def together(calls: Sequence[Coroutine[Any, Any, Found]]) -> list[Found]:
    """What all calls return, made at once; where one raises, the others are given up first.

    Raises:
        Exception: what the first of them raised.
    """
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(call) for call in calls]
    except BaseExceptionGroup as group_of:
        raise group_of.exceptions[0] from None
    return [task.result() for task in tasks]
