"""Who reads whom: members whose prompts hold the replies of others.

A reader can be asked once all whom it reads have been. Whoever wants to ask it before asks those
first: `Reads.expanded` says whom, `Reads.ready` who can be asked now.

Axes: B queries of one batch, N members.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from rlfocal.errors import RecordError, nearest

__all__ = ["CRITICISING", "JUDGING", "REFINING", "ReaderInfo", "Reads", "circle"]

JUDGING = frozenset({"judge", "pairwise", "verify"})
"""What readers do that name one of the replies which they read, in the words of pool files."""

CRITICISING = "criticise"
"""What readers do that give no answer."""

REFINING = "refine"
"""What readers do that repair the first of the replies which they read, in the words of pool files:
there their order counts."""

_Bool = NDArray[np.bool_]


class ReaderInfo(BaseModel):
    """What `dataset.json` says of a member that reads others."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    reads: list[str]
    """Names of the members whose replies it was shown, its own first one left out."""
    first: str | None = None
    """The member whose reply it was shown as its own."""
    reading: str = "aggregate"
    """What it did with them, in the words of pool files: "judge", "debate", ..."""

    @property
    def inputs(self) -> list[str]:
        """All members that it read."""
        return [*self.reads, *([] if self.first is None else [self.first])]


@dataclass(frozen=True, eq=False)
class Reads:
    """Who reads whom in a pool of N members.

    Raises:
        RecordError: a member reads one that is not there, or itself, over others or directly.
    """

    members: tuple[str, ...]
    """Names of the N members."""
    infos: Mapping[str, ReaderInfo]
    """By the names of those who read."""

    def __post_init__(self) -> None:
        inputs = {name: about.inputs for name, about in self.infos.items()}
        for name, read in inputs.items():
            for other in read:
                if other not in self.members:
                    raise RecordError(
                        f"member '{name}' reads '{other}', which is not among the members; add it, "
                        f"or leave '{name}' out ({nearest(other, self.members)})"
                    )
        if way := circle(inputs):
            raise RecordError(
                f"{' reads '.join(repr(member) for member in way)}: nobody could be asked first; "
                "take one of them out of reads"
            )

    @classmethod
    def of(cls, members: Sequence[str], readers: Mapping[str, ReaderInfo]) -> Self | None:
        """Of those members; None where nobody of them reads.

        Args:
            members: names of the N members.
            readers: by name; of members that are not among these nothing counts.

        Raises:
            RecordError: a member reads one that is not there, or itself.
        """
        infos = {name: _in_order(readers[name], members) for name in members if name in readers}
        return cls(tuple(members), infos) if infos else None

    @classmethod
    def of_arrays(
        cls,
        members: Sequence[str],
        direct: _Bool,
        first: NDArray[np.int64] | None = None,
        forms: Sequence[str] = (),
    ) -> Self:
        """The same, told by arrays.

        Args:
            members: names of the N members.
            direct: bool[N, N]: member n (row) reads member m (column), its own reply included.
            first: int64[N]: the member whose reply each is shown as its own; -1, or None, for none.
            forms: what each does with what it reads; empty for "aggregate".

        Raises:
            RecordError: a member reads itself.
        """
        infos = {}
        for n in np.flatnonzero(direct.any(axis=1)).tolist():
            own = -1 if first is None else int(first[n])
            infos[members[n]] = ReaderInfo(
                reads=[members[m] for m in np.flatnonzero(direct[n]).tolist() if m != own],
                first=None if own < 0 else members[own],
                reading=forms[n] if forms else "aggregate",
            )
        return cls(tuple(members), infos)

    @cached_property
    def direct(self) -> _Bool:
        """bool[N, N]: member n (row) reads member m (column), its own first reply included."""
        found = np.zeros((len(self.members), len(self.members)), dtype=bool)
        for n, name in enumerate(self.members):
            for read in self.infos[name].inputs if name in self.infos else ():
                found[n, self.members.index(read)] = True
        return found

    @cached_property
    def is_reader(self) -> _Bool:
        """bool[N]: who reads somebody."""
        return np.asarray(self.direct.any(axis=1))

    @cached_property
    def first(self) -> NDArray[np.int64]:
        """int64[N]: the member whose reply each is shown as its own; -1 for none."""
        found = np.full(len(self.members), -1, dtype=np.int64)
        for n, name in enumerate(self.members):
            if name in self.infos and (own := self.infos[name].first) is not None:
                found[n] = self.members.index(own)
        return found

    @cached_property
    def forms(self) -> tuple[str, ...]:
        """What each does with what it reads ("judge", ...); "" for those that read nobody."""
        return tuple(
            self.infos[name].reading if name in self.infos else "" for name in self.members
        )

    @property
    def has_judges(self) -> bool:
        """Whether somebody names one of the replies that it reads."""
        return not JUDGING.isdisjoint(self.forms)

    @cached_property
    def closure(self) -> _Bool:
        """bool[N, N]: whom each has to wait for, those whom its readings read included."""
        found = self.direct.copy()
        for _ in range(len(self.members)):
            further = found | ((found.astype(np.float32) @ found.astype(np.float32)) > 0)
            if (further == found).all():
                break
            found = further
        return found

    @cached_property
    def with_read(self) -> _Bool:
        """bool[N, N]: whom asking each calls where nobody was asked before, itself included."""
        return np.asarray(self.closure | np.eye(len(self.members), dtype=bool))

    @cached_property
    def stage(self) -> NDArray[np.int64]:
        """int64[N]: 0 for who reads nobody, else one more than the latest of those it reads."""
        found = np.zeros(len(self.members), dtype=np.int64)
        for _ in range(len(self.members)):
            found = np.where(self.direct, found + 1, 0).max(axis=1)
        return found

    def ready(self, asked: _Bool) -> _Bool:
        """bool[B, N]: who can be asked now, since all whom it reads have been.

        Args:
            asked: bool[B, N]; who was asked and failed counts as asked.
        """
        waits = (~asked).astype(np.float32) @ self.direct.T.astype(np.float32)
        return np.asarray(waits == 0)

    def expanded(self, wanted: _Bool, asked: _Bool) -> _Bool:
        """bool[B, N]: those wanted, and whom they have to wait for, who have not been asked yet.

        Args:
            wanted: bool[B, N].
            asked: bool[B, N].
        """
        behind = wanted.astype(np.float32) @ self.closure.astype(np.float32) > 0
        return np.asarray((wanted | behind) & ~asked)

    def in_turn(self, order: NDArray[np.int64]) -> NDArray[np.int64]:
        """int64[N]: that order of all members, but whom a reader reads stands before it.

        Args:
            order: int64[N], members from the one to ask first to the last.
        """
        turn: list[int] = []
        for n in order.tolist():
            behind = [m for m in order.tolist() if self.with_read[n, m] and m not in turn]
            turn.extend(sorted(behind, key=lambda m: int(self.stage[m])))
        return np.array(turn, dtype=np.int64)


def _in_order(about: ReaderInfo, members: Sequence[str]) -> ReaderInfo:
    """Whom it reads in the order of the members, but where their order counts."""
    if about.reading == REFINING or not set(about.reads) <= set(members):
        return about
    return about.model_copy(update={"reads": sorted(about.reads, key=list(members).index)})


def circle(inputs: Mapping[str, Sequence[str]]) -> list[str]:
    """A way along which a member reads itself, from it to it; empty where there is none.

    Args:
        inputs: member → whom it reads; who is left out reads nobody.

    >>> circle({"judge": ["a", "b"], "b": ["judge"]})
    ['judge', 'b', 'judge']
    >>> circle({"judge": ["a", "b"]})
    []
    """
    for name in inputs:
        ways, seen = [[name]], set[str]()
        while ways:
            way = ways.pop()
            for other in inputs.get(way[-1], ()):
                if other == name:
                    return [*way, name]
                if other not in seen:
                    seen.add(other)
                    ways.append([*way, other])
    return []
