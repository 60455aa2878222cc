"""Rows of lm-evaluation-harness's sample logs, in the forms of its versions."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

TIME = "2025-03-04T05-06-07.123456"
LATER = "2025-04-01T00-00-00.000001"
QUESTIONS = ["What boils at 100 degrees?", "What freezes at 0 degrees?"]
TEXTS = [["iron", "water", "gold"], ["water ice", "lead", "tin"]]
GOLD = [1, 0]
Row = dict[str, Any]


def choice_row(
    doc_id: int, likelihoods: Sequence[float], /, *, old: bool = False, **changes: Any
) -> Row:
    """A multiple choice sample: numbers as numbers in old logs, as texts in new ones."""
    options, gold = TEXTS[doc_id], GOLD[doc_id]
    context = f"Question: {QUESTIONS[doc_id]}\nAnswer:"
    best = max(range(3), key=lambda i: likelihoods[i])
    longest = max(range(3), key=lambda i: likelihoods[i] / len(options[i]))
    if old:
        form: Row = {
            "target": gold,
            "arguments": [[context, " " + o] for o in options],
            "resps": [[[x, False]] for x in likelihoods],
            "filtered_resps": [[x, False] for x in likelihoods],
        }
    else:
        form = {
            "target": str(gold),
            "arguments": {
                f"gen_args_{i}": {"arg_0": context, "arg_1": " " + o} for i, o in enumerate(options)
            },
            "resps": [[[str(x), "False"]] for x in likelihoods],
            "filtered_resps": [[str(x), "False"] for x in likelihoods],
            "filter": "none",
            "metrics": ["acc", "acc_norm"],
            "doc_hash": f"d{doc_id}",
            "prompt_hash": f"p{doc_id}",
            "target_hash": f"t{doc_id}",
        }
    doc = {"question": QUESTIONS[doc_id], "choices": options, "answer": gold}
    scores = {"acc": float(best == gold), "acc_norm": float(longest == gold)}
    return {"doc_id": doc_id, "doc": doc} | form | scores | changes


def reply_row(
    doc_id: int, reply: str | list[str], filtered: Any, right: float, **changes: Any
) -> Row:
    """A generated sample; of several repeats where `reply` is a list."""
    question = f"What is {doc_id} plus a hundred?"
    return {
        "doc_id": doc_id,
        "doc": {"question": question, "answer": f"it is\n#### {doc_id + 100}"},
        "target": f"it is\n#### {doc_id + 100}",
        "arguments": {"gen_args_0": {"arg_0": f"Q: {question}\nA:", "arg_1": {"until": ["Q:"]}}},
        "resps": [[reply] if isinstance(reply, str) else reply],
        "filtered_resps": [filtered],
        "filter": "none",
        "metrics": ["exact_match"],
        "exact_match": right,
    } | changes


def log(
    root: Path,
    model: str,
    rows: Sequence[Row],
    *,
    task: str = "arc",
    time: str = TIME,
    results: Row | None = None,
) -> Path:
    """Write a log as 0.4.13 does."""
    folder = root / model
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"samples_{task}_{time}.jsonl"
    file.write_text("".join(json.dumps(r) + "\n" for r in rows), encoding="utf-8")
    if results is not None:
        (folder / f"results_{time}.json").write_text(json.dumps(results))
    return file


GOOD = [choice_row(0, [-9.0, -1.0, -5.0]), choice_row(1, [-2.0, -3.0, -4.0])]
WEAK = [choice_row(0, [-1.0, -2.0, -5.0], old=True), choice_row(1, [-2.0, -1.5, -4.0], old=True)]
