"""Which router's predictions to believe: those under which unseen training queries are likeliest.

A router picks its own settings by what the member it names would earn. A strategy that needs every
member's chance of being right, as a vote does, has to judge the chances themselves; that is done
here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import ClassVar, NamedTuple

import numpy as np

from rlfocal.deliberation.state import Row
from rlfocal.records import FloatArray, IntArray, ResponseTable
from rlfocal.records.tables.folds import inner_folds
from rlfocal.strategies.routing.knn import KnnRouter
from rlfocal.strategies.routing.logistic import LogisticRouter
from rlfocal.strategies.routing.router import Router, best_setting, routed_score
from rlfocal.strategies.single import expected_score, task_accuracy

__all__ = ["ROUTERS", "Predictor", "TaskRouter", "choose_predictor", "log_likelihood"]

_N_FOLDS = 3
_MIN_GROUPS = 30
"""With fewer distinct prompts no text is looked at: too few to judge by."""
_PENALTIES = (300.0, 100.0, 30.0, 10.0)
_NEIGHBOURS = (320, 80, 20)


class TaskRouter(Router):
    """Predicts a member's score by its accuracy on the task, whatever the text says."""

    name = "task-router"
    fitted: ClassVar[Mapping[str, Row]] = {
        **Router.fitted,
        "task_accuracy": Row("float32", "TN", 0, 1),
    }

    def _fit_predictor(self, table: ResponseTable, rng: np.random.Generator) -> None:
        self.task_accuracy_ = task_accuracy(table)

    def predict(self, task: IntArray, features: FloatArray) -> FloatArray:
        """float32[B, N]: accuracy on the task."""
        return self.task_accuracy_[task]

    @property
    def least_chance(self) -> FloatArray:
        """float32[N]: the least accuracy on a task."""
        return np.asarray(self.task_accuracy_.min(axis=0))


class _FixedKnnRouter(KnnRouter):
    """Looks at as many neighbours as it is told, whether or not that would have earned more.

    Told several, at the most of them.
    """

    def _best_size(self, table: ResponseTable, sizes: tuple[int, ...]) -> int:
        return sizes[-1]


ROUTERS: Mapping[str, Callable[[], Router]] = {
    router.name: router for router in (TaskRouter, LogisticRouter, KnnRouter)
}
"""Those chosen from, by name. Fitted, they differ from one another in nothing but their arrays."""


class Predictor(NamedTuple):
    """The router chosen, and what its like predicted for queries that they had not seen."""

    router: Router
    """Fitted on all training queries."""
    out_of_fold: FloatArray
    """float32[Q, N]: predicted by the same kind of router fitted on other inner folds."""
    uses_text: bool
    """False where the predictions are accuracies on the task."""


def choose_predictor(table: ResponseTable, *, rng: np.random.Generator) -> Predictor:
    """Choose among accuracies per task, logistic regressions and nearest neighbours.

    Judged by the mean log-likelihood over members and training queries, in inner cross-validation.
    Text must beat the accuracies per task by more than a standard error, see `best_setting`, and
    the member it puts first must be right as often as theirs: the likelihood is of all members,
    and can rise while the order of the best ones suffers. Text is not tried with fewer than 30
    distinct prompts, where `out_of_fold` is not out of fold either.

    Args:
        table: labelled training queries.
        rng: passed on to the routers.
    """
    if len(np.unique(table.group)) < _MIN_GROUPS:
        router = TaskRouter().fit(table, rng=rng)
        return Predictor(router, router.predict(table.task, table.features), uses_text=False)
    makers: list[Callable[[], Router]] = [TaskRouter]
    neighbours = _NEIGHBOURS if table.features.shape[1] else ()
    if neighbours:
        makers += [partial(LogisticRouter, penalties=(penalty,)) for penalty in _PENALTIES]
    n_fitted = len(makers)
    makers += [partial(_FixedKnnRouter, sizes=(k,)) for k in neighbours]
    fold = inner_folds(table, _N_FOLDS)
    predicted = np.empty((len(makers), table.n_queries, table.n_members), dtype=np.float32)
    for i in range(_N_FOLDS):
        out = fold == i
        rest, task, features = table.take(~out), table.task[out], table.features[out]
        for j, make in enumerate(makers[:n_fitted]):
            predicted[j, out] = make().fit(rest, rng=rng).predict(task, features)
        if neighbours:
            knn = _FixedKnnRouter(sizes=neighbours).fit(rest, rng=rng)
            # Cut as each would be on its own, to what there is.
            predicted[n_fitted:, out] = knn.predict_by(
                task, features, [min(k, knn.k_) for k in neighbours]
            )
    score = expected_score(table)
    first = np.array([routed_score(p, score).mean() for p in predicted])
    eligible = np.flatnonzero(first >= first[0] - 1e-6)
    likelihood = np.stack([log_likelihood(predicted[j], score) for j in eligible])
    best = int(eligible[best_setting(likelihood)])
    return Predictor(makers[best]().fit(table, rng=rng), predicted[best], uses_text=best > 0)


def log_likelihood(chance: FloatArray, score: FloatArray) -> FloatArray:
    """Mean over members of the log-likelihood of their scores.

    Args:
        chance: float32[Q, N], predicted chances; kept within [0.01, 0.99].
        score: float32[Q, N] in [0, 1], fractions allowed.

    Returns:
        float32[Q], <= 0.

    >>> chance, score = np.array([[0.5, 0.25]]), np.array([[1.0, 0.0]])
    >>> log_likelihood(chance, score).round(3).tolist()  # (log 1/2 + log 3/4) / 2
    [-0.49000000953674316]
    """
    p = np.clip(chance, 0.01, 0.99)
    likelihood = score * np.log(p) + (1 - score) * np.log(1 - p)
    return np.asarray(likelihood.mean(axis=1), dtype=np.float32)
