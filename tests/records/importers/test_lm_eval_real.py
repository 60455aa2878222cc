"""Logs that lm-evaluation-harness wrote, of tasks and models of our own: see make_lm_eval.sh."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from pathlib import Path

from rlfocal.records.importers import Record, import_logs
from rlfocal.records.importers.lm_eval import read_lm_eval

LOGS = Path(__file__).parent / "logs" / "lm_eval"
NEW = LOGS / "new"


def tasks_of(folder: Path) -> dict[str, list[Record]]:
    found: dict[str, list[Record]] = defaultdict(list)
    for record in read_lm_eval([folder]).records:
        found[record.task].append(record)
    return found


def test_scores_are_those_of_the_rows() -> None:
    logged = {}
    for file in NEW.rglob("samples_*.jsonl"):
        for line in file.read_text("utf-8").splitlines():
            row = json.loads(line)
            name = row.get("filter")
            if name in ("none", "flexible-extract", "maj@4"):
                score = float(row["exact_match" if "exact_match" in row else "acc"])
                task = re.sub(r"samples_|_\d{4}-.*", "", file.name)
                member = file.parent.name.replace("__", "/")
                if "<user>" in json.dumps(row["arguments"]):
                    member += " (chat, multiturn)"
                logged[member, task, str(row["doc_id"])] = score
    records = [r for own in tasks_of(NEW).values() for r in own]
    assert len(logged) == len(records) >= 80
    assert {(r.member, r.task, r.name): r.score for r in records} == logged


def test_what_is_right_by_the_harness_is_right_here() -> None:
    """Multiple choice, a filter's answers, votes, and replies that no filter touched."""
    data = import_logs("lm-eval", [NEW], name="x")
    label = {q["query_id"]: (q["label"], q["task"]) for q in data.queries.to_pylist()}
    compared: dict[str, list[bool]] = defaultdict(list)
    for row in data.responses.to_pylist():
        right, task = label[row["query_id"]]
        if right is not None and task not in ("made_plain", "made_maths"):
            compared[task].append((row["answer"] == right) == (row["score"] == 1))
    assert set(compared) >= {"made_words", "made_sums", "made_shots", "made_votes"}
    assert all(all(own) for own in compared.values()), compared


def test_every_kind_of_task_becomes_what_it_is() -> None:
    tasks = tasks_of(NEW)
    assert all(len(r.choices or ()) == 4 and r.choice_scores for r in tasks["made_words"])
    assert all(r.by_score and 0 < (r.score or 0) < 1 for r in tasks["made_truth"])
    assert all(r.by_score and "evening she painted the" in r.prompt for r in tasks["made_last"])
    assert not any(r.prompt.count(r.prompt.split()[5]) > 1 for r in tasks["made_last"])
    assert all(r.samples and len(r.samples) == 4 for r in tasks["made_votes"])
    assert all(r.answer is None and r.text for r in tasks["made_plain"] + tasks["made_maths"])
    assert {r.labels for r in tasks["made_maths"]} >= {("\\frac{3}{2}",), ("\\frac{5}{2}",)}


def test_acc_norm_and_mutual_information_choose_as_the_harness_does() -> None:
    for metric in ("acc", "acc_norm", "acc_mutual_info"):
        records = [r for r in read_lm_eval([NEW], metric=metric).records if r.task == "made_words"]
        assert len(records) == 10
        assert all((r.answer in r.labels) == (r.score == 1) for r in records), metric
