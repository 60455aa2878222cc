"""A blend to everything above: collected from, asked, and served, whole and as a stream."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx2
import pytest
from tests.support.serving import Served, serving
from tests.support.table_models import TableModel, says

from rlfocal.pool.blends import endpoint
from rlfocal.pool.stub import StubServer, StubThread
from rlfocal.records.folders import read_dataset

if TYPE_CHECKING:
    from conftest import Run

POOL = """
[endpoints.one]
kind = "llama-cpp"
path = "one.gguf"

[endpoints.two]
kind = "llama-cpp"
path = "two.gguf"

[endpoints.both]
kind = "blend"
parts = ["one", "two"]

[endpoints.stub]
base_url = "{url}"
attempts = 1

[[members]]
name = "blend"
endpoint = "both"
max_tokens = 8

[[members]]
name = "far"
endpoint = "stub"
model = "far"
"""


@pytest.fixture
def pool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Two tables that write one text; the first alone would say 7, the second 8."""
    tables = {"one": says("It is 7"), "two": says("It is 8", sure=0.6)}
    monkeypatch.setattr(TableModel, "tables", tables)
    monkeypatch.setattr(endpoint, "LlamaVoice", TableModel)
    path = tmp_path / "pool.toml"
    with StubThread(StubServer(lambda _: "It is 7")) as stub:
        path.write_text(POOL.replace("{url}", stub.base_url), "utf-8")
        yield path


def test_it_is_collected_from(pool: Path, tmp_path: Path, run: Run) -> None:
    queries, db = tmp_path / "queries.jsonl", f"sqlite:///{tmp_path}/answers.db"
    rows = [{"query_id": f"q{n}", "prompt": f"{n} + {7 - n} =", "label": "7"} for n in range(4)]
    queries.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    made = run("collect", pool, queries, "--db", db, "--json")
    assert made.code == 0, made.err
    assert json.loads(made.out)["n_answered"] == 8
    run("export", db, "-o", tmp_path / "out")
    stored = read_dataset(tmp_path / "out").responses.to_pylist()
    (said,) = {(row["text"], row["answer"], row["score"]) for row in stored
               if row["member"] == "blend"}  # fmt: skip
    assert said == ("It is 7", "7", 1.0)
    (tokens,) = {row["n_completion_tokens"] for row in stored if row["member"] == "blend"}
    assert tokens == len("It is 7")  # a token is a piece; the end is none


def test_it_is_asked_and_told_of(pool: Path, run: Run) -> None:
    told = run("ask", pool, "3 + 4 =", "--answers", "number", "--price", "0", "--json")
    assert told.code == 0, told.err
    found = json.loads(told.out)
    assert found["answer"] == "7"
    asked = [said for part in found["trace"]["rounds"] for said in part["asked"]]
    assert {said["member"] for said in asked} == {"blend", "far"}
    assert {said["answer"] for said in asked} == {"7"}


@pytest.fixture
def served(pool: Path, tmp_path: Path) -> Iterator[Served]:
    with serving(None, pool, f"sqlite:///{tmp_path}/gateway.db", answers="number") as gateway:
        yield gateway


def body(**more: Any) -> dict[str, Any]:
    return {"model": "blend", "messages": [{"role": "user", "content": "3 + 4 ="}], **more}


def test_it_is_served_alone_and_among_others(served: Served) -> None:
    url = f"{served.url}/v1/chat/completions"
    for model in ("blend", "rlfocal:0"):
        reply = httpx2.post(url, json=body(model=model), headers=served.headers, timeout=60)
        assert reply.status_code == 200, reply.text
        assert reply.json()["choices"][0]["message"]["content"] == "It is 7"


def test_it_streams_piece_by_piece(served: Served) -> None:
    with httpx2.stream(
        "POST", f"{served.url}/v1/chat/completions", headers=served.headers, timeout=60,
        json=body(stream=True, stream_options={"include_usage": True}),
    ) as reply:  # fmt: skip
        lines = [line.removeprefix("data: ") for line in reply.iter_lines() if line]
    assert lines[-1] == "[DONE]"
    events = [json.loads(line) for line in lines[:-1] if not line.startswith(":")]
    deltas = [e["choices"][0]["delta"].get("content") for e in events if e["choices"]]
    words = [text for text in deltas if text]
    assert "".join(words) == "It is 7"
    assert len(words) > 1
    assert events[-1]["usage"]["completion_tokens"] == len("It is 7")
