"""One reply as signals read it: nothing here depends on a label, or on another member."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

__all__ = ["SeenReply", "TokenLogprobs"]


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


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class SeenReply:
    """A reply and the question that it answers."""

    text: str | None
    """As it came; None where only the answer was recorded."""
    prompt: str = ""
    choices: tuple[str, ...] = ()
    answer: str | None = None
    """As it was extracted, in canonical form; None where it holds none of use."""
    kind: str = ""
    """How answers are compared: "choice", "number", ...; empty where unknown."""
    finish: str | None = None
    """"stop", "length" or "tool_calls"; None where unknown."""
    n_chars: int | None = None
    """Length of the text, which may be known where the text is not."""
    n_completion_tokens: int | None = None
    latency_s: float | None = None
    tokens: TokenLogprobs | None = None
    given: Mapping[str, float] = field(default_factory=dict)
    """The user's own signals, by name, without the prefix `signal_`."""
