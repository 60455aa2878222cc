"""Simulated readers: members that see the answers of others before they give theirs.

A reader draws an answer of its own, as every member does; nobody sees it. What it says then depends
on what it is shown: where all of that is alike it mostly says the same, where a right answer stands
beside wrong ones it follows that one or is led astray, and where none is right it takes one of them
or stays with its own. A judge always takes one of those shown. Position bias is noise here: now and
then a reader takes any of those shown, whatever it says.

Axes: Q queries, N members.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rlfocal.numbers import log_odds, sigmoid
from rlfocal.readers import Reads
from rlfocal.records import BoolArray, IntArray

__all__ = ["ReaderSpec", "after_reading", "draw_readers"]

Floats = NDArray[np.float64]

_FORMS = ("judge", "aggregate", "debate", "refine")
_LEAST = 0.001


@dataclass(frozen=True, eq=False)
class ReaderSpec:
    """The readers of a pool; what stands at the places of other members means nothing."""

    reads: Reads
    """Who reads whom; who has a `first` takes that member's answer for its own."""
    follows: Floats
    """float64[N] in (0, 1): chance that a reader says what is right where half of what it is shown
    is right; otherwise it takes a wrong answer."""
    leans: Floats
    """float64[N], 0 or more: how far the log-odds of that rise where all is right, and fall where
    next to nothing is."""
    conforms: Floats
    """float64[N]: chance that it says what it is shown where all of that is alike."""
    strays: Floats
    """float64[N]: chance that it takes one of those shown where they are unlike and none is right.
    """
    guesses: Floats
    """float64[N]: chance that it takes any of those shown where they are unlike."""


def draw_readers(rng: np.random.Generator, n_members: int) -> ReaderSpec | None:
    """Draw which members read whom, and how well; None in a pool of two.

    Up to a third of the members read, mostly two to five others each, now and then another reader.
    """
    if n_members < 3:
        return None
    order = rng.permutation(n_members)
    n_readers = int(rng.integers(1, max(1, n_members // 3) + 1))
    plain, readers = order[n_readers:], order[:n_readers]
    direct = np.zeros((n_members, n_members), dtype=bool)
    first, forms = np.full(n_members, -1), [""] * n_members
    for place, reader in enumerate(readers.tolist()):
        forms[reader] = form = str(rng.choice(_FORMS))
        n_read = 1 if form == "refine" else int(rng.integers(2, max(2, min(5, len(plain))) + 1))
        read = rng.choice(plain, size=min(n_read, len(plain)), replace=False)
        direct[reader, read] = True
        if form in ("debate", "refine"):
            first[reader] = read[0]
        if place and rng.random() < 0.2:
            direct[reader, readers[place - 1]] = True
    judges = np.array([form == "judge" for form in forms])
    level = rng.uniform(0.3, 0.95)

    def drawn(middle: float, spread: float) -> Floats:
        return sigmoid(log_odds(np.array(middle), least=_LEAST) + rng.normal(0, spread, n_members))

    follows, conforms, strays = drawn(level, 0.6), drawn(0.93, 1.0), drawn(0.5, 1.2)
    return ReaderSpec(
        reads=Reads.of_arrays([f"member-{n + 1}" for n in range(n_members)], direct, first, forms),
        follows=follows,
        leans=rng.uniform(0, 3, n_members),
        conforms=np.where(judges, 1.0, conforms),
        strays=np.where(judges, 1.0, strays),
        guesses=np.where(rng.random(n_members) < 0.5, rng.uniform(0, 0.5, n_members), 0.0),
    )


def after_reading(
    spec: ReaderSpec, slot: IntArray, usable: BoolArray, rng: np.random.Generator
) -> tuple[IntArray, BoolArray]:
    """What members say once readers have read: answers int64[Q, N], and whether they are usable.

    Args:
        spec: the readers.
        slot: int64[Q, N], each member's own answer; 0 is right.
        usable: bool[Q, N], whether it gives one at all.
        rng: source of all randomness.
    """
    slot, usable = slot.copy(), usable.copy()
    reads = spec.reads
    for reader in np.argsort(reads.stage, kind="stable"):
        if reads.direct[reader].any():
            own = reader if reads.first[reader] < 0 else reads.first[reader]
            slot[:, reader], usable[:, reader] = _said(spec, reader, own, slot, usable, rng)
    return slot, usable


def _said(
    spec: ReaderSpec,
    reader: int,
    own: int,
    slot: IntArray,
    usable: BoolArray,
    rng: np.random.Generator,
) -> tuple[IntArray, BoolArray]:
    """int64[Q] and bool[Q]: of one reader."""
    read = spec.reads.direct[reader]
    shown, given = slot[:, read], usable[:, read]
    right = given & (shown == 0)
    n_given = np.maximum(given.sum(axis=1), 1)
    share = right.sum(axis=1) / n_given
    key = rng.random(shown.shape)
    rows = np.arange(len(slot))
    any_of = shown[rows, (key * given).argmax(axis=1)]
    wrong_of = shown[rows, (key * (given & ~right)).argmax(axis=1)]
    alike = ~(given & (shown != any_of[:, None])).any(axis=1)
    usual = log_odds(spec.follows[reader], least=_LEAST)
    follows = rng.random(len(slot)) < sigmoid(usual + spec.leans[reader] * (2 * share - 1))
    conforms, strays, guesses = (
        rng.random(len(slot)) < part[reader] for part in (spec.conforms, spec.strays, spec.guesses)
    )
    mixed = np.where(follows, 0, wrong_of)
    takes = np.where(share > 0, True, strays) | guesses
    unlike = np.where(guesses, any_of, np.where(share > 0, mixed, wrong_of))
    takes = np.where(alike, conforms, takes) & given.any(axis=1)
    said = np.where(takes, np.where(alike, any_of, unlike), slot[:, own])
    return said, usable[:, reader] & (takes | usable[:, own])
