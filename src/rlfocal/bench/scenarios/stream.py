"""Replay a stream in blocks, with the labels that an adapting policy knows at each block's start.

Labels arrive block by block: a block is answered before any of its labels is seen. The window holds
the answers of *all* members to the latest labelled queries: it assumes that all members were asked
those queries, whatever the policy asked; these calls are not counted.

Axes: Q queries of the stream, N members, W queries of the window.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from rlfocal.bench.scenarios.edits import joined
from rlfocal.deliberation.base import Base
from rlfocal.deliberation.protocol import Outcome
from rlfocal.deliberation.replay import replay
from rlfocal.deliberation.view import Decision, Memory, View
from rlfocal.deliberation.wrapper import Wrapper
from rlfocal.records import ResponseTable

__all__ = [
    "Fit",
    "LabelledStream",
    "StreamSettings",
    "walk_refit",
    "walk_windowed",
    "walk_with_memory",
]

Fit = Callable[[ResponseTable, int], Base]
"""Fits a new strategy on labelled queries, given the position in the stream."""


@dataclass(frozen=True, kw_only=True)
class StreamSettings:
    """Settings of streams and of their labels.

    Raises:
        ValueError: a number below 1.
    """

    block: int = 5
    """Labels arrive after so many queries."""
    window: int = 100
    """W: labelled queries that are remembered."""
    refit_every: int = 100
    """A strategy is fitted anew after so many labelled queries."""
    orders: int = 1
    """Streams that are made of a fold's test queries, each in an order of its own."""
    retrain: bool = False
    """Whether strategies that train for long are fitted anew, too."""

    def __post_init__(self) -> None:
        for name in ("block", "window", "refit_every", "orders"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")


class LabelledStream:
    """The labelled queries behind each position of a stream: training ones, then the stream's own.

    Args:
        train: training queries, in any order that is not sorted by task.
        stream: the stream.
        absent: a member that was not asked the first training queries; -1 for none.
        since: the first training query that it was asked.
    """

    def __init__(
        self,
        train: ResponseTable,
        stream: ResponseTable,
        *,
        absent: int = -1,
        since: int = 0,
    ) -> None:
        self.n_train = train.n_queries
        self._table = joined(train, stream)
        self._absent, self._since = absent, since

    def latest(self, position: int, window: int) -> ResponseTable:
        """The latest labelled queries before `position` that all members were asked.

        At most `window` of them.
        """
        end = self.n_train + position
        return self._table.take(np.arange(max(self._since, end - window), end))

    def memory(self, position: int, window: int) -> Memory:
        """The latest `window` labelled queries before `position`, as a policy remembers them."""
        end = self.n_train + position
        rows = np.arange(max(0, end - window), end)
        memory = Memory.of(self._table.take(rows), window)
        members = np.arange(memory.member_score.shape[1])
        unasked = (rows < self._since)[:, None] & (members == self._absent)
        return replace(memory, member_score=np.where(unasked, np.nan, memory.member_score))


def walk_with_memory(
    policy: Base, stream: ResponseTable, history: LabelledStream, settings: StreamSettings
) -> Outcome:
    """Replay a frozen policy on a stream while the memory that it follows slides."""

    def step(position: int) -> Base:
        return policy.follow(history.memory(position, settings.window))

    return _walk(stream, settings.block, step)


def walk_windowed(
    fit: Fit, stream: ResponseTable, history: LabelledStream, settings: StreamSettings
) -> Outcome:
    """Fit a strategy on the window alone, anew for every block."""

    def step(position: int) -> Base:
        return fit(history.latest(position, settings.window), position)

    return _walk(stream, settings.block, step)


def walk_refit(
    policy: Base,
    fit: Fit,
    stream: ResponseTable,
    history: LabelledStream,
    settings: StreamSettings,
    points: Sequence[int],
) -> Outcome:
    """Refit a strategy at some positions, on the latest of training and stream queries.

    The number of queries stays that of training: each new one replaces the oldest.

    Args:
        policy: fitted on the training queries; acts until the first new fit.
        fit: fits its successors.
        stream: the stream.
        history: training and stream.
        settings: the size of the blocks.
        points: positions at or soon after which it is fitted anew, rising.
    """
    acting, due = policy, list(points)

    def step(position: int) -> Base:
        nonlocal acting
        if due and position >= due[0]:
            while due and position >= due[0]:
                due.pop(0)
            acting = fit(history.latest(position, history.n_train), position)
        return acting

    return _walk(stream, settings.block, step)


def _walk(stream: ResponseTable, block: int, step: Callable[[int], Base]) -> Outcome:
    parts = []
    for position in range(0, stream.n_queries, block):
        rows = np.arange(position, min(position + block, stream.n_queries))
        parts.append(replay(_Placed(step(position), position), stream.take(rows)))
    whole: dict[str, Any] = {
        item.name: np.concatenate([getattr(part, item.name) for part in parts])
        for item in fields(Outcome)
    }
    return Outcome(**whole)


class _Placed(Wrapper):
    """A fitted strategy that sees positions of queries in the stream, not in their block."""

    def __init__(self, strategy: Base, first: int) -> None:
        super().__init__(strategy)
        self._first = first

    def decide(self, view: View) -> Decision:
        return self.within.decide(replace(view, position=view.position + self._first))
