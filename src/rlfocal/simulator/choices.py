"""Draw members' answers from the properties of a pool.

Every answer is the likeliest, to that member, of the right answer and the wrong ones: an argmax
over logits plus Gumbel noise. Members err together because queries are hard for all, because wrong
answers are popular or traps, because topics suit some and not others, and because near-copies use
the same noise. An offset per member is solved so that accuracies come out as drawn. Readers change
their answers after that (`readers`).

Axes: Q queries of one stream, N members, S internal slots (0: right), C candidates, F families.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rlfocal.readers import Reads
from rlfocal.records import BoolArray, FloatArray, IntArray
from rlfocal.simulator.ranges import PoolSpec
from rlfocal.simulator.readers import after_reading

__all__ = ["SimulatedPool", "draw_answers"]

_N_NEWTON = 30
_IMPOSSIBLE = np.float32(-1e9)
_MOST_SHIFT = 5.0
"""No reply is said to move its log-odds further than this."""


class SimulatedPool(NamedTuple):
    """A pool's answers to a stream of queries, with their scores."""

    answer: NDArray[np.int16]
    """int16[Q, N]: candidate; -1 = no usable answer."""
    support: FloatArray
    """float32[R, N, C] of the last R queries: how strongly each member backs each candidate."""
    exists: BoolArray
    """bool[Q, C]."""
    worth: FloatArray
    """float32[Q, C]: 1 at the right answer, if it is there."""
    task: IntArray
    """int64[Q] in 0..T-1."""
    cost: FloatArray
    """float32[Q, N], positive; mean about 1."""
    is_open: bool
    """Whether candidates exist only once they are given."""
    reply_shift: FloatArray
    """float32[Q, N]: how far each reply itself is said to move its log-odds of being right; 0
    everywhere where replies are not read."""
    reads: Reads | None = None
    """Who of the members reads whom; None where nobody does."""

    @property
    def member_score(self) -> FloatArray:
        """float32[Q, N]: 1 where the member was right."""
        taken = np.take_along_axis(self.worth, np.maximum(self.answer, 0).astype(np.int64), axis=1)
        return np.where(self.answer >= 0, taken, np.float32(0))


def draw_answers(
    spec: PoolSpec, n_queries: int, *, rng: np.random.Generator, n_graded: int | None = None
) -> SimulatedPool:
    """Let a pool answer a stream of queries.

    Args:
        spec: what the pool is like.
        n_queries: Q.
        rng: source of all randomness.
        n_graded: R, the last queries whose supports are wanted; None for all.
    """
    task = rng.choice(len(spec.task_share), size=n_queries, p=spec.task_share)
    difficulty = spec.difficulty_sd * rng.standard_normal(n_queries) + spec.task_difficulty[task]
    place = _places(spec, task, rng)
    logit = _logits(spec, task, difficulty, place, rng)
    usable = rng.random((n_queries, spec.n_members)) >= _silence(spec, difficulty)
    logit[:, :, 0] += _offsets(logit, usable, spec)[None, :]
    noise, copied = _noise(spec, logit.shape, rng)
    logit += noise
    slot = logit.argmax(axis=2)
    graded = None
    rows = np.arange(n_queries - (n_queries if n_graded is None else n_graded), n_queries)
    if spec.graded != "none":
        graded = _graded(spec, logit[rows], slot[rows], rng)
    slot, full = _tell_singletons_apart(spec, slot, copied)
    if spec.readers is not None:
        slot, usable = after_reading(spec.readers, slot, usable, *rng.spawn(1))
    answer, exists, rank = _number(slot, usable, place, full, spec.is_open, rng)
    support = _supports(spec, answer[rows], graded, rank[rows], copied[rows], exists[rows])
    if spec.readers is not None and graded is not None:
        read = spec.readers.reads.is_reader
        support[:, read] = answer[rows][:, read, None] == np.arange(support.shape[2])
    right = usable & (slot == 0)
    reply_shift = _reply_shift(spec, right, usable, difficulty, rng)
    cost = spec.price * np.exp(rng.normal(0, spec.price_jitter, answer.shape))
    return SimulatedPool(
        answer=answer,
        support=support,
        exists=exists,
        worth=((rank[:, :1] == np.arange(exists.shape[1])) & exists).astype(np.float32),
        task=task.astype(np.int64),
        cost=cost.astype(np.float32),
        is_open=spec.is_open,
        reply_shift=reply_shift,
        reads=None if spec.readers is None else spec.readers.reads,
    )


def _places(spec: PoolSpec, task: IntArray, rng: np.random.Generator) -> IntArray:
    """int64[Q, S]: position of every option; options that a query lacks come last."""
    n_slots = int(spec.n_options.max())
    order = rng.random((len(task), n_slots))
    order[np.arange(n_slots) >= spec.n_options[task][:, None]] += 1.0
    return np.asarray(order.argsort(axis=1).argsort(axis=1))


def _logits(
    spec: PoolSpec, task: IntArray, difficulty: NDArray[np.float64], place: IntArray,
    rng: np.random.Generator,
) -> FloatArray:  # fmt: skip
    """float32[Q, N, S (+ 1 for an answer of one's own)], without offsets and noise."""
    n_queries, n_shared = place.shape
    n_members = spec.n_members
    n_slots = n_shared + spec.is_open
    wrong = spec.popularity_sd * rng.standard_normal((n_queries, n_shared), dtype=np.float32)
    wrong[:, 0] = 0.0
    wrong[np.arange(n_shared) >= spec.n_options[task][:, None]] = _IMPOSSIBLE
    logit = np.empty((n_queries, n_members, n_slots), dtype=np.float32)
    logit[:, :, :n_shared] = wrong[:, None, :]
    if spec.is_open:
        logit[:, :, -1] = spec.singleton
    elif spec.position_sd > 0:
        taste = spec.position_sd * rng.standard_normal((n_members, n_shared), dtype=np.float32)
        # [N, Q, S] -> [Q, N, S]
        logit[:, :, :n_shared] += taste[:, place].transpose(1, 0, 2)
    if spec.family_sd > 0 and spec.copying.any():
        n_families = int(spec.family.max()) + 1
        shared = rng.standard_normal((n_queries, n_families, n_shared), dtype=np.float32)
        logit[:, :, :n_shared] += np.float32(spec.family_sd) * shared[:, spec.family]
    trapped = rng.random(n_queries) < spec.trap_share
    standing = (spec.accuracy - spec.accuracy.mean()) / (spec.accuracy.std() + 1e-6)
    logit[trapped, :, 1] += (spec.trap_strength + spec.trap_lean * standing).astype(np.float32)
    topic = rng.integers(len(spec.topic_skill), size=n_queries)
    ability = spec.task_skill[task] + spec.topic_skill[topic]
    ability -= difficulty[:, None] * spec.difficulty_slope
    logit[:, :, 0] += (ability + _drift(spec, n_queries)).astype(np.float32)
    return logit


def _drift(spec: PoolSpec, n_queries: int) -> NDArray[np.float64]:
    """float64[Q, N]: each member's drift so far."""
    time = np.arange(n_queries) / max(1, n_queries - 1)
    gained = (time > 0.5).astype(float) if spec.drift_is_sudden else time
    return np.asarray((gained - 0.5)[:, None] * spec.drift)


def _silence(spec: PoolSpec, difficulty: NDArray[np.float64]) -> NDArray[np.float64]:
    """float64[Q, N]: chance of no usable answer; twice as high one deviation up in difficulty."""
    harder = difficulty - difficulty.mean()
    weight = np.exp(np.log(2) * np.clip(harder / (harder.std() + 1e-9), -3, 3))
    return np.asarray(np.minimum(spec.abstain * (weight / weight.mean())[:, None], 0.9))


def _offsets(logit: FloatArray, usable: BoolArray, spec: PoolSpec) -> FloatArray:
    """float32[N]: added to the right answer, they make the mean chance of it the accuracy.

    With Gumbel noise the chance is a softmax, so the mean is monotone in the offset; bisection
    finds it without care for flat ends.
    """
    wrong = logit[:, :, 1:]
    top = wrong.max(axis=2)
    odds = logit[:, :, 0] - top - np.log(np.exp(wrong - top[:, :, None]).sum(axis=2))
    count = np.maximum(usable.sum(axis=0), 1)
    low, high = np.full(spec.n_members, -40.0), np.full(spec.n_members, 40.0)
    for _ in range(_N_NEWTON):
        middle = (low + high) / 2
        chance = 1 / (1 + np.exp(-np.clip(odds + middle.astype(np.float32), -60, 60)))
        above = (chance * usable).sum(axis=0) / count > spec.accuracy
        low, high = np.where(above, low, middle), np.where(above, middle, high)
    return np.asarray((low + high) / 2, dtype=np.float32)


def _noise(
    spec: PoolSpec, shape: tuple[int, ...], rng: np.random.Generator
) -> tuple[FloatArray, BoolArray]:
    """Gumbel noise float32[Q, N, S], and bool[Q, N] where it is the family's."""
    n_queries, n_members, n_slots = shape
    noise = -np.log(rng.standard_exponential(shape, dtype=np.float32) + np.float32(1e-20))
    copied = np.zeros((n_queries, n_members), dtype=bool)
    if spec.copying.any():
        copied = rng.random((n_queries, n_members)) < spec.copying
        n_families = int(spec.family.max()) + 1
        shared = rng.standard_exponential((n_queries, n_families, n_slots), dtype=np.float32)
        shared = -np.log(shared + np.float32(1e-20))
        noise = np.where(copied[:, :, None], shared[:, spec.family], noise)
    return noise, copied


def _graded(
    spec: PoolSpec, noisy: FloatArray, slot: IntArray, rng: np.random.Generator
) -> FloatArray:
    """float32[R, N, S]: graded support over internal slots."""
    scaled = (noisy - noisy.max(axis=2, keepdims=True)) / spec.temperature[:, None]
    chance = np.exp(scaled).astype(np.float64)
    chance /= chance.sum(axis=2, keepdims=True)
    if spec.graded == "samples":
        counts = rng.multinomial(spec.n_samples, chance).astype(np.float64)
        # The answer is the most frequent sample, so it has at least as many as any other.
        top = counts.max(axis=2, keepdims=True)
        np.put_along_axis(counts, slot[:, :, None], top, axis=2)
        chance = counts / counts.sum(axis=2, keepdims=True)
    return np.asarray(chance, dtype=np.float32)


def _reply_shift(
    spec: PoolSpec, right: BoolArray, usable: BoolArray, difficulty: NDArray[np.float64],
    rng: np.random.Generator,
) -> FloatArray:  # fmt: skip
    """float32[Q, N]: what a score of the replies says, calibrated but for its stretch and noise.

    A reply's score is normal, higher where the reply is right and lower on hard queries; the shift
    is its log likelihood ratio, which knows of both.
    """
    if not spec.reads_replies:
        return np.zeros(right.shape, dtype=np.float32)
    harder = (difficulty - difficulty.mean()) / (difficulty.std() + 1e-9)
    score = spec.reply_tells * right - spec.reply_tells_difficulty * harder[:, None]
    score += rng.standard_normal(right.shape)
    wrong = usable & ~right
    of_right, of_wrong = (_mean_of(score, part) for part in (right, wrong))
    spread = np.where(right, score - of_right, score - of_wrong) * usable
    variance = (spread**2).sum(axis=0) / np.maximum(usable.sum(axis=0), 1) + 1e-3
    ratio = (of_right - of_wrong) / variance * (score - (of_right + of_wrong) / 2)
    shift = np.exp(spec.reply_stretch) * ratio
    shift += spec.reply_noise * rng.standard_normal(right.shape)
    return np.asarray(np.clip(shift, -_MOST_SHIFT, _MOST_SHIFT) * usable, dtype=np.float32)


def _mean_of(score: NDArray[np.float64], part: BoolArray) -> NDArray[np.float64]:
    """float64[N]: mean of a member's scores over a part of its replies, drawn towards that of all.

    Few replies of a part say little, and none at all say nothing of its difference.
    """
    total = score.mean(axis=0)
    return np.asarray(((score * part).sum(axis=0) + total) / (part.sum(axis=0) + 1))


def _tell_singletons_apart(
    spec: PoolSpec, slot: IntArray, copied: BoolArray
) -> tuple[IntArray, int]:
    """An answer of one's own is the family's where its noise was: int64[Q, N] and how many slots.

    Slots then are the shared ones, one per member, one per family.
    """
    n_shared = int(spec.n_options.max())
    if not spec.is_open:
        return slot, n_shared
    return np.where(slot == n_shared, _own_slot(spec, copied), slot), (
        n_shared + spec.n_members + int(spec.family.max()) + 1
    )


def _own_slot(spec: PoolSpec, copied: BoolArray) -> IntArray:
    """int64[Q, N]: the slot of an answer of one's own."""
    first = int(spec.n_options.max())
    alone = first + np.arange(spec.n_members)
    return np.where(copied, first + spec.n_members + spec.family, alone)


def _number(
    slot: IntArray,
    usable: BoolArray,
    place: IntArray,
    full: int,
    is_open: bool,
    rng: np.random.Generator,
) -> tuple[NDArray[np.int16], BoolArray, IntArray]:
    """Number the candidates: answers int16[Q, N], exists bool[Q, C], and int64[Q, S'] per slot.

    Options keep their places; free-form answers given by members come in random order.
    """
    rows = np.arange(len(slot))[:, None]
    if is_open:
        used = np.zeros((len(slot), full), dtype=bool)
        used[np.broadcast_to(rows, slot.shape)[usable], slot[usable]] = True
        order = rng.random(used.shape, dtype=np.float32) + ~used
        rank = order.argsort(axis=1).argsort(axis=1)
        count = used.sum(axis=1)
    else:
        rank, count = place, np.full(len(slot), place.shape[1])
    exists = np.arange(max(1, int(count.max()))) < count[:, None]
    answer = np.where(usable, rank[rows, slot], -1).astype(np.int16)
    return answer, exists, rank


def _supports(
    spec: PoolSpec, answer: NDArray[np.int16], graded: FloatArray | None, rank: IntArray,
    copied: BoolArray, exists: BoolArray,
) -> FloatArray:  # fmt: skip
    """float32[R, N, C]: one-hot at the answer, or graded."""
    n_candidates = exists.shape[1]
    if graded is None:
        return np.asarray(answer[:, :, None] == np.arange(n_candidates), dtype=np.float32)
    n_rows, n_members, n_slots = graded.shape
    n_shared = int(spec.n_options.max())
    rows, members = np.arange(n_rows)[:, None, None], np.arange(n_members)[None, :, None]
    where = np.broadcast_to(rank[:, None, :n_shared], (n_rows, n_members, n_shared))
    if n_slots > n_shared:
        own = np.take_along_axis(rank, _own_slot(spec, copied), axis=1)
        where = np.concatenate([where, own[:, :, None]], axis=2)
    width = max(n_candidates, int(where.max()) + 1)
    support = np.zeros((n_rows, n_members, width), dtype=np.float32)
    np.add.at(support, (rows, members, where), graded)
    # A sample that is no member's answer is no candidate here; its share is dropped.
    support = support[:, :, :n_candidates] * (answer >= 0)[:, :, None] * exists[:, None, :]
    total = support.sum(axis=2, keepdims=True)
    return np.asarray(support / np.maximum(total, 1e-9), dtype=np.float32)
