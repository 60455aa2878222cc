"""Fixtures of tests on stored answers."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from rlfocal.records.database import Database, open_database


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    with open_database(database_url) as opened:
        yield opened
