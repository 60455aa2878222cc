"""The database that a gateway and its verbs share."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rlfocal.errors import ConfigError

if TYPE_CHECKING:
    from rlfocal.gateway.store import Store

__all__ = ["GATEWAY_DB", "GatewayDb", "gateway_in", "require"]

GATEWAY_DB = "gateway.db"
GatewayDb = Annotated[
    str,
    typer.Option(
        "--db",
        metavar="URL",
        envvar="RLFOCAL_DB",
        help="The gateway's database: SQLite file, or postgresql://... .",
    ),
]


@contextlib.contextmanager
def gateway_in(url: str) -> Iterator[Store]:
    """A gateway's database, opened to be read alone.

    Raises:
        ConfigError: there is none.
        DatabaseError: it cannot be opened, or is of another version.
    """
    from rlfocal.gateway.store import read_store

    store = read_store(url)
    if store is None:
        where = f"{url}: " if "://" not in url else ""
        raise ConfigError(
            f"{where}no such database of a gateway; `rlfocal keys add NAME --db` makes one"
        )
    with store:
        yield store


def require(url: str, maker: str) -> None:
    """Refuse to make an empty database where one is looked for.

    Args:
        url: of the database.
        maker: the command that makes one.

    Raises:
        ConfigError: there is none.
    """
    path = url.removeprefix("sqlite:///")
    if "://" not in path and not Path(path).exists():
        raise ConfigError(f"{path}: no such database; `rlfocal {maker}` makes one")
