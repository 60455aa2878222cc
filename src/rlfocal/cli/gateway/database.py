"""The database that a gateway and its verbs share."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from rlfocal.cli import common
from rlfocal.errors import ConfigError

if TYPE_CHECKING:
    from rlfocal.gateway.store import Store

__all__ = ["GATEWAY_DB", "GatewayDb", "gateway_in", "require"]

GATEWAY_DB = "gateway.db"
GatewayDb = Annotated[
    str,
    common.option(
        "--db",
        value="URL",
        help="The gateway's database: SQLite file, or postgresql://... .",
        envvar="RLFOCAL_DB",
    ),
]


def gateway_in(url: str) -> AbstractContextManager[Store]:
    """A gateway's database, as of `common.opened_to_read`."""
    from rlfocal.gateway.store import read_store

    shown = "URL" if "://" in url else url  # a server's URL holds a password
    return common.opened_to_read(
        read_store, url, f"database of a gateway; `rlfocal keys add NAME --db {shown}`"
    )


def require(url: str, maker: str) -> None:
    """Refuse to make an empty database where one is looked for.

    Args:
        url: of the database.
        maker: the command that makes one, up to its place.

    Raises:
        ConfigError: there is none.
    """
    path = url.removeprefix("sqlite:///")
    if "://" not in path and not Path(path).exists():
        raise ConfigError(f"{path}: no such database; `rlfocal {maker} {path}` makes one")
