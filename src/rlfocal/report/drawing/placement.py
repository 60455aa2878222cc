"""Where names stand beside what they name, so that no two overlap.

Each name takes the best free place around its anchor, the important ones first: near, and on as few
marks and lines as can be. A name without a free place is left out; the legend has it.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from rlfocal.numbers import Float64Array

__all__ = ["Box", "Label", "Spot", "place"]

_RADII = (9.0, 16.0, 26.0, 38.0, 54.0, 74.0, 98.0)
_DIRECTIONS = (
    (1.0, 0.0), (0.7, -0.7), (0.7, 0.7), (-1.0, 0.0), (-0.7, -0.7), (-0.7, 0.7), (0.0, -1.0),
    (0.0, 1.0),
)  # fmt: skip
"""In order of preference: to the right, as text runs on from a line's end."""
_DISTANCE_COST, _DIRECTION_COST, _ANCHOR_COST = 0.12, 0.15, 0.5
"""Of a pixel away, of a less preferred direction, of another anchor than the first; lying on an
obstacle costs its weight."""
_LEADER_FROM = 20.0
"""A name farther away than this is tied to its anchor by a thin line."""
_STEP = 5.0
"""Lines are obstacles at points so far apart."""


class Box(NamedTuple):
    """A rectangle, y downwards."""

    left: float
    top: float
    right: float
    bottom: float

    def overlaps(self, other: Box) -> bool:
        """Whether they share more than an edge."""
        return (
            self.left < other.right
            and other.left < self.right
            and self.top < other.bottom
            and other.top < self.bottom
        )

    def within(self, other: Box) -> bool:
        """Whether it lies inside another, edges included."""
        return (
            other.left <= self.left
            and self.right <= other.right
            and other.top <= self.top
            and self.bottom <= other.bottom
        )


@dataclass(frozen=True)
class Label:
    """A name that wants a place."""

    anchors: tuple[tuple[float, float], ...]
    """Points of what it names, any of which it may stand beside; the best first."""
    width: float
    height: float


class Spot(NamedTuple):
    """The place of a name."""

    box: Box
    anchor: str
    """"start", "middle" or "end": the side of the box at which its text is held."""
    leader: tuple[tuple[float, float], tuple[float, float]] | None
    """A line that ties it to what it names, where that is far off."""

    @property
    def x(self) -> float:
        """Where the text is held."""
        middle = (self.box.left + self.box.right) / 2
        return {"start": self.box.left, "end": self.box.right}.get(self.anchor, middle)


def place(
    labels: Sequence[Label],
    *,
    area: Box,
    lines: Sequence[tuple[Sequence[tuple[float, float]], float]] = (),
    taken: Sequence[Box] = (),
) -> list[Spot | None]:
    """Find places that overlap neither each other nor what is taken, inside an area.

    Args:
        labels: the most important first.
        area: where they may stand.
        lines: what they should rather not hide: points through which a line runs, a single one for
            a mark, and how bad it is to lie on it (1 is usual).
        taken: boxes that must stay free.

    Returns:
        A spot for each label, None where none was free.
    """
    obstacles, weights = _obstacles(lines)
    boxes, spots = list(taken), list[Spot | None]()
    for label in labels:
        best, cost = None, np.inf
        for spot, extra in _candidates(label):
            if extra >= cost or not spot.box.within(area):
                continue
            if any(spot.box.overlaps(box) for box in boxes):
                continue
            found = extra + _hidden(spot.box, obstacles, weights)
            if found < cost:
                best, cost = spot, found
        spots.append(best)
        if best is not None:
            boxes.append(best.box)
    return spots


def _candidates(label: Label) -> list[tuple[Spot, float]]:
    """Spots around the anchors with the cost of their distance and direction, cheapest first."""
    found = []
    for turn, (at_x, at_y) in enumerate(label.anchors):
        for radius in _RADII:
            for rank, (dx, dy) in enumerate(_DIRECTIONS):
                x, y = at_x + dx * radius, at_y + dy * radius
                anchor = "start" if dx > 0 else "end" if dx < 0 else "middle"
                left = x - label.width * {"start": 0, "middle": 0.5, "end": 1}[anchor]
                # Straight above and below, the box ends at the radius; beside, it is centred on it.
                top = y - label.height * (0.5 if dx else 1 if dy < 0 else 0)
                box = Box(left, top, left + label.width, top + label.height)
                leader = ((at_x, at_y), (x, y)) if radius >= _LEADER_FROM else None
                cost = _DISTANCE_COST * (radius - _RADII[0]) + _DIRECTION_COST * rank
                found.append((Spot(box, anchor, leader), cost + _ANCHOR_COST * bool(turn)))
    return sorted(found, key=lambda pair: pair[1])


def _obstacles(
    lines: Sequence[tuple[Sequence[tuple[float, float]], float]],
) -> tuple[Float64Array, Float64Array]:
    """Points along all lines, float64[K, 2], and float64[K] weights."""
    points, weights = [np.empty((0, 2))], [np.empty(0)]
    for line, weight in lines:
        ends = np.asarray(line, dtype=np.float64)
        found = [ends]
        for start, end in itertools.pairwise(ends):
            count = int(np.hypot(*(end - start)) / _STEP)
            shares = np.arange(1, count)[:, None] / max(count, 1)
            found.append(start + shares * (end - start))
        points.append(np.concatenate(found))
        weights.append(np.full(len(points[-1]), weight))
    return np.concatenate(points), np.concatenate(weights)


def _hidden(box: Box, points: Float64Array, weights: Float64Array) -> float:
    x, y = points[:, 0], points[:, 1]
    inside = (x > box.left) & (x < box.right) & (y > box.top) & (y < box.bottom)
    return float(weights[inside].sum())
