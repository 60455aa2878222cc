"""The gateway's database: statements in groups, which a caller puts together into transactions.

Several processes may open the same URL. Everything here blocks; `Writer` writes without blocking.
"""

from __future__ import annotations

import time
from pathlib import Path

from rlfocal.database import Connections, OnConnections
from rlfocal.gateway.store.abandoned import Abandoned
from rlfocal.gateway.store.keyfile import read_key_file
from rlfocal.gateway.store.keys import Keys
from rlfocal.gateway.store.ledger import Ledger
from rlfocal.gateway.store.log import Log
from rlfocal.gateway.store.processes import Processes
from rlfocal.gateway.store.schema import TABLES

__all__ = ["Store", "open_store", "read_store"]


def open_store(url: str | Path, *, busy_timeout_s: float = 60.0) -> Store:
    """Open a gateway's database, and make it where there is none.

    Args:
        url: a file's path, `sqlite:///path`, or `postgresql://user:password@host:port/name`; it
            may be a database of answers.
        busy_timeout_s: seconds to wait for another process that is writing.

    Raises:
        DatabaseError: it cannot be opened, is not ours or of a newer version; the message names
            the cause and the remedy, and never the password.
    """
    return Store(TABLES.open(url, busy_timeout_s=busy_timeout_s))


def read_store(url: str | Path, *, busy_timeout_s: float = 60.0) -> Store | None:
    """Open a gateway's database to read it alone: nothing is made, changed or brought up to date.

    Args:
        url: as of `open_store`.
        busy_timeout_s: seconds to wait for another process that is writing.

    Returns:
        None where there is no database, or one without a gateway's tables.

    Raises:
        DatabaseError: it cannot be opened, is not ours or of another version.
    """
    found = TABLES.open_to_read(url, busy_timeout_s=busy_timeout_s)
    return None if found is None else Store(found)


class Store(OnConnections):
    """Groups of statements, shared by everybody who opens the same URL.

        with store.connections.write() as connection:
            new = store.keys.add(connection, "me", now=time.time())

    Args:
        connections: from `open_store`.
    """

    def __init__(self, connections: Connections) -> None:
        super().__init__(connections)
        self.keys = Keys(connections)
        self.log = Log(connections)
        self.ledger = Ledger(connections, self.log)
        self.abandoned = Abandoned(self.ledger, self.log)
        self.processes = Processes(connections)

    def sync_file(self, path: Path) -> int:
        """Put the keys of a file into the database, all or none; what they may do is taken over.

        Doing so again changes nothing. Keys that the file does not name stay as they are, and a
        revoked one stays revoked.

        Args:
            path: a TOML file; see `keyfile`.

        Returns:
            How many keys the file names.

        Raises:
            ConfigError: the file is wrong, or a name belongs to another key.
            DatabaseError: the database refused.
        """
        known, now = read_key_file(path), time.time()
        with self.connections.write() as connection:
            for key in known:
                self.keys.put(connection, key, now=now)
        return len(known)
