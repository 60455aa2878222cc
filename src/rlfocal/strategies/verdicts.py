"""Which of several strategies acts at each price: by what each earned on queries not fitted on.

The first of them acts unless another one's lead exceeds its standard error: the luckiest of several
leads often, and a lead that may be luck changes nothing.

Axes: P prices, Q queries.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from rlfocal.deliberation.base import Base
from rlfocal.deliberation.progress import Progress
from rlfocal.deliberation.protocol import Spec, State
from rlfocal.deliberation.registry import create_strategy
from rlfocal.deliberation.replay import replay
from rlfocal.deliberation.state import Row
from rlfocal.executor import Executor, SerialExecutor
from rlfocal.records import FloatArray, IntArray, ResponseTable

__all__ = [
    "POINTS", "Candidate", "Choice", "Judged", "Judging", "Rival", "Verdict", "deciding",
    "out_of_fold", "settle", "verdict_arrays", "verdict_rows", "verdicts_from",
]  # fmt: skip


POINTS = "Points are right answers in a hundred, less the price of the calls they took."
"""The unit in which verdicts compare."""
_LEVEL = 0.05
"""Points that round to none."""
_SAME = 1e-3
"""Prices whose logarithms differ by less are one: some were written as float32."""
_WHERE = "in cross-validation on the training queries"
_CALLED = {"learned": "the learned policy", "everybody": "asking everybody"}


def _called(name: str) -> str:
    """A policy's name for people; those of strategies stand as they are."""
    return _CALLED.get(name, name)


class Verdict(NamedTuple):
    """The strategy that acts at one price, and the evidence."""

    price: float
    chosen: str
    """Name of the strategy that acts."""
    incumbent: str
    """The one that would act without evidence."""
    utility: float
    """Mean out-of-fold utility of the incumbent: score less price times cost, less rounds."""
    rival: str
    """The best of the others."""
    rival_utility: float
    standard_error: float
    """Of the paired difference between the two."""

    def explain(self) -> str:
        """One sentence for people.

        >>> Verdict(0.002, "learned", "learned", 0.60, "stacking", 0.616, 0.029).explain()
        'the learned policy acts: in cross-validation on the training queries stacking, the best \
of the others, earned 1.6 points more (standard error 2.9), not clearly enough to take its place'
        """
        who, other = _called(self.chosen), _called(self.rival)
        gap = 100 * (self.rival_utility - self.utility)
        if self.rival == self.incumbent or not math.isfinite(gap):
            return f"{who} acts: nothing else could be compared with it in training"
        error = f"(standard error {100 * self.standard_error:.1f})"
        if self.chosen != self.incumbent:
            return (
                f"{who} acts in place of {_called(self.incumbent)}: it earned {gap:.1f} points "
                f"more {error} {_WHERE}"
            )
        told = f"{who} acts: {_WHERE} {other}, the best of the others, earned"
        if abs(gap) < _LEVEL:
            return f"{told} as much {error}"
        if gap < 0:
            return f"{told} {-gap:.1f} points less {error}"
        told = f"{told} {gap:.1f} points more {error}"
        if gap <= 100 * self.standard_error:
            return f"{told}, not clearly enough to take its place"
        # Few queries judge, prices on either side disagree, or the policy has learned since.
        return f"{told}, but not surely enough here to take its place"


class Judged(NamedTuple):
    """What a candidate earned on queries that it was not fitted on."""

    score: FloatArray
    """float32[P, Q]; NaN where it was not measured."""
    cost: FloatArray
    """float32[P, Q], in average calls."""
    charged: FloatArray | float = 0.0
    """float32[P, Q]: what its rounds cost."""

    def utility(self, prices: FloatArray) -> FloatArray:
        """float32[P, Q]."""
        return np.asarray(self.score - prices[:, None] * self.cost - self.charged)


class Candidate(NamedTuple):
    """A fitted strategy that may act."""

    strategy: Base
    one_by_one: bool = False
    """Whether it asks one member a round, so that each of its calls costs a round, too."""

    def at(self, price: float, round_price: float = 0.0) -> Base:
        """The strategy at a price, or at the nearest that it knows; itself where it has no price.

        Where calls cost nothing none is spared, whatever a round costs.
        """
        if self.strategy.dial != "price":
            return self.strategy
        if self.one_by_one and price > 0:
            price += round_price
        dials = self.strategy.dials
        price = max(price, min(dials, default=price))
        try:
            return self.strategy.at(price)
        except ValueError:
            return self.strategy.at(min(price, max(dials)))


def deciding(verdicts: Sequence[Verdict], price: float) -> list[int]:
    """Places of the verdicts that say who acts at a price, the nearest first.

    Of a price with a verdict of its own that one, else those of the two nearest; 0 is only near
    itself.
    """
    known = np.array([verdict.price for verdict in verdicts])
    if price == 0:
        return [int(known.argmin())]
    with np.errstate(divide="ignore"):  # 0 is infinitely far from every other price
        gap = np.abs(np.log(known / price))
    near: list[int] = gap.argsort(kind="stable")[: min(2, np.count_nonzero(known))].tolist()
    return near[:1] if gap[near[0]] < _SAME else near


class Choice(NamedTuple):
    """The verdicts, and the candidates fitted on all training queries."""

    verdicts: tuple[Verdict, ...]
    """One for each price."""
    candidates: Mapping[str, Candidate]
    round_price: float = 0.0
    """mu: what a round costs, as a fraction of a right answer's worth."""

    def at(self, price: float) -> tuple[Verdict, Base | None]:
        """The verdict at a price and the strategy that acts; None for none of the candidates."""
        verdict = self.verdict(price)
        found = self.candidates.get(verdict.chosen)
        return verdict, None if found is None else found.at(price, self.round_price)

    def verdict(self, price: float) -> Verdict:
        """The verdict at the nearest price; 0 is only near itself.

        Between two prices that disagree the incumbent acts.
        """
        near = deciding(self.verdicts, price)
        nearest, other = self.verdicts[near[0]], self.verdicts[near[-1]]
        if nearest.chosen == other.chosen:
            return nearest
        return nearest._replace(chosen=nearest.incumbent)

    def each(self, change: Callable[[Base], Base]) -> Self:
        """The same with every candidate changed."""
        changed = {n: c._replace(strategy=change(c.strategy)) for n, c in self.candidates.items()}
        return self._replace(candidates=changed)


class Rival(NamedTuple):
    """A strategy, not fitted yet, that is judged."""

    spec: Spec
    one_by_one: bool = False
    """See `Candidate`."""


class Judging(NamedTuple):
    """Who is judged, on what."""

    rivals: Mapping[str, Rival]
    table: ResponseTable
    """Labelled training queries."""
    fold: IntArray
    """int64[Q'], of every query of the table."""
    rows: IntArray
    """int64[Q], those that judge."""
    prices: Sequence[float]
    """P of them."""
    unit_cost: float
    """Cost that counts as one call, in the table's unit."""
    round_price: float = 0.0
    """mu."""


class _Part(NamedTuple):
    """A strategy, and the fold that it is not fitted on."""

    name: str
    fold: int

    def __str__(self) -> str:
        return f"{self.name}, without inner fold {self.fold}"


def out_of_fold(
    judging: Judging,
    *,
    executor: Executor | None = None,
    on_progress: Callable[[Progress], None] | None = None,
) -> dict[str, Judged]:
    """Replay strategies on training queries, each fitted without the query's fold.

    Args:
        judging: who, on what.
        executor: where they are fitted; None for here. It changes no figure.
        on_progress: called after each fit, and before the first.
    """
    tell = on_progress or (lambda _: None)
    folds = np.unique(judging.fold[judging.rows]).tolist()
    parts = [_Part(name, k) for name in judging.rivals for k in folds]
    shape = len(judging.prices), len(judging.rows)
    judged = {
        name: Judged(*(np.zeros(shape, dtype=np.float32) for _ in range(3)))
        for name in judging.rivals
    }
    tell(Progress("rivals", 0, len(parts)))
    found = (executor or SerialExecutor()).map(_judge, parts, shared=judging)
    for done, (index, part) in enumerate(found, start=1):
        name, k = parts[index]
        for whole, own in zip(judged[name], part, strict=True):
            assert isinstance(whole, np.ndarray)
            whole[:, judging.fold[judging.rows] == k] = own
        tell(Progress("rivals", done, len(parts)))
    return judged


def _judge(judging: Judging, part: _Part) -> Judged:
    """What one earned on the queries of a fold."""
    rival, table, prices = judging.rivals[part.name], judging.table, judging.prices
    fitted = create_strategy(rival.spec).fit(
        table.take(judging.fold != part.fold), rng=np.random.default_rng(0)
    )
    candidate = Candidate(fitted, rival.one_by_one)
    test = table.take(judging.rows[judging.fold[judging.rows] == part.fold])
    played = [
        replay(candidate.at(price, judging.round_price), test)
        for price in (prices if fitted.dial == "price" else prices[:1])
    ]
    # One without a price does the same at all.
    played *= len(prices) // len(played)
    unit_cost, round_price = np.float32(judging.unit_cost), judging.round_price
    return Judged(
        np.stack([one.score for one in played]).astype(np.float32),
        np.stack([one.cost / unit_cost for one in played]).astype(np.float32),
        np.stack([round_price * one.n_rounds for one in played]).astype(np.float32),
    )


def settle(
    judged: Mapping[str, Judged],
    prices: Sequence[float],
    *,
    free: Collection[str],
    clear: float = np.inf,
) -> tuple[Verdict, ...]:
    """Which acts at each price: the first candidate, unless another did clearly better.

    Args:
        judged: the candidates, on the same queries, in the same order.
        prices: P of them.
        free: those that stand where calls cost nothing.
        clear: standard error up to which one of them is lead enough; with k times it, k of them
            are.
    """
    grid = np.array(prices, dtype=np.float32)
    utility = {name: found.utility(grid).astype(np.float64) for name, found in judged.items()}
    return tuple(
        _verdict(
            {n: u[p] for n, u in utility.items() if price > 0 or n in free}, float(price), clear
        )
        for p, price in enumerate(prices)
    )  # fmt: skip


def _verdict(utility: Mapping[str, NDArray[np.float64]], price: float, clear: float) -> Verdict:
    """One price; utilities are float64[Q], NaN where not measured."""
    incumbent, *others = utility
    own = utility[incumbent]
    mean = float(own[~np.isnan(own)].mean())
    if not others:
        return Verdict(price, incumbent, incumbent, mean, incumbent, mean, 0.0)
    means = {name: _mean_beside(utility[name], own) for name in others}
    rival = max(means, key=means.__getitem__)
    both = ~np.isnan(utility[rival]) & ~np.isnan(own)
    gap = (utility[rival] - own)[both]
    error = float(gap.std() / np.sqrt(len(gap))) if len(gap) else np.inf
    leads = len(gap) > 0 and gap.mean() > error * max(1.0, error / clear)
    return Verdict(
        price=price,
        chosen=rival if leads else incumbent,
        incumbent=incumbent,
        utility=mean,
        rival=rival,
        rival_utility=means[rival],
        standard_error=error,
    )


def _mean_beside(found: NDArray[np.float64], incumbent: NDArray[np.float64]) -> float:
    """Mean utility of a rival, as if it had been measured wherever the incumbent was.

    Where it was not, it is taken to differ by what it differs by elsewhere; minus infinity where it
    was measured nowhere beside the incumbent.
    """
    both = ~np.isnan(found) & ~np.isnan(incumbent)
    if both.all():
        return float(found.mean())
    if not both.any():
        return -np.inf
    return float((found - incumbent)[both].mean() + incumbent[~np.isnan(incumbent)].mean())


# Verdicts as arrays -------------------------------------------------------------------------------


def verdict_arrays(verdicts: Sequence[Verdict], names: Sequence[str]) -> State:
    """Verdicts as arrays; names by their place in `names`."""
    who = [[names.index(name) for name in (v.chosen, v.incumbent, v.rival)] for v in verdicts]
    evidence = [(v.utility, v.rival_utility, v.standard_error) for v in verdicts]
    return {
        "acting": np.array(who, dtype=np.int64),
        "evidence": np.array(evidence, dtype=np.float64),
    }


def verdicts_from(
    arrays: Mapping[str, NDArray[Any]], names: Sequence[str], prices: Sequence[float]
) -> tuple[Verdict, ...]:
    """Undo `verdict_arrays`."""
    pairs = zip(arrays["acting"].tolist(), arrays["evidence"].tolist(), strict=True)
    return tuple(
        Verdict(price, names[acting], names[incumbent], own, names[rival], other, error)
        for price, ((acting, incumbent, rival), (own, other, error)) in zip(
            prices, pairs, strict=True
        )
    )


def verdict_rows(n_names: int) -> dict[str, Row]:
    """What the arrays of verdicts must be like; P is the number of prices."""
    return {
        "acting": Row("int64", "P3", low=0, high=n_names - 1),
        "evidence": Row("float64", "P3", finite=False),
    }
