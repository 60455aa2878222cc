"""Hashed words and word pairs: the default encoder, with nothing to download and nothing to fit.

Source: Weinberger et al. 2009, "Feature hashing for large scale multitask learning"; the hashing
itself is scikit-learn's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any, ClassVar, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from rlfocal.errors import ConfigError

__all__ = ["Encoder", "HashingEncoder", "Spec"]

Spec = Mapping[str, str | int]
"""Name and settings of an encoder."""


class Encoder(Protocol):
    """Turns texts into vectors; `spec` is what a checkpoint stores to make it again."""

    def __call__(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Texts → float32[Q, D], rows of length 1 (or 0 for an empty text)."""
        ...

    @property
    def spec(self) -> dict[str, str | int]:
        """Name and settings, JSON-ready."""
        ...


class HashingEncoder:
    """Signed hashing of words and word pairs, English stop words left out, rows of length 1.

    Of a text of more than 65,536 characters the first and the last 32,768 are read: what is asked
    stands there, and what lies between takes a second of work a megabyte.

    Args:
        n_features: D.

    >>> HashingEncoder(64)(["How many apples?", ""]).shape
    (2, 64)
    """

    settings: ClassVar = ("n_features",)

    def __init__(self, n_features: int = 256) -> None:
        self.n_features = n_features

    @classmethod
    def of(cls, spec: Spec) -> Self:
        """Make the encoder of a spec.

        Raises:
            ConfigError: `n_features` is no number of features.
        """
        n_features = spec["n_features"]
        if not isinstance(n_features, int) or n_features < 1:
            raise ConfigError(
                f"encoder 'hashing': n_features must be an integer of at least 1, got "
                f"{n_features!r}"
            )
        return cls(n_features)

    @property
    def spec(self) -> dict[str, str | int]:
        """Name and settings, JSON-ready."""
        return {"name": "hashing", "n_features": self.n_features}

    def __call__(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Texts → float32[Q, D]."""
        rows = _hasher(self.n_features).transform(map(_terms(), map(_ends, texts))).toarray()
        length = np.sqrt((rows * rows).sum(axis=1, keepdims=True))
        return np.asarray(rows / np.where(length, length, 1), dtype=np.float32)


_END = 1 << 15


def _ends(text: str) -> str:
    """A text without its middle, where it is very long."""
    return text if len(text) <= 2 * _END else f"{text[:_END]} {text[-_END:]}"


# Made once: to make them takes longer than to encode a query.


@cache
def _terms() -> Callable[[str], list[str]]:
    """Splits a text into words and word pairs."""
    from sklearn.feature_extraction.text import CountVectorizer

    analyze: Callable[[str], list[str]] = CountVectorizer(
        ngram_range=(1, 2), stop_words="english"
    ).build_analyzer()
    return analyze


@cache
def _hasher(n_features: int) -> Any:
    from sklearn.feature_extraction import FeatureHasher

    return FeatureHasher(n_features, input_type="string")
