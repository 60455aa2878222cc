"""The database of answers: keys that never change, and every statement on both engines."""

from __future__ import annotations

import random
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stored import content_digest

from rlfocal.records.database import (
    Database,
    Spent,
    StoredError,
    StoredResponse,
    digest_of,
    key_of,
    open_database,
    query_key_of,
    settings_key_of,
)

SETTINGS = settings_key_of({"model": "m"})


def response(query: str = "q1", member: str = "a", sample: int = 0, **more: Any) -> StoredResponse:
    fields: dict[str, Any] = {"text": f"so {query}", "answer": "4", "cost_usd": 0.25} | more
    return StoredResponse(
        query_key=query_key_of(query),
        query_id=query,
        member=member,
        settings_key=SETTINGS,
        sample=sample,
        **fields,
    )


def test_keys_are_pinned() -> None:
    """A changed key makes stored answers look unasked, and pays for all of them again."""
    query = query_key_of("What is 2 + 2? ü", ["3", "4"])
    settings = settings_key_of({"temperature": 0.7, "stop": ["\n"], "model": "m"})
    assert [
        query,
        digest_of("q1", "What is 2 + 2?", ["3", "4"], "B", "sums"),
        settings,
        key_of(query, "small", settings, 2),
    ] == [
        "cca4d7627cf18edd6ed643ad418b03fd0bef8cd279769d81d745b363f10b00eb",
        "9b16e694be7a94e3b63f32ed5676dbc570601e952b079389c68418430646042e",
        "f72e6a2295cb3a22174c9714d9ea6e6cd2532830a48f82268fbf620be20f8bc8",
        "86ff0758109ac70a072c9368489f77780ccc65ec09ab26ce54a231b387d90c26",
    ]


def test_keys_differ_where_calls_do() -> None:
    keys = [
        key_of(query, member, settings, sample)
        for query in ("x", "y")
        for member in ("a", "b")
        for settings in ("s", "t")
        for sample in (0, 1)
    ]
    keys += [digest_of("q", "p", label=label, task=task) for label in "AB" for task in "tu"]
    keys += [query_key_of("p"), query_key_of("p", []), query_key_of("p", ["x"]), query_key_of("")]
    assert len(set(keys)) == len(keys)
    assert digest_of("q", "p") == digest_of("q", "p", task="all")


@pytest.mark.parametrize("bad", [{"x": float("nan")}, {"x": {1: 2}}, {3: "x"}, {"x": object()}])
def test_settings_that_are_not_json_are_refused(bad: Any) -> None:
    with pytest.raises(ValueError, match="settings"):
        settings_key_of(bad)


@pytest.mark.parametrize(
    "bad",
    [
        {"score": 1.1},
        {"cost_usd": -1.0},
        {"latency_s": float("inf")},
        {"choice_scores": (float("nan"),)},
        {"sample": -1},
    ],
    ids=str,
)
def test_a_response_that_no_data_set_may_hold_is_refused(bad: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(bad))):
        response(**bad)


def test_an_impossible_option_ends_no_collection(database: Database) -> None:
    odd = response("q1", choice_scores=(-1.0, float("-inf")))
    assert odd.choice_scores is None
    assert database.add_responses([odd]) == 1


def test_responses_are_stored_once_and_kept(database: Database) -> None:
    first, second = response("q1"), response("q2", choice_scores=[1, 2.5])
    assert database.add_responses([first, second, first]) == 2
    digest = content_digest(database)
    changed = response("q1", text="another reply")
    assert database.add_responses([changed, response("q1", sample=1)]) == 1
    assert database.add_responses([]) == 0
    assert database.answered([first.key, second.key, "unknown"]) == {first.key, second.key}
    assert database.answered([]) == set()
    assert content_digest(database) != digest


@pytest.mark.slow
def test_many_rows_and_keys_at_once(database: Database) -> None:
    rows = [response(f"q{i}") for i in range(6000)]
    assert database.add_responses(rows) == 6000
    keys = [row.key for row in rows]
    assert database.answered([*keys, "other"]) == set(keys)
    assert database.claim([*keys, "other"], "me", 60) == {"other"}


def test_text_that_an_engine_cannot_hold_is_mended(database: Database, tmp_path: Path) -> None:
    odd = response(text="a\x00b\ud800ü🙂", answer="\x00", choice_scores=[0.1 + 0.2, -1e-300])
    assert database.add_responses([odd]) == 1
    with open_database(tmp_path / "clean.db") as other:
        other.add_responses(
            [
                response(
                    text="a\ufffdb\ufffdü🙂", answer="\ufffd", choice_scores=[0.1 + 0.2, -1e-300]
                )
            ]
        )
        assert content_digest(other) == content_digest(database)


def test_claims_are_exclusive_until_they_end(database: Database) -> None:
    done = response("q1").key
    database.add_responses([response("q1")])
    assert database.claim(["k1", "k2", done], "me", 60) == {"k1", "k2"}
    assert database.claim(["k1", "k2", "k3"], "you", 60) == {"k3"}
    assert database.claim(["k1", "k3"], "me", 60) == {"k1"}  # my own again
    database.release(["k1", "k3"], "me")
    assert database.claim(["k1", "k2", "k3"], "you", 60) == {"k1", "k3"}
    assert database.owners() == ["me", "you"]
    database.release(None, "you")
    assert database.owners() == ["me"]
    with pytest.raises(ValueError, match="lease_s"):
        database.claim(["k1"], "me", 0)


def test_a_lease_that_ran_out_is_taken_over(database: Database) -> None:
    assert database.claim(["k1"], "dead", 0.05) == {"k1"}
    time.sleep(0.1)
    assert database.claim(["k1"], "alive", 60) == {"k1"}
    assert database.claim(["k1"], "dead", 60) == set()


def test_an_answer_ends_the_claim_and_failures_do_not_block_it(database: Database) -> None:
    row = response("q1")
    database.claim([row.key], "me", 60)
    for failure in ("timeout", "rate-limited"):
        database.add_errors([StoredError(key=row.key, member="a", failure=failure, status=429)])
    database.add_errors([StoredError(key="k2", member="b", failure="empty", message="nothing")])
    database.add_errors([])
    assert database.failed_keys() == {row.key, "k2"}
    assert database.failed_keys(members=["a"]) == {row.key}

    database.add_responses([row])
    assert database.owners() == []
    assert database.failed_keys() == {"k2"}


def test_names_and_costs(database: Database) -> None:
    assert database.spent() == Spent(0, 0.0, 0)
    database.add_member("never asked", {})
    database.add_responses([response("q1"), response("q2", answer=None, cost_usd=None)])
    database.add_responses([response("q1", "b", answer=None, score=0.5, cost_usd=0.5)])
    database.add_errors([StoredError(key="k", member="b", failure="empty")])
    assert database.spent() == Spent(3, 0.75, 1)
    assert database.member_names() == ["a", "b", "never asked"]


def test_queries_and_members_are_added_once(database: Database) -> None:
    row = {"query_id": "q1", "prompt": "2 + 2?", "label": "4"}
    assert database.add_queries([row, row, row | {"label": "5"}]) == 2
    assert database.add_queries([row | {"split": "test", "unknown": 1}]) == 0
    assert database.add_queries([]) == 0
    key = database.add_member("a", {"temperature": 0.0})
    assert key == database.add_member("a", {"temperature": 0}) != database.add_member("a", {})
    assert database.note("n") is None
    database.set_note("n", "1")
    database.set_note("n", "2")
    assert database.note("n") == "2"


def test_any_order_of_responses_gives_the_same_content(database_url: str, tmp_path: Path) -> None:
    rows = [response(f"q{i}", m, choice_scores=[i, -i]) for i in range(20) for m in "ab"]
    with open_database(database_url) as database:
        random.Random(1).shuffle(rows)
        database.add_responses(rows[:30])
        database.add_responses(rows[20:])
        digest = content_digest(database)
    with open_database(database_url) as again, open_database(tmp_path / "b.db") as other:
        other.add_responses(sorted(rows, key=lambda r: r.key))
        assert content_digest(again) == content_digest(other) == digest


@settings(max_examples=12, deadline=None)
@given(st.data())
def test_any_interleaving_of_batches_gives_the_same_content(data: st.DataObject) -> None:
    rows = [response(f"q{i}", text=None if i % 3 else f"{i}") for i in range(8)]
    batches = data.draw(st.lists(st.lists(st.sampled_from(rows), max_size=6), max_size=6))
    with (
        tempfile.TemporaryDirectory() as folder,
        open_database(f"{folder}/a.db") as one,
        open_database(f"{folder}/a.db") as two,
        open_database(f"{folder}/b.db") as reference,
    ):
        for i, batch in enumerate([*batches, rows]):
            (one if i % 2 else two).add_responses(batch)
        reference.add_responses(rows)
        assert content_digest(one) == content_digest(two) == content_digest(reference)


def test_threads_share_one_database(database: Database) -> None:
    keys = [f"k{i}" for i in range(60)]
    won: dict[str, set[str]] = {f"t{i}": set() for i in range(6)}

    def work(owner: str) -> None:
        for start in range(0, 60, 10):
            won[owner] |= database.claim(keys[start : start + 20], owner, 60)

    threads = [threading.Thread(target=work, args=(owner,)) for owner in won]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(key for mine in won.values() for key in mine) == sorted(keys)


def test_the_records_alone_do_not_load_the_database() -> None:
    code = "import sys, rlfocal.records; print('sqlalchemy' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "False"
