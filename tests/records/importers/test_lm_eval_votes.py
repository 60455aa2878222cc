"""No answer of an imported log is written from its score: votes are those of the replies."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from rlfocal.cli.main import main
from rlfocal.records.folders import write_dataset
from rlfocal.records.importers import import_logs

TIME = "2025-03-04T05-06-07.123456"


def row(doc_id: int, question: str, target: str, reply: str, score: float) -> dict[str, Any]:
    """A task without a filter, as lm-eval 0.4.13 logs it: the filter `none` hands replies on."""
    return {
        "doc_id": doc_id,
        "doc": {"question": question, "answer": target},
        "target": target,
        "arguments": {"gen_args_0": {"arg_0": f"Q: {question}\nA:", "arg_1": {"until": ["Q:"]}}},
        "resps": [[reply]],
        "filtered_resps": [reply],
        "filter": "none",
        "metrics": ["exact_match"],
        "exact_match": score,
    }


def write(root: Path, member: str, rows: list[dict[str, Any]], task: str = "maths") -> None:
    folder = root / member
    folder.mkdir(parents=True, exist_ok=True)
    lines = "".join(json.dumps(r) + "\n" for r in rows)
    (folder / f"samples_{task}_{TIME}.jsonl").write_text(lines, encoding="utf-8")


def inspect(folder: Path, capsys: pytest.CaptureFixture[str]) -> str:
    assert main(["inspect", str(folder)]) == 0
    return capsys.readouterr().out


def test_right_replies_vote_with_their_own_answers(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two members are right, three agree on a wrong answer: the vote is wrong."""
    for member, said in zip("abcde", (12, 12, 13, 13, 13), strict=True):
        reply = f"Model {member} thinks about it at length.\nThus \\boxed{{{said}}}."
        write(tmp_path / "logs", member, [row(0, "What is 3 * 4?", "12", reply, said == 12)])
    data = import_logs("lm-eval", [tmp_path / "logs"], name="mini")
    assert data.responses["answer"].to_pylist() == ["12", "12", "13", "13", "13"]
    write_dataset(data, tmp_path / "mini")
    assert re.search(r"^plurality +0\.0 %$", inspect(tmp_path / "mini", capsys), re.MULTILINE)
