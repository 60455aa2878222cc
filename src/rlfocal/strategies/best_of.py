"""`best-of`: several strategies are fitted; at each price the one acts that did best out of fold.

Every candidate is judged on training queries that it was not fitted on, by the rule of `verdicts`.
`rl-focal` chooses by the same rule between what it has learned and simple strategies, on evidence
of its own.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from itertools import chain
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from rlfocal.deliberation.base import Acting, Base
from rlfocal.deliberation.dial import PRICES, checked_price
from rlfocal.deliberation.protocol import Spec, State, unmet
from rlfocal.deliberation.registry import create_strategy
from rlfocal.deliberation.state import Row, names_of, nested, prefixed, without_prefix
from rlfocal.deliberation.view import Decision, Memory, View
from rlfocal.errors import NotApplicable
from rlfocal.records import ResponseTable
from rlfocal.records.tables.folds import inner_folds
from rlfocal.strategies.verdicts import (
    Candidate,
    Choice,
    Judging,
    Rival,
    out_of_fold,
    settle,
    verdict_arrays,
    verdict_rows,
    verdicts_from,
)

__all__ = ["BestOf"]


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
        self.strategies, self.n_folds, self.price = (
            strategies,
            n_folds,
            checked_price(price, within=PRICES),
        )
        self._specs = _specs(strategies)
        # Without one of its candidates it would be another strategy, and say nothing of it.
        needed = (create_strategy(spec).packages for spec in self._specs.values())
        self.packages = tuple(dict.fromkeys(chain.from_iterable(needed)))

    def fit(self, table: ResponseTable, *, rng: np.random.Generator) -> Self:
        """Judge every strategy out of fold, then fit it on everything.

        Raises:
            NotApplicable: none of them can run on these data, or there is a single query.
        """
        reasons = {n: unmet(create_strategy(spec), table) for n, spec in self._specs.items()}
        used = [name for name, reason in reasons.items() if reason is None]
        if not used:
            raise NotApplicable("; ".join(f"{name}: {reason}" for name, reason in reasons.items()))
        if len(np.unique(table.group)) < 2:
            raise NotApplicable("all queries are the same: none is left to judge strategies on")
        fold = inner_folds(table, self.n_folds)
        rows = np.flatnonzero(table.scored.any(axis=1))
        judging = Judging(
            {name: Rival(self._specs[name]) for name in used},
            table, fold, rows, self.dials, table.call_cost(dtype=np.float32),
        )  # fmt: skip
        judged = out_of_fold(judging, executor=self.executor, on_progress=self.on_progress)
        candidates = {}
        for name in used:
            made = create_strategy(self._specs[name])
            candidates[name] = Candidate(made.fit(made.training_table(table), rng=rng))
        return self._choosing(Choice(settle(judged, self.dials, free=judged), candidates))

    def training_table(self, table: ResponseTable) -> ResponseTable:
        """As it is: each strategy makes its own of it."""
        return table

    def decide(self, view: View) -> Decision:
        """As the one that acts."""
        return self._acts.decide(view)

    def _choosing(self, choice: Choice) -> Self:
        """Let the one of a choice act that does so at the present price."""
        assert self.price is not None
        self._verdict, found = choice.at(self.price)
        assert found is not None  # every verdict names one of the candidates
        self._choice, self._acts = choice, found
        return self

    @property
    def dials(self) -> tuple[float, ...]:
        """Prices from dear to cheap; at 0 no call is spared."""
        return (*np.geomspace(*PRICES[::-1], 12).tolist(), 0.0)

    def at(self, price: float) -> Self:
        """The same fitted strategies at another price.

        Raises:
            ValueError: a price out of range.
        """
        other = self._with(price=checked_price(price, within=PRICES))
        return other._choosing(self._choice)

    def follow(self, memory: Memory) -> Self:
        """With each of them following."""
        return self._with()._choosing(self._choice.each(lambda strategy: strategy.follow(memory)))

    def alone(self) -> Self:
        """With each of them by itself."""
        return self._with()._choosing(self._choice.each(lambda strategy: strategy.alone()))

    @property
    def reads_replies(self) -> bool:
        """As of the one that acts."""
        return self._acts.reads_replies

    @property
    def votes_only_help(self) -> bool:
        """As of the one that acts."""
        return self._acts.votes_only_help

    @property
    def acting(self) -> Acting:
        """The one that acts at this price, and why."""
        verdict = self._verdict
        return Acting(verdict.chosen, verdict.explain(), verdict.chosen != verdict.incumbent)

    def verdicts(self) -> list[dict[str, str | float]]:
        """The strategy that acts at each price, and the evidence."""
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
        candidates = {}
        for (name, spec), used in zip(self._specs.items(), state["used"], strict=True):
            if used:
                made, own = create_strategy(spec), without_prefix(name, state)
                for key in made.layout(own).keys() - own.keys():
                    raise KeyError(f"the array '{name}.{key}' is missing")
                candidates[name] = Candidate(made.restore(own))
        verdicts = verdicts_from(state, list(self._specs), self.dials)
        for verdict in verdicts:
            if verdict.chosen not in candidates:
                raise KeyError(f"'{verdict.chosen}' acts at a price, and was not fitted")
        return self._choosing(Choice(verdicts, candidates))

    def layout(self, present: Collection[str]) -> dict[str, Row]:
        """Arrays of the verdicts, and of each strategy of which there are any."""
        rows = verdict_rows(len(self._specs)) | {"used": Row("bool", "M")}
        for name, spec in self._specs.items():
            own = names_of(name, present)
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
