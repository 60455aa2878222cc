"""Data sets into a database and out again: equal rows, samples in one row, honest scores."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from stored import content_digest

from rlfocal.database import Connections
from rlfocal.errors import ConfigError, RecordError
from rlfocal.records import Dataset, DatasetInfo, PoolModel, simulate
from rlfocal.records.database import (
    Database,
    StoredError,
    StoredResponse,
    export_dataset,
    import_dataset,
    key_of,
    open_database,
    query_key_of,
)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with open_database(tmp_path / "answers.db") as opened:
        yield opened


def pool(rng: np.random.Generator, n_queries: int = 40) -> Dataset:
    model = PoolModel([[0.7, 0.6, 0.5], [0.4, 0.8, 0.6]], n_options=3, cost_usd=[0.1, 0.2, 1 / 3])
    return simulate(model, n_queries, rng=rng, name="pool")


def scored_and_sampled(rng: np.random.Generator) -> Dataset:
    """Odd rows: option scores, samples that disagree with the answer, gaps, lengths, texts."""
    data = pool(rng)
    n = data.responses.num_rows
    scores: list[list[float] | None] = [rng.normal(size=3).tolist() for _ in range(n)]
    samples: list[list[str | None] | None] = [["A", "B", "B"], ["C", None], [], None] * (n // 4)
    scores[3] = None
    table = data.responses
    table = table.append_column("choice_scores", pa.array(scores))
    table = table.append_column("samples", pa.array(samples))
    table = table.append_column("text", pa.array([None, "", "so ü"] * (n // 3)))
    table = table.append_column("response_chars", pa.array([7, None, 0] * (n // 3)))
    table = table.append_column("latency_s", pa.array(rng.random(n)))
    return Dataset("odd", data.queries, table.slice(0, n - 1), data.info)


def open_answers(rng: np.random.Generator) -> Dataset:
    """Free answers; prompts that are empty or alike; a member that was not asked everything."""
    n = 30
    queries = pa.table(
        {
            "query_id": [f"q{i}" for i in range(n)],
            "split": ["train", None, "test"] * (n // 3),
            "prompt": ["" if i % 2 else "again" for i in range(n)],
            "label": [str(i % 7) for i in range(n)],
        }
    )
    responses = pa.table(
        {
            "query_id": [f"q{i}" for i in range(n)] + [f"q{i}" for i in range(5)],
            "member": ["a"] * n + ["ü/2"] * 5,
            "answer": [str(i) for i in rng.integers(7, size=n)] + ["0", None, "", "3", "4"],
        }
    )
    return Dataset("open", queries, responses, DatasetInfo(answers="number", source="here"))


@pytest.mark.parametrize("make", [pool, scored_and_sampled, open_answers])
def test_what_was_imported_comes_out_again(
    database_url: str, make: Any, rng: np.random.Generator
) -> None:
    data = make(rng)
    with open_database(database_url) as database:
        assert import_dataset(database, data) == data.responses.num_rows
        back = export_dataset(database)
        assert back.digest() == data.digest()
        assert (back.name, back.members, back.info.synthetic) == (
            data.name, data.members, data.info.synthetic,
        )  # fmt: skip
        if "text" in data.responses.column_names:
            assert back.responses["text"].to_pylist() == data.responses["text"].to_pylist()
        digest = content_digest(database)
        assert import_dataset(database, back) == 0
        assert content_digest(database) == digest


def test_two_imports_stand_side_by_side(database: Database, rng: np.random.Generator) -> None:
    first, second = pool(rng), open_answers(rng)
    import_dataset(database, first)
    import_dataset(database, second)
    both = export_dataset(database)
    assert (both.name, both.info.synthetic, both.info.source) == ("answers", True, None)
    assert both.queries.num_rows == first.queries.num_rows + second.queries.num_rows
    some = export_dataset(database, members=["model-2", "model-1"], name="two")
    assert (some.name, some.members) == ("two", ("model-2", "model-1"))
    assert some.queries.num_rows == first.queries.num_rows  # nobody was asked the others
    assert export_dataset(database, members=second.members).digest() == second.digest()


def live(
    database: Database,
    *answers: str | None,
    query: str = "q",
    member: str = "a",
    settings: dict[str, Any] | None = None,
    **more: Any,
) -> str:
    """Store one response per answer, as samples 0, 1, ...; the settings' key."""
    key = database.add_member(member, settings or {})
    database.add_responses(
        [
            StoredResponse(
                query_key=query_key_of(f"prompt of {query}"),
                query_id=query,
                member=member,
                settings_key=key,
                sample=i,
                **{"text": f"so {answer}", "answer": answer, "finish": "stop"} | more,
            )
            for i, answer in enumerate(answers)
        ]
    )
    return key


def ask(database: Database, query: str = "q", label: str | None = "4", **more: Any) -> None:
    row = {"query_id": query, "prompt": f"prompt of {query}", "label": label}
    database.add_queries([row | more])


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        (["4"], "4"),
        (["3", "4", "4"], "4"),
        (["3", "4", "4", "3"], "3"),
        ([None, "4"], "4"),
        ([None, None], None),
    ],
)
def test_several_samples_become_one_row(
    database: Database, answers: list[str | None], expected: str | None
) -> None:
    ask(database)
    live(database, *answers, cost_usd=0.25, latency_s=2.0, score=0.5)
    (row,) = export_dataset(database).responses.to_pylist()
    assert (row["answer"], row["text"]) == (expected, f"so {expected}")
    assert row.get("samples") == (answers if len(answers) > 1 else None)
    assert (row["cost_usd"], row["latency_s"]) == (0.25 * len(answers), 2.0)
    assert (row["score"], row["response_chars"]) == (0.5, len(f"so {expected}"))


def test_one_unpriced_sample_leaves_the_row_unpriced(database: Database) -> None:
    ask(database)
    live(database, "4", cost_usd=0.25)
    live(database, "4", "4", cost_usd=None)
    assert "cost_usd" not in export_dataset(database).responses.column_names


def test_of_several_settings_the_latest_counts(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    ask(database)
    warm = live(database, "3", settings={"temperature": 1})
    live(database, "4", settings={"temperature": 0})
    with caplog.at_level(logging.WARNING):
        assert export_dataset(database).responses["answer"].to_pylist() == ["4"]
    assert "member 'a' was asked under 2 settings" in caplog.text
    chosen = export_dataset(database, settings={"a": warm})
    assert chosen.responses["answer"].to_pylist() == ["3"]
    database.add_member("a", {"temperature": 1.0})  # collected again
    assert export_dataset(database).responses["answer"].to_pylist() == ["3"]


def test_which_settings_are_the_latest_is_no_matter_of_clocks(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask(database)
    clock = [4e9, 1e9, 1e9, 1e9]
    monkeypatch.setattr(Connections, "now_s", lambda *_: clock.pop(0))
    for answer, temperature in (("3", 1), ("4", 0), ("5", 2)):
        live(database, answer, settings={"temperature": temperature})
        assert export_dataset(database).responses["answer"].to_pylist() == [answer]
    database.add_member("a", {"temperature": 1})
    assert export_dataset(database).responses["answer"].to_pylist() == ["3"]
    assert not clock, "the database's own clock, which all share"


def test_queries_that_read_alike_share_a_reply_but_no_score(database: Database) -> None:
    ask(database, "q", "4", task="one")
    database.add_queries([{"query_id": "r", "prompt": "prompt of q", "label": "5"}])
    live(database, "4", score=1.0)
    rows = export_dataset(database).responses.to_pylist()
    assert [(r["query_id"], r["answer"], r["score"]) for r in rows] == [
        ("q", "4", None),
        ("r", "4", None),
    ]


@pytest.mark.parametrize("imported", [False, True])
def test_a_corrected_label_is_the_one_that_counts(
    database: Database, imported: bool, caplog: pytest.LogCaptureFixture
) -> None:
    ask(database, label="4")
    live(database, "4", score=1.0)
    if imported:
        data = export_dataset(database, name="old")
        import_dataset(database, data)
    ask(database, label="5")
    with caplog.at_level(logging.WARNING):
        back = export_dataset(database)
    assert "1 queries came again" in caplog.text
    assert back.queries["label"].to_pylist() == ["5"]
    assert [(r["answer"], r["score"]) for r in back.responses.to_pylist()] == [("4", None)]


@pytest.mark.parametrize("values", [{"label": "5"}, {"task": "sums"}, {"label": None}])
def test_a_label_or_task_that_returns_counts_again(
    database_url: str, values: dict[str, str | None]
) -> None:
    with open_database(database_url) as database:
        ask(database, "p")
        ask(database, "q", task="algebra")
        live(database, "4", query="p")
        live(database, "4", query="q")
        first = export_dataset(database)
        ask(database, "q", **({"label": "4", "task": "algebra"} | values))
        assert export_dataset(database).digest() != first.digest()
        ask(database, "q", task="algebra")
        assert export_dataset(database).digest() == first.digest()


def test_the_values_registered_last_count_whatever_came_before(
    database_url: str, rng: np.random.Generator
) -> None:
    """Against a mapping that is written over; questions stay in the order in which they came."""
    expected: dict[str, tuple[str, str]] = {}
    with open_database(database_url) as database:
        for name in "qrs":
            live(database, "4", query=name)
        seen: set[tuple[str, str, str]] = set()
        for _ in range(30):
            rows = []
            for _ in range(rng.integers(1, 6)):
                name, task, label = rng.choice(["q", "r", "s"]), *rng.choice(["1", "2"], size=2)
                rows.append(
                    {"query_id": name, "prompt": f"prompt of {name}", "label": label, "task": task}
                )
                expected[name] = task, label
            told = {(row["query_id"], row["task"], row["label"]) for row in rows}
            assert database.add_queries(rows) == len(told - seen)
            seen |= told
            out = export_dataset(database).queries.to_pylist()
            assert {row["query_id"]: (row["task"], row["label"]) for row in out} == expected
            assert [row["query_id"] for row in out] == list(expected)


@pytest.mark.parametrize("imported", [False, True])
def test_a_score_under_a_label_that_returned(database: Database, imported: bool) -> None:
    """Only an import says under which label it was given."""
    ask(database, label="4")
    live(database, "4", score=1.0)
    if imported:
        import_dataset(database, export_dataset(database, name="old"))
    ask(database, label="5")
    ask(database, label="4")
    (row,) = export_dataset(database).responses.to_pylist()
    assert (row["answer"], row["score"]) == ("4", 1.0 if imported else None)


def test_a_prompt_keeps_its_name_when_its_label_returns(database: Database) -> None:
    ask(database, "q", "4")
    database.add_queries([{"query_id": "q", "prompt": "prompt of r", "label": "7"}])
    live(database, "4", query="q")
    live(database, "7", query="r")
    before = export_dataset(database).queries.to_pylist()
    ask(database, "q", "5")
    ask(database, "q", "4")
    assert export_dataset(database).queries.to_pylist() == before


def test_two_prompts_under_one_id_both_stay(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    ask(database, "q")
    database.add_queries([{"query_id": "q", "prompt": "prompt of r", "label": "7"}])
    live(database, "4", query="q")
    live(database, "7", query="r")
    with caplog.at_level(logging.WARNING):
        back = export_dataset(database)
    first, second = back.queries["query_id"].to_pylist()
    assert first == "q"
    assert second.startswith("q~")
    assert "1 queries have the query_id of another" in caplog.text
    assert back.responses["answer"].to_pylist() == ["4", "7"]


def test_what_nobody_was_asked_is_left_out_but_failures_are_not(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    for query in ("answered", "failed", "not asked"):
        ask(database, query)
    settings = live(database, "4", query="answered")
    key = key_of(query_key_of("prompt of failed"), "a", settings)
    database.add_errors([StoredError(key=key, member="a", failure="timeout")])
    with caplog.at_level(logging.WARNING):
        back = export_dataset(database)
    assert back.queries["query_id"].to_pylist() == ["answered", "failed"]
    assert back.responses.num_rows == 1
    assert "1 queries that nobody was asked are left out" in caplog.text


def test_a_reply_whose_query_is_unknown_is_not_exported(database: Database) -> None:
    ask(database)
    live(database, "4")
    live(database, "5", query="unknown")
    assert export_dataset(database).responses.num_rows == 1


def test_wrong_names_are_said(database: Database) -> None:
    with pytest.raises(RecordError, match="no rows"):
        export_dataset(database)
    ask(database)
    live(database, "4", member="large")
    with pytest.raises(ConfigError, match="did you mean 'large'"):
        export_dataset(database, members=["lareg"])
    with pytest.raises(ConfigError, match="under the settings 'x'"):
        export_dataset(database, settings={"large": "x"})
    with pytest.raises(ConfigError, match="not exported: small"):
        export_dataset(database, settings={"small": "x"})
