"""Simulated pools with set accuracies and set error correlations, whose optimum can be known.

For tests and for the demo until a recorded pool is built in. A member is right on a query when a
Gaussian score falls below the quantile of its accuracy there; part of that score is shared by all
members (a hard query is hard for everybody), so accuracies hold exactly and errors correlate.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import pyarrow as pa

from rlfocal.records.dataset import Dataset
from rlfocal.records.schema import DatasetInfo

__all__ = ["PoolModel", "demo_dataset", "simulate"]


@dataclass(frozen=True)
class PoolModel:
    """How a simulated pool behaves."""

    accuracy: Sequence[Sequence[float]]
    """[T][N], each in (0, 1): chance that member n is right on a query of task t."""
    n_options: int = 4
    """Options per query; wrong answers fall on the other ones."""
    correlation: float = 0.0
    """In [0, 1): share of the latent score that all members have in common."""
    shared_distractor: float = 0.0
    """In [0, 1]: chance that a wrong member gives the query's own popular wrong answer."""
    cost_usd: Sequence[float] | None = None
    """[N], price per call; None for no prices."""

    def __post_init__(self) -> None:
        values = np.asarray(self.accuracy, dtype=float)
        if values.ndim != 2 or values.shape[1] < 2 or not ((values > 0) & (values < 1)).all():
            raise ValueError("accuracy must be [tasks][members >= 2] with entries in (0, 1)")
        if not 0 <= self.correlation < 1:
            raise ValueError(f"correlation must lie in [0, 1), got {self.correlation}")
        if not 2 <= self.n_options <= 26:
            raise ValueError(f"n_options must lie in 2..26, got {self.n_options}")


def simulate(
    model: PoolModel, n_queries: int, *, rng: np.random.Generator, name: str = "synthetic"
) -> Dataset:
    """Draw a data set of multiple-choice queries, labelled as synthetic.

    Args:
        model: the pool.
        n_queries: Q; tasks take turns, so every task has Q / T of them.
        rng: source of all randomness.
        name: name of the data set.
    """
    accuracy = np.asarray(model.accuracy, dtype=float)
    n_tasks, n_members = accuracy.shape
    task = np.arange(n_queries) % n_tasks
    quantile = np.vectorize(NormalDist().inv_cdf)(accuracy)
    shared = rng.standard_normal((n_queries, 1)) * np.sqrt(model.correlation)
    own = rng.standard_normal((n_queries, n_members)) * np.sqrt(1 - model.correlation)
    right = shared + own < quantile[task]
    label = rng.integers(model.n_options, size=n_queries)
    # Wrong answers as offsets 1..K-1 from the label, so that they never hit it.
    popular = rng.integers(1, model.n_options, size=(n_queries, 1))
    other = rng.integers(1, model.n_options, size=(n_queries, n_members))
    follow = rng.random((n_queries, n_members)) < model.shared_distractor
    offset = np.where(follow, popular, other)
    answer = np.where(right, label[:, None], (label[:, None] + offset) % model.n_options)
    letters = np.array([chr(ord("A") + i) for i in range(model.n_options)])
    queries = pa.table(
        {
            "query_id": [f"{name}-{q:05d}" for q in range(n_queries)],
            "task": [f"task{t}" for t in task],
            "split": pa.nulls(n_queries, pa.string()),
            "prompt": [f"Synthetic question {q} about topic{t}." for q, t in enumerate(task)],
            "choices": [[f"option {c}" for c in letters] for _ in range(n_queries)],
            "label": letters[label],
        }
    )
    members = [f"model-{n + 1}" for n in range(n_members)]
    columns = {
        "query_id": np.repeat(queries["query_id"].to_pylist(), n_members),
        "member": np.tile(members, n_queries),
        "answer": letters[answer].reshape(-1),
        "score": right.astype(np.float64).reshape(-1),
    }
    if model.cost_usd is not None:
        columns["cost_usd"] = np.tile(np.asarray(model.cost_usd, dtype=float), n_queries)
    info = DatasetInfo(name=name, answers="choice", pools={"all": members}, synthetic=True)
    return Dataset(name=name, queries=queries, responses=pa.table(columns), info=info)


def demo_dataset(n_queries: int = 2400, *, seed: int = 0) -> Dataset:
    """The built-in data set: eight simulated members that are strong on different tasks."""
    rng = np.random.default_rng(seed)
    general = np.array([0.66, 0.64, 0.62, 0.60, 0.58, 0.56, 0.52, 0.45])
    accuracy = np.clip(general + rng.normal(0, 0.12, size=(6, 8)), 0.2, 0.93)
    model = PoolModel(accuracy=accuracy.tolist(), correlation=0.35, shared_distractor=0.4)
    return simulate(model, n_queries, rng=rng, name="demo (synthetic)")
