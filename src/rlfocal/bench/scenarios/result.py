"""The figures of scenarios: accuracy lost, and the share that adapting regains.

Knows traces (scores per query) and turns them into means with paired intervals; nothing of tables
and strategies.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rlfocal.bench.scenarios.jobs import CALM, FROZEN, MEMORY, REFIT, RETRAINED, WINDOW, StreamTrace
from rlfocal.bench.scenarios.stream import StreamSettings
from rlfocal.bench.statistics import (
    BootstrapMeans,
    Estimate,
    Judgement,
    bootstrap_means,
    gap_closed,
    judge,
)
from rlfocal.records import IntArray

__all__ = ["Adapted", "ScenarioResult", "ScenarioRow", "scenario_row"]

_Floats = NDArray[np.float64]
_WAYS = (MEMORY, WINDOW, REFIT)


@dataclass(frozen=True, kw_only=True)
class Adapted:
    """Results of one way of adapting on the queries from the change on."""

    way: str
    """"memory" (the policy reads the window), "windowed" (fitted on the window), or "refit"."""
    before: Estimate | None
    """Accuracy before the change; None where the first query is touched already."""
    after: Estimate
    """Accuracy from the change on."""
    gain: Estimate
    """`after` minus that of the frozen policy, paired by query."""
    verdict: Judgement
    """"better" or "worse" only where the interval of the gain excludes zero."""
    won_back: Estimate | None
    """Share of the lost accuracy won back within the first W queries from the change on; None where
    none was lost there for certain."""
    won_back_later: Estimate | None
    """The same, of all later queries."""
    attained: Estimate | None
    """Gain within the first W queries from the change on, as a share of that of retraining; None
    where retraining gains nothing for certain, or nothing was retrained."""
    attained_later: Estimate | None
    """The same, of all later queries."""
    mean_calls: float
    """From the change on."""


@dataclass(frozen=True, kw_only=True)
class ScenarioRow:
    """One strategy under one scenario."""

    scenario: str
    strategy: str
    n_before: int
    """Queries before the change."""
    n_after: int
    """Queries from the change on; everything but `before` is about these."""
    before: Estimate | None
    """Accuracy of the frozen policy before the change."""
    unchanged: Estimate
    """The policy's score on the same queries without the scenario."""
    frozen: Estimate
    """Accuracy of the frozen policy, without any memory."""
    lost: Estimate
    """`unchanged` minus `frozen`, paired by query."""
    retrained: Estimate | None
    """Accuracy of the strategy fitted on training queries with the change in them; None where that
    was not done, or is what `unchanged` is."""
    mean_calls_unchanged: float
    mean_calls: float
    """Of the frozen policy, from the change on."""
    adapted: tuple[Adapted, ...]


@dataclass(frozen=True, kw_only=True)
class ScenarioResult:
    """All rows, and how they came about."""

    data: str
    members: tuple[str, ...]
    folds: str
    """Which folds were streamed, in words."""
    n_streams: int
    n_queries: int
    """Queries of all streams together; one that stands in several of them counts each time."""
    seeds: tuple[int, ...]
    n_resamples: int
    settings: StreamSettings
    descriptions: Mapping[str, str]
    """Scenario -> sentence, in the order in which they were asked for."""
    rows: tuple[ScenarioRow, ...]
    not_applicable: Mapping[str, str]
    """Strategy or scenario -> reason."""
    synthetic: bool
    notes: tuple[str, ...]
    environment: Mapping[str, Any]

    def of(self, scenario: str) -> tuple[ScenarioRow, ...]:
        """The rows of one scenario."""
        return tuple(row for row in self.rows if row.scenario == scenario)

    def to_json(self) -> dict[str, Any]:
        """The figures as plain values; docs/bench.md describes them."""
        out = dataclasses.asdict(self)
        out["rows"] = [_plain(row) for row in self.rows]
        return out

    def _orders(self) -> str:
        orders = self.settings.orders
        return f", in {orders} random orders" if orders > 1 else ""

    def describe(self) -> str:
        """How to read the tables."""
        settings = self.settings
        return (
            f"{len(self.members)} members, {self.folds}{self._orders()}: {self.n_queries} queries "
            f"streamed in blocks of {settings.block}, labelled once answered. Figures are of the "
            "queries from the change on, except 'before'. unchanged: the policy without the "
            "scenario. retrained: fitted as if the change had always been there. memory: with what "
            f"all members answered to the latest {settings.window} labelled queries (* fitted on "
            f"them alone). refit: fitted anew every {settings.refit_every} queries, or once that "
            "many after the change where that takes long. won back: share of the lost accuracy, in "
            f"the first {settings.window} queries / later; attained: share of what being retrained "
            "wins. Brackets: 95 % intervals over queries (paired bootstrap, "
            f"{self.n_resamples} resamples)."
        )


def _plain(row: ScenarioRow) -> dict[str, Any]:
    def flat(values: Mapping[str, Any]) -> dict[str, Any]:
        out: dict[str, Any] = {}
        for name, value in values.items():
            out[name] = value.value if isinstance(value, Estimate) else value
            if isinstance(value, Estimate):
                out[f"{name}_ci"] = list(value.ci)
        return out

    fields = {item.name: getattr(row, item.name) for item in dataclasses.fields(row)}
    adapted = [
        flat({item.name: getattr(way, item.name) for item in dataclasses.fields(way)})
        for way in row.adapted
    ]
    return {**flat(fields), "adapted": adapted}


def scenario_row(
    strategy: str, traces: Sequence[Sequence[StreamTrace]], *, window: int, n_resamples: int
) -> ScenarioRow:
    """Compute the figures of one strategy under one scenario.

    Args:
        strategy: its name.
        traces: [stream][seed], all of the same scenario; seeds are averaged, streams pooled.
        window: W, the queries from the change on that count as the first ones.
        n_resamples: bootstrap resamples behind every interval.
    """
    names = [n for n in (CALM, FROZEN, RETRAINED, *_WAYS) if n in traces[0][0].score]
    score = _pooled(traces, names, "score")
    calls = _pooled(traces, names, "n_calls")
    group = np.concatenate([of_fold[0].group for of_fold in traces])
    since = np.concatenate(
        [np.arange(len(of_fold[0].group)) - of_fold[0].change_at for of_fold in traces]
    )

    def means(rows: NDArray[np.bool_]) -> BootstrapMeans | None:
        if not rows.any():
            return None
        return bootstrap_means(score[rows], group[rows], n_resamples=n_resamples)

    early = means(since < 0)
    after = means(since >= 0)
    assert after is not None, "a scenario touches at least the last query"
    first, later = means((since >= 0) & (since < window)), means(since >= window)
    mean_calls = calls[since >= 0].mean(axis=0)
    calm, frozen = names.index(CALM), names.index(FROZEN)
    best = names.index(RETRAINED) if RETRAINED in names else None
    adapted = []
    for i, name in enumerate(names):
        if name in _WAYS:
            gain = after.difference(i, frozen)
            adapted.append(
                Adapted(
                    way=name,
                    before=None if early is None else early.mean(i),
                    after=after.mean(i),
                    gain=gain,
                    verdict=judge(gain.ci),
                    won_back=_share(first, i, frozen, calm),
                    won_back_later=_share(later, i, frozen, calm),
                    attained=_share(first, i, frozen, best),
                    attained_later=_share(later, i, frozen, best),
                    mean_calls=float(mean_calls[i]),
                )
            )
    return ScenarioRow(
        scenario=traces[0][0].scenario,
        strategy=strategy,
        n_before=int((since < 0).sum()),
        n_after=int((since >= 0).sum()),
        before=None if early is None else early.mean(frozen),
        unchanged=after.mean(calm),
        frozen=after.mean(frozen),
        lost=after.difference(calm, frozen),
        retrained=None if best is None else after.mean(best),
        mean_calls_unchanged=float(mean_calls[calm]),
        mean_calls=float(mean_calls[frozen]),
        adapted=tuple(adapted),
    )


def _share(
    means: BootstrapMeans | None, column: int, frozen: int, whole: int | None
) -> Estimate | None:
    """Gain over the frozen policy, as a share of that of column `whole`.

    A share of a difference that may be none would be noise over noise, so it is not given.
    """
    if means is None or whole is None:
        return None
    if judge(means.difference(whole, frozen).ci) != "better":
        return None
    return gap_closed(means, column, baseline=frozen, oracle=whole)


def _pooled(traces: Sequence[Sequence[StreamTrace]], names: Sequence[str], what: str) -> _Floats:
    """float64[Q, variants]: the mean over seeds, fold after fold."""

    def matrix(trace: StreamTrace) -> _Floats:
        values: Mapping[str, NDArray[np.float32] | IntArray] = getattr(trace, what)
        return np.stack([values[name] for name in names], axis=1).astype(np.float64)

    return np.concatenate(
        [np.mean([matrix(trace) for trace in of_fold], axis=0) for of_fold in traces]
    )
