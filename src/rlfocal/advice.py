"""One sentence of advice from a benchmark: what to use, what it gains, what would settle the rest.

The advice is the strategy with the least spending to which no other one is shown to be superior:
no paired 95 % interval of another one's lead over it lies above zero. So it is never worse, as far
as the data can show, than what costs as much or less, and of two that tie the cheaper is taken.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple, get_args

import numpy as np
import pyarrow.compute as pc

from rlfocal.bench import BenchResult, LeaderboardRow
from rlfocal.bench.budgets import REFERENCES
from rlfocal.bench.figures.scores import scores
from rlfocal.bench.protocol import Tasks
from rlfocal.bench.statistics import (
    BEST_ALONE,
    BEST_SINGLE,
    Axis,
    Estimate,
    MeasuredMeans,
    judge,
)
from rlfocal.markup import Code, Displayed, Sheet

__all__ = ["Advice", "Rival", "advise", "labels_to_settle"]

_POWER = 0.841621 + 1.959964
"""Standard errors that a difference must measure to be found by a two-sided test at the 5 % level
in 80 % of samples: quantiles of the normal distribution at .8 and .975."""
_SAME_SPEND = 1e-6
"""Spends closer than this share of the greatest are equal."""
_WORTH_KNOWING = 0.001
"""Leads below this share of the queries are not worth labels."""


class Rival(NamedTuple):
    """A dearer strategy that is ahead, but not by more than luck could be."""

    strategy: str
    lead: Estimate
    """Its accuracy less that of the strategy advised, over the queries measured for both."""
    mean_calls: float
    mean_cost_usd: float | None
    labels_more: int
    """Labels that would show a true lead of that size in four of five samples, besides those that
    are there."""


@dataclass(frozen=True)
class Advice(Displayed):
    """What to use, and on what evidence."""

    strategy: str
    member: str | None
    """The one member it consists of, where that is so."""
    accuracy: Estimate
    """In [0, 1]."""
    mean_calls: float
    mean_cost_usd: float | None
    gain: Estimate | None
    """Over the best single member, chosen on training queries; None for that member itself."""
    n_labels: int
    """Tested queries with a label that it was measured on."""
    n_dearer: int
    """Strategies compared that spend more."""
    rivals: tuple[Rival, ...]
    """The dearer ones that are ahead, by falling lead."""
    by: Axis
    """What is spent: "calls", or "usd"."""
    command: str | None
    """Commands that train and serve it."""
    tasks: Tasks = "given"
    """Whether strategies were shown the tasks of the queries that this was measured on."""
    over_alone: Estimate | None = None
    """Its lead over the best member that reads no other, where members read one another; the best
    single member may be a reader then."""

    def __repr__(self) -> str:
        return f"Advice({self.sentence()!r})"

    def _sheet(self) -> Sheet:
        return Sheet(self.sentence(), (Code((self.command or "").replace(" && ", "\n")),))

    def sentence(self) -> str:
        """The advice in one sentence.

        >>> from rlfocal.bench.statistics import Estimate
        >>> Advice("agreement", None, Estimate(.901, .885, .917), 2.9, None,
        ...        Estimate(.073, .05, .091), 400, 4, (), "calls", None).sentence()
        'Use agreement: 90.1 % [88.5, 91.7] at 2.9 calls, 7.3 points above your best single model \
[+5.0, +9.1]; nothing dearer is ahead of it on these 400 labels.'
        """
        return ": ".join(self.halves())

    def halves(self) -> tuple[str, str]:
        """The sentence before its colon, which says what to use, and after it."""
        use = "Where no task is named, use" if self.tasks == "hidden" else "Use"
        return f"{use} {self._what()}", f"{self._figures()}; {self._rest()}."

    def to_json(self) -> dict[str, Any]:
        """All fields and the sentence, as plain values."""
        found = {**asdict(self), "sentence": self.sentence()}
        if self.over_alone is None:
            del found["over_alone"]
        return found

    def _what(self) -> str:
        if self.strategy != BEST_SINGLE:
            return self.strategy
        if self.over_alone is not None and self.mean_calls > 1:
            return f"your best single member, {self.member}, and whom it reads"
        return "your best single model" + ("" if self.member is None else f", {self.member}")

    def _figures(self) -> str:
        low, high = (100 * end for end in self.accuracy.ci)
        calls = f"{self.mean_calls:.1f}".removesuffix(".0")
        spent = f"{calls} call{'' if calls == '1' else 's'}"
        if self.mean_cost_usd is not None:
            spent += f" and {1000 * self.mean_cost_usd:.3g} USD per 1,000 queries"
        said = f"{100 * self.accuracy.value:.1f} % [{low:.1f}, {high:.1f}] at {spent}"
        if self.over_alone is not None and (self.strategy != BEST_SINGLE or self.mean_calls > 1):
            said += f", {_lead(self.over_alone, 'the best that reads no other')}"
        if self.gain is None:
            return said
        single = "your best single model" if self.over_alone is None else "the best of all members"
        return f"{said}, {_lead(self.gain, single)}"

    def _rest(self) -> str:
        labels = f"these {self.n_labels:,} label{'' if self.n_labels == 1 else 's'}"
        if not self.n_dearer:
            return f"nothing dearer was compared on {labels}"
        if not self.rivals:
            return f"nothing dearer is ahead of it on {labels}"
        best = self.rivals[0]
        said = f"nothing dearer is shown to be more accurate by {labels}"
        if best.lead.value < _WORTH_KNOWING:
            return said
        return (
            f"{said}, and about {_rounded(best.labels_more):,} more would settle whether "
            f"{best.strategy} ({100 * best.lead.value:+.1f} points at {best.mean_calls:.1f} calls) "
            "is worth it"
        )


def _lead(gain: Estimate, over: str) -> str:
    """How far something is ahead, with the interval."""
    less, more = (f"{100 * end:+.1f}" for end in gain.ci)
    points = 100 * gain.value
    if round(points, 1) == 0:
        return f"level with {over} [{less}, {more}]"
    return f"{abs(points):.1f} points {'above' if points > 0 else 'below'} {over} [{less}, {more}]"


def advise(result: BenchResult, *, by: Axis = "calls") -> Advice | None:
    """The strategy with the least spending to which no other is shown to be superior.

    Strategies stand at their default setting; tested with tasks given and hidden, as they did with
    the tasks given: `advise(result.hidden)` says what to use where no task is named. Points of
    comparison are left out: the oracle, chance, and self-consistency of one member, which cannot be
    served.

    Args:
        result: of a benchmark; its per-query rows are resampled.
        by: what is to be spared: calls, or dollars where the data set prices every member.

    Returns:
        None where there is nothing to choose from, or verdicts are withheld because too many
        responses are missing.

    Raises:
        ValueError: dollars are to be spared, but prices are not known; or neither is to be.
    """
    if by not in get_args(Axis):
        raise ValueError(f"by='{by}': what is spared is one of {', '.join(get_args(Axis))}")
    if result.missing is not None and result.missing.withheld:
        return None
    rows = _that_can_be_used(result)
    if not rows:
        return None
    if by == "usd" and any(row.mean_cost_usd is None for row in rows):
        raise ValueError("the members' prices in dollars are not known; spare calls")
    leads = _Leads(result, [row.strategy for row in rows])
    spent = np.array([row.mean_calls if by == "calls" else row.mean_cost_usd for row in rows])
    beaten = np.array(
        [any(leads.beats(j, i) for j in range(len(rows)) if j != i) for i in range(len(rows))]
    )
    is_dearer = spent > spent[~beaten].min() + _SAME_SPEND * spent.max()
    near = np.flatnonzero(~beaten & ~is_dearer).tolist()
    # Level with the best single member, nothing else is worth its trouble.
    chosen = max(near, key=lambda i: (rows[i].accuracy, rows[i].strategy == BEST_SINGLE))
    row, dearer = rows[chosen], np.flatnonzero(is_dearer).tolist()
    ahead = [
        Rival(rows[j].strategy, lead, rows[j].mean_calls, rows[j].mean_cost_usd, more)
        for j in dearer
        if (found := leads.over(j, chosen)) is not None and found[0].value > 0
        for lead, more in [found]
    ]
    return Advice(
        strategy=row.strategy,
        member=_only_member(result, row.strategy) if row.strategy == BEST_SINGLE else None,
        accuracy=Estimate(row.accuracy, *row.accuracy_ci),
        mean_calls=row.mean_calls,
        mean_cost_usd=row.mean_cost_usd,
        gain=_gain(row),
        n_labels=leads.count(chosen),
        n_dearer=len(dearer),
        rivals=tuple(sorted(ahead, key=lambda rival: -rival.lead.value)),
        by=by,
        command=row.command,
        tasks="hidden" if result.protocol.tasks == "hidden" else "given",
        over_alone=_over_alone(result, row.strategy),
    )


def labels_to_settle(lead: float, standard_error: float, n_labels: int) -> int:
    """Labels needed to show a lead, besides those that are there.

    Args:
        lead: the true difference assumed, not zero.
        standard_error: of the difference, over the labels that are there.
        n_labels: how many these are.

    Returns:
        So many more that a two-sided test at the 5 % level finds the difference in 80 % of samples;
        0 where those that are there do. Standard errors fall with the root of the number.

    >>> labels_to_settle(0.02, 0.01, 400)
    385
    """
    needed = n_labels * (_POWER * standard_error / lead) ** 2
    return max(0, math.ceil(needed - n_labels))


class _Leads:
    """Paired differences between strategies at their default settings."""

    def __init__(self, result: BenchResult, names: list[str]) -> None:
        found = scores(result.per_query)
        column = {name: i for i, (name, dial) in enumerate(found.points) if dial is None}
        found = found.take([column[name] for name in names])
        self._means = MeasuredMeans(
            found.score, found.measured, found.group, n_resamples=result.protocol.n_resamples
        )

    def count(self, i: int) -> int:
        """Queries on which a strategy was measured."""
        return self._means.count(i)

    def beats(self, i: int, j: int) -> bool:
        """Whether strategy i is shown to be more accurate than strategy j."""
        if not self._means.count(i, j):
            return False
        return judge(self._means.over(i, j).difference(i, j).ci) == "better"

    def over(self, i: int, j: int) -> tuple[Estimate, int] | None:
        """The lead of strategy i over j, and the labels that would settle it."""
        n_labels = self._means.count(i, j)
        if not n_labels:
            return None
        means = self._means.over(i, j)
        lead = means.difference(i, j)
        error = float((means.resampled[:, i] - means.resampled[:, j]).std())
        return lead, labels_to_settle(lead.value or math.inf, error, n_labels)


def _that_can_be_used(result: BenchResult) -> list[LeaderboardRow]:
    """Rows of strategies to serve; of all but bound and chance, where no row says how."""
    apart = {*REFERENCES, *(found.strategy for found in result.live if found.live)}
    rows = [row for row in result.rows if row.strategy not in apart]
    of_others = {row.strategy for row in rows if row.command is None}
    references = _references(of_others)
    return [row for row in rows if row.strategy not in references]


def _references(names: set[str]) -> set[str]:
    """Names that the registry knows as points of comparison, which cannot be served."""
    from rlfocal.deliberation.protocol import Strategy
    from rlfocal.deliberation.registry import create
    from rlfocal.deliberation.registry import names as known

    return {name for name in names & set(known()) if not isinstance(create(name), Strategy)}


def _gain(row: LeaderboardRow) -> Estimate | None:
    if row.strategy == BEST_SINGLE or row.gain_over_best_single is None or row.gain_ci is None:
        return None
    return Estimate(row.gain_over_best_single, *row.gain_ci)


def _over_alone(result: BenchResult, strategy: str) -> Estimate | None:
    """Its lead over the best member that reads no other; None where there is no such row."""
    if strategy == BEST_ALONE or BEST_ALONE not in [row.strategy for row in result.rows]:
        return None
    found = _Leads(result, [strategy, BEST_ALONE]).over(0, 1)
    return None if found is None else found[0]


def _only_member(result: BenchResult, strategy: str) -> str | None:
    """The member asked most often by a strategy that asks one, and before it those it reads."""
    table = result.per_query
    own = table.filter(pc.and_(pc.equal(table["strategy"], strategy), pc.is_null(table["dial"])))
    asked = Counter(members[-1] for members in own["asked"].to_pylist() if members)
    return result.members[asked.most_common(1)[0][0]] if asked else None


def _rounded(count: int) -> int:
    """Two digits, upwards: a number of labels is a rough guess.

    >>> _rounded(247), _rounded(12), _rounded(12_345)
    (250, 12, 13000)
    """
    step: int = 10 ** max(0, len(str(count)) - 2)
    return -(-count // step) * step
