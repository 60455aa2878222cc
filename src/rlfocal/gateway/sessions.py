"""Sessions of clients, and whom each asked first: these have its conversation in their caches.

A client names its session by `prompt_cache_key`. Whom the strategy would ask first may change from
turn to turn, and a server that has not seen a conversation reads all of it at the full price. So a
session's next request begins with those that the last one began with; how many are asked, and what
follows, is the strategy's affair. A session belongs to an API key and to a price of a call. It is
kept in the memory of this process alone, as a digest with a secret of this process, within bounds.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import NamedTuple

from rlfocal.deliberation.trace import Trace
from rlfocal.gateway.settings import GatewaySettings
from rlfocal.gateway.store.keys import Key
from rlfocal.gateway.wire.request import ChatRequest

__all__ = ["Session", "Sessions"]

_SHARE = 8
"""One API key has an eighth of all sessions, so that it does not push out those of others."""


class _Kept(NamedTuple):
    first: tuple[str, ...]
    at: float


class Sessions:
    """Of all clients.

    Args:
        settings: how many, and for how long.
        clock: seconds.
    """

    def __init__(
        self, settings: GatewaySettings, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._most, self._keep_s, self._clock = settings.sessions, settings.session_s, clock
        self._secret = secrets.token_bytes(32)
        self._of: dict[str, OrderedDict[bytes, _Kept]] = {}
        """Id of an API key → its sessions, the one that was used last at the end."""

    def __len__(self) -> int:
        return sum(map(len, self._of.values()))

    def of(self, key: Key, chat: ChatRequest) -> Session | None:
        """The session that a request to the ensemble belongs to; None where it names none."""
        named = chat.body.prompt_cache_key
        if not (self._most and named):
            return None
        text = f"{chat.price} {named}".encode("utf-8", "surrogatepass")
        digest = hashlib.blake2b(text, key=self._secret, digest_size=16).digest()
        return Session(self, key.id, digest)

    def first(self, owner: str, digest: bytes) -> tuple[str, ...]:
        """Whom a session asked first the last time; empty where nobody knows, or not any more."""
        self._forget_old()
        mine = self._of.get(owner)
        found = None if mine is None else mine.get(digest)
        return () if found is None else found.first

    def put(self, owner: str, digest: bytes, first: tuple[str, ...]) -> None:
        """Remember whom a session asked first; nobody: forget it."""
        self._forget_old()
        mine = self._of.setdefault(owner, OrderedDict())
        mine.pop(digest, None)
        if first:
            mine[digest] = _Kept(first, self._clock())
        if len(mine) > max(1, self._most // _SHARE):
            mine.popitem(last=False)
        if len(self) > self._most:
            max(self._of.values(), key=len).popitem(last=False)
        self._drop_empty()

    def _forget_old(self) -> None:
        oldest = self._clock() - self._keep_s
        for mine in self._of.values():
            while mine and next(iter(mine.values())).at < oldest:
                mine.popitem(last=False)
        self._drop_empty()

    def _drop_empty(self) -> None:
        for owner in [owner for owner, mine in self._of.items() if not mine]:
            del self._of[owner]


class Session:
    """One session, as one request sees it.

    Args:
        sessions: all of them.
        owner: id of the API key whose it is.
        digest: of its name.
    """

    def __init__(self, sessions: Sessions, owner: str, digest: bytes) -> None:
        self._sessions, self._owner, self._digest = sessions, owner, digest
        self.first = sessions.first(owner, digest)
        """Names of the members to ask first; empty where the strategy decides."""

    def note(self, trace: Trace) -> None:
        """Remember whom a request asked first; nobody where one of them failed.

        Args:
            trace: of the request, which has ended.
        """
        asked = trace.rounds[0].asked if trace.rounds else ()
        # One that was not needed any more has read the prompt all the same.
        failed = any(call.failure is not None and not call.was_cancelled for call in asked)
        first = () if failed else tuple([call.member for call in asked])
        self._sessions.put(self._owner, self._digest, first)
