"""`rlfocal collect` of queries that offer functions: they are sent, and calls are stored."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rlfocal.pool.stub import Said, StubServer, StubThread
from rlfocal.records.folders import read_dataset

if TYPE_CHECKING:
    from conftest import Run

TOOLS = [{"name": "math.add", "parameters": {
    "type": "dict", "properties": {"a": {"type": "int"}, "b": {"type": "int"}},
}}]  # fmt: skip
CALL = {"id": "c1", "type": "function",
        "function": {"name": "math_add", "arguments": '{"b": 4, "a": 3}'}}  # fmt: skip


def says(body: Mapping[str, Any]) -> Said:
    if body["model"] == "native" and body.get("tools"):
        return Said("", tool_calls=[CALL])
    return Said("[math_add(a=3, b=4)]" if body["model"] == "writer" else "It is 7.")


def test_calls_are_collected_and_judged(tmp_path: Path, run: Run) -> None:
    queries, pool = tmp_path / "queries.jsonl", tmp_path / "pool.toml"
    rows = [
        {
            "query_id": "q1",
            "prompt": "Add 3 and 4.",
            "tools": json.dumps(TOOLS),
            "label": "math.add(3, 4)",
        },
        {"query_id": "q2", "prompt": "3 + 4 =", "label": "7"},
    ]
    queries.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    with StubThread(StubServer(says)) as stub:
        members = "".join(
            f'[[members]]\nname = "{name}"\nendpoint = "stub"\nmodel = "{name}"\n'
            for name in ("native", "writer", "talker")
        )
        pool.write_text(f'[endpoints.stub]\nbase_url = "{stub.base_url}"\n{members}', "utf-8")
        made = run("collect", pool, queries, "--db", tmp_path / "answers.db", "--json")
        assert made.code == 0, made.err
        sent = [body.get("tools") for body in stub.bodies if "Add" in str(body["messages"])]
        others = [body.get("tools") for body in stub.bodies if "Add" not in str(body["messages"])]
    assert others == [None] * 3
    assert sent == [[{"type": "function", "function": {
        "name": "math_add", "parameters": {
            "type": "object",
            "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}},
        },
    }}]] * 3  # fmt: skip
    assert run("export", tmp_path / "answers.db", "-o", tmp_path / "out").code == 0
    stored = read_dataset(tmp_path / "out").responses.to_pylist()
    found = {row["member"]: row for row in stored if row["query_id"] == "q1"}
    called = '[{"arguments":{"a":3,"b":4},"name":"math.add"}]'
    assert {name: row["answer"] for name, row in found.items()} == {
        "native": called, "writer": called, "talker": "[]",
    }  # fmt: skip
    assert [found[name]["score"] for name in ("native", "writer", "talker")] == [1, 1, 0]
    assert json.loads(found["native"]["text"])[0]["name"] == "math_add"
    again = run("collect", pool, queries, "--db", tmp_path / "answers.db", "--json", "--dry-run")
    assert json.loads(again.out)["n_stored"] == 6
