"""`best-of`: several strategies are fitted, and at each price the one that did best out of fold acts.

Every candidate is judged on training queries that it was not fitted on. The first of them acts
unless another one's lead exceeds its standard error: the luckiest of several leads often, and a
lead that may be luck changes nothing. `rl-focal` chooses by the same rule between what it has
learned and simple strategies, on evidence of its own.

Axes: P prices, Q queries.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from rlfocal.deliberation.base import Acting, Base
from rlfocal.deliberation.protocol import Spec, State, unmet
from rlfocal.deliberation.registry import create_strategy
from rlfocal.deliberation.replay import replay
from rlfocal.deliberation.state import Row, nested, prefixed, without_prefix
from rlfocal.deliberation.view import Decision, Memory, View
from rlfocal.errors import NotApplicable
from rlfocal.records import FloatArray, IntArray, ResponseTable
from rlfocal.records.inner import inner_folds

__all__ = [
    "BestOf", "Candidate", "Choice", "Judged", "Verdict", "out_of_fold", "settle", "verdict_arrays",
    "verdict_rows", "verdicts_from",
]  # fmt: skip

_PRICES = (0.001, 0.3)
"""Least and highest lambda: the range of `rl-focal`'s dial."""


class Verdict(NamedTuple):
    """Who acts at one price, and on what evidence."""

    price: float
    chosen: str
    """Who acts."""
    incumbent: str
    """Who acts without evidence."""
    utility: float
    """Mean out-of-fold utility of the incumbent: score less price times cost, less rounds."""
    rival: str
    """The best of the others."""
    rival_utility: float
    standard_error: float
    """Of the paired difference between the two."""

    def explain(self) -> str:
        """One sentence for people."""
        gap = 100 * (self.rival_utility - self.utility)
        found = f"{gap:+.1f} ± {100 * self.standard_error:.1f} points of utility out of fold"
        if self.chosen == self.incumbent:
            return f"{self.chosen} acts; {self.rival} in its place: {found}"
        return f"{self.chosen} acts in place of {self.incumbent}: {found}"


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
        try:
            return self.strategy.at(price)
        except ValueError:
            dials = self.strategy.dials
            return self.strategy.at(min(max(price, min(dials)), max(dials)))


class Choice(NamedTuple):
    """The verdicts, and the candidates fitted on all training queries."""

    verdicts: tuple[Verdict, ...]
    """One for each price."""
    candidates: Mapping[str, Candidate]
    round_price: float = 0.0
    """mu: what a round costs, as a fraction of a right answer's worth."""

    def at(self, price: float) -> Base | None:
        """Who acts at a price; None where that is none of the candidates."""
        found = self.candidates.get(self.verdict(price).chosen)
        return None if found is None else found.at(price, self.round_price)

    def verdict(self, price: float) -> Verdict:
        """The verdict at the nearest price; 0 is only near itself.

        Between two prices that disagree the incumbent acts.
        """
        if price == 0:
            return min(self.verdicts, key=lambda v: v.price)
        positive = [v for v in self.verdicts if v.price > 0]
        near = sorted(positive, key=lambda v: abs(float(np.log(v.price / price))))
        nearest, other = near[0], near[:2][-1]
        exact = abs(float(np.log(nearest.price / price))) < 1e-3
        if exact or nearest.chosen == other.chosen:
            return nearest
        return nearest._replace(chosen=nearest.incumbent)

    def each(self, change: Callable[[Base], Base]) -> Self:
        """The same with every candidate changed."""
        changed = {n: c._replace(strategy=change(c.strategy)) for n, c in self.candidates.items()}
        return self._replace(candidates=changed)


def out_of_fold(
    make: Callable[[], Base],
    table: ResponseTable,
    fold: IntArray,
    rows: IntArray,
    prices: Sequence[float],
    *,
    unit_cost: float,
    round_price: float = 0.0,
    one_by_one: bool = False,
) -> Judged:
    """Replay a strategy on training queries, fitted without each query's fold.

    Args:
        make: makes it, unfitted.
        table: labelled training queries.
        fold: int64[Q'], of every query of the table.
        rows: int64[Q], those that judge.
        prices: P of them.
        unit_cost: cost that counts as one call, in the table's unit.
        round_price: mu.
        one_by_one: see `Candidate`.
    """
    score = np.zeros((len(prices), len(rows)), dtype=np.float32)
    cost, charged = np.zeros_like(score), np.zeros_like(score)
    for k in np.unique(fold[rows]):
        fitted = make().fit(table.take(fold != k), rng=np.random.default_rng(0))
        candidate, here = Candidate(fitted, one_by_one), fold[rows] == k
        test = table.take(rows[here])
        for p, price in enumerate(prices):
            outcome = replay(candidate.at(price, round_price), test)
            score[p, here] = outcome.score
            cost[p, here] = outcome.cost / np.float32(unit_cost)
            charged[p, here] = round_price * outcome.n_rounds
    return Judged(score, cost, charged)


def settle(
    judged: Mapping[str, Judged],
    prices: Sequence[float],
    *,
    free: Collection[str],
    clear: float = np.inf,
) -> tuple[Verdict, ...]:
    """Who acts at each price: the first candidate, unless another did clearly better.

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
            {n: u[p] for n, u in utility.items() if price > 0 or n in free}, float(grid[p]), clear
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


# The strategy -------------------------------------------------------------------------------------


class BestOf(Base):
    """Several strategies, of which the one that did best out of fold acts at each price.

    Args:
        strategies: names in the registry, or tables with a `name` and its `settings`; the first one
            acts unless another did clearly better. Those that cannot run on the data are left out.
        n_folds: inner folds by which they are judged.
        price: lambda, the price of an average call as a share of a right answer's worth, in
            [0.001, 0.3], or 0.

    Raises:
        ValueError: an argument out of range.
        ConfigError: an unknown strategy or setting.
    """

    name = "best-of"
    stochastic: ClassVar[bool] = True
    slow_to_fit: ClassVar[bool] = True
    follows_memory: ClassVar[bool] = True
    dial: ClassVar[str] = "price"

    def __init__(
        self,
        *,
        strategies: tuple[str | dict[str, Any], ...] = (
            "best-single", "best-single-per-task", "agreement-capped", "stacking",
        ),
        n_folds: int = 3,
        price: float = 0.002,
    ) -> None:  # fmt: skip
        if not strategies:
            raise ValueError("strategies must name at least one")
        if n_folds < 2:
            raise ValueError(f"n_folds must be at least 2, got {n_folds}")
        self.strategies, self.n_folds, self.price = strategies, n_folds, _checked(price)
        self._specs = _specs(strategies)
        for spec in self._specs.values():
            create_strategy(spec)

    def fit(self, table: ResponseTable, *, rng: np.random.Generator) -> Self:
        """Judge every strategy out of fold, then fit it on everything.

        Raises:
            NotApplicable: none of them can run on these data.
        """
        reasons = {n: unmet(create_strategy(spec), table) for n, spec in self._specs.items()}
        used = [name for name, reason in reasons.items() if reason is None]
        if not used:
            raise NotApplicable("; ".join(f"{name}: {reason}" for name, reason in reasons.items()))
        fold = inner_folds(table, self.n_folds)
        rows = np.flatnonzero(table.scored.any(axis=1))
        unit_cost = table.call_cost(dtype=np.float32)
        judged, candidates = {}, {}
        for name in used:
            spec = self._specs[name]
            judged[name] = out_of_fold(
                partial(create_strategy, spec), table, fold, rows, self.dials, unit_cost=unit_cost
            )
            made = create_strategy(spec)
            candidates[name] = Candidate(made.fit(made.training_table(table), rng=rng))
        self._choice = Choice(settle(judged, self.dials, free=judged), candidates)
        return self

    def training_table(self, table: ResponseTable) -> ResponseTable:
        """As it is: each strategy makes its own of it."""
        return table

    def decide(self, view: View) -> Decision:
        """As the one that acts."""
        return self._acts().decide(view)

    def _acts(self) -> Base:
        found = self._choice.at(self._price)
        assert found is not None  # every verdict names one of the candidates
        return found

    @property
    def _price(self) -> float:
        assert self.price is not None
        return self.price

    @property
    def dials(self) -> tuple[float, ...]:
        """Prices from dear to cheap; at 0 no call is spared."""
        return (*np.geomspace(*_PRICES[::-1], 12).tolist(), 0.0)

    def at(self, dial: float) -> Self:
        """The same fitted strategies at another price.

        Raises:
            ValueError: a price out of range.
        """
        return self._with(price=_checked(dial))

    def follow(self, memory: Memory) -> Self:
        """With each of them following."""
        return self._with(_choice=self._choice.each(lambda strategy: strategy.follow(memory)))

    def alone(self) -> Self:
        """With each of them by itself."""
        return self._with(_choice=self._choice.each(lambda strategy: strategy.alone()))

    @property
    def acting(self) -> Acting:
        """The one that acts at this price, and why."""
        verdict = self._choice.verdict(self._price)
        return Acting(verdict.chosen, verdict.explain(), verdict.chosen != verdict.incumbent)

    def verdicts(self) -> list[dict[str, str | float]]:
        """Who acts at each price, and on what evidence."""
        return [verdict._asdict() for verdict in self._choice.verdicts]

    def state(self) -> State:
        """The verdicts, and what each strategy found."""
        candidates = self._choice.candidates
        arrays = verdict_arrays(self._choice.verdicts, list(self._specs))
        arrays["used"] = np.array([name in candidates for name in self._specs])
        for name, candidate in candidates.items():
            arrays |= prefixed(name, candidate.strategy.state())
        return arrays

    def restore(self, state: Mapping[str, NDArray[Any]]) -> Self:
        """Undo `state`."""
        used = [name for name, use in zip(self._specs, state["used"], strict=True) if use]
        candidates = {
            name: Candidate(create_strategy(self._specs[name]).restore(without_prefix(name, state)))
            for name in used
        }
        verdicts = verdicts_from(state, list(self._specs), self.dials)
        for verdict in verdicts:
            if verdict.chosen not in candidates:
                raise KeyError(f"'{verdict.chosen}' acts at a price, and was not fitted")
        self._choice = Choice(verdicts, candidates)
        return self

    def layout(self, present: Collection[str]) -> dict[str, Row]:
        """Arrays of the verdicts, and of each strategy of which there are any."""
        rows = verdict_rows(len(self._specs)) | {"used": Row("bool", "M")}
        for name, spec in self._specs.items():
            own = [key[len(name) + 1 :] for key in present if key.startswith(f"{name}.")]
            if own:
                rows |= nested(name, create_strategy(spec).layout(own), rows)
        return rows

    def axes(self) -> dict[str, int]:
        """P prices and M strategies."""
        return {"P": len(self.dials), "M": len(self._specs)}


def _specs(strategies: Sequence[str | Mapping[str, Any]]) -> dict[str, Spec]:
    """By name; a strategy named again, with other settings, has its place behind the name."""
    found: dict[str, Spec] = {}
    for entry in strategies:
        if isinstance(entry, str):
            entry = {"name": entry}
        if not isinstance(entry.get("name"), str) or entry.keys() - {"name", "settings"}:
            raise ValueError(f"a strategy is a name, or has a 'name' and 'settings'; got {entry}")
        spec = Spec(entry["name"], entry.get("settings", {}))
        found[spec.name if spec.name not in found else f"{spec.name}#{len(found) + 1}"] = spec
    return found


def _checked(price: float) -> float:
    low, high = _PRICES
    if price != 0 and not low * 0.999 <= price <= high * 1.001:
        raise ValueError(f"the price of a call must lie in [{low}, {high}] or be 0, got {price}")
    return float(price)
