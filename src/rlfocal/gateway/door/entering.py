"""What every request passes: its key is looked up, then its body is read in its turn."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from starlette.requests import Request

from rlfocal.gateway.door.bodies import read_body
from rlfocal.gateway.door.connections import of_scope
from rlfocal.gateway.errors import ApiError
from rlfocal.gateway.store.keys import Key, id_in
from rlfocal.pool.wrappers.breaker import asker

if TYPE_CHECKING:
    from rlfocal.gateway.gateway import Gateway

__all__ = ["key_of", "note_unsent", "take_body"]


async def key_of(request: Request) -> Key:
    """Whose request it is.

    Raises:
        ApiError: 401.
        DatabaseError: it cannot be looked up just now.
    """
    gateway: Gateway = request.app.state.gateway
    key = await gateway.access.key_of(_authorization(request.headers))
    asker.set(key.id)  # of all that is done for this request from now on
    connection = of_scope(request.scope)
    if connection is not None:
        connection.standing.owner = key.id
    return key


async def take_body(request: Request, key: Key) -> bytes:
    """Read a body in its turn among those of the same key.

    Raises:
        ApiError: 429 too many of them, and as `read_body`.
    """
    gateway: Gateway = request.app.state.gateway
    async with gateway.bodies.place(key):
        try:
            return await read_body(request, gateway.settings)
        except ApiError as exc:
            if exc.status == 408:
                # It took as much as a request does, and must not be free.
                gateway.access.charge(key)
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
