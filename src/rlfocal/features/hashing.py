"""Hashed words and word pairs: the default encoder, with nothing to download and nothing to fit.

Source: Weinberger et al. 2009, "Feature hashing for large scale multitask learning". The features
are those of scikit-learn's `CountVectorizer` and `FeatureHasher`, number by number, without it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import chain, pairwise
from typing import ClassVar, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from rlfocal.errors import ConfigError
from rlfocal.murmur import murmur

__all__ = ["Encoder", "HashedEncoder", "HashingEncoder", "Spec"]

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


class HashedEncoder:
    """What encoders by hashed pieces of a text have in common: a name, and how many features.

    Args:
        n_features: D.
    """

    name: ClassVar[str]
    settings: ClassVar = ("n_features",)

    def __init__(self, n_features: int) -> None:
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
                f"encoder '{cls.name}': n_features must be an integer of at least 1, got "
                f"{n_features!r}"
            )
        return cls(n_features)

    @property
    def spec(self) -> dict[str, str | int]:
        """Name and settings, JSON-ready."""
        return {"name": self.name, "n_features": self.n_features}


class HashingEncoder(HashedEncoder):
    """Signed hashing of words and word pairs, English stop words left out, rows of length 1.

    Of a text of more than 65,536 characters the first and the last 32,768 are read: what is asked
    stands there, and what lies between takes a second of work a megabyte.

    Args:
        n_features: D.

    >>> HashingEncoder(64)(["How many apples?", ""]).shape
    (2, 64)
    """

    name: ClassVar = "hashing"

    def __init__(self, n_features: int = 256) -> None:
        super().__init__(n_features)

    def __call__(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Texts → float32[Q, D]."""
        found = np.empty((len(texts), self.n_features), dtype=np.float32)
        for start in range(0, len(texts), _BLOCK):
            rows = slice(start, start + _BLOCK)
            terms = [_terms(ends(text)) for text in texts[rows]]
            # The sign comes from the hash too, so that collisions cancel in the mean.
            found[rows] = of_length_one(counted(terms, self.n_features, signed=True))
        return found


_BLOCK = 1024
"""Texts whose words are lists at once; bounds memory, changes no result."""
_END = 1 << 15
_WORD = re.compile(r"\w\w+")
_STOP_WORDS = frozenset(
    """
    a about above across after afterwards again against all almost alone along already also
    although always am among amongst amoungst amount an and another any anyhow anyone anything
    anyway anywhere are around as at back be became because become becomes becoming been before
    beforehand behind being below beside besides between beyond bill both bottom but by call can
    cannot cant co con could couldnt cry de describe detail do done down due during each eg eight
    either eleven else elsewhere empty enough etc even ever every everyone everything everywhere
    except few fifteen fifty fill find fire first five for former formerly forty found four from
    front full further get give go had has hasnt have he hence her here hereafter hereby herein
    hereupon hers herself him himself his how however hundred i ie if in inc indeed interest into
    is it its itself keep last latter latterly least less ltd made many may me meanwhile might
    mill mine more moreover most mostly move much must my myself name namely neither never
    nevertheless next nine no nobody none noone nor not nothing now nowhere of off often on once
    one only onto or other others otherwise our ours ourselves out over own part per perhaps
    please put rather re same see seem seemed seeming seems serious several she should show side
    since sincere six sixty so some somehow someone something sometime sometimes somewhere still
    such system take ten than that the their them themselves then thence there thereafter thereby
    therefore therein thereupon these they thick thin third this those though three through
    throughout thru thus to together too top toward towards twelve twenty two un under until up
    upon us very via was we well were what whatever when whence whenever where whereafter whereas
    whereby wherein whereupon wherever whether which while whither who whoever whole whom whose
    why will with within without would yet you your yours yourself yourselves
    """.split()  # noqa: SIM905
)
"""The English stop words of the Glasgow Information Retrieval Group, as scikit-learn has them."""


def counted(
    found: Sequence[Sequence[str]], n_features: int, *, signed: bool
) -> NDArray[np.float64]:
    """How often the terms of each text fall into each place: float64[Q, D].

    Args:
        found: the terms of Q texts.
        n_features: D.
        signed: whether half of all terms count as -1.
    """
    text = np.repeat(np.arange(len(found)), [len(terms) for terms in found])
    number: dict[str, int] = {}
    term = [number.setdefault(each, len(number)) for each in chain.from_iterable(found)]
    hashed = murmur([each.encode(errors="replace") for each in number])[term]
    place = text * n_features + np.abs(hashed) % n_features
    weight = np.where(hashed < 0, -1.0, 1.0) if signed else None
    shape = len(found), n_features
    rows = np.bincount(place, weight, minlength=shape[0] * shape[1]).reshape(shape)
    return np.asarray(rows, dtype=np.float64)


def of_length_one(rows: NDArray[np.float64]) -> NDArray[np.float32]:
    """Rows float[Q, D] drawn to length 1, those of zeros left alone."""
    length = np.sqrt((rows * rows).sum(axis=1, keepdims=True))
    return np.asarray(rows / np.where(length, length, 1), dtype=np.float32)


def ends(text: str) -> str:
    """A text without its middle, where it is very long."""
    return text if len(text) <= 2 * _END else f"{text[:_END]} {text[-_END:]}"


def _terms(text: str) -> list[str]:
    """Words, and pairs of words that stand together once stop words are left out."""
    words = [word for word in _WORD.findall(text.lower()) if word not in _STOP_WORDS]
    return words + [f"{first} {second}" for first, second in pairwise(words)]
