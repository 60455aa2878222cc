"""What a database of answers holds, for tests."""

from __future__ import annotations

import hashlib
import json

import sqlalchemy as sa

from rlfocal.records.database import Database
from rlfocal.records.database.schema import responses


def content_digest(database: Database) -> str:
    """sha256 over keys, texts, answers and option scores, whatever the order they came in."""
    r, sha = responses.c, hashlib.sha256()
    statement = sa.select(r.key, r.text, r.answer, r.choice_scores).order_by(r.key)
    with database.connections.read() as connection:
        for row in connection.execute(statement):
            sha.update(json.dumps(list(row)).encode("ascii") + b"\n")
    return sha.hexdigest()
