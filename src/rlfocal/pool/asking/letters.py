"""From the likeliest first tokens of a reply to scores of a question's options.

Which letter a token stands for, and what is known of one that no token stands for. Knows neither
members nor servers.
"""

from __future__ import annotations

import heapq
import math
import string
from collections.abc import Collection, Mapping

__all__ = ["LETTERS", "letter_scores", "letters_given"]

LETTERS = string.ascii_uppercase
_AROUND = " \t\r\n()[]{}<>\"'`*_.,:;\u201c\u201d\u2018\u2019\uff08\uff09\u3010\u3011\u3002\uff0e"
"""What stands around a letter: "(B)", "**B**", "B."."""
_LEAST_NATS = -103.0
"""Log-probability of what single precision cannot tell from impossible: servers say minus infinity,
or -9999, of which neither may be reckoned with."""
_LEAST_REST = 1e-6
"""Probability that is never told exactly: what single precision loses in a sum."""
_ROUNDING = 0.01
"""By so much rounded probabilities may add up to more than 1."""


def letter_scores(
    logprobs: Mapping[str, float], n_options: int, *, n_asked: int | None = None
) -> tuple[float, ...] | None:
    """Log-probability of each option's letter as the first token.

    Tokens that differ in what stands around the letter (" A", "A", "(A", "A.") count together;
    small letters count where the likeliest token is one and no large one is there. A letter that is
    not among the tokens gets what it can be at most: the log-probability of the least likely of
    them, or of all that they leave over. `letters_given` says which these are.

    Args:
        logprobs: token → log-probability; one of minus infinity counts as -103.
        n_options: 1 to 26.
        n_asked: how many of the likeliest tokens were asked for; None for as many as there are.
            One more may be the token that was drawn, however unlikely.

    Returns:
        One finite number per option; None where not a single letter is among the tokens.

    >>> letter_scores({"A": -1.0, " B": -2.0, "the": -3.0}, 3)
    (-1.0, -2.0, -3.0)
    """
    usable = {token: max(v, _LEAST_NATS) for token, v in logprobs.items() if v < math.inf}
    found: dict[str, float] = {}
    for token, letter in _letters(usable, n_options).items():
        value = usable[token]
        found[letter] = _log_add(found[letter], value) if letter in found else value
    if not found:
        return None
    at_most = min(
        heapq.nlargest(n_asked or len(usable), usable.values())[-1], _rest(usable.values())
    )
    return tuple(found.get(letter, at_most) for letter in LETTERS[:n_options])


def letters_given(logprobs: Mapping[str, float], n_options: int) -> tuple[bool, ...]:
    """Which options' letters are among the tokens: of the others only a bound is known.

    >>> letters_given({"A": -1.0, " B": -2.0, "the": -3.0}, 3)
    (True, True, False)
    """
    usable = {token: value for token, value in logprobs.items() if value < math.inf}
    told = set(_letters(usable, n_options).values())
    return tuple(letter in told for letter in LETTERS[:n_options])


def _letters(logprobs: Mapping[str, float], n_options: int) -> dict[str, str]:
    """Token → the option's letter that it stands for, of those that stand for one."""
    known = LETTERS[:n_options]
    bare = {token: token.strip(_AROUND) for token in logprobs}
    large = {token: text for token, text in bare.items() if len(text) == 1 and text in known}
    if large or not logprobs:
        return large
    small = {t: x.upper() for t, x in bare.items() if len(x) == 1 and x in known.lower()}
    return small if max(logprobs, key=logprobs.__getitem__) in small else {}


def _rest(logprobs: Collection[float]) -> float:
    """Log-probability of all tokens that were not told."""
    told = math.fsum(math.exp(min(value, 0.0)) for value in logprobs)
    if told > 1 + _ROUNDING:  # no probabilities of one distribution: they say nothing of others
        return 0.0
    return math.log(max(1 - told, _LEAST_REST))


def _log_add(a: float, b: float) -> float:
    high, low = max(a, b), min(a, b)
    return high + math.log1p(math.exp(low - high))
