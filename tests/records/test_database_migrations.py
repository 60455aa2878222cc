"""Databases of earlier versions: nothing that was stored is lost, or asked again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa

from rlfocal.errors import Failure
from rlfocal.pool.settings import read_pool
from rlfocal.records.database import (
    Database,
    StoredError,
    StoredResponse,
    export_dataset,
    key_of,
    open_database,
    query_key_of,
    settings_key_of,
    shown_key_of,
)
from rlfocal.records.database.schema import TABLES, responses
from rlfocal.records.database.sharing import join_budget, take_moments
from rlfocal.tokens import TokenLogprobs

POOL = """
[endpoints.e]
base_url = "http://127.0.0.1:{port}/v1"

[[members]]
name = "m"
endpoint = "e"
model = "x"
"""
# What the first version stored for this pool, and the key it gave it.
OLD: dict[str, Any] = {
    "kind": "openai", "base_url": "http://127.0.0.1:8000/v1", "api": "chat", "model": "x",
    "system": "", "template": "{question}",
    "choice_template": "{question}\n\n{options}\n\nAnswer with the letter of the right option.",
    "shots": [], "answers": "reply", "max_tokens": 512, "temperature": 0.0, "top_p": None,
    "stop": [], "seed": 0,
}  # fmt: skip
OLD_KEY = "af0ea6667fc1bb1c3250146b3ec6380b309590e9dd94272be0b299cce44af898"
OLD_REPLY = "e6f481b8b0ac241c3ee613b5c3c10b1826f4f399adbd469fc0f17ddbdfcf818c"
"""Key of what m said to q0 under no settings, as every version gave it."""
ELSEWHERE = OLD | {"base_url": "http://127.0.0.1:8001/v1"}
QUERIES = [{"query_id": f"q{n}", "prompt": f"{n} + 1?", "label": str(n + 1)} for n in range(6)]


def identity_now(folder: Path, port: int) -> dict[str, Any]:
    path = folder / "pool.toml"
    path.write_text(POOL.format(port=port), encoding="utf-8")
    pool = read_pool(path)
    return pool.members[0].identity(pool.endpoints["e"])


def stored(query: int, settings_key: str, *, sample: int = 0, text: str = "") -> StoredResponse:
    return StoredResponse(
        query_key=query_key_of(QUERIES[query]["prompt"]), query_id=f"q{query}", member="m",
        settings_key=settings_key, sample=sample, text=text or f"said {query}", answer=str(query),
    )  # fmt: skip


def failed(query: int, settings_key: str, *, sample: int = 0) -> StoredError:
    key = key_of(query_key_of(QUERIES[query]["prompt"]), "m", settings_key, sample)
    return StoredError(key=key, member="m", failure=Failure.TIMEOUT)


_COLUMNS = (
    (3, "tokens"), (3, "signals"), (5, "shown"), (5, "shown_key"), (5, "verdict"), (5, "readings"),
)  # fmt: skip
"""Of `responses`, and the version that brought each."""


def as_version(database: Database, version: int) -> None:
    with database.connections.write() as connection:
        named = TABLES.meta.c.name == "schema_version"
        connection.execute(TABLES.meta.update().where(named).values(value=str(version)))
        if version < 7:
            connection.exec_driver_sql("DROP TABLE spending")
            connection.exec_driver_sql("DROP TABLE moments")
            connection.exec_driver_sql("DROP INDEX ix_queries_same")
            connection.exec_driver_sql("DROP INDEX ix_queries_registered")
        for since, column in _COLUMNS:
            if version < since:
                connection.exec_driver_sql(f"ALTER TABLE responses DROP COLUMN {column}")
        if version < 4:
            connection.exec_driver_sql("ALTER TABLE queries DROP COLUMN registered")
    database.close()


def texts(database: Database) -> dict[str, str | None]:
    with database.connections.read() as connection:
        rows = connection.execute(sa.select(responses.c.key, responses.c.text)).all()
    return {row.key: row.text for row in rows}


def test_the_key_by_hand_is_the_one_that_the_first_version_gave() -> None:
    assert settings_key_of(OLD) == OLD_KEY


def test_what_was_stored_is_not_asked_again(database_url: str, tmp_path: Path) -> None:
    imported = settings_key_of({"imported": "other"})
    with open_database(database_url) as database:
        database.add_queries(QUERIES)
        assert database.add_member("m", OLD) == OLD_KEY
        database.add_responses([stored(n, OLD_KEY, sample=k) for n in range(4) for k in (0, 1)])
        database.add_responses([stored(5, imported)])
        database.add_errors([failed(4, OLD_KEY), failed(4, OLD_KEY), failed(5, OLD_KEY, sample=2)])
        as_version(database, 1)
    with open_database(database_url) as database:
        key = database.add_member("m", identity_now(tmp_path, 8000))
        wanted = {stored(n, key, sample=k).key for n in range(4) for k in (0, 1)}
        assert database.answered(wanted) == wanted
        assert texts(database).keys() - wanted == {stored(5, imported).key}
        assert database.failed_keys() == {failed(4, key).key, failed(5, key, sample=2).key}
        assert database.member_names() == ["m"]
        with database.connections.read() as connection:
            found = connection.exec_driver_sql("SELECT settings_key FROM members").all()
        assert [tuple(row) for row in found] == [(key,)]
        assert database.spent().n_calls == 9


def test_replies_of_two_addresses_become_one_members_and_none_is_lost(
    database_url: str, tmp_path: Path
) -> None:
    later_key = settings_key_of(ELSEWHERE)
    with open_database(database_url) as database:
        database.add_queries(QUERIES)
        database.add_member("m", OLD)
        database.add_responses([stored(n, OLD_KEY, text="earlier") for n in (0, 1, 2)])
        with database.connections.write() as connection:
            connection.exec_driver_sql("UPDATE members SET added_at = '2026-01-01T00:00:00'")
        database.add_member("m", ELSEWHERE)
        database.add_responses([stored(n, later_key, text="later") for n in (2, 3)])
        as_version(database, 1)
    with open_database(database_url) as database:
        key = settings_key_of(identity_now(tmp_path, 9999))
        found = texts(database)
        assert len(found) == 5
        said = {n: found[stored(n, key).key] for n in (0, 1, 2, 3)}
        assert said == {0: "earlier", 1: "earlier", 2: "later", 3: "later"}
        assert found[stored(2, OLD_KEY).key] == "earlier"


def test_a_large_database_is_moved_in_blocks(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rlfocal.records.database.migrations._BATCH", 7)
    with open_database(database_url) as database:
        database.add_member("m", OLD)
        database.add_responses([stored(n % 6, OLD_KEY, sample=n // 6) for n in range(60)])
        as_version(database, 1)
    with open_database(database_url) as database:
        key = settings_key_of(identity_now(tmp_path, 1))
        assert texts(database).keys() == {stored(n % 6, key, sample=n // 6).key for n in range(60)}


def test_the_address_is_no_part_of_what_a_reply_depends_on(tmp_path: Path) -> None:
    assert identity_now(tmp_path, 8000) == identity_now(tmp_path, 8001)
    assert identity_now(tmp_path, 8000) == {k: v for k, v in OLD.items() if k != "base_url"}


def test_replies_of_the_second_version_stay_and_later_ones_bring_their_tokens(
    database_url: str,
) -> None:
    key = settings_key_of({})
    brings = TokenLogprobs(np.array([4, 2], np.int32), np.array([-1.0, np.nan], np.float32))
    with open_database(database_url) as database:
        database.add_queries(QUERIES)
        database.add_member("m", {})
        database.add_responses([stored(0, key)])
        as_version(database, 2)
    with open_database(database_url) as database:
        later = replace(stored(1, key), tokens=brings, signals={"mine": 0.5})
        database.add_responses([later])
        with database.connections.read() as connection:
            rows = connection.execute(sa.select(responses).order_by(responses.c.query_id)).all()
    assert [row.text for row in rows] == ["said 0", "said 1"]
    assert [row.tokens for row in rows] == [None, brings]
    assert [row.signals for row in rows] == [None, {"mine": 0.5}]


def test_queries_of_the_third_version_stay_and_may_be_labelled_as_they_were(
    database_url: str,
) -> None:
    first, second = QUERIES[:2]
    with open_database(database_url) as database:
        database.add_queries([first, second, first | {"label": "9"}])
        database.add_responses([stored(n, database.add_member("m", {})) for n in (0, 1)])
        as_version(database, 3)
    with open_database(database_url) as database:
        assert export_dataset(database).queries["label"].to_pylist() == ["9", "2"]
        assert database.add_queries([first]) == 0
        assert database.add_queries([second | {"label": "8"}]) == 1
        back = export_dataset(database)
    assert back.queries["label"].to_pylist() == ["1", "8"]
    assert back.responses["text"].to_pylist() == ["said 0", "said 1"]


@pytest.mark.parametrize("version", [1, 2, 3, 4, 5, 6])
def test_replies_of_earlier_versions_keep_their_keys_beside_those_of_readers(
    database_url: str, version: int
) -> None:
    key = settings_key_of({})
    judge = {"reads": ["m"], "reading": "verify"}
    shown_key = shown_key_of([["said 0"], None, 0])
    reading = StoredResponse(
        query_key=query_key_of(QUERIES[0]["prompt"]), query_id="q0", member="judge",
        settings_key=settings_key_of(judge), text="right", answer="0", shown=("m",),
        shown_key=shown_key, verdict=0,
    )  # fmt: skip
    with open_database(database_url) as database:
        database.add_queries(QUERIES)
        database.add_member("m", {})
        database.add_responses([stored(0, key)])
        as_version(database, version)
    with open_database(database_url) as database:
        assert texts(database) == {OLD_REPLY: "said 0"}
        database.add_member("judge", judge)
        database.add_responses([reading])
        assert set(texts(database)) == {OLD_REPLY, reading.key}
        assert database.replies([OLD_REPLY, reading.key]) == {
            OLD_REPLY: stored(0, key), reading.key: reading,
        }  # fmt: skip
        back = export_dataset(database)
        assert back.info.readers["judge"].reads == ["m"]
        rows = {row["member"]: row for row in back.responses.to_pylist()}
        assert (rows["judge"]["shown"], rows["judge"]["verdicts"]) == ([["m"]], [0])
        as_version(database, 5)
    with open_database(database_url) as database:  # and nothing happens to it any more
        assert set(texts(database)) == {OLD_REPLY, reading.key}


def test_collectors_share_dollars_and_moments_in_one_of_the_sixth_version(
    database_url: str,
) -> None:
    with open_database(database_url) as database:
        database.add_queries(QUERIES)
        as_version(database, 6)
    with open_database(database_url) as database:
        assert join_budget(database.connections, "me", "x", 60) == "=x"
        assert take_moments(database.connections, "rate", 1, 1.0) == 0.0
        relabelled = [{**QUERIES[0], "label": "other"}]
        assert database.add_queries(relabelled) == 1
