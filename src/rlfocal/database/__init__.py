"""A database URL: one SQLite file, or a PostgreSQL server that several processes share.

Transactions, columns, versions and errors that are the same on both; what is kept in the tables is
the business of whoever keeps it.
"""

from rlfocal.database.columns import JsonText, Key, Position, SafeText, TokenBytes, columns
from rlfocal.database.engine import Connections, connect
from rlfocal.database.versions import Migration, OpenTables, Tables

__all__ = [
    "Connections",
    "JsonText",
    "Key",
    "Migration",
    "OpenTables",
    "Position",
    "SafeText",
    "Tables",
    "TokenBytes",
    "columns",
    "connect",
]
