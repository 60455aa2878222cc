"""The gateway's database: statements in groups, which a caller puts together into transactions.

Several processes may open the same URL. Everything here blocks; `Writer` writes without blocking.
"""

from __future__ import annotations

import time
from pathlib import Path

from rlfocal.database import Connections, OpenTables
from rlfocal.gateway.store.abandoned import Abandoned
from rlfocal.gateway.store.circuits import CircuitTable
from rlfocal.gateway.store.keyfile import read_key_file
from rlfocal.gateway.store.keys import Keys
from rlfocal.gateway.store.ledger import Ledger
from rlfocal.gateway.store.log import Log
from rlfocal.gateway.store.processes import Processes
from rlfocal.gateway.store.schema import TABLES

__all__ = ["Store", "open_store", "read_store"]


class Store(OpenTables):
    """Groups of statements, shared by all processes that open the same URL.

    with store.connections.write() as connection:
        new = store.keys.add(connection, "me", now=time.time())
    """

    tables = TABLES

    def __init__(self, connections: Connections) -> None:
        super().__init__(connections)
        self.keys = Keys()
        self.log = Log(connections)
        self.ledger = Ledger(connections, self.log)
        self.abandoned = Abandoned(self.ledger, self.log)
        self.processes = Processes(connections)
        self.circuits = CircuitTable(connections)

    def sync_file(self, path: Path) -> int:
        """Put the keys of a file into the database, all or none; what they may do is taken over.

        Doing so again changes nothing. Keys that the file does not name stay as they are, and a
        revoked one stays revoked. Returned is how many keys the file names.

        Raises:
            ConfigError: the file is wrong, or a name belongs to another key.
            DatabaseError: the database refused.
        """
        known, now = read_key_file(path), time.time()
        with self.connections.write() as connection:
            for key in known:
                self.keys.put(connection, key, now=now)
        return len(known)


open_store, read_store = Store.open, Store.open_to_read
