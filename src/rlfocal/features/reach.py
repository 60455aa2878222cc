"""How far what was learned from training queries reaches: is a query like any of them?

Learned confidence holds for queries like those of training. A query is unlike them where none of
them is as near to it as the nearest other one is to nearly all of themselves.

Knows vectors only. Axes: Q training queries, K of them kept, D features.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from rlfocal.features.hashing import HashingEncoder, Spec
from rlfocal.features.runs import RunsEncoder

__all__ = ["Reach"]

_KEPT = 500
"""Queries kept, spread over all of them: with more, a query is found no better."""
_FEWEST = 30
"""Distinct queries below which nobody can say how far apart they are."""
_SHARE = 0.01
"""Of the training queries, held out one by one, that would be called unlike the others."""
_SURELY_LIKE = 0.5
"""From this similarity on no query is unlike: those of a data set made by one template are all but
the same, and another sum is no other kind of question."""
_ROUNDING = 1e-4
"""More than by which the same sum differs with the number of rows it is made for."""
_PART = 4096


@dataclass(frozen=True, eq=False)
class Reach:
    """What is kept of the training queries to judge others by."""

    queries: NDArray[np.float32]
    """float32[K, D], rows of length 1 (or 0)."""
    least: float
    """In [0, .5]: a query less similar (cosine) to all of them is unlike them."""
    encoder: Spec
    """What turns a query into such a row."""

    @classmethod
    def measured(
        cls,
        features: NDArray[np.float32],
        group: NDArray[np.int64],
        encoder: Spec,
        *,
        most: int = _KEPT,
    ) -> Reach | None:
        """Find out how near training queries are to each other.

        Args:
            features: float32[Q, D], rows of length 1 (or 0).
            group: int64[Q]: queries of one group are the same query, so that one says nothing of
                how near others are.
            encoder: what has made the features.
            most: queries to keep. More are kept where else a training query would be unlike them.

        Returns:
            None where there are too few of them to tell.

        >>> turn = np.linspace(0, 1, 40, dtype=np.float32)
        >>> arc = np.stack([np.cos(turn), np.sin(turn)], axis=1)
        >>> reach = Reach.measured(arc, np.arange(40), {"name": "angle"})
        >>> reach.nearest(arc[7]) > reach.least > reach.nearest(-arc[7])
        True
        """
        _, first = np.unique(group, return_index=True)
        if len(first) < _FEWEST or not features.shape[1]:
            return None
        rows, own = features[np.sort(first)], group[np.sort(first)]
        # Spread evenly by the order of data, in which tasks stand together.
        kept = np.unique(np.linspace(0, len(rows) - 1, min(most, len(rows))).astype(np.int64))
        others = np.empty(len(rows))
        whole = np.empty(len(rows))
        for start in range(0, len(rows), _PART):
            part = slice(start, start + _PART)
            similar = rows[part] @ rows[kept].T
            whole[part] = similar.max(axis=1)
            similar[own[part, None] == own[None, kept]] = -1.0
            others[part] = similar.max(axis=1)
        least = float(np.quantile(others, _SHARE, method="lower")) - _ROUNDING
        least = float(np.float32(np.clip(least, 0.0, _SURELY_LIKE)))
        kept = np.union1d(kept, np.flatnonzero(whole < least))
        return cls(rows[kept], least, encoder)

    @classmethod
    def of(
        cls,
        prompts: NDArray[np.object_] | None,
        features: NDArray[np.float32],
        group: NDArray[np.int64],
        encoder: Spec | None,
    ) -> Reach | None:
        """The same of training queries as a table holds them.

        A vector of hashed words says little of a short text: once stop words are left out, one word
        or none stands there. Where the features are such, texts are encoded anew, as runs of words.

        Args:
            prompts: object[Q], texts; None where they are not known.
            features: float32[Q, D].
            group: int64[Q].
            encoder: what has made the features; None where there are none.
        """
        if encoder is not None and encoder["name"] != HashingEncoder().spec["name"]:
            return cls.measured(features, group, encoder)
        if prompts is None:
            return None
        runs = RunsEncoder()
        return cls.measured(runs(prompts.tolist()), group, runs.spec)

    def nearest(self, row: NDArray[np.float32]) -> float:
        """Cosine similarity, up to 1, of float32[D] with the nearest of the queries kept."""
        # A short text has few features: only theirs are read of what else is two megabytes.
        places = np.flatnonzero(row)
        if not len(places):
            return 0.0
        return float((row[places] @ self._by_feature[places]).max())

    @cached_property
    def _by_feature(self) -> NDArray[np.float32]:
        """float32[D, K]: the queries kept, those of one feature side by side."""
        return np.ascontiguousarray(self.queries.T)
