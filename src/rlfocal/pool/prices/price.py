"""What a call costs, from its tokens and the price that the user gave.

There is no table of vendors' prices here: they change, and a wrong one is worse than none. Who has
no price for a model gets "unpriced", never free.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from rlfocal.pool.types import JsonObject, Request

__all__ = ["Price", "most_prompt_tokens"]

_PER_MESSAGE = 16
"""Tokens that a chat template puts around a turn, at most: role, separators, end of turn."""
_PER_CALL = 256
"""Tokens that it puts around them all, at most: some add a system message of their own."""
_PER_IMAGE = 50_000
"""Tokens of an image or of another part that is no text, at most: small models count the most."""


@dataclass(frozen=True, slots=True)
class Price:
    """Dollars per million tokens.

    Raises:
        ValueError: a price is negative or not a number.
    """

    prompt_usd_per_million: float
    completion_usd_per_million: float
    as_of: date | None = None
    """When that was the price; None where nobody says."""
    cached_usd_per_million: float | None = None
    """Of tokens of the prompt that the server read from its cache; None for the same as others."""

    def __post_init__(self) -> None:
        cached = self.cached_usd_per_million
        told = (self.prompt_usd_per_million, self.completion_usd_per_million)
        for value in told if cached is None else (*told, cached):
            if not (math.isfinite(value) and value >= 0):
                raise ValueError(f"a price is at least 0 dollars per million tokens, got {value}")
        if cached is not None and cached > self.prompt_usd_per_million:
            raise ValueError(
                f"tokens from a cache cost no more than others: {cached:g} is more than "
                f"{self.prompt_usd_per_million:g} dollars per million"
            )

    def of(
        self, n_prompt: int | None, n_completion: int | None, *, n_cached: int | None = None
    ) -> float | None:
        """What one call costs in dollars; None where a count of tokens is not known.

        Args:
            n_prompt: tokens of the prompt.
            n_completion: tokens of the reply.
            n_cached: of those of the prompt, what came from a cache; None where nobody says.

        >>> Price(2.0, 6.0).of(1000, 500)
        0.005
        >>> Price(2.0, 6.0).of(1000, None) is None
        True
        >>> Price(2.0, 6.0, cached_usd_per_million=0.5).of(1000, 500, n_cached=800)
        0.0038
        """
        if n_prompt is None or n_completion is None:
            return None
        prompt = self._of_prompt(n_prompt, n_cached)
        return (prompt + n_completion * self.completion_usd_per_million) / 1e6

    def _of_prompt(self, n_prompt: int, n_cached: int | None) -> float:
        """A prompt's, in millionths of a dollar; of it no more is cached than there is."""
        usual, cached = self.prompt_usd_per_million, self.cached_usd_per_million
        if cached is None or not n_cached:
            return n_prompt * usual
        read = min(n_cached, n_prompt)
        return (n_prompt - read) * usual + read * cached

    def charged(
        self,
        request: Request,
        n_prompt: int | None,
        n_completion: int | None,
        *,
        n_cached: int | None = None,
    ) -> tuple[float, float]:
        """What a reply costs in dollars: by what was counted, and beyond it at most.

        Args:
            request: what was sent.
            n_prompt: tokens of the prompt; None where they were not counted.
            n_completion: tokens of the reply, likewise. They may be more than `max_tokens`: what
                was counted is paid for.
            n_cached: as of `of`.

        Returns:
            What is known, and the most that what is not known may come to.

        >>> from rlfocal.pool.types import Message
        >>> asked = Request((Message("user", "1 + 1?"),), max_tokens=100)
        >>> Price(1.0, 1.0).charged(asked, 10, None) == (10 / 1e6, 100 / 1e6)
        True
        """
        prompt_usd, completion_usd = self.prompt_usd_per_million, self.completion_usd_per_million
        known = self._of_prompt(n_prompt or 0, n_cached) + (n_completion or 0) * completion_usd
        beyond = 0.0
        if n_prompt is None:
            beyond += most_prompt_tokens(request) * prompt_usd
        if n_completion is None:
            beyond += request.max_tokens * completion_usd
        return known / 1e6, beyond / 1e6

    def most(self, request: Request) -> float:
        """What sending a request once costs in dollars at most.

        Holds where `most_prompt_tokens` does, no reply is longer than `max_tokens`, and the price
        is the one that is charged. It does not count on a cache.
        """
        prompt = most_prompt_tokens(request) * self.prompt_usd_per_million
        return (prompt + request.max_tokens * self.completion_usd_per_million) / 1e6


def most_prompt_tokens(request: Request) -> int:
    """How many tokens a prompt can be at most, whoever reads it.

    A tokeniser over bytes makes each of them a token at worst (one that first rewrites the text
    could make more, from rare characters only). What the chat template adds is an allowance: a
    template with more boilerplate than 256 tokens and 16 a message would pass it. An image counts
    as 50,000 tokens, however large it is: servers cut it down before they look at it.

    >>> from rlfocal.pool.types import Message
    >>> most_prompt_tokens(Request((Message("user", "1 + 1?"),))) - 256 - 16
    6
    """
    # Half a surrogate pair cannot be sent: what stands in its place is three bytes, too.
    n_bytes, n_images = 0, 0
    for message in request.messages:
        n_bytes += len(message.content.encode("utf-8", "surrogatepass"))
        for part in message.parts:
            n_images += part.get("type") != "text"
        if message.extra:
            n_bytes += _n_bytes(message.extra)
    if request.extra:
        n_bytes += _n_bytes(request.extra)
    around = _PER_CALL + _PER_MESSAGE * len(request.messages)
    return around + n_bytes + _PER_IMAGE * n_images


def _n_bytes(fields: Mapping[str, object]) -> int:
    """Of fields as they are sent: in ASCII, which is more than in UTF-8; 4 for what is between."""
    written = JsonObject.of(fields).written
    return sum([len(json.dumps(name)) + len(text) + 4 for name, text in written.items()])
