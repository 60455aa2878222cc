"""Batches of simulated pools to train on: pools of one size, with statistics and queries of each.

Labelled queries (0 to a thousand of each pool) only enter as statistics; the queries to answer come
after them in the pool's stream, so that drift occurs as in use.

Axes: P pools, B queries of each, N members, C candidates.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from rlfocal.agents.prior.fusion import Pools, Queries, tempered
from rlfocal.agents.prior.reading import Readers
from rlfocal.agents.prior.statistics import Counts, Statistics
from rlfocal.simulator import SimulatedPool, draw_answers, draw_pool
from rlfocal.simulator.ranges import draw_size

__all__ = ["PoolBatch", "draw_labels", "draw_pool_batch", "subsets"]

_CONTEXTS = 2
"""Different numbers of labels of one pool, each with queries of its own."""
_MOST_LABELS = 1000
_MOST_ODDS = 5.3
"""No member is taken to be surer to be right, or wrong, than this, in log-odds."""


class Reading(NamedTuple):
    """Who reads whom in P pools, and how far that moves what readers are taken for."""

    direct: Tensor
    """float32[P, N, N]: 1 where a member (row) reads another (column)."""
    before: Tensor
    """float32[P, B, N]: shift of the log-odds once all whom it reads have been asked; 0 for who
    reads nobody. See `Readers`."""
    after: Tensor
    """float32[P, B, N]: the same once it has answered, too."""

    def ready(self, asked: Tensor) -> Tensor:
        """bool[P, B, N]: who can be asked now."""
        return (~asked).float() @ self.direct.swapaxes(1, 2) == 0

    def shift(self, asked: Tensor, answered: Tensor) -> Tensor:
        """float32[P, B, N]: shift of the log-odds with these members asked."""
        return torch.where(answered, self.after, self.before) * self.ready(asked)


class PoolBatch(NamedTuple):
    """P pools with the same number of members."""

    pools: Pools
    log_odds: Tensor
    """float32[P, B, N]."""
    is_open: Tensor
    """bool[P, B]."""
    answered: Tensor
    """bool[P, B, N]: whether asking brings a usable answer."""
    support: Tensor
    """float32[P, B, N, C]."""
    exists: Tensor
    """bool[P, B, C]."""
    worth: Tensor
    """float32[P, B, C]: hidden from agents."""
    member_score: Tensor
    """float32[P, B, N]: hidden from agents."""
    charge: Tensor
    """float32[P, B, N]: cost of asking, in units of the pool's mean."""
    relative_cost: Tensor
    """float32[P, N]: mean cost of a call, as known beforehand."""
    reply_shift: Tensor
    """float32[P, B, N]: how far each reply, once given, moves the log-odds of its being right."""
    reading: Reading | None = None
    """None where nobody reads."""

    def reveal(self, asked: Tensor) -> Queries:
        """The queries once the members `asked` (bool[P, B, N]) were asked."""
        answered = self.answered & asked
        support = self.support * answered[..., None]
        given = (support > 0).any(2)
        available = torch.where(self.is_open[..., None], given, self.exists)
        shift = self.reply_shift * answered
        log_odds = (self.log_odds + shift).clamp(-_MOST_ODDS, _MOST_ODDS)
        if self.reading is not None:
            log_odds = log_odds + self.reading.shift(asked, answered)
            log_odds = log_odds.clamp(-_MOST_ODDS, _MOST_ODDS)
        return Queries(log_odds, self.is_open, asked, answered, support, available, shift)

    def ready(self, asked: Tensor) -> Tensor | None:
        """bool[P, B, N]: who can be asked now; None where nobody reads."""
        return None if self.reading is None else self.reading.ready(asked)

    def targets(self, seen: Queries) -> Tensor:
        """float32[P, B, C + 1]: worth of available candidates; last, of "none of these"."""
        worth = self.worth * seen.available
        none = (1 - worth.amax(2, keepdim=True)) * self.is_open[..., None]
        return torch.cat([worth, none], dim=2)


def draw_labels(rng: np.random.Generator) -> int:
    """Number of labelled queries: sometimes none, else 3 to 1,000 with few more often."""
    if rng.random() < 0.1:
        return 0
    return int(np.exp(rng.uniform(np.log(3), np.log(_MOST_LABELS + 0.5))))


def draw_pool_batch(
    rng: np.random.Generator,
    *,
    n_pools: int,
    n_queries: int,
    n_members: int | None = None,
    n_labels: int | None = None,
    readers: bool = False,
) -> PoolBatch:
    """Draw pools of one size and kind.

    Args:
        rng: source of all randomness.
        n_pools: P, an even number.
        n_queries: B.
        n_members: N; None draws it.
        n_labels: labelled queries of each; None draws them.
        readers: whether some of the members read others.
    """
    n_members = draw_size(rng) if n_members is None else n_members
    is_open, graded = bool(rng.random() < 0.5), bool(rng.random() < 0.3)
    parts: list[_Part] = []
    for _ in range(max(1, n_pools // _CONTEXTS)):
        labels = [draw_labels(rng) if n_labels is None else n_labels for _ in range(_CONTEXTS)]
        spec = draw_pool(rng, n_members=n_members, is_open=is_open, graded=graded, readers=readers)
        n_stream = max(labels) + _CONTEXTS * n_queries
        pool = draw_answers(spec, n_stream, rng=rng, n_graded=_CONTEXTS * n_queries)
        n_tasks = len(spec.task_share)
        for i, n in enumerate(labels):
            part = _part(pool, n, max(labels), i * n_queries, n_queries, n_tasks)
            if spec.graded == "scores":
                part = part._replace(support=_miscalibrated(part, n, n_tasks, rng))
            parts.append(part)
    return _stack(parts, is_open=is_open)


class _Part(NamedTuple):
    statistics: Statistics
    task: np.ndarray
    answer: np.ndarray
    support: np.ndarray
    exists: np.ndarray
    worth: np.ndarray
    member_score: np.ndarray
    charge: np.ndarray
    reply_shift: np.ndarray
    reading: _ReadingOfPart | None


class _ReadingOfPart(NamedTuple):
    direct: np.ndarray
    before: np.ndarray
    after: np.ndarray


def _part(
    pool: SimulatedPool, n_labels: int, first: int, offset: int, n_queries: int, n_tasks: int
) -> _Part:
    """The last `n_labels` before query `first` as statistics, and queries from there on."""
    past = slice(first - n_labels, first)
    score = pool.member_score
    counts = Counts.of(pool.answer[past], score[past], pool.task[past], n_tasks)
    relative = np.ones(pool.answer.shape[1], dtype=np.float32)
    unit = 1.0
    if n_labels:
        mean = pool.cost[past].mean(axis=0)
        unit = float(mean.mean())
        relative = mean / np.float32(unit)
    rows = slice(first + offset, first + offset + n_queries)
    statistics = Statistics.of(counts, relative)
    return _Part(
        statistics, pool.task[rows], pool.answer[rows],
        pool.support[offset : offset + n_queries], pool.exists[rows], pool.worth[rows],
        score[rows], pool.cost[rows] / np.float32(unit), pool.reply_shift[rows],
        _reading(pool, past, rows, statistics),
    )  # fmt: skip


def _reading(
    pool: SimulatedPool, past: slice, rows: slice, statistics: Statistics
) -> _ReadingOfPart | None:
    """Of the queries `rows`, by what labels of the queries `past` say of readers."""
    if pool.reads is None:
        return None
    answer, score = pool.answer[past], pool.member_score[past]
    counted = Readers.of(pool.reads, answer, score, np.ones(len(answer), dtype=bool))
    shift = counted.shift(statistics.log_odds[-1])
    said = pool.answer[rows]
    ready = np.ones(said.shape, dtype=bool)
    before = np.zeros(said.shape, dtype=np.float32)
    for reader in np.flatnonzero(pool.reads.is_reader):
        seen = said.copy()
        seen[:, reader] = -1
        before[:, reader] = counted.moved(shift, seen, ready)[:, reader]
    return _ReadingOfPart(pool.reads.direct, before, counted.moved(shift, said, ready))


def _miscalibrated(
    part: _Part, n_labels: int, n_tasks: int, rng: np.random.Generator
) -> np.ndarray:
    """float32[B, N, C]: supports as a calibration on few labels leaves them.

    Temperatures are off by task and member and options by task and place, the more so the fewer
    labels a task had, and rather towards too much confidence.
    """
    spread = rng.uniform(0.2, 1.5) / np.sqrt(1 + n_labels / (6 * n_tasks))
    shape = (n_tasks, part.answer.shape[1])
    off = rng.standard_normal(shape) + rng.standard_normal(shape[1]) + rng.uniform(0, 1.5)
    taste = rng.uniform(0, 1) * rng.standard_normal((n_tasks, part.support.shape[2]))
    top = part.support.max(axis=2, keepdims=True)
    power = (part.support / np.maximum(top, 1e-9)) ** np.exp(spread * off)[part.task][:, :, None]
    power = power * np.exp(spread * taste)[part.task][:, None, :]
    total = power.sum(axis=2, keepdims=True)
    return tempered(power / np.maximum(total, 1e-9), part.answer, n_labels)


def _stack(parts: list[_Part], *, is_open: bool) -> PoolBatch:
    width = max(part.exists.shape[1] for part in parts)

    def wide(arrays: list[np.ndarray]) -> Tensor:
        padded = [np.pad(a, [(0, 0)] * (a.ndim - 1) + [(0, width - a.shape[-1])]) for a in arrays]
        return torch.from_numpy(np.stack(padded))

    def plain(arrays: list[np.ndarray]) -> Tensor:
        return torch.from_numpy(np.stack(arrays))

    return PoolBatch(
        pools=Pools(
            plain([p.statistics.member for p in parts]), plain([p.statistics.pair for p in parts])
        ),
        log_odds=plain([p.statistics.log_odds[p.task] for p in parts]),
        is_open=torch.full((len(parts), len(parts[0].task)), is_open),
        answered=plain([p.answer >= 0 for p in parts]),
        support=wide([p.support for p in parts]),
        exists=wide([p.exists for p in parts]),
        worth=wide([p.worth for p in parts]),
        member_score=plain([p.member_score for p in parts]),
        charge=plain([p.charge for p in parts]),
        relative_cost=plain([p.statistics.relative_cost for p in parts]),
        reply_shift=plain([p.reply_shift for p in parts]),
        reading=_stack_reading([p.reading for p in parts]),
    )


def _stack_reading(parts: list[_ReadingOfPart | None]) -> Reading | None:
    known = [part for part in parts if part is not None]
    if not known:
        return None
    direct, before, after = (
        torch.from_numpy(np.stack(arrays).astype(np.float32)) for arrays in zip(*known, strict=True)
    )
    return Reading(direct, before, after)


def subsets(pool_batch: PoolBatch, generator: torch.Generator) -> Tensor:
    """bool[P, B, N], never empty: small ones often; half of them prefer accurate members."""
    shape = tuple(pool_batch.log_odds.shape)
    n_members = shape[2]
    rows = (*shape[:2], 1)
    few = torch.rand(rows, generator=generator) < 0.5
    most = torch.where(few, min(6, n_members), n_members)
    size = 1 + (torch.rand(rows, generator=generator) * most).long().clamp_max(n_members - 1)
    noise = torch.rand(shape, generator=generator)
    lean = (torch.rand(rows, generator=generator) < 0.5) * 3.0
    rank = (noise + lean * pool_batch.log_odds).argsort(dim=2, descending=True).argsort(dim=2)
    return _as_called(pool_batch, rank < size)


def _as_called(pool_batch: PoolBatch, masks: Tensor) -> Tensor:
    """bool[P, B, N]: masks that can occur: see `agents.fusion.fitting.as_called`."""
    if pool_batch.reading is None:
        return masks
    n_steps, direct = int(masks.shape[2]), pool_batch.reading.direct
    kept, added = masks, masks
    for _ in range(n_steps):
        kept, before = kept & pool_batch.reading.ready(kept), kept
        if bool((kept == before).all()):
            break
    for _ in range(n_steps):
        added, before = added | (added.float() @ direct > 0), added
        if bool((added == before).all()):
            break
    return torch.where(kept.any(2, keepdim=True), kept, added)
