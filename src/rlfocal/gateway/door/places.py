"""Places of requests under way: no key takes the last of them from all the others.

One key may have nearly all while nobody else needs them. The last eighth is for those who have few:
of what is free of it, a key may come to have as much as it leaves.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from rlfocal.gateway.errors import ApiError
from rlfocal.gateway.settings import GatewaySettings
from rlfocal.gateway.store.keys import Key

__all__ = ["Places"]

_KEPT = 8
"""An eighth."""
_UNHEARD = 16
"""Of the places, one key may have a sixteenth for work that nobody listens to any more."""


class Places:
    """The places of one process; belongs to its event loop.

    Args:
        settings: `in_flight` of them.

    >>> from rlfocal.gateway.store.keys import Key
    >>> places, many, few = Places(GatewaySettings(in_flight=8)), Key("a", "a"), Key("b", "b")
    >>> held = [places.hold(many) for _ in range(7)]
    >>> [place.__enter__() for place in held] == [None] * 7
    True
    >>> (places.has_room(many), places.has_room(few))
    (False, True)
    """

    def __init__(self, settings: GatewaySettings) -> None:
        self._most = settings.in_flight
        self._kept = max(1, self._most // _KEPT)
        self._of: Counter[str] = Counter()
        self.n = 0
        """That are taken."""

    @property
    def most_unheard(self) -> int:
        """Requests of one key that go on though nobody listens to them."""
        return max(1, self._most // _UNHEARD)

    def has_room(self, key: Key) -> bool:
        """Whether another request of a key may begin."""
        free = self._most - self.n
        own_limit = key.limits.concurrency
        is_bounded = own_limit is not None and own_limit <= self._most - self._kept
        if free > self._kept or is_bounded or not key.id:  # behind an open door all are one
            return free > 0
        return self._of[key.id] < free

    @contextmanager
    def hold(self, key: Key) -> Iterator[None]:
        """Hold a place.

        Raises:
            ApiError: 429, there is none.
        """
        if not self.has_room(key):
            raise ApiError(
                429, "overloaded", "too many requests are under way; try again", retry_after_s=1.0
            )
        self.n += 1
        self._of[key.id] += 1
        try:
            yield
        finally:
            self.n -= 1
            self._of[key.id] -= 1
            if not self._of[key.id]:
                del self._of[key.id]
