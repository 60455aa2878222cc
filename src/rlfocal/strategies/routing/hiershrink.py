"""A router by hierarchical shrinkage: what a few labels say of a cell is drawn to the wider one.

Pool, task, coarse cluster, fine cluster: each level corrects the one above it by what its own
queries show, weighed against 24 made-up queries that show nothing new. So nothing is tuned, and
cells of a handful of labels do no harm.

Source: "HierShrink" of the router of the vLLM project, whose levels are the pool and two k-means
groupings. Departures: a member's accuracy on the task stands above the clusters, and a level passes
on gains over the level above it in place of means, since clusters cut across tasks and fine
clusters across coarse ones. Where cells nest, that is the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from rlfocal.deliberation.protocol import Need
from rlfocal.deliberation.state import Row
from rlfocal.numbers import shrunk_mean
from rlfocal.records import FloatArray, IntArray, ResponseTable
from rlfocal.strategies.amounts import checked_amount
from rlfocal.strategies.routing.kmeans import clusters, nearest_cluster
from rlfocal.strategies.routing.router import Router
from rlfocal.strategies.single import expected_score, task_accuracy

__all__ = ["HierShrinkRouter"]


class HierShrinkRouter(Router):
    """Predicts a member's score by its accuracy on the task, corrected per cluster, twice.

    Args:
        cost_weight: price of a call, see `Router`.
        n_coarse: coarse clusters of query texts; as many as there are distinct ones, if fewer.
        n_fine: fine clusters.
        weight: how many queries without news are added to every cell.

    Raises:
        ValueError: a number of clusters below 1, or a weight that is not positive.
    """

    name = "hiershrink-router"
    needs: ClassVar[frozenset[Need]] = frozenset({Need.FEATURES})
    packages = ("sklearn",)
    stochastic: ClassVar[bool] = True
    fitted: ClassVar[Mapping[str, Row]] = {
        **Router.fitted,
        "task_accuracy": Row("float32", "TN", 0, 1),
        "coarse_centre": Row("float32", "KD"),
        "coarse_gain": Row("float32", "KN", -1, 1),
        "fine_centre": Row("float32", "LD"),
        "fine_gain": Row("float32", "LN", -2, 2),
    }

    def __init__(
        self,
        *,
        cost_weight: float = 0.0,
        n_coarse: int = 20,
        n_fine: int = 100,
        weight: float = 24.0,
    ) -> None:
        super().__init__(cost_weight=cost_weight)
        if n_coarse < 1 or n_fine < 1:
            raise ValueError(f"n_coarse and n_fine must be >= 1, got {n_coarse}, {n_fine}")
        self.n_coarse = n_coarse
        self.n_fine = n_fine
        self.weight = checked_amount(weight, "weight")  # a task may have no query

    def _fit_predictor(self, table: ResponseTable, rng: np.random.Generator) -> None:
        seed = int(rng.integers(2**31))
        self.task_accuracy_ = task_accuracy(table, pseudo_counts=self.weight)
        news = expected_score(table) - self.task_accuracy_[table.task]
        self.coarse_centre_, coarse = clusters(table.features, self.n_coarse, seed)
        self.coarse_gain_ = self._gain(news, coarse, len(self.coarse_centre_))
        news = news - self.coarse_gain_[coarse]
        self.fine_centre_, fine = clusters(table.features, self.n_fine, seed)
        self.fine_gain_ = self._gain(news, fine, len(self.fine_centre_))

    def predict(self, task: IntArray, features: FloatArray) -> FloatArray:
        """float32[B, N]: accuracy on the task, and the gains of the nearest clusters."""
        coarse = nearest_cluster(features, self.coarse_centre_)
        fine = nearest_cluster(features, self.fine_centre_)
        predicted = self.task_accuracy_[task] + self.coarse_gain_[coarse] + self.fine_gain_[fine]
        return np.asarray(np.clip(predicted, 0, 1), dtype=np.float32)

    def _gain(self, news: FloatArray, cell: IntArray, n_cells: int) -> FloatArray:
        """float32[cells, N]: the mean of what is new, drawn to nothing."""
        nothing = np.zeros((n_cells, news.shape[1]), dtype=np.float32)
        return shrunk_mean(news, cell, nothing, pseudo_counts=self.weight)
