"""A simulated pool as a `ResponseTable`, so that replay and every strategy run on it."""

from __future__ import annotations

import numpy as np

from rlfocal.records import CandidateKind, ResponseTable
from rlfocal.simulator.choices import SimulatedPool

__all__ = ["to_table"]


def to_table(pool: SimulatedPool, *, name: str = "simulated pool") -> ResponseTable:
    """Build the table, marked as synthetic.

    Args:
        pool: answers and supports of the same queries (drawn with `n_graded=None`).
        name: name of the data set.

    Raises:
        ValueError: supports of a part of the queries only.
    """
    n_queries, n_members = pool.answer.shape
    if len(pool.support) != n_queries:
        raise ValueError(
            f"supports of {len(pool.support)} of {n_queries} queries; draw with n_graded=None"
        )
    members = tuple(f"member-{n + 1}" for n in range(n_members))
    if pool.reads is not None:
        members = pool.reads.members
    kind = CandidateKind.ANSWERS if pool.is_open else CandidateKind.OPTIONS
    n_tasks = int(pool.task.max()) + 1 if n_queries else 1
    texts = [f"answer {c:02d}" for c in range(pool.exists.shape[1])]
    if not pool.is_open:
        texts = [chr(ord("A") + c) for c in range(pool.exists.shape[1])]
    candidates = np.empty(n_queries, dtype=object)
    for q in range(n_queries):
        candidates[q] = tuple(texts[: int(pool.exists[q].sum())])
    return ResponseTable(
        name=name,
        members=members,
        tasks=tuple(f"task-{t + 1}" for t in range(n_tasks)),
        query_ids=np.array([f"q{q:06d}" for q in range(n_queries)], dtype=np.str_),
        task=pool.task,
        group=np.arange(n_queries),
        split=np.full(n_queries, "", dtype=np.str_),
        features=np.zeros((n_queries, 0), dtype=np.float32),
        candidates=candidates,
        kind=np.full(n_queries, kind, dtype=np.int8),
        exists=pool.exists,
        candidate_score=pool.worth,
        answer=pool.answer,
        support=pool.support,
        cost=pool.cost,
        cost_unit="call" if (pool.cost == 1).all() else "usd",
        reads=pool.reads,
        synthetic=True,
    )
