"""No answer of an imported log is written from its score: votes are those of the replies."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from rlfocal.cli.main import main
from rlfocal.records.folders import read_dataset, write_dataset
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


def printed(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    with pytest.raises(SystemExit) as done:
        main(list(arguments))
    assert done.value.code == 0
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
    assert re.search(
        r"^plurality +0\.0 %$", printed(capsys, "inspect", str(tmp_path / "mini")), re.MULTILINE
    )


@pytest.mark.shared
@pytest.mark.slow
def test_votes_over_recorded_replies_stay_what_they_are(
    shared_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Eight members' replies as rows of a task without a filter: their votes, within a point."""
    data = read_dataset(shared_data / "gsm8k")
    members = data.select_members("mid8")
    texts = {q["query_id"]: q for q in data.queries.to_pylist()}
    rows: dict[str, list[dict[str, Any]]] = {member: [] for member in members}
    for reply in pq.read_table(shared_data / "gsm8k" / "responses.parquet").to_pylist():
        if reply["member"] in rows:
            asked = texts[reply["query_id"]]
            own = rows[reply["member"]]
            own.append(
                row(len(own), asked["prompt"], asked["label"], reply["text"], reply["score"])
            )
    for member, own in rows.items():
        write(tmp_path / "logs", member, own, "gsm8k")
    write_dataset(import_logs("lm-eval", [tmp_path / "logs"], name="g"), tmp_path / "g")
    arguments = ["--folds", "3", "--strategies", "plurality,weighted-vote,agreement"]
    imported = figures(printed(capsys, "bench", str(tmp_path / "g"), *arguments))
    recorded = figures(
        printed(capsys, "bench", str(shared_data / "gsm8k"), "--pool", "mid8", *arguments)
    )
    assert imported.keys() == recorded.keys() == {"plurality", "weighted-vote", "agreement"}
    for strategy, accuracy in recorded.items():
        assert imported[strategy] == pytest.approx(accuracy, abs=1.0), (imported, recorded)


def figures(table: str) -> dict[str, float]:
    """Strategy → accuracy in %, from what bench prints."""
    found = re.findall(r"^ *(plurality|weighted-vote|agreement) +(\d+\.\d)", table, re.MULTILINE)
    return {name: float(accuracy) for name, accuracy in found}
