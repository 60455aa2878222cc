"""Group free-text replies by meaning, and measure how similar the groups are.

Embeddings of the sentence encoder where it is installed, of hashed words otherwise; similar replies
(average linkage of cosine distances) are one candidate.

Axes: K replies, G candidates.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache
from typing import NamedTuple

import numpy as np

from rlfocal.features import Encoder, HashingEncoder
from rlfocal.numbers import Float64Array
from rlfocal.records import FloatArray, IntArray

__all__ = ["AnswerGroups", "fetch_text_encoder", "group_answers", "text_encoder"]

_SAME = 0.75
"""Cosine similarity from which on two replies are one answer."""
_SHARPNESS = 10.0
"""How fast support falls with similarity: .3 less similar is 20 times less supported."""


class AnswerGroups(NamedTuple):
    """Replies grouped by the answer they give."""

    stands_for: tuple[int, ...]
    """[K]: the reply that names each one's group, which is the most typical one in it."""
    support: FloatArray
    """float32[K, K]: how strongly each reply backs each; rows sum to 1, and only named replies
    have any."""


def group_answers(texts: Sequence[str], encode: Encoder) -> AnswerGroups:
    """Group replies by cosine similarity.

    Args:
        texts: K >= 1 of them; the same text is the same reply.
        encode: texts → unit vectors.
    """
    n = len(texts)
    rows = np.asarray(encode(texts), dtype=np.float64)
    similarity = np.clip(rows @ rows.T, 0.0, 1.0)
    number: dict[str, int] = {}
    words = np.array([number.setdefault(" ".join(t.split()), len(number)) for t in texts])
    same = words[:, None] == words[None, :]
    similarity[same] = 1.0
    group = _linked(1.0 - similarity, most=1.0 - _SAME)
    stands_for = [0] * n
    for name in np.unique(group):
        members = np.flatnonzero(group == name)
        typical = members[similarity[np.ix_(members, members)].sum(axis=1).argmax()]
        for k in members.tolist():
            stands_for[k] = int(typical)
    named = sorted(set(stands_for))
    support = np.zeros((n, n))
    nearness = np.exp(_SHARPNESS * (similarity[:, named] - 1.0))
    # Its own group is as near as can be, whatever the distance to its most typical reply.
    for k, name in enumerate(stands_for):
        nearness[k, named.index(name)] = 1.0
    support[:, named] = nearness / nearness.sum(axis=1, keepdims=True)
    return AnswerGroups(tuple(stands_for), support.astype(np.float32))


def _linked(distance: Float64Array, *, most: float) -> IntArray:
    """Groups int64[K] by average linkage: the nearest two become one while they are near enough."""
    distance, size = distance.copy(), np.ones(len(distance))
    group = np.arange(len(distance))
    np.fill_diagonal(distance, np.inf)
    while len(distance):
        kept, gone = np.unravel_index(distance.argmin(), distance.shape)
        if distance[kept, gone] > most:
            break
        mean = np.average(distance[[kept, gone]], axis=0, weights=size[[kept, gone]])
        distance[kept], distance[:, kept] = mean, mean
        distance[gone], distance[:, gone], distance[kept, kept] = np.inf, np.inf, np.inf
        size[kept] += size[gone]
        group[group == group[gone]] = group[kept]
    return group


def text_encoder() -> Encoder:
    """The sentence encoder where it is installed, else hashed words; loaded once, which blocks."""
    return fetch_text_encoder().result()


def fetch_text_encoder() -> Future[Encoder]:
    """Have `text_encoder` loaded in a thread, if it is not yet; blocks nobody.

    It takes 200 MB and a second, so a process that compares no free words never loads it, and one
    that does loads it while members are asked.
    """
    with _ONE_BY_ONE:
        return _fetched()


_ONE_BY_ONE = threading.Lock()


@cache
def _fetched() -> Future[Encoder]:
    return ThreadPoolExecutor(1, thread_name_prefix="rlfocal-encoder").submit(_load)


def _load() -> Encoder:
    from rlfocal.errors import ConfigError
    from rlfocal.features.sentence import SentenceEncoder

    try:
        found = SentenceEncoder()
    except ConfigError:
        return HashingEncoder(1024)
    found(["the first text takes longest"])
    return found
