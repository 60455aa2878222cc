"""What a policy over spans sees: question, text so far, what the models would go on with.

Axes: M models, S features of the whole, F features of each model.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rlfocal.murmur import murmur
from rlfocal.pool.blends.voices import END, Proposal
from rlfocal.pool.blends.weighing import Situation, entropy

__all__ = ["N_OF_MODEL", "N_SHARED", "Seen", "seen"]

_WORD = re.compile(r"[a-z]+|\d|[^\sa-z\d]")
_PROMPT, _TAIL = 48, 16
"""Places that words of the prompt, and of the end of the text, are hashed to."""
_TAIL_BYTES = 48
_LONG_SPANS, _LONG_TEXT = 32, 512
"""At which their features are about 1."""
N_SHARED = 4 + _PROMPT + _TAIL
N_OF_MODEL = 7
_Floats = NDArray[np.float32]


class Seen(NamedTuple):
    """One situation as numbers, most of them within -1 and 1."""

    shared: _Floats
    """float32[S]."""
    of_model: _Floats
    """float32[M, F]."""


def seen(situation: Situation) -> Seen:
    """Look at a situation."""
    at, size = situation.span, len(situation.text)
    place = [at / _LONG_SPANS, np.log1p(at) / np.log1p(_LONG_SPANS),
             np.log1p(size) / np.log1p(_LONG_TEXT), float(at == 0)]  # fmt: skip
    tail = situation.text[-_TAIL_BYTES:].decode("utf-8", "replace")
    shared = np.concatenate([place, _hashed(situation.prompt, _PROMPT), _hashed(tail, _TAIL)])
    of_model = [
        _of_model(proposal, [p for p in situation.proposals if p is not proposal])
        for proposal in situation.proposals
    ]
    return Seen(shared.astype(np.float32), np.array(of_model, dtype=np.float32))


def _of_model(proposal: Proposal | None, others: list[Proposal | None]) -> list[float]:
    if proposal is None:
        return [0.0] * (N_OF_MODEL - 1) + [1.0]
    ranked = sorted(proposal.pieces.items(), key=lambda named: -named[1])
    best, p = ranked[0]
    second = ranked[1][1] if len(ranked) > 1 else 0.0
    heard = [other.pieces.get(best, 0.0) for other in others if other is not None]
    agreed = sum(heard) / len(heard) if heard else 0.0
    unsure = entropy(proposal) / 5
    return [unsure, p, p - second, proposal.rest, proposal.pieces.get(END, 0.0), agreed, 0.0]


@lru_cache(maxsize=4096)
def _hashed(text: str, n_places: int) -> NDArray[np.float64]:
    """float64[n_places]: how often words fall on each, with a sign by hash; of length 1."""
    words = [word.encode() for word in _WORD.findall(text.lower())]
    found = np.zeros(n_places)
    if words:
        code = murmur(words)
        np.add.at(found, np.abs(code) % n_places, np.where(code < 0, -1.0, 1.0))
    norm = float(np.linalg.norm(found))
    return found / norm if norm else found
