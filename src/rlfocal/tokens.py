"""Log-probabilities of a reply's tokens: what servers give, records keep and signals read."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["TokenLogprobs"]


@dataclass(frozen=True, eq=False)
class TokenLogprobs:
    """Log-probabilities of the tokens of a reply, as its server gave them.

    Raises:
        ValueError: as many lengths as log-probabilities are needed.
    """

    chars: NDArray[np.int32]
    """int32[K]: characters of each token; together they are the reply's text, as a rule."""
    logprob: NDArray[np.float32]
    """float32[K], at most 0; NaN where the server left one out."""

    def __post_init__(self) -> None:
        if self.chars.shape != self.logprob.shape or self.chars.ndim != 1:
            raise ValueError(
                f"{self.chars.shape} lengths of tokens for {self.logprob.shape} log-probabilities"
            )

    def __eq__(self, other: object) -> bool:
        """Equal tokens with equal numbers; one that was left out equals another such."""
        if not isinstance(other, TokenLogprobs):
            return NotImplemented
        return np.array_equal(self.chars, other.chars) and np.array_equal(
            self.logprob, other.logprob, equal_nan=True
        )

    def __hash__(self) -> int:
        return hash(self.chars.tobytes())

    def within(self, start: int, end: int) -> TokenLogprobs:
        """The tokens of the characters from `start` to before `end`; those at its ends are cut.

        A token without characters, such as half of one, belongs to the character after it.

        >>> tokens = TokenLogprobs(np.array([2, 0, 1, 3]), np.array([-1.0, -2.0, -3.0, -4.0]))
        >>> part = tokens.within(2, 5)
        >>> part.chars.tolist(), part.logprob.tolist()
        ([0, 1, 2], [-2.0, -3.0, -4.0])
        """
        ends = np.cumsum(self.chars)
        begins = ends - self.chars
        n_chars = np.minimum(ends, end) - np.maximum(begins, start)
        kept = (n_chars > 0) | ((self.chars == 0) & (begins >= start) & (begins < end))
        return TokenLogprobs(n_chars[kept].astype(np.int32), self.logprob[kept])
