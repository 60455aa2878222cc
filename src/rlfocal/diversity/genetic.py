"""Evolve ensembles where there are too many to try: tournament, crossover, mutation, elite.

The first population holds the ensembles that greedy forward selection passes through, the rest is
random. Whenever the population stops improving, its best ensemble is polished by adding, dropping
or swapping one member; the search ends when that no longer helps either, so what it returns is at
least a local optimum (unless `max_generations` ends it first). The same generator state gives the
same search.

Source: the genetic pruning of large pools in LLM-TOPLA, arXiv:2410.03953; textbook operators.
Departures: greedy seeds and the final polish.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rlfocal.diversity.masks import BoolArray, FloatArray
from rlfocal.diversity.ranking import ScoreBook, rank

__all__ = ["Evolution"]


@dataclass(frozen=True, kw_only=True)
class Evolution:
    """Settings of the genetic search.

    Attributes:
        population: ensembles alive at once.
        elite: the best of them, which survive unchanged.
        tournament: ensembles drawn, the best of which becomes a parent.
        mutations_per_child: members that a child gains or loses by chance, on average.
        patience: generations without improvement before the best is polished.
        max_generations: the end, whatever happens.
    """

    population: int = 128
    elite: int = 8
    tournament: int = 3
    mutations_per_child: float = 1.0
    patience: int = 15
    max_generations: int = 500

    def __post_init__(self) -> None:
        """Refuse settings that cannot work.

        Raises:
            ValueError: a number out of range.
        """
        if not 1 <= self.elite < self.population:
            raise ValueError(
                f"elite must be in 1..population - 1, got {self.elite} of {self.population}"
            )
        if min(self.tournament, self.patience, self.max_generations) < 1:
            raise ValueError(f"tournament, patience and max_generations must be >= 1, got {self}")
        if self.mutations_per_child < 0:
            raise ValueError(f"mutations_per_child must be >= 0, got {self.mutations_per_child}")

    def run(self, book: ScoreBook, *, sizes: tuple[int, int], rng: np.random.Generator) -> None:
        """Search; what was found stands in the book.

        Args:
            book: the objective, and the memory of its answers.
            sizes: least and most members of an ensemble, inclusive.
            rng: drives every random choice.
        """
        seeds = np.concatenate([_greedy_path(book, sizes), _random_masks(book, self, sizes, rng)])
        alive, scores = self._select(seeds, book(seeds))
        stale = 0
        for _ in range(self.max_generations):
            children = self._children(alive, scores, sizes, rng)
            before = scores[0]
            pool = np.concatenate([alive[: self.elite], children])
            alive, scores = self._select(pool, book(pool))
            stale = 0 if scores[0] > before else stale + 1
            if stale < self.patience:
                continue
            polished = _polish(book, alive[0], sizes)
            if book(polished[None])[0] <= scores[0]:
                return
            alive[-1] = polished
            alive, scores = self._select(alive, book(alive))
            stale = 0

    def _select(self, masks: BoolArray, scores: FloatArray) -> tuple[BoolArray, FloatArray]:
        """Rank, and let the best live on."""
        order = rank(masks, scores)[: self.population]
        return masks[order], scores[order]

    def _children(
        self,
        alive: BoolArray,
        scores: FloatArray,
        sizes: tuple[int, int],
        rng: np.random.Generator,
    ) -> BoolArray:
        """Breed population - elite ensembles of tournament winners."""
        n_children, n_members = self.population - self.elite, alive.shape[1]
        drawn = rng.integers(len(alive), size=(n_children, 2, self.tournament))
        mother, father = drawn.min(axis=2).T  # alive is ranked: the lowest index wins
        from_mother = rng.random((n_children, n_members)) < 0.5
        children = np.where(from_mother, alive[mother], alive[father])
        children ^= rng.random(children.shape) < self.mutations_per_child / n_members
        return _resize(children, sizes, rng)


def _random_masks(
    book: ScoreBook, settings: Evolution, sizes: tuple[int, int], rng: np.random.Generator
) -> BoolArray:
    """Random ensembles, each size equally likely: coins per member give middle sizes only."""
    share = rng.integers(sizes[0], sizes[1], endpoint=True, size=(settings.population, 1))
    masks = rng.random((settings.population, book.n_members)) < share / book.n_members
    return _resize(masks, sizes, rng)


def _resize(masks: BoolArray, sizes: tuple[int, int], rng: np.random.Generator) -> BoolArray:
    """Drop or add random members until every ensemble has sizes[0] to sizes[1] of them."""
    target = masks.sum(axis=1).clip(*sizes)
    priority = rng.random(masks.shape) + ~masks  # members before the others, else at random
    place = priority.argsort(axis=1).argsort(axis=1)
    resized: BoolArray = place < target[:, None]
    return resized


def _greedy_path(book: ScoreBook, sizes: tuple[int, int]) -> BoolArray:
    """Best ensemble of up to two members, then one member more at a time; sizes in range only."""
    everyone = np.eye(book.n_members, dtype=np.bool_)
    starts = everyone
    if sizes[1] > 1:  # alone, all members may score the same: begin with every pair as well
        first, second = np.triu_indices(book.n_members, 0 if sizes[0] == 1 else 1)
        starts = everyone[first] | everyone[second]
    current = starts[rank(starts, book(starts))[0]]
    path = [current]
    while current.sum() < sizes[1]:
        grown = current | everyone[~current]
        current = grown[rank(grown, book(grown))[0]]
        path.append(current)
    return np.array([mask for mask in path if mask.sum() >= sizes[0]])


def _polish(book: ScoreBook, mask: BoolArray, sizes: tuple[int, int]) -> BoolArray:
    """Climb by the best single addition, removal or swap until none improves the score."""
    flip = np.eye(len(mask), dtype=np.bool_)
    while True:
        inside, outside = np.flatnonzero(mask), np.flatnonzero(~mask)
        swaps = mask ^ (flip[inside][:, None] | flip[outside][None]).reshape(-1, len(mask))
        near = np.concatenate([mask[None], mask ^ flip, swaps])
        size = near.sum(axis=1)
        near = near[(size >= sizes[0]) & (size <= sizes[1])]
        scores = book(near)
        best = rank(near, scores)[0]
        if scores[best] <= scores[0]:
            return mask
        mask = near[best]
