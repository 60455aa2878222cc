"""The weights of the conditional logit: how they hang together, and how far labels may move them.

Axes: K signals, N members, T tasks, S option positions, B common directions, Q queries.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np

from rlfocal.extras import need
from rlfocal.numbers import Float64Array
from rlfocal.records import IntArray
from rlfocal.strategies.stacking.likelihood import Choices, Weights

__all__ = ["LEAST", "PENALTIES", "WeightModel", "cross_fit"]

LEAST = 0.02
"""No accuracy is taken to be nearer to 0 or 1 than this, where weights start from its log-odds."""

PENALTIES = ((300.0, 300.0), (30.0, 100.0), (10.0, 30.0), (1.0, 10.0), (0.3, 1.0), (0.1, 0.3))
"""(per member, per task and member) ridge penalties worth choosing from, the strongest first."""


@dataclass(frozen=True, eq=False)
class WeightModel:
    """Weights as a common direction plus penalised deviations.

    weight[t] = base[t] @ common + own + special[t], with base float64[T, K, B] fixed; parameters
    are flat: common [B], own [K], special [T, K], none [1], none_special [T], company [K, A] and
    its own departures on tasks [T, K, A], position [S] and its own [T, S].
    """

    base: Float64Array
    n_absent: int = 0
    """A: N where weights depend on who is absent, else 0."""
    with_prior: bool = False
    """True where the last signal is a ready-made logit: then everything is drawn towards it alone,
    counting 1, rather than towards log-odds."""
    n_positions: int = 0
    """S where an option's position has a bias, else 0."""
    with_shift: bool = False
    """True where a signal says how far replies move log-odds. It counts as log-odds do, or nothing
    beside a prior, which knows of it already."""

    @classmethod
    def from_log_odds(
        cls,
        member: Float64Array,
        task: Float64Array,
        *,
        graded: bool,
        company: bool = False,
        with_prior: bool = False,
        with_shift: bool = False,
        n_positions: int = 0,
    ) -> WeightModel:
        """Let weights be free multiples of 1, of log-odds, and of a task's departure from them.

        Args:
            member: float64[N], log-odds of each member's accuracy.
            task: float64[T, N], log-odds on each task.
            graded: the logarithmic signals get multiples of their own.
            company: let weights depend on who is absent.
            with_prior: whether the signals end with one of the prior.
            with_shift: whether one of the replies stands before it.
            n_positions: of options, with a bias each; 0 for none.
        """
        overall = np.broadcast_to(member, task.shape)
        base = np.stack([np.ones_like(task), overall, task - member], axis=2)
        if graded:
            none = np.zeros_like(base)
            base = np.block([[base, none], [none, base]])
        base = np.pad(base, ((0, 0), (0, with_shift + with_prior), (0, 0)))
        n_absent = len(member) if company else 0
        return cls(base, n_absent, with_prior, n_positions, with_shift)

    @cached_property
    def shapes(self) -> tuple[tuple[int, ...], ...]:
        """Shapes of the parts of the parameters, in order."""
        n_tasks, n_signals, n_common = self.base.shape
        return (
            (n_common,), (n_signals,), (n_tasks, n_signals), (1,), (n_tasks,),
            (n_signals, self.n_absent), (n_tasks, n_signals, self.n_absent),
            (self.n_positions,), (n_tasks, self.n_positions),
        )  # fmt: skip

    @cached_property
    def centre(self) -> Float64Array:
        """What the parameters are drawn towards, and where a fit starts."""
        parts = [np.zeros(shape) for shape in self.shapes]
        if self.with_prior or self.with_shift:
            parts[1][-1] = 1.0
        return np.concatenate([part.reshape(-1) for part in parts])

    def weights(self, theta: Float64Array) -> Weights:
        """From flat parameters to weights."""
        common, own, special, none, none_special, company, apart, *places = self._split(theta)
        weight = self.base @ common + own + special
        return Weights(weight, none + none_special, company + apart, places[0] + places[1])

    @cached_property
    def _places(self) -> list[slice]:
        """Where each part lies in the flat parameters."""
        ends = np.cumsum([0, *map(math.prod, self.shapes)]).tolist()
        return [slice(first, last) for first, last in pairwise(ends)]

    def _split(self, theta: Float64Array) -> tuple[Float64Array, ...]:
        parts = zip(self._places, self.shapes, strict=True)
        return tuple(theta[place].reshape(shape) for place, shape in parts)

    def _ridge(self, own: float, task: float) -> Float64Array:
        """The penalty of each parameter."""
        # Without a prior a trace on the common part only keeps it finite on separable data.
        common, none = (own, own) if self.with_prior else (0.1, 0.0)
        strengths = (common, own, task, none, task, own, task, own, task)
        sizes = [math.prod(shape) for shape in self.shapes]
        return np.repeat(strengths, sizes)

    def objective(
        self, theta: Float64Array, choices: Choices, own_penalty: float, task_penalty: float
    ) -> tuple[float, Float64Array]:
        """Penalised negative log-likelihood and its gradient."""
        value, slope = choices.loss(self.weights(theta))
        gradient = [
            np.einsum("tks,tk->s", self.base, slope.weight),
            slope.weight.sum(axis=0),
            slope.weight,
            slope.none_bias.sum(keepdims=True),
            slope.none_bias,
            slope.company.sum(axis=0),
            slope.company,
            slope.position.sum(axis=0),
            slope.position,
        ]
        ridge, away = self._ridge(own_penalty, task_penalty), theta - self.centre
        value += float(ridge @ away**2) / 2
        return value, np.concatenate([part.reshape(-1) for part in gradient]) + ridge * away

    def fit(
        self,
        choices: Choices,
        own_penalty: float,
        task_penalty: float,
        *,
        start: Float64Array | None = None,
    ) -> Float64Array:
        """Minimise the objective; returns theta."""
        result = need("scipy.optimize", "stacking").minimize(
            self.objective,
            self.centre if start is None else start,
            args=(choices, own_penalty, task_penalty),
            jac=True,
            method="L-BFGS-B",
            options={"maxiter": 200, "ftol": 1e-8},
        )
        return np.asarray(result.x)


def cross_fit(
    choices: Choices,
    fold: IntArray,
    models: Sequence[WeightModel],
    penalties: Sequence[tuple[float, float]],
    *,
    proof: float = 0.0,
) -> tuple[int, list[Float64Array]]:
    """Fit without each fold in turn, and choose the penalties by out-of-fold likelihood.

    Args:
        choices: the labelled queries.
        fold: int64[Q] in [0, F), by row of the table.
        models: F models, each with log-odds measured without its fold.
        penalties: S pairs (per member, per task and member), the strongest first; weaker ones are
            not tried once the likelihood falls.
        proof: standard errors by which weaker penalties must be better to be taken.

    Returns:
        The best setting, and the parameters of each model under it.
    """
    best, least, found = 0, math.inf, list[Float64Array]()
    thetas: list[Float64Array | None] = [None] * len(models)
    taken: Float64Array | None = None
    for j, penalty in enumerate(penalties):
        # Parts are cut anew each time: that takes little, and all of them at once much memory.
        fits = [
            model.fit(choices.take(fold != k), *penalty, start=thetas[k])
            for k, model in enumerate(models)
        ]
        each = np.concatenate(
            [choices.take(fold == k).each(model.weights(fits[k])) for k, model in enumerate(models)]
        )
        if each.sum() >= least:
            break
        least, thetas = float(each.sum()), list(fits)
        gain = np.zeros(1) if taken is None else taken - each
        if taken is None or gain.sum() > proof * math.sqrt(len(gain)) * float(gain.std()):
            best, found, taken = j, fits, each
    return best, found
