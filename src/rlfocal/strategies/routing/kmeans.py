"""A router that asks whoever did best on the query's cluster of training queries."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from rlfocal.deliberation.protocol import Need
from rlfocal.deliberation.state import Row
from rlfocal.extras import need
from rlfocal.numbers import shrunk_mean
from rlfocal.records import FloatArray, IntArray, ResponseTable
from rlfocal.records.tables.folds import inner_folds
from rlfocal.strategies.amounts import checked_amount
from rlfocal.strategies.routing.router import Router, best_setting, routed_score
from rlfocal.strategies.single import expected_score, task_accuracy

__all__ = ["KMeansRouter", "clusters", "nearest_cluster"]

_N_FOLDS = 3


class KMeansRouter(Router):
    """Predicts a member's score by its accuracy on the task and its gain in the query's cluster.

    Clusters are k-means of the features alone, so they may cut across tasks. The gain is the mean,
    over training queries of the cluster, of score minus accuracy on that query's task, drawn
    towards zero by pseudo-counts. The number of clusters is chosen by inner cross-validation.

    Args:
        cost_weight: price of a call, see `Router`.
        sizes: numbers of clusters to choose from; those above Q / 10 are left out.
        pseudo_counts: how many queries without any gain are added to a cluster.

    Raises:
        ValueError: an empty or non-positive `sizes`, or pseudo-counts that are not finite or not
            positive: a cluster may have no query to learn from.
    """

    name = "kmeans-router"
    needs: ClassVar[frozenset[Need]] = frozenset({Need.FEATURES})
    packages = ("sklearn",)
    stochastic: ClassVar[bool] = True
    fitted: ClassVar[Mapping[str, Row]] = {
        **Router.fitted,
        "centre": Row("float32", "KD"),
        "task_accuracy": Row("float32", "TN", 0, 1),
        "gain": Row("float32", "KN", -1, 1),
    }

    def __init__(
        self,
        *,
        cost_weight: float = 0.0,
        sizes: tuple[int, ...] = (1, 8, 16, 32, 64),
        pseudo_counts: float = 20.0,
    ) -> None:
        super().__init__(cost_weight=cost_weight)
        if not sizes or min(sizes) < 1:
            raise ValueError(f"sizes must hold positive integers, got {sizes}")
        self.sizes = tuple(sorted(sizes))
        self.pseudo_counts = checked_amount(pseudo_counts, "pseudo_counts", may_be_zero=True)

    def _fit_predictor(self, table: ResponseTable, rng: np.random.Generator) -> None:
        most = max(1, table.n_queries // 10)
        sizes = sorted({min(k, most) for k in self.sizes})
        seed = int(rng.integers(2**31))
        # Clustering looks at no score, so one clustering serves all inner folds.
        fits = [clusters(table.features, k, seed) for k in sizes]
        best = 0
        if len(sizes) > 1:
            best = best_setting(
                np.stack([self._routed(table, cluster, len(centre)) for centre, cluster in fits])
            )
        self.centre_, cluster = fits[best]
        self.task_accuracy_ = task_accuracy(table)
        self.gain_ = self._gains(table, cluster, len(self.centre_))

    def predict(self, task: IntArray, features: FloatArray) -> FloatArray:
        """float32[B, N]: accuracy on the task plus the gain within the nearest cluster."""
        cluster = nearest_cluster(features, self.centre_)
        predicted = self.task_accuracy_[task] + self.gain_[cluster]
        return np.asarray(np.clip(predicted, 0, 1), dtype=np.float32)

    def _gains(self, table: ResponseTable, cluster: IntArray, n_clusters: int) -> FloatArray:
        """float32[K, N]: how much better each member does in a cluster than on its tasks."""
        gain = expected_score(table) - task_accuracy(table)[table.task]
        none = np.zeros((n_clusters, table.n_members), dtype=np.float32)
        return shrunk_mean(gain, cluster, none, pseudo_counts=self.pseudo_counts)

    def _routed(self, table: ResponseTable, cluster: IntArray, n_clusters: int) -> FloatArray:
        """float32[Q]: what each query earns under a clustering, by inner cross-validation."""
        fold = inner_folds(table, _N_FOLDS)
        routed, score = np.empty(table.n_queries, dtype=np.float32), expected_score(table)
        for i in range(_N_FOLDS):
            out = fold == i
            rest = table.take(~out)
            gain = self._gains(rest, cluster[~out], n_clusters)
            predicted = task_accuracy(rest)[table.task[out]] + gain[cluster[out]]
            routed[out] = routed_score(predicted, score[out])
        return routed


def nearest_cluster(features: FloatArray, centre: FloatArray) -> IntArray:
    """int64[B]: the centre (float32[K, D]) nearest to each row of features, float32[B, D]."""
    # |x|^2 is the same for all centres.
    score = features @ centre.T - (centre**2).sum(axis=1) / 2
    return np.asarray(score.argmax(axis=1), dtype=np.int64)


def clusters(features: FloatArray, n_clusters: int, seed: int) -> tuple[FloatArray, IntArray]:
    """Group query texts by k-means.

    Args:
        features: float32[Q, D].
        n_clusters: at most so many; as many as there are distinct rows, where these are fewer.
        seed: of the start.

    Returns:
        Centres float32[K, D], and the cluster int64[Q] of each row.

    Raises:
        NotInstalled: scikit-learn is missing.
    """
    cluster = need("sklearn.cluster", "grouping queries")
    # Fewer distinct texts than clusters would make scikit-learn warn.
    n_distinct = len(np.unique(features, axis=0)) if len(features) < 50 * n_clusters else n_clusters
    model = cluster.KMeans(min(n_clusters, n_distinct), n_init=1, random_state=seed).fit(features)
    centre: NDArray[np.float32] = model.cluster_centers_.astype(np.float32)
    return centre, model.labels_.astype(np.int64)
