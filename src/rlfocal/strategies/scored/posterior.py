"""Posterior stopping with replies: a conditional logit after each call, stopped where it is sure.

Members stand in the order of their accuracy on the task. After k calls the logit of a candidate
sums, over those who gave it, the weight of the member and what the reply adds to it; "none of
these" competes for open questions.

Axes: B queries, N members, K calls, T tasks, S signals (see `stacking.likelihood`), H thresholds,
L caps on calls.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Self

import numpy as np

from rlfocal.deliberation.state import Row
from rlfocal.deliberation.view import Decision, View
from rlfocal.numbers import Float64Array
from rlfocal.records import FloatArray, IntArray, ResponseTable
from rlfocal.strategies.reading import in_turn
from rlfocal.strategies.scored.stacking import CrossFitted, EvidenceFit, FusesEvidence, signals_of
from rlfocal.strategies.scored.walk import Looked, next_of, walk
from rlfocal.strategies.single import task_accuracy
from rlfocal.strategies.sizes import pool_sizes
from rlfocal.strategies.stacking.strategy import choice_probability
from rlfocal.strategies.stopping import StopsByPrice
from rlfocal.strategies.voting import rank_members

__all__ = ["EvidenceCascade"]

_MOST_CALLS = 16
"""Most calls one after another: each of them takes a fit."""
_THRESHOLDS = np.concatenate([[0.0], 1 - np.geomspace(0.6, 0.001, 40), [2.0]])
"""Stop at once, ever later, never."""


class EvidenceCascade(StopsByPrice, FusesEvidence):
    """Asks in order of accuracy on the task, until the best candidate's posterior is high enough.

    The threshold and the cap on calls are the pair with the highest mean of score - lambda · cost /
    mean cost of a call on training queries, judged by posteriors and scores out of fold. Sequential
    testing of hypotheses by members' log-odds (Wald, "Sequential tests of statistical hypotheses",
    1945), with a fit for each number of calls in place of independence, and a cap, since a
    threshold alone keeps buying calls for queries that nobody can answer.

    Args:
        price: see `StopsByPrice`.
    """

    name = "evidence-cascade"
    fitted: ClassVar[Mapping[str, Row]] = {
        **FusesEvidence.fitted,
        **StopsByPrice.fitted,
        "order": Row("int64", "TK", 0, "N"),
        "weight": Row("float64", "KTS"),
        "none_bias": Row("float64", "KT"),
    }

    def fit(self, table: ResponseTable, *, rng: np.random.Generator) -> Self:
        """Learn the score, fit a posterior for each number of calls, and measure the stops."""
        fold, found = self.learn(table, rng=rng)
        fit = EvidenceFit(table, fold, found.shift)
        self.graded_ = fit.graded
        # Ties on a task go to who is the best of all.
        best = rank_members(table)
        on_task = np.argsort(-task_accuracy(table)[:, best], axis=1, kind="stable")
        self.order_ = in_turn(table, best[on_task])[:, :_MOST_CALLS]
        order = self.order_[table.task]
        fusions = list[CrossFitted]()
        for n_asked in range(order.shape[1], 0, -1):  # penalties are best chosen by all answers
            asked = np.zeros(table.answer.shape, dtype=bool)
            np.put_along_axis(asked, order[:, :n_asked], True, axis=1)
            fusions.insert(0, fit.fit(asked))
        self.weight_ = np.stack([fusion.weight for fusion in fusions])
        self.none_bias_ = np.stack([fusion.none_bias for fusion in fusions])
        apart = np.stack([[w.weight for w in fusion.apart] for fusion in fusions])
        none_apart = np.stack([[w.none_bias for w in fusion.apart] for fusion in fusions])

        def look(rows: IntArray, view: View) -> Looked:
            step = int(view.n_rounds[0]) - 1
            shift = np.where(view.answered, found.shift[rows], np.float32(0))
            of = step, fold[rows], view.task
            return self._look(view, shift, apart[of], none_apart[of])

        sizes = [size for size in pool_sizes(table.n_members) if size <= order.shape[1]]
        seen = walk(table, order, look)
        self.thresholds_, self.caps_, self.score_, self.cost_ = seen.grid(_THRESHOLDS, sizes)
        return self

    @property
    def reads_replies(self) -> bool:
        """Where more than one may be asked."""
        threshold, cap = self.settings_
        return threshold > 0 and cap > 1

    def decide(self, view: View) -> Decision:
        """Ask the next member, unless the posterior is sure enough or the cap is reached."""
        threshold, cap = self.settings_
        order = self.order_[view.task]
        # Where others were asked than the first ones, the fit is that of the last of them.
        reached = np.take_along_axis(view.asked, order, axis=1)
        place = np.where(reached, np.arange(order.shape[1]), 0).max(axis=1)
        of = place, view.task
        seen = self._look(view, self.shift(view), self.weight_[of], self.none_bias_[of])
        n_asked = view.asked.sum(axis=1)
        ends = (n_asked > 0) & ((seen.sure >= threshold) | (n_asked >= cap))
        return Decision(next_of(order, view.asked) & ~ends[:, None], seen.answer)

    def _look(
        self, view: View, shift: FloatArray, weight: Float64Array, none_bias: Float64Array
    ) -> Looked:
        """What fits say, one for each query.

        Args:
            view: what is known.
            shift: float32[B, N].
            weight: float64[B, S].
            none_bias: float64[B].
        """
        signal = signals_of(view, shift, graded=self.graded_)
        answer = choice_probability(view, signal, weight, none_bias)
        return Looked(answer.max(axis=1), answer)
