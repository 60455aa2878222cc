"""Runs the command line in this process, and makes small data folders to point it at."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from rlfocal.cli.main import main

Row = dict[str, Any]
LETTERS = "ABCD"


class Ran(NamedTuple):
    code: int
    out: str
    err: str


Run = Callable[..., Ran]
MakeFolder = Callable[..., Path]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """run("inspect", folder, "--json") → exit code, standard output, standard error."""

    def call(*args: object) -> Ran:
        capsys.readouterr()
        with pytest.raises(SystemExit) as left:
            main([str(arg) for arg in args])
        out, err = capsys.readouterr()
        code = left.value.code
        return Ran(0 if code is None else int(code), out, err)

    return call


def queries(n: int = 12) -> list[Row]:
    """Multiple-choice queries of two tasks; the right option moves through A, B, C, D."""
    return [
        {
            "query_id": f"q{q}",
            "task": "odd" if q % 2 else "even",
            "prompt": f"Question {q}?",
            "choices": ["one", "two", "three", "four"],
            "label": LETTERS[q % 4],
        }
        for q in range(n)
    ]


def responses(right: Mapping[str, Sequence[bool]]) -> list[Row]:
    """Each member's responses: the label where it is right, the next option where it is not."""
    return [
        {"query_id": f"q{q}", "member": member, "answer": LETTERS[(q + (not is_right)) % 4]}
        for member, row in right.items()
        for q, is_right in enumerate(row)
    ]


THREE = {
    "ann": [q % 4 != 0 for q in range(12)],  # right on 9 of 12
    "bob": [q % 3 != 0 for q in range(12)],  # right on 8
    "cyd": [q % 2 == 0 for q in range(12)],  # right on 6
}
"""They fail together on q0 alone (ann and bob), q9 (bob and cyd), and q3 (bob and cyd)."""


@pytest.fixture
def make_folder(tmp_path: Path) -> MakeFolder:
    """Write a data folder as JSON lines."""

    def make(
        asked: Sequence[Row] | None = None,
        answered: Sequence[Row] | None = None,
        *,
        name: str = "small",
        info: Row | None = None,
    ) -> Path:
        folder = tmp_path / name
        folder.mkdir()
        tables = {
            "queries": queries() if asked is None else asked,
            "responses": responses(THREE) if answered is None else answered,
        }
        for table, rows in tables.items():
            text = "".join(json.dumps(row) + "\n" for row in rows)
            (folder / f"{table}.jsonl").write_text(text, encoding="utf-8")
        if info is not None:
            (folder / "dataset.json").write_text(json.dumps(info), encoding="utf-8")
        return folder

    return make


@pytest.fixture
def small(make_folder: MakeFolder) -> Path:
    """A sound data set of 12 queries and 3 members with the pool "pair"."""
    return make_folder(info={"pools": {"pair": ["ann", "cyd"]}})
