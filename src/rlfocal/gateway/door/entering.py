"""The door that every request passes: its key is looked up, then its body is read in its turn."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from starlette.requests import Request

from rlfocal.gateway.door.access import Access
from rlfocal.gateway.door.bodies import Bodies, read_body
from rlfocal.gateway.door.connections import of_scope
from rlfocal.gateway.errors import ApiError
from rlfocal.gateway.settings import GatewaySettings
from rlfocal.gateway.store.keys import Key, id_in
from rlfocal.pool.wrappers.breaker import asker

__all__ = ["Door", "note_unsent"]


class Door:
    """Lets requests in.

    Args:
        access: knows keys and limits.
        settings: of what a body may be.
    """

    def __init__(self, access: Access, settings: GatewaySettings) -> None:
        self._access, self._settings, self.bodies = access, settings, Bodies(settings)

    async def key_of(self, request: Request, *, admin: bool = False) -> Key:
        """Whose request it is.

        Args:
            request: whose body nobody has read.
            admin: whether only an administrator's will do.

        Raises:
            ApiError: 401, 403.
            DatabaseError: it cannot be looked up just now.
        """
        key = await self._access.key_of(_authorization(request.headers))
        asker.set(key.id)  # of all that is done for this request from now on
        connection = of_scope(request.scope)
        if connection is not None:
            connection.standing.owner = key.id
        if admin and not key.admin:
            raise ApiError(
                403,
                "admin_key_needed",
                "this needs a key made with `rlfocal keys add NAME --admin`",
            )
        return key

    async def take_body(self, request: Request, key: Key) -> bytes:
        """Read a body in its turn among those of the same key.

        Raises:
            ApiError: 429 too many of them, and as `read_body`.
        """
        connection = of_scope(request.scope)
        if connection is not None and connection.has_whole_body:  # as short ones mostly have
            return await read_body(request, self._settings, is_here=True)
        async with self.bodies.place(key):
            try:
                return await read_body(request, self._settings)
            except ApiError as exc:
                if exc.status == 408:
                    # It took as much as a request does, and must not be free.
                    self._access.charge(key)
                raise


def note_unsent(request: Request, size: Callable[[], int]) -> None:
    """Have what waits for a client counted as well.

    Args:
        request: its request.
        size: how many bytes wait.
    """
    connection = of_scope(request.scope)
    if connection is not None:
        connection.standing.more_unsent = size


def _authorization(headers: Mapping[str, str]) -> str | None:
    """Anthropic's clients send a key as x-api-key, all others as a bearer token.

    Some send both, of which one is a placeholder: the one that looks like a key of ours counts.
    """
    given, key = headers.get("authorization"), headers.get("x-api-key")
    if key is None or id_in((given or "").partition(" ")[2].strip()) is not None:
        return given
    return f"Bearer {key.strip()}" if given is None or id_in(key.strip()) is not None else given
