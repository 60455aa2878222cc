"""Summary figures of a pool, the same for simulated and for recorded ones."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from rlfocal.records import ResponseTable

__all__ = ["Summary", "summarise"]


class Summary(NamedTuple):
    """One pool in ten figures; NaN where a figure does not exist."""

    n_members: float
    mean_accuracy: float
    accuracy_spread: float
    """Standard deviation over members."""
    error_correlation: float
    """Mean over pairs of the correlation of failures."""
    most_alike: float
    """The largest such correlation."""
    same_wrong: float
    """P(same answer | both answered, both wrong), mean over pairs."""
    vote_gain: float
    """Plurality of all members minus the best single one, points of accuracy / 100."""
    oracle_gain: float
    """At least one member right minus the best single one."""
    abstention: float
    """Share of responses without a usable answer."""
    n_distinct: float
    """Mean number of distinct answers per query."""
    distinct_share: float
    """The same as a share of the members that answered."""


def summarise(table: ResponseTable) -> Summary:
    """Measure a table of comparable answers."""
    right = table.member_score >= 0.5
    accuracy = right.mean(axis=0)
    best = float(accuracy.max())
    failed = (~right).astype(np.float64)
    varied = failed.std(axis=0) > 0
    pairs = np.array([np.nan])
    if varied.sum() > 1:
        correlation = np.asarray(np.corrcoef(failed[:, varied].T))
        pairs = correlation[np.triu_indices(len(correlation), 1)]
    wrong = (table.answered & ~right).astype(np.float64)
    n_slots = table.n_candidates
    one_hot = (table.answer[:, :, None] == np.arange(n_slots)) * wrong[:, :, None]
    # [Q, N, C] -> [N, Q * C]: agreements of a pair are one inner product
    flat = one_hot.transpose(1, 0, 2).reshape(table.n_members, -1)
    upper = np.triu_indices(table.n_members, 1)
    both, same = (wrong.T @ wrong)[upper].sum(), (flat @ flat.T)[upper].sum()
    votes = (table.answer[:, :, None] == np.arange(n_slots)).sum(axis=1)
    plurality = table.score_of(votes.argmax(axis=1).astype(np.int16)).mean()
    distinct = (votes > 0).sum(axis=1)
    return Summary(
        n_members=table.n_members,
        mean_accuracy=float(accuracy.mean()),
        accuracy_spread=float(accuracy.std()),
        error_correlation=float(pairs.mean()),
        most_alike=float(pairs.max()),
        same_wrong=float(same / both) if both else float("nan"),
        vote_gain=float(plurality) - best,
        oracle_gain=float(right.any(axis=1).mean()) - best,
        abstention=float((~table.answered).mean()),
        n_distinct=float(distinct.mean()),
        distinct_share=float((distinct / np.maximum(table.answered.sum(axis=1), 1)).mean()),
    )
