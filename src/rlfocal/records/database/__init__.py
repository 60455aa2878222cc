"""Answers in a database, so that no call is paid for twice and an interrupted run goes on.

A SQLite file by default; a PostgreSQL server where several machines collect side by side.
"""

from rlfocal.records.database.export import export_dataset
from rlfocal.records.database.importing import import_dataset
from rlfocal.records.database.keys import (
    digest_of,
    key_of,
    query_key_of,
    settings_key_of,
    shown_key_of,
)
from rlfocal.records.database.rows import FailureCounts, Spent, StoredError, StoredResponse
from rlfocal.records.database.store import Database, open_database, read_database

__all__ = [
    "Database",
    "FailureCounts",
    "Spent",
    "StoredError",
    "StoredResponse",
    "digest_of",
    "export_dataset",
    "import_dataset",
    "key_of",
    "open_database",
    "query_key_of",
    "read_database",
    "settings_key_of",
    "shown_key_of",
]
