"""Which of some calls have failed, and since when."""

from __future__ import annotations

from rlfocal.records.database import (
    StoredError,
    StoredResponse,
    key_of,
    open_database,
    query_key_of,
)


def key(i: int) -> str:
    return key_of(query_key_of(f"q{i}"), "a", "s", 0)


def test_failed_among(database_url: str) -> None:
    with open_database(database_url) as database:
        assert database.last_failure() == 0
        assert database.failed_among([key(0)]) == set()

        def fail(*numbers: int) -> None:
            rows = [StoredError(key=key(i), member="a", failure="empty") for i in numbers]
            database.add_errors(rows)

        fail(0, 1, 2, 2)
        before = database.last_failure()
        assert before > 0
        fail(1, 3)
        reply = StoredResponse(
            query_key=query_key_of("q2"), query_id="q2", member="a", settings_key="s", text=""
        )
        database.add_responses([reply])
        asked = [key(i) for i in (0, 1, 2, 9)]
        assert database.failed_among(asked) == {key(0), key(1)}
        assert database.failed_among(asked, before) == {key(1)}
        assert database.failed_among(asked, database.last_failure()) == set()
        assert database.failed_among([]) == set()
