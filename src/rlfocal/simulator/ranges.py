"""Properties of simulated pools, members and queries, and the ranges they are drawn from.

The ranges are wide on purpose: any real pool should lie inside them. They were set by looking at
the spread of recorded pools (`benchmarks/simulator.py`), never fitted to one.

Axes: N members, T tasks (shown to strategies), G topics (hidden from them), K option places.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, TypedDict

import numpy as np
from numpy.typing import NDArray

from rlfocal.simulator.readers import ReaderSpec, draw_readers

__all__ = ["VERSION", "PoolSpec", "draw_pool"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

VERSION = 3
"""Raised whenever the ranges or the way answers are drawn change."""

_MAX_OPTIONS = 19


@dataclass(frozen=True, eq=False)
class PoolSpec:
    """One pool. Effects are in logits, on the scale where a member's own noise is Gumbel(1)."""

    accuracy: Floats
    """float64[N] in (0, 1): share of a member's answers that are right, over the whole stream; of a
    reader, of its own answers, which it may not give."""
    is_open: bool
    """True for free-form answers, False for multiple choice."""
    n_options: Ints
    """int64[T]: options per query of a task; for free-form, 1 + the shared wrong answers."""
    task_share: Floats
    """float64[T]: how often each task comes."""
    task_difficulty: Floats
    """float64[T]."""
    task_skill: Floats
    """float64[T, N]: how much better a member is on a task than elsewhere."""
    topic_skill: Floats
    """float64[G, N]: the same for hidden topics."""
    difficulty_sd: float
    """Spread of the queries' difficulty, felt by all members."""
    difficulty_slope: Floats
    """float64[N], positive: how much of it each member feels."""
    family: Ints
    """int64[N]: members of a family share noise."""
    copying: Floats
    """float64[N] in [0, 1): chance that an answer uses the family's noise instead of its own."""
    family_sd: float
    """Spread of what a family finds likely beyond the query itself."""
    popularity_sd: float
    """Spread of the wrong answers' popularity within a query."""
    trap_share: float
    """Share of queries with a trap."""
    trap_strength: float
    """How popular the trap's wrong answer is."""
    trap_lean: float
    """How much more so among good members."""
    singleton: float
    """Log weight of a wrong answer that no other member gives; free-form only."""
    position_sd: float
    """Spread of the members' bias for option positions; multiple choice only."""
    abstain: Floats
    """float64[N] in [0, 1): share of queries without a usable answer, more on hard ones."""
    graded: Literal["none", "scores", "samples"]
    """Whether option scores or sample frequencies are known."""
    temperature: Floats
    """float64[N]: how flat a member's graded support is; 1 is calibrated noise."""
    n_samples: int
    """Samples behind a frequency."""
    price: Floats
    """float64[N], positive, mean 1: price of a call."""
    price_jitter: float
    """Spread of the log price over queries."""
    drift: Floats
    """float64[N]: how much a member gains from the start of the stream to its end."""
    drift_is_sudden: bool
    """A step in the middle instead of a slope."""
    reads_replies: bool
    """Whether replies say more than their answers do."""
    reply_tells: Floats
    """float64[N], 0 or more: how far, in standard deviations, right replies of a member stand from
    its wrong ones on equally hard queries."""
    reply_tells_difficulty: float
    """The same of queries one deviation harder: what they say of the query itself."""
    reply_stretch: float
    """Log of how much too far their log-odds are taken to move; negative for not far enough."""
    reply_noise: float
    """Spread of what a score learned by chance adds to that, in log-odds."""
    readers: ReaderSpec | None = None
    """Members that read others; None where nobody does."""

    @property
    def n_members(self) -> int:
        """N."""
        return len(self.accuracy)


def draw_pool(
    rng: np.random.Generator,
    *,
    n_members: int | None = None,
    is_open: bool | None = None,
    graded: bool | None = None,
    readers: bool = False,
) -> PoolSpec:
    """Draw the properties of a pool.

    Args:
        rng: source of all randomness.
        n_members: N in 2..48; None draws it, mostly 3 to 24.
        is_open: free-form or multiple choice; None draws it.
        graded: whether graded support may be known; None draws it.
        readers: whether some members read others; all else is drawn as without.
    """
    if n_members is None:
        n_members = draw_size(rng)
    if not 2 <= n_members <= 48:
        raise ValueError(f"n_members must lie in 2..48, got {n_members}")
    if is_open is None:
        is_open = bool(rng.random() < 0.5)
    if graded is None:
        graded = bool(rng.random() < 0.25)
    family = _families(rng, n_members)
    n_tasks = 1 if rng.random() < 0.4 else int(rng.integers(2, 25))
    n_options = _options(rng, n_tasks, is_open=is_open)
    accuracy = _accuracies(rng, family, 0.0 if is_open else 1 / float(n_options.mean()))
    n_topics = int(rng.integers(1, 13))
    copying = np.zeros(n_members)
    if len(np.unique(family)) < n_members:
        copying[:] = np.clip(rng.uniform(0.1, 1.0) + rng.normal(0, 0.1, n_members), 0, 0.98)
    skill_sd = rng.uniform(0, 0.9) if n_tasks > 1 else 0.0
    traps = rng.random() < 0.7
    skewed = rng.random() < 0.25
    spec = PoolSpec(
        accuracy=accuracy,
        is_open=is_open,
        n_options=n_options,
        task_share=rng.dirichlet(np.full(n_tasks, 3.0)),
        task_difficulty=rng.normal(0, rng.uniform(0, 1.5), n_tasks),
        task_skill=rng.normal(0, skill_sd, (n_tasks, n_members)),
        topic_skill=rng.normal(0, rng.uniform(0, 1.2), (n_topics, n_members)),
        difficulty_sd=float(rng.uniform(0.1, 3.5)),
        difficulty_slope=np.exp(rng.normal(0, rng.uniform(0, 0.35), n_members)),
        family=family,
        copying=copying,
        family_sd=float(rng.uniform(0, 1.5)),
        popularity_sd=float(rng.uniform(0.2, 2.5)),
        trap_share=float(rng.uniform(0.02, 0.25)) if traps else 0.0,
        trap_strength=float(rng.uniform(1, 5)),
        trap_lean=float(rng.uniform(0, 1)),
        singleton=float(rng.uniform(-2.5, 2.5)),
        position_sd=float(rng.uniform(0, 1)),
        abstain=_abstentions(rng, accuracy),
        graded="none" if not graded else ("samples" if is_open else "scores"),
        temperature=np.exp(rng.normal(0, 0.4, n_members) + rng.uniform(-0.4, 0.8)),
        n_samples=int(rng.integers(4, 33)),
        price=_prices(rng, accuracy),
        price_jitter=float(rng.uniform(0, 0.5)),
        drift=rng.normal(0, 1.2, n_members) * (rng.random(n_members) < 0.5) * skewed,
        drift_is_sudden=bool(rng.random() < 0.5),
        **_replies(rng, n_members),
    )
    return _with_readers(spec, *rng.spawn(1)) if readers else spec


def _with_readers(spec: PoolSpec, rng: np.random.Generator) -> PoolSpec:
    """The same pool in which some members read others; reading costs more."""
    found = draw_readers(rng, spec.n_members)
    if found is None:
        return spec
    dearer = np.where(found.reads.is_reader, np.exp(rng.uniform(-0.3, 1.0)), 1.0)
    price = spec.price * dearer
    return replace(spec, readers=found, price=price / price.mean())


class _Replies(TypedDict):
    reads_replies: bool
    reply_tells: Floats
    reply_tells_difficulty: float
    reply_stretch: float
    reply_noise: float


def _replies(rng: np.random.Generator, n_members: int) -> _Replies:
    """Replies that are not read, that say something, or that seem to: a score may be worth nothing.

    On sums a learned score tells right from wrong with an AUC of .8 (1.2 deviations), on code with
    next to none.
    """
    level = 0.0 if rng.random() < 0.25 else rng.uniform(0, 2)
    noisy = rng.random() < 0.5
    return {
        "reads_replies": bool(rng.random() < 0.6),
        "reply_tells": level * np.exp(rng.normal(0, 0.3, n_members)),
        "reply_tells_difficulty": float(rng.uniform(0, 1.5)) if rng.random() < 0.7 else 0.0,
        "reply_stretch": float(rng.normal(-0.1, 0.25)),
        "reply_noise": float(rng.uniform(0, 0.6)) if noisy else 0.0,
    }


def draw_size(rng: np.random.Generator) -> int:
    """Number of members: 2 to 48, mostly 3 to 24, small ones more often."""
    if rng.random() < 0.06:
        return int(rng.integers(25, 49))
    return int(np.clip(round(np.exp(rng.uniform(np.log(2.2), np.log(24.5)))), 2, 24))


def _families(rng: np.random.Generator, n_members: int) -> Ints:
    if rng.random() < 0.45:
        return np.arange(n_members)
    n_families = int(rng.integers(1, n_members + 1))
    share = rng.dirichlet(np.full(n_families, rng.uniform(0.5, 4)))
    return np.asarray(rng.choice(n_families, size=n_members, p=share), dtype=np.int64)


def _options(rng: np.random.Generator, n_tasks: int, *, is_open: bool) -> Ints:
    if is_open:
        return np.full(n_tasks, rng.integers(3, 12), dtype=np.int64)
    same = rng.choice([2, 3, 4, 5, 10, int(rng.integers(2, _MAX_OPTIONS + 1))])
    if n_tasks == 1 or rng.random() < 0.5:
        return np.full(n_tasks, same, dtype=np.int64)
    return rng.integers(2, rng.integers(3, _MAX_OPTIONS + 1) + 1, size=n_tasks)


def _accuracies(rng: np.random.Generator, family: Ints, chance: float) -> Floats:
    """float64[N]: similar within families, sometimes with one member far above the rest."""
    n_members = len(family)
    level, spread = rng.uniform(0.05, 0.97), np.exp(rng.uniform(np.log(0.08), np.log(1.8)))
    kinship = rng.uniform(0.3, 0.97) if len(np.unique(family)) < n_members else 0.0
    shared = rng.normal(size=family.max() + 1)[family]
    ability = np.sqrt(kinship) * shared + np.sqrt(1 - kinship) * rng.normal(size=n_members)
    logit = np.log(level / (1 - level)) + spread * ability
    if rng.random() < 0.15:
        logit[rng.integers(n_members)] += rng.uniform(0.5, 2.5)
    floor = 0.8 * chance
    return np.asarray(np.clip(floor + (1 - floor) / (1 + np.exp(-logit)), 0.04, 0.985))


def _abstentions(rng: np.random.Generator, accuracy: Floats) -> Floats:
    n_members = len(accuracy)
    if rng.random() < 0.35:
        return np.zeros(n_members)
    level = np.exp(rng.uniform(np.log(0.001), np.log(0.15)))
    weak = np.exp(-rng.uniform(0, 1) * 3 * (accuracy - accuracy.mean()))
    return np.asarray(np.clip(level * weak * np.exp(rng.normal(0, 0.8, n_members)), 0, 0.5))


def _prices(rng: np.random.Generator, accuracy: Floats) -> Floats:
    """float64[N], mean 1: equal in half the pools; in the others good members cost more."""
    n_members = len(accuracy)
    if rng.random() < 0.5:
        return np.ones(n_members)
    standing = (accuracy - accuracy.mean()) / (accuracy.std() + 1e-9)
    spread, lean = rng.uniform(0.1, 1.6), rng.uniform(0, 1)
    log_price = spread * (lean * standing + np.sqrt(1 - lean**2) * rng.normal(size=n_members))
    price = np.exp(log_price)
    return np.asarray(price / price.mean())
