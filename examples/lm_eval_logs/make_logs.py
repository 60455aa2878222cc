"""Make up logs of lm-evaluation-harness: two models that do not exist, two tasks, one seed.

    python make_logs.py FOLDER

The format is that of `lm_eval --output_path FOLDER --log_samples`, version 0.4.9; the numbers in it
say nothing about any model. One seed gives the same files, to the byte.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
from pathlib import Path
from typing import Any

SEED = 20261125
N_DOCUMENTS = 40
TIME = "2026-11-25T09-00-00.000000"
MODELS = {"made-up/owl": (0.75, 0.65), "made-up/wren": (0.6, 0.8)}
"""Model → how often it is right on each task."""
CHOICE_TASK, SUM_TASK = "made_up_choice", "made_up_sums"
LETTERS = "ABCD"
Row = dict[str, Any]


def digest(value: Any) -> str:
    """As the harness hashes documents, prompts and targets."""
    text = value if isinstance(value, str) else json.dumps(value, indent=2, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def sample(doc_id: int, doc: Row, target: Any, arguments: list[list[Any]], rest: Row) -> Row:
    """One line of a samples file."""
    named = {
        f"gen_args_{k}": {f"arg_{n}": argument for n, argument in enumerate(request)}
        for k, request in enumerate(arguments)
    }
    head = {"doc_id": doc_id, "doc": doc, "target": str(target), "arguments": named}
    hashes = {
        "doc_hash": digest(doc),
        "prompt_hash": digest(arguments[0][0]),
        "target_hash": digest(str(target)),
    }
    return {**head, **rest, **hashes}


def choice_samples(accuracy: float, rng: random.Random) -> list[Row]:
    """Multiple choice: the log-likelihood of each option as the next word."""
    documents = random.Random(f"{SEED} {CHOICE_TASK}")
    rows = []
    for doc_id in range(N_DOCUMENTS):
        numbers = documents.sample(range(10, 100), len(LETTERS))
        question = f"Which of these numbers is the largest? (No. {doc_id + 1})"
        gold = numbers.index(max(numbers))
        doc = {"question": question, "choices": [str(n) for n in numbers], "answer": gold}
        options = "\n".join(f"{a}. {n}" for a, n in zip(LETTERS, numbers, strict=True))
        wrong = [k for k in range(len(LETTERS)) if k != gold]
        best = gold if rng.random() < accuracy else rng.choice(wrong)
        values = [round(-rng.uniform(1.5, 6.0), 4) for _ in LETTERS]
        values[best] = round(-rng.uniform(0.05, 1.4), 4)
        # What the harness writes are texts: ["-0.7", "True"] is (log-likelihood, is_greedy).
        pairs = [[str(v), str(k == best)] for k, v in enumerate(values)]
        rest = {
            "resps": [[pair] for pair in pairs],
            "filtered_resps": pairs,
            "filter": "none",
            "metrics": ["acc"],
            "acc": float(best == gold),
        }
        arguments = [[f"{question}\n{options}\nAnswer:", f" {letter}"] for letter in LETTERS]
        rows.append(sample(doc_id, doc, gold, arguments, rest))
    return rows


def sum_samples(accuracy: float, rng: random.Random) -> list[Row]:
    """Generated text, of which a filter took the number."""
    documents = random.Random(f"{SEED} {SUM_TASK}")
    rows = []
    for doc_id in range(N_DOCUMENTS):
        a, b = documents.randrange(10 + doc_id, 100), documents.randrange(10, 100)
        doc = {"question": f"What is {a} + {b}?", "answer": str(a + b)}
        said = str(a + b if rng.random() < accuracy else a + b + rng.choice([-10, -1, 1, 10]))
        rest = {
            "resps": [[f" {a} + {b} = {said}."]],
            "filtered_resps": [said],
            "filter": "flexible-extract",
            "metrics": ["exact_match"],
            "exact_match": float(said == doc["answer"]),
        }
        settings = {"until": ["\n"], "do_sample": False, "temperature": 0.0}
        arguments = [[f"Question: {doc['question']}\nAnswer:", settings]]
        rows.append(sample(doc_id, doc, doc["answer"], arguments, rest))
    return rows


def results(model: str, accuracies: dict[str, tuple[str, float]]) -> Row:
    """What a run writes beside its samples: figures and how they came about."""
    return {
        "results": {t: {"alias": t, key: value} for t, (key, value) in accuracies.items()},
        "group_subtasks": {task: [] for task in accuracies},
        "versions": dict.fromkeys(accuracies, 1.0),
        "n-shot": dict.fromkeys(accuracies, 0),
        "n-samples": {t: {"original": N_DOCUMENTS, "effective": N_DOCUMENTS} for t in accuracies},
        "config": {
            "model": "hf",
            "model_args": f"pretrained={model}",
            "batch_size": "1",
            "limit": None,
            "random_seed": 0,
        },
        "model_source": "hf",
        "model_name": model,
        "model_name_sanitized": model.replace("/", "__"),
    }


def write(model: str, folder: Path) -> None:
    """All files of one model's run."""
    rng = random.Random(f"{SEED} {model}")
    on_choices, on_sums = MODELS[model]
    runs = {
        CHOICE_TASK: ("acc,none", choice_samples(on_choices, rng)),
        SUM_TASK: ("exact_match,flexible-extract", sum_samples(on_sums, rng)),
    }
    folder.mkdir(parents=True, exist_ok=True)
    accuracies = {}
    for task, (key, rows) in runs.items():
        text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        (folder / f"samples_{task}_{TIME}.jsonl").write_text(text, encoding="utf-8")
        metric = key.partition(",")[0]
        accuracies[task] = (key, sum(row[metric] for row in rows) / len(rows))
    text = json.dumps(results(model, accuracies), indent=2) + "\n"
    (folder / f"results_{TIME}.json").write_text(text, encoding="utf-8")


def main() -> None:
    """Write the logs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    for model in MODELS:
        write(model, folder / model.replace("/", "__"))


if __name__ == "__main__":
    main()
