"""An observer that fuses a training query once for the same members asked, however often it comes.

While policies are judged at every price, the same queries come back with the same members asked;
Fusion stays as it is, and takes most of the time. Not while the Decider learns: the last bits of a
verdict depend on the batch it is made in, so a run broken off would end as another one.

Axes: B queries, N members, C candidates.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Self

import numpy as np
from numpy.typing import NDArray

from rlfocal.agents.fusion import Judged
from rlfocal.agents.known import Known
from rlfocal.agents.observation import Fused, Observer
from rlfocal.deliberation.view import View
from rlfocal.records import IntArray

__all__ = ["Remembering"]

_MOST_BYTES = 2**28
"""Once verdicts take so much memory, no more of them are kept."""


class _Verdicts:
    """Fusion's verdicts by key, in two arrays that grow."""

    def __init__(self) -> None:
        self._place: dict[bytes, int] = {}
        self._n_kept = 0
        self._posterior = self._vote = np.zeros((0, 0), dtype=np.float32)

    def places(self, keys: list[bytes]) -> tuple[IntArray, IntArray]:
        """int64[B], where the verdict of each key is or is to be kept; and which have none yet."""
        found = [self._place.get(key, -1) for key in keys]
        place = np.array(found, dtype=np.int64)
        new = np.flatnonzero(place < 0)
        place[new] = np.arange(self._n_kept, self._n_kept + len(new))
        return place, new

    def keep(self, keys: list[bytes], place: IntArray, found: Judged) -> None:
        """Add the verdicts of keys that had none."""
        needed = int(place[-1]) + 1
        if needed > len(self._posterior):
            size = max(needed, 2 * len(self._posterior))
            self._posterior = _grown(self._posterior, size, found.posterior.shape[1])
            self._vote = _grown(self._vote, size, found.vote.shape[1])
        self._posterior[place], self._vote[place] = found.posterior, found.vote
        if self._posterior.nbytes + self._vote.nbytes <= _MOST_BYTES:
            self._place |= zip(keys, place.tolist(), strict=True)
            self._n_kept = needed

    def at(self, place: IntArray) -> Judged:
        """The verdicts kept there."""
        return Judged(self._posterior[place], self._vote[place])


@dataclass(frozen=True, eq=False)
class Remembering(Observer):
    """Observes queries of one table, which it knows by their positions."""

    _verdicts: _Verdicts = field(default_factory=_Verdicts)

    @classmethod
    def of(cls, observer: Observer) -> Self:
        """The same observer, with a memory of its own that is empty."""
        return cls(observer.prior, observer.votes, observer.shift, observer.rounds)

    def fused(self, view: View, known: Known) -> Fused:
        """Fuse what is not remembered; arguments as of `observe`."""
        keys = _keys(view, untold=view.task >= len(self.prior.whole.adds_up_) - 1)
        place, new = self._verdicts.places(keys)
        if len(new):
            found = super().fused(view.take(new), known.take(new)).judged
            self._verdicts.keep([keys[k] for k in new], place[new], found)
        seen = self.prior.whole.queries(view, known.competence, known.reply_shift)
        return Fused(seen, self._verdicts.at(place))


def _grown(array: NDArray[np.float32], n_rows: int, width: int) -> NDArray[np.float32]:
    grown = np.empty((n_rows, width), dtype=np.float32)
    if len(array):
        grown[: len(array)] = array
    return grown


def _keys(view: View, *, untold: NDArray[np.bool_]) -> list[bytes]:
    """What verdicts depend on: the query, whether its task is told, and who was asked."""
    parts = [
        np.ascontiguousarray(view.position, dtype=np.int64)[:, None].view(np.uint8),
        np.packbits(np.concatenate([untold[:, None], view.asked], axis=1), axis=1),
    ]
    joined = np.ascontiguousarray(np.concatenate(parts, axis=1))
    keys: list[bytes] = joined.view(f"V{joined.shape[1]}")[:, 0].tolist()
    return keys
